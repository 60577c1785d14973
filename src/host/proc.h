/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host processes: ids, signals, limits, isolation. All return -errno. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "host/h_syscall.h"
#include "lib/compiler.h"

static inline int h_getpid(void)
{
	return (int)h_sys0(SYS_getpid);
}
static inline int h_getppid(void)
{
	return (int)h_sys0(SYS_getppid);
}
static inline int h_gettid(void)
{
	return (int)h_sys0(SYS_gettid);
}
static inline int h_getuid(void)
{
	return (int)h_sys0(SYS_getuid);
}
static inline int h_geteuid(void)
{
	return (int)h_sys0(SYS_geteuid);
}
static inline int h_getgid(void)
{
	return (int)h_sys0(SYS_getgid);
}
static inline must_check int h_kill(int pid, int sig)
{
	return (int)h_sys2(SYS_kill, pid, sig);
}
static inline must_check int h_tgkill(int tgid, int tid, int sig)
{
	return (int)h_sys3(SYS_tgkill, tgid, tid, sig);
}
static inline must_check int h_wait4(int pid, int *status, int options, struct rusage *ru)
{
	return (int)h_sys4(SYS_wait4, pid, status, options, ru);
}
static inline must_check int h_waitid(int type, int id, siginfo_t *info, int options,
			struct rusage *ru)
{
	return (int)h_sys5(SYS_waitid, type, id, info, options, ru);
}
static inline must_check int h_pidfd_open(int pid, unsigned flags)
{
	return (int)h_sys2(SYS_pidfd_open, pid, flags);
}
static inline must_check int h_pidfd_send_signal(int hfd, int sig, const siginfo_t *info,
			unsigned flags)
{
	return (int)h_sys4(SYS_pidfd_send_signal, hfd, sig, info, flags);
}
static inline must_check int h_prctl(int op, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return (int)h_sys5(SYS_prctl, op, a, b, c, d);
}
static inline must_check int h_seccomp(unsigned op, unsigned flags, const void *arg)
{
	return (int)h_sys3(SYS_seccomp, op, flags, arg);
}
static inline must_check int h_prlimit(int pid, int which, const struct rlimit *set,
			struct rlimit *old)
{
	return (int)h_sys4(SYS_prlimit64, pid, which, set, old);
}

/* No core dumps: a limit of 1 also stops handlers behind a pipe. Below a hard limit of 0 that cannot
 * be had (EPERM), and nothing is written either. */
static inline must_check int h_no_cores(void)
{
	const struct rlimit core = {1, 1};
	int rc = h_prlimit(0, RLIMIT_CORE, &core, NULL);

	return rc == -EPERM ? 0 : rc;
}
static inline must_check int h_sched_setaffinity(int tid, size_t n, const void *mask)
{
	return (int)h_sys3(SYS_sched_setaffinity, tid, n, mask);
}
static inline must_check int h_sched_getaffinity(int tid, size_t n, void *mask)
{
	return (int)h_sys3(SYS_sched_getaffinity, tid, n, mask);
}
static inline int h_sched_yield(void)
{
	return (int)h_sys0(SYS_sched_yield);
}
static inline must_check int h_setpriority(int which, int who, int prio)
{
	return (int)h_sys3(SYS_setpriority, which, who, prio);
}
static inline must_check int h_getrusage(int who, struct rusage *ru)
{
	return (int)h_sys2(SYS_getrusage, who, ru);
}
static inline must_check int h_setsid(void)
{
	return (int)h_sys0(SYS_setsid);
}
static inline must_check int h_setpgid(int pid, int pgid)
{
	return (int)h_sys2(SYS_setpgid, pid, pgid);
}
/* A new process, a copy of this one, with CLONE_NEW* flags; *pidfd when CLONE_PIDFD is among them. */
static inline must_check int h_clone_process(uint64_t flags, int *pidfd)
{
	return (int)h_sys5(SYS_clone, flags | SIGCHLD, NULL, pidfd, NULL, 0);
}
static inline must_check int h_clone3(const void *args, size_t n)
{
	return (int)h_sys2(SYS_clone3, args, n);
}
static inline must_check int h_unshare(int flags)
{
	return (int)h_sys1(SYS_unshare, flags);
}
static inline must_check int h_setns(int hfd, int type)
{
	return (int)h_sys2(SYS_setns, hfd, type);
}
static inline must_check int h_setresuid(unsigned r, unsigned e, unsigned s)
{
	return (int)h_sys3(SYS_setresuid, r, e, s);
}
static inline must_check int h_setresgid(unsigned r, unsigned e, unsigned s)
{
	return (int)h_sys3(SYS_setresgid, r, e, s);
}
static inline must_check int h_setgroups(size_t n, const unsigned *list)
{
	return (int)h_sys2(SYS_setgroups, n, list);
}
static inline must_check int h_getgroups(int n, unsigned *list)
{
	return (int)h_sys2(SYS_getgroups, n, list);
}
static inline must_check int h_capset(void *head, const void *data)
{
	return (int)h_sys2(SYS_capset, head, data);
}
static inline must_check int h_capget(void *head, void *data)
{
	return (int)h_sys2(SYS_capget, head, data);
}
static inline must_check int h_mount(const char *src, const char *dst, const char *type,
			uint64_t flags, const void *data)
{
	return (int)h_sys5(SYS_mount, src, dst, type, flags, data);
}
static inline must_check int h_umount(const char *dst, int flags)
{
	return (int)h_sys2(SYS_umount2, dst, flags);
}
static inline must_check int h_pivot_root(const char *root, const char *old)
{
	return (int)h_sys2(SYS_pivot_root, root, old);
}
static inline must_check int h_execve(const char *path, char *const *argv, char *const *envp)
{
	return (int)h_sys3(SYS_execve, path, argv, envp);
}
static inline must_check int h_execveat(int dirfd, const char *path, char *const *argv,
			char *const *envp, int flags)
{
	return (int)h_sys5(SYS_execveat, dirfd, path, argv, envp, flags);
}
static inline must_check int h_landlock_create_ruleset(const void *attr, size_t n, unsigned flags)
{
	return (int)h_sys3(SYS_landlock_create_ruleset, attr, n, flags);
}
static inline must_check int h_landlock_add_rule(int hfd, unsigned type, const void *attr,
			unsigned flags)
{
	return (int)h_sys4(SYS_landlock_add_rule, hfd, type, attr, flags);
}
static inline must_check int h_landlock_restrict_self(int hfd, unsigned flags)
{
	return (int)h_sys2(SYS_landlock_restrict_self, hfd, flags);
}
static inline must_check int64_t h_getrandom(void *p, size_t n, unsigned flags)
{
	return h_sys3(SYS_getrandom, p, n, flags);
}
static inline must_check int h_sigprocmask(int how, const uint64_t *set, uint64_t *old)
{
	return (int)h_sys4(SYS_rt_sigprocmask, how, set, old, 8);
}
static inline must_check int h_process_vm_readv(int pid, const void *l, size_t ln, const void *r,
			size_t rn)
{
	return (int)h_sys6x(SYS_process_vm_readv, pid, l, ln, r, rn, 0);
}

__attribute__((noreturn)) static inline void h_exit(int status)
{
	for (;;)
		(void)h_sys1(SYS_exit_group, status);
}
__attribute__((noreturn)) static inline void h_thread_exit(void)
{
	for (;;)
		(void)h_sys1(SYS_exit, 0);
}
