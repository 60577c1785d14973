/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and ports: who is bound to what, per namespace and protocol. */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

static KCACHE(inet_sock_cache, struct inet_sock, 0);

#define PORT_FIRST 32768u
#define PORT_LAST 60999u

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

int inet_init(struct sock *s)
{
	struct inet_sock *is = kc_alloc(&inet_sock_cache);

	if (!is)
		return -ENOMEM;
	list_init(&is->port_link);
	list_init(&is->pending);
	list_init(&is->pending_link);
	list_init(&is->errq);
	is->sock = s;
	inet_opts_init(is);
	if (s->family == AF_INET)
		memcpy(is->local.b, v4_prefix, sizeof(v4_prefix)), memcpy(is->remote.b, v4_prefix, sizeof(v4_prefix));
	s->inet = is;
	s->protocol = s->type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	if (s->type == SOCK_STREAM) {
		s->sndbuf = 2626560;
		s->rcvbuf = 131072;
	}
	return 0;
}

void inet_destroy(struct sock *s)
{
	kc_free(&inet_sock_cache, s->inet);
	s->inet = NULL;
}

bool inet_bytes_v4(const uint8_t b[16])
{
	return !memcmp(b, v4_prefix, sizeof(v4_prefix));
}

bool inet_is_v4(const struct inet_addr *a)
{
	return inet_bytes_v4(a->b);
}

bool inet_is_any(const struct inet_addr *a)
{
	static const uint8_t zero[16];

	return inet_is_v4(a) ? !memcmp(a->b + 12, zero, 4) : !memcmp(a->b, zero, 16);
}

bool inet_is_loopback(const struct inet_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};

	return inet_is_v4(a) ? a->b[12] == 127 : !memcmp(a->b, one, 16);
}

bool inet_same(const struct inet_addr *a, const struct inet_addr *b)
{
	return !memcmp(a->b, b->b, 16);
}

void inet_loopback(bool v4, struct inet_addr *out)
{
	static const uint8_t v4_lo[4] = {127, 0, 0, 1};

	memset(out->b, 0, 16);
	if (v4) {
		memcpy(out->b, v4_prefix, sizeof(v4_prefix));
		memcpy(out->b + 12, v4_lo, 4);
	} else {
		out->b[15] = 1;
	}
}

int inet_parse(const struct sock *s, const void *addr, uint32_t len, struct inet_addr *out)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	uint16_t family;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, addr, sizeof(family));
	if (family == AF_UNSPEC)
		return 1;
	if (s->family == AF_INET || (family == AF_INET && s->type == SOCK_DGRAM)) {
		if (len < sizeof(in))
			return -EINVAL;
		if (family != AF_INET)
			return -EAFNOSUPPORT;
		memcpy(&in, addr, sizeof(in));
		memcpy(out->b, v4_prefix, sizeof(v4_prefix));
		memcpy(out->b + 12, &in.sin_addr, 4);
		out->port = ntohs(in.sin_port);
		return 0;
	}
	if (len < 24)	/* SIN6_LEN_RFC2133 */
		return -EINVAL;
	if (family != AF_INET6)
		return -EAFNOSUPPORT;
	memcpy(&in6, addr, 24);
	memcpy(out->b, &in6.sin6_addr, 16);
	out->port = ntohs(in6.sin6_port);
	return 0;
}

uint32_t inet_format(const struct sock *s, const struct inet_addr *a, void *out)
{
	if (s->family == AF_INET) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};

		memcpy(&in.sin_addr, a->b + 12, 4);
		memcpy(out, &in, sizeof(in));
		return sizeof(in);
	}
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};

	memcpy(&in6.sin6_addr, a->b, 16);
	memcpy(out, &in6, sizeof(in6));
	return sizeof(in6);
}

int inet_getname(struct sock *s, bool peer, void *addr, uint32_t *len)
{
	struct inet_sock *is = s->inet;
	int r = 0;

	mutex_lock(&s->lock);
	if (peer && (!is->remote.port || s->state == ST_CLOSED || s->state == ST_CONNECTING))
		r = -ENOTCONN;
	else
		*len = inet_format(s, peer ? &is->remote : &is->local, addr);
	mutex_unlock(&s->lock);
	return r;
}

/* --- ports ------------------------------------------------------------------------------------ */

static int proto_of(const struct sock *s)
{
	return s->type == SOCK_STREAM ? PROTO_TCP : PROTO_UDP;
}

static struct list *port_bucket(struct net *n, int proto, uint16_t port)
{
	return &n->ports[proto][port % PORT_BUCKETS];
}

/* Could one packet go to both? */
static bool overlap(const struct sock *a, const struct inet_addr *la, const struct sock *b)
{
	const struct inet_addr *lb = &b->inet->local;

	if (a->family != b->family || inet_is_v4(la) != inet_is_v4(lb)) {
		const struct sock *s6 = inet_is_v4(la) ? b : a;
		const struct inet_addr *l6 = inet_is_v4(la) ? lb : la;

		if (inet_is_v4(la) != inet_is_v4(lb))
			return inet_is_any(l6) && !inet_v6only(s6);
	}
	return inet_is_any(la) || inet_is_any(lb) || inet_same(la, lb);
}

static bool may_share(const struct sock *a, const struct sock *b)
{
	if (sock_opt(a, SKO_REUSEPORT) && sock_opt(b, SKO_REUSEPORT) && a->uid == b->uid)
		return true;
	return sock_opt(a, SKO_REUSEADDR) && sock_opt(b, SKO_REUSEADDR) &&
	       (a->type != SOCK_STREAM || READ_ONCE(b->state) != ST_LISTEN);
}

static bool conflict_locked(struct net *n, const struct sock *s, const struct inet_addr *la)
{
	struct inet_sock *o;

	list_for_each(o, port_bucket(n, proto_of(s), la->port), port_link)
		if (o->sock != s && o->local.port == la->port && overlap(s, la, o->sock) && !may_share(s, o->sock))
			return true;
	return false;
}

static bool port_used_locked(struct net *n, const struct sock *s, uint16_t port)
{
	struct inet_sock *o;

	list_for_each(o, port_bucket(n, proto_of(s), port), port_link)
		if (o->local.port == port)
			return true;
	return false;
}

static int pick_port_locked(struct net *n, const struct sock *s, uint16_t *port)
{
	for (uint32_t i = 0; i <= PORT_LAST - PORT_FIRST; i++) {
		uint16_t p = (uint16_t)(PORT_FIRST + n->next_port++ % (PORT_LAST - PORT_FIRST + 1));

		if (!port_used_locked(n, s, p)) {
			*port = p;
			return 0;
		}
	}
	return -EADDRINUSE;
}

static void link_locked(struct net *n, struct sock *s, const struct inet_addr *la)
{
	s->inet->local = *la;
	s->inet->bound = true;
	list_add_tail(port_bucket(n, proto_of(s), la->port), &s->inet->port_link);
}

static int bind_to(struct sock *s, struct inet_addr *la, bool by_user)
{
	struct net *n = net_of(s->net);
	int r = 0;

	if (!n)
		return -ENOMEM;
	mutex_lock(&s->lock);
	mutex_lock(&n->lock);
	if (s->inet->bound || s->state != ST_CLOSED || s->dead)
		r = -EINVAL;
	else if (!la->port)
		r = pick_port_locked(n, s, &la->port);
	else if (conflict_locked(n, s, la))
		r = -EADDRINUSE;
	if (r == 0) {
		link_locked(n, s, la);
		s->inet->bound_addr = by_user && !inet_is_any(la);
		s->inet->bound_port = by_user;
	}
	mutex_unlock(&n->lock);
	mutex_unlock(&s->lock);
	return r;
}

int inet_bind(struct sock *s, struct task *t, const void *addr, uint32_t len)
{
	struct inet_addr la;
	int r = inet_parse(s, addr, len, &la);

	if (r == 1 && s->family == AF_INET && len >= sizeof(struct sockaddr_in)) {
		struct sockaddr_in in;	/* AF_UNSPEC with 0.0.0.0, by tradition */

		memcpy(&in, addr, sizeof(in));
		if (in.sin_addr.s_addr)
			return -EAFNOSUPPORT;
		in.sin_family = AF_INET;
		r = inet_parse(s, &in, sizeof(in), &la);
	}
	if (r)
		return r == 1 ? -EAFNOSUPPORT : r;
	if (!inet_is_any(&la) && !(inet_is_loopback(&la) && (inet_is_v4(&la) || net_lo_has(s->net, true))))
		return -EADDRNOTAVAIL;
	if (s->family == AF_INET6 && inet_is_v4(&la) && inet_v6only(s))
		return -EINVAL;
	if (la.port && la.port < sysctl_get(SYSCTL_port_start) &&
	    !cred_ns_capable(t->cred, s->net->user_ns, CAP_NET_BIND_SERVICE))
		return -EACCES;
	return bind_to(s, &la, true);
}

int inet_autobind(struct sock *s)
{
	struct inet_addr la;
	int r;

	if (READ_ONCE(s->inet->bound))
		return 0;
	la = s->inet->local;
	la.port = 0;
	r = bind_to(s, &la, false);
	return r == -EADDRINUSE ? -EAGAIN : r == -EINVAL && READ_ONCE(s->inet->bound) ? 0 : r;
}

void inet_share_port(struct sock *s)
{
	struct net *n = net_of(s->net);
	struct inet_addr la = s->inet->local;

	mutex_lock(&n->lock);
	link_locked(n, s, &la);
	mutex_unlock(&n->lock);
}

void inet_unbind(struct sock *s)
{
	struct net *n = net_of(s->net);

	if (!n)
		return;
	mutex_lock(&n->lock);
	list_del(&s->inet->port_link);
	s->inet->bound = false;
	mutex_unlock(&n->lock);
}

/* A connection came to nothing: what bind(2) did not set is free again. */
void inet_unbind_auto(struct sock *s)
{
	struct inet_sock *is = s->inet;

	if (!is->bound_port) {
		inet_unbind(s);
		is->local.port = 0;
	}
	if (!is->bound_addr) {
		memset(is->local.b + 12, 0, 4);
		if (s->family == AF_INET6)
			memset(is->local.b, 0, 16);
	}
}

/* How well a socket fits a packet; -1 not at all. A listener has no remote end. */
static int score(const struct sock *s, int proto, const struct inet_addr *to, const struct inet_addr *from)
{
	const struct inet_sock *is = s->inet;
	int n = 0;

	if (is->local.port != to->port || s->dead)
		return -1;
	if (proto == PROTO_TCP && READ_ONCE(s->state) != ST_LISTEN)
		return -1;
	if (inet_is_any(&is->local)) {
		if (inet_is_v4(&is->local) != inet_is_v4(to) && (inet_is_v4(&is->local) || inet_v6only(s)))
			return -1;
	} else {
		if (!inet_same(&is->local, to))
			return -1;
		n += 2;
	}
	if (proto == PROTO_UDP && is->remote.port) {
		if (is->remote.port != from->port || !inet_same(&is->remote, from))
			return -1;
		n += 4;
	}
	return n + (inet_is_v4(&is->local) == inet_is_v4(to));
}

struct sock *inet_find(struct net *n, int proto, const struct inet_addr *to, const struct inet_addr *from)
{
	struct sock *best = NULL;
	int best_score = -1;
	unsigned same = 0;
	struct inet_sock *o;

	mutex_lock(&n->lock);
	list_for_each(o, port_bucket(n, proto, to->port), port_link) {
		int sc = score(o->sock, proto, to, from);

		if (sc < 0 || sc < best_score)
			continue;
		if (sc > best_score) {
			best = o->sock, best_score = sc, same = 1;
		} else if (sock_opt(o->sock, SKO_REUSEPORT)) {	/* a group: spread by the sender's port */
			if (from->port % ++same == 0)
				best = o->sock;
		} else if (proto == PROTO_UDP) {
			best = o->sock;		/* the latest to bind, as in Linux */
		}
	}
	if (best && !ref_get_unless_zero(&best->ref))
		best = NULL;
	mutex_unlock(&n->lock);
	return best;
}
