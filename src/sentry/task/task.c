/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The task object, its Sentry thread and that thread's loop.
 *
 * Wake-up protocol with the guest: the task publishes TASK_GUEST, fences, then looks at its work
 * flags; whoever gives it work sets the flag, fences, then looks at the state. One of the two
 * sees the other, and pl_kick before pl_run makes that pl_run return at once.
 */
#include <errno.h>
#include <signal.h>
#include "host/event.h"
#include "host/thread.h"
#include "lib/fmt.h"
#include "lib/log.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/exec.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/rusage.h"
#include "sentry/task/task_i.h"

struct mutex tasks_lock = MUTEX_INIT(RANK_TASKS);
struct task_root *task_root;
_Thread_local struct task *current;

KCACHE(task_cache, struct task, 0);
KCACHE(process_cache, struct process, 0);

struct task *task_alloc(void)
{
	struct task *t = kc_alloc(&task_cache);

	if (!t)
		return NULL;
	ref_init(&t->ref, 1);
	list_init(&t->thread_link);
	for (int i = 0; i < PIDTYPE_MAX; i++)
		list_init(&t->pid_links[i]);
	list_init(&t->tracees);
	list_init(&t->tracee_link);
	list_init(&t->pending.queue);
	t->syscall_nr = ~0u;
	t->state = TASK_KERNEL;
	return t;
}

struct task *task_get(struct task *t)
{
	ref_get(&t->ref);
	return t;
}

void process_put(struct process *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	pid_put(p->tgid);
	pid_put(p->pgrp);
	pid_put(p->session);
	wq_destroy(&p->child_wq);
	sighand_put(p->sighand);
	kc_free(&process_cache, p);
}

void task_put(struct task *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	pid_put(t->pid);
	cred_put(t->cred);
	cred_put(t->tracer_cred);
	seccomp_put(t->seccomp);
	process_put(t->proc);
	kc_free(&task_cache, t);
}

/* --- work and wake-ups --------------------------------------------------------------------- */

void task_set_work(struct task *t, uint32_t bits)
{
	__atomic_fetch_or(&t->work, bits, __ATOMIC_SEQ_CST);
}

void task_clear_work(struct task *t, uint32_t bits)
{
	__atomic_fetch_and(&t->work, ~bits, __ATOMIC_SEQ_CST);
}

void task_notify(struct task *t, uint32_t bits)
{
	task_set_work(t, bits);
	if (bits & TW_KILL)
		pl_kick_kill(t->pl);
	else if (__atomic_load_n(&t->state, __ATOMIC_SEQ_CST) == TASK_GUEST)
		pl_kick(t->pl);
	task_wake(t);
}

/* --- registers ----------------------------------------------------------------------------- */

struct l_regs *task_regs(struct task *t, bool write)
{
	if (!t->regs_valid) {
		if (!t->gone && t->pl.v != PL_NONE && pl_full_state(t->pl) == 0)
			pl_get_regs(t->pl, &t->regs);
		else
			t->gone = true;
		t->regs.orig_rax = t->in_syscall ? t->syscall_nr : ~0ull;
		t->regs_valid = true;
	}
	if (write)
		t->regs_dirty = true;
	return &t->regs;
}

void task_regs_load(struct task *t, const struct l_regs *r)
{
	t->regs = *r;
	t->regs_valid = t->regs_dirty = true;
}

/* --- the loop ------------------------------------------------------------------------------ */

/* A tracer may have changed number and arguments. */
static void reload_call(struct task *t, uint32_t *nr, struct sysargs *a)
{
	const struct l_regs *r = &t->regs;

	if (!t->regs_valid)
		return;
	*nr = t->syscall_nr = (uint32_t)r->orig_rax;
	a->a[0] = r->rdi, a->a[1] = r->rsi, a->a[2] = r->rdx;
	a->a[3] = r->r10, a->a[4] = r->r8, a->a[5] = r->r9;
}

/* Tracing, then filters, as Linux does. False: *ret is the result, the call is not made. */
static bool syscall_enter_slow(struct task *t, uint32_t *nr, struct sysargs *a, int64_t *ret)
{
	int rc;

	if (t->ptrace) {
		if (!ptrace_syscall_enter(t)) {
			*ret = (int64_t)t->regs.rax;
			return false;
		}
		reload_call(t, nr, a);
	}
	if (t->regs_valid && (int64_t)t->regs.orig_rax == -1) {
		*ret = (int64_t)t->regs.rax;
		return false;
	}
	if (!t->seccomp_mode)
		return true;
	rc = seccomp_check(t, *nr, a->a, ret);
	if (rc)
		return false;
	reload_call(t, nr, a);
	return true;
}

static void do_syscall(struct task *t, const struct pl_event *ev)
{
	struct sysargs a;
	int64_t ret = -ENOSYS;
	uint32_t nr = ev->nr;

	t->in_syscall = true;
	t->syscall_nr = nr;
	for (int i = 0; i < 6; i++)
		t->syscall_args[i] = a.a[i] = ev->args[i];
	if (unlikely(t->ptrace || t->seccomp_mode)) {
		if (!syscall_enter_slow(t, &nr, &a, &ret))
			goto done;
	}
	if (syscall_needs_regs(nr))
		(void)task_regs(t, false);
	if (unlikely(t->restart.armed) && nr == t->restart.nr)
		ret = syscall_restart(t);
	else
		ret = syscall_dispatch(t, nr, &a);
	t->restart.armed = false;
done:
	syscall_finish(t, ret);
}

/* Where in which file: enough to find the place with addr2line. */
static void log_fault(struct task *t, const struct pl_event *ev)
{
	uint64_t rip = task_regs(t, false)->rip, off = 0;
	char name[32] = "?";

	mutex_lock(&t->mm->lock);
	struct vma *v = mm_find_locked(t->mm, rip);
	if (v && v->start <= rip && v->file) {
		off = rip - v->start + v->off;
		fmt_n(name, sizeof(name), "%s", v->file->path.dentry->name);
	}
	mutex_unlock(&t->mm->lock);
	log_debug("task %d: signal %d at 0x%llx, error %llx, rip 0x%llx = %s+0x%llx",
		  task_pid_nr(t, task_pid_ns(t)), ev->fault.signo, (unsigned long long)ev->fault.addr,
		  (unsigned long long)ev->fault.err, (unsigned long long)rip, name, (unsigned long long)off);
}

static void do_fault(struct task *t, const struct pl_event *ev)
{
	struct l_siginfo info = {.signo = ev->fault.signo, .code = ev->fault.code};
	bool write = ev->fault.err & 2;
	if (unlikely(log_level >= LOG_DEBUG))
		log_fault(t, ev);
	int code;

	log_debug("task %d (%s): fault %d code %d addr %lx err %lx", task_pid_nr(t, task_root->pid_ns), t->comm,
		  ev->fault.signo, ev->fault.code, ev->fault.addr, ev->fault.err);
	if (ev->fault.signo == SIGSEGV && ev->fault.trapno == 14) {
		code = mm_fault(t, ev->fault.addr, write);
		if (code == 0)
			return;
		if (code > 0)
			info.code = code;
	}
	if (ev->fault.signo == SIGTRAP && unlikely(t->ptrace) && ptrace_debug_step(t, &info))
		return;
	info.fault.addr = ev->fault.addr;
	t->fault_trapno = ev->fault.trapno;
	t->fault_err = ev->fault.err;
	t->fault_addr = ev->fault.addr;
	signal_force(t, ev->fault.signo, &info);
}

static void do_gone(struct task *t)
{
	t->gone = true;
	process_exit_group(t, SIGKILL);
}

static void serve(struct task *t, const struct pl_event *ev)
{
	switch (ev->kind) {
	case PL_EV_SYSCALL:
		do_syscall(t, ev);
		break;
	case PL_EV_FAULT:
		do_fault(t, ev);
		break;
	case PL_EV_INTR:
		task_set_work(t, TW_NOTIFY);	/* a native wait may have to be taken up again (R13) */
		break;
	case PL_EV_OPFAIL:
		mm_op_failed(t, ev->op.addr, ev->op.len, ev->op.err);
		break;
	case PL_EV_GONE:
	default:
		do_gone(t);
		break;
	}
}

/* Bytes that went out with the reply hit a page that the layout had promised: as in Linux the call
 * has had its effect and returns EFAULT; a signal frame that cannot be written is a SIGSEGV. */
static void copy_failed(struct task *t, bool frame)
{
	if (frame)
		signal_force(t, SIGSEGV, NULL);
	else
		pl_set_result(t->pl, -EFAULT);
}

/* --- Sentry threads: kept for the next task when one ends ---------------------------------- */

#define WORKERS_IDLE_MAX 32

struct worker {
	uint32_t word;			/* 1: task is set */
	struct task *task;
	struct worker *next;
};

/* What this thread owes a wake-up: its task's child runs already, and its own guest goes first. */
static __thread struct worker *owed;

static struct mutex workers_lock = MUTEX_INIT(RANK_PLATFORM);
static struct worker *workers_idle;
static unsigned workers_idle_n;

void task_wake_owed(void)
{
	struct worker *w = steal(owed);

	if (!w)
		return;
	__atomic_store_n(&w->word, 1, __ATOMIC_RELEASE);
	(void)h_futex_wake(&w->word, 1);
}

/* Enters the guest if there is no work; returns what came out. */
static void run_once(struct task *t)
{
	struct pl_event ev;
	bool dirty;
	int rc;

	__atomic_store_n(&t->state, TASK_GUEST, __ATOMIC_SEQ_CST);
	if (t->prestarted) {
		if (__atomic_load_n(&t->work, __ATOMIC_SEQ_CST))
			pl_kick(t->pl);
	} else if (__atomic_load_n(&t->work, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
		return;
	}
	if (t->regs_dirty)
		pl_set_regs(t->pl, &t->regs);
	/* one that runs already was told by its maker; what is new since came with a kick */
	if (unlikely(!t->prestarted && (t->told_pl != t->pl.v || t->told_cred != t->cred ||
					t->told_ns != t->ns || t->told_slow != task_slow(t))))
		task_tell_ids(t);
	dirty = t->regs_dirty;
	t->prestarted = false;
	t->regs_dirty = t->regs_valid = t->in_syscall = false;
	if (owed) {
		pl_start(t->pl);
		task_wake_owed();
	}
	rc = pl_run(t->pl, &ev);
	__atomic_store_n(&t->sys_spun, pl_spun(), __ATOMIC_RELAXED);
	if (!rc && ev.kind == PL_EV_COPYFAIL) {
		copy_failed(t, dirty);
		__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
		return;
	}
	__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
	if (rc < 0)
		ev.kind = PL_EV_GONE;
	if (unlikely(t->told_default))
		task_take_actions(t);
	if (ev.kind != PL_EV_OPFAIL)
		mm_flights_done(t);
	if (unlikely(ev.kind == PL_EV_OPFAIL && t->loading)) {
		log_info("exec of %s: a memory call failed: %d", t->comm, ev.op.err);
		process_exit_group(t, SIGKILL);
	} else {
		serve(t, &ev);
	}
	t->loading = false;
}

static void put_child_tid(struct task *t)
{
	int32_t nr = task_pid_nr(t, task_pid_ns(t));

	if (t->set_child_tid)
		(void)!copy_out(t, UADDR(t->set_child_tid), &nr, sizeof(nr));
}

void task_prestart(struct task *t)
{
	if (t->ptrace || __atomic_load_n(&t->work, __ATOMIC_SEQ_CST))
		return;
	put_child_tid(t);
	if (t->regs_dirty)
		pl_set_regs(t->pl, &t->regs);
	t->regs_dirty = t->regs_valid = false;
	task_tell_ids(t);
	if (t->exiting)
		return;
	__atomic_store_n(&t->state, TASK_GUEST, __ATOMIC_SEQ_CST);
	t->prestarted = true;
	pl_start(t->pl);
}

void task_main(struct task *t)
{
	current = t;
	task_sys_start(t);
	if (!t->prestarted)
		put_child_tid(t);
	while (!t->exiting) {
		if (!t->prestarted && (__atomic_load_n(&t->work, __ATOMIC_SEQ_CST) || t->gone))
			signal_deliver(t);
		if (!t->exiting)
			run_once(t);
	}
	task_do_exit(t);
	current = NULL;
	task_put(t);
}

void task_exit_self(struct task *t, int32_t code)
{
	t->exit_code = code;
	t->exiting = true;
	t->keep_result = true;
}

static bool worker_park(struct worker *w)
{
	bool kept;

	mutex_lock(&workers_lock);
	kept = workers_idle_n < WORKERS_IDLE_MAX;
	if (kept) {
		__atomic_store_n(&w->word, 0, __ATOMIC_RELAXED);
		w->next = workers_idle;
		workers_idle = w;
		workers_idle_n++;
	}
	mutex_unlock(&workers_lock);
	return kept;
}

/* The space of the task that ended is emptied at the latest when nobody else's end has come to it. */
static void worker_wait(struct worker *w)
{
	static const struct timespec moment = {0, 3000000};
	bool lags = space_lags();

	while (!__atomic_load_n(&w->word, __ATOMIC_ACQUIRE))
		if (h_futex_wait(&w->word, 0, lags ? &moment : NULL) == -ETIMEDOUT) {
			space_idle();
			lags = false;
		}
}

static void worker_main(void *arg)
{
	struct worker w = {.task = arg};

	do {
		task_main(w.task);
		if (!worker_park(&w))
			return;
		worker_wait(&w);
	} while (true);
}

int task_start(struct task *t)
{
	struct worker *w;

	task_get(t);	/* task_main's */
	t->started = true;
	mutex_lock(&workers_lock);
	w = workers_idle;
	if (w) {
		workers_idle = w->next;
		workers_idle_n--;
	}
	mutex_unlock(&workers_lock);
	if (w) {
		task_prestart(t);
		w->task = t;
		task_wake_owed();
		owed = w;
		if (!current)
			task_wake_owed();
		return 0;
	}
	if (h_thread_spawn(worker_main, t, 0)) {
		t->started = false;
		task_put(t);
		return -EAGAIN;
	}
	return 0;
}

/* --- looking at other tasks ---------------------------------------------------------------- */

struct cred *task_cred_get(struct task *t)
{
	struct cred *c;

	mutex_lock(&tasks_lock);
	c = cred_get(t->cred);
	mutex_unlock(&tasks_lock);
	return c;
}

struct mm *task_mm_get(struct task *t)
{
	struct mm *mm;

	mutex_lock(&tasks_lock);
	mm = t->mm ? mm_get(t->mm) : NULL;
	mutex_unlock(&tasks_lock);
	return mm;
}

struct files *task_files_get(struct task *t)
{
	struct files *f;

	mutex_lock(&tasks_lock);
	f = t->files ? files_get(t->files) : NULL;
	mutex_unlock(&tasks_lock);
	return f;
}

struct fsctx *task_fs_get(struct task *t)
{
	struct fsctx *f;

	mutex_lock(&tasks_lock);
	f = t->fs ? fsctx_get(t->fs) : NULL;
	mutex_unlock(&tasks_lock);
	return f;
}

struct nsproxy *task_ns_get(struct task *t)
{
	struct nsproxy *n;

	mutex_lock(&tasks_lock);
	n = t->ns ? nsproxy_get(t->ns) : NULL;
	mutex_unlock(&tasks_lock);
	return n;
}

/* The process that follows number `after` in a namespace; for /proc. */
struct task *process_next(struct pid_ns *ns, int32_t after)
{
	struct process *p;
	struct task *best = NULL;
	int32_t best_nr = INT32_MAX;

	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		int32_t nr = pid_nr(p->tgid, ns);

		if (nr > after && nr < best_nr && p->leader) {
			best = p->leader;
			best_nr = nr;
		}
	}
	if (best)
		task_get(best);
	mutex_unlock(&tasks_lock);
	return best;
}

/* The thread of t's process that follows thread id `after`. */
struct task *thread_next(struct task *t, struct pid_ns *ns, int32_t after)
{
	struct task *i, *best = NULL;
	int32_t best_nr = INT32_MAX;

	mutex_lock(&tasks_lock);
	list_for_each(i, &t->proc->threads, thread_link) {
		int32_t nr = pid_nr(i->pid, ns);

		if (nr > after && nr < best_nr) {
			best = i;
			best_nr = nr;
		}
	}
	if (best)
		task_get(best);
	mutex_unlock(&tasks_lock);
	return best;
}
