/* SPDX-License-Identifier: Apache-2.0 */
/* NETLINK_SOCK_DIAG (sock_diag(7)): the sockets of the namespace, as ss asks for them. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/net/netlink_int.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

#define SHOWN_MAX 4096u		/* sockets of one answer */
#define ONE_MAX 400u		/* bytes of one message */

struct dump {
	struct sock *s;			/* who asks */
	const struct nlmsghdr *req;
	struct nl_reply r;
	int err;
};

static void flush(struct dump *d)
{
	if (d->r.b && d->r.at)
		nl_reply_send(d->s, &d->r);
	else
		skb_put(d->r.b);
	d->r.b = NULL;
}

/* Room for one more message. */
static bool room(struct dump *d)
{
	if (d->r.b && NL_REPLY_MAX - d->r.at < ONE_MAX)
		flush(d);
	if (!d->r.b && !d->err)
		d->err = nl_reply_begin(d->s, &d->r);
	return !d->err;
}

/* References to at most `max` sockets of a table; locks of sockets are outside the table's. */
static uint32_t collect(struct net *n, int proto, int family, struct sock **out, uint32_t max)
{
	struct inet_sock *is;
	struct unix_sock *us;
	uint32_t k = 0;

	mutex_lock(&n->lock);
	if (family == AF_UNIX) {
		list_for_each(us, &n->unix_all, all_link)
			if (k < max && ref_get_unless_zero(&us->sock->ref))
				out[k++] = us->sock;
	} else {
		for (unsigned i = 0; i < PORT_BUCKETS; i++)
			list_for_each(is, &n->ports[proto][i], port_link)
				if (k < max && is->sock->family == family && ref_get_unless_zero(&is->sock->ref))
					out[k++] = is->sock;
	}
	mutex_unlock(&n->lock);
	return k;
}

static uint32_t unread_locked(struct sock *s)
{
	struct skb *k;
	uint32_t n = 0;

	list_for_each(k, &s->rxq, link)
		n += k->len - k->off;
	return n;
}

/* --- inet ---------------------------------------------------------------------------------------- */

static void put_sockaddr(const struct inet_addr *a, bool v6, __be16 *port, __be32 out[4])
{
	*port = htons(a->port);
	if (v6)
		memcpy(out, a->b, 16);
	else
		memcpy(out, a->b + 12, 4);
}

static void show_inet(struct dump *d, struct sock *o, uint32_t states)
{
	struct inet_diag_msg m = {.idiag_family = (uint8_t)o->family};
	bool v6 = o->family == AF_INET6;
	uint8_t shut, only6;

	mutex_lock(&o->lock);
	m.idiag_state = (uint8_t)(o->type == SOCK_STREAM ? tcp_state(o)
				  : o->state == ST_CONNECTED ? TCP_ESTABLISHED : TCP_CLOSE);
	put_sockaddr(&o->inet->local, v6, &m.id.idiag_sport, m.id.idiag_src);
	put_sockaddr(&o->inet->remote, v6, &m.id.idiag_dport, m.id.idiag_dst);
	m.idiag_rqueue = o->state == ST_LISTEN ? o->acceptq_len : unread_locked(o);
	m.idiag_wqueue = o->state == ST_LISTEN ? (uint32_t)o->backlog : 0;
	shut = o->shut;
	only6 = inet_v6only(o) || !(inet_is_any(&o->inet->local) || inet_is_v4(&o->inet->local));
	mutex_unlock(&o->lock);
	if (!(states & 1u << m.idiag_state) || !room(d))
		return;
	m.id.idiag_cookie[0] = (uint32_t)o->ino;
	m.idiag_uid = uid_to_ns(current->cred->user_ns, o->uid);
	m.idiag_inode = (uint32_t)o->ino;
	nl_msg_begin(&d->r, d->req, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, d->s->nl->port, &m, sizeof(m));
	nl_attr(&d->r, INET_DIAG_SHUTDOWN, &shut, 1);
	if (v6)
		nl_attr(&d->r, INET_DIAG_SKV6ONLY, &only6, 1);
	nl_msg_end(&d->r);
}

/* --- unix ---------------------------------------------------------------------------------------- */

static void show_unix(struct dump *d, struct sock *o, uint32_t states, uint32_t show)
{
	struct unix_diag_msg m = {.udiag_family = AF_UNIX, .udiag_type = (uint8_t)o->type,
				  .udiag_ino = (uint32_t)o->ino, .udiag_cookie = {(uint32_t)o->ino}};
	struct unix_diag_rqlen q = {0};
	uint32_t peer = 0, name_len = 0;
	char name[128];
	uint8_t shut;

	mutex_lock(&o->lock);
	m.udiag_state = o->state == ST_LISTEN ? TCP_LISTEN : o->state == ST_CONNECTED ? TCP_ESTABLISHED : TCP_CLOSE;
	if (o->unix_->addr) {
		name_len = min(o->unix_->addr->len, (uint32_t)sizeof(name));
		memcpy(name, o->unix_->addr->name, name_len);
		if (name_len && name[0])	/* a path: without its end */
			name_len = (uint32_t)strnlen(name, name_len);
	}
	peer = o->peer ? (uint32_t)o->peer->ino : 0;
	q.udiag_rqueue = o->state == ST_LISTEN ? o->acceptq_len : unread_locked(o);
	q.udiag_wqueue = o->state == ST_LISTEN ? (uint32_t)o->backlog : 0;
	shut = o->shut;
	mutex_unlock(&o->lock);
	if (!(states & 1u << m.udiag_state) || !room(d))
		return;
	nl_msg_begin(&d->r, d->req, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, d->s->nl->port, &m, sizeof(m));
	if ((show & UDIAG_SHOW_NAME) && name_len)
		nl_attr(&d->r, UNIX_DIAG_NAME, name, (uint16_t)name_len);
	if ((show & UDIAG_SHOW_PEER) && peer)
		nl_attr(&d->r, UNIX_DIAG_PEER, &peer, sizeof(peer));
	if (show & UDIAG_SHOW_RQLEN)
		nl_attr(&d->r, UNIX_DIAG_RQLEN, &q, sizeof(q));
	nl_attr(&d->r, UNIX_DIAG_SHUTDOWN, &shut, 1);
	nl_msg_end(&d->r);
}

/* --- the request --------------------------------------------------------------------------------- */

static int dump(struct dump *d, int proto, int family, uint32_t states, uint32_t show)
{
	struct net *n = net_of(d->s->net);
	struct sock **found = n ? kmalloc_array(SHOWN_MAX, sizeof(*found)) : NULL;
	uint32_t k;

	if (!found)
		return -ENOMEM;
	k = collect(n, proto, family, found, SHOWN_MAX);
	for (uint32_t i = 0; i < k; i++) {
		if (family == AF_UNIX)
			show_unix(d, found[i], states, show);
		else
			show_inet(d, found[i], states);
		sock_put(found[i]);
	}
	kfree(found);
	flush(d);
	return d->err ? d->err : nl_send_done(d->s, d->req);
}

int sock_diag(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n)
{
	struct dump d = {.s = s, .req = req};
	struct inet_diag_req_v2 in;
	struct unix_diag_req un;
	uint8_t family = n ? (uint8_t)body[0] : 0;

	if (req->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return nl_send_ack(s, req, -EINVAL);
	if (family == AF_UNIX && n >= sizeof(un) && (req->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP) {
		memcpy(&un, body, sizeof(un));
		return dump(&d, 0, AF_UNIX, un.udiag_states, un.udiag_show);
	}
	if ((family == AF_INET || family == AF_INET6) && n >= sizeof(in)) {
		memcpy(&in, body, sizeof(in));
		if (in.sdiag_protocol != IPPROTO_TCP && in.sdiag_protocol != IPPROTO_UDP)
			return nl_send_ack(s, req, -ENOENT);
		if ((req->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP)
			return dump(&d, in.sdiag_protocol == IPPROTO_UDP ? PROTO_UDP : PROTO_TCP, family,
				    in.idiag_states, 0);
		return nl_send_ack(s, req, -EOPNOTSUPP);
	}
	return nl_send_ack(s, req, family == AF_UNIX || family == AF_INET || family == AF_INET6 ? -EOPNOTSUPP
												: -ENOENT);
}
