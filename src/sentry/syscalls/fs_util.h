/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the file system calls share. */
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

/* The path of a *at call: a name relative to dirfd, or dirfd's own object where AT_EMPTY_PATH (and
 * an empty or NULL name) says so. at_flags: AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_NO_AUTOMOUNT. */
must_check int fs_path_at(struct task *t, int dirfd, uaddr_t name, unsigned at_flags, struct path *out);
must_check int fs_path_cred(struct task *t, const struct cred *cred, int dirfd, uaddr_t name,
			    unsigned at_flags, struct path *out);
/* follow by default, as the calls without flags. */
must_check int fs_path(struct task *t, uaddr_t name, bool follow, struct path *out);
/* A referenced file's path. */
must_check int fs_fd_path(struct task *t, int fd, bool path_too, struct path *out);
/* One transfer at *pos with the RWF_* flags of that call. */
must_check int64_t fs_rw_flagged(struct task *t, struct file *f, struct uio *u, int64_t *pos, int flags, bool write);
#ifndef RWF_NOAPPEND
#define RWF_NOAPPEND 0x20
#endif
#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)
