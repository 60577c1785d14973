/* SPDX-License-Identifier: Apache-2.0 */
/* sendto, recvfrom, sendmsg, recvmsg, sendmmsg, recvmmsg */
#include <errno.h>
#include <fcntl.h>
#include "sentry/mm/uaccess.h"
#include "sentry/net/scm.h"
#include "sentry/net/sock.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/syscalls/sigmask.h"
#include "sentry/syscalls/sockaddr.h"
#include "sentry/task/task.h"

#define MMSG_MAX 1024u

struct l_mmsghdr {
	struct l_msghdr hdr;
	uint32_t len, pad;
};

static int flags_of(const struct file *f, uint32_t flags)
{
	return (int)(flags | (READ_ONCE(f->flags) & O_NONBLOCK ? MSG_DONTWAIT : 0));
}

int64_t sys_sendto(struct task *t, const struct sysargs *a)
{
	struct sockmsg m = {.name_len = 0};
	struct file *f;
	struct uio u;
	int64_t r;
	int err;

	f = socket_get(t, ARG_INT(0), &err);
	if (!f)
		return err;
	r = 0;
	if (a->a[4]) {
		r = sockaddr_in(t, a->a[4], ARG_INT(5), m.name);
		m.name_len = ARG_U32(5);
	}
	if (r == 0) {
		struct sock *s = sock_of(f);

		uio_user(&u, t, a->a[1], a->a[2]);
		r = sock_ops(s)->send(s, &u, &m, flags_of(f, ARG_U32(3)));
		uio_fini(&u);
		scm_free(m.scm);
	}
	file_put(f);
	return r;
}

int64_t sys_recvfrom(struct task *t, const struct sysargs *a)
{
	struct sockmsg m = {.name_len = 0};
	struct sock *s;
	struct file *f;
	struct uio u;
	int64_t r;
	int err;

	f = socket_get(t, ARG_INT(0), &err);
	if (!f)
		return err;
	s = sock_of(f);
	uio_user(&u, t, a->a[1], a->a[2]);
	r = sock_ops(s)->recv(s, &u, &m, flags_of(f, ARG_U32(3)));
	uio_fini(&u);
	scm_free(m.scm);
	if (r >= 0 && a->a[4]) {
		err = sockaddr_out(t, m.name, m.name_len, a->a[4], a->a[5]);
		r = err ? err : r;
	}
	file_put(f);
	return r;
}

static int64_t send_hdr(struct task *t, struct file *f, const struct l_msghdr *h, uint32_t flags)
{
	struct sockmsg m = {.name_len = 0};
	struct sock *s = sock_of(f);
	struct uio u;
	int64_t r = 0;

	if (h->name_len < 0)
		return -EINVAL;
	if (h->iovlen > UIO_MAXIOV)
		return -EMSGSIZE;
	if (h->name && h->name_len) {
		m.name_len = min((uint32_t)h->name_len, (uint32_t)SOCKADDR_MAX);
		r = sockaddr_in(t, h->name, (int)m.name_len, m.name);
		if (r)
			return r;
	}
	r = uio_user_iov(&u, t, h->iov, h->iovlen);
	if (r)
		return r;
	r = scm_parse(t, s, h->control, h->control_len, &m);
	if (r == 0)
		r = sock_ops(s)->send(s, &u, &m, flags_of(f, flags));
	scm_free(m.scm);
	uio_fini(&u);
	return r;
}

/* Where the results of a received message go. */
#define HDR_FIELD(addr, member) UADDR((addr) + offsetof(struct l_msghdr, member))

static int put_results(struct task *t, struct sock *s, struct sockmsg *m, const struct l_msghdr *h, uint64_t uhdr,
		       uint32_t flags)
{
	uint64_t clen = h->control_len;
	int r = 0;

	if (h->name) {
		int room = h->name_len;

		if (room < 0)
			return -EINVAL;
		if (room && m->name_len)
			r = copy_out(t, UADDR(h->name), m->name, min((uint32_t)room, m->name_len));
		if (r == 0)
			r = put_user(t, HDR_FIELD(uhdr, name_len), m->name_len);
		if (r)
			return r;
	}
	r = scm_put(t, s, m, h->control, &clen, flags & MSG_CMSG_CLOEXEC);
	if (r)
		return r;
	m->flags |= flags & MSG_CMSG_CLOEXEC;
	r = put_user(t, HDR_FIELD(uhdr, flags), m->flags);
	return r ? r : put_user(t, HDR_FIELD(uhdr, control_len), clen);
}

static int64_t recv_hdr(struct task *t, struct file *f, const struct l_msghdr *h, uint64_t uhdr, uint32_t flags)
{
	struct sockmsg m = {.want_scm = true};
	struct sock *s = sock_of(f);
	struct uio u;
	int64_t r;
	int w;

	if (h->name_len < 0)
		return -EINVAL;
	if (h->iovlen > UIO_MAXIOV)
		return -EMSGSIZE;
	r = uio_user_iov(&u, t, h->iov, h->iovlen);
	if (r)
		return r;
	r = sock_ops(s)->recv(s, &u, &m, flags_of(f, flags));
	uio_fini(&u);
	if (r >= 0) {
		w = put_results(t, s, &m, h, uhdr, flags);
		r = w ? w : r;
	}
	scm_free(m.scm);
	return r;
}

int64_t sys_sendmsg(struct task *t, const struct sysargs *a)
{
	struct l_msghdr h;
	struct file *f;
	int64_t r;
	int err;

	f = socket_get(t, ARG_INT(0), &err);
	if (!f)
		return err;
	r = get_user(t, h, ARG_UADDR(1));
	if (r == 0)
		r = send_hdr(t, f, &h, ARG_U32(2));
	file_put(f);
	return r;
}

int64_t sys_recvmsg(struct task *t, const struct sysargs *a)
{
	struct l_msghdr h;
	struct file *f;
	int64_t r;
	int err;

	f = socket_get(t, ARG_INT(0), &err);
	if (!f)
		return err;
	r = get_user(t, h, ARG_UADDR(1));
	if (r == 0)
		r = recv_hdr(t, f, &h, a->a[1], ARG_U32(2));
	file_put(f);
	return r;
}

/* The results so far are the answer; an error is only the answer when there are none. */
int64_t sys_sendmmsg(struct task *t, const struct sysargs *a)
{
	uint32_t n = min(ARG_U32(2), MMSG_MAX), i;
	struct file *f;
	int64_t r = 0;
	int err;

	f = socket_get(t, ARG_INT(0), &err);
	if (!f)
		return err;
	for (i = 0; i < n; i++) {
		/* bounded: n <= MMSG_MAX; get_user checks the address */
		uint64_t at = a->a[1] + i * sizeof(struct l_mmsghdr);
		struct l_msghdr h;
		uint32_t len;

		r = get_user(t, h, UADDR(at));
		if (r == 0)
			r = send_hdr(t, f, &h, ARG_U32(3));
		if (r < 0)
			break;
		len = (uint32_t)r;
		r = put_user(t, UADDR(at + offsetof(struct l_mmsghdr, len)), len);
		if (r)
			break;
		if (signal_pending(t)) {
			i++;
			break;
		}
	}
	file_put(f);
	return i ? (int64_t)i : r;
}

static int64_t recv_many(struct task *t, struct file *f, uint64_t base, uint32_t n, uint32_t flags, uint64_t deadline)
{
	int64_t r = 0;
	uint32_t i;

	r = sock_take_err(sock_of(f));
	if (r)
		return r;
	for (i = 0; i < n;) {
		uint64_t at = base + i * sizeof(struct l_mmsghdr);
		struct l_msghdr h;
		uint32_t len;

		r = get_user(t, h, UADDR(at));
		if (r == 0)
			r = recv_hdr(t, f, &h, at, flags & ~(uint32_t)MSG_WAITFORONE);
		if (r < 0)
			break;
		len = (uint32_t)r;
		r = put_user(t, UADDR(at + offsetof(struct l_mmsghdr, len)), len);
		if (r)
			break;
		i++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (deadline != WAIT_FOREVER && now_mono() >= deadline)
			break;
	}
	return i ? (int64_t)i : r;
}

int64_t sys_recvmmsg(struct task *t, const struct sysargs *a)
{
	uint64_t deadline = WAIT_FOREVER;
	struct l_timespec ts;
	struct file *f;
	int64_t r;
	int err;

	if (a->a[4]) {
		r = get_user(t, ts, ARG_UADDR(4));
		if (r == 0)
			r = timeout_deadline(ts.sec, ts.nsec, &deadline);
		if (r)
			return r;
	}
	f = socket_get(t, ARG_INT(0), &err);
	if (!f)
		return err;
	r = recv_many(t, f, a->a[1], min(ARG_U32(2), MMSG_MAX), ARG_U32(3), deadline);
	file_put(f);
	if (r > 0 && a->a[4] && deadline != 0) {
		ts = deadline_left(deadline);
		err = put_user(t, ARG_UADDR(4), ts);
		r = err ? err : r;
	}
	return r;
}
