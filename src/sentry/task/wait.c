/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for children and tracees. The scan runs under the tasks lock; a waiter queues itself
 * first, scans, and sleeps, so that no event is missed; a signal counts only when the scan has
 * found nothing (R4).
 */
#include "sentry/task/wait.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include "sentry/task/ptrace.h"
#include "sentry/task/rusage.h"
#include "sentry/task/task_i.h"

#define WNOTHREAD_ 0x20000000
#define WALL_ 0x40000000
#define WCLONE_ 0x80000000u

struct scan {
	struct task *t;
	struct wait_opts *o;
	bool any;			/* somebody could still become what is asked for */
	struct list *dead;
};

static bool id_matches(const struct wait_opts *o, const struct task *c)
{
	if (o->who == WAIT_PID)
		return c->pid == o->pid;
	if (o->who == WAIT_PGRP)
		return c->proc->pgrp == o->pid;
	return true;
}

static bool clone_matches(const struct wait_opts *o, const struct task *c, bool traced)
{
	if (traced || (o->flags & WALL_))
		return true;
	return (c->proc->exit_signal != SIGCHLD) == !!((uint32_t)o->flags & WCLONE_);
}

static void found(struct scan *s, struct task *c, int code, int status)
{
	struct wait_opts *o = s->o;

	o->nr = task_pid_nr(c, task_pid_ns(s->t));
	o->uid = user_ns_uid_munged(s->t->cred->user_ns, c->cred->uid);
	o->code = code;
	o->status = status;
}

static void child_usage(struct task *c, struct rusage_sum *u)
{
	struct process *p = c->proc;

	process_usage_locked(p, u);
	u->utime += p->dead_children.utime;
	u->stime += p->dead_children.stime;
	u->minflt += p->dead_children.minflt;
	u->maxrss = max(u->maxrss, p->dead_children.maxrss);
}

/* The dead leader or tracee c is reported; without WNOWAIT it is gone after it. */
static bool take_zombie(struct scan *s, struct task *c, bool traced)
{
	struct wait_opts *o = s->o;
	struct process *p = c->proc;
	int32_t code = c == p->leader ? p->exit_code : c->exit_code;

	if (!(o->flags & WEXITED))
		return false;
	child_usage(c, &o->usage);
	o->wstatus = code;
	if (code & 0x7f)
		found(s, c, code & 0x80 ? CLD_DUMPED : CLD_KILLED, code & 0x7f);
	else
		found(s, c, CLD_EXITED, (code >> 8) & 0xff);
	if (o->flags & WNOWAIT)
		return true;
	if (traced && c == p->leader && p->parent && p->parent != s->t->proc) {
		/* The tracer has seen it; now the real parent's turn. */
		ptrace_unlink(c);
		if (notify_parent_exit(c, p->exit_signal))
			process_release_task_locked(c, s->dead);
		return true;
	}
	if (c == p->leader) {
		struct rusage_sum *to = &s->t->proc->dead_children;

		to->utime += o->usage.utime;
		to->stime += o->usage.stime;
		to->minflt += o->usage.minflt;
		to->majflt += o->usage.majflt;
		to->maxrss = max(to->maxrss, o->usage.maxrss);
	}
	process_release_task_locked(c, s->dead);
	return true;
}

static bool take_stopped(struct scan *s, struct task *c, bool traced)
{
	struct wait_opts *o = s->o;
	struct process *p = c->proc;
	int code = 0;

	mutex_lock(&p->sighand->lock);
	if (traced) {
		if (c->trap_code && c->state == TASK_TRACED && !(c->jobctl & JC_LISTENING)) {
			code = (int)c->trap_code;
			if (!(o->flags & WNOWAIT))
				c->trap_code = 0;
		}
	} else if ((o->flags & WUNTRACED) && (p->group_exit & SG_STOPPED) && p->exit_code) {
		code = p->exit_code;
		if (!(o->flags & WNOWAIT))
			p->exit_code = 0;
	}
	mutex_unlock(&p->sighand->lock);
	if (!code)
		return false;
	child_usage(c, &o->usage);
	o->wstatus = (code << 8) | 0x7f;
	found(s, c, traced ? CLD_TRAPPED : CLD_STOPPED, code);
	return true;
}

static bool take_continued(struct scan *s, struct task *c)
{
	struct wait_opts *o = s->o;
	struct process *p = c->proc;
	bool yes;

	if (!(o->flags & WCONTINUED))
		return false;
	mutex_lock(&p->sighand->lock);
	yes = p->group_exit & SG_CONTINUED;
	if (yes && !(o->flags & WNOWAIT))
		p->group_exit &= ~(uint32_t)SG_CONTINUED;
	mutex_unlock(&p->sighand->lock);
	if (!yes)
		return false;
	child_usage(c, &o->usage);
	o->wstatus = 0xffff;
	found(s, c, CLD_CONTINUED, SIGCONT);
	return true;
}

/* One candidate; true when it is the answer. */
static bool consider(struct scan *s, struct task *c, bool traced)
{
	struct process *p = c->proc;

	if (c->dead_reported || !id_matches(s->o, c) || !clone_matches(s->o, c, traced))
		return false;
	if (!traced && c->ptrace && c->tracer->proc != s->t->proc) {
		/* Its tracer waits for it; to us it is a child that may still end. */
		s->any = true;
		if (c->dead_thread)
			return false;
		return take_continued(s, c) || take_stopped(s, c, false);
	}
	if (!traced && c->ptrace)
		return false;	/* met again in the list of tracees */
	if (c->dead_thread) {
		if (c == p->leader && (!p->zombie || p->nr_threads > 1)) {
			s->any = true;
			return false;
		}
		/* It went on before it ended: told first, when that is all that is asked for. */
		if (!traced && !(s->o->flags & WEXITED) && take_continued(s, c))
			return true;
		if (take_zombie(s, c, traced))
			return true;
		if (!(s->o->flags & WEXITED))
			return false;
		return false;
	}
	s->any = true;
	return take_stopped(s, c, traced) || take_continued(s, c);
}

static bool scan_all(struct scan *s)
{
	struct process *p = s->t->proc, *c, *cn;
	struct task *th, *tr, *tn;

	list_for_each_safe(c, cn, &p->children, sibling)
		if (c->leader && consider(s, c->leader, false))
			return true;
	list_for_each(th, &p->threads, thread_link) {
		if ((s->o->flags & WNOTHREAD_) && th != s->t)
			continue;
		list_for_each_safe(tr, tn, &th->tracees, tracee_link)
			if (consider(s, tr, true))
				return true;
	}
	return false;
}

static int scan_once(struct task *t, struct wait_opts *o)
{
	struct list dead = LIST_INIT(dead);
	struct scan s = {.t = t, .o = o, .dead = &dead};
	bool hit;

	mutex_lock(&tasks_lock);
	hit = scan_all(&s);
	mutex_unlock(&tasks_lock);
	task_release_list(&dead);
	if (hit)
		return o->nr;
	return s.any ? 0 : -ECHILD;
}

int task_wait(struct task *t, struct wait_opts *o)
{
	struct waiter w;
	int rc, slept = 0;

	rc = scan_once(t, o);
	if (rc || (o->flags & WNOHANG))
		return rc;
	wait_begin(&w, &t->proc->child_wq, t);
	for (;;) {
		rc = scan_once(t, o);
		if (rc)
			break;
		if (slept) {
			rc = slept;
			break;
		}
		slept = wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	}
	wait_end(&w);
	return rc;
}
