/* SPDX-License-Identifier: Apache-2.0 */
/* Paths from guest strings. */
#include "sentry/syscalls/fs_util.h"
#include <errno.h>
#include <fcntl.h>

int fs_fd_path(struct task *t, int fd, bool path_too, struct path *out)
{
	struct file *f;

	if (fd == AT_FDCWD && path_too) {
		fsctx_paths(t->fs, NULL, out);
		return 0;
	}
	f = path_too ? fd_get_any(t, fd) : fd_get(t, fd);
	if (!f)
		return -EBADF;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

int fs_path_cred(struct task *t, const struct cred *cred, int dirfd, uaddr_t name, unsigned at_flags,
		 struct path *out)
{
	bool empty_ok = at_flags & AT_EMPTY_PATH;
	char *p;
	int r;

	if (empty_ok && !name.v)
		return fs_fd_path(t, dirfd, true, out);
	r = copy_in_path(t, name, empty_ok, &p);
	if (r)
		return r;
	if (!*p)
		r = fs_fd_path(t, dirfd, true, out);
	else
		r = path_lookup_cred(t, cred, dirfd, p, at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW,
				     out);
	path_buf_free(p);
	return r;
}

int fs_path_at(struct task *t, int dirfd, uaddr_t name, unsigned at_flags, struct path *out)
{
	return fs_path_cred(t, t->cred, dirfd, name, at_flags, out);
}

int fs_path(struct task *t, uaddr_t name, bool follow, struct path *out)
{
	return fs_path_at(t, AT_FDCWD, name, follow ? 0 : AT_SYMLINK_NOFOLLOW, out);
}
