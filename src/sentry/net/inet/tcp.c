/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP as programs see it, without packets: two ends on one machine, each adding to the other's
 * receive queue. A handshake either succeeds at once, is refused, or waits for room in the
 * listener's queue. A close sends what a FIN or a RST would bring about.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/task/task.h"

#define EV_ALL (EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM | EPOLLHUP | EPOLLRDHUP | EPOLLERR)

/* --- end of a connection ---------------------------------------------------------------------- */

/* The other end learns of a reset: pending input stays readable only where Linux keeps it. */
static void reset_locked(struct sock *p)
{
	p->err = p->done ? EPIPE : ECONNRESET;
	p->state = ST_CLOSED;
	p->shut = SHUT_IN | SHUT_OUT;
}

static void drop_listener(struct sock *s);

static void tcp_close_end(struct sock *s, bool reset)
{
	struct sock *peer;
	bool unread;

	mutex_lock(&s->lock);
	s->dead = true;
	unread = !list_empty(&s->rxq);
	s->state = ST_CLOSED;
	s->shut = SHUT_IN | SHUT_OUT;
	peer = steal(s->peer);
	mutex_unlock(&s->lock);
	if (peer) {
		mutex_lock(&peer->lock);
		if (!peer->dead && peer->state == ST_CONNECTED) {
			if (unread || reset) {
				reset_locked(peer);
			} else {
				peer->shut |= SHUT_IN;
				peer->done = true;
			}
		}
		mutex_unlock(&peer->lock);
		sock_wake(peer, EV_ALL);
	}
	sock_wake(s, EV_ALL);
	inet_unbind(s);
	rxq_purge(s);
	sock_put(peer);
}

/* Leaves the listener that its connect waits at. */
static void stop_pending(struct sock *s)
{
	struct sock *l;

	mutex_lock(&s->lock);
	l = s->listener ? sock_get(s->listener) : NULL;
	mutex_unlock(&s->lock);
	if (!l)
		return;
	mutex_lock2(&s->lock, &l->lock);
	if (s->listener == l) {
		list_del(&s->inet->pending_link);
		s->listener = NULL;
	}
	mutex_unlock2(&s->lock, &l->lock);
	sock_put(l);
}

static void tcp_release(struct sock *s)
{
	if (!s->inet)
		return;
	stop_pending(s);
	if (READ_ONCE(s->state) == ST_LISTEN)
		drop_listener(s);
	tcp_close_end(s, sock_opt(s, SKO_LINGER) && s->linger == 0);
}

static void drop_listener(struct sock *s)
{
	for (;;) {
		struct sock *c, *w = NULL;
		struct inet_sock *is;

		mutex_lock(&s->lock);
		s->state = ST_CLOSED;
		c = list_first(&s->acceptq, struct sock, accept_link);
		if (c) {
			list_del(&c->accept_link);
			s->acceptq_len--;
		} else if ((is = list_first(&s->inet->pending, struct inet_sock, pending_link))) {
			w = sock_get(is->sock);
		}
		mutex_unlock(&s->lock);
		if (c) {
			tcp_close_end(c, true);
			sock_put(c);
		} else if (w) {
			stop_pending(w);
			mutex_lock(&w->lock);
			w->state = ST_CLOSED;
			mutex_unlock(&w->lock);
			sock_set_err(w, ECONNREFUSED);
			sock_put(w);
		} else {
			return;
		}
	}
}

static int tcp_shutdown(struct sock *s, int how)
{
	struct sock *peer = NULL;
	uint8_t bits = (uint8_t)(how + 1);
	int r = 0;

	mutex_lock(&s->lock);
	if (s->state == ST_CONNECTED) {
		s->shut |= bits;
		peer = s->peer ? sock_get(s->peer) : NULL;
	} else {
		r = s->state == ST_LISTEN && (bits & SHUT_IN) ? 1 : -ENOTCONN;
	}
	mutex_unlock(&s->lock);
	if (r == 1) {
		drop_listener(s);
		sock_wake(s, EV_ALL);
		return 0;
	}
	if (r)
		return r;
	sock_wake(s, EV_ALL);
	if (peer && (bits & SHUT_OUT)) {
		mutex_lock(&peer->lock);
		if (!peer->dead && peer->state == ST_CONNECTED) {
			peer->shut |= SHUT_IN;
			peer->done = true;
		}
		mutex_unlock(&peer->lock);
		sock_wake(peer, EV_ALL);
	}
	sock_put(peer);
	return 0;
}

/* --- connections ------------------------------------------------------------------------------ */

static int tcp_listen(struct sock *s, struct task *t, int backlog)
{
	int r = inet_autobind(s);

	if (r)
		return r;
	mutex_lock(&s->lock);
	if (s->state != ST_CLOSED && s->state != ST_LISTEN) {
		r = -EINVAL;
	} else {
		s->state = ST_LISTEN;
		s->backlog = (uint32_t)backlog;
	}
	mutex_unlock(&s->lock);
	return r;
}

static int new_end(struct sock *l, struct sock **out)
{
	struct sock *n;
	int r = sock_alloc(l->net, l->ops, l->family, l->type, l->protocol, &n);

	if (r)
		return r;
	r = inet_init(n);
	if (r) {
		sock_put(n);
		return r;
	}
	__builtin_memcpy(n->inet->opt, l->inet->opt, sizeof(n->inet->opt));
	n->opts = l->opts, n->linger = l->linger, n->sndbuf = l->sndbuf, n->rcvbuf = l->rcvbuf;
	*out = n;
	return 0;
}

/* Both locked. */
static int join_locked(struct sock *s, struct sock *l, struct sock *n)
{
	if (l->dead || l->state != ST_LISTEN)
		return -ECONNREFUSED;
	if (s->dead)
		return -ECONNABORTED;
	if (l->acceptq_len > l->backlog)
		return -EAGAIN;
	n->inet->local = s->inet->remote, n->inet->remote = s->inet->local;
	n->peer = sock_get(s), s->peer = sock_get(n);
	n->state = s->state = ST_CONNECTED;
	n->uid = l->uid;
	list_add_tail(&l->acceptq, &n->accept_link);
	l->acceptq_len++;
	net_count(net_of(s->net), NC_TCP_ACTIVE, 1);
	net_count(net_of(s->net), NC_TCP_PASSIVE, 1);
	net_count(net_of(s->net), NC_TCP_SEGS, 3);
	net_count(net_of(s->net), NC_BYTES, 3 * 60);
	return 0;
}

/* 0 connected, -EINPROGRESS waiting at the listener, or refused. */
static int meet(struct sock *s, struct sock *l)
{
	struct sock *n;
	int r = new_end(l, &n);

	if (r)
		return r;
	mutex_lock2(&s->lock, &l->lock);
	r = join_locked(s, l, n);
	if (r == -EAGAIN) {
		s->listener = l;
		list_add_tail(&l->inet->pending, &s->inet->pending_link);
		r = -EINPROGRESS;
	}
	mutex_unlock2(&s->lock, &l->lock);
	if (r) {
		sock_put(n);
		return r;
	}
	inet_share_port(n);
	sock_wake(l, EPOLLIN | EPOLLRDNORM);
	sock_wake(s, EPOLLOUT | EPOLLWRNORM);
	return 0;
}

/* There is room at the listener: the first that waits may come in. */
static void admit_pending(struct sock *l)
{
	struct inet_sock *is;
	struct sock *s = NULL;

	mutex_lock(&l->lock);
	is = l->acceptq_len <= l->backlog ? list_first(&l->inet->pending, struct inet_sock, pending_link) : NULL;
	if (is)
		s = sock_get(is->sock);
	mutex_unlock(&l->lock);
	if (!s)
		return;
	stop_pending(s);
	if (meet(s, l) == -ECONNREFUSED)
		sock_set_err(s, ECONNREFUSED);
	sock_put(s);
}

static int connect_begin(struct sock *s, struct inet_addr *to)
{
	struct net *n = net_of(s->net);
	struct sock *l;
	int r;

	if (!n)
		return -ENOMEM;
	if (inet_is_any(to)) {
		uint16_t port = to->port;

		inet_loopback(s->family == AF_INET || inet_is_v4(to), to);
		to->port = port;
	}
	if (!inet_is_loopback(to) || !READ_ONCE(net_of(s->net)->lo_up) ||
	    (s->family == AF_INET6 && inet_is_v4(to) && inet_v6only(s)))
		return -ENETUNREACH;
	r = inet_autobind(s);
	if (r)
		return r == -EAGAIN ? -EADDRNOTAVAIL : r;
	mutex_lock(&s->lock);
	if (inet_is_any(&s->inet->local)) {
		uint16_t port = s->inet->local.port;

		inet_loopback(inet_is_v4(to), &s->inet->local);
		s->inet->local.port = port;
	}
	s->inet->remote = *to;
	s->state = ST_CONNECTING;
	mutex_unlock(&s->lock);
	l = inet_find(n, PROTO_TCP, to, &s->inet->local);
	r = l ? meet(s, l) : -ECONNREFUSED;
	if (r == -ECONNREFUSED)
		net_count(net_of(s->net), NC_TCP_FAILS, 1), net_count(net_of(s->net), NC_BYTES, 100);
	if (r && r != -EINPROGRESS) {
		mutex_lock(&s->lock);
		s->state = ST_CLOSED;
		s->inet->remote.port = 0;
		inet_unbind_auto(s);
		mutex_unlock(&s->lock);
	}
	sock_put(l);
	return r;
}

static void disconnect(struct sock *s)
{
	stop_pending(s);
	if (READ_ONCE(s->state) == ST_LISTEN)
		drop_listener(s);
	tcp_close_end(s, true);
	mutex_lock(&s->lock);
	s->dead = false;
	s->shut = 0, s->done = false, s->err = 0;
	s->inet->remote.port = 0;
	if (s->inet->bound_port)
		inet_share_port(s);
	inet_unbind_auto(s);
	mutex_unlock(&s->lock);
}

static bool connect_over(struct sock *s)
{
	return READ_ONCE(s->state) != ST_CONNECTING;
}

static int connect_wait(struct sock *s, bool nonblock)
{
	int r;

	if (nonblock)
		return -EINPROGRESS;
	r = sock_wait(s, SOCK_EV_OUT, s->sndtimeo, connect_over(s));
	if (r)
		return r == -EAGAIN ? -EINPROGRESS : r;
	r = sock_take_err(s);
	return r ? r : READ_ONCE(s->state) == ST_CONNECTED ? 0 : -ECONNABORTED;
}

static int tcp_connect(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock)
{
	struct inet_addr to;
	bool reported;
	uint8_t state;
	int r = inet_parse(s, addr, len, &to);

	if (r == 1) {
		disconnect(s);
		return 0;
	}
	if (r)
		return r;
	mutex_lock(&s->lock);
	state = s->state;
	reported = s->connecting;
	if (state != ST_CONNECTING)
		s->connecting = false;
	mutex_unlock(&s->lock);
	if (state == ST_CONNECTING)
		return nonblock ? -EALREADY : connect_wait(s, false);
	if (reported) {		/* the end of a connect that was in progress */
		r = sock_take_err(s);
		if (state == ST_CONNECTED)
			return r;
		disconnect(s);
		return r ? r : -ECONNABORTED;
	}
	if (state != ST_CLOSED)
		return -EISCONN;
	r = connect_begin(s, &to);
	if (r == -EINPROGRESS) {
		s->connecting = nonblock;
		return connect_wait(s, nonblock);
	}
	if (!nonblock || (r && r != -ECONNREFUSED))
		return r;
	/* Linux answers a non-blocking connect before the handshake is over, on loopback too. */
	s->connecting = true;
	if (r) {
		mutex_lock(&s->lock);
		s->shut = SHUT_IN | SHUT_OUT;
		mutex_unlock(&s->lock);
		sock_set_err(s, -r);
	}
	return -EINPROGRESS;
}

static bool has_connection(struct sock *s)
{
	return !list_empty(&s->acceptq) || READ_ONCE(s->state) != ST_LISTEN;
}

static int tcp_accept(struct sock *s, bool nonblock, struct sock **out)
{
	struct sock *n = NULL;
	int r;

	for (;;) {
		mutex_lock(&s->lock);
		r = s->state == ST_LISTEN ? -EAGAIN : -EINVAL;
		if (r == -EAGAIN)
			n = list_first(&s->acceptq, struct sock, accept_link);
		if (n) {
			list_del(&n->accept_link);
			s->acceptq_len--;
		}
		mutex_unlock(&s->lock);
		if (n) {
			admit_pending(s);
			*out = n;
			return 0;
		}
		if (r != -EAGAIN || nonblock)
			return r;
		r = sock_wait(s, SOCK_EV_IN, s->rcvtimeo, has_connection(s));
		if (r)
			return r;
	}
}

/* --- data ------------------------------------------------------------------------------------- */

static int queue_to_peer(struct sock *s, struct skb *b)
{
	struct sock *peer = sock_peer_get(s);
	bool gone, oob = b->oob;

	if (!peer)
		return -EPIPE;
	mutex_lock(&peer->lock);
	gone = peer->dead;
	if (!gone) {
		if (b->oob) {
			peer->inet->urgent = true;
			peer->inet->urgent_byte = (uint8_t)b->data[0];
		}
		rxq_add_locked(peer, b);
		peer->inet->segs_in++;
		peer->inet->bytes_in += b->len;
	}
	mutex_unlock(&peer->lock);
	if (gone) {		/* it is lost on the way, and a RST comes back */
		mutex_lock(&s->lock);
		reset_locked(s);
		mutex_unlock(&s->lock);
		sock_wake(s, EV_ALL);
		skb_put(b);
	} else {
		s->inet->segs_out++;
		s->inet->bytes_out += b->len;
		net_count(net_of(s->net), NC_TCP_SEGS, 1);
		net_count(net_of(s->net), NC_BYTES, b->len + 52);
		sock_wake(peer, EPOLLIN | EPOLLRDNORM | (oob ? EPOLLPRI : 0));
	}
	sock_put(peer);
	return 0;
}

static int may_send(struct sock *s, int flags)
{
	int r;

	if (READ_ONCE(s->state) == ST_CONNECTING) {
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		r = sock_wait(s, SOCK_EV_OUT, s->sndtimeo, connect_over(s));
		if (r)
			return r;
	}
	if (READ_ONCE(s->err)) {
		r = sock_take_err(s);
		return r ? r : -EPIPE;
	}
	return READ_ONCE(s->state) != ST_CONNECTED || (READ_ONCE(s->shut) & SHUT_OUT) ? -EPIPE : 0;
}

static int64_t send_piece(struct sock *s, struct uio *u, int flags)
{
	uint32_t n = (uint32_t)min(u->left, (uint64_t)SKB_MAX);
	struct skb *b;
	int64_t got;
	int r = may_send(s, flags);

	if ((flags & MSG_OOB) && n == u->left && n > 1)
		n--;	/* the last byte is the urgent one, and goes by itself */

	if (r == 0)
		r = sock_wait_wmem(s, flags & MSG_DONTWAIT);
	if (r == 0)
		r = may_send(s, flags);
	if (r)
		return r;
	b = skb_alloc(s, n);
	if (!b)
		return -ENOMEM;
	got = uio_get(u, b->data, n);
	if (got <= 0) {
		skb_put(b);
		return got ? got : -EFAULT;
	}
	b->len = (uint32_t)got;
	b->oob = (flags & MSG_OOB) && !u->left && n == 1;
	r = queue_to_peer(s, b);
	if (r) {
		skb_put(b);
		return r;
	}
	return got;
}

static int64_t tcp_send(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	int64_t done = 0, r = may_send(s, flags);

	while (r >= 0 && u->left) {
		r = send_piece(s, u, flags);
		if (r > 0)
			done += r;
	}
	if (done)
		return done;
	if (r == -EPIPE && !(flags & MSG_NOSIGNAL))
		send_sigpipe(current);
	return r < 0 ? r : 0;
}

/* The urgent byte, once. */
static int64_t recv_urgent(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	uint8_t byte;
	bool have;

	mutex_lock(&s->lock);
	have = s->inet->urgent && !sock_opt(s, SKO_OOBINLINE);
	byte = s->inet->urgent_byte;
	if (have && !(flags & MSG_PEEK))
		s->inet->urgent = false;
	mutex_unlock(&s->lock);
	if (!have)
		return -EINVAL;
	if (m)
		m->flags |= MSG_OOB;
	return u->left ? uio_put(u, &byte, 1) : 0;
}

static int64_t tcp_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	int64_t r;

	if (flags & MSG_ERRQUEUE)
		return -EAGAIN;		/* nothing is ever queued there */
	if (READ_ONCE(s->state) == ST_LISTEN)
		return -ENOTCONN;
	if (flags & MSG_OOB)
		return recv_urgent(s, u, m, flags);
	if (READ_ONCE(s->state) == ST_CLOSED && !READ_ONCE(s->shut) && !READ_ONCE(s->err))
		return -ENOTCONN;
	r = stream_recv(s, u, m, flags);
	if (m)
		m->name_len = 0;
	return r;
}

static uint32_t tcp_poll(struct sock *s)
{
	uint32_t mask = stream_poll(s);

	if (READ_ONCE(s->state) == ST_CONNECTING)
		mask &= ~(uint32_t)(EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	if (READ_ONCE(s->state) == ST_CLOSED)
		mask |= EPOLLOUT | EPOLLWRNORM;
	if (READ_ONCE(s->inet->urgent))
		mask |= EPOLLPRI;
	return mask & ~(uint32_t)EPOLLWRBAND;
}

static int64_t tcp_ioctl(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct skb *b;
	int v = 0;

	switch (cmd) {
	case SIOCINQ:
		if (READ_ONCE(s->state) == ST_LISTEN)
			return -EINVAL;
		mutex_lock(&s->lock);
		list_for_each(b, &s->rxq, link)
			v += b->oob && !sock_opt(s, SKO_OOBINLINE) ? 0 : (int)(b->len - b->off);
		mutex_unlock(&s->lock);
		return put_user(t, UADDR(arg), v);
	case SIOCOUTQ:
		return put_user(t, UADDR(arg), v);	/* what is sent is there */
	case SIOCATMARK:
		mutex_lock(&s->lock);
		b = list_first(&s->rxq, struct skb, link);
		v = b && b->oob;
		mutex_unlock(&s->lock);
		return put_user(t, UADDR(arg), v);
	}
	return -ENOTTY;
}

int tcp_state(const struct sock *s)
{
	switch (s->state) {
	case ST_LISTEN:
		return TCP_LISTEN;
	case ST_CONNECTING:
		return TCP_SYN_SENT;
	case ST_CONNECTED:
		if (s->done)
			return s->shut & SHUT_OUT ? TCP_LAST_ACK : TCP_CLOSE_WAIT;
		return s->shut & SHUT_OUT ? TCP_FIN_WAIT2 : TCP_ESTABLISHED;
	}
	return TCP_CLOSE;
}

const struct sock_ops tcp_ops = {
	.init = inet_init, .bind = inet_bind, .connect = tcp_connect, .listen = tcp_listen,
	.accept = tcp_accept, .getname = inet_getname, .send = tcp_send, .recv = tcp_recv,
	.shutdown = tcp_shutdown, .release = tcp_release, .destroy = inet_destroy, .poll = tcp_poll,
	.ioctl = tcp_ioctl, .setsockopt = inet_setsockopt, .getsockopt = inet_getsockopt,
};
