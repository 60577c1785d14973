/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl: what holds for every file; the rest is the object's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "sentry/fs/fasync/fasync.h"
#include "sentry/syscalls/fs_util.h"

static int64_t set_bit(struct task *t, struct file *f, uaddr_t u, uint32_t bit)
{
	int on, r = get_user(t, on, u);

	if (r)
		return r;
	if (on)
		__atomic_fetch_or(&f->flags, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&f->flags, ~bit, __ATOMIC_RELAXED);
	return 0;
}

static int64_t regular(struct task *t, struct file *f, uint32_t cmd, uint64_t arg)
{
	struct kstat st;
	int r;

	switch (cmd) {
	case FIONREAD:
		r = vfs_getattr(&f->path, &st, 0);
		if (r)
			return r;
		return put_user(t, UADDR(arg), (int)((int64_t)st.size - f->pos));
	case FIGETBSZ:
		r = vfs_getattr(&f->path, &st, 0);
		return r ? r : put_user(t, UADDR(arg), (int)st.blksize);
	case FS_IOC_GETFLAGS:
		return f->inode->sb->acls ? put_user(t, UADDR(arg), (int)f->inode->attr) : -ENOTTY;
	case FS_IOC_SETFLAGS: {
		uint32_t flags;

		if (!f->inode->sb->acls)
			return -ENOTTY;
		r = get_user(t, flags, UADDR(arg));
		return r ? r : vfs_set_attr_flags(&f->path, flags, t->cred);
	}
	case FICLONE:
	case FICLONERANGE:
		return -EOPNOTSUPP;
	case FS_IOC_FIEMAP:
		return -EOPNOTSUPP;
	}
	return -ENOTTY;
}

static int64_t do_ioctl(struct task *t, struct file *f, int fd, uint32_t cmd, uint64_t arg)
{
	int64_t r;

	switch (cmd) {
	case FIOCLEX:
	case FIONCLEX:
		r = fd_flags(t, fd, cmd == FIOCLEX);
		return r < 0 ? r : 0;
	case FIONBIO:
		return set_bit(t, f, UADDR(arg), O_NONBLOCK);
	case FIOASYNC:
		r = set_bit(t, f, UADDR(arg), FASYNC);
		return r ? r : fasync_set(f, fd, READ_ONCE(f->flags) & FASYNC);
	}
	r = file_ops(f)->ioctl ? file_ops(f)->ioctl(f, t, cmd, arg) : -ENOTTY;
	if (r == -ENOTTY && (S_ISREG(f->inode->mode) || (S_ISDIR(f->inode->mode) && cmd != FIONREAD)))
		r = regular(t, f, cmd, arg);
	return r;
}

int64_t sys_ioctl(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));

	if (!f)
		return -EBADF;
	int64_t r = do_ioctl(t, f, ARG_INT(0), ARG_U32(1), a->a[2]);
	file_put(f);
	return r;
}
