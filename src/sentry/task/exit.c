/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of tasks: what each leaves behind, new parents for its children, zombies, and the news
 * to who waits. Order in a dying task: robust futexes, clear_tid, memory, descriptors, then the
 * family, all as in Linux; after clear_tid nothing touches guest memory (R10).
 */
#include <errno.h>
#include <signal.h>
#include "host/event.h"
#include "lib/log.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/coredump.h"
#include "sentry/task/exec.h"
#include "sentry/task/futex.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/rusage.h"
#include "sentry/task/task_i.h"
#include "sentry/time/time.h"

void (*process_sem_exit)(struct task *t);
void (*tty_session_leader_exit)(struct process *p);

/* --- memory -------------------------------------------------------------------------------- */

void task_leave_mm(struct task *t)
{
	if (t->gone || t->pl.v == PL_NONE)
		return;
	futex_exit(t);
	mm_flights_done(t);
	pl_will_block(t->pl);	/* it has no more calls to make: its CPU is for others */
}

/* The task gives its guest thread back. The last one of a space keeps it: true, and the caller
 * ends the space. The layout and its files are gone already then. */
static bool put_thread(struct task *t, struct mm *mm, pl_thread_t pl)
{
	uint64_t cpu = pl_thread_cputime(pl);
	bool last;

	t->usage.utime += cpu - min(cpu, t->utime_base);
	t->utime_base = 0;
	/* The last one takes the space away, and waits for those that are still giving theirs back. */
	__atomic_fetch_add(&mm->pl_leaving, 1, __ATOMIC_ACQ_REL);
	last = __atomic_sub_fetch(&mm->pl_users, 1, __ATOMIC_ACQ_REL) == 0;
	if (!last)
		pl_thread_put(pl, false, false);
	if (!__atomic_sub_fetch(&mm->pl_leaving, 1, __ATOMIC_ACQ_REL) && !last)
		(void)h_futex_wake(&mm->pl_leaving, 1);
	if (last) {
		mutex_lock(&tasks_lock);
		if (t->proc && t->proc->cpu_space.v == mm->space.v)
			process_cpu_detach(t->proc);
		mutex_unlock(&tasks_lock);
	}
	mm_users_put(mm);
	return last;
}

void task_put_space(struct task *t, struct mm *mm, pl_thread_t pl)
{
	uint64_t bytes = mm->total_vm;

	if (put_thread(t, mm, pl))
		space_end(mm, pl, space_may_lag(bytes));
	else
		mm_put(mm);
}

void vfork_release(struct task *t)
{
	struct task *p;

	mutex_lock(&tasks_lock);
	p = steal(t->vfork_parent);
	if (p)
		p->vfork_wait = false;
	mutex_unlock(&tasks_lock);
	if (p) {
		task_wake(p);
		task_put(p);
	}
}

#define COUNT_BYTES (48ull << 20)	/* the host's count is worth an order at exit */

/* True when the space is still to be ended. */
static bool exit_mm(struct task *t, struct mm *mm, pl_thread_t pl)
{
	bool last = false;

	if (mm) {
		if (mm->data_vm > COUNT_BYTES && !t->gone)
			task_stat_try(t, t);
		t->usage.maxrss = max(t->usage.maxrss, mm_hiwater(mm));
		/* The host takes the faults: each resident page was one at least. */
		t->usage.minflt = max(t->usage.minflt, t->usage.maxrss / PAGE_SIZE);
		task_leave_mm(t);
		mutex_lock(&tasks_lock);
		t->mm = NULL;
		mutex_unlock(&tasks_lock);
		t->pl.v = PL_NONE;
		last = put_thread(t, mm, pl);
		if (!last)
			mm_put(mm);
	}
	vfork_release(t);
	return last;
}

/* --- the family ---------------------------------------------------------------------------- */

/* T held. A group is orphaned when no member has a parent in another group of the same session. */
bool process_is_orphaned_pgrp(struct pid *pgrp, struct task *ignored)
{
	struct list *l, *head = &pgrp->tasks[PIDTYPE_PGID];

	for (l = head->next; l != head; l = l->next) {
		struct task *t = container_of(l, struct task, pid_links[PIDTYPE_PGID]);
		struct process *p = t->proc, *up = p->parent;

		if (t == ignored || p->zombie || !up || up == task_root->reaper)
			continue;
		if (up->pgrp != pgrp && up->session == p->session)
			return false;
	}
	return true;
}

bool pgrp_is_orphaned(struct pid *pgrp)
{
	return process_is_orphaned_pgrp(pgrp, NULL);
}

static bool has_stopped(struct pid *pgrp)
{
	struct list *l, *head = &pgrp->tasks[PIDTYPE_PGID];

	for (l = head->next; l != head; l = l->next)
		if (container_of(l, struct task, pid_links[PIDTYPE_PGID])->proc->group_exit & SG_STOPPED)
			return true;
	return false;
}

static void signal_group(struct pid *pgrp, int sig)
{
	struct list *l, *head = &pgrp->tasks[PIDTYPE_PGID];

	for (l = head->next; l != head; l = l->next)
		(void)!signal_send_process_locked(
			container_of(l, struct task, pid_links[PIDTYPE_PGID])->proc, sig, NULL);
}

/* T held: does p's going (or its new parent) orphan its group while it has stopped members? */
static void kill_orphaned_pgrp(struct process *p, struct process *parent)
{
	struct task *ignored = p->leader;

	if (!parent || p->pgrp == parent->pgrp || p->session != parent->session)
		return;
	if (process_is_orphaned_pgrp(p->pgrp, ignored) && has_stopped(p->pgrp)) {
		signal_group(p->pgrp, SIGHUP);
		signal_group(p->pgrp, SIGCONT);
	}
}

static struct process *find_reaper(struct process *p)
{
	struct pid_ns *ns = p->tgid->numbers[p->tgid->level].ns;

	if (p->has_child_subreaper) {
		for (struct process *r = p->parent; r; r = r->parent) {
			if (r == task_root->reaper || r->tgid->level < ns->level)
				break;
			if (r->is_child_subreaper && !r->zombie && r->nr_threads &&
			    !(r->group_exit & SG_EXIT))
				return r;
		}
	}
	if (ns->child_reaper && ns->child_reaper != p)
		return ns->child_reaper;
	return task_root->reaper;
}

/* T held. The children of a process that has no thread left get another parent. */
static void reparent_children(struct process *p, struct list *dead)
{
	struct process *c, *n, *reaper = find_reaper(p);
	struct l_siginfo info = {.code = SI_USER};

	list_for_each_safe(c, n, &p->children, sibling) {
		list_del(&c->sibling);
		c->parent = reaper;
		list_add_tail(&reaper->children, &c->sibling);
		if (c->leader && c->leader->pdeath_signal) {
			info.signo = c->leader->pdeath_signal;
			info.rt.pid = task_tgid_nr(p->leader, task_pid_ns(c->leader));
			(void)!signal_send_process_locked(c, c->leader->pdeath_signal, &info);
		}
		c->exit_signal = SIGCHLD;
		if (!c->leader || !c->leader->ptrace)
			process_tell_end(c, dead);
		kill_orphaned_pgrp(c, p);
	}
}

static void usage_add(struct rusage_sum *to, const struct rusage_sum *u)
{
	to->utime += u->utime, to->stime += u->stime;
	to->minflt += u->minflt, to->majflt += u->majflt;
	to->nvcsw += u->nvcsw, to->nivcsw += u->nivcsw;
	to->inblock += u->inblock, to->oublock += u->oublock;
	to->maxrss = max(to->maxrss, u->maxrss);
}

/* T held. A process that has ended is told of when of its threads only the leader is left: others may
 * wait for their tracers. */
void process_tell_end(struct process *p, struct list *dead)
{
	struct task *leader = p->leader;

	if (!p->zombie || !leader || p->nr_threads != 1)
		return;
	if (leader->ptrace && leader->tracer->proc != p->parent)
		(void)!notify_parent_exit(leader, SIGCHLD);	/* the tracer reaps it first */
	else if (notify_parent_exit(leader, leader->ptrace ? SIGCHLD : p->exit_signal))
		process_release_task_locked(leader, dead);
}

/* T held. Takes a dead task out of every structure; it joins `dead` (through thread_link), whose
 * references are dropped without locks. For a leader the process ends with it. */
void process_release_task_locked(struct task *t, struct list *dead)
{
	struct process *p = t->proc;
	bool leader = t == p->leader;

	if (t->dead_reported)
		return;
	t->dead_reported = true;
	t->pid->exit_code = leader && p->group_exit & SG_EXIT ? p->exit_code : t->exit_code;
	t->pid->has_exit = true;
	ptrace_unlink(t);
	mutex_lock(&p->sighand->lock);
	signal_flush(&t->pending);
	if (leader)
		signal_flush(&p->shared);
	mutex_unlock(&p->sighand->lock);
	(void)!ucount_add(t->cred->uid, -1, 0);
	__atomic_fetch_sub(&task_root->nr_tasks, 1, __ATOMIC_RELAXED);
	pid_detach(t, PIDTYPE_PID, t->pid);
	list_del(&t->thread_link);
	p->nr_threads--;
	if (!leader)
		usage_add(&p->dead_threads, &t->usage);
	if (leader) {
		pid_detach(t, PIDTYPE_TGID, p->tgid);
		pid_detach(t, PIDTYPE_PGID, p->pgrp);
		pid_detach(t, PIDTYPE_SID, p->session);
		list_del(&p->sibling);
		list_del(&p->all_link);
		sys_usage_gone(p);
		p->leader = NULL;
		p->parent = NULL;
		__atomic_fetch_sub(&task_root->nr_processes, 1, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&t->state, TASK_DEAD, __ATOMIC_RELEASE);
	list_add_tail(dead, &t->thread_link);
	if (!leader)
		process_tell_end(p, dead);
}

void task_release_list(struct list *dead)
{
	struct task *t;

	while ((t = list_first(dead, struct task, thread_link)) != NULL) {
		list_del(&t->thread_link);
		task_put(t);
	}
}

/* T held. The last thread of a pid namespace's init takes everybody along. */
static void zap_pid_ns(struct process *p)
{
	struct pid_ns *ns = p->tgid->numbers[p->tgid->level].ns;
	struct process *i;

	if (ns->child_reaper != p)
		return;
	ns->dying = true;
	list_for_each(i, &task_root->processes, all_link) {
		const struct pid *id = i->tgid;

		if (i == p || id->level < ns->level || id->numbers[ns->level].ns != ns)
			continue;
		(void)!signal_send_process_locked(i, SIGKILL, NULL);
	}
	ns->child_reaper = NULL;
}

static void kill_everybody(void)
{
	struct process *i;

	list_for_each(i, &task_root->processes, all_link)
		if (i != task_root->reaper)
			(void)!signal_send_process_locked(i, SIGKILL, NULL);
}

static void main_gone(struct process *p)
{
	if (task_root->main_proc != p)
		return;
	task_root->init_status = p->exit_code;
	task_root->main_proc = NULL;
	task_root->pid_ns->dying = true;
	kill_everybody();
}

/* The whole sandbox is over when only the reaper is left. */
static void check_all_gone(void)
{
	if (task_root->main_proc || __atomic_load_n(&task_root->nr_processes, __ATOMIC_ACQUIRE) > 1)
		return;
	__atomic_store_n(&task_root->init_done, 1, __ATOMIC_RELEASE);
	(void)h_futex_wake(&task_root->init_done, INT32_MAX);
}

/* T held. The process has no living thread any more. */
static void process_dead(struct process *p, struct list *dead)
{
	struct task *leader = p->leader;

	p->zombie = true;
	process_cpu_detach(p);
	if (!(p->group_exit & SG_EXIT))
		p->exit_code = leader->exit_code;
	else
		leader->exit_code = p->exit_code;
	zap_pid_ns(p);
	main_gone(p);
	reparent_children(p, dead);
	kill_orphaned_pgrp(p, p->parent);
	wq_wake_all(&p->tgid->wq);
	process_tell_end(p, dead);
}

static void exit_notify(struct task *t, struct list *dead)
{
	struct process *p = t->proc;
	bool leader, others = false;
	struct task *i;

	mutex_lock(&tasks_lock);
	ptrace_exit_tracer(t, dead);
	leader = t == p->leader;
	mutex_lock(&p->sighand->lock);
	jobctl_task_gone(t);
	if (leader && (p->group_exit & SG_EXIT))
		t->exit_code = p->exit_code;
	__atomic_store_n(&t->state, TASK_ZOMBIE, __ATOMIC_RELEASE);
	t->dead_thread = true;
	mutex_unlock(&p->sighand->lock);
	list_for_each(i, &p->threads, thread_link)
		others |= !i->dead_thread;
	if (!leader && !t->ptrace) {
		process_release_task_locked(t, dead);
	} else if (!leader) {
		(void)!notify_parent_exit(t, SIGCHLD);
	}
	if (p->exec_task)
		task_wake(p->exec_task);
	if (!others && !p->exec_task)
		process_dead(p, dead);
	else if (leader)
		wq_wake_all(&p->child_wq);
	mutex_unlock(&tasks_lock);
	if (p->group_exit & (SG_CLD_STOPPED | SG_CLD_CONTINUED))
		process_tell_parent(t);
}

/* No other thread of the process will run on. Of several that exit at once at least one is told so. */
static bool is_last_to_exit(struct task *t)
{
	struct task *i;
	bool last = true;

	mutex_lock(&tasks_lock);
	list_for_each(i, &t->proc->threads, thread_link)
		last &= i == t || READ_ONCE(i->exiting);
	mutex_unlock(&tasks_lock);
	return last;
}

void task_do_exit(struct task *t)
{
	struct process *p = t->proc;
	struct list dead = LIST_INIT(dead);
	struct files *files;
	struct fsctx *fs;
	struct nsproxy *ns;
	struct mm *mm = t->mm;
	pl_thread_t pl = t->pl;
	uint64_t bytes = mm ? mm->total_vm : 0;
	bool last, ends, lags;

	task_get(t);
	task_wake_owed();
	ptrace_event_exit(t);
	mutex_lock(&p->sighand->lock);
	t->exiting = true;
	t->jobctl &= JC_STOP_SIGMASK | JC_STOP_CONSUME | JC_STOP_PENDING;
	mutex_unlock(&p->sighand->lock);
	/* From here on kill flags must not shorten waits that clean up. */
	core_join(t);
	last = is_last_to_exit(t);
	if (last) {
		ptimers_drop(t);
		itimers_drop(p);
	}
	ends = exit_mm(t, mm, pl);
	lags = ends && space_may_lag(bytes);
	if (ends && !lags)
		space_end(mm, pl, false);
	if (process_sem_exit)
		process_sem_exit(t);
	mutex_lock(&tasks_lock);
	task_sys_end(t);
	files = steal(t->files);
	fs = steal(t->fs);
	ns = steal(t->ns);
	mutex_unlock(&tasks_lock);
	files_put(t, files);
	fsctx_put(fs);
	nsproxy_put(ns);
	if (last && tty_session_leader_exit && p->tgid == p->session)
		tty_session_leader_exit(p);
	exit_notify(t, &dead);
	task_release_list(&dead);
	if (READ_ONCE(p->zombie))
		itimers_drop(p);	/* again: until now others could set a limit of its CPU time */
	task_put(t);
	check_all_gone();
	if (lags)
		space_end(mm, pl, true);
}

/* --- exit_group, and the sandbox's end ----------------------------------------------------- */

void process_exit_group(struct task *t, int32_t code)
{
	struct process *p = t->proc;

	mutex_lock(&p->sighand->lock);
	if (p->group_exit & SG_EXIT)
		code = p->exit_code;
	else
		group_exit_locked(p, code, t == current ? t : NULL);
	mutex_unlock(&p->sighand->lock);
	if (t == current)
		task_exit_self(t, code);
}

int32_t task_wait_init(void)
{
	while (!__atomic_load_n(&task_root->init_done, __ATOMIC_ACQUIRE))
		(void)h_futex_wait(&task_root->init_done, 0, NULL);
	return task_root->init_status;
}

void task_kill_all(void)
{
	mutex_lock(&tasks_lock);
	kill_everybody();
	mutex_unlock(&tasks_lock);
}

int task_signal_init(int sig)
{
	struct l_siginfo info = {.signo = sig, .code = SI_USER};
	int rc = -ESRCH;

	mutex_lock(&tasks_lock);
	if (task_root->main_proc)
		rc = signal_send_process_locked(task_root->main_proc, sig, &info);
	mutex_unlock(&tasks_lock);
	return rc;
}

/* --- exec: the other threads end ----------------------------------------------------------- */

static bool alone(struct process *p, struct task *t)
{
	struct task *i;

	list_for_each(i, &p->threads, thread_link)
		if (i != t && !(i == p->leader && i->dead_thread))
			return false;
	return true;
}

/* T held. t takes the place, and the number, of the dead leader. */
static void take_over(struct process *p, struct task *t, struct list *dead)
{
	struct task *old = p->leader;
	struct pid *own = t->pid;

	ptrace_unlink_if_dead_leader(old);
	for (int i = 0; i < PIDTYPE_MAX; i++)
		list_del(&old->pid_links[i]);
	pid_detach(t, PIDTYPE_PID, own);
	t->pid = old->pid;
	old->pid = own;
	pid_attach(t, PIDTYPE_PID, p->tgid);
	pid_attach(t, PIDTYPE_TGID, p->tgid);
	pid_attach(t, PIDTYPE_PGID, p->pgrp);
	pid_attach(t, PIDTYPE_SID, p->session);
	p->leader = t;
	process_release_task_locked(old, dead);
}

int de_thread(struct task *t)
{
	struct process *p = t->proc;
	struct list dead = LIST_INIT(dead);
	struct task *i;

	if (p->nr_threads == 1)
		return 0;
	mutex_lock(&tasks_lock);
	mutex_lock(&p->sighand->lock);
	if ((p->group_exit & SG_EXIT) || p->exec_task) {
		mutex_unlock(&p->sighand->lock);
		mutex_unlock(&tasks_lock);
		return -EAGAIN;
	}
	p->exec_task = t;
	p->stop_count = 0;
	list_for_each(i, &p->threads, thread_link) {
		if (i == t || i->exiting)
			continue;
		jobctl_clear_pending(i, JC_PENDING);
		i->stopped = false;
		signal_kill_thread(i);
	}
	mutex_unlock(&p->sighand->lock);
	while (!alone(p, t) && !kill_pending(t)) {
		mutex_unlock(&tasks_lock);
		(void)!wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
		mutex_lock(&tasks_lock);
	}
	if (!alone(p, t)) {
		p->exec_task = NULL;
		mutex_unlock(&tasks_lock);
		return -EAGAIN;
	}
	if (p->leader != t)
		take_over(p, t, &dead);
	p->exec_task = NULL;
	mutex_unlock(&tasks_lock);
	task_release_list(&dead);
	return 0;
}

/* A published task whose Sentry thread could not be made: the caller ends it in its place. */
void task_start_failed(struct task *t)
{
	struct task *me = current;

	task_exit_self(t, SIGKILL);
	current = t;
	task_do_exit(t);
	current = me;
}
