/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The file system types that mount(2) knows, and the hooks of special files. */
#include "lib/compiler.h"

must_check int fs_types_init(void);
