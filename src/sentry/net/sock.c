/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets as objects and as open files; creation by family. */
#include "sentry/net/sock.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

static KCACHE(sock_cache, struct sock, 0);

const struct sock_ops *const sock_ops_table[SOCK_OPS_MAX] = {
	[SOCK_unix_stream] = &unix_stream_ops,
	[SOCK_unix_dgram] = &unix_dgram_ops,
	[SOCK_unix_seq] = &unix_seq_ops,
	[SOCK_tcp] = &tcp_ops,
	[SOCK_udp] = &udp_ops,
	[SOCK_netlink] = &netlink_ops,
};

int sock_alloc(struct net_ns *net, uint16_t ops, int family, int type, int protocol,
	       struct sock **out)
{
	struct sock *s = kc_alloc(&sock_cache);

	if (!s)
		return -ENOMEM;
	ref_init(&s->ref, 1);
	s->ops = ops;
	s->family = (uint16_t)family, s->type = (uint16_t)type, s->protocol = protocol;
	mutex_init(&s->lock, RANK_SOCK);
	wq_init(&s->wq);
	list_init(&s->rxq);
	list_init(&s->acceptq);
	list_init(&s->accept_link);
	s->net = net_ns_get(net);
	s->rcvbuf = (uint32_t)sysctl_get(SYSCTL_rmem_default);
	s->sndbuf = (uint32_t)sysctl_get(SYSCTL_wmem_default);
	s->rcvlowat = 1;
	s->peek_off = -1;
	s->opts = SKO_PASSRIGHTS;
	s->uid = current ? current->cred->fsuid : 0;
	*out = s;
	return 0;
}

struct sock *sock_get(struct sock *s)
{
	ref_get(&s->ref);
	return s;
}

/* Chains of connected sockets go one after the other, not by recursion. */
void sock_put(struct sock *s)
{
	while (s && ref_put(&s->ref)) {
		struct sock *peer = steal(s->peer);

		if (sock_ops(s)->destroy)
			sock_ops(s)->destroy(s);
		sock_ids_clear(&s->peer_ids);
		wq_destroy(&s->wq);
		net_ns_put(s->net);
		kc_free(&sock_cache, s);
		s = peer;
	}
}

struct sock *sock_of(struct file *f)
{
	return f->fops == FOPS_socket ? f->priv : NULL;
}

struct sock *sock_peer_get(struct sock *s)
{
	struct sock *p;

	mutex_lock(&s->lock);
	p = s->peer ? sock_get(s->peer) : NULL;
	mutex_unlock(&s->lock);
	return p;
}

void sock_wake(struct sock *s, uint32_t events)
{
	wq_wake(&s->wq, events, 0);
}

void sock_set_err(struct sock *s, int err)
{
	WRITE_ONCE(s->err, err);
	sock_wake(s, EPOLLERR | EPOLLIN | EPOLLOUT);
}

int sock_take_err(struct sock *s)
{
	return READ_ONCE(s->err) ? -__atomic_exchange_n(&s->err, 0, __ATOMIC_ACQ_REL) : 0;
}

void sock_ids_set(struct sock_ids *ids, struct task *t)
{
	sock_ids_clear(ids);
	ids->pid = pid_get(t->proc->tgid);
	ids->uid = t->cred->euid;
	ids->gid = t->cred->egid;
}

void sock_ids_copy(struct sock_ids *to, const struct sock_ids *from)
{
	sock_ids_clear(to);
	*to = *from;
	if (to->pid)
		pid_get(to->pid);
}

void sock_ids_clear(struct sock_ids *ids)
{
	if (ids->pid)
		pid_put(ids->pid);
	ids->pid = NULL;
}

/* --- creation --------------------------------------------------------------------------------- */

static int pick_unix(int type, int protocol, uint16_t *ops)
{
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	switch (type) {
	case SOCK_STREAM:
		*ops = SOCK_unix_stream;
		return 0;
	case SOCK_DGRAM: case SOCK_RAW:		/* raw is datagram, by tradition */
		*ops = SOCK_unix_dgram;
		return 0;
	case SOCK_SEQPACKET:
		*ops = SOCK_unix_seq;
		return 0;
	}
	return -ESOCKTNOSUPPORT;
}

static int pick_inet(struct task *t, int type, int protocol, uint16_t *ops)
{
	if (protocol < 0 || protocol >= IPPROTO_MAX)
		return -EINVAL;
	switch (type) {
	case SOCK_STREAM:
		*ops = SOCK_tcp;
		return protocol == 0 || protocol == IPPROTO_TCP ? 0 : -EPROTONOSUPPORT;
	case SOCK_DGRAM:
		*ops = SOCK_udp;
		if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
			return -EACCES;		/* ping_group_range is empty */
		return protocol == 0 || protocol == IPPROTO_UDP ? 0 : -EPROTONOSUPPORT;
	case SOCK_RAW:
		return protocol == 0 ? -EPROTONOSUPPORT
			: task_capable(t, CAP_NET_RAW) ? -EPROTONOSUPPORT : -EPERM;
	}
	return -ESOCKTNOSUPPORT;
}

int sock_create(struct task *t, int family, int type, int protocol, struct sock **out)
{
	uint16_t ops = 0;
	int r;

	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if (type < 0 || type > SOCK_PACKET)
		return -EINVAL;
	switch (family) {
	case AF_UNIX:
		r = pick_unix(type, protocol, &ops);
		type = type == SOCK_RAW ? SOCK_DGRAM : type;
		break;
	case AF_INET: case AF_INET6:
		r = pick_inet(t, type, protocol, &ops);
		break;
	case AF_NETLINK:
		r = type != SOCK_RAW && type != SOCK_DGRAM ? -ESOCKTNOSUPPORT
			: protocol != NETLINK_ROUTE && protocol != NETLINK_SOCK_DIAG ? -EPROTONOSUPPORT : 0;
		ops = SOCK_netlink;
		break;
	case AF_PACKET:
		r = task_capable(t, CAP_NET_RAW) ? -EAFNOSUPPORT : -EPERM;
		break;
	default:
		r = -EAFNOSUPPORT;
	}
	if (r)
		return r;
	r = sock_alloc(t->ns->net, ops, family, type, protocol, out);
	if (r == 0 && sock_ops(*out)->init) {
		r = sock_ops(*out)->init(*out);
		if (r)
			sock_put(*out);
	}
	return r;
}

int sock_file(struct sock *s, unsigned flags, struct file **out)
{
	struct inode *i;
	char name[40];
	int r;

	r = inode_anon(S_IFSOCK | 0777, current->cred, &i);
	if (r == 0) {
		s->ino = i->ino;
		fmt_n(name, sizeof(name), "socket:[%lu]", (unsigned long)i->ino);
		r = file_anon(name, i, FOPS_socket, FMODE_READ | FMODE_WRITE | FMODE_STREAM,
			      O_RDWR | (flags & O_NONBLOCK), current->cred, out);
	}
	if (r) {
		sock_ops(s)->release(s);
		sock_put(s);
		return r;
	}
	(*out)->priv = s;
	mutex_lock(&s->lock);
	s->file = *out;
	mutex_unlock(&s->lock);
	return 0;
}

/* --- as files --------------------------------------------------------------------------------- */

static int file_msg_flags(const struct file *f)
{
	return READ_ONCE(f->flags) & O_NONBLOCK ? MSG_DONTWAIT : 0;
}

static int64_t socket_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct sock *s = f->priv;

	return u->left ? sock_ops(s)->recv(s, u, NULL, file_msg_flags(f)) : 0;
}

static int64_t socket_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct sock *s = f->priv;

	return sock_ops(s)->send(s, u, NULL, file_msg_flags(f));
}

static uint32_t socket_poll(struct file *f, struct poll_table *pt)
{
	struct sock *s = f->priv;

	poll_wait(pt, f, &s->wq);
	return sock_ops(s)->poll(s);
}

static int64_t socket_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct sock *s = f->priv;
	int64_t r = sock_ops(s)->ioctl ? sock_ops(s)->ioctl(s, t, cmd, arg) : -ENOTTY;

	return r == -ENOTTY ? net_if_ioctl(s, t, cmd, arg) : r;
}

static void socket_release(struct file *f)
{
	struct sock *s = f->priv;

	if (!s)
		return;
	mutex_lock(&s->lock);
	s->file = NULL;
	mutex_unlock(&s->lock);
	sock_ops(s)->release(s);
	sock_put(s);
}

static int socket_open(struct inode *i, struct file *f)
{
	return -ENXIO;		/* /proc/PID/fd/N of a socket cannot be opened */
}

const struct file_ops socket_file_ops = {
	.open = socket_open,
	.release = socket_release,
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.ioctl = socket_ioctl,
};
