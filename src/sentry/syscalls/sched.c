/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling attributes. They are kept and shown as Linux does; host threads are not reniced, so
 * that a task with an open order always runs soon (R21). CPU masks are subsets of the host's
 * numbering (R22).
 */
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>
#include "host/proc.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ns.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif
#define SCHED_RESET 0x40000000
#define MASK_BYTES 128

static struct task *target(struct task *t, int32_t pid)
{
	if (pid < 0)
		return NULL;
	return pid ? task_lookup(task_pid_ns(t), pid) : task_get(t);
}

static int may_set(struct task *t, struct task *to)
{
	const struct cred *c = t->cred;
	int rc = 0;

	mutex_lock(&tasks_lock);
	if (c->euid != to->cred->euid && c->euid != to->cred->uid &&
	    !cred_ns_capable(c, to->cred->user_ns, CAP_SYS_NICE))
		rc = -EPERM;
	mutex_unlock(&tasks_lock);
	return rc;
}

int64_t sys_sched_yield(struct task *t, const struct sysargs *a)
{
	(void)t, (void)a;
	(void)h_sched_yield();
	return 0;
}

/* --- policies ------------------------------------------------------------------------------ */

static bool is_rt(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static int set_policy(struct task *t, struct task *to, int policy, int prio, int nice, bool reset)
{
	int rc = may_set(t, to);

	if (policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE && !is_rt(policy))
		return policy == SCHED_DEADLINE ? -EPERM : -EINVAL;
	if (prio < 0 || prio > 99 || is_rt(policy) != (prio != 0))
		return -EINVAL;
	if (rc)
		return rc;
	if (is_rt(policy) && !cred_ns_capable(t->cred, to->cred->user_ns, CAP_SYS_NICE)) {
		uint64_t lim = task_rlimit(to, RLIMIT_RTPRIO);

		if (policy != to->sched_policy && !lim)
			return -EPERM;
		if (prio > to->rt_prio && (uint64_t)prio > lim)
			return -EPERM;
	}
	if (to->sched_reset && !reset && !cred_ns_capable(t->cred, to->cred->user_ns, CAP_SYS_NICE))
		return -EPERM;
	to->sched_policy = (uint8_t)policy;
	to->rt_prio = (uint8_t)prio;
	to->sched_reset = reset;
	if (nice != INT32_MAX)
		to->nice = (int8_t)nice;
	return 0;
}

int64_t sys_sched_setscheduler(struct task *t, const struct sysargs *a)
{
	struct task *to;
	int32_t prio;
	int rc;

	if (!a->a[2] || ARG_INT(0) < 0 || ARG_INT(1) < 0)
		return -EINVAL;
	if (get_user(t, prio, UADDR(a->a[2])))
		return -EFAULT;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	rc = set_policy(t, to, ARG_INT(1) & ~SCHED_RESET, prio, INT32_MAX, ARG_INT(1) & SCHED_RESET);
	task_put(to);
	return rc;
}

int64_t sys_sched_setparam(struct task *t, const struct sysargs *a)
{
	struct task *to;
	int32_t prio;
	int rc;

	if (!a->a[1] || ARG_INT(0) < 0)
		return -EINVAL;
	if (get_user(t, prio, UADDR(a->a[1])))
		return -EFAULT;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	rc = set_policy(t, to, to->sched_policy, prio, INT32_MAX, to->sched_reset);
	task_put(to);
	return rc;
}

int64_t sys_sched_getscheduler(struct task *t, const struct sysargs *a)
{
	struct task *to;
	int64_t rc;

	if (ARG_INT(0) < 0)
		return -EINVAL;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	rc = to->sched_policy | (to->sched_reset ? SCHED_RESET : 0);
	task_put(to);
	return rc;
}

int64_t sys_sched_getparam(struct task *t, const struct sysargs *a)
{
	struct task *to;
	int32_t prio;

	if (!a->a[1] || ARG_INT(0) < 0)
		return -EINVAL;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	prio = to->rt_prio;
	task_put(to);
	return put_user(t, UADDR(a->a[1]), prio);
}

int64_t sys_sched_get_priority_max(struct task *t, const struct sysargs *a)
{
	(void)t;
	if (is_rt(ARG_INT(0)))
		return 99;
	return ARG_INT(0) == SCHED_OTHER || ARG_INT(0) == SCHED_BATCH || ARG_INT(0) == SCHED_IDLE ||
	       ARG_INT(0) == SCHED_DEADLINE ? 0 : -EINVAL;
}

int64_t sys_sched_get_priority_min(struct task *t, const struct sysargs *a)
{
	int64_t max = sys_sched_get_priority_max(t, a);

	return max == 99 ? 1 : max;
}

int64_t sys_sched_rr_get_interval(struct task *t, const struct sysargs *a)
{
	struct l_timespec ts = {0};
	struct task *to;

	if (ARG_INT(0) < 0)
		return -EINVAL;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	if (to->sched_policy == SCHED_RR)
		ts.nsec = 100000000;
	else if (to->sched_policy != SCHED_FIFO)
		ts.nsec = 3000000;
	task_put(to);
	return put_user(t, UADDR(a->a[1]), ts);
}

struct l_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};

int64_t sys_sched_setattr(struct task *t, const struct sysargs *a)
{
	struct l_sched_attr s = {0};
	struct task *to;
	uint32_t size;
	int rc;

	if (!a->a[1] || ARG_INT(0) < 0 || ARG_U32(2))
		return -EINVAL;
	if (get_user(t, size, UADDR(a->a[1])))
		return -EFAULT;
	if (!size)
		size = 48;
	if (size < 48 || size > PAGE_SIZE) {
		size = sizeof(s);
		return put_user(t, UADDR(a->a[1]), size) ? -EFAULT : -E2BIG;
	}
	if (copy_in(t, &s, UADDR(a->a[1]), min((size_t)size, sizeof(s))))
		return -EFAULT;
	if (s.flags & ~1ull)
		return -EINVAL;
	s.nice = max(-20, min(19, s.nice));
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	rc = set_policy(t, to, (int)s.policy, (int)s.priority, is_rt((int)s.policy) ? INT32_MAX : s.nice,
			s.flags & 1);
	task_put(to);
	return rc;
}

int64_t sys_sched_getattr(struct task *t, const struct sysargs *a)
{
	struct l_sched_attr s = {.size = sizeof(s)};
	uint32_t size = ARG_U32(2);
	struct task *to;

	if (!a->a[1] || ARG_INT(0) < 0 || size < 48 || size > PAGE_SIZE || a->a[3])
		return -EINVAL;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	s.size = min(size, (uint32_t)sizeof(s));
	s.policy = to->sched_policy;
	s.flags = to->sched_reset;
	s.nice = is_rt(to->sched_policy) ? 0 : to->nice;
	s.priority = to->rt_prio;
	s.util_max = 1024;
	task_put(to);
	return copy_out(t, UADDR(a->a[1]), &s, s.size);
}

/* --- affinity ------------------------------------------------------------------------------ */

int64_t sys_sched_getaffinity(struct task *t, const struct sysargs *a)
{
	uint64_t host[16] = {0};
	int bytes = h_sched_getaffinity(0, sizeof(host), host);
	struct task *to;
	uint64_t len = ARG_U32(1);
	uint8_t mask[MASK_BYTES];

	if (bytes <= 0)
		bytes = 8;
	if (len * 8 < (uint64_t)bytes || (len & 7))
		return -EINVAL;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	__builtin_memcpy(mask, to->affinity, sizeof(mask));
	task_put(to);
	len = min(len, (uint64_t)bytes);
	if (copy_out(t, UADDR(a->a[2]), mask, len))
		return -EFAULT;
	return (int64_t)len;
}

int64_t sys_sched_setaffinity(struct task *t, const struct sysargs *a)
{
	uint64_t host[16] = {0};
	uint8_t mask[MASK_BYTES] = {0};
	size_t len = min((size_t)ARG_U32(1), sizeof(mask));
	bool any = false;
	struct task *to;
	int rc;

	if (copy_in(t, mask, UADDR(a->a[2]), len))
		return -EFAULT;
	to = target(t, ARG_INT(0));
	if (!to)
		return -ESRCH;
	rc = may_set(t, to);
	pl_host_cpus(host, sizeof(host));
	for (size_t i = 0; i < sizeof(mask); i++) {
		mask[i] &= (uint8_t)(host[i / 8] >> i % 8 * 8);
		any |= mask[i] != 0;
	}
	if (!rc && !any)
		rc = -EINVAL;
	if (!rc)
		__builtin_memcpy(to->affinity, mask, sizeof(mask));
	if (!rc)
		pl_set_affinity(to->pl, mask, sizeof(mask));
	task_put(to);
	return rc;
}

int64_t sys_getcpu(struct task *t, const struct sysargs *a)
{
	uint32_t cpu = pl_last_cpu(t->pl), node = 0;

	if (a->a[0] && put_user(t, UADDR(a->a[0]), cpu))
		return -EFAULT;
	return a->a[1] ? put_user(t, UADDR(a->a[1]), node) : 0;
}

/* --- nice ---------------------------------------------------------------------------------- */

static bool prio_match(struct task *t, const struct task *c, int which, int32_t who)
{
	struct pid_ns *ns = task_pid_ns(t);

	switch (which) {
	case PRIO_PROCESS:
		return who ? task_pid_nr(c, ns) == who : c == t;
	case PRIO_PGRP:
		return who ? pid_nr(c->proc->pgrp, ns) == who : c->proc->pgrp == t->proc->pgrp;
	default:
		return c->cred->uid == (who ? user_ns_kuid(t->cred->user_ns, (uint32_t)who) : t->cred->uid);
	}
}

static int set_nice(struct task *t, struct task *c, int nice)
{
	uint64_t lim = min(task_rlimit(c, RLIMIT_NICE), (uint64_t)40);

	if (c->cred->uid != t->cred->euid && c->cred->euid != t->cred->euid &&
	    !cred_ns_capable(t->cred, c->cred->user_ns, CAP_SYS_NICE))
		return -EPERM;
	if (nice < c->nice && 20 - nice > (int)lim && !cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_NICE))
		return -EACCES;
	c->nice = (int8_t)nice;
	return 0;
}

int64_t sys_setpriority(struct task *t, const struct sysargs *a)
{
	int which = ARG_INT(0), nice = max(-20, min(19, ARG_INT(2))), rc = -ESRCH, r;
	struct process *p;
	struct task *c;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		list_for_each(c, &p->threads, thread_link) {
			if (!prio_match(t, c, which, ARG_INT(1)))
				continue;
			r = set_nice(t, c, nice);
			if (rc == -ESRCH || r)
				rc = r;
		}
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

int64_t sys_getpriority(struct task *t, const struct sysargs *a)
{
	int which = ARG_INT(0), best = 0;
	struct process *p;
	struct task *c;

	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link)
		list_for_each(c, &p->threads, thread_link)
			if (prio_match(t, c, which, ARG_INT(1)))
				best = max(best, 20 - c->nice);
	mutex_unlock(&tasks_lock);
	return best ? best : -ESRCH;
}

/* --- I/O priority -------------------------------------------------------------------------- */

enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER };

int64_t sys_ioprio_get(struct task *t, const struct sysargs *a)
{
	struct process *p;
	struct task *c;
	int64_t best = -ESRCH;

	if (ARG_INT(0) < IOPRIO_WHO_PROCESS || ARG_INT(0) > IOPRIO_WHO_USER)
		return -EINVAL;
	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		list_for_each(c, &p->threads, thread_link) {
			int64_t v = c->ioprio_class << 13 | c->ioprio_level;

			if (prio_match(t, c, ARG_INT(0) - 1, ARG_INT(1)))
				best = best < 0 ? v : min(best, v);
		}
	}
	mutex_unlock(&tasks_lock);
	return best;
}

int64_t sys_ioprio_set(struct task *t, const struct sysargs *a)
{
	int class = ARG_INT(2) >> 13, level = ARG_INT(2) & 7;
	struct process *p;
	struct task *c;
	int64_t rc = -ESRCH;

	if (ARG_INT(0) < IOPRIO_WHO_PROCESS || ARG_INT(0) > IOPRIO_WHO_USER || class < 0 || class > 3)
		return -EINVAL;
	if (class == 0 && level)
		return -EINVAL;
	if (class == 1 && !cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_NICE) &&
	    !cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		list_for_each(c, &p->threads, thread_link) {
			if (!prio_match(t, c, ARG_INT(0) - 1, ARG_INT(1)))
				continue;
			if (c->cred->uid != t->cred->euid && c->cred->uid != t->cred->uid &&
			    !cred_ns_capable(t->cred, c->cred->user_ns, CAP_SYS_NICE))
				continue;
			c->ioprio_class = (uint8_t)class;
			c->ioprio_level = (uint8_t)level;
			rc = 0;
		}
	}
	mutex_unlock(&tasks_lock);
	return rc;
}
