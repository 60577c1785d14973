/* SPDX-License-Identifier: Apache-2.0 */
/* Process groups and sessions. */
#include <errno.h>
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ns.h"

/* T held. */
static void change_pgrp(struct process *p, struct pid *pgrp)
{
	struct pid *old = p->pgrp;

	pid_detach(p->leader, PIDTYPE_PGID, old);
	p->pgrp = pid_get(pgrp);
	pid_attach(p->leader, PIDTYPE_PGID, pgrp);
	pid_put(old);
}

static int set_pgrp_locked(struct task *t, struct process *p, struct pid *pgrp)
{
	struct process *me = t->proc;

	if (p != me) {
		if (p->parent != me)
			return -ESRCH;
		if (p->session != me->session)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	}
	if (p->session == p->tgid)
		return -EPERM;
	if (pgrp != p->tgid) {
		struct task *g = pid_task(pgrp, PIDTYPE_PGID);

		if (!g || g->proc->session != me->session)
			return -EPERM;
	}
	if (p->pgrp != pgrp)
		change_pgrp(p, pgrp);
	return 0;
}

int64_t sys_setpgid(struct task *t, const struct sysargs *a)
{
	struct pid_ns *ns = task_pid_ns(t);
	int32_t pid = ARG_INT(0), pgid = ARG_INT(1);
	struct pid *id, *group;
	struct task *c;
	int rc = -ESRCH;

	if (pgid < 0)
		return -EINVAL;
	if (!pid)
		pid = task_tgid_nr(t, ns);
	if (!pgid)
		pgid = pid;
	id = pid_lookup(ns, pid);
	group = pid_lookup(ns, pgid);
	mutex_lock(&tasks_lock);
	c = pid_task(id, PIDTYPE_PID);
	if (c && c != c->proc->leader)
		rc = -EINVAL;
	else if (c && !group)
		rc = c->proc->parent == t->proc || c->proc == t->proc ? -EPERM : -ESRCH;
	else if (c)
		rc = set_pgrp_locked(t, c->proc, group);
	mutex_unlock(&tasks_lock);
	pid_put(id);
	pid_put(group);
	return rc;
}

enum what { PGRP, SESSION };

static int64_t get_id(struct task *t, int32_t nr, enum what what)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct task *c = nr ? task_lookup(ns, nr) : task_get(t);
	int64_t rc;

	if (!c)
		return -ESRCH;
	mutex_lock(&tasks_lock);
	rc = pid_nr(what == PGRP ? c->proc->pgrp : c->proc->session, ns);
	mutex_unlock(&tasks_lock);
	task_put(c);
	return rc;
}

int64_t sys_getpgid(struct task *t, const struct sysargs *a)
{
	return get_id(t, ARG_INT(0), PGRP);
}

int64_t sys_getpgrp(struct task *t, const struct sysargs *a)
{
	(void)a;
	return get_id(t, 0, PGRP);
}

int64_t sys_getsid(struct task *t, const struct sysargs *a)
{
	return get_id(t, ARG_INT(0), SESSION);
}

int64_t sys_setsid(struct task *t, const struct sysargs *a)
{
	struct process *p = t->proc;
	int64_t rc = -EPERM;
	struct pid *old;

	(void)a;
	mutex_lock(&tasks_lock);
	/* Fails for a group leader, also if its group has outlived other members' changes. */
	if (p->session != p->tgid && !pid_task(p->tgid, PIDTYPE_PGID)) {
		old = p->session;
		pid_detach(p->leader, PIDTYPE_SID, old);
		p->session = pid_get(p->tgid);
		pid_attach(p->leader, PIDTYPE_SID, p->session);
		pid_put(old);
		change_pgrp(p, p->tgid);
		mutex_lock(&p->sighand->lock);
		p->tty = NULL;
		p->tty_old_pgrp = false;
		mutex_unlock(&p->sighand->lock);
		rc = pid_nr(p->tgid, task_pid_ns(t));
	}
	mutex_unlock(&tasks_lock);
	return rc;
}
