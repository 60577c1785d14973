/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/file.h"
#include "host/proc.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"
#include "sandbox/spawn.h"
#include "sandbox/stage.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#endif

/* Runs fn in a child; what it returns (0 to 255) comes back, or -1. */
static int in_child(int (*fn)(void), unsigned clone_flags)
{
	int status;
	int pid = h_clone_process(clone_flags, NULL);
	if (pid == 0)
		_exit(fn());
	if (pid < 0)
		return pid;
	while (waitpid(pid, &status, __WALL) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

static int new_listener(unsigned long more)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog prog = {array_size(allow), allow};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	return h_seccomp(SECCOMP_SET_MODE_FILTER,
			 (unsigned)(SECCOMP_FILTER_FLAG_NEW_LISTENER | more), &prog);
}

static int try_listener(void)
{
	int rc = new_listener(0);
	return rc < 0 ? -rc : 0;
}

static int try_killable(void)
{
	int rc = new_listener(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	return rc < 0 ? -rc : 0;
}

static int try_sync(void)
{
	int hfd = new_listener(0);
	return hfd >= 0 && ioctl(hfd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1ul) == 0 ? 0 : 1;
}

static bool kernel_at_least(int major, int minor)
{
	struct utsname u;
	int a = 0, b = 0;
	if (uname(&u) != 0 || sscanf(u.release, "%d.%d", &a, &b) != 2)
		return false;
	return a > major || (a == major && b >= minor);
}

static void probe_kernel(struct probe *p)
{
	struct utsname u;
	p->name = "kernel";
	p->need = PROBE_REQUIRED;
	p->enforces = "SECCOMP_USER_NOTIF with CONTINUE and ADDFD";
	p->remedy = "run a kernel of 5.9 or later";
	p->ok = kernel_at_least(5, 9);
	if (uname(&u) == 0)
		snprintf(p->detail, sizeof(p->detail), "%.100s", u.release);
}

static void probe_notif(struct probe *p)
{
	int err = in_child(try_listener, 0);
	p->name = "seccomp-notify";
	p->need = PROBE_REQUIRED;
	p->enforces = "the wall around guest code: its system calls never reach the host";
	p->ok = err == 0;
	if (err == EBUSY)
		p->remedy = "an outer filter has a listener already: turn off system call interception "
			    "of the outer container (LXD security.syscalls.intercept.*, listenerPath)";
	else if (err == EINVAL)
		p->remedy = "this kernel (or gVisor) has no SECCOMP_FILTER_FLAG_NEW_LISTENER: run brig "
			    "on Linux 5.9 or later";
	else
		p->remedy = "allow seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER in the outer profile";
	snprintf(p->detail, sizeof(p->detail), "%s", err == 0 ? "available"
						 : err > 0   ? strerror(err)
							     : "cannot be tried");
}

static void probe_killable(struct probe *p)
{
	p->name = "notify-killable";
	p->need = PROBE_LAYER;
	p->enforces = "a signal cannot repeat a call that was already allowed";
	p->remedy = "run a kernel of 5.19 or later";
	p->ok = in_child(try_killable, 0) == 0;
}

static void probe_sync(struct probe *p, unsigned without)
{
	p->name = "notif-sync";
	p->need = PROBE_SPEED;
	p->enforces = "steady time of thread and process creation";
	p->remedy = "run a kernel of 6.6 or later";
	p->without = without & SB_NOTIF_SYNC;
	p->ok = in_child(try_sync, 0) == 0;
}

static void probe_landlock(struct probe *p, unsigned without)
{
	int abi = landlock_abi();
	p->name = "landlock";
	p->need = PROBE_LAYER;
	p->enforces = "an owned Sentry or Gofer can open no host file outside what it was given";
	p->remedy = "boot with landlock in the lsm= list (kernel 5.13 or later)";
	p->without = without & SB_LANDLOCK;
	p->ok = abi > 0;
	snprintf(p->detail, sizeof(p->detail), abi ? "ABI %d" : "not enabled", abi);
}

static int map_self(void)
{
	return stage_empty_root() == 0 ? 0 : 1;
}

static unsigned outer_uid, outer_gid;

static int map_and_root(void)
{
	if (stage_map_ids(outer_uid, outer_gid) != 0)
		return 2;
	return map_self();
}

static void probe_namespaces(struct probe *p, unsigned without)
{
	const unsigned ns = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS;
	int rc = -EPERM;
	const char *how = "without a user namespace";
	p->name = "userns";
	p->need = PROBE_LAYER;
	p->enforces = "no network devices, no other processes, an empty root for the Sentry and its cells";
	p->remedy = "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 "
		    "user.max_user_namespaces=10000 kernel.apparmor_restrict_unprivileged_userns=0";
	p->without = without & SB_USERNS;
	outer_uid = geteuid();
	outer_gid = getegid();
	if (outer_uid == 0)
		rc = in_child(map_self, ns);
	if (rc != 0) {
		how = "in a user namespace";
		rc = in_child(map_and_root, ns | CLONE_NEWUSER);
	}
	p->ok = rc == 0 || rc == 1;
	if (p->ok)
		snprintf(p->detail, sizeof(p->detail), "pid, net, ipc, uts, mount %s%s", how,
			 rc == 1 ? "; no empty root" : "");
	else
		snprintf(p->detail, sizeof(p->detail), "%s", rc < 0 ? strerror(-rc)
								    : "ids cannot be mapped");
}

static void probe_cgroup(struct probe *p, unsigned without)
{
	int version = 0;
	p->name = "cgroup";
	p->need = PROBE_LAYER;
	p->enforces = "-m exactly; without it brig samples and kills, with some overshoot";
	p->remedy = "run as root, or in a delegated cgroup: systemd-run --user --scope -p Delegate=yes";
	p->without = without & SB_CGROUP;
	p->ok = cgroup_available(&version);
	snprintf(p->detail, sizeof(p->detail), p->ok ? "version %d, memory can be limited"
						     : "no writable group", version);
}

static void probe_calls(struct probe *openat2, struct probe *clone3, unsigned without)
{
	openat2->name = "openat2";
	openat2->need = PROBE_SPEED;
	openat2->enforces = "names resolved beneath a directory in one call; else component by component";
	openat2->remedy = "run a kernel of 5.6 or later, or a newer outer seccomp profile";
	openat2->without = without & SB_OPENAT2;
	openat2->ok = h_openat2(-1, NULL, NULL, 0) == -EINVAL;
	clone3->name = "clone3";
	clone3->need = PROBE_INFO;
	clone3->enforces = "nothing: brig uses clone";
	clone3->remedy = "none is needed";
	clone3->without = without & SB_CLONE3;
	clone3->ok = h_clone3(NULL, 0) == -EINVAL;
}

static bool read_line(const char *path, char *text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return n > 0;
}

static void probe_cpu(struct probe *fsgs, struct probe *vdso, unsigned without)
{
	char source[64];
	fsgs->name = "fsgsbase";
	fsgs->need = PROBE_SPEED;
	fsgs->enforces = "the fast path of system calls; without it each takes a signal";
	fsgs->remedy = "a CPU with FSGSBASE and a kernel of 5.9 or later without nofsgsbase";
	fsgs->without = without & SB_FSGSBASE;
	fsgs->ok = getauxval(AT_HWCAP2) & 2;
	vdso->name = "vdso";
	vdso->need = PROBE_SPEED;
	vdso->enforces = "clock_gettime without a system call";
	vdso->remedy = "choose a clock source that the vDSO reads: clocksource=tsc";
	vdso->ok = getauxval(AT_SYSINFO_EHDR) != 0;
	if (read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
		      sizeof(source))) {
		if (strcmp(source, "tsc") != 0 && strcmp(source, "kvm-clock") != 0 &&
		    strncmp(source, "hyperv_clocksource_tsc", 22) != 0)
			vdso->ok = false;
		snprintf(vdso->detail, sizeof(vdso->detail), "clock source %s", source);
	}
}

static void probe_yama(struct probe *p)
{
	char text[32];
	p->name = "yama";
	p->need = PROBE_INFO;
	p->enforces = "nothing brig needs: it traces no process";
	p->remedy = "none is needed";
	p->ok = true;
	snprintf(p->detail, sizeof(p->detail), "%s%s",
		 read_line("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) ? "ptrace_scope "
										      : "not built in",
		 text);
}

static void probe_memory(struct probe *p)
{
	char text[32];
	p->name = "overcommit";
	p->need = PROBE_INFO;
	p->enforces = "large sparse mappings of guests (sanitizers, Go, the JVM)";
	p->remedy = "sysctl vm.overcommit_memory=0 (or 1)";
	p->ok = !read_line("/proc/sys/vm/overcommit_memory", text, sizeof(text)) || text[0] != '2';
	snprintf(p->detail, sizeof(p->detail), "vm.overcommit_memory %s", text);
}

static void probe_limits(struct probe *p)
{
	struct rlimit nofile = {0, 0}, nproc = {0, 0};
	char maps[32] = "";
	(void)getrlimit(RLIMIT_NOFILE, &nofile);
	(void)getrlimit(RLIMIT_NPROC, &nproc);
	(void)read_line("/proc/sys/vm/max_map_count", maps, sizeof(maps));
	p->name = "limits";
	p->need = PROBE_INFO;
	p->enforces = "how many files, threads and mappings a sandbox can have";
	p->remedy = "raise them: ulimit -Hn 4096 or more, ulimit -u 4096 or more";
	p->ok = nofile.rlim_max >= 1024 && nproc.rlim_cur >= 1024;
	snprintf(p->detail, sizeof(p->detail), "files %lld (hard), processes %lld, mappings %s",
		 (long long)nofile.rlim_max, (long long)nproc.rlim_cur, maps);
}

size_t probe_all(struct probe *p, unsigned without)
{
	size_t n = 0;
	memset(p, 0, sizeof(*p) * PROBE_MAX);
	probe_kernel(&p[n++]);
	probe_notif(&p[n++]);
	probe_killable(&p[n++]);
	probe_sync(&p[n++], without);
	probe_landlock(&p[n++], without);
	probe_namespaces(&p[n++], without);
	probe_cgroup(&p[n++], without);
	probe_calls(&p[n], &p[n + 1], without);
	n += 2;
	probe_cpu(&p[n], &p[n + 1], without);
	n += 2;
	probe_yama(&p[n++]);
	probe_memory(&p[n++]);
	probe_limits(&p[n++]);
	return n;
}
