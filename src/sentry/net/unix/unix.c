/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: what all three types share, and the connection-oriented ones. */
#include "sentry/net/unix/unix.h"
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/net.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

static KCACHE(unix_sock_cache, struct unix_sock, 0);

int unix_init(struct sock *s)
{
	struct net *n = net_of(s->net);
	struct unix_sock *us;

	if (s->unix_)
		return 0;
	us = kc_alloc(&unix_sock_cache);
	if (!us)
		return -ENOMEM;
	list_init(&us->hash_link);
	list_init(&us->gc_link);
	wq_init(&us->peer_wait);
	list_init(&us->all_link);
	us->sock = s;
	s->unix_ = us;
	if (n) {
		mutex_lock(&n->lock);
		list_add_tail(&n->unix_all, &us->all_link);
		mutex_unlock(&n->lock);
	}
	return 0;
}

void unix_destroy(struct sock *s)
{
	struct net *n = net_of(s->net);
	struct unix_sock *us = s->unix_;

	if (!us)
		return;
	if (n) {
		mutex_lock(&n->lock);
		list_del(&us->all_link);
		mutex_unlock(&n->lock);
	}
	unix_gc_forget(s);
	wq_destroy(&us->peer_wait);
	unix_addr_put(us->addr);
	kc_free(&unix_sock_cache, us);
	s->unix_ = NULL;
}

/* --- end of a socket -------------------------------------------------------------------------- */

/* The other end of a connection that went away. */
static void tell_peer(struct sock *peer, bool reset)
{
	mutex_lock(&peer->lock);
	peer->shut = SHUT_IN | SHUT_OUT;
	if (reset)
		peer->err = ECONNRESET;
	mutex_unlock(&peer->lock);
	sock_wake(peer, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP | EPOLLERR);
}

static void close_end(struct sock *s, bool embryo);

/* Connections that nobody has accepted are reset. */
static void drop_acceptq(struct sock *s)
{
	struct sock *c;

	for (;;) {
		mutex_lock(&s->lock);
		c = list_first(&s->acceptq, struct sock, accept_link);
		if (c) {
			list_del(&c->accept_link);
			s->acceptq_len--;
		}
		mutex_unlock(&s->lock);
		if (!c)
			return;
		close_end(c, true);
		sock_put(c);
	}
}

static void close_end(struct sock *s, bool embryo)
{
	struct sock *peer;
	bool unread, listening;

	mutex_lock(&s->lock);
	s->dead = true;
	listening = s->state == ST_LISTEN;
	s->state = ST_CLOSED;
	s->shut = SHUT_IN | SHUT_OUT;
	peer = steal(s->peer);
	unread = !list_empty(&s->rxq);
	mutex_unlock(&s->lock);
	if (peer && s->type != SOCK_DGRAM)
		tell_peer(peer, unread || embryo);
	sock_wake(s, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLERR);
	wq_wake(&s->unix_->peer_wait, ~0u, 0);
	if (listening)
		drop_acceptq(s);
	rxq_purge(s);
	sock_put(peer);
}

void unix_release(struct sock *s)
{
	if (!s->unix_)
		return;
	unix_unbind(s);
	close_end(s, false);
	unix_gc_poke();
}

int unix_shutdown(struct sock *s, int how)
{
	struct sock *peer;
	uint8_t bits = (uint8_t)(how + 1), theirs;

	mutex_lock(&s->lock);
	s->shut |= bits;
	peer = s->peer && s->type != SOCK_DGRAM ? sock_get(s->peer) : NULL;
	mutex_unlock(&s->lock);
	sock_wake(s, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP);
	if (!peer)
		return 0;
	theirs = (uint8_t)((bits & SHUT_IN ? SHUT_OUT : 0) | (bits & SHUT_OUT ? SHUT_IN : 0));
	mutex_lock(&peer->lock);
	peer->shut |= theirs;
	mutex_unlock(&peer->lock);
	sock_wake(peer, EPOLLIN | EPOLLOUT | EPOLLRDHUP | (READ_ONCE(peer->shut) == 3 ? EPOLLHUP : 0));
	sock_put(peer);
	return 0;
}

int unix_pair(struct sock *a, struct sock *b)
{
	int r = unix_init(a);

	if (r == 0)
		r = unix_init(b);
	if (r)
		return r;
	a->peer = sock_get(b), b->peer = sock_get(a);
	sock_ids_set(&a->peer_ids, current);
	sock_ids_set(&b->peer_ids, current);
	if (a->type != SOCK_DGRAM)
		a->state = b->state = ST_CONNECTED;
	return 0;
}

/* --- connections ------------------------------------------------------------------------------ */

static int unix_listen(struct sock *s, struct task *t, int backlog)
{
	int r = 0;

	mutex_lock(&s->lock);
	if (!s->unix_->addr || (s->state != ST_CLOSED && s->state != ST_LISTEN)) {
		r = -EINVAL;
	} else {
		s->backlog = (uint32_t)min((unsigned)backlog, 4096u);
		s->state = ST_LISTEN;
		sock_ids_set(&s->peer_ids, t);
	}
	mutex_unlock(&s->lock);
	if (r == 0)
		wq_wake(&s->unix_->peer_wait, ~0u, 0);
	return r;
}

static bool can_queue(struct sock *l)
{
	bool yes;

	mutex_lock(&l->lock);
	yes = l->dead || l->state != ST_LISTEN || (l->shut & SHUT_IN) || l->acceptq_len <= l->backlog;
	mutex_unlock(&l->lock);
	return yes;
}

/* Both locked: joins the caller's socket and the new one and queues the latter. */
static int join_locked(struct sock *s, struct sock *l, struct sock *n)
{
	if (l->dead || l->state != ST_LISTEN || (l->shut & SHUT_IN))
		return -ECONNREFUSED;
	if (l->acceptq_len > l->backlog)
		return -EAGAIN;
	if (s->state == ST_CONNECTED)
		return -EISCONN;
	if (s->state != ST_CLOSED || s->dead)
		return -EINVAL;
	if (l->unix_->addr)
		n->unix_->addr = unix_addr_get(l->unix_->addr);
	n->peer = sock_get(s), s->peer = sock_get(n);
	sock_ids_copy(&s->peer_ids, &l->peer_ids);
	n->state = s->state = ST_CONNECTED;
	n->opts = (n->opts & ~(uint32_t)(SKO_PASSCRED | SKO_PASSPIDFD)) | (l->opts & (SKO_PASSCRED | SKO_PASSPIDFD));
	list_add_tail(&l->acceptq, &n->accept_link);
	l->acceptq_len++;
	return 0;
}

static int new_end(struct sock *l, struct task *t, struct sock **out)
{
	struct sock *n;
	int r = sock_alloc(l->net, l->ops, l->family, l->type, l->protocol, &n);

	if (r)
		return r;
	r = unix_init(n);
	if (r) {
		sock_put(n);
		return r;
	}
	sock_ids_set(&n->peer_ids, t);
	*out = n;
	return 0;
}

static int try_connect(struct sock *s, struct sock *l, struct task *t)
{
	struct sock *n;
	int r = new_end(l, t, &n);

	if (r)
		return r;
	mutex_lock2(&s->lock, &l->lock);
	r = s == l ? -EINVAL : join_locked(s, l, n);
	mutex_unlock2(&s->lock, &l->lock);
	if (r) {
		sock_put(n);
		return r;
	}
	sock_wake(l, EPOLLIN | EPOLLRDNORM);	/* the queue has our reference to n */
	return 0;
}

static int unix_connect(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock)
{
	struct sock *l;
	int r;

	if (sock_opt(s, SKO_PASSCRED | SKO_PASSPIDFD) && !READ_ONCE(s->unix_->addr)) {
		r = unix_autobind(s);
		if (r)
			return r;
	}
	for (;;) {
		r = unix_find(s, t, addr, len, &l);
		if (r)
			return r;
		r = try_connect(s, l, t);
		if (r == -EAGAIN && !nonblock) {
			r = wait_event(t, &l->unix_->peer_wait, sock_deadline(s->sndtimeo), can_queue(l));
			r = sock_wait_result(r, s->sndtimeo);
			sock_put(l);
			if (r)
				return r;
			continue;
		}
		sock_put(l);
		return r;
	}
}

static bool has_connection(struct sock *s)
{
	return !list_empty(&s->acceptq) || READ_ONCE(s->state) != ST_LISTEN || (READ_ONCE(s->shut) & SHUT_IN);
}

static int unix_accept(struct sock *s, bool nonblock, struct sock **out)
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
			r = 0;
		} else if (r == -EAGAIN && (s->shut & SHUT_IN)) {
			r = -EINVAL;
		}
		mutex_unlock(&s->lock);
		if (r == 0) {
			wq_wake(&s->unix_->peer_wait, ~0u, 1);
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

int unix_prepare_scm(struct sock *s, struct sockmsg *m, struct scm **out, uint32_t *level)
{
	struct scm *scm = m ? steal(m->scm) : NULL;
	int r = scm_add_creds(&scm, current);

	*level = 0;
	for (uint32_t i = 0; r == 0 && i < scm->nfds; i++) {
		struct sock *passed = sock_of(scm->fds[i]);

		if (passed && passed->family == AF_UNIX && passed->unix_)
			*level = max(*level, READ_ONCE(passed->unix_->level) + 1);
	}
	if (r == 0 && *level > UNIX_MAX_LEVEL)
		r = -ETOOMANYREFS;
	if (r == 0 && scm->nfds)
		r = unix_inflight(scm, current);
	if (r) {
		scm_free(scm);
		return r;
	}
	*out = scm;
	return 0;
}

static int queue_to_peer(struct sock *s, struct skb *b)
{
	struct sock *peer = NULL;
	int r = 0;

	mutex_lock(&s->lock);
	if (s->shut & SHUT_OUT)
		r = -EPIPE;
	else if (!s->peer)
		r = -ENOTCONN;
	else
		peer = sock_get(s->peer);
	if (s->unix_->addr && !b->from_unix)
		b->from_unix = unix_addr_get(s->unix_->addr);
	mutex_unlock(&s->lock);
	if (r)
		return r;
	mutex_lock(&peer->lock);
	if (peer->dead || (peer->shut & SHUT_IN)) {
		r = -EPIPE;
	} else {
		if (b->level > peer->unix_->level)
			WRITE_ONCE(peer->unix_->level, b->level);
		rxq_add_locked(peer, b);
	}
	mutex_unlock(&peer->lock);
	if (r == 0)
		sock_wake(peer, EPOLLIN | EPOLLRDNORM | EPOLLRDBAND);
	sock_put(peer);
	return r;
}

/* One message with n bytes of the guest; consumes *scm on success. */
static int64_t send_piece(struct sock *s, struct uio *u, uint32_t n, struct scm **scm, uint32_t level, int flags)
{
	struct skb *b;
	int64_t got = 0;
	int r = sock_wait_wmem(s, flags & MSG_DONTWAIT);

	if (r)
		return r;
	if (READ_ONCE(s->shut) & SHUT_OUT)
		return -EPIPE;
	r = sock_take_err(s);
	if (r)
		return r;
	b = skb_alloc(s, n);
	if (!b)
		return -ENOBUFS;
	if (n)
		got = uio_get(u, b->data, n);
	if (got < 0 || (got < (int64_t)n && s->type != SOCK_STREAM)) {
		skb_put(b);
		return -EFAULT;
	}
	b->len = (uint32_t)got;
	b->scm = steal(*scm);
	b->level = level;
	r = queue_to_peer(s, b);
	if (r) {
		*scm = steal(b->scm);
		skb_put(b);
		return r;
	}
	return got;
}

/* Each piece of a stream says who sent it; the descriptors travel with the first. */
static int64_t send_stream(struct sock *s, struct uio *u, struct scm **scm, uint32_t level, int flags)
{
	uint32_t piece = min(SKB_MAX, max(READ_ONCE(s->sndbuf) / 2, 2048u));
	int64_t done = 0, r = 0;

	while (u->left) {
		uint32_t n = (uint32_t)min(u->left, (uint64_t)piece);

		if (!*scm) {
			r = scm_add_creds(scm, current);
			if (r)
				break;
		}
		r = send_piece(s, u, n, scm, level, flags);
		if (r <= 0)
			break;
		done += r, level = 0;
		if (r < (int64_t)n)
			break;
	}
	return done ? done : r;
}

static int64_t unix_send(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	struct scm *scm = NULL;
	uint32_t level;
	int64_t r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m && m->name_len)
		return READ_ONCE(s->state) == ST_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (READ_ONCE(s->state) != ST_CONNECTED)
		return -ENOTCONN;
	r = unix_prepare_scm(s, m, &scm, &level);
	if (r)
		return r;
	if (s->type == SOCK_STREAM)
		r = send_stream(s, u, &scm, level, flags);
	else if (u->left > READ_ONCE(s->sndbuf) - min(READ_ONCE(s->sndbuf), 32u))
		r = -EMSGSIZE;
	else
		r = send_piece(s, u, (uint32_t)u->left, &scm, level, flags);
	scm_free(scm);
	if (r == -EPIPE && !(flags & MSG_NOSIGNAL))
		send_sigpipe(current);
	return r;
}

/* With nothing queued, nothing is nested. */
void unix_level_relax(struct sock *s)
{
	mutex_lock(&s->lock);
	if (list_empty(&s->rxq))
		WRITE_ONCE(s->unix_->level, 0);
	mutex_unlock(&s->lock);
}

static int64_t unix_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	int64_t r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (READ_ONCE(s->state) != ST_CONNECTED)
		return s->type == SOCK_STREAM ? -EINVAL : -ENOTCONN;
	r = s->type == SOCK_STREAM ? stream_recv(s, u, m, flags) : packet_recv(s, u, m, flags);
	unix_level_relax(s);
	return r;
}

static uint64_t input_bytes(struct sock *s)
{
	struct skb *b;
	uint64_t n = 0;

	mutex_lock(&s->lock);
	list_for_each(b, &s->rxq, link) {
		n += b->len - b->off;
		if (s->type == SOCK_DGRAM)
			break;
	}
	mutex_unlock(&s->lock);
	return n;
}

int64_t unix_ioctl(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	int v;

	switch (cmd) {
	case SIOCOUTQ:
		v = (int)READ_ONCE(s->wmem);
		return put_user(t, UADDR(arg), v);
	case SIOCINQ:
		if (READ_ONCE(s->state) == ST_LISTEN)
			return -EINVAL;
		v = (int)input_bytes(s);
		return put_user(t, UADDR(arg), v);
	}
	return -ENOTTY;
}

const struct sock_ops unix_stream_ops = {
	.init = unix_init, .bind = unix_bind, .connect = unix_connect, .listen = unix_listen, .accept = unix_accept,
	.getname = unix_getname, .send = unix_send, .recv = unix_recv, .shutdown = unix_shutdown,
	.release = unix_release, .destroy = unix_destroy, .poll = stream_poll, .ioctl = unix_ioctl,
	.pair = unix_pair,
};

const struct sock_ops unix_seq_ops = {
	.init = unix_init, .bind = unix_bind, .connect = unix_connect, .listen = unix_listen, .accept = unix_accept,
	.getname = unix_getname, .send = unix_send, .recv = unix_recv, .shutdown = unix_shutdown,
	.release = unix_release, .destroy = unix_destroy, .poll = stream_poll, .ioctl = unix_ioctl,
	.pair = unix_pair,
};
