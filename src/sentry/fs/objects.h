/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Connects descriptor objects to the core's hooks; once, after vfs_init and before guests run. */
void fs_objects_init(void);
