/* SPDX-License-Identifier: Apache-2.0 */
/* splice, tee, vmsplice: pages move between pipes, bytes between a pipe and anything else. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/syscalls/fs_util.h"

#define BATCH 16u
#define SPLICE_FLAGS (SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT)

/* References to what a reader would get next, without taking it; pipe locked. */
static unsigned peek_locked(struct pipe *p, uint64_t want, struct pbuf *out, unsigned max)
{
	unsigned n = 0;

	for (uint32_t i = p->tail; want && n < max && i != p->head; i++, n++) {
		struct pbuf *b = pipe_buf(p, i);
		uint32_t len = (uint32_t)min((uint64_t)b->len, want);
		ref_get(&b->pg->ref);
		out[n] = (struct pbuf){b->pg, b->off, len, b->flags & PBUF_PACKET};
		want -= len;
	}
	return n;
}

static void put_bufs(struct pipe *p, struct pbuf *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ppage_put(p, b[i].pg);
}

static void consume(struct pipe *p, uint64_t n)
{
	struct pbuf b[BATCH];

	while (n) {
		mutex_lock(&p->lock);
		unsigned k = pipe_take_locked(p, n, b, BATCH);
		mutex_unlock(&p->lock);
		if (!k)
			break;
		for (unsigned i = 0; i < k; i++)
			n -= min(n, (uint64_t)b[i].len);
		put_bufs(p, b, k);
	}
	pipe_wake_writers(p);
}

/* --- pipe to pipe ---------------------------------------------------------------------------- */

static int64_t pipe_to_pipe(struct pipe *in, struct pipe *out, uint64_t len, bool nonblock, bool keep)
{
	struct pbuf b[BATCH];
	int64_t done = 0;
	int r;

	if (in == out)
		return -EINVAL;
	r = pipe_wait_data(in, nonblock);
	if (r <= 0)
		return r;
	while (len) {
		r = pipe_wait_room(out, done || nonblock);
		if (r) {
			if (r == -EPIPE && !done)
				send_sigpipe(current);
			break;
		}
		mutex_lock(&in->lock);
		unsigned n = keep ? peek_locked(in, len, b, BATCH) : pipe_take_locked(in, len, b, 1);
		mutex_unlock(&in->lock);
		if (!n)
			break;
		r = pipe_push(out, b, n);
		unsigned took = r > 0 ? (unsigned)r : 0;
		for (unsigned i = 0; i < took; i++)
			done += b[i].len, len -= b[i].len;
		put_bufs(out, b + took, n - took);
		if (keep || took < n)
			break;
	}
	if (!keep && done)
		pipe_wake_writers(in);
	return done ? done : r;
}

int64_t sys_tee(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(3);
	struct file *in, *out;
	int64_t r = -EINVAL;

	if (flags & ~(unsigned)SPLICE_FLAGS)
		return -EINVAL;
	if (!a->a[2])
		return 0;
	in = fd_get(t, ARG_INT(0));
	if (!in)
		return -EBADF;
	out = fd_get(t, ARG_INT(1));
	if (!out) {
		file_put(in);
		return -EBADF;
	}
	struct pipe *ip = pipe_of(in), *op = pipe_of(out);
	if (!(in->mode & FMODE_READ) || !(out->mode & FMODE_WRITE))
		r = -EBADF;
	else if (ip && op)
		r = pipe_to_pipe(ip, op, a->a[2],
				 flags & SPLICE_F_NONBLOCK || (in->flags | out->flags) & O_NONBLOCK, true);
	file_put(in);
	file_put(out);
	return r;
}

/* --- a file into a pipe ---------------------------------------------------------------------- */

static int64_t file_to_pipe(struct file *in, int64_t *pos, struct pipe *p, uint64_t len, bool nonblock)
{
	int64_t done = 0, r = 0;

	while (len) {
		r = pipe_wait_room(p, done || nonblock);
		if (r == -EPIPE && !done)
			send_sigpipe(current);
		if (r)
			break;
		struct pbuf b = {ppage_alloc(p), 0, 0, 0};
		struct uio u;
		if (!b.pg) {
			r = -ENOMEM;
			break;
		}
		uio_kernel(&u, b.pg->data, min(len, PAGE_SIZE));
		int64_t before = *pos;
		r = vfs_read(in, &u, pos);
		if (r <= 0) {
			ppage_put(p, b.pg);
			break;
		}
		b.len = (uint32_t)r;
		int k = pipe_push(p, &b, 1);
		if (k <= 0) {
			ppage_put(p, b.pg);
			*pos = before;
			r = k;
			if (k == 0)
				continue;
			break;
		}
		done += r, len -= (uint64_t)r;
		if (in->mode & FMODE_STREAM)
			break;	/* what there was */
	}
	return done ? done : r;
}

static int64_t pipe_to_file(struct pipe *p, struct file *out, int64_t *pos, uint64_t len, bool nonblock)
{
	int64_t done = 0, r = 0;

	while (len) {
		struct pbuf b[BATCH];
		int64_t round = 0;
		r = pipe_wait_data(p, done || nonblock);
		if (r <= 0)
			break;
		mutex_lock(&p->lock);
		unsigned n = peek_locked(p, len, b, BATCH);
		mutex_unlock(&p->lock);
		for (unsigned i = 0; i < n; i++) {
			struct uio u;
			uio_kernel(&u, b[i].pg->data + b[i].off, b[i].len);
			r = vfs_write(out, &u, pos);
			if (r > 0)
				round += r;
			if (r < (int64_t)b[i].len)
				break;
		}
		put_bufs(p, b, n);
		consume(p, (uint64_t)round);
		done += round, len -= (uint64_t)round;
		if (r <= 0 || !round)
			break;
	}
	return done ? done : r == -EAGAIN && done ? done : r;
}

struct ends {
	struct file *in, *out;
	uaddr_t uin, uout;
	int64_t in_off, out_off;
};

static int get_offsets(struct task *t, struct ends *e)
{
	int r = 0;

	if (e->uin.v) {
		if (pipe_of(e->in))
			return -ESPIPE;
		if (e->in->mode & FMODE_STREAM)
			return -EINVAL;
		r = get_user(t, e->in_off, e->uin);
	}
	if (!r && e->uout.v) {
		if (pipe_of(e->out))
			return -ESPIPE;
		if (e->out->mode & FMODE_STREAM)
			return -EINVAL;
		r = get_user(t, e->out_off, e->uout);
	}
	if (!r && (e->in_off < 0 || e->out_off < 0))
		r = -EINVAL;
	return r;
}

/* What has neither splice_read nor splice_write in Linux: a read of it could wait for ever. */
static bool no_splice(const struct file *f)
{
	switch (f->fops) {
	case FOPS_epoll:
	case FOPS_eventfd:
	case FOPS_timerfd:
	case FOPS_signalfd:
	case FOPS_pidfd:
	case FOPS_seccomp:
	case FOPS_inotify:
	case FOPS_mqueue:
	case FOPS_mount_ctx:
		return true;
	default:
		return S_ISDIR(f->inode->mode);
	}
}

static int64_t run_splice(struct task *t, struct ends *e, uint64_t len, unsigned flags)
{
	struct pipe *ip = pipe_of(e->in), *op = pipe_of(e->out);
	bool nonblock = flags & SPLICE_F_NONBLOCK;
	int64_t r;

	if (ip && op)
		return pipe_to_pipe(ip, op, len, nonblock || (e->in->flags | e->out->flags) & O_NONBLOCK, false);
	struct file *f = ip ? e->out : e->in;
	bool own_pos = !(f->mode & FMODE_STREAM) && !(ip ? e->uout.v : e->uin.v);
	int64_t *off = ip ? &e->out_off : &e->in_off;
	if (own_pos) {
		r = file_pos_lock(f, t);
		if (r)
			return r;
		*off = f->pos;
	}
	if (ip && (f->flags & O_APPEND))
		r = -EINVAL;
	else if (ip)
		r = pipe_to_file(ip, f, off, len, nonblock || e->in->flags & O_NONBLOCK);
	else
		r = file_to_pipe(f, off, op, len, nonblock || e->out->flags & O_NONBLOCK);
	if (own_pos) {
		if (r > 0)
			f->pos = *off;
		file_pos_unlock(f);
	} else if (r > 0 && (ip ? e->uout.v : e->uin.v)) {
		int c = put_user(t, ip ? e->uout : e->uin, *off);
		if (c)
			r = c;
	}
	return r;
}

int64_t sys_splice(struct task *t, const struct sysargs *a)
{
	struct ends e = {.uin = ARG_UADDR(1), .uout = ARG_UADDR(3)};
	unsigned flags = ARG_U32(5);
	int64_t r;

	if (flags & ~(unsigned)SPLICE_FLAGS)
		return -EINVAL;
	if (!a->a[4])
		return 0;
	e.in = fd_get(t, ARG_INT(0));
	if (!e.in)
		return -EBADF;
	e.out = fd_get(t, ARG_INT(2));
	if (!e.out) {
		file_put(e.in);
		return -EBADF;
	}
	if (!(e.in->mode & FMODE_READ) || !(e.out->mode & FMODE_WRITE))
		r = -EBADF;
	else if ((!pipe_of(e.in) && !pipe_of(e.out)) || no_splice(e.in) || no_splice(e.out))
		r = -EINVAL;
	else
		r = get_offsets(t, &e);
	if (!r)
		r = run_splice(t, &e, min(a->a[4], (uint64_t)0x7ffff000), flags);
	file_put(e.in);
	file_put(e.out);
	return r;
}

/* How many bytes so many pages hold: one buffer each, as the guest's pages lie. */
static uint64_t fitting(const struct uio *u, uint64_t pages)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < u->n && pages; i++) {
		uint64_t off = u->iov[i].base & (PAGE_SIZE - 1), len = u->iov[i].len;
		uint64_t need = len ? (off + len + PAGE_SIZE - 1) / PAGE_SIZE : 0;

		n += need <= pages ? len : pages * PAGE_SIZE - off;
		pages -= min(need, pages);
	}
	return n;
}

/* Pages are copied, never shared with the guest: what it gave stays its own. */
int64_t sys_vmsplice(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(3);
	struct uio u;
	int64_t pos = 0;

	if (flags & ~(unsigned)SPLICE_FLAGS)
		return -EINVAL;
	struct file *f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	struct pipe *p = pipe_of(f);
	int64_t r = p ? uio_user_iov(&u, t, a->a[1], a->a[2]) : -EBADF;
	if (r) {
		file_put(f);
		return r;
	}
	bool write = f->mode & FMODE_WRITE;
	bool nonblock = flags & SPLICE_F_NONBLOCK;
	if (write && u.left) {		/* it gives what there is room for, then returns */
		r = pipe_wait_room(p, nonblock);
		mutex_lock(&p->lock);
		uint64_t room = p->slots - min(pipe_used(p), p->slots);
		mutex_unlock(&p->lock);
		u.left = min(u.left, fitting(&u, max(room, (uint64_t)1)));
		if (r == -EPIPE)
			send_sigpipe(t);
	} else if (nonblock) {
		r = pipe_wait_data(p, true);
	}
	if (r >= 0 && u.left)
		r = write ? vfs_write(f, &u, &pos) : vfs_read(f, &u, &pos);
	uio_fini(&u);
	file_put(f);
	return r;
}
