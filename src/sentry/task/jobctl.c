/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group stops and the news to the parent. A group stop: the thread that dequeues a stop signal
 * marks every thread JC_STOP_PENDING; each one parks itself (t->stopped); the last one tells the
 * parent. SIGCONT undoes it at the moment it is sent. Traced threads trap instead of parking.
 */
#include <errno.h>
#include <signal.h>
#include "sentry/task/ptrace.h"
#include "sentry/task/rusage.h"
#include "sentry/task/task_i.h"

#define STOP_SIGNALS (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))

void jobctl_set_pending(struct task *t, uint32_t mask)
{
	if (t->exiting || (t->pending.set & SIGBIT(SIGKILL)))
		return;
	if (mask & JC_STOP_SIGMASK)
		t->jobctl &= ~(uint32_t)JC_STOP_SIGMASK;
	t->jobctl |= mask;
}

void jobctl_clear_pending(struct task *t, uint32_t mask)
{
	if (mask & JC_STOP_PENDING)
		mask |= JC_STOP_CONSUME | JC_STOP_DEQUEUED;
	t->jobctl &= ~mask;
}

/* The task has reached its stop (or leaves the group). True: it completed the group stop. */
static bool participate(struct task *t)
{
	struct process *p = t->proc;
	bool consume = t->jobctl & JC_STOP_CONSUME;

	jobctl_clear_pending(t, JC_STOP_PENDING);
	if (!consume)
		return false;
	if (p->stop_count)
		p->stop_count--;
	if (!p->stop_count && !(p->group_exit & SG_STOPPED)) {
		p->group_exit = (p->group_exit & SG_UNKILLABLE) | SG_STOPPED;
		return true;
	}
	return false;
}

void jobctl_task_gone(struct task *t)
{
	if (participate(t))
		t->proc->group_exit |= SG_CLD_STOPPED;
}

static void trap_notify(struct task *t)
{
	t->jobctl |= JC_TRAP_NOTIFY;
	if (t->jobctl & JC_LISTENING) {
		t->jobctl &= ~(uint32_t)JC_LISTENING;
		t->state = TASK_KERNEL;
	}
	signal_wake(t, false);
}

/* What sending a stop signal or SIGCONT does, whether or not anybody receives it. */
void jobctl_prepare(struct process *p, struct task *target, int sig)
{
	struct task *t;
	uint32_t why;

	if (signal_stops(sig)) {
		signal_flush_mask(&p->shared, SIGBIT(SIGCONT));
		list_for_each(t, &p->threads, thread_link)
			signal_flush_mask(&t->pending, SIGBIT(SIGCONT));
		return;
	}
	if (sig != SIGCONT)
		return;
	signal_flush_mask(&p->shared, STOP_SIGNALS);
	why = p->group_exit & SG_STOPPED ? SG_CLD_CONTINUED : p->stop_count ? SG_CLD_STOPPED : 0;
	list_for_each(t, &p->threads, thread_link) {
		signal_flush_mask(&t->pending, STOP_SIGNALS);
		jobctl_clear_pending(t, JC_STOP_PENDING);
		if (t->ptrace & PT_SEIZED) {
			if (why)
				trap_notify(t);
		} else if (t->stopped) {
			t->stopped = false;
			task_wake(t);
		}
	}
	if (why) {
		p->group_exit = (p->group_exit & SG_UNKILLABLE) | why | SG_CONTINUED;
		p->stop_count = 0;
		p->exit_code = 0;
		/* Somebody has to tell the parent: the first thread that passes. */
		if ((t = list_first(&p->threads, struct task, thread_link)))
			signal_wake(t, false);
	}
}

static void start_stop(struct task *t, int sig)
{
	struct process *p = t->proc;
	uint32_t mark = JC_STOP_PENDING | JC_STOP_CONSUME | (uint32_t)sig;
	struct task *i;

	if (!(p->group_exit & SG_STOPPED))
		p->exit_code = sig;
	p->stop_count = 0;
	list_for_each(i, &p->threads, thread_link) {
		if (i->stopped || i->exiting || (i != t && (i->jobctl & JC_STOP_PENDING)))
			continue;
		jobctl_set_pending(i, mark);
		if (!(i->jobctl & JC_STOP_PENDING))
			continue;
		p->stop_count++;
		if (i == t)
			continue;
		if (i->ptrace & PT_SEIZED)
			trap_notify(i);
		else
			signal_wake(i, false);
	}
}

static void park(struct task *t)
{
	struct process *p = t->proc;

	for (;;) {
		bool on;

		mutex_lock(&p->sighand->lock);
		if (kill_pending(t))
			t->stopped = false;
		on = t->stopped;
		mutex_unlock(&p->sighand->lock);
		if (!on)
			break;
		(void)!wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
	}
	__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
}

/* sig: the dequeued stop signal, or 0 to take part in a pending stop. False: nothing to do here
 * (S still held); true: it was stopped and S has been dropped. */
bool jobctl_do_stop(struct task *t, int sig)
{
	struct process *p = t->proc;
	bool last;

	if (!(t->jobctl & JC_STOP_PENDING)) {
		if (!(t->jobctl & JC_STOP_DEQUEUED) || (p->group_exit & SG_EXIT) || p->exec_task)
			return false;
		start_stop(t, sig);
		if (!(t->jobctl & JC_STOP_PENDING))
			return false;
	}
	if (t->ptrace) {
		t->jobctl |= JC_TRAP_STOP;
		return false;
	}
	last = participate(t);
	t->stopped = true;
	signal_recalc(t);
	__atomic_store_n(&t->state, TASK_STOPPED, __ATOMIC_SEQ_CST);
	mutex_unlock(&p->sighand->lock);
	if (last) {
		mutex_lock(&tasks_lock);
		notify_parent_cldstop(t, false, CLD_STOPPED);
		mutex_unlock(&tasks_lock);
	}
	park(t);
	return true;
}

/* Called without locks by a thread that found news for the parent. */
void process_tell_parent(struct task *t)
{
	struct process *p = t->proc;
	int why = 0;

	mutex_lock(&p->sighand->lock);
	if (p->group_exit & SG_CLD_CONTINUED)
		why = CLD_CONTINUED;
	else if (p->group_exit & SG_CLD_STOPPED)
		why = CLD_STOPPED;
	p->group_exit &= ~(uint32_t)(SG_CLD_CONTINUED | SG_CLD_STOPPED);
	mutex_unlock(&p->sighand->lock);
	if (!why)
		return;
	mutex_lock(&tasks_lock);
	notify_parent_cldstop(t, false, why);
	if (p->leader && p->leader->ptrace && p->leader->tracer->proc != p->parent)
		notify_parent_cldstop(p->leader, true, why);
	mutex_unlock(&tasks_lock);
}

/* --- SIGCHLD ------------------------------------------------------------------------------- */

static void fill_chld(struct l_siginfo *info, struct task *t, struct process *to, int code, int status)
{
	struct rusage_sum u;

	*info = (struct l_siginfo){.signo = SIGCHLD, .code = code};
	if (!to->leader)
		return;
	info->chld.pid = task_pid_nr(t, task_pid_ns(to->leader));
	info->chld.uid = user_ns_uid_munged(to->leader->cred->user_ns, t->cred->uid);
	info->chld.status = status;
	task_usage(t, &u);
	info->chld.utime = (int64_t)(u.utime / 10000000);
	info->chld.stime = (int64_t)(u.stime / 10000000);
}

void notify_parent_cldstop(struct task *t, bool for_ptracer, int why)
{
	struct process *to = for_ptracer ? t->tracer->proc : t->proc->parent;
	struct l_sigaction *act;
	struct l_siginfo info;
	int status = SIGCONT;

	if (!to)
		return;
	if (!for_ptracer)
		t = t->proc->leader;
	if (why == CLD_STOPPED)
		status = t->proc->exit_code & 0x7f;
	else if (why == CLD_TRAPPED)
		status = (int)(t->trap_code & 0x7f);
	fill_chld(&info, t, to, why, status);
	wq_wake_all(&to->child_wq);
	mutex_lock(&to->sighand->lock);
	act = signal_action(to, SIGCHLD);
	if (act->handler != (uint64_t)(uintptr_t)SIG_IGN && !(act->flags & SA_NOCLDSTOP) && to->leader)
		(void)!signal_send_locked(to->leader, SEND_PROCESS, SIGCHLD, &info, false);
	mutex_unlock(&to->sighand->lock);
}

/* The thread is dead; tells who waits for it. True: nobody will, it is to be reaped at once. */
bool notify_parent_exit(struct task *t, int sig)
{
	struct process *to = t->ptrace ? t->tracer->proc : t->proc->parent;
	int code = t->exit_code & 0x7f, status;
	struct l_sigaction *act;
	struct l_siginfo info;
	bool autoreap = false;

	if (!to)
		return true;
	if (!code) {
		status = t->exit_code >> 8;
		code = CLD_EXITED;
	} else {
		status = code;
		code = t->exit_code & 0x80 ? CLD_DUMPED : CLD_KILLED;
	}
	fill_chld(&info, t, to, code, status);
	wq_wake_all(&t->pid->wq);
	mutex_lock(&to->sighand->lock);
	act = signal_action(to, SIGCHLD);
	if (!t->ptrace && sig == SIGCHLD &&
	    (act->handler == (uint64_t)(uintptr_t)SIG_IGN || (act->flags & SA_NOCLDWAIT))) {
		autoreap = true;
		if (act->handler == (uint64_t)(uintptr_t)SIG_IGN)
			sig = 0;
	}
	if (sig > 0 && sig <= L_NSIG && to->leader) {
		info.signo = sig;
		(void)!signal_send_locked(to->leader, SEND_PROCESS, sig, &info, false);
	}
	mutex_unlock(&to->sighand->lock);
	if (!t->ptrace && to->no_reap_wait)
		autoreap = true;
	wq_wake_all(&to->child_wq);
	return autoreap;
}
