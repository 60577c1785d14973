/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The socket layer: what every family shares. A socket is a refcounted object; its file holds one
 * reference, peers and queued connections hold others. One lock per socket covers its state and
 * its receive queue; two sockets are locked in address order. Nothing is copied to or from a guest,
 * and no file is released, under it: readers take references to messages and copy afterwards.
 */
#include <sys/socket.h>
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/refcount.h"
#include "sentry/core/wait.h"
#include "sentry/net/skb.h"
#include "sentry/vfs/poll.h"
#include "sentry/vfs/vfs.h"

struct net_ns;
struct pid;
struct sock;
struct task;

enum sock_ops_id {
	SOPS_NET_none,
	SOCK_unix_stream,
	SOCK_unix_dgram,
	SOCK_unix_seq,
	SOCK_tcp,
	SOCK_udp,
	SOCK_netlink,
	SOCK_OPS_MAX
};

enum sock_state { ST_CLOSED, ST_CONNECTING, ST_LISTEN, ST_CONNECTED };

enum { SHUT_IN = 1, SHUT_OUT = 2 };

/* SOL_SOCKET switches */
enum sock_opt {
	SKO_REUSEADDR = 1, SKO_REUSEPORT = 2, SKO_KEEPALIVE = 4, SKO_BROADCAST = 8, SKO_OOBINLINE = 16,
	SKO_PASSCRED = 32, SKO_TIMESTAMP = 64, SKO_TIMESTAMPNS = 128, SKO_DONTROUTE = 256, SKO_LINGER = 512,
	SKO_PASSSEC = 1024, SKO_NO_CHECK = 2048, SKO_RXQ_OVFL = 4096, SKO_PASSPIDFD = 8192, SKO_PASSRIGHTS = 16384
};

struct sock_ids {		/* who a peer is, as SO_PEERCRED shows it */
	struct pid *pid;	/* owned */
	uint32_t uid, gid;
};

struct sock {
	refcount_t ref;
	uint16_t ops;		/* I; enum sock_ops_id */
	uint16_t family, type;	/* I */
	int32_t protocol;	/* I */
	struct mutex lock;	/* RANK_SOCK */
	struct waitq wq;
	struct file *file;	/* lock; borrowed, NULL before accept and after release */
	uint64_t ino;
	struct net_ns *net;	/* I; owned */
	uint8_t state, shut;	/* lock; enum sock_state, SHUT_* */
	bool dead;		/* lock: released by its file */
	bool done;		/* lock: the stream's end has come in; reads say so before any error */
	bool connecting;	/* lock: a non-blocking connect was begun and not yet reported */
	int32_t err;		/* a: SO_ERROR, positive */
	uint32_t opts;		/* a; enum sock_opt */
	uint32_t rcvbuf, sndbuf, rcvlowat, linger, priority, mark;
	uint64_t rcvtimeo, sndtimeo;	/* ns, 0 none */
	int32_t peek_off;
	uint32_t wmem;		/* a: bytes in messages of ours that nobody has read */
	uint32_t rmem;		/* lock: bytes in rxq */
	uint32_t rxq_len;	/* lock */
	struct list rxq;	/* lock; struct skb.link */
	struct sock *peer;	/* lock; owned */
	uint32_t backlog, acceptq_len;
	struct list acceptq, accept_link;	/* the listener's lock */
	struct sock *listener;	/* lock; borrowed: in whose acceptq */
	struct sock_ids peer_ids;	/* lock; set once */
	uint32_t uid;		/* I: creator's, for /proc/net */
	union {
		void *priv;	/* of the family */
		struct unix_sock *unix_;
		struct inet_sock *inet;
		struct netlink_sock *nl;
	};
};

/* One send or receive besides its bytes. */
struct sockmsg {
	uint8_t name[128];	/* sockaddr: to whom, or from whom */
	uint32_t name_len;	/* 0: none */
	struct scm *scm;	/* owned: to send, or as received */
	uint32_t flags;		/* received: MSG_TRUNC, MSG_CTRUNC, MSG_EOR, MSG_OOB */
	uint64_t stamp;		/* received: CLOCK_REALTIME ns, 0 unknown */
	bool want_scm;		/* the caller takes control data */
	struct ip_info ip;
};

struct sock_ops {
	int (*init)(struct sock *s);	/* priv of a new socket */
	/* Unlocked, all of them. NULL: EOPNOTSUPP (EINVAL where Linux says so). */
	int (*bind)(struct sock *s, struct task *t, const void *addr, uint32_t len);
	int (*connect)(struct sock *s, struct task *t, const void *addr, uint32_t len, bool nonblock);
	int (*listen)(struct sock *s, struct task *t, int backlog);
	int (*accept)(struct sock *s, bool nonblock, struct sock **out);	/* returns a reference */
	int (*getname)(struct sock *s, bool peer, void *addr, uint32_t *len);
	int64_t (*send)(struct sock *s, struct uio *u, struct sockmsg *m, int flags);
	int64_t (*recv)(struct sock *s, struct uio *u, struct sockmsg *m, int flags);
	int (*shutdown)(struct sock *s, int how);
	void (*release)(struct sock *s);	/* the file is gone; the last reference may be later */
	void (*destroy)(struct sock *s);	/* frees priv; NULL: nothing */
	uint32_t (*poll)(struct sock *s);	/* without registering */
	int64_t (*ioctl)(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg);	/* -ENOTTY: not mine */
	int (*setsockopt)(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len);
	/* buf holds cap bytes; *len is what the guest gave and what is returned */
	int (*getsockopt)(struct sock *s, struct task *t, int level, int name, void *buf, uint32_t *len);
	int (*pair)(struct sock *a, struct sock *b);
};
extern const struct sock_ops *const sock_ops_table[SOCK_OPS_MAX];
extern const struct sock_ops unix_stream_ops, unix_dgram_ops, unix_seq_ops, tcp_ops, udp_ops, netlink_ops;

static inline const struct sock_ops *sock_ops(const struct sock *s)
{
	return sock_ops_table[s->ops];
}

/* --- sock.c --- */
/* A socket without a file: one reference. */
must_check int sock_alloc(struct net_ns *net, uint16_t ops, int family, int type, int protocol,
			  struct sock **out);
/* socket(2) without the descriptor; chooses family and type. type is without flags. */
must_check int sock_create(struct task *t, int family, int type, int protocol, struct sock **out);
/* A file on it; consumes the reference, also on failure (then the socket is released). */
must_check int sock_file(struct sock *s, unsigned flags, struct file **out);
struct sock *sock_get(struct sock *s);
void sock_put(struct sock *s);
/* The socket of an open file, borrowed; NULL: not a socket. */
struct sock *sock_of(struct file *f);
/* A reference to s->peer, or NULL. */
struct sock *sock_peer_get(struct sock *s);

void sock_wake(struct sock *s, uint32_t events);
void sock_set_err(struct sock *s, int err);	/* positive errno; wakes */
int sock_take_err(struct sock *s);		/* negative errno or 0; clears */
static inline bool sock_opt(const struct sock *s, enum sock_opt o)
{
	return READ_ONCE(s->opts) & o;
}

/* Sleeps on the socket until cond holds; timeo in ns, 0 for ever. -EAGAIN on timeout, -EINTR or
 * -ERESTARTSYS as Linux's sock_intr_errno. */
#define sock_wait(s, events, timeo, cond)                                                           \
	sock_wait_result(wait_event_mask(current, &(s)->wq, events, sock_deadline(timeo), cond), (timeo))
#define SOCK_EV_IN (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define SOCK_EV_OUT (EPOLLOUT | EPOLLWRNORM | EPOLLHUP | EPOLLERR)
uint64_t sock_deadline(uint64_t timeo);
int sock_wait_result(int r, uint64_t timeo);

/* Who the calling task is, for the other side. */
void sock_ids_set(struct sock_ids *ids, struct task *t);
void sock_ids_copy(struct sock_ids *to, const struct sock_ids *from);
void sock_ids_clear(struct sock_ids *ids);

/* --- stream.c: byte streams and packets between two sockets of one machine --- */
/* Messages already queued on s. `ends` says whether an empty queue means end of file. */
must_check int64_t stream_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags);
must_check int64_t packet_recv(struct sock *s, struct uio *u, struct sockmsg *m, int flags);
uint32_t stream_poll(struct sock *s);
void rxq_purge(struct sock *s);		/* drops everything unread; no locks held */
void rxq_add_locked(struct sock *s, struct skb *b);	/* consumes b */
/* Room for another message of ours: 0, -EAGAIN, -EINTR... */
must_check int sock_wait_wmem(struct sock *s, bool nonblock);
bool sock_writable(const struct sock *s);

/* --- sockopt.c --- */
must_check int sock_setsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len);
must_check int sock_getsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint64_t ulen);
/* --- ifconf.c --- */
must_check int64_t net_if_ioctl(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg);

/* --- net.c: what belongs to a network namespace --- */
struct net;
struct net *net_of(struct net_ns *ns);	/* made on first use; NULL: no memory */
/* Text of /proc/net/NAME ("unix", "tcp", "udp6", "dev", ...); false: no such file. */
struct buf;
bool net_show(struct net_ns *ns, const char *name, struct buf *b);
