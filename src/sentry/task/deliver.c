/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way back into the guest: the result of a system call, its restart, stops, and the delivery
 * of signals. This is the only place where restart codes become guest registers.
 */
#include <errno.h>
#include <signal.h>
#include "lib/log.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/coredump.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_i.h"

#define NR_futex 202
#define FUTEX_CMD(op) ((op) & 0x7f)
#define FUTEX_PRIVATE 0x80

static bool is_restart(int64_t ret)
{
	return ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND ||
	       ret == -ERESTART_RESTARTBLOCK;
}

/* The call is done; its result goes to the guest, by the short way when nothing else is due. */
void syscall_finish(struct task *t, int64_t ret)
{
	if (t->exiting)
		return;
	if (t->keep_result) {		/* sigreturn, execve: the registers are set already */
		t->keep_result = false;
		t->syscall_nr = ~0u;
		if (unlikely(t->syscall_traced))
			ptrace_syscall_exit(t);
		t->in_syscall = false;
		return;
	}
	if (t->restore_mask && !is_restart(ret) && !(t->work & (TW_SIGNAL | TW_KILL))) {
		t->restore_mask = false;
		signal_set_mask(t, t->saved_mask);
	}
	if (!t->regs_valid && !is_restart(ret) && !t->syscall_traced &&
	    !__atomic_load_n(&t->work, __ATOMIC_RELAXED)) {
		pl_set_result(t->pl, ret);
		t->in_syscall = false;
		return;
	}
	task_regs(t, true)->rax = (uint64_t)ret;
	if (unlikely(t->syscall_traced))
		ptrace_syscall_exit(t);
	/* The caller's loop delivers; without work only a restart is left to do. */
	if (is_restart((int64_t)t->regs.rax) || t->restore_mask)
		task_set_work(t, TW_NOTIFY);
}

/* --- restarts ------------------------------------------------------------------------------ */

static void back_up(struct task *t, uint64_t nr)
{
	struct l_regs *r = task_regs(t, true);

	r->rax = nr;
	r->rip -= 2;
}

/* A thread that waited natively in a private futex: R13. */
static bool native_wait_op(const struct l_regs *r)
{
	uint32_t op = (uint32_t)r->rsi;

	if (!(op & FUTEX_PRIVATE))
		return false;
	op = FUTEX_CMD(op & ~(uint32_t)(FUTEX_PRIVATE | 256));
	return op == 0 || op == 9;	/* WAIT, WAIT_BITSET */
}

static bool at_syscall_insn(struct task *t, uint64_t rip)
{
	return pl_at_syscall(t->pl, rip);
}

/* In guest code, not in a call of ours: only native futex waits need care. */
static void native_restart(struct task *t, const struct l_sigaction *act)
{
	struct l_regs *r = task_regs(t, false);

	if (!native_wait_op(r))
		return;
	if (act) {
		if (r->rax == NR_futex && !(act->flags & SA_RESTART) && at_syscall_insn(t, r->rip)) {
			r = task_regs(t, true);
			r->rip += 2;
			r->rax = (uint64_t)-EINTR;
		}
		return;
	}
	if ((int64_t)r->rax == -EINTR && r->r10 && at_syscall_insn(t, r->rip - 2))
		task_regs(t, true)->rax = 0;
}

/* act: the handler that is about to run, or NULL. */
static void fix_restart(struct task *t, const struct l_sigaction *act)
{
	struct l_regs *r = task_regs(t, false);
	int64_t ret = (int64_t)r->rax;

	/* A debugger may have changed orig_rax, either way (R25). */
	t->in_syscall = false;
	if ((int64_t)r->orig_rax < 0) {
		if (act && t->restart.armed && at_syscall_insn(t, r->rip)) {
			r = task_regs(t, true);		/* interrupted again before it went on */
			r->rip += 2;
			r->rax = (uint64_t)-EINTR;
		} else {
			native_restart(t, act);
		}
		if (act)
			t->restart.armed = false;
		return;
	}
	if (!is_restart(ret))
		return;
	r = task_regs(t, true);
	if (act) {
		if (ret == -ERESTARTNOINTR || (ret == -ERESTARTSYS && (act->flags & SA_RESTART)))
			back_up(t, r->orig_rax);
		else
			r->rax = (uint64_t)-EINTR;
		return;
	}
	/* restart_syscall would go to the host natively: the call is made again under its own number,
	 * and the Sentry goes on with it where it was. */
	t->restart.armed = ret == -ERESTART_RESTARTBLOCK;
	t->restart.nr = (uint32_t)r->orig_rax;
	back_up(t, r->orig_rax);
}

/* --- choosing the signal ------------------------------------------------------------------- */

static void die(struct task *t, int sig, const struct l_siginfo *info)
{
	struct process *p = t->proc;
	int32_t code = sig;

	if (info && signal_dumps_core(sig))
		(void)core_dump(t, sig, info);	/* its success is in the process's exit code */
	mutex_lock(&p->sighand->lock);
	if (p->group_exit & SG_EXIT)
		code = p->exit_code;
	else
		group_exit_locked(p, code, t);
	mutex_unlock(&p->sighand->lock);
	log_debug("task %d (%s) dies by signal %d", task_pid_nr(t, task_root->pid_ns), t->comm, sig);
	task_exit_self(t, code);
}

/* S held. One signal that has a handler: its number and a copy of the action; 0: none; -1: S was
 * dropped, look again (or the task ends). */
static int choose(struct task *t, struct l_siginfo *info, struct l_sigaction *act)
{
	struct process *p = t->proc;
	int sig;

	if ((p->group_exit & SG_EXIT) || (t->pending.set & SIGBIT(SIGKILL)) ||
	    (p->exec_task && p->exec_task != t)) {
		int32_t code = p->group_exit & SG_EXIT ? p->exit_code : SIGKILL;

		t->pending.set &= ~SIGBIT(SIGKILL);
		mutex_unlock(&p->sighand->lock);
		if (p->exec_task && p->exec_task != t && !(p->group_exit & SG_EXIT))
			task_exit_self(t, 0);
		else
			die(t, code & 0x7f ? code & 0x7f : 0, NULL);
		if (code && t->exiting)
			t->exit_code = code;
		return -1;
	}
	if ((t->jobctl & JC_STOP_PENDING) && jobctl_do_stop(t, 0))
		return -1;
	if (t->jobctl & (JC_TRAP_STOP | JC_TRAP_NOTIFY)) {
		jobctl_trap(t);
		return -1;
	}
	sig = signal_dequeue(t, ~t->blocked, info);
	if (!sig)
		return 0;
	if (t->ptrace && sig != SIGKILL) {
		sig = ptrace_signal(t, sig, info);
		if (!sig) {
			mutex_unlock(&p->sighand->lock);
			return -1;
		}
	}
	*act = *signal_action(p, sig);
	if (act->handler == (uint64_t)(uintptr_t)SIG_IGN)
		goto again;
	if (act->handler != 0) {
		if (act->flags & SA_RESETHAND)
			signal_action(p, sig)->handler = 0;
		return sig;
	}
	if (signal_default_ignored(sig))
		goto again;
	if ((p->group_exit & SG_UNKILLABLE) && sig != SIGKILL && sig != SIGSTOP)
		goto again;
	if (signal_stops(sig)) {
		if (sig != SIGSTOP) {
			bool orphaned;

			mutex_unlock(&p->sighand->lock);
			mutex_lock(&tasks_lock);
			orphaned = process_is_orphaned_pgrp(p->pgrp, NULL);
			mutex_unlock(&tasks_lock);
			if (orphaned)
				return -1;
			mutex_lock(&p->sighand->lock);
		}
		if (jobctl_do_stop(t, sig))
			return -1;
		goto again;
	}
	mutex_unlock(&p->sighand->lock);
	die(t, sig, info);
	return -1;
again:
	mutex_unlock(&p->sighand->lock);
	return -1;
}

static void handle(struct task *t, int sig, const struct l_sigaction *act, const struct l_siginfo *info)
{
	l_sigset mask = t->restore_mask ? t->saved_mask : t->blocked;
	l_sigset now;

	fix_restart(t, act);
	if (frame_build(t, sig, act, info, mask)) {
		struct l_siginfo segv = {.signo = SIGSEGV, .code = SI_KERNEL};

		/* No stack for a frame; when it was SIGSEGV itself nothing can help. */
		mutex_lock(&t->proc->sighand->lock);
		if (sig == SIGSEGV)
			signal_action(t->proc, SIGSEGV)->handler = 0;
		mutex_unlock(&t->proc->sighand->lock);
		signal_force(t, SIGSEGV, &segv);
		return;
	}
	t->restore_mask = false;
	now = t->blocked | act->mask;
	if (!(act->flags & SA_NODEFER))
		now |= SIGBIT(sig);
	signal_set_mask(t, now);
	if (t->syscall_traced || (t->ptrace && t->ptrace_step))
		ptrace_handler_entered(t);
}

void signal_deliver(struct task *t)
{
	struct process *p = t->proc;
	struct l_siginfo info;
	struct l_sigaction act;
	int sig;

	if (t->gone && !t->exiting) {
		process_exit_group(t, SIGKILL);
		task_exit_self(t, SIGKILL);
		return;
	}
	(void)task_regs(t, false);
	task_clear_work(t, TW_NOTIFY | TW_SECCOMP);
	if (unlikely(t->mem_wanted || (t->mm && (t->ptrace || t->mm->mem_open))))
		task_serve_mem(t);
	while (!t->exiting) {
		if (p->group_exit & (SG_CLD_CONTINUED | SG_CLD_STOPPED))
			process_tell_parent(t);
		mutex_lock(&p->sighand->lock);
		signal_recalc(t);
		sig = choose(t, &info, &act);
		if (sig < 0)
			continue;
		mutex_unlock(&p->sighand->lock);
		if (sig == 0)
			break;
		handle(t, sig, &act, &info);
		if (!(t->work & (TW_SIGNAL | TW_KILL)))
			return;
	}
	if (t->exiting)
		return;
	fix_restart(t, NULL);
	if (t->restore_mask) {
		t->restore_mask = false;
		signal_set_mask(t, t->saved_mask);
		if (t->work & TW_SIGNAL)
			signal_deliver(t);
	}
}
