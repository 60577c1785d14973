/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracing: stops of the tracee, and who traces whom. A trace stop is TASK_TRACED under the
 * sighand lock; the tracer resumes it by leaving that state. While a request works on a stopped
 * tracee it is "frozen": even a kill does not let it run on before the request is done.
 */
#include "sentry/task/ptrace.h"
#include <errno.h>
#include <linux/ptrace.h>
#include <sched.h>
#include <signal.h>
#include "sentry/mm/uaccess.h"
#include "sentry/task/task_i.h"

#define O_EXITKILL 0x100000u
#define EFLAGS_TF 0x100

static void wait_while_traced(struct task *t)
{
	for (;;) {
		bool on;

		mutex_lock(&t->proc->sighand->lock);
		if (kill_pending(t) && t->state == TASK_TRACED && !t->ptrace_frozen)
			__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
		on = t->state == TASK_TRACED || t->ptrace_frozen;
		mutex_unlock(&t->proc->sighand->lock);
		if (!on)
			return;
		(void)!wait_sleep(t, kill_pending(t) ? WAIT_KILLABLE : WAIT_KILLABLE,
				  kill_pending(t) ? now_mono() + 1000000 : WAIT_FOREVER);
	}
}

/* S held on entry, dropped on return. Returns the signal that the tracer wants delivered. */
static int stop_locked(struct task *t, uint32_t code, int why, const struct l_siginfo *info, uint64_t msg)
{
	struct process *p = t->proc;
	bool group_done = false;

	if (kill_pending(t) || !t->ptrace) {
		mutex_unlock(&p->sighand->lock);
		return t->ptrace ? 0 : (int)(code & 0x7f);
	}
	t->has_trap_info = info != NULL;
	if (info)
		t->trap_info = *info;
	t->trap_code = code;
	t->ptrace_msg = msg;
	t->resume_sig = 0;
	if (why == CLD_STOPPED && (t->jobctl & JC_STOP_PENDING)) {
		jobctl_task_gone(t);
		group_done = p->group_exit & SG_CLD_STOPPED;
		p->group_exit &= ~(uint32_t)SG_CLD_STOPPED;
	}
	t->jobctl &= ~(uint32_t)JC_TRAP_STOP;
	if (code >> 8 == PTRACE_EVENT_STOP_)
		t->jobctl &= ~(uint32_t)JC_TRAP_NOTIFY;
	__atomic_store_n(&t->state, TASK_TRACED, __ATOMIC_SEQ_CST);
	mutex_unlock(&p->sighand->lock);

	mutex_lock(&tasks_lock);
	if (t->ptrace) {
		notify_parent_cldstop(t, true, why);
		if (group_done && t->tracer->proc != p->parent)
			notify_parent_cldstop(t, false, CLD_STOPPED);
	}
	mutex_unlock(&tasks_lock);
	wait_while_traced(t);

	mutex_lock(&p->sighand->lock);
	t->trap_code = 0;
	t->has_trap_info = false;
	t->jobctl &= ~(uint32_t)JC_LISTENING;
	signal_recalc(t);
	mutex_unlock(&p->sighand->lock);
	return t->resume_sig;
}

static int stop_here(struct task *t, uint32_t code, int why, uint64_t msg)
{
	struct l_siginfo info = {.signo = SIGTRAP, .code = (int32_t)code};

	info.rt.pid = task_pid_nr(t, task_pid_ns(t));
	info.rt.uid = user_ns_uid_munged(t->cred->user_ns, t->cred->uid);
	(void)task_regs(t, false);
	task_serve_mem(t);
	mutex_lock(&t->proc->sighand->lock);
	return stop_locked(t, code, why, &info, msg);
}

bool ptrace_event_enabled(const struct task *t, int event)
{
	return t->ptrace && (t->ptrace_options & (1u << event));
}

void ptrace_event(struct task *t, int event, uint64_t msg)
{
	if (!ptrace_event_enabled(t, event))
		return;
	(void)stop_here(t, SIGTRAP | (uint32_t)event << 8, CLD_TRAPPED, msg);
}

void ptrace_event_exit(struct task *t)
{
	if (t->ptrace && !t->gone && ptrace_event_enabled(t, PTRACE_EVENT_EXIT_))
		(void)stop_here(t, SIGTRAP | PTRACE_EVENT_EXIT_ << 8, CLD_TRAPPED, (uint32_t)t->exit_code);
}

void ptrace_exec(struct task *t, int32_t old_nr)
{
	if (!t->ptrace)
		return;
	t->ptrace_step = false;
	if (ptrace_event_enabled(t, PTRACE_EVENT_EXEC_))
		ptrace_event(t, PTRACE_EVENT_EXEC_, (uint64_t)old_nr);
	else if (!(t->ptrace & PT_SEIZED))
		(void)!signal_send(t, SEND_THREAD, SIGTRAP, NULL);
}

/* --- system call stops --------------------------------------------------------------------- */

static void syscall_stop(struct task *t, uint8_t op)
{
	uint32_t code = SIGTRAP | (t->ptrace_options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0);
	int sig;

	t->syscall_op = op;
	sig = stop_here(t, code, CLD_TRAPPED, op);
	t->syscall_op = PTRACE_SYSCALL_INFO_NONE;
	if (sig)
		(void)!signal_send(t, SEND_THREAD, sig, NULL);
}

bool ptrace_syscall_enter(struct task *t)
{
	bool emu = t->ptrace_sysemu;

	t->syscall_traced = false;
	if (!t->ptrace || !(t->ptrace_sys || emu))
		return true;
	task_regs(t, true)->rax = (uint64_t)-ENOSYS;
	t->syscall_traced = !emu;
	syscall_stop(t, PTRACE_SYSCALL_INFO_ENTRY);
	return !emu && !kill_pending(t);
}

void ptrace_syscall_exit(struct task *t)
{
	t->syscall_traced = false;
	if (t->ptrace && t->ptrace_sys)
		syscall_stop(t, PTRACE_SYSCALL_INFO_EXIT);
	else if (t->ptrace && t->ptrace_step)
		ptrace_handler_entered(t);
}

/* A single step that ends at a handler's first instruction, or behind a call. */
void ptrace_handler_entered(struct task *t)
{
	struct l_siginfo info = {.signo = SIGTRAP, .code = TRAP_TRACE};

	if (!t->ptrace || !t->ptrace_step)
		return;
	info.fault.addr = task_regs(t, false)->rip;
	(void)!signal_send(t, SEND_THREAD, SIGTRAP, &info);
}

/* --- debug registers -----------------------------------------------------------------------
 * Cells cannot be given hardware breakpoints, so a thread whose debug registers are in use is
 * stepped, and what they watch is compared after each instruction. Slow, and exact for one thread. */

unsigned ptrace_watch_len(uint64_t dr7, unsigned i)
{
	static const uint8_t len[4] = {1, 2, 8, 4};

	return len[dr7 >> (18 + 4 * i) & 3];
}

static bool watch_hit(struct task *t, unsigned i)
{
	uint64_t dr7 = t->dr[7], now = 0;

	if (!(dr7 >> (2 * i) & 3))
		return false;
	if ((dr7 >> (16 + 4 * i) & 3) == 0)
		return task_regs(t, false)->rip == t->dr[i];
	if (copy_in(t, &now, UADDR(t->dr[i]), ptrace_watch_len(dr7, i)) || now == t->dr_val[i])
		return false;
	t->dr_val[i] = now;
	return true;
}

bool ptrace_debug_step(struct task *t, struct l_siginfo *info)
{
	uint64_t hits = 0;

	if (!ptrace_debug_on(t) || info->code != TRAP_TRACE)
		return false;
	for (unsigned i = 0; i < 4; i++)
		hits |= (uint64_t)watch_hit(t, i) << i;
	t->dr[6] = hits | (t->ptrace_step ? 0x4000 : 0);
	if (hits) {
		info->code = TRAP_HWBKPT;
		return false;
	}
	if (t->ptrace_step)
		return false;
	task_regs(t, true)->eflags |= EFLAGS_TF;
	return true;
}

/* --- signals and group stops --------------------------------------------------------------- */

int ptrace_signal(struct task *t, int sig, struct l_siginfo *info)
{
	t->trap_info = *info;
	sig = stop_locked(t, (uint32_t)sig, CLD_TRAPPED, info, 0);
	mutex_lock(&t->proc->sighand->lock);
	if (sig <= 0 || sig > L_NSIG)
		return 0;
	*info = t->trap_info;
	if (sig != info->signo) {
		*info = (struct l_siginfo){.signo = sig, .code = SI_USER};
	}
	if (t->blocked & SIGBIT(sig)) {
		(void)!signal_send_locked(t, SEND_THREAD, sig, info, false);
		return 0;
	}
	return sig;
}

void jobctl_trap(struct task *t)
{
	struct process *p = t->proc;
	uint32_t sig = t->jobctl & JC_STOP_SIGMASK;
	struct l_siginfo info = {.signo = SIGTRAP};

	if (!t->ptrace) {
		t->jobctl &= ~(uint32_t)(JC_TRAP_STOP | JC_TRAP_NOTIFY);
		signal_recalc(t);
		mutex_unlock(&p->sighand->lock);
		return;
	}
	if (t->ptrace & PT_SEIZED) {
		if (!p->stop_count && !(p->group_exit & SG_STOPPED))
			sig = SIGTRAP;
		info.code = (int32_t)(sig | PTRACE_EVENT_STOP_ << 8);
		(void)stop_locked(t, sig | PTRACE_EVENT_STOP_ << 8, CLD_STOPPED, &info, 0);
		return;
	}
	(void)stop_locked(t, sig ? sig : SIGSTOP, CLD_STOPPED, NULL, 0);
}

/* --- links, T held ------------------------------------------------------------------------- */

static void tracee_link(struct task *c, struct task *tracer, uint32_t flags, uint32_t options)
{
	c->ptrace = flags;
	c->ptrace_options = options;
	c->tracer = tracer;
	list_add_tail(&tracer->tracees, &c->tracee_link);
	cred_put(c->tracer_cred);
	c->tracer_cred = cred_get(tracer->cred);
}

void ptrace_unlink(struct task *c)
{
	struct process *p = c->proc;

	if (!c->ptrace)
		return;
	list_del(&c->tracee_link);
	c->tracer = NULL;
	mutex_lock(&p->sighand->lock);
	c->ptrace = c->ptrace_options = 0;
	c->ptrace_step = c->ptrace_sys = c->ptrace_sysemu = false;
	jobctl_clear_pending(c, JC_TRAP_STOP | JC_TRAP_NOTIFY);
	if (!c->exiting && ((p->group_exit & SG_STOPPED) || p->stop_count)) {
		/* It belongs to a stopped group: it stops as everybody else. */
		jobctl_set_pending(c, JC_STOP_PENDING);
		if (!(c->jobctl & JC_STOP_SIGMASK))
			c->jobctl |= SIGSTOP;
	}
	if (c->state == TASK_TRACED)
		__atomic_store_n(&c->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
	if (!c->exiting)
		signal_wake(c, false);
	mutex_unlock(&p->sighand->lock);
}

void ptrace_unlink_if_dead_leader(struct task *leader)
{
	ptrace_unlink(leader);
}

void ptrace_inherit(struct task *t, struct task *c, uint64_t flags)
{
	int sig = (int)(c->proc->exit_signal);
	int event = flags & CLONE_VFORK ? PTRACE_EVENT_VFORK_ :
		    (flags & CLONE_THREAD) || sig != SIGCHLD ? PTRACE_EVENT_CLONE_ : PTRACE_EVENT_FORK_;

	if (!t->ptrace || (flags & CLONE_UNTRACED))
		return;
	if (!(flags & CLONE_PTRACE) && !ptrace_event_enabled(t, event))
		return;
	tracee_link(c, t->tracer, t->ptrace, t->ptrace_options);
	mutex_lock(&c->proc->sighand->lock);
	if (c->ptrace & PT_SEIZED)
		c->jobctl |= JC_TRAP_STOP;
	else
		c->pending.set |= SIGBIT(SIGSTOP);
	task_set_work(c, TW_SIGNAL);
	mutex_unlock(&c->proc->sighand->lock);
}

void ptrace_exit_tracer(struct task *t, struct list *dead)
{
	struct task *c;

	while ((c = list_first(&t->tracees, struct task, tracee_link)) != NULL) {
		if (c->ptrace_options & O_EXITKILL)
			(void)!signal_send_process_locked(c->proc, SIGKILL, NULL);
		ptrace_unlink(c);
		if (!c->dead_thread)
			continue;
		if (c != c->proc->leader)
			process_release_task_locked(c, dead);
		else
			process_tell_end(c->proc, dead);
	}
}

/* --- permission ---------------------------------------------------------------------------- */

/* T held; Linux's __ptrace_may_access. */
static int may_access(struct task *t, struct task *target, unsigned mode)
{
	const struct cred *c = t->cred, *o = target->cred;
	uint32_t uid = mode & PTRACE_MODE_REALCREDS_ ? c->uid : c->fsuid;
	uint32_t gid = mode & PTRACE_MODE_REALCREDS_ ? c->gid : c->fsgid;

	if (t->proc == target->proc)
		return 0;
	if (!(uid == o->euid && uid == o->suid && uid == o->uid && gid == o->egid && gid == o->sgid &&
	      gid == o->gid) &&
	    !cred_ns_capable(c, o->user_ns, CAP_SYS_PTRACE))
		return -EPERM;
	if (target->mm && target->mm->dumpable_mode != 1 && !cred_ns_capable(c, o->user_ns, CAP_SYS_PTRACE))
		return -EPERM;
	if ((o->cap_permitted & ~c->cap_permitted) && !cred_ns_capable(c, o->user_ns, CAP_SYS_PTRACE))
		return -EPERM;
	return 0;
}

int task_may_ptrace(struct task *t, struct task *target, unsigned mode)
{
	int rc;

	mutex_lock(&tasks_lock);
	rc = may_access(t, target, mode);
	mutex_unlock(&tasks_lock);
	return rc;
}

/* --- requests ------------------------------------------------------------------------------ */

static int traceme(struct task *t)
{
	struct process *parent;
	int rc = -EPERM;

	mutex_lock(&tasks_lock);
	parent = t->proc->parent;
	if (!t->ptrace && parent && parent->leader && parent != task_root->reaper) {
		struct task *tracer = parent->leader, *i;

		/* The thread that will wait: any living one of the parent. */
		list_for_each(i, &parent->threads, thread_link) {
			if (!i->dead_thread) {
				tracer = i;
				break;
			}
		}
		tracee_link(t, tracer, PT_PTRACED, 0);
		rc = 0;
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

#define OPTIONS_ALL (0xffu | O_EXITKILL | (1u << 21))

static int attach(struct task *t, struct task *c, bool seize, uint64_t addr, uint64_t options)
{
	struct process *p = c->proc;
	int rc;

	if (seize && (addr || (options & ~(uint64_t)OPTIONS_ALL)))
		return -EIO;
	if (p == t->proc)
		return -EPERM;
	mutex_lock(&tasks_lock);
	rc = may_access(t, c, PTRACE_MODE_ATTACH_ | PTRACE_MODE_REALCREDS_);
	if (!rc && (c->ptrace || c->dead_thread || c->dead_reported || !c->mm))
		rc = -EPERM;
	if (!rc) {
		tracee_link(c, t, seize ? PT_PTRACED | PT_SEIZED : PT_PTRACED, seize ? (uint32_t)options : 0);
		mutex_lock(&p->sighand->lock);
		if (!seize)
			(void)!signal_send_locked(c, SEND_THREAD, SIGSTOP, NULL, true);
		if (c->stopped) {
			c->jobctl |= JC_TRAP_STOP;
			c->stopped = false;
			signal_wake(c, false);
		}
		mutex_unlock(&p->sighand->lock);
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

/* Resumes the stopped tracee; S held. */
static void resume(struct task *c, int sig)
{
	c->resume_sig = sig;
	c->trap_code = 0;
	__atomic_store_n(&c->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
	task_wake(c);
}

static int64_t do_resume(struct task *c, int64_t req, uint64_t sig)
{
	if (sig > L_NSIG)
		return -EIO;
	c->ptrace_sys = req == PTRACE_SYSCALL;
	c->ptrace_sysemu = req == PTRACE_SYSEMU || req == PTRACE_SYSEMU_SINGLESTEP;
	c->ptrace_step = req == PTRACE_SINGLESTEP || req == PTRACE_SYSEMU_SINGLESTEP;
	if (c->regs_valid) {
		uint64_t fl = c->regs.eflags & ~(uint64_t)EFLAGS_TF;

		c->regs.eflags = c->ptrace_step || ptrace_debug_on(c) ? fl | EFLAGS_TF : fl;
		c->regs_dirty = true;
	}
	mutex_lock(&c->proc->sighand->lock);
	resume(c, (int)sig);
	mutex_unlock(&c->proc->sighand->lock);
	return 0;
}

static int64_t detach(struct task *c, uint64_t sig)
{
	if (sig > L_NSIG)
		return -EIO;
	if (c->regs_valid)
		c->regs.eflags &= ~(uint64_t)EFLAGS_TF;
	mutex_lock(&tasks_lock);
	mutex_lock(&c->proc->sighand->lock);
	c->resume_sig = (int)sig;
	c->ptrace_frozen = false;
	mutex_unlock(&c->proc->sighand->lock);
	ptrace_unlink(c);
	mutex_unlock(&tasks_lock);
	return 0;
}

static int64_t interrupt(struct task *c)
{
	int64_t rc = -EIO;

	mutex_lock(&c->proc->sighand->lock);
	if (c->ptrace & PT_SEIZED) {
		rc = 0;
		if (c->jobctl & JC_LISTENING) {
			c->jobctl &= ~(uint32_t)JC_LISTENING;
			__atomic_store_n(&c->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
		}
		c->jobctl |= JC_TRAP_STOP;
		signal_wake(c, false);
	}
	mutex_unlock(&c->proc->sighand->lock);
	return rc;
}

static int64_t do_listen(struct task *c)
{
	int64_t rc = -EIO;

	mutex_lock(&c->proc->sighand->lock);
	if ((c->ptrace & PT_SEIZED) && c->has_trap_info && c->trap_info.code >> 8 == PTRACE_EVENT_STOP_) {
		c->jobctl |= JC_LISTENING;
		if (c->jobctl & JC_TRAP_NOTIFY) {
			c->jobctl &= ~(uint32_t)JC_LISTENING;
			resume(c, 0);
		}
		rc = 0;
	}
	mutex_unlock(&c->proc->sighand->lock);
	return rc;
}

/* The tracee stands still for this request from here until thaw. */
static int freeze(struct task *t, struct task *c, bool any_state)
{
	int rc = -ESRCH;

	mutex_lock(&tasks_lock);
	if (c->ptrace && c->tracer == t) {
		mutex_lock(&c->proc->sighand->lock);
		if (any_state || (c->state == TASK_TRACED && !(c->jobctl & JC_LISTENING))) {
			c->ptrace_frozen = !any_state;
			rc = 0;
		}
		mutex_unlock(&c->proc->sighand->lock);
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

static void thaw(struct task *c)
{
	mutex_lock(&c->proc->sighand->lock);
	c->ptrace_frozen = false;
	mutex_unlock(&c->proc->sighand->lock);
	task_wake(c);
}

static int64_t on_stopped(struct task *t, struct task *c, int64_t req, uint64_t addr, uint64_t data)
{
	switch (req) {
	case PTRACE_CONT:
	case PTRACE_SYSCALL:
	case PTRACE_SINGLESTEP:
	case PTRACE_SYSEMU:
	case PTRACE_SYSEMU_SINGLESTEP:
		return do_resume(c, req, data);
	case PTRACE_DETACH:
		return detach(c, data);
	case PTRACE_LISTEN:
		return do_listen(c);
	case PTRACE_SETOPTIONS:
		if (data & ~(uint64_t)OPTIONS_ALL)
			return -EINVAL;
		c->ptrace_options = (uint32_t)data;
		return 0;
	default:
		return ptrace_regs_request(t, c, req, addr, data);
	}
}

int64_t ptrace_request(struct task *t, int64_t req, int32_t pid, uint64_t addr, uint64_t data)
{
	bool any = req == PTRACE_KILL || req == PTRACE_INTERRUPT;
	struct task *c;
	int64_t rc;

	if (req == PTRACE_TRACEME)
		return traceme(t);
	c = task_lookup(task_pid_ns(t), pid);
	if (!c)
		return -ESRCH;
	if (req == PTRACE_ATTACH || req == PTRACE_SEIZE) {
		rc = attach(t, c, req == PTRACE_SEIZE, addr, data);
		goto out;
	}
	rc = freeze(t, c, any);
	if (rc)
		goto out;
	if (req == PTRACE_INTERRUPT)
		rc = interrupt(c);
	else if (req == PTRACE_KILL)
		rc = signal_send(c, SEND_THREAD, SIGKILL, NULL) ? 0 : 0;
	else
		rc = on_stopped(t, c, req, addr, data);
	if (!any)
		thaw(c);
out:
	task_put(c);
	return rc;
}
