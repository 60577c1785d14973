/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/ns.h"

int64_t sys_ptrace(struct task *t, const struct sysargs *a)
{
	return ptrace_request(t, (int64_t)a->a[0], ARG_INT(1), a->a[2], a->a[3]);
}

/* kcmp: do two tasks share an object? Ordered by address, as Linux orders by a scrambled one. */
enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM };

static const void *kcmp_object(struct task *c, int type, int fd, struct file **held)
{
	struct files *fs;
	struct file *f = NULL;

	switch (type) {
	case KCMP_FILE:
		fs = task_files_get(c);
		if (fs && fd >= 0 && fd_next(fs, fd, &f, NULL) != fd) {
			if (f)
				file_put(f);
			f = NULL;
		}
		if (fs)
			files_put(c, fs);
		*held = f;
		return f;
	case KCMP_VM:
		return c->mm;
	case KCMP_FILES:
		return c->files;
	case KCMP_FS:
		return c->fs;
	case KCMP_SIGHAND:
		return c->proc->sighand;
	case KCMP_SYSVSEM:
		return c->proc->sem_undo;
	default:
		return NULL;
	}
}

int64_t sys_kcmp(struct task *t, const struct sysargs *a)
{
	struct task *x = task_lookup(task_pid_ns(t), ARG_INT(0)), *y = task_lookup(task_pid_ns(t), ARG_INT(1));
	struct file *fx = NULL, *fy = NULL;
	const void *ox, *oy;
	int64_t rc = -ESRCH;

	if (!x || !y)
		goto out;
	rc = -EPERM;
	if (task_may_ptrace(t, x, PTRACE_MODE_READ_ | PTRACE_MODE_REALCREDS_) ||
	    task_may_ptrace(t, y, PTRACE_MODE_READ_ | PTRACE_MODE_REALCREDS_))
		goto out;
	rc = -EINVAL;
	if (ARG_INT(2) > KCMP_SYSVSEM || ARG_INT(2) < 0)
		goto out;
	ox = kcmp_object(x, ARG_INT(2), (int)a->a[3], &fx);
	oy = kcmp_object(y, ARG_INT(2), (int)a->a[4], &fy);
	rc = -EBADF;
	if (ARG_INT(2) == KCMP_FILE && (!fx || !fy))
		goto out;
	rc = ox == oy ? 0 : ox < oy ? 1 : 2;
out:
	file_put(fx);
	file_put(fy);
	task_put(x);
	task_put(y);
	return rc;
}
