/* SPDX-License-Identifier: Apache-2.0 */
/* socket, socketpair, bind, connect, listen, accept, names, options, shutdown */
#include <errno.h>
#include <fcntl.h>
#include "sentry/fs/proc/sysctl.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/sock.h"
#include "sentry/syscalls/fdpair.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/syscalls/sockaddr.h"
#include "sentry/task/task.h"

#define TYPE_MASK 0xfu

struct file *socket_get(struct task *t, int fd, int *err)
{
	struct file *f = fd_get(t, fd);

	*err = 0;
	if (!f) {
		*err = -EBADF;
		return NULL;
	}
	if (!sock_of(f)) {
		file_put(f);
		*err = -ENOTSOCK;
		return NULL;
	}
	return f;
}

int sockaddr_in(struct task *t, uint64_t addr, int len, void *buf)
{
	if (len < 0 || (unsigned)len > SOCKADDR_MAX)
		return -EINVAL;
	return len ? copy_in(t, buf, UADDR(addr), (size_t)len) : 0;
}

/* The address is cut to the guest's buffer, the length is the whole one's. */
int sockaddr_out(struct task *t, const void *buf, uint32_t len, uint64_t addr, uint64_t ulen)
{
	int room, r;

	r = get_user(t, room, UADDR(ulen));
	if (r)
		return r;
	if (room < 0)
		return -EINVAL;
	if (room && len) {
		r = copy_out(t, UADDR(addr), buf, min((uint32_t)room, len));
		if (r)
			return r;
	}
	return put_user(t, UADDR(ulen), len);
}

static bool bad_flags(uint32_t flags)
{
	return flags & ~(uint32_t)(SOCK_CLOEXEC | SOCK_NONBLOCK);
}

int64_t sys_socket(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1) & ~TYPE_MASK;
	struct sock *s;
	struct file *f;
	int r;

	if (bad_flags(flags))
		return -EINVAL;
	r = sock_create(t, ARG_INT(0), (int)(ARG_U32(1) & TYPE_MASK), ARG_INT(2), &s);
	if (r == 0)
		r = sock_file(s, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0, &f);
	return r ? r : fd_add(t, f, flags & SOCK_CLOEXEC);
}

static int pair_socks(struct task *t, int family, int type, int protocol, struct sock **a, struct sock **b)
{
	int r = sock_create(t, family, type, protocol, a);

	if (r)
		return r;
	r = sock_create(t, family, type, protocol, b);
	if (r == 0) {
		r = sock_ops(*a)->pair ? sock_ops(*a)->pair(*a, *b) : -EOPNOTSUPP;
		if (r == 0)
			return 0;
		sock_ops(*b)->release(*b);
		sock_put(*b);
	}
	sock_ops(*a)->release(*a);
	sock_put(*a);
	return r;
}

int64_t sys_socketpair(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1) & ~TYPE_MASK, fl = flags & SOCK_NONBLOCK ? O_NONBLOCK : 0;
	struct sock *sa, *sb;
	struct file *fa, *fb;
	int r;

	if (bad_flags(flags))
		return -EINVAL;
	r = pair_socks(t, ARG_INT(0), (int)(ARG_U32(1) & TYPE_MASK), ARG_INT(2), &sa, &sb);
	if (r)
		return r;
	r = sock_file(sa, fl, &fa);
	if (r) {
		sock_ops(sb)->release(sb);
		sock_put(sb);
		return r;
	}
	r = sock_file(sb, fl, &fb);
	if (r) {
		file_put(fa);
		return r;
	}
	return fd_pair_out(t, ARG_UADDR(3), fa, fb, flags & SOCK_CLOEXEC);
}

int64_t sys_bind(struct task *t, const struct sysargs *a)
{
	char addr[SOCKADDR_MAX];
	struct file *f;
	int r;

	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	r = sockaddr_in(t, a->a[1], ARG_INT(2), addr);
	if (r == 0) {
		struct sock *s = sock_of(f);

		r = sock_ops(s)->bind ? sock_ops(s)->bind(s, t, addr, ARG_U32(2)) : -EOPNOTSUPP;
	}
	file_put(f);
	return r;
}

int64_t sys_connect(struct task *t, const struct sysargs *a)
{
	char addr[SOCKADDR_MAX];
	struct file *f;
	int r;

	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	r = sockaddr_in(t, a->a[1], ARG_INT(2), addr);
	if (r == 0) {
		struct sock *s = sock_of(f);

		r = sock_ops(s)->connect
			? sock_ops(s)->connect(s, t, addr, ARG_U32(2), READ_ONCE(f->flags) & O_NONBLOCK)
			: -EOPNOTSUPP;
	}
	file_put(f);
	return r;
}

int64_t sys_listen(struct task *t, const struct sysargs *a)
{
	int backlog = (int)min(ARG_U32(1), (uint32_t)sysctl_get(SYSCTL_somaxconn)), r;
	struct file *f;

	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	r = sock_ops(sock_of(f))->listen ? sock_ops(sock_of(f))->listen(sock_of(f), t, backlog) : -EOPNOTSUPP;
	file_put(f);
	return r;
}

static int accept_one(struct task *t, struct file *lf, uint64_t addr, uint64_t ulen, uint32_t flags,
		      struct file **out)
{
	struct sock *l = sock_of(lf), *n;
	char name[SOCKADDR_MAX];
	uint32_t len = 0;
	int r;

	if (!sock_ops(l)->accept)
		return -EOPNOTSUPP;
	r = sock_ops(l)->accept(l, READ_ONCE(lf->flags) & O_NONBLOCK, &n);
	if (r)
		return r;
	r = sock_file(n, flags & SOCK_NONBLOCK ? O_NONBLOCK : 0, out);
	if (r || !addr)
		return r;
	r = sock_ops(n)->getname(n, true, name, &len);
	if (r)
		r = -ECONNABORTED;
	else
		r = sockaddr_out(t, name, len, addr, ulen);
	if (r)
		file_put(*out);
	return r;
}

static int64_t do_accept(struct task *t, int fd, uint64_t addr, uint64_t ulen, uint32_t flags)
{
	struct file *lf, *f;
	int r, nfd;

	if (bad_flags(flags))
		return -EINVAL;
	lf = socket_get(t, fd, &r);
	if (!lf)
		return r;
	nfd = fd_reserve(t, 0, flags & SOCK_CLOEXEC);
	r = nfd < 0 ? nfd : accept_one(t, lf, addr, ulen, flags, &f);
	file_put(lf);
	if (nfd < 0)
		return r;
	if (r)
		fd_abandon(t, nfd);
	else
		fd_install(t, nfd, f);
	return r ? r : nfd;
}

int64_t sys_accept(struct task *t, const struct sysargs *a)
{
	return do_accept(t, ARG_INT(0), a->a[1], a->a[2], 0);
}

int64_t sys_accept4(struct task *t, const struct sysargs *a)
{
	return do_accept(t, ARG_INT(0), a->a[1], a->a[2], ARG_U32(3));
}

static int64_t do_getname(struct task *t, const struct sysargs *a, bool peer)
{
	char addr[SOCKADDR_MAX];
	uint32_t len = 0;
	struct file *f;
	int r;

	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	r = sock_ops(sock_of(f))->getname ? sock_ops(sock_of(f))->getname(sock_of(f), peer, addr, &len) : -EOPNOTSUPP;
	if (r == 0)
		r = sockaddr_out(t, addr, len, a->a[1], a->a[2]);
	file_put(f);
	return r;
}

int64_t sys_getsockname(struct task *t, const struct sysargs *a)
{
	return do_getname(t, a, false);
}

int64_t sys_getpeername(struct task *t, const struct sysargs *a)
{
	return do_getname(t, a, true);
}

int64_t sys_shutdown(struct task *t, const struct sysargs *a)
{
	int how = ARG_INT(1), r;
	struct file *f;

	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	if (how < 0 || how > 2)
		r = -EINVAL;
	else
		r = sock_ops(sock_of(f))->shutdown ? sock_ops(sock_of(f))->shutdown(sock_of(f), how) : -EOPNOTSUPP;
	file_put(f);
	return r;
}

int64_t sys_setsockopt(struct task *t, const struct sysargs *a)
{
	struct file *f;
	int r;

	if (ARG_INT(4) < 0)
		return -EINVAL;
	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	r = sock_setsockopt(sock_of(f), t, ARG_INT(1), ARG_INT(2), a->a[3], ARG_U32(4));
	file_put(f);
	return r;
}

int64_t sys_getsockopt(struct task *t, const struct sysargs *a)
{
	struct file *f;
	int r;

	f = socket_get(t, ARG_INT(0), &r);
	if (!f)
		return r;
	r = sock_getsockopt(sock_of(f), t, ARG_INT(1), ARG_INT(2), a->a[3], a->a[4]);
	file_put(f);
	return r;
}
