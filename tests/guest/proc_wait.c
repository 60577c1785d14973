/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

static int value;

static pid_t child(int code)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(code);
	return pid;
}

static void *other_thread(void *arg)
{
	int st;
	SHOW(waitpid((pid_t)(long)arg, &st, 0) == (pid_t)(long)arg);
	printf("%x\n", st);
	return NULL;
}

static int cloned(void *arg)
{
	value++;
	return *(int *)arg;
}

static void *exits(void *arg)
{
	usleep(10000);
	exit(12);
}

static void *forks(void *arg)
{
	for (int i = 0; i < 25; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(i);
		int st = 0;
		if (waitpid(pid, &st, 0) != pid || WEXITSTATUS(st) != i)
			return (void *)1;
	}
	return NULL;
}

static pid_t clone3_(struct clone_args *a)
{
	return (pid_t)syscall(SYS_clone3, a, sizeof(*a));
}

int main(void)
{
	int st = 0, code = 33;
	SHOW(wait(&st));
	SHOW(waitpid(child(5), &st, 0) > 0);
	printf("%x\n", st);
	pid_t a = child(1);
	SHOW(waitpid(a, &st, __WALL) == a);
	a = child(2);
	siginfo_t si = {0};
	SHOW(waitid(P_PID, (id_t)a, &si, WEXITED | WNOWAIT));
	printf("%d %d %d %d\n", si.si_signo, si.si_code, si.si_status, si.si_pid == a);
	SHOW(waitpid(a, &st, WNOHANG) == a);
	SHOW(waitpid(a, &st, WNOHANG));
	a = child(0);
	SHOW(waitpid(a, (int *)8, 0));
	SHOW(waitpid(-12345678, &st, 0));
	/* any thread can wait for a child of another */
	a = child(77);
	pthread_t t, ts[4];
	pthread_create(&t, NULL, other_thread, (void *)(long)a);
	pthread_join(t, NULL);
	a = child(78);
	SHOW(waitpid(a, &st, __WNOTHREAD) == a);
	/* exit codes, exit by a thread, by the last thread */
	a = child(0x1234);
	waitpid(a, &st, 0);
	printf("%x\n", st);
	fflush(stdout);
	if ((a = fork()) == 0) {
		pthread_create(&t, NULL, exits, NULL);
		pause();
	}
	waitpid(a, &st, 0);
	printf("%x\n", st);
	if ((a = fork()) == 0) {
		pthread_create(&t, NULL, exits, NULL);
		pthread_exit(NULL);
	}
	waitpid(a, &st, 0);
	printf("%x\n", st);
	/* clone in its shapes */
	static char stack[65536] __attribute__((aligned(16)));
	a = clone(cloned, stack + sizeof(stack), SIGCHLD, &code);
	SHOW(waitpid(a, &st, 0) == a);
	printf("%x value %d\n", st, value);
	a = clone(cloned, stack + sizeof(stack), CLONE_VM | SIGCHLD, &code);
	SHOW(waitpid(a, &st, 0) == a);
	printf("%x value %d\n", st, value);
	a = clone(cloned, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &code);
	printf("value %d\n", value);
	SHOW(waitpid(a, &st, 0) == a);
	a = clone(cloned, stack + sizeof(stack), 0, &code);
	SHOW(waitpid(a, &st, 0));
	SHOW(waitpid(a, &st, __WCLONE) == a);
	SHOW(clone(cloned, stack + sizeof(stack), CLONE_THREAD | SIGCHLD, &code));
	SHOW(clone(cloned, stack + sizeof(stack), CLONE_SIGHAND | SIGCHLD, &code));
	pid_t tid = 0, ptid = 0;
	int pidfd = -1;
	struct clone_args ca = {.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_PIDFD,
				.exit_signal = SIGCHLD, .parent_tid = (uint64_t)&ptid,
				.child_tid = (uint64_t)&tid, .pidfd = (uint64_t)&pidfd};
	a = clone3_(&ca);
	if (a == 0)
		_exit(tid == gettid() ? 3 : 4);
	CHECK(ptid == a && tid == 0 && pidfd >= 0);
	SHOW(waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED));
	printf("%d\n", si.si_status);
	/* a signal may go by a directory of /proc, too */
	int dir = open("/proc/self", O_DIRECTORY), sub = open("/proc/self/fd", O_DIRECTORY);
	SHOW(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0));
	SHOW(syscall(SYS_pidfd_send_signal, sub, 0, NULL, 0));
	close(dir);
	close(sub);
	SHOW(fcntl(pidfd, F_GETFD));
	ca.flags = 1ull << 62;
	SHOW(clone3_(&ca));
	SHOW(syscall(SYS_clone3, &ca, 8));
	SHOW(syscall(SYS_clone3, 8, sizeof(ca)));
	ca = (struct clone_args){.exit_signal = 200};
	SHOW(clone3_(&ca));
	/* forks from several threads at once */
	for (int i = 0; i < 4; i++)
		pthread_create(&ts[i], NULL, forks, NULL);
	for (int i = 0; i < 4; i++) {
		void *r;
		pthread_join(ts[i], &r);
		CHECK(r == NULL);
	}
	/* vfork shares memory and blocks the parent */
	value = 0;
	a = vfork();
	if (a == 0) {
		value = 5;
		_exit(9);
	}
	waitpid(a, &st, 0);
	printf("%d %x\n", value, st);
	struct rlimit rl = {0, 0};
	getrlimit(RLIMIT_NPROC, &rl);
	SHOW(setrlimit(RLIMIT_NPROC, &rl));
	DONE();
}
