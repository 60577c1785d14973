/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open, pidfd_getfd, pidfd_send_signal */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include "sentry/fs/pidfd/pidfd.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ns.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task.h"

#define PIDFD_SIGNAL_THREAD 1u
#define PIDFD_SIGNAL_THREAD_GROUP 2u
#define PIDFD_SIGNAL_PROCESS_GROUP 4u

int64_t sys_pidfd_open(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1);
	struct file *f;
	struct pid *pid;
	bool leader;
	int r;

	if (flags & ~(uint32_t)(O_NONBLOCK | O_EXCL))
		return -EINVAL;
	if (ARG_INT(0) <= 0)
		return -EINVAL;
	pid = pid_lookup(task_pid_ns(t), ARG_INT(0));
	if (!pid)
		return -ESRCH;
	mutex_lock(&tasks_lock);
	leader = pid_task(pid, flags & O_EXCL ? PIDTYPE_PID : PIDTYPE_TGID);
	r = leader ? 0 : pid_task(pid, PIDTYPE_PID) ? -ENOENT : -ESRCH;
	mutex_unlock(&tasks_lock);
	if (r == 0)
		r = pidfd_create(pid, flags, &f);
	pid_put(pid);
	return r ? r : fd_add(t, f, true);
}

/* The task behind a pidfd or, to take signals only, a directory /proc/PID; with a reference. */
static int pidfd_task(struct task *t, int fd, bool dirs, struct task **out)
{
	struct pid *pid;

	struct file *f = fd_get(t, fd);
	struct task *target = NULL;
	int r = 0;

	if (!f)
		return -EBADF;
	pid = pidfd_pid(f);
	if (!pid && dirs)
		pid = proc_dir_pid(f);
	if (!pid) {
		r = -EBADF;
	} else {
		mutex_lock(&tasks_lock);
		target = pid_task(pid, pid == pidfd_pid(f) && pidfd_is_thread(f) ? PIDTYPE_PID : PIDTYPE_TGID);
		if (target)
			task_get(target);
		mutex_unlock(&tasks_lock);
		r = target ? 0 : -ESRCH;
	}
	file_put(f);
	*out = target;
	return r;
}

int64_t sys_pidfd_getfd(struct task *t, const struct sysargs *a)
{
	struct file *f = NULL;
	struct task *target;
	struct files *fs;
	int r;

	if (ARG_U32(2))
		return -EINVAL;
	r = pidfd_task(t, ARG_INT(0), false, &target);
	if (r)
		return r;
	r = task_may_ptrace(t, target, PTRACE_MODE_ATTACH_ | PTRACE_MODE_REALCREDS_);
	fs = r ? NULL : task_files_get(target);
	if (r == 0 && !fs)
		r = -ESRCH;
	if (fs) {
		int fd = ARG_INT(1) < 0 ? -1 : fd_next(fs, ARG_INT(1), &f, NULL);

		if (fd != ARG_INT(1) || fd < 0) {
			if (f)
				file_put(f);
			r = -EBADF;
		}
		files_put(t, fs);
	}
	task_put(target);
	return r ? r : fd_add(t, f, true);
}

static int check_info(struct task *t, struct task *target, int sig, uaddr_t uinfo, struct l_siginfo *si)
{
	int r;

	if (!uinfo.v) {
		signal_info_user(si, sig, SI_USER, t, target);
		return 0;
	}
	r = copy_in(t, si, uinfo, sizeof(*si));
	if (r)
		return r;
	if (sig != si->signo)
		return -EINVAL;
	if (target->proc != t->proc && (si->code >= 0 || si->code == SI_TKILL))
		return -EPERM;
	return 0;
}

int64_t sys_pidfd_send_signal(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(3);
	int sig = ARG_INT(1), r;
	struct task *target;
	struct l_siginfo si = {0};

	if (flags && flags != PIDFD_SIGNAL_THREAD && flags != PIDFD_SIGNAL_THREAD_GROUP)
		return -EINVAL;
	r = pidfd_task(t, ARG_INT(0), true, &target);
	if (r)
		return r;
	if (sig < 0 || sig > L_NSIG)
		r = -EINVAL;
	if (r == 0)
		r = check_info(t, target, sig, ARG_UADDR(2), &si);
	if (r == 0)
		r = task_may_signal(t, target, sig);
	if (r == 0 && sig)
		r = signal_send(target, flags == PIDFD_SIGNAL_THREAD ? SEND_THREAD : SEND_PROCESS, sig, &si);
	task_put(target);
	return r;
}
