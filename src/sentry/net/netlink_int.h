/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Netlink replies; between netlink.c, netlink_route.c and sockdiag.c. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include "sentry/net/sock.h"

struct netlink_sock {
	struct list link;	/* net.netlinks, once it has a port; net's lock */
	int protocol;
	uint32_t port, groups;
};

#define NL_REPLY_MAX 2048u

/* Netlink messages being built in one datagram. */
struct nl_reply {
	struct skb *b;
	uint32_t at;		/* bytes used */
	uint32_t start;		/* of the current netlink message */
	bool full;
};

must_check int nl_reply_begin(struct sock *s, struct nl_reply *r);
void nl_reply_send(struct sock *s, struct nl_reply *r);	/* nothing, if it is empty */
void nl_msg_begin(struct nl_reply *r, const struct nlmsghdr *req, uint16_t type, uint16_t flags, uint32_t port,
		  const void *body, uint32_t n);
void nl_attr(struct nl_reply *r, uint16_t type, const void *data, uint16_t n);
void nl_attr32(struct nl_reply *r, uint16_t type, uint32_t v);
void nl_msg_end(struct nl_reply *r);
/* The attributes behind a request's fixed part: `at` is where they begin. */
struct nl_attrs {
	const char *body;
	uint32_t n, at;
};
/* The next one's head in *a, its value returned; NULL at the end or at a broken one. */
const char *nl_attr_next(struct nl_attrs *w, struct rtattr *a);
must_check int nl_send_done(struct sock *s, const struct nlmsghdr *req);
must_check int nl_send_ack(struct sock *s, const struct nlmsghdr *req, int error);
/* A request to a NETLINK_SOCK_DIAG socket. */
must_check int sock_diag(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n);
/* netlink_route.c: what lo has for routes, and the rules that every namespace starts with. */
must_check int netlink_route_dump(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n);
/* An error is the answer; else it is answered. */
must_check int netlink_route_get(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n);
