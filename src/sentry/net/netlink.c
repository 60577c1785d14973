/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_NETLINK, family ROUTE: enough to look at the only interface (getifaddrs, ip link, ip addr).
 * Requests are answered into the socket's own queue; lo can be set up and down, other changes are
 * refused.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/net/net.h"
#include "sentry/net/netlink_int.h"
#include "sentry/net/sock.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

static KCACHE(netlink_cache, struct netlink_sock, 0);

#define MSG_MAX 16384u		/* a request longer than this is refused */

static void *reserve(struct nl_reply *r, uint32_t n)
{
	void *p;

	if (r->full || NL_REPLY_MAX - r->at < NLMSG_ALIGN(n)) {
		r->full = true;
		return NULL;
	}
	p = r->b->data + r->at;
	r->at += NLMSG_ALIGN(n);
	return p;
}

void nl_msg_begin(struct nl_reply *r, const struct nlmsghdr *req, uint16_t type, uint16_t flags, uint32_t port,
		      const void *body, uint32_t n)
{
	struct nlmsghdr *h;

	r->start = r->at;
	h = reserve(r, NLMSG_HDRLEN);
	if (!h)
		return;
	*h = (struct nlmsghdr){.nlmsg_type = type,
			       .nlmsg_flags = flags,
			       .nlmsg_seq = req->nlmsg_seq,
			       .nlmsg_pid = port};
	void *p = reserve(r, n);
	if (p)
		memcpy(p, body, n);
}

void nl_attr(struct nl_reply *r, uint16_t type, const void *data, uint16_t n)
{
	struct rtattr *a = reserve(r, (uint32_t)RTA_LENGTH(n));

	if (!a)
		return;
	a->rta_len = (unsigned short)RTA_LENGTH(n);
	a->rta_type = type;
	if (n)
		memcpy(RTA_DATA(a), data, n);
}

void nl_attr32(struct nl_reply *r, uint16_t type, uint32_t v)
{
	nl_attr(r, type, &v, sizeof(v));
}

const char *nl_attr_next(struct nl_attrs *w, struct rtattr *a)
{
	const char *p;

	if (w->n <= w->at || w->n - w->at < sizeof(*a))
		return NULL;
	memcpy(a, w->body + w->at, sizeof(*a));
	if (a->rta_len < sizeof(*a) || a->rta_len > w->n - w->at)
		return NULL;
	p = w->body + w->at + sizeof(*a);
	w->at += NLMSG_ALIGN(a->rta_len);
	return p;
}

void nl_msg_end(struct nl_reply *r)
{
	if (!r->full)
		((struct nlmsghdr *)(void *)(r->b->data + r->start))->nlmsg_len = r->at - r->start;
}

static void add_link(struct nl_reply *r, const struct nlmsghdr *req, uint16_t flags, uint32_t port, struct net_ns *ns)
{
	struct ifinfomsg ifi = {.ifi_type = ARPHRD_LOOPBACK, .ifi_index = 1, .ifi_flags = net_lo_flags(ns)};
	static const uint8_t mac[6];
	uint8_t state = ifi.ifi_flags & IFF_UP ? 0 : 2;	/* IF_OPER_UNKNOWN, as lo has; _DOWN */

	if (ifi.ifi_flags & IFF_UP)
		ifi.ifi_flags |= 0x10000;	/* IFF_LOWER_UP */

	nl_msg_begin(r, req, RTM_NEWLINK, flags, port, &ifi, sizeof(ifi));
	nl_attr(r, IFLA_IFNAME, "lo", 3);
	nl_attr32(r, IFLA_TXQLEN, 1000);
	nl_attr(r, IFLA_OPERSTATE, &state, 1);
	state = 0;
	nl_attr(r, IFLA_LINKMODE, &state, 1);
	nl_attr32(r, IFLA_MTU, 65536);
	nl_attr32(r, IFLA_GROUP, 0);
	nl_attr32(r, IFLA_PROMISCUITY, 0);
	nl_attr32(r, IFLA_NUM_TX_QUEUES, 1);
	nl_attr32(r, IFLA_NUM_RX_QUEUES, 1);
	state = 1;
	nl_attr(r, IFLA_CARRIER, &state, 1);
	nl_attr(r, IFLA_QDISC, ifi.ifi_flags & IFF_UP ? "noqueue" : "noop", ifi.ifi_flags & IFF_UP ? 8 : 5);
	nl_attr(r, IFLA_ADDRESS, mac, sizeof(mac));
	nl_attr(r, IFLA_BROADCAST, mac, sizeof(mac));
	nl_msg_end(r);
}

static void add_addr(struct nl_reply *r, const struct nlmsghdr *req, uint32_t port, bool v6)
{
	struct ifaddrmsg ifa = {.ifa_family = v6 ? AF_INET6 : AF_INET, .ifa_prefixlen = v6 ? 128 : 8,
		.ifa_flags = IFA_F_PERMANENT, .ifa_scope = RT_SCOPE_HOST, .ifa_index = 1};
	static const uint8_t lo4[4] = {127, 0, 0, 1}, lo6[16] = {[15] = 1};
	struct ifa_cacheinfo ci = {.ifa_prefered = ~0u, .ifa_valid = ~0u};

	nl_msg_begin(r, req, RTM_NEWADDR, NLM_F_MULTI, port, &ifa, sizeof(ifa));
	if (v6) {
		nl_attr(r, IFA_ADDRESS, lo6, sizeof(lo6));
	} else {
		nl_attr(r, IFA_ADDRESS, lo4, sizeof(lo4));
		nl_attr(r, IFA_LOCAL, lo4, sizeof(lo4));
		nl_attr(r, IFA_LABEL, "lo", 3);
	}
	nl_attr32(r, IFA_FLAGS, IFA_F_PERMANENT);
	nl_attr(r, IFA_CACHEINFO, &ci, sizeof(ci));
	nl_msg_end(r);
}

int nl_reply_begin(struct sock *s, struct nl_reply *r)
{
	*r = (struct nl_reply){.b = skb_alloc(NULL, NL_REPLY_MAX)};
	return r->b ? 0 : -ENOBUFS;
}

void nl_reply_send(struct sock *s, struct nl_reply *r)
{
	struct sockaddr_nl from = {.nl_family = AF_NETLINK};
	bool room;

	if (!r->at) {
		skb_put(r->b);
		return;
	}
	r->b->len = r->at;
	memcpy(r->b->from, &from, sizeof(from));
	r->b->from_len = sizeof(from);
	mutex_lock(&s->lock);
	room = s->rmem + r->b->truesize <= s->rcvbuf && !s->dead;
	if (room)
		rxq_add_locked(s, r->b);
	mutex_unlock(&s->lock);
	if (room) {
		sock_wake(s, EPOLLIN | EPOLLRDNORM);
	} else {
		skb_put(r->b);
		sock_set_err(s, ENOBUFS);
	}
}

int netlink_may_tell(struct file *f)
{
	struct sock *s = sock_of(f);

	return !s ? -ENOTSOCK : s->family != AF_NETLINK ? -EINVAL : 0;
}

void netlink_tell(struct file *f, const void *data, uint32_t n)
{
	struct sock *s = sock_of(f);
	struct nl_reply r;
	void *p;

	if (nl_reply_begin(s, &r))
		return;
	p = reserve(&r, n);
	if (p)
		memcpy(p, data, n);
	nl_reply_send(s, &r);
}

int nl_send_done(struct sock *s, const struct nlmsghdr *req)
{
	struct nl_reply r;
	int zero = 0, err = nl_reply_begin(s, &r);

	if (err)
		return err;
	nl_msg_begin(&r, req, NLMSG_DONE, NLM_F_MULTI, s->nl->port, &zero, sizeof(zero));
	nl_msg_end(&r);
	nl_reply_send(s, &r);
	return 0;
}

int nl_send_ack(struct sock *s, const struct nlmsghdr *req, int error)
{
	struct nlmsgerr e = {.error = error, .msg = *req};
	struct nl_reply r;
	int err = nl_reply_begin(s, &r);

	if (err)
		return err;
	nl_msg_begin(&r, req, NLMSG_ERROR, error ? 0 : NLM_F_CAPPED, s->nl->port, &e, sizeof(e));
	nl_msg_end(&r);
	nl_reply_send(s, &r);
	return 0;
}

static int dump(struct sock *s, const struct nlmsghdr *req, uint8_t family)
{
	struct nl_reply r;
	int err = 0;

	if (req->nlmsg_type == RTM_GETLINK || req->nlmsg_type == RTM_GETADDR) {
		err = nl_reply_begin(s, &r);
		if (err)
			return err;
		if (req->nlmsg_type == RTM_GETLINK)
			add_link(&r, req, NLM_F_MULTI, s->nl->port, s->net);
		else {
			if (family != AF_INET6 && net_lo_has(s->net, false))
				add_addr(&r, req, s->nl->port, false);
			if (family != AF_INET && net_lo_has(s->net, true))
				add_addr(&r, req, s->nl->port, true);
		}
		nl_reply_send(s, &r);
	}
	return nl_send_done(s, req);
}

static bool is_lo(const struct rtattr *a, const char *name)
{
	size_t n = a->rta_len - sizeof(*a);

	return a->rta_type == IFLA_IFNAME && strnlen(name, n) == 2 && !memcmp(name, "lo", 2);
}

/* Does a message about a link mean lo, by number, or without one by name? */
static bool means_lo(const char *body, uint32_t n, struct ifinfomsg *ifi)
{
	struct nl_attrs at = {.body = body, .n = n, .at = NLMSG_ALIGN(sizeof(*ifi))};
	struct rtattr a;
	const char *p;
	bool match = false;

	*ifi = (struct ifinfomsg){0};
	memcpy(ifi, body, min(n, (uint32_t)sizeof(*ifi)));
	while ((p = nl_attr_next(&at, &a)))
		match |= is_lo(&a, p);
	return ifi->ifi_index ? ifi->ifi_index == 1 : match;
}

/* RTM_NEWLINK: up and down is all that can be set. */
static int set_link(struct sock *s, const char *body, uint32_t n)
{
	struct ifinfomsg ifi;

	if (!means_lo(body, n, &ifi))
		return -ENODEV;
	if (!(ifi.ifi_change & IFF_UP))
		return -EPERM;
	return net_lo_set(s->net, current, ifi.ifi_flags & IFF_UP);
}

/* RTM_NEWADDR: lo may be given the address that it gets by itself anyway. */
static int set_addr(struct sock *s, const char *body, uint32_t n)
{
	struct nl_attrs at = {.body = body, .n = n, .at = NLMSG_ALIGN(sizeof(struct ifaddrmsg))};
	struct ifaddrmsg ifa = {0};
	static const uint8_t one[16] = {[15] = 1};
	bool usual = false;
	struct rtattr a;
	const char *p;

	if (n < sizeof(ifa))
		return -EINVAL;
	memcpy(&ifa, body, sizeof(ifa));
	if (ifa.ifa_index != 1)
		return -ENODEV;
	while ((p = nl_attr_next(&at, &a)))
		if (a.rta_type == IFA_LOCAL || a.rta_type == IFA_ADDRESS)
			usual = (ifa.ifa_family == AF_INET && a.rta_len == sizeof(a) + 4 && p[0] == 127) ||
				(ifa.ifa_family == AF_INET6 && a.rta_len == sizeof(a) + 16 && !memcmp(p, one, 16));
	return usual ? net_lo_addr(s->net, current, ifa.ifa_family == AF_INET6) : -EPERM;
}

static int get_link(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n)
{
	struct ifinfomsg ifi;
	struct nl_reply r;
	int err;

	if (!means_lo(body, n, &ifi))
		return -ENODEV;
	err = nl_reply_begin(s, &r);
	if (err)
		return err;
	add_link(&r, req, 0, s->nl->port, s->net);
	nl_reply_send(s, &r);
	return 0;
}

static bool may_dump(uint16_t type)
{
	switch (type) {
	case RTM_GETLINK: case RTM_GETADDR: case RTM_GETROUTE: case RTM_GETNEIGH: case RTM_GETRULE:
	case RTM_GETQDISC: case RTM_GETTCLASS: case RTM_GETTFILTER: case RTM_GETNEIGHTBL:
	case RTM_GETADDRLABEL:
		return true;
	}
	return false;
}

static int handle(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n)
{
	int err = 0;

	if (!(req->nlmsg_flags & NLM_F_REQUEST) || req->nlmsg_type < NLMSG_MIN_TYPE)
		;
	else if (s->protocol == NETLINK_SOCK_DIAG)
		return sock_diag(s, req, body, n);
	else if (req->nlmsg_type < RTM_BASE || req->nlmsg_type > RTM_MAX)
		err = -EOPNOTSUPP;
	else if (req->nlmsg_type == RTM_NEWLINK)
		err = set_link(s, body, n);
	else if (req->nlmsg_type == RTM_NEWADDR)
		err = set_addr(s, body, n);
	else if ((req->nlmsg_type & 3) != 2)	/* not a GET */
		err = -EPERM;
	else if ((req->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
		return req->nlmsg_type == RTM_GETROUTE || req->nlmsg_type == RTM_GETRULE
			? netlink_route_dump(s, req, body, n)
			: may_dump(req->nlmsg_type) ? dump(s, req, n ? (uint8_t)body[0] : AF_UNSPEC)
						 : nl_send_ack(s, req, -EOPNOTSUPP);
	else if (req->nlmsg_type == RTM_GETLINK)
		err = get_link(s, req, body, n);
	else
		err = req->nlmsg_type == RTM_GETROUTE ? netlink_route_get(s, req, body, n) : -EOPNOTSUPP;
	return err || (req->nlmsg_flags & NLM_F_ACK) ? nl_send_ack(s, req, err) : 0;
}

static bool taken_locked(struct net *n, const struct sock *s, uint32_t port)
{
	struct netlink_sock *o;

	list_for_each(o, &n->netlinks, link)
		if (o->port == port && o->protocol == s->protocol)
			return true;
	return false;
}

/* The socket's address: the one asked for, or its process's number, or what is free (netlink(7)). */
static int nl_bind_port(struct sock *s, uint32_t port)
{
	struct net *n = net_of(s->net);
	int r = 0;

	if (!n)
		return -ENOMEM;
	mutex_lock(&n->lock);
	if (!s->nl->port) {
		bool any = !port;

		if (any)
			port = (uint32_t)task_tgid_nr(current, task_pid_ns(current));
		while (any && taken_locked(n, s, port))
			port = 0xffffffffu - 4096 - n->next_netlink++;
		if (taken_locked(n, s, port)) {
			r = -EADDRINUSE;
		} else {
			s->nl->port = port;
			s->nl->protocol = s->protocol;
			list_add(&n->netlinks, &s->nl->link);
		}
	}
	mutex_unlock(&n->lock);
	return r;
}

static int nl_autobind(struct sock *s)
{
	return nl_bind_port(s, 0);
}

static int64_t netlink_send(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	uint32_t n = (uint32_t)min(u->left, (uint64_t)MSG_MAX + 1), at = 0;
	char *buf;
	int r = 0;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (n > MSG_MAX)
		return -EMSGSIZE;
	buf = kmalloc(n ? n : 1);
	if (!buf)
		return -ENOBUFS;
	if (n && uio_get(u, buf, n) != (int64_t)n) {
		kfree(buf);
		return -EFAULT;
	}
	r = nl_autobind(s);
	while (r == 0 && n - at >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr h;

		memcpy(&h, buf + at, sizeof(h));
		if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > n - at)
			break;
		r = handle(s, &h, buf + at + sizeof(h), h.nlmsg_len - (uint32_t)sizeof(h));
		at += min((uint32_t)NLMSG_ALIGN(h.nlmsg_len), n - at);
	}
	kfree(buf);
	return r ? r : (int64_t)n;
}

static int64_t netlink_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags)
{
	return flags & MSG_OOB ? -EOPNOTSUPP : packet_recv(s, u, m, flags);
}

static int netlink_init(struct sock *s)
{
	s->nl = kc_alloc(&netlink_cache);
	return s->nl ? 0 : -ENOMEM;
}

static int netlink_bind(struct sock *s, struct task *t, const void *addr, uint32_t len)
{
	struct sockaddr_nl nl;

	if (len < sizeof(nl))
		return -EINVAL;
	memcpy(&nl, addr, sizeof(nl));
	if (nl.nl_family != AF_NETLINK || (s->nl->port && nl.nl_pid && nl.nl_pid != s->nl->port))
		return -EINVAL;
	s->nl->groups = nl.nl_groups;	/* nothing ever changes, so nothing is ever sent to them */
	return nl_bind_port(s, nl.nl_pid);
}

static int netlink_connect(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock)
{
	struct sockaddr_nl nl;

	if (len < sizeof(nl))
		return -EINVAL;
	memcpy(&nl, addr, sizeof(nl));
	return nl.nl_family != AF_NETLINK ? -EINVAL : nl.nl_pid ? -EPERM : nl_autobind(s);
}

static int netlink_getname(struct sock *s, bool peer, void *addr, uint32_t *len)
{
	struct sockaddr_nl nl = {.nl_family = AF_NETLINK};

	if (!peer)
		nl.nl_pid = s->nl->port, nl.nl_groups = s->nl->groups;
	memcpy(addr, &nl, sizeof(nl));
	*len = sizeof(nl);
	return 0;
}

static void netlink_release(struct sock *s)
{
	struct net *n = net_of(s->net);

	if (n && s->nl) {
		mutex_lock(&n->lock);
		if (s->nl->port)
			list_del(&s->nl->link);
		s->nl->port = 0;
		mutex_unlock(&n->lock);
	}
	mutex_lock(&s->lock);
	s->dead = true;
	mutex_unlock(&s->lock);
	rxq_purge(s);
}

static void netlink_destroy(struct sock *s)
{
	kc_free(&netlink_cache, s->nl);
}

static int netlink_setsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len)
{
	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	switch (name) {		/* what a listener to silence may ask for */
	case NETLINK_ADD_MEMBERSHIP: case NETLINK_DROP_MEMBERSHIP: case NETLINK_PKTINFO:
	case NETLINK_NO_ENOBUFS: case NETLINK_EXT_ACK: case NETLINK_GET_STRICT_CHK: case NETLINK_CAP_ACK:
		return 0;
	}
	return -ENOPROTOOPT;
}

const struct sock_ops netlink_ops = {
	.init = netlink_init, .bind = netlink_bind, .connect = netlink_connect, .getname = netlink_getname,
	.send = netlink_send, .recv = netlink_recv, .release = netlink_release, .destroy = netlink_destroy,
	.poll = stream_poll, .setsockopt = netlink_setsockopt,
};
