/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX datagrams: a queue of a few messages; senders wait at the receiver. */
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/task.h"

/* May s send to `to`? Unconnected, or connected back to us. Lock of `to` held. */
static bool may_send_locked(const struct sock *s, const struct sock *to)
{
	return !to->peer || to->peer == s;
}

static bool full_locked(const struct sock *s, const struct sock *to)
{
	return to->peer != s && to->rxq_len > sysctl_get(SYSCTL_unix_qlen);
}

static bool room_or_end(struct sock *s, struct sock *to)
{
	bool yes;

	mutex_lock(&to->lock);
	yes = to->dead || (to->shut & SHUT_IN) || !full_locked(s, to);
	mutex_unlock(&to->lock);
	return yes || READ_ONCE(s->err) || (READ_ONCE(s->shut) & SHUT_OUT);
}

static void set_peer(struct sock *s, struct sock *peer /* consumed */)
{
	struct sock *old;

	mutex_lock(&s->lock);
	old = s->peer;
	s->peer = peer;
	s->state = peer ? ST_CONNECTED : ST_CLOSED;
	mutex_unlock(&s->lock);
	if (old)
		wq_wake_all(&old->unix_->peer_wait);
	if (old && old != peer) {
		mutex_lock(&old->lock);
		if (old->peer == s)	/* it loses a partner that it was told about */
			old->err = ECONNRESET;
		mutex_unlock(&old->lock);
		rxq_purge(s);
	}
	sock_put(old);
}

int unix_dgram_connect(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock)
{
	uint16_t family = 0;
	struct sock *peer;
	int r;

	if (len < sizeof(family))
		return -EINVAL;
	__builtin_memcpy(&family, addr, sizeof(family));
	if (family == AF_UNSPEC) {
		set_peer(s, NULL);
		return 0;
	}
	if (sock_opt(s, SKO_PASSCRED | SKO_PASSPIDFD) && !READ_ONCE(s->unix_->addr)) {
		r = unix_autobind(s);
		if (r)
			return r;
	}
	r = unix_find(s, t, addr, len, &peer);
	if (r)
		return r;
	mutex_lock(&peer->lock);
	r = peer->dead ? -ECONNREFUSED : may_send_locked(s, peer) ? 0 : -EPERM;
	mutex_unlock(&peer->lock);
	if (r) {
		sock_put(peer);
		return r;
	}
	set_peer(s, peer);
	return 0;
}

/* The receiver is gone: a connected sender is disconnected and told so once. */
static int refused(struct sock *s, struct sock *to)
{
	bool was_peer;

	mutex_lock(&s->lock);
	was_peer = s->peer == to;
	if (was_peer) {
		s->peer = NULL;
		s->state = ST_CLOSED;
	}
	mutex_unlock(&s->lock);
	if (was_peer) {
		rxq_purge(s);
		sock_put(to);	/* the reference that s->peer was */
	}
	return -ECONNREFUSED;
}

/* 0 queued (b consumed), -EAGAIN full. */
static int deliver(struct sock *s, struct sock *to, struct skb *b)
{
	int r = 0;

	mutex_lock(&to->lock);
	if (to->dead)
		r = -ECONNREFUSED;
	else if (!may_send_locked(s, to))
		r = -EPERM;
	else if (to->shut & SHUT_IN)
		r = -EPIPE;
	else if (full_locked(s, to))
		r = -EAGAIN;
	else {
		if (b->level > to->unix_->level)
			WRITE_ONCE(to->unix_->level, b->level);
		rxq_add_locked(to, b);
	}
	mutex_unlock(&to->lock);
	if (r == 0)
		sock_wake(to, EPOLLIN | EPOLLRDNORM);
	return r == -ECONNREFUSED ? refused(s, to) : r;
}

static int send_to(struct sock *s, struct sock *to, struct skb *b, int flags)
{
	for (;;) {
		int r = deliver(s, to, b);

		if (r != -EAGAIN || (flags & MSG_DONTWAIT))
			return r;
		r = wait_event(current, &to->unix_->peer_wait, sock_deadline(s->sndtimeo), room_or_end(s, to));
		r = sock_wait_result(r, s->sndtimeo);
		if (r)
			return r;
		if (READ_ONCE(s->shut) & SHUT_OUT)
			return -EPIPE;
	}
}

static int make_message(struct sock *s, struct uio *u, struct sockmsg *m, int flags, struct skb **out)
{
	uint32_t n = (uint32_t)u->left, level;
	struct scm *scm;
	struct skb *b;
	int r = unix_prepare_scm(s, m, &scm, &level);

	if (r)
		return r;
	r = sock_wait_wmem(s, flags & MSG_DONTWAIT);
	b = r ? NULL : skb_alloc(s, n);
	if (!b) {
		scm_free(scm);
		return r ? r : -ENOBUFS;
	}
	b->scm = scm, b->level = level;
	if (n && uio_get(u, b->data, n) != (int64_t)n) {
		skb_put(b);
		return -EFAULT;
	}
	mutex_lock(&s->lock);
	if (s->unix_->addr)
		b->from_unix = unix_addr_get(s->unix_->addr);
	mutex_unlock(&s->lock);
	*out = b;
	return 0;
}

static int64_t unix_dgram_send(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	struct sock *to = NULL;
	struct skb *b;
	uint64_t n = u->left;
	int r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m && m->name_len)
		r = unix_find(s, current, m->name, m->name_len, &to);
	else
		r = (to = sock_peer_get(s)) ? 0 : -ENOTCONN;
	if (r == 0 && sock_opt(s, SKO_PASSCRED | SKO_PASSPIDFD) && !READ_ONCE(s->unix_->addr))
		r = unix_autobind(s);
	if (r == 0 && n > READ_ONCE(s->sndbuf) - min(READ_ONCE(s->sndbuf), 32u))
		r = -EMSGSIZE;
	if (r == 0 && (READ_ONCE(s->shut) & SHUT_OUT))
		r = -EPIPE;
	if (r == 0)
		r = sock_take_err(s);
	if (r == 0)
		r = make_message(s, u, m, flags, &b);
	if (r == 0) {
		r = send_to(s, to, b, flags);
		if (r)
			skb_put(b);
	}
	sock_put(to);
	return r ? r : (int64_t)n;
}

static int64_t unix_dgram_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	int64_t r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	r = packet_recv(s, u, m, flags);
	if (!(flags & MSG_PEEK)) {
		wq_wake(&s->unix_->peer_wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND, 0);
		unix_level_relax(s);
	}
	return r;
}

static uint32_t unix_dgram_poll(struct sock *s)
{
	uint32_t mask = stream_poll(s);
	struct sock *peer = sock_peer_get(s);

	if (!peer)
		return mask;
	mutex_lock(&peer->lock);
	if (!peer->dead && full_locked(s, peer))
		mask &= ~(uint32_t)(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	mutex_unlock(&peer->lock);
	sock_put(peer);
	return mask;
}

const struct sock_ops unix_dgram_ops = {
	.init = unix_init, .bind = unix_bind, .connect = unix_dgram_connect, .getname = unix_getname,
	.send = unix_dgram_send, .recv = unix_dgram_recv, .shutdown = unix_shutdown,
	.release = unix_release, .destroy = unix_destroy, .poll = unix_dgram_poll,
	.ioctl = unix_ioctl, .pair = unix_pair,
};
