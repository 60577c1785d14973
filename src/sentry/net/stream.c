/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receive queues. Readers look at their buffer first (I9), take references to messages under the
 * lock, and copy and release them after it.
 */
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/net/sock.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/task.h"

#define TAKE_MAX 16u

struct take {
	struct skb *b;		/* owned */
	uint32_t off, n;
};

uint64_t sock_deadline(uint64_t timeo)
{
	return timeo ? now_mono() + timeo : WAIT_FOREVER;
}

int sock_wait_result(int r, uint64_t timeo)
{
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return r == -ERESTARTSYS && timeo ? -EINTR : r;
}

void rxq_add_locked(struct sock *s, struct skb *b)
{
	list_add_tail(&s->rxq, &b->link);
	s->rmem += b->truesize;
	s->rxq_len++;
}

static void rxq_del_locked(struct sock *s, struct skb *b)
{
	list_del(&b->link);
	s->rmem -= b->truesize;
	s->rxq_len--;
}

void rxq_purge(struct sock *s)
{
	struct list all = LIST_INIT(all);

	mutex_lock(&s->lock);
	list_splice_tail(&all, &s->rxq);
	s->rmem = s->rxq_len = 0;
	mutex_unlock(&s->lock);
	skb_list_free(&all);
}

bool sock_writable(const struct sock *s)
{
	return (uint64_t)__atomic_load_n(&s->wmem, __ATOMIC_ACQUIRE) * 4 <= READ_ONCE(s->sndbuf);
}

static bool has_wmem(struct sock *s)
{
	bool ended;

	if (__atomic_load_n(&s->wmem, __ATOMIC_ACQUIRE) < READ_ONCE(s->sndbuf))
		return true;
	mutex_lock(&s->lock);
	ended = s->err || (s->shut & SHUT_OUT);
	mutex_unlock(&s->lock);
	return ended;
}

int sock_wait_wmem(struct sock *s, bool nonblock)
{
	if (has_wmem(s))
		return 0;
	return nonblock ? -EAGAIN : sock_wait(s, SOCK_EV_OUT, s->sndtimeo, has_wmem(s));
}

/* What an empty queue means now: 0 end of file, an error, or -EAGAIN for "wait". */
static int empty_result(struct sock *s)
{
	int err = READ_ONCE(s->done) ? 0 : sock_take_err(s);

	if (err)
		return err;
	return READ_ONCE(s->shut) & SHUT_IN ? 0 : -EAGAIN;
}

/* Something behind the first `skip` bytes of the queue (an empty message counts), or an end. */
static bool has_input(struct sock *s, uint64_t skip)
{
	struct skb *b;
	uint64_t n = 0;
	bool yes;

	mutex_lock(&s->lock);
	yes = (!skip && !list_empty(&s->rxq)) || s->err || (s->shut & SHUT_IN);
	if (skip && !yes)
		list_for_each(b, &s->rxq, link)
			n += b->len - b->off;
	mutex_unlock(&s->lock);
	return yes || n > skip;
}

static uint64_t rxq_bytes(struct sock *s)
{
	struct skb *b;
	uint64_t n = 0;

	mutex_lock(&s->lock);
	list_for_each(b, &s->rxq, link)
		n += b->len - b->off;
	mutex_unlock(&s->lock);
	return n;
}

/* The bytes that may be taken for this buffer without losing any. */
static int check_buffer(struct sock *s, const struct uio *u, uint64_t *want)
{
	*want = u->left;
	if (uio_check(u, u->left, true) == 0)
		return 0;
	*want = min(rxq_bytes(s), u->left);
	return uio_check(u, *want, true);
}

/* The control data of one message becomes (part of) what this call received. True: stop here. */
static int take_scm_locked(struct skb *b, struct scm **got, bool peek)
{
	bool fds = b->scm && b->scm->nfds;
	struct scm *copy;

	if (!b->scm || (*got && !fds))
		return 0;
	if (fds && !peek) {
		struct scm *creds = scm_alloc(0);	/* what is left has no descriptors any more */

		if (creds) {
			creds->uid = b->scm->uid, creds->gid = b->scm->gid;
			creds->has_creds = b->scm->has_creds;
			creds->pid = b->scm->pid ? pid_get(b->scm->pid) : NULL;
		}
		copy = b->scm;
		b->scm = creds;
	} else {
		copy = scm_dup(b->scm);
		if (!copy)
			return -ENOMEM;
	}
	if (*got && (*got)->pid)
		pid_put((*got)->pid);
	kfree(*got);	/* credentials only: no files to release under the lock */
	*got = copy;
	return fds;
}

/* One look at the queue: up to `want` bytes behind the first `skip`, in up to TAKE_MAX pieces. */
static unsigned gather_locked(struct sock *s, uint64_t want, uint64_t skip, bool peek, bool check_creds,
			      struct take *out, struct scm **got, bool *stop, struct list *marks)
{
	struct skb *b, *tmp;
	unsigned n = 0;

	list_for_each_safe(b, tmp, &s->rxq, link) {
		uint32_t len = b->len - b->off, off = b->off, use;
		int r;

		if (b->oob && !sock_opt(s, SKO_OOBINLINE)) {
			if (n) {	/* reads stop at the mark */
				*stop = true;
				break;
			}
			if (!peek) {
				rxq_del_locked(s, b);
				list_add_tail(marks, &b->link);
			}
			continue;
		}
		if (skip >= len && peek && len) {
			skip -= len;
			continue;
		}
		if (!want || n == TAKE_MAX)
			break;
		if (check_creds && *got && !scm_same_creds(*got, b->scm)) {
			*stop = true;
			break;
		}
		off += (uint32_t)skip, len -= (uint32_t)skip, skip = 0;
		use = (uint32_t)min((uint64_t)len, want);
		r = take_scm_locked(b, got, peek);
		*stop = r != 0;
		out[n++] = (struct take){skb_get(b), off, use};
		want -= use;
		if (!peek) {
			b->off += use;
			if (b->off == b->len) {
				rxq_del_locked(s, b);
				skb_put(b);	/* ours is left: frees nothing */
			}
		}
		if (*stop)
			break;
	}
	return n;
}

static int64_t put_takes(struct uio *u, struct take *k, unsigned n, bool discard)
{
	int64_t done = 0, r = 0;

	for (unsigned i = 0; i < n; i++) {
		if (r >= 0 && !discard)
			r = uio_put(u, k[i].b->data + k[i].off, k[i].n);
		else if (discard)
			r = k[i].n;
		if (r > 0)
			done += r;
		if (r >= 0 && r < (int64_t)k[i].n)
			r = -EFAULT;
		skb_put(k[i].b);
	}
	return done ? done : r;
}

static void keep_name(struct sockmsg *m, const struct skb *b)
{
	if (!m || m->name_len)
		return;
	if (b->from_unix)
		m->name_len = unix_addr_sockaddr(b->from_unix, m->name);
	else if (b->from_len) {
		__builtin_memcpy(m->name, b->from, b->from_len);
		m->name_len = b->from_len;
	}
	m->stamp = b->stamp;
	m->ip = b->ip;
}

static int wait_input(struct sock *s, int flags, uint64_t deadline, uint64_t skip)
{
	if (flags & MSG_DONTWAIT)
		return -EAGAIN;
	return sock_wait_result(wait_event_mask(current, &s->wq, SOCK_EV_IN, deadline, has_input(s, skip)),
				s->rcvtimeo);
}

/* SO_PEEK_OFF: a peek moves it on, what is taken from the front moves it back. */
static void move_peek_off(struct sock *s, bool peek, int64_t n)
{
	mutex_lock(&s->lock);
	if (s->peek_off >= 0 && n > 0) {
		int64_t off = s->peek_off + (peek ? n : -n);

		WRITE_ONCE(s->peek_off, (int32_t)min(max(off, (int64_t)0), (int64_t)INT32_MAX));
	}
	mutex_unlock(&s->lock);
}

int64_t stream_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	uint64_t target, want, deadline = sock_deadline(s->rcvtimeo);
	bool peek = flags & MSG_PEEK, discard = flags & MSG_TRUNC && s->family != AF_UNIX, stop = false;
	struct take takes[TAKE_MAX];
	struct list marks = LIST_INIT(marks);	/* of urgent data, passed over */
	struct scm *got = NULL;
	int64_t done = 0, r = 0;
	uint64_t base = peek ? (uint64_t)max(READ_ONCE(s->peek_off), 0) : 0;

	target = flags & MSG_WAITALL ? u->left : min((uint64_t)max(s->rcvlowat, 1u), u->left);
	if (peek && s->family == AF_UNIX)	/* a look there never waits for more */
		target = min((uint64_t)1, u->left);
	while (u->left && !stop) {
		unsigned n;

		r = discard ? 0 : check_buffer(s, u, &want);
		if (discard)
			want = u->left - (uint64_t)done;
		if (r)
			break;
		mutex_lock(&s->lock);
		n = gather_locked(s, want, peek ? base + (uint64_t)done : 0, peek,
				  sock_opt(s, SKO_PASSCRED), takes, &got, &stop, &marks);
		r = n || stop ? 1 : empty_result(s);
		mutex_unlock(&s->lock);
		if (n) {
			keep_name(m, takes[0].b);
			r = put_takes(u, takes, n, discard);
			if (r <= 0)
				break;
			done += r;
			if (discard && want <= (uint64_t)r)
				break;
			continue;
		}
		if (stop || (uint64_t)done >= target || r != -EAGAIN)
			break;
		r = wait_input(s, flags, deadline, peek ? base + (uint64_t)done : 0);
		if (r)
			break;
	}
	move_peek_off(s, peek, done);
	skb_list_free(&marks);
	if (m && !m->scm)
		m->scm = got;
	else
		scm_free(got);
	return done ? done : r;
}

/* The first message, still queued, with a reference; or what to do without one. */
static int first_packet(struct sock *s, int flags, uint64_t deadline, struct skb **out)
{
	for (;;) {
		struct skb *b = NULL;
		int r;

		mutex_lock(&s->lock);
		r = sock_take_err(s);
		if (!r)
			b = list_first(&s->rxq, struct skb, link);
		if (b)
			*out = skb_get(b);
		mutex_unlock(&s->lock);
		if (b)
			return 1;
		if (r)
			return r;
		if ((READ_ONCE(s->shut) & SHUT_IN) && (s->type != SOCK_DGRAM || !(flags & MSG_DONTWAIT)))
			return 0;
		r = wait_input(s, flags, deadline, 0);
		if (r)
			return r;
	}
}

/* Takes b off the queue, or with peek shares its control data: false when another reader has it. */
static bool claim_packet(struct sock *s, struct skb *b, struct sockmsg *m, bool peek)
{
	struct scm *scm = NULL;
	bool mine;

	mutex_lock(&s->lock);
	mine = !list_empty(&b->link);
	if (mine && peek) {
		scm = b->scm ? scm_dup(b->scm) : NULL;
	} else if (mine) {
		scm = steal(b->scm);
		rxq_del_locked(s, b);
		skb_put(b);	/* the queue's reference; the caller has one */
	}
	mutex_unlock(&s->lock);
	if (m && !m->scm)
		m->scm = scm;
	else
		scm_free(scm);
	return mine;
}

int64_t packet_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	uint64_t deadline = sock_deadline(s->rcvtimeo);
	struct skb *b = NULL;
	int64_t r;
	uint32_t n;

	for (;;) {
		r = first_packet(s, flags, deadline, &b);
		if (r <= 0)
			return r;
		n = (uint32_t)min((uint64_t)b->len, u->left);
		r = uio_check(u, n, true);
		if (r || claim_packet(s, b, m, flags & MSG_PEEK))
			break;
		skb_put(b);
	}
	if (r == 0) {
		keep_name(m, b);
		r = n ? uio_put(u, b->data, n) : 0;
		if (r >= 0 && n < b->len) {
			if (m)
				m->flags |= MSG_TRUNC;
			if (flags & MSG_TRUNC)
				r = b->len;
		}
	}
	skb_put(b);
	return r;
}

uint32_t stream_poll(struct sock *s)
{
	uint32_t mask = 0;

	mutex_lock(&s->lock);
	if (s->err)
		mask |= EPOLLERR;
	if ((s->shut & (SHUT_IN | SHUT_OUT)) == (SHUT_IN | SHUT_OUT))
		mask |= EPOLLHUP;
	if (s->shut & SHUT_IN)
		mask |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (!list_empty(&s->rxq) || !list_empty(&s->acceptq))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (s->type != SOCK_DGRAM && s->state == ST_CLOSED)
		mask |= EPOLLHUP;
	if (s->state != ST_LISTEN && sock_writable(s))
		mask |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	mutex_unlock(&s->lock);
	return mask;
}
