/* SPDX-License-Identifier: Apache-2.0 */
/* sendfile, copy_file_range: from a file through one kernel buffer. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"

#define CHUNK (64u << 10)

static void unread(struct file *in, int64_t *ip, int64_t n)
{
	if (ip == &in->pos && in->fops == FOPS_hostreg)
		(void)file_ops(in)->llseek(in, -n, SEEK_CUR);
	else
		*ip -= n;
}

/* Copies up to len bytes; only what was written counts as read. */
static int64_t pump(struct task *t, struct file *in, int64_t *ip, struct file *out, int64_t *op, uint64_t len)
{
	char *buf = kmalloc(min(len, (uint64_t)CHUNK));
	int64_t done = 0, r = 0;

	if (!buf)
		return -ENOMEM;
	while (len) {
		struct uio u;
		uio_kernel(&u, buf, min(len, (uint64_t)CHUNK));
		int64_t got = vfs_read(in, &u, ip);
		r = got;
		if (got <= 0)
			break;
		uio_kernel(&u, buf, (size_t)got);
		r = vfs_write(out, &u, op);
		if (r < got)		/* what was not taken goes back */
			unread(in, ip, got - max(r, (int64_t)0));
		if (r <= 0)
			break;
		done += r, len -= (uint64_t)r;
		if (r < got)
			break;
		if (signal_pending(t)) {
			r = -ERESTARTSYS;
			break;
		}
	}
	kfree(buf);
	return done ? done : r;
}

int64_t sys_sendfile(struct task *t, const struct sysargs *a)
{
	uaddr_t uoff = ARG_UADDR(2);
	struct file *in, *out;
	int64_t ip = 0, op = 0, r;

	if (uoff.v) {
		r = get_user(t, ip, uoff);
		if (r)
			return r;
	}
	in = fd_get(t, ARG_INT(1));
	if (!in)
		return -EBADF;
	out = fd_get(t, ARG_INT(0));
	if (!out) {
		file_put(in);
		return -EBADF;
	}
	bool own_in = !uoff.v && !(in->mode & FMODE_STREAM), own_out = !(out->mode & FMODE_STREAM) && out != in;
	r = 0;
	if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
		r = -EBADF;
	else if (uoff.v && (in->mode & FMODE_STREAM))
		r = -ESPIPE;
	else if ((out->flags & O_APPEND) || ip < 0 || (int64_t)a->a[3] < 0)
		r = -EINVAL;
	else if (in->mode & FMODE_STREAM || S_ISDIR(in->inode->mode))
		r = -EINVAL;
	if (!r && own_in)
		r = file_pos_lock(in, t);
	if (!r) {
		if (own_out)
			r = file_pos_lock(out, t);
		if (!r) {
			r = a->a[3] ? pump(t, in, own_in ? &in->pos : &ip, out, own_out ? &out->pos : &op,
					   min(a->a[3], (uint64_t)0x7ffff000)) : 0;
			if (own_out)
				file_pos_unlock(out);
		}
		if (own_in)
			file_pos_unlock(in);
	}
	file_put(in);
	file_put(out);
	if (r >= 0 && uoff.v) {
		int c = put_user(t, uoff, ip);
		if (c)
			return c;
	}
	return r;
}

static int copy_checks(struct file *in, struct file *out)
{
	if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE) || (out->flags & O_APPEND))
		return -EBADF;
	if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
		return -EISDIR;
	if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
		return -EINVAL;
	return 0;
}

static int64_t copy_range(struct task *t, struct file *in, uaddr_t uin, struct file *out, uaddr_t uout,
			  uint64_t len)
{
	int64_t ip = in->pos, op = out->pos;
	int r = copy_checks(in, out);

	if (!r && uin.v)
		r = get_user(t, ip, uin);
	if (!r && uout.v)
		r = get_user(t, op, uout);
	if (!r && (ip < 0 || op < 0))
		r = -EINVAL;
	if (r)
		return r;
	len = min(len, (uint64_t)0x7ffff000);
	if (in->inode == out->inode && op < ip + (int64_t)len && ip < op + (int64_t)len)
		return -EINVAL;
	int64_t n = len ? pump(t, in, uin.v ? &ip : &in->pos, out, uout.v ? &op : &out->pos, len) : 0;
	if (n <= 0)
		return n;
	if (uin.v)
		r = put_user(t, uin, ip);
	if (!r && uout.v)
		r = put_user(t, uout, op);
	return r ? r : n;
}

int64_t sys_copy_file_range(struct task *t, const struct sysargs *a)
{
	struct file *in, *out;

	if (ARG_U32(5))
		return -EINVAL;
	in = fd_get(t, ARG_INT(0));
	if (!in)
		return -EBADF;
	out = fd_get(t, ARG_INT(2));
	int64_t r = out ? copy_range(t, in, ARG_UADDR(1), out, ARG_UADDR(3), a->a[4]) : -EBADF;
	file_put(in);
	if (out)
		file_put(out);
	return r;
}
