/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What belongs to one network namespace: the names and ports that are taken. */
#include "lib/compiler.h"
#include "lib/list.h"
#include "lib/lock.h"

#define UNIX_BUCKETS 64
#define PORT_BUCKETS 64

int net_init(void);	/* once, before guests run */

/* A file of /proc/PID/net: its name follows "net/" in the entry's path. */
struct buf;
struct pseudo_ctx;
int proc_net_show(const struct pseudo_ctx *c, struct buf *b);
struct file;
/* A netlink socket that a message queue tells of its messages. */
must_check int netlink_may_tell(struct file *f);
void netlink_tell(struct file *f, const void *data, uint32_t n);
struct net;
struct net_ns;
struct task;
/* The loopback interface: its flags (IFF_*), and IFF_UP set or cleared; -EPERM. */
uint32_t net_lo_flags(struct net_ns *ns);
bool net_lo_has(struct net_ns *ns, bool v6);	/* an address of the family */
must_check int net_lo_addr(struct net_ns *ns, struct task *t, bool v6);	/* the usual one is added: -EEXIST */
must_check int net_lo_set(struct net_ns *ns, struct task *t, bool up);
/* show_stat.c: the files of counters; false: not one of them. */
bool net_show_stat(struct net *n, const char *name, struct buf *b);

/* What /proc/net/snmp and /proc/net/dev count. */
enum net_count {
	NC_TCP_ACTIVE, NC_TCP_PASSIVE, NC_TCP_FAILS, NC_TCP_RESETS, NC_TCP_SEGS, NC_UDP_IN, NC_UDP_OUT,
	NC_UDP_NOPORT, NC_UDP_FULL, NC_BYTES, NC_COUNT
};

struct net {
	bool lo_up;				/* a: in the first namespace from the start */
	bool lo_addr;				/* a: it was up once and has got 127.0.0.1 */
	uint64_t count[NC_COUNT];		/* a */
	struct mutex lock;			/* RANK_OBJECT */
	struct list abstract[UNIX_BUCKETS];	/* struct unix_sock.hash_link */
	struct list unix_all;			/* struct unix_sock.all_link */
	struct list ports[2][PORT_BUCKETS];	/* tcp, udp; struct inet_sock.port_link */
	struct list netlinks;			/* struct netlink_sock.link: those with a port */
	uint32_t next_port, next_abstract, next_netlink;
};

static inline void net_count(struct net *n, enum net_count what, uint64_t by)
{
	__atomic_fetch_add(&n->count[what], by, __ATOMIC_RELAXED);
}
