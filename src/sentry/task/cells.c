/* SPDX-License-Identifier: Apache-2.0 */
/* What the platform asks of tasks, and what it is told of them. */
#include <errno.h>
#include <signal.h>
#include "sentry/core/user_ns.h"
#include "sentry/mm/mm.h"
#include "sentry/task/ns.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_i.h"

bool task_no_fast;

/* The current ids, if the guest may have them without asking. */
static bool ids_of(struct task *t, struct pl_ids *ids)
{
	const struct cred *c = t->cred;
	const struct user_ns *u = c->user_ns;

	/* a user namespace's maps may be written later; filters and tracers see every call */
	if (task_no_fast || t->ptrace || t->seccomp_mode || u->parent)
		return false;
	ids->pid = (uint32_t)task_tgid_nr(t, task_pid_ns(t));
	ids->tid = (uint32_t)task_pid_nr(t, task_pid_ns(t));
	ids->uid = user_ns_uid_munged(u, c->uid);
	ids->euid = user_ns_uid_munged(u, c->euid);
	ids->gid = user_ns_gid_munged(u, c->gid);
	ids->egid = user_ns_gid_munged(u, c->egid);
	return true;
}

/* Another host thread serves the task now: it runs where the task may run (R22). */
static void tell_affinity(struct task *t)
{
	uint8_t host[sizeof(t->affinity)];
	bool less = false, any = false;

	pl_host_cpus(host, sizeof(host));
	for (size_t i = 0; i < sizeof(host); i++) {
		less |= (host[i] & ~t->affinity[i]) != 0;
		any |= (host[i] & t->affinity[i]) != 0;
	}
	if (less && any)
		pl_set_affinity(t->pl, t->affinity, sizeof(t->affinity));
}

/* Why its system calls must not be answered without the kernel: enum slow. */
uint8_t task_slow(const struct task *t)
{
	if (likely(!t->ptrace && !t->seccomp_mode))
		return 0;
	return (uint8_t)((t->ptrace ? SLOW_TRACED : 0) | (t->seccomp_mode ? SLOW_FILTERED : 0) |
			 (t->ptrace && (t->ptrace_sys || t->ptrace_sysemu) ? SLOW_CALLS : 0));
}

/* Not a call of it may be missed, private futexes included (R18); deadlines need shifting (R27). */
static void tell_strict(struct task *t)
{
	if (!(task_slow(t) & (SLOW_FILTERED | SLOW_CALLS)) && !task_has_time_offset(t))
		return;
	if (pl_set_strict(t->pl) == -ENOMEM)
		task_exit_self(t, SIGKILL);
}

/* Its vDSO reads the clocks of its time namespace. */
static void tell_clocks(struct task *t)
{
	const struct time_ns *tn = t->ns ? t->ns->time : NULL;

	if (tn && pl_set_clocks(t->pl, tn->mono_offset, tn->boot_offset) == -ENOMEM)
		task_exit_self(t, SIGKILL);	/* it would be told a wrong time */
}

void task_tell_ids(struct task *t)
{
	struct pl_ids ids;
	bool told = ids_of(t, &ids);

	pl_set_ids(t->pl, told ? &ids : NULL);
	if (t->told_pl != t->pl.v)
		tell_affinity(t);
	tell_clocks(t);
	tell_strict(t);
	t->told_pl = t->pl.v;
	t->told_cred = t->cred;
	t->told_ns = t->ns;
	t->told_slow = task_slow(t);
}

/* pl_boot.may_patch: the caller is the thread's owner. */
int task_may_patch(pl_thread_t pl, uint64_t page)
{
	struct task *t = current;

	if (!t || t->pl.v != pl.v || !t->mm || t->ptrace)
		return -EPERM;
	return mm_may_patch(t->mm, page);
}

/* pl_boot.gone: the host killed a cell; its tasks may be asleep in the kernel. */
void task_cell_gone(pl_thread_t pl)
{
	struct task *t, *hit = NULL;
	struct process *p;

	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		list_for_each(t, &p->threads, thread_link) {
			if (t->pl.v == pl.v)
				hit = task_get(t);
		}
		if (hit)
			break;
	}
	mutex_unlock(&tasks_lock);
	if (!hit)
		return;
	(void)signal_send(hit, SEND_PROCESS, SIGKILL, NULL);
	task_put(hit);
}
