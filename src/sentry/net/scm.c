/* SPDX-License-Identifier: Apache-2.0 */
/* cmsg(3): SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD and timestamps, in and out. */
#include "sentry/net/scm.h"
#include <errno.h>
#include <linux/capability.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/pidfd/pidfd.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

#define CONTROL_MAX 131072u	/* net.core.optmem_max */
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

struct l_cmsghdr {
	uint64_t len;
	int32_t level, type;
};

struct l_ucred {
	uint32_t pid, uid, gid;
};

static bool is_inet(const struct sock *s)
{
	return s->family == AF_INET || s->family == AF_INET6;
}

static uint64_t cmsg_align(uint64_t n)
{
	return (n + 7) & ~7ull;
}

/* --- in --------------------------------------------------------------------------------------- */

static int add_rights(struct task *t, struct scm **scm, const char *data, uint64_t n)
{
	uint32_t count = (uint32_t)(n / sizeof(int)), had = *scm ? (*scm)->nfds : 0;
	struct scm *s;

	if (n / sizeof(int) > SCM_MAX_FD || had + count > SCM_MAX_FD)
		return -EINVAL;
	if (!count)
		return 0;
	s = scm_alloc(had + count);
	if (!s)
		return -ENOMEM;
	if (*scm) {
		s->pid = (*scm)->pid, s->uid = (*scm)->uid, s->gid = (*scm)->gid;
		s->has_creds = (*scm)->has_creds;
		for (uint32_t i = 0; i < had; i++)
			s->fds[i] = (*scm)->fds[i];
		s->nfds = had;
		kfree(*scm);
	}
	*scm = s;
	for (uint32_t i = 0; i < count; i++) {
		int fd;
		struct file *f;

		__builtin_memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		f = fd_get_any(t, fd);
		if (!f)
			return -EBADF;
		s->fds[s->nfds++] = f;
	}
	return 0;
}

static bool may_claim(struct task *t, const struct l_ucred *c, uint32_t uid, uint32_t gid)
{
	const struct cred *k = t->cred;

	return ((int32_t)c->pid == task_tgid_nr(t, task_pid_ns(t)) || cred_ns_capable(k, k->user_ns, CAP_SYS_ADMIN)) &&
	       (uid == k->uid || uid == k->euid || uid == k->suid || cred_ns_capable(k, k->user_ns, CAP_SETUID)) &&
	       (gid == k->gid || gid == k->egid || gid == k->sgid || cred_ns_capable(k, k->user_ns, CAP_SETGID));
}

static int add_creds(struct task *t, struct scm **scm, const char *data, uint64_t n)
{
	struct l_ucred c;
	struct pid *pid;
	uint32_t uid, gid;

	if (n != sizeof(c))
		return -EINVAL;
	__builtin_memcpy(&c, data, sizeof(c));
	uid = uid_from_ns(t->cred->user_ns, c.uid);
	gid = gid_from_ns(t->cred->user_ns, c.gid);
	if (uid == ~0u || gid == ~0u)
		return -EINVAL;
	if (!may_claim(t, &c, uid, gid))
		return -EPERM;
	pid = pid_lookup(task_pid_ns(t), (int32_t)c.pid);
	if (!pid)
		return -ESRCH;
	if (!*scm)
		*scm = scm_alloc(0);
	if (!*scm) {
		pid_put(pid);
		return -ENOMEM;
	}
	if ((*scm)->pid)
		pid_put((*scm)->pid);
	(*scm)->pid = pid, (*scm)->uid = uid, (*scm)->gid = gid;
	(*scm)->has_creds = true;
	return 0;
}

static int parse_one(struct task *t, struct sock *s, const struct l_cmsghdr *h, const char *data, struct sockmsg *m)
{
	uint64_t n = h->len - sizeof(*h);

	if (h->level != SOL_SOCKET)
		return is_inet(s) ? inet_cmsg_in(s, h->level, h->type, data, n, &m->ip) : 0;
	if (s->family != AF_UNIX)
		return h->type == SCM_RIGHTS || h->type == SCM_CREDENTIALS ? 0 : -EINVAL;
	switch (h->type) {
	case SCM_RIGHTS:
		return add_rights(t, &m->scm, data, n);
	case SCM_CREDENTIALS:
		return add_creds(t, &m->scm, data, n);
	}
	return -EINVAL;
}

int scm_parse(struct task *t, struct sock *s, uint64_t control, uint64_t len, struct sockmsg *m)
{
	uint64_t off = 0;
	char *buf;
	int r;

	m->scm = NULL;
	if (!len)
		return 0;
	if (len > CONTROL_MAX)
		return -ENOBUFS;
	buf = kmalloc(len);
	if (!buf)
		return -ENOBUFS;
	r = copy_in(t, buf, UADDR(control), len);
	while (r == 0 && off <= len && len - off >= sizeof(struct l_cmsghdr)) {
		struct l_cmsghdr h;

		__builtin_memcpy(&h, buf + off, sizeof(h));
		if (h.len < sizeof(h) || h.len > len - off) {
			r = -EINVAL;
			break;
		}
		r = parse_one(t, s, &h, buf + off + sizeof(h), m);
		off += cmsg_align(h.len);
	}
	kfree(buf);
	if (r)
		scm_free(steal(m->scm));
	return r;
}

/* --- out -------------------------------------------------------------------------------------- */

int scm_put_one(struct cmsg_out *o, int level, int type, const void *data, uint32_t n)
{
	struct l_cmsghdr h = {sizeof(h) + n, level, type};
	uint64_t len = h.len;
	int r;

	if (o->left < sizeof(h)) {
		o->trunc = true;
		return 0;
	}
	if (o->left < len) {
		o->trunc = true;
		len = h.len = o->left;
	}
	r = copy_out(o->t, UADDR(o->at), &h, sizeof(h));
	if (r == 0 && len > sizeof(h))
		r = copy_out(o->t, UADDR(o->at + sizeof(h)), data, len - sizeof(h));
	if (r)
		return r;
	len = min(cmsg_align(len), o->left);
	o->at += len, o->left -= len, o->used += len;
	return 0;
}

static int put_creds(struct cmsg_out *o, const struct scm *scm)
{
	struct l_ucred c = {0, 65534, 65534};

	if (scm && scm->has_creds) {
		c.pid = scm->pid ? (uint32_t)pid_nr(scm->pid, task_pid_ns(o->t)) : 0;
		c.uid = uid_to_ns(o->t->cred->user_ns, scm->uid);
		c.gid = gid_to_ns(o->t->cred->user_ns, scm->gid);
	}
	return scm_put_one(o, SOL_SOCKET, SCM_CREDENTIALS, &c, sizeof(c));
}

static int put_pidfd(struct cmsg_out *o, const struct scm *scm, bool cloexec)
{
	struct file *f;
	int fd = -1, r;

	if (o->left < sizeof(struct l_cmsghdr) + sizeof(fd)) {
		o->trunc = true;
		return 0;
	}
	r = scm && scm->pid ? pidfd_create(scm->pid, 0, &f) : -ESRCH;
	fd = r ? r : fd_add(o->t, f, true);
	return scm_put_one(o, SOL_SOCKET, SCM_PIDFD, &fd, sizeof(fd));
}

/* Each number is reserved, told, and then made valid; what does not fit is closed. */
static int put_rights(struct cmsg_out *o, struct scm *scm, bool cloexec)
{
	uint64_t room = o->left > sizeof(struct l_cmsghdr) ? (o->left - sizeof(struct l_cmsghdr)) / sizeof(int) : 0;
	struct l_cmsghdr h = {0, SOL_SOCKET, SCM_RIGHTS};
	uint32_t n = (uint32_t)min(room, (uint64_t)scm->nfds), i;
	int r = 0;

	for (i = 0; i < n; i++) {
		int fd = fd_reserve(o->t, 0, cloexec);

		if (fd < 0)
			break;
		r = put_user(o->t, UADDR(o->at + sizeof(h) + i * sizeof(int)), fd);
		if (r) {
			fd_abandon(o->t, fd);
			break;
		}
		fd_install(o->t, fd, file_get(scm->fds[i]));
	}
	if (i < scm->nfds)
		o->trunc = true;
	if (i == 0)
		return 0;
	h.len = sizeof(h) + i * sizeof(int);
	r = put_user(o->t, UADDR(o->at), h);
	if (r)
		return r;
	room = min(cmsg_align(h.len), o->left);
	o->at += room, o->left -= room, o->used += room;
	return 0;
}

static int put_stamp(struct cmsg_out *o, struct sock *s, uint64_t stamp)
{
	struct l_timespec ts = {(int64_t)(stamp / 1000000000), (int64_t)(stamp % 1000000000)};
	struct l_timeval tv = {ts.sec, ts.nsec / 1000};

	if (sock_opt(s, SKO_TIMESTAMPNS))
		return scm_put_one(o, SOL_SOCKET, SO_TIMESTAMPNS, &ts, sizeof(ts));
	return scm_put_one(o, SOL_SOCKET, SO_TIMESTAMP, &tv, sizeof(tv));
}

int scm_put(struct task *t, struct sock *s, struct sockmsg *m, uint64_t control, uint64_t *len, bool cloexec)
{
	struct cmsg_out o = {.t = t, .at = control, .left = control ? *len : 0};
	int r = 0;

	if (m->stamp && sock_opt(s, SKO_TIMESTAMP | SKO_TIMESTAMPNS))
		r = put_stamp(&o, s, m->stamp);
	if (r == 0 && s->family == AF_UNIX && sock_opt(s, SKO_PASSCRED))
		r = put_creds(&o, m->scm);
	if (r == 0 && s->family == AF_UNIX && sock_opt(s, SKO_PASSPIDFD))
		r = put_pidfd(&o, m->scm, cloexec);
	if (r == 0 && m->scm && m->scm->nfds)
		r = put_rights(&o, m->scm, cloexec);
	if (r == 0 && is_inet(s))
		r = inet_cmsg_out(s, &m->ip, &o);
	if (o.trunc)
		m->flags |= MSG_CTRUNC;
	*len = o.used;
	return r;
}
