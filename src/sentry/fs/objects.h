/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "lib/compiler.h"
/* Connects descriptor objects to the core's hooks; once, after vfs_init and before guests run. */
must_check int fs_objects_init(void);
