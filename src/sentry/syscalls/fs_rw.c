/* SPDX-License-Identifier: Apache-2.0 */
/* read, write and their kin; lseek */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/poll.h"

/* At the file's own position: ops know it by its address (a host description has its own). */
static int64_t rw_current(struct task *t, struct file *f, struct uio *u, bool write)
{
	int64_t r;

	if (f->mode & FMODE_STREAM)
		return write ? vfs_write(f, u, &f->pos) : vfs_read(f, u, &f->pos);
	r = file_pos_lock(f, t);
	if (r)
		return r;
	r = write ? vfs_write(f, u, &f->pos) : vfs_read(f, u, &f->pos);
	file_pos_unlock(f);
	return r;
}

static int64_t sync_after(struct file *f, int64_t r)
{
	if (r > 0 && (READ_ONCE(f->flags) & O_DSYNC) && file_ops(f)->fsync) {
		int e = file_ops(f)->fsync(f, true);
		if (e && e != -EINVAL)
			return e;
	}
	return r;
}

int64_t sys_read(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	struct uio u;

	if (!f)
		return -EBADF;
	int64_t r = -EINVAL;
	if ((int64_t)a->a[2] >= 0 || !(f->mode & FMODE_READ)) {
		uio_user(&u, t, a->a[1], a->a[2]);
		r = rw_current(t, f, &u, false);
	}
	file_put(f);
	return r;
}

int64_t sys_write(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	struct uio u;

	if (!f)
		return -EBADF;
	int64_t r = -EINVAL;
	if ((int64_t)a->a[2] >= 0 || !(f->mode & FMODE_WRITE)) {
		uio_user(&u, t, a->a[1], a->a[2]);
		r = sync_after(f, rw_current(t, f, &u, true));
	}
	file_put(f);
	return r;
}

static int64_t rw_at(struct file *f, struct uio *u, int64_t pos, bool write)
{
	if (f->mode & FMODE_STREAM || !file_ops(f)->llseek)
		return -ESPIPE;
	return write ? sync_after(f, vfs_write(f, u, &pos)) : vfs_read(f, u, &pos);
}

static int64_t do_prw(struct task *t, const struct sysargs *a, bool write)
{
	struct uio u;

	if ((int64_t)a->a[3] < 0)
		return -EINVAL;
	struct file *f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	int64_t r = -EINVAL;
	if ((int64_t)a->a[2] >= 0) {
		uio_user(&u, t, a->a[1], a->a[2]);
		r = rw_at(f, &u, (int64_t)a->a[3], write);
	}
	file_put(f);
	return r;
}

int64_t sys_pread64(struct task *t, const struct sysargs *a)
{
	return do_prw(t, a, false);
}

int64_t sys_pwrite64(struct task *t, const struct sysargs *a)
{
	return do_prw(t, a, true);
}

/* RWF_* of one call that the ops know as flags of the file. */
int64_t fs_rw_flagged(struct task *t, struct file *f, struct uio *u, int64_t *pos, int flags, bool write)
{
	int64_t r;

	if ((flags & RWF_NOWAIT) && (f->mode & FMODE_STREAM) && !(f->flags & O_NONBLOCK)) {
		if (f->fops != FOPS_pipe && f->fops != FOPS_socket)
			return -EOPNOTSUPP;
		if (!(vfs_poll(f, NULL) & (EPOLLHUP | EPOLLERR | (write ? EPOLLOUT : EPOLLIN))))
			return -EAGAIN;
	}
	if (write && (flags & RWF_APPEND) && !(f->flags & O_APPEND)) {
		struct kstat st;
		r = vfs_getattr(&f->path, &st, 0);
		if (r)
			return r;
		*pos = (int64_t)st.size;
	}
	r = write ? vfs_write(f, u, pos) : vfs_read(f, u, pos);
	if (write && r > 0 && (flags & (RWF_DSYNC | RWF_SYNC)) && file_ops(f)->fsync) {
		int e = file_ops(f)->fsync(f, !(flags & RWF_SYNC));
		if (e && e != -EINVAL)
			r = e;
	}
	return write ? sync_after(f, r) : r;
}

static int64_t do_rwv(struct task *t, int fd, uint64_t iov, uint64_t n, int64_t at, int flags, bool write)
{
	struct file *f = fd_get(t, fd);
	struct uio u;
	int64_t r;

	if (!f)
		return -EBADF;
	if (at != -1 && (f->mode & FMODE_STREAM || !file_ops(f)->llseek)) {
		file_put(f);
		return -ESPIPE;
	}
	if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ))) {
		file_put(f);
		return -EBADF;
	}
	if (flags & ~RWF_KNOWN || (flags & (RWF_APPEND | RWF_NOAPPEND)) == (RWF_APPEND | RWF_NOAPPEND)) {
		file_put(f);
		return -EOPNOTSUPP;
	}
	r = uio_user_iov(&u, t, iov, n);
	if (r) {
		file_put(f);
		return r;
	}
	int64_t pos = at;
	if (at != -1) {
		r = fs_rw_flagged(t, f, &u, &pos, flags, write);
	} else if (flags && !(f->mode & FMODE_STREAM)) {
		r = file_pos_lock(f, t);
		if (!r) {
			r = fs_rw_flagged(t, f, &u, &f->pos, flags, write);
			file_pos_unlock(f);
		}
	} else if (flags) {
		r = fs_rw_flagged(t, f, &u, &f->pos, flags, write);
	} else {
		r = rw_current(t, f, &u, write);
		if (write)
			r = sync_after(f, r);
	}
	uio_fini(&u);
	file_put(f);
	return r;
}

int64_t sys_readv(struct task *t, const struct sysargs *a)
{
	return do_rwv(t, ARG_INT(0), a->a[1], a->a[2], -1, 0, false);
}

int64_t sys_writev(struct task *t, const struct sysargs *a)
{
	return do_rwv(t, ARG_INT(0), a->a[1], a->a[2], -1, 0, true);
}

int64_t sys_preadv(struct task *t, const struct sysargs *a)
{
	if ((int64_t)a->a[3] < 0)
		return -EINVAL;
	return do_rwv(t, ARG_INT(0), a->a[1], a->a[2], (int64_t)a->a[3], 0, false);
}

int64_t sys_pwritev(struct task *t, const struct sysargs *a)
{
	if ((int64_t)a->a[3] < 0)
		return -EINVAL;
	return do_rwv(t, ARG_INT(0), a->a[1], a->a[2], (int64_t)a->a[3], 0, true);
}

int64_t sys_preadv2(struct task *t, const struct sysargs *a)
{
	if ((int64_t)a->a[3] < -1)
		return -EINVAL;
	return do_rwv(t, ARG_INT(0), a->a[1], a->a[2], (int64_t)a->a[3], ARG_INT(5), false);
}

int64_t sys_pwritev2(struct task *t, const struct sysargs *a)
{
	if ((int64_t)a->a[3] < -1)
		return -EINVAL;
	return do_rwv(t, ARG_INT(0), a->a[1], a->a[2], (int64_t)a->a[3], ARG_INT(5), true);
}

int64_t sys_lseek(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	int64_t r;

	if (!f)
		return -EBADF;
	if (ARG_U32(2) > SEEK_HOLE)
		r = -EINVAL;
	else if ((f->mode & FMODE_STREAM) || !file_ops(f)->llseek)
		r = -ESPIPE;
	else
		r = file_pos_lock(f, t);
	if (!r) {
		r = file_ops(f)->llseek(f, (int64_t)a->a[1], ARG_INT(2));
		file_pos_unlock(f);
	}
	file_put(f);
	return r;
}
