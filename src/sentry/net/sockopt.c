/* SPDX-License-Identifier: Apache-2.0 */
/* setsockopt and getsockopt: SOL_SOCKET here, other levels go to the family. */
#include <errno.h>
#include <linux/capability.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/pidfd/pidfd.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/sock.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

#define SNDBUF_MIN 4608u
#define RCVBUF_MIN 2304u
#define NSEC 1000000000ull

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static const struct {
	int name;
	uint32_t bit;
} switches[] = {
	{SO_REUSEADDR, SKO_REUSEADDR}, {SO_REUSEPORT, SKO_REUSEPORT}, {SO_KEEPALIVE, SKO_KEEPALIVE},
	{SO_BROADCAST, SKO_BROADCAST}, {SO_OOBINLINE, SKO_OOBINLINE}, {SO_PASSCRED, SKO_PASSCRED},
	{SO_TIMESTAMP, SKO_TIMESTAMP}, {SO_TIMESTAMPNS, SKO_TIMESTAMPNS}, {SO_DONTROUTE, SKO_DONTROUTE},
	{SO_PASSSEC, SKO_PASSSEC}, {SO_NO_CHECK, SKO_NO_CHECK}, {SO_RXQ_OVFL, SKO_RXQ_OVFL},
	{SO_PASSPIDFD, SKO_PASSPIDFD}, {SO_PASSRIGHTS, SKO_PASSRIGHTS},
};

static uint32_t switch_bit(int name)
{
	for (unsigned i = 0; i < array_size(switches); i++)
		if (switches[i].name == name)
			return switches[i].bit;
	return 0;
}

static bool unix_only(uint32_t bit)
{
	return bit & (SKO_PASSCRED | SKO_PASSPIDFD | SKO_PASSRIGHTS | SKO_PASSSEC);
}

static int set_timeo(struct task *t, uint64_t *timeo, uint64_t arg, uint32_t len)
{
	struct l_timeval tv;
	int r;

	if (len < sizeof(tv))
		return -EINVAL;
	r = get_user(t, tv, UADDR(arg));
	if (r)
		return r;
	if (tv.usec < 0 || tv.usec >= 1000000)
		return -EDOM;
	if (tv.sec < 0)
		*timeo = 1;	/* at once */
	else if ((uint64_t)tv.sec > INT64_MAX / NSEC / 2)
		*timeo = 0;
	else
		*timeo = (uint64_t)tv.sec * NSEC + (uint64_t)tv.usec * 1000;
	return 0;
}

static int set_linger(struct sock *s, struct task *t, uint64_t arg, uint32_t len)
{
	struct linger l;
	int r;

	if (len < sizeof(l))
		return -EINVAL;
	r = get_user(t, l, UADDR(arg));
	if (r)
		return r;
	mutex_lock(&s->lock);
	if (l.l_onoff) {
		s->opts |= SKO_LINGER;
		s->linger = (uint32_t)(l.l_linger < 0 ? 0 : l.l_linger);
	} else {
		s->opts &= ~(uint32_t)SKO_LINGER;
	}
	mutex_unlock(&s->lock);
	return 0;
}

static void set_buf(uint32_t *buf, int val, uint32_t least, enum sysctl_var limit, bool force)
{
	uint32_t v = val < 0 ? 0 : (uint32_t)val;

	v = force ? min(v, (uint32_t)INT32_MAX / 2) : min(v, (uint32_t)sysctl_get(limit));
	WRITE_ONCE(*buf, max(v * 2, least));
}

static int set_value(struct sock *s, struct task *t, int name, int val)
{
	switch (name) {
	case SO_DEBUG:
		return val && !task_capable(t, CAP_NET_ADMIN) ? -EACCES : 0;
	case SO_TYPE: case SO_PROTOCOL: case SO_DOMAIN: case SO_ERROR: case SO_SNDLOWAT:
		return -ENOPROTOOPT;
	case SO_SNDBUF:
		set_buf(&s->sndbuf, val, SNDBUF_MIN, SYSCTL_wmem_max, false);
		sock_wake(s, EPOLLOUT | EPOLLWRNORM);
		return 0;
	case SO_RCVBUF:
		set_buf(&s->rcvbuf, val, RCVBUF_MIN, SYSCTL_rmem_max, false);
		return 0;
	case SO_SNDBUFFORCE: case SO_RCVBUFFORCE:
		if (!task_capable(t, CAP_NET_ADMIN))
			return -EPERM;
		set_buf(name == SO_SNDBUFFORCE ? &s->sndbuf : &s->rcvbuf, val,
			name == SO_SNDBUFFORCE ? SNDBUF_MIN : RCVBUF_MIN, SYSCTL_wmem_max, true);
		return 0;
	case SO_PRIORITY:
		if ((val < 0 || val > 6) && !task_capable(t, CAP_NET_ADMIN))
			return -EPERM;
		s->priority = (uint32_t)val;
		return 0;
	case SO_MARK:
		if (!task_capable(t, CAP_NET_ADMIN) && !task_capable(t, CAP_NET_RAW))
			return -EPERM;
		s->mark = (uint32_t)val;
		return 0;
	case SO_RCVLOWAT:
		s->rcvlowat = val < 0 ? INT32_MAX : val ? (uint32_t)val : 1;
		return 0;
	case SO_PEEK_OFF:
		s->peek_off = val;
		return 0;
	case SO_BSDCOMPAT: case SO_BUSY_POLL: case SO_INCOMING_CPU:
		return 0;
	}
	return -ENOPROTOOPT;
}

int sock_setsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len)
{
	uint32_t bit;
	int val, r;

	if (level != SOL_SOCKET)
		return sock_ops(s)->setsockopt ? sock_ops(s)->setsockopt(s, t, level, name, arg, len)
					       : -EOPNOTSUPP;
	if (name == SO_BINDTODEVICE)
		return len == 0 ? 0 : task_capable(t, CAP_NET_RAW) ? -ENODEV : -EPERM;
	if (name == SO_DETACH_FILTER)
		return -ENOENT;
	if (len < sizeof(val))
		return -EINVAL;
	switch (name) {
	case SO_LINGER:
		return set_linger(s, t, arg, len);
	case SO_RCVTIMEO: case 66:
		return set_timeo(t, &s->rcvtimeo, arg, len);
	case SO_SNDTIMEO: case 67:
		return set_timeo(t, &s->sndtimeo, arg, len);
	}
	r = get_user(t, val, UADDR(arg));
	if (r)
		return r;
	bit = switch_bit(name);
	if (!bit)
		return set_value(s, t, name, val);
	if (unix_only(bit) && s->family != AF_UNIX && s->family != AF_NETLINK)
		return -EOPNOTSUPP;
	if (val)
		__atomic_fetch_or(&s->opts, bit, __ATOMIC_RELAXED);
	else
		__atomic_fetch_and(&s->opts, ~bit, __ATOMIC_RELAXED);
	return 0;
}

/* --- get -------------------------------------------------------------------------------------- */

static int get_value(struct sock *s, int name, int *val)
{
	uint32_t bit = switch_bit(name);

	if (bit) {
		*val = !!(READ_ONCE(s->opts) & bit);
		return 0;
	}
	switch (name) {
	case SO_TYPE:
		*val = s->type;
		return 0;
	case SO_DOMAIN:
		*val = s->family;
		return 0;
	case SO_PROTOCOL:
		*val = s->family == AF_UNIX ? 0 : s->protocol;
		return 0;
	case SO_ERROR:
		*val = -sock_take_err(s);
		return 0;
	case SO_ACCEPTCONN:
		*val = READ_ONCE(s->state) == ST_LISTEN;
		return 0;
	case SO_SNDBUF:
		*val = (int)s->sndbuf;
		return 0;
	case SO_RCVBUF:
		*val = (int)s->rcvbuf;
		return 0;
	case SO_PRIORITY:
		*val = (int)s->priority;
		return 0;
	case SO_MARK:
		*val = (int)s->mark;
		return 0;
	case SO_RCVLOWAT:
		*val = (int)s->rcvlowat;
		return 0;
	case SO_SNDLOWAT:
		*val = 1;
		return 0;
	case SO_PEEK_OFF:
		*val = s->peek_off;
		return 0;
	case SO_DEBUG: case SO_BSDCOMPAT: case SO_BUSY_POLL: case SO_LOCK_FILTER:
		*val = 0;
		return 0;
	case SO_INCOMING_CPU:
		*val = -1;
		return 0;
	}
	return -ENOPROTOOPT;
}

struct l_ucred {
	uint32_t pid, uid, gid;
};

static void get_peercred(struct sock *s, struct task *t, struct l_ucred *out)
{
	struct sock_ids ids = {0};

	mutex_lock(&s->lock);
	sock_ids_copy(&ids, &s->peer_ids);
	mutex_unlock(&s->lock);
	if (!ids.pid) {
		*out = (struct l_ucred){0, ~0u, ~0u};
		return;
	}
	out->pid = (uint32_t)pid_nr(ids.pid, task_pid_ns(t));
	out->uid = uid_to_ns(t->cred->user_ns, ids.uid);
	out->gid = gid_to_ns(t->cred->user_ns, ids.gid);
	sock_ids_clear(&ids);
}

static int get_peerpidfd(struct sock *s, struct task *t, int *fd)
{
	struct sock_ids ids = {0};
	struct file *f;
	int r;

	mutex_lock(&s->lock);
	sock_ids_copy(&ids, &s->peer_ids);
	mutex_unlock(&s->lock);
	if (!ids.pid)
		return -ENODATA;
	r = pidfd_create(ids.pid, 0, &f);
	sock_ids_clear(&ids);
	if (r)
		return r;
	*fd = fd_add(t, f, true);
	return *fd < 0 ? *fd : 0;
}

static void timeo_out(uint64_t timeo, struct l_timeval *tv)
{
	tv->sec = (int64_t)(timeo / NSEC);
	tv->usec = (int64_t)(timeo % NSEC / 1000);
}

/* The value of a SOL_SOCKET option into buf (128 bytes); its length, or an error. */
static int get_socket_level(struct sock *s, struct task *t, int name, void *buf, uint32_t len)
{
	struct linger lin;
	struct l_timeval tv;
	struct l_ucred cr;
	uint64_t cookie;
	int val = 0, r;

	switch (name) {
	case SO_LINGER:
		lin = (struct linger){sock_opt(s, SKO_LINGER), (int)s->linger};
		__builtin_memcpy(buf, &lin, sizeof(lin));
		return sizeof(lin);
	case SO_RCVTIMEO: case SO_SNDTIMEO: case 66: case 67:
		timeo_out(name == SO_RCVTIMEO || name == 66 ? s->rcvtimeo : s->sndtimeo, &tv);
		__builtin_memcpy(buf, &tv, sizeof(tv));
		return sizeof(tv);
	case SO_PEERCRED:
		get_peercred(s, t, &cr);
		__builtin_memcpy(buf, &cr, sizeof(cr));
		return sizeof(cr);
	case SO_PEERPIDFD:
		if (len < sizeof(val))
			return -EINVAL;
		r = get_peerpidfd(s, t, &val);
		if (r)
			return r;
		__builtin_memcpy(buf, &val, sizeof(val));
		return sizeof(val);
	case SO_PEERSEC:
		return -ENOPROTOOPT;
	case SO_BINDTODEVICE:
		return 0;
	case 57:	/* SO_COOKIE */
		if (len < sizeof(cookie))
			return -EINVAL;
		cookie = s->ino;
		__builtin_memcpy(buf, &cookie, sizeof(cookie));
		return sizeof(cookie);
	}
	r = get_value(s, name, &val);
	if (r)
		return r;
	__builtin_memcpy(buf, &val, sizeof(val));
	return sizeof(val);
}

int sock_getsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint64_t ulen)
{
	char buf[256] = {0};
	uint32_t got;
	int len, r;

	r = get_user(t, len, UADDR(ulen));
	if (r)
		return r;
	if (len < 0)
		return -EINVAL;
	if (level == SOL_SOCKET && name == SO_PEERNAME) {
		char addr[128];

		r = sock_ops(s)->getname ? sock_ops(s)->getname(s, true, addr, &got) : -ENOTCONN;
		if (r)
			return -ENOTCONN;
		if (got < (uint32_t)len)
			return -EINVAL;
		return copy_out(t, UADDR(arg), addr, (uint32_t)len);
	}
	if (level == SOL_SOCKET) {
		r = get_socket_level(s, t, name, buf, (uint32_t)len);
		if (r < 0)
			return r;
		got = min((uint32_t)r, (uint32_t)len);
	} else {
		if (!sock_ops(s)->getsockopt)
			return -EOPNOTSUPP;
		got = min((uint32_t)len, (uint32_t)sizeof(buf));
		r = sock_ops(s)->getsockopt(s, t, level, name, buf, &got);
		if (r)
			return r;
	}
	r = got ? copy_out(t, UADDR(arg), buf, got) : 0;
	len = (int)got;
	return r ? r : put_user(t, UADDR(ulen), len);
}
