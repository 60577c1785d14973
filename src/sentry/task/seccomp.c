/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp inside the guest. A task's filters are a chain towards older ones, shared and
 * immutable; every filter runs and the strictest verdict wins (lowest action value, newest filter
 * first among equals).
 */
#include "sentry/task/seccomp.h"
#include <errno.h>
#include <signal.h>
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/bpf.h"
#include "sentry/task/ptrace.h"
#include "sentry/core/wait.h"
#include "sentry/task/rusage.h"
#include "sentry/task/task_i.h"

#define AUDIT_ARCH_X86_64_ 0xc000003eu
#define MAX_INSNS_PER_PATH 32768u
#define TSYNC_LOOK_NS 100000u
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_ 32u	/* a supervised call waits for fatal signals only */
#define NR_read 0
#define NR_write 1
#define NR_rt_sigreturn 15
#define NR_exit 60

struct seccomp_filter {
	refcount_t ref;
	struct seccomp_filter *prev;	/* owned */
	struct seccomp_listener *listener;	/* owned, or NULL */
	bool log;
	uint32_t n, depth;
	uint64_t path;			/* instructions of the whole chain, with 4 per filter */
	struct sock_filter prog[];
};

struct seccomp_filter *seccomp_get(struct seccomp_filter *f)
{
	ref_get(&f->ref);
	return f;
}

void seccomp_put(struct seccomp_filter *f)
{
	while (f && ref_put(&f->ref)) {
		struct seccomp_filter *prev = f->prev;

		if (f->listener)
			seccomp_listener_put(f->listener);
		kfree(f);
		f = prev;
	}
}

int task_seccomp_mode(const struct task *t)
{
	return (int)t->seccomp_mode;
}

unsigned task_seccomp_count(const struct task *t)
{
	return t->seccomp ? t->seccomp->depth : 0;
}

static int load_prog(struct task *t, uint64_t uprog, struct seccomp_filter **out)
{
	struct {
		uint16_t len, pad[3];
		uint64_t filter;
	} fp;
	struct seccomp_filter *f;
	int rc = copy_in(t, &fp, UADDR(uprog), sizeof(fp));

	if (rc)
		return rc;
	if (fp.len == 0 || fp.len > BPF_MAXINSNS)
		return -EINVAL;
	if (!t->no_new_privs && !cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN))
		return -EACCES;
	f = kmalloc(sizeof(*f) + fp.len * sizeof(f->prog[0]));
	if (!f)
		return -ENOMEM;
	ref_init(&f->ref, 1);
	f->n = fp.len;
	rc = copy_in(t, f->prog, UADDR(fp.filter), fp.len * sizeof(f->prog[0]));
	if (!rc)
		rc = bpf_check(f->prog, fp.len);
	if (rc) {
		kfree(f);
		return rc;
	}
	*out = f;
	return 0;
}

static bool is_ancestor(const struct seccomp_filter *a, const struct seccomp_filter *f)
{
	if (!a)
		return true;
	while (f && f != a)
		f = f->prev;
	return f != NULL;
}

/* T held. The number of the first thread that cannot follow, or 0. */
static int32_t tsync_check(struct task *t)
{
	struct task *i;

	list_for_each(i, &t->proc->threads, thread_link) {
		if (i == t || i->dead_thread)
			continue;
		if (i->seccomp_mode == SECCOMP_MODE_DISABLED)
			continue;
		if (i->seccomp_mode == SECCOMP_MODE_FILTER && is_ancestor(i->seccomp, t->seccomp))
			continue;
		return task_pid_nr(i, task_pid_ns(t));
	}
	return 0;
}

static void tsync(struct task *t)
{
	struct task *i;

	list_for_each(i, &t->proc->threads, thread_link) {
		struct seccomp_filter *old;

		if (i == t || i->dead_thread)
			continue;
		old = i->seccomp;
		i->seccomp = seccomp_get(t->seccomp);
		seccomp_put(old);
		if (t->no_new_privs)
			i->no_new_privs = true;
		__atomic_store_n(&i->seccomp_mode, SECCOMP_MODE_FILTER, __ATOMIC_RELEASE);
		task_notify(i, TW_SECCOMP);
	}
}

/*
 * When TSYNC returns, no thread goes on without the filter: one that is in guest code on a fast
 * thread, where private futexes and in-cell answers pass us by, has been kicked and becomes a
 * strict one before it runs again (R18).
 */
static void tsync_wait(struct task *t)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct task *i;
	int32_t nr = 0;

	while ((i = thread_next(t, ns, nr))) {
		nr = task_pid_nr(i, ns);
		while (i != t && __atomic_load_n(&i->state, __ATOMIC_SEQ_CST) == TASK_GUEST &&
		       !pl_is_strict(i->pl) && !kill_pending(t))
			(void)!wait_sleep(t, WAIT_KILLABLE, now_mono() + TSYNC_LOOK_NS);
		task_put(i);
	}
}

/* One listener in a chain. */
static int listener_of(struct task *t, bool killable, struct seccomp_filter *f, int *fd, struct file **file)
{
	for (const struct seccomp_filter *o = t->seccomp; o; o = o->prev)
		if (o->listener)
			return -EBUSY;
	return seccomp_listener_create(t, killable, &f->listener, fd, file);
}

int64_t seccomp_set_filter(struct task *t, uint32_t flags, uint64_t uprog)
{
	const uint32_t known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
			       SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
			       SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_;
	struct seccomp_filter *f;
	struct file *file = NULL;
	int fd = -1;
	int64_t rc;

	if (flags & ~known)
		return -EINVAL;
	if ((flags & SECCOMP_FILTER_FLAG_TSYNC) && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) &&
	    !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return -EINVAL;		/* one result cannot say both */
	if ((flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_) && !(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER))
		return -EINVAL;
	if (t->seccomp_mode == SECCOMP_MODE_STRICT)
		return -EINVAL;
	rc = load_prog(t, uprog, &f);
	if (rc)
		return rc;
	f->path = f->n + (t->seccomp ? t->seccomp->path + 4 : 0);
	f->depth = 1 + (t->seccomp ? t->seccomp->depth : 0);
	f->log = flags & SECCOMP_FILTER_FLAG_LOG;
	if (f->path > MAX_INSNS_PER_PATH) {
		kfree(f);
		return -ENOMEM;
	}
	if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
		rc = listener_of(t, flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_, f, &fd, &file);
		if (rc) {
			kfree(f);
			return rc;
		}
	}
	mutex_lock(&tasks_lock);
	if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
		rc = tsync_check(t);
		if (rc && (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
			rc = -ESRCH;
	}
	if (!rc) {
		f->prev = t->seccomp;
		t->seccomp = f;
		t->seccomp_mode = SECCOMP_MODE_FILTER;
		if (flags & SECCOMP_FILTER_FLAG_TSYNC)
			tsync(t);
	}
	mutex_unlock(&tasks_lock);
	if (rc && file) {
		fd_abandon(t, fd);
		file_put(file);
		seccomp_listener_put(f->listener);
	}
	if (rc)
		kfree(f);
	else if (file)
		fd_install(t, fd, file);
	if (!rc && (flags & SECCOMP_FILTER_FLAG_TSYNC))
		tsync_wait(t);
	return rc || !file ? rc : fd;
}

int64_t seccomp_set_strict(struct task *t)
{
	if (t->seccomp_mode != SECCOMP_MODE_DISABLED && t->seccomp_mode != SECCOMP_MODE_STRICT)
		return -EINVAL;
	t->seccomp_mode = SECCOMP_MODE_STRICT;
	return 0;
}

/* --- verdicts ------------------------------------------------------------------------------ */

static uint32_t evaluate(struct seccomp_filter *chain, const struct seccomp_data *d,
			 struct seccomp_filter **match)
{
	uint32_t best = SECCOMP_RET_ALLOW;

	for (struct seccomp_filter *f = chain; f; f = f->prev) {
		uint32_t r = bpf_run(f->prog, d);

		if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) < (int32_t)(best & SECCOMP_RET_ACTION_FULL))
			best = r, *match = f;
	}
	return best;
}

static void send_sigsys(struct task *t, uint32_t nr, uint32_t data)
{
	struct l_siginfo info = {.signo = SIGSYS, .code = 1 /* SYS_SECCOMP */, .err = (int32_t)data};

	info.sys.call_addr = task_regs(t, false)->rip;
	info.sys.syscall = (int32_t)nr;
	info.sys.arch = AUDIT_ARCH_X86_64_;
	signal_force(t, SIGSYS, &info);
}

static int trace(struct task *t, uint32_t verdict, int64_t *ret)
{
	if (!ptrace_event_enabled(t, PTRACE_EVENT_SECCOMP_)) {
		*ret = -ENOSYS;
		return 1;
	}
	t->syscall_op = 3;	/* PTRACE_SYSCALL_INFO_SECCOMP */
	ptrace_event(t, PTRACE_EVENT_SECCOMP_, verdict & SECCOMP_RET_DATA);
	t->syscall_op = 0;
	if (kill_pending(t))
		return -1;
	if ((int64_t)t->regs.orig_rax < 0) {
		*ret = (int64_t)t->regs.rax;
		return 1;
	}
	return 0;
}

int seccomp_check(struct task *t, uint32_t nr, const uint64_t *args, int64_t *ret)
{
	struct seccomp_data d = {.nr = (int)nr, .arch = AUDIT_ARCH_X86_64_};
	struct seccomp_filter *chain = t->seccomp, *match = NULL;
	uint32_t v;

	if (t->seccomp_mode == SECCOMP_MODE_STRICT) {
		if (nr == NR_read || nr == NR_write || nr == NR_exit || nr == NR_rt_sigreturn)
			return 0;
		task_exit_self(t, SIGKILL);
		return -1;
	}
	d.instruction_pointer = task_regs(t, false)->rip;
	for (int i = 0; i < 6; i++)
		d.args[i] = args[i];
	v = evaluate(chain, &d, &match);
	switch (v & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG:
		return 0;
	case SECCOMP_RET_ERRNO:
		*ret = -(int64_t)min(v & SECCOMP_RET_DATA, 4095u);
		return 1;
	case SECCOMP_RET_TRAP:
		*ret = (int64_t)nr;	/* rax holds the number, as Linux rolls back */
		task_regs(t, true)->rax = nr;
		send_sigsys(t, nr, v & SECCOMP_RET_DATA);
		return 1;
	case SECCOMP_RET_TRACE:
		return trace(t, v, ret);
	case SECCOMP_RET_USER_NOTIF:
		*ret = -ENOSYS;
		return match && match->listener ? seccomp_notify(t, match->listener, &d, ret) : 1;
	case SECCOMP_RET_KILL_THREAD:
		if (t->proc->nr_threads > 1) {
			task_exit_self(t, SIGSYS);
			return -1;
		}
		__attribute__((fallthrough));
	case SECCOMP_RET_KILL_PROCESS:
	default:
		process_exit_group(t, SIGSYS);
		return -1;
	}
}
