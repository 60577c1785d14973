/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Making, removing and renaming names, with every check of the system calls. Names are kernel
 * copies; t may be NULL in the _at forms (start-up: no checks of rights). */
#include "sentry/vfs/vfs.h"

must_check int vfs_mkdir(struct task *t, int dirfd, const char *name, uint32_t mode);
must_check int vfs_mknod(struct task *t, int dirfd, const char *name, uint32_t mode, uint64_t rdev);
must_check int vfs_symlink(struct task *t, const char *target, int dirfd, const char *name);
must_check int vfs_unlink(struct task *t, int dirfd, const char *name);
must_check int vfs_rmdir(struct task *t, int dirfd, const char *name);
must_check int vfs_link(struct task *t, int odirfd, const char *oname, int ndirfd, const char *nname,
			int flags);
must_check int vfs_rename(struct task *t, int odirfd, const char *oname, int ndirfd,
			  const char *nname, unsigned flags);
/* mknod in a known directory: binds of unix sockets, start-up. *out (may be NULL) the new path. */
must_check int vfs_mknod_at(const struct path *dir, const char *name, size_t len, uint32_t mode,
			    uint64_t rdev, const struct cred *cred, struct path *out);
/* Makes every missing directory of an absolute path below root, and returns the last one. */
must_check int vfs_mkdir_p(const struct path *root, const char *name, uint32_t mode, struct path *out);
