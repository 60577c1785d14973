/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipe ring, read, write, poll. Readers and writers wait exclusively, one is woken per event and
 * hands the wake-up on when there is something left for the next. p->lock is never held over a
 * guest copy: a write stages its bytes first, a read copies references.
 */
#include "sentry/fs/pipe/pipe.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/pipe/pipe_i.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"

static KCACHE(ppage_cache, struct ppage, 0);

#define SMALL_WRITE 512u	/* staged on the stack */
#define STAGE_PAGES 16u

struct ppage *ppage_alloc(struct pipe *p)
{
	struct ppage *pg = p ? __atomic_exchange_n(&p->spare, NULL, __ATOMIC_ACQ_REL) : NULL;

	if (pg)
		return pg;
	pg = kc_alloc(&ppage_cache);
	if (!pg)
		return NULL;
	pg->data = kpage_alloc();
	if (!pg->data) {
		kc_free(&ppage_cache, pg);
		return NULL;
	}
	ref_init(&pg->ref, 1);
	return pg;
}

void ppage_put(struct pipe *p, struct ppage *pg)
{
	struct ppage *none = NULL;

	if (!pg || !ref_put(&pg->ref))
		return;
	ref_init(&pg->ref, 1);
	if (p && __atomic_compare_exchange_n(&p->spare, &none, pg, false, __ATOMIC_ACQ_REL,
					     __ATOMIC_RELAXED))
		return;
	kpage_free(pg->data);
	kc_free(&ppage_cache, pg);
}

uint64_t pipe_bytes_locked(const struct pipe *p)
{
	uint64_t n = 0;

	for (uint32_t i = p->tail; i != p->head; i++)
		n += p->bufs[i & (p->slots - 1)].len;
	return n;
}

void pipe_wake_readers(struct pipe *p)
{
	if (wq_active(&p->rd))
		wq_wake(&p->rd, EPOLLIN | EPOLLRDNORM, 1);
}

void pipe_wake_writers(struct pipe *p)
{
	if (wq_active(&p->wr))
		wq_wake(&p->wr, EPOLLOUT | EPOLLWRNORM, 1);
}

void send_sigpipe(struct task *t)
{
	struct l_siginfo si = {.signo = SIGPIPE, .code = SI_USER};

	if (!t)
		return;
	si.rt.pid = task_tgid_nr(t, task_pid_ns(t));
	si.rt.uid = t->cred->uid;
	(void)signal_send(t, SEND_THREAD, SIGPIPE, &si);
}

unsigned pipe_take_locked(struct pipe *p, uint64_t want, struct pbuf *out, unsigned max)
{
	unsigned n = 0;

	while (want && n < max && pipe_used(p)) {
		struct pbuf *b = pipe_buf(p, p->tail);
		uint32_t len = (uint32_t)min((uint64_t)b->len, want);
		bool packet = b->flags & PBUF_PACKET;

		out[n] = (struct pbuf){b->pg, b->off, len, packet ? PBUF_PACKET : 0};
		if (len == b->len || packet) {
			b->pg = NULL;
			p->tail++;
		} else {
			ref_get(&b->pg->ref);
			b->off += len, b->len -= len;
		}
		n++, want -= len;
		if (packet)
			break;
	}
	return n;
}

static int data_state(struct pipe *p)
{
	int r;

	mutex_lock(&p->lock);
	r = pipe_used(p) ? 1 : p->writers ? -EAGAIN : 0;
	mutex_unlock(&p->lock);
	return r;
}

/* As pipe_wait_data; *slept: a wake-up of one reader may have come to us, to be handed on. */
static int wait_data(struct pipe *p, bool nonblock, bool *slept)
{
	struct waiter w;
	int r = data_state(p), s;

	if (r != -EAGAIN || nonblock || !current)
		return r;
	*slept = true;
	wait_begin_exclusive(&w, &p->rd, current);
	while ((r = data_state(p)) == -EAGAIN) {
		s = wait_sleep(current, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		if (s) {
			r = data_state(p);
			r = r == -EAGAIN ? s : r;
			break;
		}
	}
	wait_end(&w);
	if (r < 0)
		pipe_wake_readers(p);	/* a wake-up that came with the signal is not ours to keep */
	return r;
}

int pipe_wait_data(struct pipe *p, bool nonblock)
{
	bool slept;

	return wait_data(p, nonblock, &slept);
}

static int room_state(struct pipe *p)
{
	int r;

	mutex_lock(&p->lock);
	r = !p->readers ? -EPIPE : pipe_used(p) < p->slots ? 0 : -EAGAIN;
	mutex_unlock(&p->lock);
	return r;
}

int pipe_wait_room(struct pipe *p, bool nonblock)
{
	struct waiter w;
	int r = room_state(p), s;

	if (r != -EAGAIN || nonblock || !current)
		return r;
	wait_begin_exclusive(&w, &p->wr, current);
	while ((r = room_state(p)) == -EAGAIN) {
		s = wait_sleep(current, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		if (s) {
			r = room_state(p);
			r = r == -EAGAIN ? s : r;
			break;
		}
	}
	wait_end(&w);
	if (r < 0 && r != -EPIPE)
		pipe_wake_writers(p);
	return r;
}

/* Copies taken buffers out and drops them; bytes put, or an error when none were. */
static int64_t put_bufs(struct pipe *p, struct uio *u, struct pbuf *b, unsigned n)
{
	int64_t done = 0, r = 0;

	for (unsigned i = 0; i < n; i++) {
		if (r >= 0) {
			r = uio_put(u, b[i].pg->data + b[i].off, b[i].len);
			if (r > 0)
				done += r;
			if (r >= 0 && r < (int64_t)b[i].len)
				r = -EFAULT;
		}
		ppage_put(p, b[i].pg);
	}
	return done ? done : r;
}

/* The guest's buffer can take what will be read (I9): the whole of it, or what there is now. */
static int check_room(struct pipe *p, struct uio *u, uint64_t *want)
{
	*want = u->left;
	if (uio_check(u, u->left, true) == 0)
		return 0;
	mutex_lock(&p->lock);
	*want = min(pipe_bytes_locked(p), u->left);
	mutex_unlock(&p->lock);
	return uio_check(u, *want, true);
}

int64_t pipe_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct pipe *p = f->priv;
	struct pbuf bufs[STAGE_PAGES];
	int64_t done = 0, r = 0;
	bool slept = false;

	while (u->left) {
		bool was_full, more, packet;
		uint64_t want;
		unsigned n;

		if (done) {
			if (data_state(p) != 1)
				break;
		} else {
			r = wait_data(p, f->flags & O_NONBLOCK, &slept);
			if (r <= 0)
				break;
		}
		r = check_room(p, u, &want);
		if (r)
			break;
		mutex_lock(&p->lock);
		was_full = pipe_used(p) >= p->slots;
		n = pipe_take_locked(p, want, bufs, STAGE_PAGES);
		more = pipe_used(p) > 0;
		was_full = was_full && pipe_used(p) < p->slots;
		mutex_unlock(&p->lock);
		if (was_full)
			pipe_wake_writers(p);
		if (n == 0)
			continue;
		packet = bufs[n - 1].flags & PBUF_PACKET;
		r = put_bufs(p, u, bufs, n);
		if (r > 0)
			done += r;
		if (r <= 0 || packet || !more)
			break;
	}
	if (slept && done && data_state(p) == 1)
		pipe_wake_readers(p);
	return done ? done : r;
}

/* Appends to the last buffer if the bytes fit as a whole. */
static bool merge_locked(struct pipe *p, const char *src, uint32_t n)
{
	struct pbuf *b;

	if (!pipe_used(p) || !n)
		return false;
	b = pipe_buf(p, p->head - 1);
	if (!(b->flags & PBUF_MERGE) || b->off + b->len + n > PAGE_SIZE)
		return false;
	__builtin_memcpy(b->pg->data + b->off + b->len, src, n);
	b->len += n;
	return true;
}

int pipe_push(struct pipe *p, struct pbuf *in, unsigned n)
{
	unsigned i = 0;

	mutex_lock(&p->lock);
	if (!p->readers) {
		mutex_unlock(&p->lock);
		return -EPIPE;
	}
	if (n && (in[0].flags & PBUF_MERGE) && in[0].len < PAGE_SIZE &&
	    merge_locked(p, in[0].pg->data + in[0].off, in[0].len)) {
		ppage_put(p, in[0].pg);
		i = 1;
	}
	for (; i < n && pipe_used(p) < p->slots; i++)
		*pipe_buf(p, p->head++) = in[i];
	mutex_unlock(&p->lock);
	if (i)
		pipe_wake_readers(p);
	return (int)i;
}

/* Up to SMALL_WRITE bytes, the frequent case: 1 written, 0 no room now, or an error. */
static int push_small(struct pipe *p, const char *src, uint32_t n, uint32_t flags)
{
	struct pbuf b = {NULL, 0, n, flags};
	bool done;
	int r;

	mutex_lock(&p->lock);
	r = !p->readers ? -EPIPE : 0;
	done = !r && flags == PBUF_MERGE && merge_locked(p, src, n);
	mutex_unlock(&p->lock);
	if (done)
		pipe_wake_readers(p);
	if (r || done)
		return r ? r : 1;
	b.pg = ppage_alloc(p);
	if (!b.pg)
		return -ENOMEM;
	__builtin_memcpy(b.pg->data, src, n);
	r = pipe_push(p, &b, 1);
	if (r <= 0)
		ppage_put(p, b.pg);
	return r;
}

static int64_t write_small(struct file *f, struct pipe *p, struct uio *u, uint32_t flags)
{
	char tmp[SMALL_WRITE];
	int64_t n = uio_get(u, tmp, u->left);
	int r;

	if (n <= 0)
		return n;
	for (;;) {
		r = push_small(p, tmp, (uint32_t)n, flags);
		if (r == 0) {
			r = pipe_wait_room(p, f->flags & O_NONBLOCK);
			if (r == 0)
				continue;
		}
		return r < 0 ? r : n;
	}
}

/* Fills pages with guest bytes: the odd part first, so that it may be merged. Pages made. */
static int stage_pages(struct pipe *p, struct uio *u, struct pbuf *b, unsigned max, uint32_t flags)
{
	unsigned n = 0;
	int64_t r = 0;

	while (n < max && u->left) {
		uint32_t odd = (uint32_t)(u->left & (PAGE_SIZE - 1));
		uint32_t want = n == 0 && odd && !(flags & PBUF_PACKET) ? odd : (uint32_t)min(u->left, PAGE_SIZE);

		b[n] = (struct pbuf){ppage_alloc(p), 0, 0, flags};
		r = b[n].pg ? uio_get(u, b[n].pg->data, want) : -ENOMEM;
		if (r <= 0) {
			ppage_put(p, b[n].pg);
			break;
		}
		b[n++].len = (uint32_t)r;
		if (r < want)
			break;
	}
	return n ? (int)n : (int)r;
}

/* Pushes staged pages, waiting for room; bytes that went in, *err when not all did. */
static int64_t push_all(struct pipe *p, struct pbuf *b, unsigned n, bool nonblock, int *err)
{
	int64_t done = 0;
	unsigned i = 0;

	*err = 0;
	while (i < n) {
		int r = pipe_push(p, b + i, n - i);

		if (r == 0) {
			r = pipe_wait_room(p, nonblock);
			if (r == 0)
				continue;
		}
		if (r < 0) {
			*err = r;
			break;
		}
		for (int k = 0; k < r; k++)
			done += b[i + (unsigned)k].len;
		i += (unsigned)r;
	}
	for (; i < n; i++)
		ppage_put(p, b[i].pg);
	return done;
}

static int64_t write_pages(struct file *f, struct pipe *p, struct uio *u, uint32_t flags)
{
	bool nonblock = f->flags & O_NONBLOCK;
	struct pbuf bufs[STAGE_PAGES];
	int64_t done = 0;
	int r = 0, n;

	while (u->left && !r) {
		uint32_t room;

		r = pipe_wait_room(p, nonblock);
		if (r)
			break;
		mutex_lock(&p->lock);
		room = p->slots - pipe_used(p);
		mutex_unlock(&p->lock);
		n = stage_pages(p, u, bufs, max(min(room, STAGE_PAGES), 1u), flags);
		if (n <= 0) {
			r = n;
			break;
		}
		done += push_all(p, bufs, (unsigned)n, nonblock, &r);
	}
	return done ? done : r;
}

int64_t pipe_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct pipe *p = f->priv;
	uint32_t flags = f->flags & O_DIRECT ? PBUF_PACKET : PBUF_MERGE;
	int64_t r;

	if (u->left == 0)
		return 0;
	if (room_state(p) == -EPIPE)
		r = -EPIPE;
	else if (u->left <= SMALL_WRITE)
		r = write_small(f, p, u, flags);
	else
		r = write_pages(f, p, u, flags);
	if (r == -EPIPE)
		send_sigpipe(current);
	else if (r > 0 && room_state(p) == 0)
		pipe_wake_writers(p);
	return r;
}

uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->priv;
	uint32_t mask = 0;

	if (f->mode & FMODE_READ)
		poll_wait(pt, f, &p->rd);
	if (f->mode & FMODE_WRITE)
		poll_wait(pt, f, &p->wr);
	mutex_lock(&p->lock);
	if (f->mode & FMODE_READ) {
		if (pipe_used(p))
			mask |= EPOLLIN | EPOLLRDNORM;
		if (!p->writers && f->dir_cookie != p->w_counter)
			mask |= EPOLLHUP;
	}
	if (f->mode & FMODE_WRITE) {
		if (pipe_used(p) < p->slots)
			mask |= EPOLLOUT | EPOLLWRNORM;
		if (!p->readers)
			mask |= EPOLLERR;
	}
	mutex_unlock(&p->lock);
	return mask;
}

int64_t pipe_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct pipe *p = f->priv;
	uint64_t n;
	int v;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	n = pipe_bytes_locked(p);
	mutex_unlock(&p->lock);
	v = (int)n;
	return put_user(t, UADDR(arg), v);
}
