/* SPDX-License-Identifier: Apache-2.0 */
/* PIDFD_GET_INFO of a process that runs and of one that was waited for; and a namespace's init, which
 * its own children cannot kill and its parent can. */
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include "guest.h"

struct info {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
};
#define GET_INFO _IOWR(0xff, 11, struct info)

static void infos(void)
{
	struct info i = {.mask = 1};
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(1);
	}
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	SHOW(ioctl(fd, GET_INFO, &i));
	CHECK((i.mask & 3) == 3 && !(i.mask & 8));
	CHECK(i.pid == (uint32_t)pid && i.tgid == i.pid && i.ppid == (uint32_t)getpid());
	CHECK(i.ruid == getuid() && i.fsgid == getgid());
	SHOW(ioctl(fd, GET_INFO, NULL));
	SHOW(ioctl(fd, _IOWR(0xff, 11, uint64_t), &i));
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	i.mask = 1;
	SHOW(ioctl(fd, GET_INFO, &i));
	i.mask = 8;
	SHOW(ioctl(fd, GET_INFO, &i));
	printf("%lx %x\n", (unsigned long)i.mask, i.exit_code);
	close(fd);
}

static void child_of_init(void)
{
	SHOW(kill(1, SIGKILL));
	SHOW(kill(1, SIGTERM));
	fflush(stdout);
	_exit(0);
}

static void init_killed(void)
{
	struct clone_args a = {.flags = CLONE_NEWUSER | CLONE_NEWPID, .exit_signal = SIGCHLD};
	int st, p[2];
	char c;

	CHECK(!pipe(p));
	fflush(stdout);
	pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	if (!pid) {
		if (!fork())
			child_of_init();
		wait(NULL);
		write(p[1], "x", 1);
		sleep(20);
		_exit(1);
	}
	if (pid < 0) {		/* user namespaces are off on some hosts: nothing to compare */
		puts("none");
		return;
	}
	CHECK(read(p[0], &c, 1) == 1);
	SHOW(kill(pid, SIGTERM));
	usleep(20000);
	CHECK(waitpid(pid, &st, WNOHANG) == 0);
	SHOW(kill(pid, SIGKILL));
	CHECK(waitpid(pid, &st, 0) == pid);
	printf("%x\n", st);
}

int main(void)
{
	infos();
	init_killed();
	DONE();
}
