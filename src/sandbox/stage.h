/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The steps that a child takes between fork and exec. Each returns 0 or a negative errno. */
#include "sandbox/spawn.h"

/* Identity map of one user and one group, from inside the new user namespace. */
int stage_map_ids(unsigned uid, unsigned gid);
/* A root directory that holds nothing but /proc; needs a mount namespace of its own. */
int stage_empty_root(void);
/* No file may be opened but for executing the given ones and below /proc; no TCP, no abstract
 * sockets, no signals to the outside, as far as the host's version knows them. */
int stage_landlock(int exe_hfd, int cell_hfd);
/* uid and gid 65534 and no groups when started by root; no capability of any kind afterwards. */
int stage_drop_ids(bool *is_nobody);
void stage_limits(void);
