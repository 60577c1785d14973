/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: actions, masks, sending, waiting. */
#include <errno.h>
#include <signal.h>
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/futex.h"
#include "sentry/task/ns.h"
#include "sentry/task/task_i.h"
#include "sentry/time/time.h"

#define UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
#define SI_TKILL_ (-6)
#define SIGSET_SIZE 8
/* SA_UNSUPPORTED is for probing: never kept. */
#define SA_KNOWN 0xfc000c07ull

struct ksigaction {		/* the order of x86-64 */
	uint64_t handler, flags, restorer, mask;
};

int64_t sys_rt_sigaction(struct task *t, const struct sysargs *a)
{
	int sig = ARG_INT(0);
	struct ksigaction n = {0}, o;
	struct l_sigaction *act;

	if (a->a[3] != SIGSET_SIZE)
		return -EINVAL;
	if (a->a[1] && get_user(t, n, UADDR(a->a[1])))
		return -EFAULT;
	if (sig < 1 || sig > L_NSIG || (a->a[1] && (sig == SIGKILL || sig == SIGSTOP)))
		return -EINVAL;
	mutex_lock(&t->proc->sighand->lock);
	act = signal_action(t->proc, sig);
	o = (struct ksigaction){act->handler, act->flags, act->restorer, act->mask};
	if (a->a[1]) {
		const struct l_sigaction to = {n.handler, n.flags & SA_KNOWN, n.restorer,
					       n.mask & ~UNBLOCKABLE};
		signal_set_action(t->proc, sig, &to);
	}
	mutex_unlock(&t->proc->sighand->lock);
	task_tell_action(t, sig, a->a[1] != 0);
	return a->a[2] ? put_user(t, UADDR(a->a[2]), o) : 0;
}

int64_t sys_rt_sigprocmask(struct task *t, const struct sysargs *a)
{
	l_sigset old = t->blocked, set;

	if (a->a[3] != SIGSET_SIZE)
		return -EINVAL;
	if (a->a[1]) {
		if (get_user(t, set, UADDR(a->a[1])))
			return -EFAULT;
		switch (ARG_INT(0)) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_set_mask(t, set);
	}
	return a->a[2] ? put_user(t, UADDR(a->a[2]), old) : 0;
}

int64_t sys_rt_sigreturn(struct task *t, const struct sysargs *a)
{
	struct l_siginfo info = {.signo = SIGSEGV, .code = SI_KERNEL};

	(void)a;
	t->restart.kind = RESTART_NONE;
	if (frame_restore(t))
		signal_force(t, SIGSEGV, &info);
	t->in_syscall = false;
	t->keep_result = true;
	return 0;
}

int64_t sys_rt_sigpending(struct task *t, const struct sysargs *a)
{
	l_sigset s = signal_pending_set(t) & t->blocked;

	if (a->a[1] > SIGSET_SIZE)
		return -EINVAL;
	return copy_out(t, UADDR(a->a[0]), &s, a->a[1]);
}

int64_t sys_rt_sigsuspend(struct task *t, const struct sysargs *a)
{
	l_sigset set;

	if (a->a[1] != SIGSET_SIZE)
		return -EINVAL;
	if (get_user(t, set, UADDR(a->a[0])))
		return -EFAULT;
	signal_swap_mask(t, set);
	while (!signal_pending(t))
		if (wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER))
			break;
	return -ERESTARTNOHAND;
}

int64_t sys_pause(struct task *t, const struct sysargs *a)
{
	(void)a;
	while (!signal_pending(t))
		if (wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER))
			break;
	return -ERESTARTNOHAND;
}

int64_t sys_rt_sigtimedwait(struct task *t, const struct sysargs *a)
{
	uint64_t deadline = WAIT_FOREVER;
	struct l_siginfo info;
	l_sigset set, old;
	int sig, rc = 0;

	if (a->a[3] != SIGSET_SIZE)
		return -EINVAL;
	if (get_user(t, set, UADDR(a->a[0])))
		return -EFAULT;
	set &= ~UNBLOCKABLE;
	if (a->a[2]) {
		rc = timeout_in(t, a->a[2], &deadline);
		if (rc)
			return rc;
	}
	sig = signal_take(t, set, &info);
	if (!sig && deadline > now_mono()) {
		/* They must interrupt the sleep although they are blocked. */
		old = t->real_blocked = t->blocked;
		signal_set_mask(t, old & ~set);
		while (!(sig = signal_take(t, set, &info))) {
			rc = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
			if (rc)
				break;
		}
		if (!sig)
			sig = signal_take(t, set, &info);
		signal_set_mask(t, old);
		t->real_blocked = 0;
	}
	if (!sig)
		return rc && rc != -ETIMEDOUT ? -EINTR : -EAGAIN;
	if (a->a[1] && put_user(t, UADDR(a->a[1]), info))
		return -EFAULT;
	return sig;
}

int64_t sys_sigaltstack(struct task *t, const struct sysargs *a)
{
	uint64_t sp = task_regs(t, false)->rsp;
	struct l_sigaltstack n, o = t->altstack;
	int rc;

	o.flags = (int32_t)(altstack_state(t, sp) | ((uint32_t)o.flags & 0x80000000u));
	if (!t->altstack.size)
		o = (struct l_sigaltstack){.flags = SS_DISABLE};
	if (a->a[0]) {
		if (get_user(t, n, UADDR(a->a[0])))
			return -EFAULT;
		rc = altstack_set(t, &n, sp, false);
		if (rc)
			return rc;
	}
	return a->a[1] ? put_user(t, UADDR(a->a[1]), o) : 0;
}

/* --- sending ------------------------------------------------------------------------------- */

/* T held. */
static int send_one(struct task *t, struct task *to, int scope, int sig, int code)
{
	struct l_siginfo info;
	int rc = task_may_signal_locked(t, to, sig);

	if (rc || !sig)
		return rc;
	signal_info_user(&info, sig, code, t, to);
	if (to->proc->zombie || to->dead_reported)
		return 0;
	mutex_lock(&to->proc->sighand->lock);
	rc = signal_send_locked(to, scope, sig, &info, false);
	mutex_unlock(&to->proc->sighand->lock);
	return rc;
}

static int kill_group(struct task *t, struct pid *pgrp, int sig)
{
	struct list *l, *head;
	int rc = -ESRCH, r;
	bool ok = false;

	if (!pgrp)
		return rc;
	mutex_lock(&tasks_lock);
	head = &pgrp->tasks[PIDTYPE_PGID];
	for (l = head->next; l != head; l = l->next) {
		r = send_one(t, container_of(l, struct task, pid_links[PIDTYPE_PGID]), SEND_PROCESS, sig, SI_USER);
		ok |= r == 0;
		rc = r;
	}
	mutex_unlock(&tasks_lock);
	return ok ? 0 : rc;
}

static int kill_all(struct task *t, int sig)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct process *p;
	int rc = -ESRCH, r;

	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		int32_t nr = pid_nr(p->tgid, ns);

		if (nr <= 1 || p == t->proc || !p->leader)
			continue;
		r = send_one(t, p->leader, SEND_PROCESS, sig, SI_USER);
		if (r != -EPERM)
			rc = r;
		else if (rc == -ESRCH)
			rc = 0;
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

int64_t sys_kill(struct task *t, const struct sysargs *a)
{
	struct pid_ns *ns = task_pid_ns(t);
	int32_t pid = ARG_INT(0);
	int sig = ARG_INT(1), rc = -ESRCH;
	struct task *to;
	struct pid *p;

	if (sig < 0 || sig > L_NSIG)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1)
		return kill_all(t, sig);
	if (pid > 0) {
		p = pid_lookup(ns, pid);
		if (!p)
			return -ESRCH;
		mutex_lock(&tasks_lock);
		to = pid_task(p, PIDTYPE_PID);
		if (to)
			rc = send_one(t, to, SEND_PROCESS, sig, SI_USER);
		mutex_unlock(&tasks_lock);
		pid_put(p);
		return rc;
	}
	if (pid == 0) {
		mutex_lock(&tasks_lock);
		p = pid_get(t->proc->pgrp);
		mutex_unlock(&tasks_lock);
	} else {
		p = pid_lookup(ns, -pid);
	}
	rc = kill_group(t, p, sig);
	pid_put(p);
	return rc;
}

static int64_t do_tkill(struct task *t, int32_t tgid, int32_t tid, int sig, const struct l_siginfo *info)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct pid *p;
	struct task *to;
	int rc = -ESRCH;

	if (sig < 0 || sig > L_NSIG)
		return -EINVAL;
	p = pid_lookup(ns, tid);
	if (!p)
		return -ESRCH;
	mutex_lock(&tasks_lock);
	to = pid_task(p, PIDTYPE_PID);
	if (to && (tgid <= 0 || pid_nr(to->proc->tgid, ns) == tgid)) {
		if (!info) {
			rc = send_one(t, to, SEND_THREAD, sig, SI_TKILL_);
		} else {
			rc = task_may_signal_locked(t, to, sig);
			if (!rc && sig && !to->dead_thread) {
				mutex_lock(&to->proc->sighand->lock);
				rc = signal_send_locked(to, SEND_THREAD, sig, info, false);
				mutex_unlock(&to->proc->sighand->lock);
			}
		}
	}
	mutex_unlock(&tasks_lock);
	pid_put(p);
	return rc;
}

int64_t sys_tkill(struct task *t, const struct sysargs *a)
{
	if (ARG_INT(0) <= 0)
		return -EINVAL;
	return do_tkill(t, 0, ARG_INT(0), ARG_INT(1), NULL);
}

int64_t sys_tgkill(struct task *t, const struct sysargs *a)
{
	if (ARG_INT(0) <= 0 || ARG_INT(1) <= 0)
		return -EINVAL;
	return do_tkill(t, ARG_INT(0), ARG_INT(1), ARG_INT(2), NULL);
}

/* A program may not pretend to be the kernel, or kill(2), towards others. */
static int info_in(struct task *t, uint64_t uinfo, int sig, int32_t pid, struct l_siginfo *info)
{
	if (get_user(t, *info, UADDR(uinfo)))
		return -EFAULT;
	info->signo = sig;
	if ((info->code >= 0 || info->code == SI_TKILL_) && pid != task_tgid_nr(t, task_pid_ns(t)) &&
	    pid != task_pid_nr(t, task_pid_ns(t)))
		return -EPERM;
	return 0;
}

static int64_t queue_process(struct task *t, struct pid *p, int sig, const struct l_siginfo *info)
{
	struct task *to;
	int rc = -ESRCH;

	mutex_lock(&tasks_lock);
	to = pid_task(p, PIDTYPE_PID);
	if (to) {
		rc = task_may_signal_locked(t, to, sig);
		if (!rc && sig)
			rc = signal_send_process_locked(to->proc, sig, info);
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

int64_t sys_rt_sigqueueinfo(struct task *t, const struct sysargs *a)
{
	struct l_siginfo info;
	int sig = ARG_INT(1);
	struct pid *p;
	int64_t rc = info_in(t, a->a[2], sig, ARG_INT(0), &info);

	if (rc)
		return rc;
	if (sig < 0 || sig > L_NSIG)
		return -EINVAL;
	p = pid_lookup(task_pid_ns(t), ARG_INT(0));
	if (!p)
		return -ESRCH;
	rc = queue_process(t, p, sig, &info);
	pid_put(p);
	return rc;
}

int64_t sys_rt_tgsigqueueinfo(struct task *t, const struct sysargs *a)
{
	struct l_siginfo info;
	int64_t rc = info_in(t, a->a[3], ARG_INT(2), ARG_INT(0), &info);

	if (rc)
		return rc;
	if (ARG_INT(0) <= 0 || ARG_INT(1) <= 0)
		return -EINVAL;
	return do_tkill(t, ARG_INT(0), ARG_INT(1), ARG_INT(2), &info);
}

int64_t sys_restart_syscall(struct task *t, const struct sysargs *a)
{
	(void)a;
	return syscall_restart(t);
}

int64_t syscall_restart(struct task *t)
{
	uint32_t kind = t->restart.kind;

	t->restart.kind = RESTART_NONE;
	switch (kind) {
	case RESTART_NANOSLEEP:
		return nanosleep_restart(t);
	case RESTART_FUTEX_WAIT:
		return futex_wait_restart(t);
	case RESTART_POLL:
		return poll_restart(t);
	default:
		return -EINTR;
	}
}
