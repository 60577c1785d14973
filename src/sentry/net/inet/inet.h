/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * AF_INET and AF_INET6 over the local transport: only loopback exists, nothing leaves the sandbox.
 * Addresses are kept as IPv6; an IPv4 one is mapped (::ffff:a.b.c.d).
 */
#include "sentry/net/sock.h"

#define INET_OPTS 56

struct inet_addr {
	uint8_t b[16];
	uint16_t port;		/* host order */
};

struct inet_sock {
	struct inet_addr local, remote;	/* sock.lock; local also under the net's lock while bound */
	bool bound;			/* net's lock: port_link is in the table */
	bool bound_addr, bound_port;	/* local address and port were given by bind */
	bool urgent;			/* sock.lock: urgent_byte has come and was not read */
	uint8_t urgent_byte;
	struct list errq;		/* sock.lock; struct skb.link: what came back, for MSG_ERRQUEUE */
	uint32_t errq_len;
	struct list port_link;		/* net's lock */
	struct sock *sock;		/* I: borrowed */
	struct list pending;		/* listener's lock: sockets whose connect waits for room */
	struct list pending_link;
	int32_t opt[INET_OPTS];		/* a; opts.c */
	uint64_t segs_in, segs_out, bytes_in, bytes_out;	/* a */
};

enum { PROTO_TCP, PROTO_UDP };

/* addr.c */
must_check int inet_init(struct sock *s);
void inet_destroy(struct sock *s);
/* A sockaddr of the socket's family; AF_UNSPEC gives 1. -EINVAL, -EAFNOSUPPORT. */
must_check int inet_parse(const struct sock *s, const void *addr, uint32_t len, struct inet_addr *out);
uint32_t inet_format(const struct sock *s, const struct inet_addr *a, void *out);
bool inet_is_any(const struct inet_addr *a);
bool inet_bytes_v4(const uint8_t b[16]);	/* a mapped IPv4 address */
bool inet_is_v4(const struct inet_addr *a);
bool inet_is_loopback(const struct inet_addr *a);
bool inet_same(const struct inet_addr *a, const struct inet_addr *b);	/* addresses only */
/* The address that "any" means as a destination, and as the source towards `to`. */
void inet_loopback(bool v4, struct inet_addr *out);
must_check int inet_bind(struct sock *s, struct task *t, const void *addr, uint32_t len);
must_check int inet_getname(struct sock *s, bool peer, void *addr, uint32_t *len);
/* An ephemeral port, if the socket has none. */
must_check int inet_autobind(struct sock *s);
/* A connection's end takes its listener's port. */
void inet_share_port(struct sock *s);
void inet_unbind(struct sock *s);
void inet_unbind_auto(struct sock *s);	/* sock.lock held or nobody else uses s */
/* Who gets what is sent to `to` from `from`; a reference, or NULL. */
struct sock *inet_find(struct net *n, int proto, const struct inet_addr *to, const struct inet_addr *from);

/* opts.c */
int inet_setsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len);
int inet_getsockopt(struct sock *s, struct task *t, int level, int name, void *buf, uint32_t *len);
void inet_opts_init(struct inet_sock *is);
bool inet_v6only(const struct sock *s);
int32_t inet_opt_value(const struct sock *s, int level, int name);	/* 0: no such option */
int tcp_state(const struct sock *s);	/* TCP_ESTABLISHED ... */
