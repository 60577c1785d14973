/* SPDX-License-Identifier: Apache-2.0 */
/* SECCOMP_RET_USER_NOTIF: a supervisor answers calls, lets them go on, hands over descriptors. */
#include "guest.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

static int tell[2];

static int install(unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdir, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgrp, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_dup, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getegid, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog p = {sizeof(f) / sizeof(*f), f};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

static int child(void *arg)
{
	int fd = install(SECCOMP_FILTER_FLAG_NEW_LISTENER);
	printf("listener %d\n", fd >= 0);
	errno = 0;
	printf("second %d %s\n", install(SECCOMP_FILTER_FLAG_NEW_LISTENER), strerrorname_np(errno));
	fflush(stdout);
	CHECK(write(tell[1], &fd, sizeof(fd)) == sizeof(fd));
	printf("getppid %ld\n", syscall(SYS_getppid));
	SHOW(syscall(SYS_mkdir, "/nosuch/dir", 0700));
	printf("getpgrp %d\n", syscall(SYS_getpgrp) == getpgid(0));
	long d = syscall(SYS_dup, 99);
	char b[6] = "";
	printf("dup %d read %zd %s\n", d >= 0, pread((int)d, b, 5, 0), b);
	SHOW(syscall(SYS_getegid) >= 0);
	fflush(stdout);
	_exit(0);
	return arg != NULL;
}

static void answer(int fd, int i)
{
	struct seccomp_notif n = {0};
	struct seccomp_notif_resp r = {0};
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
	printf("call %d nr %d pid %d arg %llu\n", i, n.data.nr, n.pid > 0, i == 3 ? n.data.args[0] : 0);
	SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
	r.id = n.id;
	if (i == 0)
		r.val = 4711;
	else if (i == 1)
		r.error = -EDOM;
	else if (i == 2)
		r.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (i == 3) {
		struct seccomp_notif_addfd a = {.id = n.id, .flags = SECCOMP_ADDFD_FLAG_SEND};
		int m = memfd_create("m", 0);
		CHECK(write(m, "bytes", 5) == 5);
		a.srcfd = (uint32_t)m;
		int got = ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
		printf("addfd %d\n", got >= 0);
		close(m);
	} else {
		SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r));
		/* ENOENT or EINPROGRESS: has the caller taken its answer? */
		SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r) < 0);
	}
}

int main(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	struct seccomp_notif_sizes sz;
	uint32_t act = SECCOMP_RET_USER_NOTIF;
	int fd, st;
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sz));
	printf("sizes %d %d %d\n", sz.seccomp_notif, sz.seccomp_notif_resp, sz.seccomp_data);
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act));
	CHECK(pipe(tell) == 0);
	fflush(stdout);
	pid_t p = clone(child, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);
	CHECK(p > 0 && read(tell[0], &fd, sizeof(fd)) == sizeof(fd));
	for (int i = 0; i < 4; i++) {
		struct pollfd pf = {fd, POLLIN, 0};
		CHECK(poll(&pf, 1, 5000) == 1 && pf.revents == POLLIN);
		answer(fd, i);
	}
	close(fd);	/* nobody answers the last one */
	waitpid(p, &st, 0);
	printf("status %d\n", WEXITSTATUS(st));
	DONE();
}
