/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* AF_UNIX sockets. */
#include <sys/un.h>
#include "sentry/net/skb.h"
#include "sentry/net/sock.h"

struct unix_addr {
	refcount_t ref;
	uint32_t len;		/* of name, without the family: a path with its NUL, or \0 and the abstract name */
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

struct unix_sock {
	struct unix_addr *addr;	/* sock.lock; owned; set once */
	struct list hash_link;	/* net's lock: abstract names */
	struct list all_link;	/* net's lock: in unix_all */
	struct inode *inode;	/* sock.lock; owned: the node it is bound to */
	struct waitq peer_wait;	/* senders that wait for room in our queue */
	uint32_t level;		/* a: nesting of descriptors in flight */
	struct list gc_link;	/* gc lock: sockets that are in flight */
	struct sock *sock;	/* I: borrowed */
	uint32_t inflight, gc_refs;	/* gc lock */
	bool gc_reached;
};

#define UNIX_MAX_LEVEL 4u

/* addr.c */
must_check int unix_bind(struct sock *s, struct task *t, const void *addr, uint32_t len);
must_check int unix_autobind(struct sock *s);
/* The socket that an address names, with a reference. */
must_check int unix_find(struct sock *s, struct task *t, const void *addr, uint32_t len, struct sock **out);
must_check int unix_getname(struct sock *s, bool peer, void *addr, uint32_t *len);
void unix_unbind(struct sock *s);
struct unix_addr *unix_addr_get(struct unix_addr *a);
void unix_addr_put(struct unix_addr *a);	/* NULL is accepted */
uint32_t unix_addr_sockaddr(const struct unix_addr *a, void *out /* 128 bytes */);

/* unix.c */
must_check int unix_init(struct sock *s);	/* priv of a new socket */
void unix_destroy(struct sock *s);
void unix_release(struct sock *s);
must_check int unix_shutdown(struct sock *s, int how);
must_check int unix_pair(struct sock *a, struct sock *b);
int64_t unix_ioctl(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg);
/* Completes control data of a message to be sent by t and counts its descriptors as in flight. */
must_check int unix_prepare_scm(struct sock *s, struct sockmsg *m, struct scm **out, uint32_t *level);

void unix_level_relax(struct sock *s);

/* dgram.c */
int unix_dgram_connect(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock);

/* gc.c */
must_check int unix_gc_start(void);
must_check int unix_inflight(struct scm *scm, struct task *t);	/* -ETOOMANYREFS */
void unix_not_inflight(struct scm *scm);
void unix_gc_poke(void);	/* a socket was closed while descriptors are in flight */
void unix_gc_forget(struct sock *s);
