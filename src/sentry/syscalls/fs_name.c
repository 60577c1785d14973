/* SPDX-License-Identifier: Apache-2.0 */
/* mkdir, mknod, rmdir, unlink, rename, link, symlink and their *at forms */
#include <errno.h>
#include <fcntl.h>
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/names.h"

/* dev_t of a call: 12 bits of major, 20 of minor, packed as the kernel's new_decode_dev. */
static uint64_t decode_dev(uint32_t dev)
{
	uint64_t maj = (dev & 0xfff00) >> 8, min_ = (dev & 0xff) | ((dev >> 12) & 0xfff00);

	return (maj & 0xfff) << 8 | (min_ & 0xff) | (min_ & 0xfff00) << 12;
}

static int64_t do_mkdir(struct task *t, int dirfd, uaddr_t name, uint32_t mode)
{
	char *p;
	int r = copy_in_path(t, name, false, &p);

	if (r)
		return r;
	r = vfs_mkdir(t, dirfd, p, mode);
	path_buf_free(p);
	return r;
}

int64_t sys_mkdir(struct task *t, const struct sysargs *a)
{
	return do_mkdir(t, AT_FDCWD, ARG_UADDR(0), ARG_U32(1));
}

int64_t sys_mkdirat(struct task *t, const struct sysargs *a)
{
	return do_mkdir(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2));
}

static int64_t do_mknod(struct task *t, int dirfd, uaddr_t name, uint32_t mode, uint32_t dev)
{
	char *p;
	int r = copy_in_path(t, name, false, &p);

	if (r)
		return r;
	r = vfs_mknod(t, dirfd, p, mode & 0177777, decode_dev(dev));
	path_buf_free(p);
	return r;
}

int64_t sys_mknod(struct task *t, const struct sysargs *a)
{
	return do_mknod(t, AT_FDCWD, ARG_UADDR(0), ARG_U32(1), ARG_U32(2));
}

int64_t sys_mknodat(struct task *t, const struct sysargs *a)
{
	return do_mknod(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2), ARG_U32(3));
}

static int64_t do_remove(struct task *t, int dirfd, uaddr_t name, bool isdir)
{
	char *p;
	int r = copy_in_path(t, name, false, &p);

	if (r)
		return r;
	r = isdir ? vfs_rmdir(t, dirfd, p) : vfs_unlink(t, dirfd, p);
	path_buf_free(p);
	return r;
}

int64_t sys_unlink(struct task *t, const struct sysargs *a)
{
	return do_remove(t, AT_FDCWD, ARG_UADDR(0), false);
}

int64_t sys_rmdir(struct task *t, const struct sysargs *a)
{
	return do_remove(t, AT_FDCWD, ARG_UADDR(0), true);
}

int64_t sys_unlinkat(struct task *t, const struct sysargs *a)
{
	if (ARG_U32(2) & ~(unsigned)AT_REMOVEDIR)
		return -EINVAL;
	return do_remove(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2) & AT_REMOVEDIR);
}

static int two_paths(struct task *t, uaddr_t a, bool a_empty, uaddr_t b, char **ap, char **bp)
{
	int r = copy_in_path(t, a, a_empty, ap);

	if (r)
		return r;
	r = copy_in_path(t, b, false, bp);
	if (r)
		path_buf_free(*ap);
	return r;
}

static int64_t do_rename(struct task *t, int od, uaddr_t o, int nd, uaddr_t n, unsigned flags)
{
	char *op, *np;
	int r = two_paths(t, o, false, n, &op, &np);

	if (r)
		return r;
	r = vfs_rename(t, od, op, nd, np, flags);
	path_buf_free(op);
	path_buf_free(np);
	return r;
}

int64_t sys_rename(struct task *t, const struct sysargs *a)
{
	return do_rename(t, AT_FDCWD, ARG_UADDR(0), AT_FDCWD, ARG_UADDR(1), 0);
}

int64_t sys_renameat(struct task *t, const struct sysargs *a)
{
	return do_rename(t, ARG_INT(0), ARG_UADDR(1), ARG_INT(2), ARG_UADDR(3), 0);
}

int64_t sys_renameat2(struct task *t, const struct sysargs *a)
{
	return do_rename(t, ARG_INT(0), ARG_UADDR(1), ARG_INT(2), ARG_UADDR(3), ARG_U32(4));
}

static int64_t do_link(struct task *t, int od, uaddr_t o, int nd, uaddr_t n, unsigned flags)
{
	char *op, *np;
	int r;

	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = two_paths(t, o, flags & AT_EMPTY_PATH, n, &op, &np);
	if (r)
		return r;
	r = vfs_link(t, od, op, nd, np, (int)flags);
	path_buf_free(op);
	path_buf_free(np);
	return r;
}

int64_t sys_link(struct task *t, const struct sysargs *a)
{
	return do_link(t, AT_FDCWD, ARG_UADDR(0), AT_FDCWD, ARG_UADDR(1), 0);
}

int64_t sys_linkat(struct task *t, const struct sysargs *a)
{
	return do_link(t, ARG_INT(0), ARG_UADDR(1), ARG_INT(2), ARG_UADDR(3), ARG_U32(4));
}

static int64_t do_symlink(struct task *t, uaddr_t target, int dirfd, uaddr_t name)
{
	char *tp, *np;
	int r = two_paths(t, target, false, name, &tp, &np);

	if (r)
		return r;
	r = vfs_symlink(t, tp, dirfd, np);
	path_buf_free(tp);
	path_buf_free(np);
	return r;
}

int64_t sys_symlink(struct task *t, const struct sysargs *a)
{
	return do_symlink(t, ARG_UADDR(0), AT_FDCWD, ARG_UADDR(1));
}

int64_t sys_symlinkat(struct task *t, const struct sysargs *a)
{
	return do_symlink(t, ARG_UADDR(0), ARG_INT(1), ARG_UADDR(2));
}
