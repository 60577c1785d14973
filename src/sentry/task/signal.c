/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending and taking signals. Pending sets and actions of a process and its threads are under its
 * sighand lock (S); a sender reaches another process only with the tasks lock held, which keeps
 * process->sighand in place. The rules are those of signal(7) and Linux's kernel/signal.c.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"
#include "sentry/time/time.h"

#define RT_MIN 32
#define UNBLOCKABLE (SIGBIT(SIGKILL) | SIGBIT(SIGSTOP))
#define SYNC_SIGNALS (SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | \
		      SIGBIT(SIGFPE) | SIGBIT(SIGSYS))
#define STOP_SIGNALS (SIGBIT(SIGSTOP) | SIGBIT(SIGTSTP) | SIGBIT(SIGTTIN) | SIGBIT(SIGTTOU))
#define DFL_IGNORED (SIGBIT(SIGCONT) | SIGBIT(SIGCHLD) | SIGBIT(SIGWINCH) | SIGBIT(SIGURG))
#define CORE_SIGNALS (SIGBIT(SIGQUIT) | SIGBIT(SIGILL) | SIGBIT(SIGTRAP) | SIGBIT(SIGABRT) | \
		      SIGBIT(SIGFPE) | SIGBIT(SIGSEGV) | SIGBIT(SIGBUS) | SIGBIT(SIGSYS) | \
		      SIGBIT(SIGXCPU) | SIGBIT(SIGXFSZ))

void (*signal_timer_hook)(struct ptimer *timer, struct l_siginfo *info);
static KCACHE(sigqueue_cache, struct sigqueue, 0);

bool signal_default_ignored(int sig)
{
	return sig < RT_MIN && (DFL_IGNORED & SIGBIT(sig));
}

bool signal_dumps_core(int sig)
{
	return sig < RT_MIN && (CORE_SIGNALS & SIGBIT(sig));
}

bool signal_stops(int sig)
{
	return sig < RT_MIN && (STOP_SIGNALS & SIGBIT(sig));
}

struct l_sigaction *signal_action(struct process *p, int sig)
{
	return &p->sighand->action[sig - 1];
}

/* Without regard to who blocks it. */
bool signal_is_ignored(struct process *p, int sig)
{
	uint64_t h = signal_action(p, sig)->handler;

	return h == (uint64_t)(uintptr_t)SIG_IGN ||
	       (h == (uint64_t)(uintptr_t)SIG_DFL && signal_default_ignored(sig));
}

void signal_set_action(struct process *p, int sig, const struct l_sigaction *act)
{
	struct task *i;

	*signal_action(p, sig) = *act;
	if (!signal_is_ignored(p, sig))
		return;
	signal_flush_mask(&p->shared, SIGBIT(sig));
	list_for_each(i, &p->threads, thread_link)
		signal_flush_mask(&i->pending, SIGBIT(sig));
}

static bool would_ignore(struct task *t, int sig, bool force)
{
	uint64_t h;

	if ((t->blocked | t->real_blocked) & SIGBIT(sig))
		return false;
	if (t->ptrace && sig != SIGKILL)
		return false;
	h = signal_action(t->proc, sig)->handler;
	if ((t->proc->group_exit & SG_UNKILLABLE) && h == 0 &&
	    !(force && (sig == SIGKILL || sig == SIGSTOP)))
		return true;
	return signal_is_ignored(t->proc, sig);
}

/* --- queues -------------------------------------------------------------------------------- */

void sigqueue_free(struct sigqueue *q)
{
	if (q->timer)
		return;		/* the timer's own */
	if (q->counted)
		(void)!ucount_add(q->uid, 0, -1);
	kc_free(&sigqueue_cache, q);
}

static struct sigqueue *queue_alloc(struct task *t, bool override)
{
	uint32_t uid = t->cred->uid;
	struct sigqueue *q;

	if (!override && ucount_sigpending(uid) >= task_rlimit(t, RLIMIT_SIGPENDING))
		return NULL;
	q = kc_alloc(&sigqueue_cache);
	if (!q)
		return NULL;
	list_init(&q->link);
	q->uid = uid;
	q->counted = ucount_add(uid, 0, 1) == 0;
	return q;
}

struct sigqueue *sigqueue_alloc(struct task *t, struct ptimer *timer)
{
	struct sigqueue *q = queue_alloc(t, false);

	if (q)
		q->timer = timer;
	return q;
}

void sigqueue_release(struct task *t, struct sigqueue *q)
{
	if (!q)
		return;
	mutex_lock(&tasks_lock);
	mutex_lock(&t->proc->sighand->lock);
	list_del(&q->link);	/* a bit that stays set delivers nothing worse than SI_USER */
	mutex_unlock(&t->proc->sighand->lock);
	mutex_unlock(&tasks_lock);
	q->timer = NULL;
	sigqueue_free(q);
}

void signal_flush(struct sigpending *p)
{
	struct sigqueue *q, *n;

	p->set = 0;
	list_for_each_safe(q, n, &p->queue, link) {
		list_del(&q->link);
		sigqueue_free(q);
	}
}

void signal_flush_mask(struct sigpending *p, l_sigset mask)
{
	struct sigqueue *q, *n;

	if (!(p->set & mask))
		return;
	p->set &= ~mask;
	list_for_each_safe(q, n, &p->queue, link) {
		if (!(mask & SIGBIT(q->info.signo)))
			continue;
		list_del(&q->link);
		sigqueue_free(q);
	}
}

static void collect(struct sigpending *p, int sig, struct l_siginfo *info, struct ptimer **timer)
{
	struct sigqueue *q, *first = NULL;
	bool more = false;

	list_for_each(q, &p->queue, link) {
		if (q->info.signo != sig)
			continue;
		if (first) {
			more = true;
			break;
		}
		first = q;
	}
	if (!more)
		p->set &= ~SIGBIT(sig);
	if (first) {
		*info = first->info;
		*timer = first->timer;
		list_del(&first->link);
		sigqueue_free(first);
	} else {
		*info = (struct l_siginfo){.signo = sig, .code = SI_USER};
	}
}

/* The next signal of ~blocked: synchronous ones first, then by number. S held. */
static int dequeue(struct task *t, l_sigset blocked, struct l_siginfo *info, struct ptimer **timer)
{
	struct sigpending *p = &t->pending;
	l_sigset s = p->set & ~blocked;
	int sig;

	*timer = NULL;
	if (!s) {
		p = &t->proc->shared;
		s = p->set & ~blocked;
		if (!s)
			return 0;
	}
	sig = __builtin_ctzll(s & SYNC_SIGNALS ? s & SYNC_SIGNALS : s) + 1;
	collect(p, sig, info, timer);
	if (signal_stops(sig))
		t->jobctl |= JC_STOP_DEQUEUED;
	signal_recalc(t);
	return sig;
}

int signal_dequeue(struct task *t, l_sigset mask, struct l_siginfo *info)
{
	struct ptimer *timer;
	int sig = dequeue(t, ~mask, info, &timer);

	if (sig == SIGALRM && t->proc->itimer_real_wait) {
		mutex_unlock(&t->proc->sighand->lock);
		itimer_real_taken(t->proc);
		mutex_lock(&t->proc->sighand->lock);
	}
	if (sig && timer && signal_timer_hook) {
		mutex_unlock(&t->proc->sighand->lock);
		signal_timer_hook(timer, info);
		mutex_lock(&t->proc->sighand->lock);
	}
	return sig;
}

int signal_take(struct task *t, l_sigset mask, struct l_siginfo *info)
{
	int sig;

	mutex_lock(&t->proc->sighand->lock);
	sig = signal_dequeue(t, mask & ~UNBLOCKABLE, info);
	mutex_unlock(&t->proc->sighand->lock);
	return sig;
}

l_sigset signal_pending_set(struct task *t)
{
	return __atomic_load_n(&t->pending.set, __ATOMIC_RELAXED) |
	       __atomic_load_n(&t->proc->shared.set, __ATOMIC_RELAXED);
}

/* --- flags of the task --------------------------------------------------------------------- */

void signal_recalc(struct task *t)
{
	l_sigset s = (t->pending.set | t->proc->shared.set) & ~t->blocked;

	if (s || (t->jobctl & JC_PENDING))
		task_set_work(t, TW_SIGNAL);
	else
		task_clear_work(t, TW_SIGNAL);
}

void signal_wake(struct task *t, bool fatal)
{
	task_notify(t, fatal ? TW_SIGNAL | TW_KILL : TW_SIGNAL);
}

void signal_kill_thread(struct task *t)
{
	t->pending.set |= SIGBIT(SIGKILL);
	signal_wake(t, true);
}

void group_exit_locked(struct process *p, int32_t code, struct task *except)
{
	struct task *t;

	p->group_exit = (p->group_exit & (SG_UNKILLABLE | SG_CONTINUED)) | SG_EXIT;
	p->exit_code = code;
	p->stop_count = 0;
	list_for_each(t, &p->threads, thread_link) {
		jobctl_clear_pending(t, JC_PENDING);
		t->stopped = false;
		if (!t->exiting && t != except)
			signal_kill_thread(t);
	}
}

/* --- sending ------------------------------------------------------------------------------- */

static bool wants(struct task *t, int sig)
{
	if (t->blocked & SIGBIT(sig))
		return false;
	if (t->exiting)
		return false;
	if (sig == SIGKILL)
		return true;
	if (t->stopped || t->state == TASK_TRACED)
		return false;
	return t == current || !(t->work & TW_SIGNAL);
}

static bool is_fatal(struct task *t, int sig)
{
	if (signal_action(t->proc, sig)->handler != 0 && sig != SIGKILL)
		return false;
	return !signal_stops(sig) && !signal_default_ignored(sig);
}

/* Chooses the thread that shall look; a fatal signal ends the whole group at once. */
static void complete(struct task *target, int sig, int scope)
{
	struct process *p = target->proc;
	struct task *t = NULL, *i;

	if (wants(target, sig)) {
		t = target;
	} else if (scope == SEND_PROCESS) {
		list_for_each(i, &p->threads, thread_link) {
			if (wants(i, sig)) {
				t = i;
				break;
			}
		}
	}
	if (!t)
		return;
	if (is_fatal(t, sig) && !(t->real_blocked & SIGBIT(sig)) && !(p->group_exit & SG_EXIT) &&
	    (sig == SIGKILL || !t->ptrace) && !signal_dumps_core(sig)) {
		group_exit_locked(p, sig, NULL);
		return;
	}
	signal_wake(t, sig == SIGKILL);
}

static bool forced_entry(int sig, const struct l_siginfo *info)
{
	return sig < RT_MIN && (!info || info->code >= 0);
}

/* The kernel's own, or from a pid namespace above: not even an init is safe from SIGKILL then. */
static bool from_above(struct task *target, const struct l_siginfo *info)
{
	if (!info || info->code == SI_KERNEL)
		return true;
	return current && !task_pid_nr(current, task_pid_ns(target));
}

int signal_send_locked(struct task *target, int scope, int sig, const struct l_siginfo *info,
		       bool force)
{
	struct process *p = target->proc;
	struct sigpending *pend = scope == SEND_THREAD ? &target->pending : &p->shared;
	struct sigqueue *q;

	if (p->group_exit & SG_EXIT) {
		if (sig == SIGKILL && scope == SEND_THREAD && !target->exiting)
			signal_kill_thread(target);
		return 0;
	}
	jobctl_prepare(p, target, sig);
	if (would_ignore(target, sig, force || from_above(target, info)))
		return 0;
	if (sig < RT_MIN && (pend->set & SIGBIT(sig)))
		return 0;
	if (sig != SIGKILL) {
		q = queue_alloc(target, forced_entry(sig, info));
		if (q) {
			if (info)
				q->info = *info;
			else
				q->info = (struct l_siginfo){.code = SI_KERNEL};
			q->info.signo = sig;
			list_add_tail(&pend->queue, &q->link);
		} else if (sig >= RT_MIN && info && info->code != SI_USER) {
			return -EAGAIN;
		}
	}
	pend->set |= SIGBIT(sig);
	wq_wake_all(&p->sighand->signalfd_wq);
	complete(target, sig, scope);
	return 0;
}

/* T held: any living thread stands for the process. */
static struct task *any_thread(struct process *p)
{
	if (p->leader && !p->leader->exiting)
		return p->leader;
	return list_first(&p->threads, struct task, thread_link);
}

static int send_process_locked(struct process *p, int sig, const struct l_siginfo *info)
{
	struct task *t = any_thread(p);
	int rc;

	if (!t || p->zombie)
		return 0;
	mutex_lock(&p->sighand->lock);
	rc = signal_send_locked(t, SEND_PROCESS, sig, info, false);
	mutex_unlock(&p->sighand->lock);
	return rc;
}

int signal_send_process_locked(struct process *p, int sig, const struct l_siginfo *info)
{
	return send_process_locked(p, sig, info);
}

int signal_send_process(struct process *p, int sig, const struct l_siginfo *info)
{
	int rc;

	mutex_lock(&tasks_lock);
	rc = send_process_locked(p, sig, info);
	mutex_unlock(&tasks_lock);
	return rc;
}

int signal_send(struct task *target, int scope, int sig, const struct l_siginfo *info)
{
	int rc = 0;

	if (scope == SEND_PROCESS)
		return signal_send_process(target->proc, sig, info);
	mutex_lock(&tasks_lock);
	if (!target->dead_reported) {
		mutex_lock(&target->proc->sighand->lock);
		rc = signal_send_locked(target, scope, sig, info, false);
		mutex_unlock(&target->proc->sighand->lock);
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

int signal_send_prealloc(struct task *target, int scope, struct sigqueue *q)
{
	struct process *p = target->proc;
	int sig = q->info.signo;
	int rc = 0;

	mutex_lock(&tasks_lock);
	if (p->zombie || (scope == SEND_THREAD && target->dead_reported)) {
		mutex_unlock(&tasks_lock);
		return -ESRCH;
	}
	mutex_lock(&p->sighand->lock);
	if (p->group_exit & SG_EXIT) {
		rc = -ESRCH;
	} else if (!list_empty(&q->link)) {
		if (q->info.timer.overrun < INT32_MAX)
			q->info.timer.overrun++;
	} else {
		struct sigpending *pend = scope == SEND_THREAD ? &target->pending : &p->shared;

		jobctl_prepare(p, target, sig);
		if (!would_ignore(target, sig, false)) {
			q->info.timer.overrun = 0;
			list_add_tail(&pend->queue, &q->link);
			pend->set |= SIGBIT(sig);
			wq_wake_all(&p->sighand->signalfd_wq);
			complete(target, sig, scope);
		} else {
			rc = 1;
		}
	}
	mutex_unlock(&p->sighand->lock);
	mutex_unlock(&tasks_lock);
	return rc;
}

int signal_send_pgrp(struct pid *pgrp, int sig, const struct l_siginfo *info)
{
	struct list *l;
	int rc = -ESRCH;

	mutex_lock(&tasks_lock);
	for (l = pgrp->tasks[PIDTYPE_PGID].next; l != &pgrp->tasks[PIDTYPE_PGID]; l = l->next) {
		struct task *t = container_of(l, struct task, pid_links[PIDTYPE_PGID]);
		int r = sig ? send_process_locked(t->proc, sig, info) : 0;

		if (rc)
			rc = r;
	}
	mutex_unlock(&tasks_lock);
	return rc;
}

/* A signal that the current task cannot escape: blocked or ignored becomes the default action. */
void signal_force(struct task *t, int sig, const struct l_siginfo *info)
{
	struct l_sigaction *act;
	bool blocked;

	mutex_lock(&t->proc->sighand->lock);
	act = signal_action(t->proc, sig);
	blocked = t->blocked & SIGBIT(sig);
	if (blocked || act->handler == (uint64_t)(uintptr_t)SIG_IGN) {
		act->handler = 0;
		t->blocked &= ~SIGBIT(sig);
	}
	if (act->handler == 0 && !t->ptrace)
		t->proc->group_exit &= ~(uint32_t)SG_UNKILLABLE;
	(void)!signal_send_locked(t, SEND_THREAD, sig, info, true);
	signal_recalc(t);
	mutex_unlock(&t->proc->sighand->lock);
}

void signal_set_mask(struct task *t, l_sigset mask)
{
	struct task *i;
	l_sigset newly;

	mask &= ~UNBLOCKABLE;
	mutex_lock(&t->proc->sighand->lock);
	/* What is newly blocked and pending for the process is somebody else's to look at. */
	newly = mask & ~t->blocked & t->proc->shared.set;
	t->blocked = mask;
	signal_recalc(t);
	if (newly) {
		list_for_each(i, &t->proc->threads, thread_link)
			if (i != t && !i->exiting && (newly & ~i->blocked))
				signal_wake(i, false);
	}
	mutex_unlock(&t->proc->sighand->lock);
}

void signal_swap_mask(struct task *t, l_sigset mask)
{
	t->saved_mask = t->blocked;
	t->restore_mask = true;
	signal_set_mask(t, mask);
}

void signal_info_user(struct l_siginfo *info, int sig, int code, struct task *from, struct task *to)
{
	*info = (struct l_siginfo){.signo = sig, .code = code};
	info->rt.pid = task_tgid_nr(from, task_pid_ns(to));
	info->rt.uid = user_ns_uid_munged(to->cred->user_ns, from->cred->uid);
}

/* --- who may ------------------------------------------------------------------------------- */

static int may_signal_cred(struct task *t, const struct cred *to, const struct pid *to_session, int sig)
{
	const struct cred *c = t->cred;

	if (c->euid == to->suid || c->euid == to->uid || c->uid == to->suid || c->uid == to->uid)
		return 0;
	if (cred_ns_capable(c, to->user_ns, CAP_KILL))
		return 0;
	if (sig == SIGCONT && to_session == t->proc->session)
		return 0;
	return -EPERM;
}

/* T held. */
int task_may_signal_locked(struct task *t, struct task *target, int sig)
{
	if (t->proc == target->proc)
		return 0;
	return may_signal_cred(t, target->cred, target->proc->session, sig);
}

int task_may_signal(struct task *t, struct task *target, int sig)
{
	int rc;

	mutex_lock(&tasks_lock);
	rc = task_may_signal_locked(t, target, sig);
	mutex_unlock(&tasks_lock);
	return rc;
}
