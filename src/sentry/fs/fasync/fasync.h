/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Signal-driven I/O (O_ASYNC): SIGIO to a file's owner when it has news. */
#include "sentry/vfs/vfs.h"

must_check int fasync_start(void);	/* once, before guests run */
/* After FASYNC was changed in f->flags. fd: for si_fd. Files without such events are left alone. */
must_check int fasync_set(struct file *f, int fd, bool on);
