/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that refer to processes. */
#include "sentry/vfs/vfs.h"

struct pid;

/* flags: PIDFD_NONBLOCK, PIDFD_THREAD. Takes a reference of its own to pid. */
must_check int pidfd_create(struct pid *pid, unsigned flags, struct file **out);
/* The process behind a pidfd, borrowed from the file; NULL: not a pidfd. */
struct pid *pidfd_pid(struct file *f);
bool pidfd_is_thread(const struct file *f);
