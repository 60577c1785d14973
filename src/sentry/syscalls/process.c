/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: creation, exec, end, waiting. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include "abi/rusage.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/pidfd/pidfd.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/args.h"
#include "sentry/task/clone.h"
#include "sentry/task/ns.h"
#include "sentry/task/rusage.h"
#include "sentry/task/wait.h"

#define CLONE_INTO_CGROUP_ 0x200000000ull
#define CLONE_CLEAR_SIGHAND_ 0x100000000ull
#define CLONE3_SIZE_VER0 64
#define CLONE3_SIZE 88

int64_t sys_fork(struct task *t, const struct sysargs *a)
{
	struct clone_args_k k = {.exit_signal = SIGCHLD};

	(void)a;
	return task_clone(t, &k);
}

int64_t sys_vfork(struct task *t, const struct sysargs *a)
{
	struct clone_args_k k = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};

	(void)a;
	return task_clone(t, &k);
}

int64_t sys_clone(struct task *t, const struct sysargs *a)
{
	struct clone_args_k k = {
		.flags = (uint32_t)a->a[0] & ~(uint32_t)CSIGNAL,
		.exit_signal = (int32_t)(a->a[0] & CSIGNAL),
		.open_pidfd = pidfd_create,
		.stack = a->a[1],
		.parent_tid = a->a[2],
		.pidfd = a->a[2],
		.child_tid = a->a[3],
		.tls = a->a[4],
	};

	if ((k.flags & CLONE_PIDFD) && (k.flags & CLONE_PARENT_SETTID))
		return -EINVAL;
	return task_clone(t, &k);
}

struct l_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

/* A struct that grew over time: what lies beyond the known part must be zero. */
static int copy_struct(struct task *t, void *dst, size_t known, uint64_t src, uint64_t size)
{
	uint8_t rest[64];

	if (size > PAGE_SIZE)
		return -E2BIG;
	for (uint64_t off = known; off < size;) {
		size_t n = min(size - off, (uint64_t)sizeof(rest));
		int rc = copy_in(t, rest, UADDR(src + off), n);

		if (rc)
			return rc;
		for (size_t i = 0; i < n; i++)
			if (rest[i])
				return -E2BIG;
		off += n;
	}
	__builtin_memset(dst, 0, known);
	return copy_in(t, dst, UADDR(src), min(size, (uint64_t)known));
}

static int copy_set_tid(struct task *t, const struct l_clone_args *c, struct clone_args_k *k)
{
	uint64_t n = c->set_tid_size;

	if (n > PID_LEVELS || (n && !c->set_tid) || (!n && c->set_tid))
		return -EINVAL;
	if (!n)
		return 0;
	if (n > t->ns->pid_for_children->level + 1)
		return -EINVAL;
	if (!cred_ns_capable(t->cred, t->ns->pid_for_children->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	k->set_tid_n = (uint32_t)n;
	if (copy_in(t, k->set_tid, UADDR(c->set_tid), n * 4))
		return -EFAULT;
	for (uint64_t i = 0; i < n; i++)
		if (k->set_tid[i] <= 0)
			return -EINVAL;
	return 0;
}

int64_t sys_clone3(struct task *t, const struct sysargs *a)
{
	struct l_clone_args c;
	struct clone_args_k k = {0};
	int rc;

	if (a->a[1] < CLONE3_SIZE_VER0)
		return -EINVAL;
	rc = copy_struct(t, &c, sizeof(c), a->a[0], a->a[1]);
	if (rc)
		return rc;
	if (c.flags & ~(uint64_t)(0xffffffffu | CLONE_CLEAR_SIGHAND_ | CLONE_INTO_CGROUP_))
		return -EINVAL;
	if (c.flags & (CLONE_DETACHED | (CSIGNAL & ~0x80u)))
		return -EINVAL;
	if ((c.flags & (CLONE_THREAD | CLONE_PARENT)) && c.exit_signal)
		return -EINVAL;
	if (c.exit_signal & ~(uint64_t)CSIGNAL || c.exit_signal > L_NSIG)
		return -EINVAL;
	if ((!c.stack && c.stack_size) || (c.stack && !c.stack_size))
		return -EINVAL;
	if (c.flags & CLONE_INTO_CGROUP_)
		return -EOPNOTSUPP;
	k = (struct clone_args_k){.flags = c.flags, .stack = c.stack, .stack_size = c.stack_size,
				  .tls = c.tls, .parent_tid = c.parent_tid, .child_tid = c.child_tid,
				  .pidfd = c.pidfd, .exit_signal = (int32_t)c.exit_signal,
				  .open_pidfd = pidfd_create};
	rc = copy_set_tid(t, &c, &k);
	return rc ? rc : task_clone(t, &k);
}

/* --- exec ---------------------------------------------------------------------------------- */

static int64_t do_execve(struct task *t, int dirfd, uint64_t uname, uint64_t uargv, uint64_t uenvp, int flags)
{
	struct arg_vec argv = {0}, envp = {0};
	struct exec_args e = {.dirfd = dirfd};
	char *name = NULL, *execfn = NULL;
	int rc;

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	e.lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	rc = copy_in_path(t, UADDR(uname), flags & AT_EMPTY_PATH, &name);
	if (!rc)
		rc = arg_vec_copy_in(t, uargv, &argv);
	if (!rc)
		rc = arg_vec_copy_in(t, uenvp, &envp);
	if (!rc && !argv.n)
		rc = arg_vec_add(&argv, "");
	if (rc)
		goto out;
	e.name = name;
	e.argv = argv.v, e.argc = argv.n;
	e.envp = envp.v, e.envc = envp.n;
	if (dirfd != AT_FDCWD && name[0] != '/') {
		size_t n = __builtin_strlen(name) + 32;

		execfn = kmalloc(n);
		if (!execfn) {
			rc = -ENOMEM;
			goto out;
		}
		fmt_n(execfn, n, name[0] ? "/dev/fd/%d/%s" : "/dev/fd/%d", dirfd, name);
		e.execfn = execfn;
	}
	rc = task_exec(t, &e);
out:
	arg_vec_fini(&argv);
	arg_vec_fini(&envp);
	kfree(execfn);
	path_buf_free(name);
	return rc;
}

int64_t sys_execve(struct task *t, const struct sysargs *a)
{
	return do_execve(t, AT_FDCWD, a->a[0], a->a[1], a->a[2], 0);
}

int64_t sys_execveat(struct task *t, const struct sysargs *a)
{
	return do_execve(t, ARG_INT(0), a->a[1], a->a[2], a->a[3], ARG_INT(4));
}

/* --- the end ------------------------------------------------------------------------------- */

int64_t sys_exit(struct task *t, const struct sysargs *a)
{
	task_exit_self(t, (ARG_INT(0) & 0xff) << 8);
	return 0;
}

int64_t sys_exit_group(struct task *t, const struct sysargs *a)
{
	process_exit_group(t, (ARG_INT(0) & 0xff) << 8);
	return 0;
}

static struct l_timeval tv(uint64_t ns)
{
	return (struct l_timeval){(int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000 / 1000)};
}

static void fill_rusage(struct l_rusage *r, const struct rusage_sum *u)
{
	*r = (struct l_rusage){.utime = tv(u->utime), .stime = tv(u->stime),
			       .maxrss = (int64_t)(u->maxrss / 1024), .minflt = (int64_t)u->minflt,
			       .majflt = (int64_t)u->majflt, .inblock = (int64_t)u->inblock,
			       .oublock = (int64_t)u->oublock, .nvcsw = (int64_t)u->nvcsw,
			       .nivcsw = (int64_t)u->nivcsw};
}

int64_t sys_wait4(struct task *t, const struct sysargs *a)
{
	int32_t id = ARG_INT(0);
	struct wait_opts o = {.flags = ARG_INT(2)};
	struct l_rusage ru;
	int64_t rc;

	if ((uint32_t)o.flags & ~(uint32_t)(WNOHANG | WUNTRACED | WCONTINUED | 0xe0000000u))
		return -EINVAL;
	if (id == INT32_MIN)
		return -ESRCH;
	o.flags |= WEXITED;
	if (id > 0) {
		o.who = WAIT_PID;
		o.pid = pid_lookup(task_pid_ns(t), id);
	} else if (id < -1) {
		o.who = WAIT_PGRP;
		o.pid = pid_lookup(task_pid_ns(t), -id);
	} else if (id == 0) {
		o.who = WAIT_PGRP;
		mutex_lock(&tasks_lock);
		o.pid = pid_get(t->proc->pgrp);
		mutex_unlock(&tasks_lock);
	}
	if (o.who != WAIT_ALL && !o.pid)
		return -ECHILD;
	rc = task_wait(t, &o);
	pid_put(o.pid);
	if (rc <= 0)
		return rc;
	if (a->a[1] && put_user(t, UADDR(a->a[1]), o.wstatus))
		return -EFAULT;
	if (a->a[3]) {
		fill_rusage(&ru, &o.usage);
		if (put_user(t, UADDR(a->a[3]), ru))
			return -EFAULT;
	}
	return rc;
}

static int waitid_who(struct task *t, const struct sysargs *a, struct wait_opts *o)
{
	int type = ARG_INT(0), id = ARG_INT(1);
	struct file *f;

	switch (type) {
	case P_ALL:
		return 0;
	case P_PID:
		if (id <= 0)
			return -EINVAL;
		o->who = WAIT_PID;
		o->pid = pid_lookup(task_pid_ns(t), id);
		break;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		o->who = WAIT_PGRP;
		mutex_lock(&tasks_lock);
		o->pid = id ? NULL : pid_get(t->proc->pgrp);
		mutex_unlock(&tasks_lock);
		if (id)
			o->pid = pid_lookup(task_pid_ns(t), id);
		break;
	case P_PIDFD:
		o->who = WAIT_PID;
		if (id < 0)
			return -EINVAL;
		f = fd_get(t, id);
		if (f && pidfd_pid(f)) {
			o->pid = pid_get(pidfd_pid(f));
			o->nonblock = f->flags & O_NONBLOCK;
		}
		file_put(f);
		return o->pid ? 0 : -EBADF;
	default:
		return -EINVAL;
	}
	return o->pid ? 0 : -ECHILD;
}

int64_t sys_waitid(struct task *t, const struct sysargs *a)
{
	struct wait_opts o = {.flags = ARG_INT(3)};
	struct l_siginfo info = {0};
	struct l_rusage ru;
	int64_t rc;

	if ((uint32_t)o.flags & ~(uint32_t)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | 0xe0000000u))
		return -EINVAL;
	if (!(o.flags & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	rc = waitid_who(t, a, &o);
	if (!rc) {
		bool nb = o.nonblock && !(o.flags & WNOHANG);

		if (nb)
			o.flags |= WNOHANG;
		rc = task_wait(t, &o);
		if (!rc && nb)
			rc = -EAGAIN;
	}
	pid_put(o.pid);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		info.signo = SIGCHLD;
		info.code = o.code;
		info.chld.pid = o.nr;
		info.chld.uid = o.uid;
		info.chld.status = o.status;
		if (a->a[4]) {
			fill_rusage(&ru, &o.usage);
			if (put_user(t, UADDR(a->a[4]), ru))
				return -EFAULT;
		}
	}
	/* Linux writes these fields only. */
	if (a->a[2] && copy_out(t, UADDR(a->a[2]), &info, offsetof(struct l_siginfo, chld.pad)))
		return -EFAULT;
	return 0;
}

int64_t sys_getrusage(struct task *t, const struct sysargs *a)
{
	struct rusage_sum u;
	struct l_rusage ru;

	switch (ARG_INT(0)) {
	case 0:		/* RUSAGE_SELF */
		process_usage(t->proc, &u);
		break;
	case -1:	/* RUSAGE_CHILDREN */
		mutex_lock(&tasks_lock);
		u = t->proc->dead_children;
		mutex_unlock(&tasks_lock);
		break;
	case 1:		/* RUSAGE_THREAD */
		task_usage(t, &u);
		break;
	default:
		return -EINVAL;
	}
	if (ARG_INT(0) >= 0 && t->mm)
		task_stat_try(t, t);
	if (ARG_INT(0) >= 0 && t->mm)
		u.maxrss = max(u.maxrss, mm_hiwater(t->mm));
	fill_rusage(&ru, &u);
	return put_user(t, UADDR(a->a[1]), ru);
}

/* --- ids ----------------------------------------------------------------------------------- */

int64_t sys_getpid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return task_tgid_nr(t, task_pid_ns(t));
}

int64_t sys_gettid(struct task *t, const struct sysargs *a)
{
	(void)a;
	return task_pid_nr(t, task_pid_ns(t));
}

int64_t sys_getppid(struct task *t, const struct sysargs *a)
{
	int64_t nr;

	(void)a;
	mutex_lock(&tasks_lock);
	nr = t->proc->parent ? pid_nr(t->proc->parent->tgid, task_pid_ns(t)) : 0;
	mutex_unlock(&tasks_lock);
	return nr;
}

int64_t sys_set_tid_address(struct task *t, const struct sysargs *a)
{
	t->clear_tid = a->a[0];
	return task_pid_nr(t, task_pid_ns(t));
}

int64_t sys_unshare(struct task *t, const struct sysargs *a)
{
	return task_unshare(t, a->a[0]);
}

int64_t sys_setns(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	int64_t rc;

	if (!f)
		return -EBADF;
	rc = task_setns(t, f, ARG_U32(1));
	file_put(f);
	return rc;
}
