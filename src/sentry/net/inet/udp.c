/* SPDX-License-Identifier: Apache-2.0 */
/* UDP over loopback: a datagram goes straight into the receiver's queue, or is lost when that is
 * full, as on a real network. */
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <string.h>
#include "host/time.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/task/task.h"

#define UDP_MAX_V4 65507u
#define UDP_MAX_V6 65527u

static bool is_broadcast(const struct inet_addr *a)
{
	static const uint8_t all[4] = {255, 255, 255, 255};

	return inet_is_v4(a) && !memcmp(a->b + 12, all, 4);
}

/* Where a destination leads: itself, or loopback for "any". */
static int route(const struct sock *s, struct inet_addr *to)
{
	uint16_t port = to->port;

	if (s->family == AF_INET6 && inet_is_v4(to) && inet_v6only(s))
		return -ENETUNREACH;
	if (inet_is_any(to)) {
		inet_loopback(inet_is_v4(to), to);
		to->port = port;
	}
	if (is_broadcast(to) && !sock_opt(s, SKO_BROADCAST))
		return -EACCES;
	return inet_is_loopback(to) && READ_ONCE(net_of(s->net)->lo_up) ? 0 : -ENETUNREACH;
}

static void source_towards(const struct sock *s, const struct inet_addr *to, struct inet_addr *from)
{
	*from = s->inet->local;
	if (!inet_is_any(from))
		return;
	inet_loopback(inet_is_v4(to), from);
	from->port = s->inet->local.port;
}

static int udp_connect(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock)
{
	struct inet_addr to;
	int r = inet_parse(s, addr, len, &to);

	if (r == 1) {
		mutex_lock(&s->lock);
		s->inet->remote.port = 0;
		s->state = ST_CLOSED;
		s->err = 0;
		if (!s->inet->bound_addr) {
			uint16_t port = s->inet->local.port;

			memset(s->inet->local.b, 0, s->family == AF_INET6 ? 16 : 0);
			memset(s->inet->local.b + 12, 0, 4);
			s->inet->local.port = port;
		}
		mutex_unlock(&s->lock);
		return 0;
	}
	if (r == 0)
		r = route(s, &to);
	if (r == 0)
		r = inet_autobind(s);
	if (r)
		return r;
	mutex_lock(&s->lock);
	source_towards(s, &to, &s->inet->local);
	s->inet->remote = to;
	s->state = ST_CONNECTED;
	mutex_unlock(&s->lock);
	return 0;
}

static int destination(struct sock *s, struct sockmsg *m, struct inet_addr *to, bool *connected)
{
	int r;

	*connected = false;
	if (m && m->name_len) {
		r = inet_parse(s, m->name, m->name_len, to);
		if (r)
			return r == 1 ? -EINVAL : r;
		return to->port ? route(s, to) : -EINVAL;
	}
	mutex_lock(&s->lock);
	r = s->state == ST_CONNECTED ? 0 : -EDESTADDRREQ;
	*to = s->inet->remote;
	mutex_unlock(&s->lock);
	*connected = r == 0;
	return r;
}

/* Consumes b: queued, or dropped for want of room. */
static void deliver(struct sock *d, struct skb *b, const struct inet_addr *from)
{
	bool queued;

	b->from_len = (uint8_t)inet_format(d, from, b->from);
	b->stamp = sock_opt(d, SKO_TIMESTAMP | SKO_TIMESTAMPNS) ? (uint64_t)h_clock_ns(CLOCK_REALTIME) : 0;
	mutex_lock(&d->lock);
	queued = !d->dead && d->rmem + b->truesize <= d->rcvbuf + d->rcvbuf / 4 && !(d->shut & SHUT_IN);
	if (queued)
		rxq_add_locked(d, b);
	mutex_unlock(&d->lock);
	net_count(net_of(d->net), queued ? NC_UDP_IN : NC_UDP_FULL, 1);
	if (queued)
		sock_wake(d, EPOLLIN | EPOLLRDNORM);
	else
		skb_put(b);
}

/* What the receiver may ask about the datagram; and a source that the sender asked for. */
static void note_ip(const struct sock *s, struct skb *b, const struct sockmsg *m, const struct inet_addr *to,
		    struct inet_addr *from)
{
	const struct ip_info none = {0}, *want = m ? &m->ip : &none;
	bool v4 = inet_is_v4(to);

	if (want->has_src)
		memcpy(from->b, want->src, sizeof(from->b));
	b->ip.valid = true;
	b->ip.dst_port = to->port;
	memcpy(b->ip.dst, to->b, sizeof(b->ip.dst));
	b->ip.ttl = want->has_ttl ? want->ttl
				  : (int16_t)inet_opt_value(s, v4 ? IPPROTO_IP : IPPROTO_IPV6,
							    v4 ? IP_TTL : IPV6_UNICAST_HOPS);
	b->ip.tos = want->has_tos ? want->tos
				  : (uint8_t)inet_opt_value(s, v4 ? IPPROTO_IP : IPPROTO_IPV6,
							    v4 ? IP_TOS : IPV6_TCLASS);
}

#define ERRQ_MAX 32u
#define QUOTED_V4 548u		/* of a datagram in an ICMP message */
#define QUOTED_V6 1232u

/* Nobody listens there: the port unreachable message that comes back. Consumes b. */
static void came_back(struct sock *s, struct skb *b, const struct inet_addr *to, bool connected)
{
	bool v4 = inet_is_v4(to), queued = false;
	bool asked = inet_opt_value(s, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_RECVERR : IPV6_RECVERR);

	if (asked) {
		b->from_len = (uint8_t)inet_format(s, to, b->from);
		b->len = min(b->len, v4 ? QUOTED_V4 : QUOTED_V6);
		b->ip.err = ECONNREFUSED;
		mutex_lock(&s->lock);
		queued = s->inet->errq_len < ERRQ_MAX;
		if (queued) {
			list_add_tail(&s->inet->errq, &b->link);
			s->inet->errq_len++;
		}
		mutex_unlock(&s->lock);
	}
	if (!queued)
		skb_put(b);
	if (connected || asked)
		sock_set_err(s, ECONNREFUSED);
}

/* The oldest of the error queue; with the last one the pending error is gone. */
static int64_t recv_error(struct sock *s, struct uio *u, struct sockmsg *m)
{
	struct skb *b;
	uint32_t n;
	int64_t r;

	mutex_lock(&s->lock);
	b = list_first(&s->inet->errq, struct skb, link);
	if (b) {
		list_del(&b->link);
		if (!--s->inet->errq_len)
			s->err = 0;
	}
	mutex_unlock(&s->lock);
	if (!b)
		return -EAGAIN;
	n = (uint32_t)min((uint64_t)b->len, u->left);
	r = n ? uio_put(u, b->data, n) : 0;
	if (m) {
		memcpy(m->name, b->from, b->from_len);
		m->name_len = b->from_len;
		m->ip = b->ip;
		m->flags |= MSG_ERRQUEUE | (n < b->len ? MSG_TRUNC : 0);
	}
	skb_put(b);
	return r;
}

static int64_t udp_send(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	struct inet_addr to, from;
	uint64_t n = u->left;
	bool connected;
	struct sock *d;
	struct skb *b;
	int r;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	r = destination(s, m, &to, &connected);
	if (r == 0 && n > (inet_is_v4(&to) ? UDP_MAX_V4 : UDP_MAX_V6))
		r = -EMSGSIZE;
	if (r == 0 && (READ_ONCE(s->shut) & SHUT_OUT))
		r = -EPIPE;
	if (r == 0)
		r = sock_take_err(s);
	if (r == 0)
		r = inet_autobind(s);
	if (r)
		return r;
	b = skb_alloc(NULL, (uint32_t)n);
	if (!b)
		return -ENOBUFS;
	if (n && uio_get(u, b->data, n) != (int64_t)n) {
		skb_put(b);
		return -EFAULT;
	}
	source_towards(s, &to, &from);
	note_ip(s, b, m, &to, &from);
	net_count(net_of(s->net), NC_UDP_OUT, 1);
	net_count(net_of(s->net), NC_BYTES, n + 28);
	d = inet_find(net_of(s->net), PROTO_UDP, &to, &from);
	if (!d)
		net_count(net_of(s->net), NC_UDP_NOPORT, 1);
	if (d) {
		deliver(d, b, &from);
		sock_put(d);
	} else {
		came_back(s, b, &to, connected);
	}
	return (int64_t)n;
}

static int64_t udp_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	if (flags & MSG_ERRQUEUE)
		return recv_error(s, u, m);
	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	return packet_recv(s, u, m, flags);
}

static int udp_shutdown(struct sock *s, int how)
{
	int r;

	mutex_lock(&s->lock);
	r = s->state == ST_CONNECTED ? 0 : -ENOTCONN;
	s->shut |= (uint8_t)(how + 1);
	mutex_unlock(&s->lock);
	sock_wake(s, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP);
	return r;
}

static void udp_release(struct sock *s)
{
	struct list all = LIST_INIT(all);

	if (!s->inet)
		return;
	mutex_lock(&s->lock);
	s->dead = true;
	mutex_unlock(&s->lock);
	inet_unbind(s);
	rxq_purge(s);
	mutex_lock(&s->lock);
	list_splice_tail(&all, &s->inet->errq);
	mutex_unlock(&s->lock);
	skb_list_free(&all);
}

static uint32_t udp_poll(struct sock *s)
{
	uint32_t mask = stream_poll(s);

	return READ_ONCE(s->inet->errq_len) ? mask | EPOLLERR : mask;
}

static int64_t udp_ioctl(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct skb *b;
	int v = 0;

	if (cmd != SIOCINQ && cmd != SIOCOUTQ)
		return -ENOTTY;
	mutex_lock(&s->lock);
	b = cmd == SIOCINQ ? list_first(&s->rxq, struct skb, link) : NULL;
	v = b ? (int)b->len : 0;
	mutex_unlock(&s->lock);
	return put_user(t, UADDR(arg), v);
}

const struct sock_ops udp_ops = {
	.init = inet_init, .bind = inet_bind, .connect = udp_connect, .getname = inet_getname,
	.send = udp_send, .recv = udp_recv, .shutdown = udp_shutdown, .release = udp_release,
	.destroy = inet_destroy, .poll = udp_poll, .ioctl = udp_ioctl, .setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
};
