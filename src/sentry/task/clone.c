/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New tasks: fork, vfork, clone, clone3 and the first one. A child is built completely, then
 * published under the tasks and sighand locks in one step; only then does its Sentry thread start.
 * Any CLONE_VM child shares the space, whether or not it is a thread (R6).
 */
#include "sentry/core/charge.h"
#include "sentry/time/time.h"
#include "sentry/vfs/mount.h"
#include "sentry/task/clone.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include "lib/fmt.h"
#include "lib/log.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/exec.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_i.h"
#include "sentry/vfs/mount.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define CLONE_CLEAR_SIGHAND_ 0x100000000ull
#define NS_FLAGS ((uint64_t)(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | \
			     CLONE_NEWPID | CLONE_NEWCGROUP | CLONE_NEWTIME))

static KCACHE(sighand_cache, struct sighand, 0);

/* --- signal actions ------------------------------------------------------------------------ */

struct sighand *sighand_create(void)
{
	struct sighand *s = kc_alloc(&sighand_cache);

	if (!s)
		return NULL;
	ref_init(&s->ref, 1);
	mutex_init(&s->lock, RANK_SIGHAND);
	wq_init(&s->signalfd_wq);
	return s;
}

struct sighand *sighand_copy(struct sighand *old)
{
	struct sighand *s = sighand_create();

	if (!s)
		return NULL;
	mutex_lock(&old->lock);
	__builtin_memcpy(s->action, old->action, sizeof(s->action));
	mutex_unlock(&old->lock);
	return s;
}

struct sighand *sighand_get(struct sighand *s)
{
	ref_get(&s->ref);
	return s;
}

void sighand_put(struct sighand *s)
{
	if (!s || !ref_put(&s->ref))
		return;
	wq_destroy(&s->signalfd_wq);
	kc_free(&sighand_cache, s);
}

/* --- processes ----------------------------------------------------------------------------- */

static struct process *process_alloc(void)
{
	struct process *p = kc_alloc(&process_cache);

	if (!p)
		return NULL;
	ref_init(&p->ref, 1);
	list_init(&p->threads);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->all_link);
	list_init(&p->shared.queue);
	list_init(&p->ptimers);
	wq_init(&p->child_wq);
	p->exit_signal = SIGCHLD;
	p->start_time = now_mono();
	p->start_boottime = p->start_time;
	return p;
}

static struct process *process_copy(struct process *old, struct sighand *sh)
{
	struct process *p = process_alloc();

	if (!p)
		return NULL;
	p->sighand = sh;
	mutex_lock(&tasks_lock);
	__builtin_memcpy(p->rlim, old->rlim, sizeof(p->rlim));
	p->oom_score_adj = old->oom_score_adj;
	p->has_child_subreaper = old->has_child_subreaper || old->is_child_subreaper;
	mutex_unlock(&tasks_lock);
	return p;
}

/* --- checks -------------------------------------------------------------------------------- */

static int check_flags(struct task *t, const struct clone_args_k *a)
{
	uint64_t f = a->flags;

	if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) ||
	    (f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND_))
		return -EINVAL;
	if ((f & CLONE_PARENT) && (t->proc->group_exit & SG_UNKILLABLE))
		return -EINVAL;
	if ((f & CLONE_THREAD) &&
	    ((f & (CLONE_NEWUSER | CLONE_NEWPID)) || t->ns->pid_for_children != task_pid_ns(t)))
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & CLONE_DETACHED))
		return -EINVAL;
	if ((f & (CLONE_VM | CLONE_NEWTIME)) == (CLONE_VM | CLONE_NEWTIME))
		return -EINVAL;
	if ((f & CLONE_NEWIPC) && (f & CLONE_SYSVSEM))
		return -EINVAL;
	return 0;
}

static int check_limits(struct task *t)
{
	uint32_t max_tasks = task_root->max_tasks;

	if (ucount_nproc(t->cred->uid) >= task_rlimit(t, RLIMIT_NPROC) &&
	    !task_capable(t, CAP_SYS_RESOURCE) && !task_capable(t, CAP_SYS_ADMIN))
		return -EAGAIN;
	if (max_tasks && __atomic_load_n(&task_root->nr_tasks, __ATOMIC_RELAXED) >= max_tasks) {
		limit_note(LIMIT_PIDS);
		return -EAGAIN;
	}
	return 0;
}

/* --- the parts of a child ------------------------------------------------------------------ */

static void copy_plain(struct task *c, const struct task *t, const struct clone_args_k *a)
{
	c->blocked = t->blocked;
	__builtin_memcpy(c->comm, t->comm, sizeof(c->comm));
	c->no_new_privs = t->no_new_privs;
	c->nice = t->nice;
	c->sched_policy = t->sched_policy;
	c->rt_prio = t->rt_prio;
	c->ioprio_class = t->ioprio_class;
	c->ioprio_level = t->ioprio_level;
	if (t->sched_reset) {
		c->sched_policy = c->rt_prio = 0;
		c->nice = max(c->nice, (int8_t)0) > 0 ? c->nice : 0;
	}
	__builtin_memcpy(c->affinity, t->affinity, sizeof(c->affinity));
	c->timer_slack = c->default_timer_slack = t->timer_slack;
	c->personality = t->personality;
	c->mce_kill = t->mce_kill;
	c->landlock = t->landlock;
	c->altstack = t->altstack;
	if ((a->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		c->altstack = (struct l_sigaltstack){.flags = SS_DISABLE};
	c->clear_tid = a->flags & CLONE_CHILD_CLEARTID ? a->child_tid : 0;
	c->set_child_tid = a->flags & CLONE_CHILD_SETTID ? a->child_tid : 0;
	c->start_time = c->start_boottime = now_mono();
}

static int copy_ns(struct task *c, struct task *t, uint64_t flags)
{
	struct user_ns *u = c->cred->user_ns;
	struct nsproxy *n;
	int rc;

	if (!(flags & NS_FLAGS)) {
		if ((flags & CLONE_VM) || t->ns->time == t->ns->time_for_children) {
			c->ns = nsproxy_get(t->ns);
			return 0;
		}
	} else if (!(flags & CLONE_NEWUSER) && !cred_ns_capable(t->cred, u, CAP_SYS_ADMIN)) {
		return -EPERM;
	}
	rc = nsproxy_copy(t, flags & NS_FLAGS, u, c->fs, &n);
	if (rc)
		return rc;
	nsproxy_join_time(n);
	c->ns = n;
	return 0;
}

static int copy_parts(struct task *c, struct task *t, const struct clone_args_k *a)
{
	uint64_t f = a->flags;
	struct sighand *sh;
	struct cred *cred;
	int rc;

	if (f & CLONE_NEWUSER) {
		cred = cred_copy(t->cred);
		rc = cred ? cred_enter_new_user_ns(cred) : -ENOMEM;
		if (rc) {
			cred_put(cred);
			return rc;
		}
		c->cred = cred;
	} else {
		c->cred = cred_get(t->cred);
	}
	c->fs = f & CLONE_FS ? fsctx_get(t->fs) : fsctx_copy(t->fs);
	c->files = f & CLONE_FILES ? files_get(t->files) : files_copy(t->files);
	if (!c->fs || !c->files)
		return -ENOMEM;
	rc = copy_ns(c, t, f);
	if (rc)
		return rc;
	if (f & CLONE_THREAD) {
		c->proc = t->proc;
		ref_get(&t->proc->ref);
		return 0;
	}
	sh = f & CLONE_SIGHAND ? sighand_get(t->proc->sighand) : sighand_copy(t->proc->sighand);
	if (!sh)
		return -ENOMEM;
	if (f & CLONE_CLEAR_SIGHAND_)
		for (int i = 0; i < L_NSIG; i++)
			if (sh->action[i].handler != (uint64_t)(uintptr_t)SIG_IGN)
				sh->action[i] = (struct l_sigaction){0};
	c->proc = process_copy(t->proc, sh);
	if (!c->proc) {
		sighand_put(sh);
		return -ENOMEM;
	}
	return 0;
}

static int copy_memory(struct task *c, struct task *t, const struct clone_args_k *a)
{
	struct l_regs r = *task_regs(t, false);
	struct mm *mm;
	int rc;

	r.rax = 0;
	r.orig_rax = ~0ull;
	if (a->stack)
		r.rsp = a->stack + a->stack_size;
	if (a->flags & CLONE_SETTLS)
		r.fs_base = a->tls;
	if (a->flags & CLONE_VM) {
		rc = pl_thread_create(t->pl, &r, &c->pl);
		if (rc)
			return rc == -ESRCH ? rc : -EAGAIN;
		c->mm = mm_get(t->mm);
		ref_get(&c->mm->users);
	} else {
		rc = mm_fork_begin(t, &mm);
		if (rc)
			return rc;
		rc = pl_space_fork(t->pl, &r, &mm->space, &c->pl);
		mm_fork_end(t, mm, rc == 0);
		if (rc)
			return rc == -ESRCH ? rc : -EAGAIN;
		c->mm = mm;
	}
	__atomic_fetch_add(&c->mm->pl_users, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Undoes a child that was not published. */
static void discard(struct task *c, struct task *t, bool counted)
{
	if (c->mm) {
		task_put_space(c, c->mm, c->pl);
		c->mm = NULL;
	}
	if (c->files)
		files_put(t, steal(c->files));
	fsctx_put(steal(c->fs));
	nsproxy_put(steal(c->ns));
	if (counted) {
		(void)!ucount_add(c->cred->uid, -1, 0);
		__atomic_fetch_sub(&task_root->nr_tasks, 1, __ATOMIC_RELAXED);
	}
	if (c->pid)
		pid_free_number(c->pid);
	task_put(c);
}

/* T and S held. */
static void link_process(struct task *c, struct task *t, const struct clone_args_k *a)
{
	struct process *p = c->proc, *parent = t->proc;
	struct pid_ns *ns = c->pid->numbers[c->pid->level].ns;

	p->leader = c;
	p->tgid = pid_get(c->pid);
	if (!(a->flags & CLONE_VM))
		process_cpu_attach(p, c->mm->space);
	p->exit_signal = a->exit_signal;
	if (a->flags & CLONE_PARENT) {
		p->exit_signal = parent->exit_signal;
		parent = parent->parent ? parent->parent : task_root->reaper;
	}
	p->parent = parent;
	list_add_tail(&parent->children, &p->sibling);
	p->pgrp = pid_get(t->proc->pgrp);
	p->session = pid_get(t->proc->session);
	p->tty = t->proc->tty;
	if (!ns->child_reaper) {
		ns->child_reaper = p;
		p->group_exit |= SG_UNKILLABLE;
	}
	list_add_tail(&task_root->processes, &p->all_link);
	pid_attach(c, PIDTYPE_TGID, p->tgid);
	pid_attach(c, PIDTYPE_PGID, p->pgrp);
	pid_attach(c, PIDTYPE_SID, p->session);
	__atomic_fetch_add(&task_root->nr_processes, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&task_root->forks_total, 1, __ATOMIC_RELAXED);
}

static int publish(struct task *c, struct task *t, const struct clone_args_k *a)
{
	struct process *p = c->proc;
	int rc = 0;

	mutex_lock(&tasks_lock);
	mutex_lock(&t->proc->sighand->lock);
	if (kill_pending(t) || (t->proc->group_exit & SG_EXIT) || t->proc->exec_task) {
		rc = -ERESTARTNOINTR;
	} else {
		if (!(a->flags & CLONE_THREAD))
			link_process(c, t, a);
		else if (t->proc->group_exit & SG_STOPPED || t->proc->stop_count)
			c->jobctl = t->jobctl & (JC_STOP_PENDING | JC_STOP_SIGMASK);
		list_add_tail(&p->threads, &c->thread_link);
		p->nr_threads++;
		pid_attach(c, PIDTYPE_PID, c->pid);
		/* as late as this: a TSYNC of another thread must not miss it */
		if (t->seccomp)
			c->seccomp = seccomp_get(t->seccomp);
		c->seccomp_mode = t->seccomp_mode;
		c->no_new_privs = t->no_new_privs;
	}
	mutex_unlock(&t->proc->sighand->lock);
	if (!rc)
		ptrace_inherit(t, c, a->flags);
	mutex_unlock(&tasks_lock);
	return rc;
}

static int write_ids(struct task *c, struct task *t, const struct clone_args_k *a, int *pidfd)
{
	struct file *f;
	int32_t nr;
	int rc = 0;

	*pidfd = -1;
	if (a->flags & CLONE_PIDFD) {
		rc = a->open_pidfd(c->pid, a->flags & CLONE_THREAD ? 0200 /* PIDFD_THREAD */ : 0, &f);
		if (rc)
			return rc;
		rc = fd_reserve(t, 0, true);
		if (rc < 0) {
			file_put(f);
			return rc;
		}
		*pidfd = rc;
		fd_install(t, *pidfd, f);
		rc = put_user(t, UADDR(a->pidfd), *pidfd);
	}
	if (!rc && (a->flags & CLONE_PARENT_SETTID)) {
		nr = task_pid_nr(c, task_pid_ns(t));
		(void)!put_user(t, UADDR(a->parent_tid), nr);
		(void)!pl_flush(t->pl);		/* the child may look at once (R20) */
	}
	return rc;
}

static void vfork_wait(struct task *t, struct task *c)
{
	for (;;) {
		bool on;

		mutex_lock(&tasks_lock);
		on = t->vfork_wait;
		if (on && kill_pending(t)) {
			if (c->vfork_parent == t) {
				c->vfork_parent = NULL;
				mutex_unlock(&tasks_lock);
				task_put(t);
				mutex_lock(&tasks_lock);
			}
			t->vfork_wait = on = false;
		}
		mutex_unlock(&tasks_lock);
		if (!on)
			return;
		(void)!wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
	}
}

static int build(struct task *c, struct task *t, const struct clone_args_k *a)
{
	int rc;

	copy_plain(c, t, a);
	rc = copy_parts(c, t, a);
	if (!rc)
		rc = pid_alloc(c->ns->pid_for_children, a->set_tid, a->set_tid_n, &c->pid);
	if (!rc)
		rc = copy_memory(c, t, a);
	return rc;
}

int64_t task_clone(struct task *t, const struct clone_args_k *a)
{
	int event, pidfd = -1, rc = check_flags(t, a);
	bool vfork = a->flags & CLONE_VFORK, counted = false;
	struct task *c;
	int32_t nr;

	if (!rc)
		rc = check_limits(t);
	if (rc)
		return rc;
	if (a->flags & CLONE_SIGHAND)
		task_untell_actions(t);
	c = task_alloc();
	if (!c)
		return -ENOMEM;
	(void)task_regs(t, false);
	rc = build(c, t, a);
	if (!rc) {
		rc = ucount_add(c->cred->uid, 1, 0);
		counted = rc == 0;
		__atomic_fetch_add(&task_root->nr_tasks, counted, __ATOMIC_RELAXED);
	}
	if (!rc)
		rc = write_ids(c, t, a, &pidfd);
	if (!rc && vfork) {
		c->vfork_parent = task_get(t);
		t->vfork_wait = true;
	}
	if (!rc)
		rc = publish(c, t, a);
	if (rc) {
		if (pidfd >= 0)
			(void)!fd_close(t, pidfd);
		t->vfork_wait = false;
		task_put(steal(c->vfork_parent));
		discard(c, t, counted);
		return rc;
	}
	nr = task_pid_nr(c, task_pid_ns(t));
	if (c->proc != t->proc)
		cpu_timers_update(c->proc);
	if (vfork)
		pl_will_block(t->pl);
	event = vfork ? PTRACE_EVENT_VFORK_ : a->exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE_ : PTRACE_EVENT_FORK_;
	task_get(c);
	if (task_start(c)) {
		/* The host has no thread for it: it dies before its first instruction. */
		log_warn("no host thread for task %d", nr);
		task_start_failed(c);
	}
	ptrace_event(t, event, (uint64_t)nr);
	if (vfork) {
		vfork_wait(t, c);
		ptrace_event(t, PTRACE_EVENT_VFORK_DONE_, (uint64_t)nr);
	}
	task_put(c);
	return nr;
}

/* --- the first two ------------------------------------------------------------------------- */

static void init_rlimits(struct process *p, const struct init_params *ip)
{
	for (unsigned i = 0; i < array_size(p->rlim); i++)
		p->rlim[i] = (struct l_rlimit){RLIM_INFINITY, RLIM_INFINITY};
	p->rlim[RLIMIT_STACK].cur = 8ull << 20;
	p->rlim[RLIMIT_CORE].cur = 0;
	p->rlim[RLIMIT_NOFILE] = (struct l_rlimit){ip->nofile_soft ? ip->nofile_soft : 1024,
						   ip->nofile_hard ? ip->nofile_hard : 1 << 20};
	p->rlim[RLIMIT_MEMLOCK] = (struct l_rlimit){8 << 20, 8 << 20};
	p->rlim[RLIMIT_SIGPENDING] = (struct l_rlimit){31000, 31000};
	p->rlim[RLIMIT_NPROC] = (struct l_rlimit){31000, 31000};
	p->rlim[RLIMIT_MSGQUEUE] = (struct l_rlimit){819200, 819200};
	p->rlim[RLIMIT_NICE] = (struct l_rlimit){0, 0};
	p->rlim[RLIMIT_RTPRIO] = (struct l_rlimit){0, 0};
}

static struct cred *init_cred(const struct init_params *ip)
{
	struct cred *c = cred_create(task_root->user_ns);
	struct group_list *g;

	if (!c)
		return NULL;
	c->uid = c->euid = c->suid = c->fsuid = ip->uid;
	c->gid = c->egid = c->sgid = c->fsgid = ip->gid;
	c->cap_bset = ip->asroot ? CAP_FULL : 0;
	if (ip->uid == 0 && ip->asroot)
		c->cap_permitted = c->cap_effective = CAP_FULL;
	if (ip->ngroups) {
		g = group_list_create(ip->groups, ip->ngroups);
		if (!g) {
			cred_put(c);
			return NULL;
		}
		c->groups = g;
	}
	return c;
}

/* A process with one task that shares nothing yet. */
static struct task *make_first(const struct init_params *ip, struct process *parent)
{
	struct task *t = task_alloc();
	struct process *p = process_alloc();

	if (!t || !p)
		return NULL;
	t->proc = p;
	p->sighand = sighand_create();
	t->cred = init_cred(ip);
	t->files = files_create();
	t->fs = fsctx_create(&ip->root, &ip->cwd, ip->umask);
	t->ns = nsproxy_get(task_root->ns);
	if (!p->sighand || !t->cred || !t->files || !t->fs ||
	    pid_alloc(task_root->pid_ns, NULL, 0, &t->pid))
		return NULL;
	init_rlimits(p, ip);
	t->altstack.flags = SS_DISABLE;
	t->timer_slack = t->default_timer_slack = 50000;
	task_init_affinity(t);
	t->start_time = t->start_boottime = now_mono();
	p->leader = t;
	p->tgid = pid_get(t->pid);
	p->pgrp = pid_get(t->pid);
	p->session = pid_get(t->pid);
	p->parent = parent;
	if (parent)
		list_add_tail(&parent->children, &p->sibling);
	list_add_tail(&task_root->processes, &p->all_link);
	list_add_tail(&p->threads, &t->thread_link);
	p->nr_threads = 1;
	pid_attach(t, PIDTYPE_PID, t->pid);
	pid_attach(t, PIDTYPE_TGID, p->tgid);
	pid_attach(t, PIDTYPE_PGID, p->pgrp);
	pid_attach(t, PIDTYPE_SID, p->session);
	task_root->nr_tasks++;
	task_root->nr_processes++;
	(void)!ucount_add(t->cred->uid, 1, 0);
	return t;
}

int task_root_init(uint64_t s, uint32_t max_tasks, const char *hostname)
{
	struct task_root *r = kmalloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	list_init(&r->processes);
	mutex_init(&r->pidmap_lock, RANK_PIDMAP);
	for (int i = 0; i < PID_BUCKETS; i++)
		list_init(&r->pid_hash[i]);
	for (int i = 0; i < UCOUNT_BUCKETS; i++)
		list_init(&r->ucounts[i]);
	for (int i = 0; i < 4; i++) {
		s += 0x9e3779b97f4a7c15ull;
		r->rng[i] = (s ^ (s >> 30)) * 0xbf58476d1ce4e5b9ull | 1;
	}
	r->max_tasks = max_tasks;
	task_root = r;
	__builtin_memcpy(task_root->core_pattern, "core", 5);
	return ns_init_root(hostname, NULL);
}

int task_create_init(const struct init_params *ip, struct task **out)
{
	struct task *reaper, *t;

	task_root->ns->mnt = mnt_ns_get(ip->mnt);
	if (!ip->mnt->user_ns)
		ip->mnt->user_ns = user_ns_get(init_user_ns);
	reaper = make_first(ip, NULL);
	if (!reaper)
		return -ENOMEM;
	task_root->reaper = reaper->proc;
	reaper->proc->no_reap_wait = true;
	reaper->proc->group_exit = SG_UNKILLABLE;
	task_root->pid_ns->child_reaper = reaper->proc;
	reaper->state = TASK_SLEEPING;
	task_set_comm(reaper, "init");
	t = make_first(ip, reaper->proc);
	if (!t)
		return -ENOMEM;
	task_root->main_proc = t->proc;
	*out = t;
	return 0;
}
