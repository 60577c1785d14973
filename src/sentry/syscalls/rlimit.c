/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/resource.h>
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ns.h"
#include "sentry/time/time.h"
#include "sentry/vfs/told.h"

#define NLIMITS 16
#define NR_OPEN_MAX 1048576u

static int change(struct task *t, struct task *to, unsigned which, const struct l_rlimit *n,
		  struct l_rlimit *old)
{
	struct process *p = to->proc;
	int rc = 0;

	if (n && n->cur > n->max)
		return -EINVAL;
	if (n && which == RLIMIT_NOFILE && n->max > NR_OPEN_MAX)
		return -EPERM;
	mutex_lock(&tasks_lock);
	if (old)
		*old = p->rlim[which];
	if (n && n->max > p->rlim[which].max && !cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_RESOURCE))
		rc = -EPERM;
	if (n && !rc) {
		if (which == RLIMIT_NOFILE && n->cur < p->rlim[which].cur)
			told_full();
		p->rlim[which] = *n;
	}
	mutex_unlock(&tasks_lock);
	if (!rc && n && which == RLIMIT_CPU && n->cur != RLIM_INFINITY)
		cpu_timers_update(p);
	return rc;
}

int64_t sys_getrlimit(struct task *t, const struct sysargs *a)
{
	struct l_rlimit r;
	int rc;

	if (ARG_U32(0) >= NLIMITS)
		return -EINVAL;
	rc = change(t, t, ARG_U32(0), NULL, &r);
	return rc ? rc : put_user(t, UADDR(a->a[1]), r);
}

int64_t sys_setrlimit(struct task *t, const struct sysargs *a)
{
	struct l_rlimit r;

	if (get_user(t, r, UADDR(a->a[1])))
		return -EFAULT;
	if (ARG_U32(0) >= NLIMITS)
		return -EINVAL;
	return change(t, t, ARG_U32(0), &r, NULL);
}

static int may_prlimit(struct task *t, struct task *to)
{
	const struct cred *c = t->cred, *o;
	int rc = 0;

	if (t->proc == to->proc)
		return 0;
	mutex_lock(&tasks_lock);
	o = to->cred;
	if (!(c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid &&
	      c->gid == o->sgid && c->gid == o->gid) &&
	    !cred_ns_capable(c, o->user_ns, CAP_SYS_RESOURCE))
		rc = -EPERM;
	mutex_unlock(&tasks_lock);
	return rc;
}

int64_t sys_prlimit64(struct task *t, const struct sysargs *a)
{
	struct l_rlimit n, old;
	struct task *to;
	int rc;

	if (ARG_U32(1) >= NLIMITS)
		return -EINVAL;
	if (a->a[2] && get_user(t, n, UADDR(a->a[2])))
		return -EFAULT;
	to = ARG_INT(0) ? task_lookup(task_pid_ns(t), ARG_INT(0)) : task_get(t);
	if (!to)
		return -ESRCH;
	rc = may_prlimit(t, to);
	if (!rc)
		rc = change(t, to, ARG_U32(1), a->a[2] ? &n : NULL, &old);
	task_put(to);
	if (!rc && a->a[3])
		rc = put_user(t, UADDR(a->a[3]), old);
	return rc;
}
