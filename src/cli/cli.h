/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "lib/compiler.h"

/* Each gets its own argv, argv[0] being the verb, and returns the exit status. */
int cmd_do(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
