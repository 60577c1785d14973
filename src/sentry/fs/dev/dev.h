/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Character devices by number, and the nodes of /dev. */
#include "sentry/vfs/vfs.h"

/* Registers the hook that opens device nodes. */
void dev_init(void);
/* Makes null, zero, ... and the links fd, stdin, stdout, stderr in the directory `where`. */
must_check int dev_populate(const struct path *where, const struct cred *cred);
