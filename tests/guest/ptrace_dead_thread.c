/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process whose traced thread is dead and not yet waited for has not ended for its parent; it has
 * when the tracer, another process, is gone.
 */
#include "guest.h"
#include <pthread.h>
#include <sys/ptrace.h>

static volatile int children;

static void on_child(int sig)
{
	children++;
}

static void *thread(void *tid)
{
	*(volatile pid_t *)tid = (pid_t)syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

static pid_t with_thread(volatile pid_t *tid)
{
	pid_t pid = fork();
	pthread_t t;
	if (pid == 0) {
		pthread_create(&t, NULL, thread, (void *)tid);
		for (;;)
			pause();
	}
	while (!*tid)
		usleep(1000);
	return pid;
}

static pid_t tracer_of(pid_t tid, volatile int *step, bool wait)
{
	pid_t pid = fork();
	if (pid == 0) {
		step[0] = ptrace(PTRACE_SEIZE, tid, 0, 0) == 0 ? 1 : -1;
		while (step[0] < 2)
			usleep(1000);
		if (wait)
			printf("tracer sees the thread: %d\n", waitpid(tid, NULL, __WALL) == tid);
		_exit(0);
	}
	while (!step[0])
		usleep(1000);
	return pid;
}

static void round_of(bool wait)
{
	volatile int *shared = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = with_thread(&shared[1]);
	pid_t tracer = tracer_of(shared[1], shared, wait);
	int st = 0, st2 = 0;
	printf("attached: %d\n", shared[0]);
	fflush(stdout);
	kill(pid, SIGKILL);
	usleep(100000);
	printf("while traced: %d, told %d\n", waitpid(pid, &st, WNOHANG), children);
	fflush(stdout);
	shared[0] = 2;
	while (waitpid(pid, &st, 0) < 0)
		;
	while (waitpid(tracer, &st2, 0) < 0)
		;
	printf("ended: %x, tracer %x, told %d\n", st, st2, children > 0);
	children = 0;
	munmap((void *)shared, 4096);
}

int main(void)
{
	signal(SIGCHLD, on_child);
	round_of(false);
	round_of(true);
	return 0;
}
