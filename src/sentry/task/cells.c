/* SPDX-License-Identifier: Apache-2.0 */
/* What the platform asks of tasks, and what it is told of them. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include "sentry/core/user_ns.h"
#include "sentry/mm/mm.h"
#include "sentry/task/ns.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_i.h"
#include "sentry/vfs/told.h"

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

static bool is_default(const struct l_sigaction *a)
{
	return !(a->handler | a->flags | a->restorer | a->mask);
}

/* Any signal that can be handled. */
#define MAY_TELL (~1ull & ~(1ull << SIGKILL) & ~(1ull << SIGSTOP))
#define SA_RESTORER_ 0x04000000

/*
 * The guest was told the action of `sig`, or has changed it. Who asks will ask for the others too,
 * and set them (posix_spawn does): that is left to the cell for those that are untouched, while
 * nobody else can change them: this is the only task of the only process that has them.
 */
void task_tell_action(struct task *t, int sig, bool changed)
{
	struct process *p = t->proc;
	uint64_t mask = 0, restorer = t->told_restorer;

	if (changed != !!t->told_default)
		return;
	mutex_lock(&p->sighand->lock);
	if (p->nr_threads == 1 && ref_read(&p->sighand->ref) == 1) {
		mask = t->told_default;
		for (int i = 1; i < 64; i++)
			if (i == sig || !changed)
				mask = (mask & ~(1ull << i)) |
				       (uint64_t)is_default(signal_action(p, i)) << i;
		if (changed && signal_action(p, sig)->flags == SA_RESTORER_)
			restorer = signal_action(p, sig)->restorer;
	}
	mutex_unlock(&p->sighand->lock);
	t->told_default = mask & MAY_TELL;
	t->told_restorer = restorer;
	pl_set_default_signals(t->pl, t->told_default, restorer);
}

/* Before an event is looked at: what the cell was trusted to do itself. The mask is a claim, to
 * have done what the guest may do. */
void task_take_actions(struct task *t)
{
	uint64_t set = pl_defaulted_signals(t->pl) & t->told_default;
	struct process *p = t->proc;

	if (!set)
		return;
	mutex_lock(&p->sighand->lock);
	for (int i = 1; i < 64; i++)
		if (set >> i & 1)
			signal_set_action(p, i, &(struct l_sigaction){.flags = SA_RESTORER_,
								      .restorer = t->told_restorer});
	mutex_unlock(&p->sighand->lock);
	t->told_default &= ~set;
	pl_set_default_signals(t->pl, t->told_default, t->told_restorer);
}

/* Somebody else will have the same actions. */
void task_untell_actions(struct task *t)
{
	if (t->told_default)
		pl_set_default_signals(t->pl, 0, 0);
	t->told_default = 0;
}

/* The walk that was just made with LOOKUP_TELL ended in this error. */
void task_tell_path(struct task *t, const char *path, int err)
{
	if (told_walk.sure)
		pl_tell_path(t->pl, path, strlen(path), err, told_walk.epoch);
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
