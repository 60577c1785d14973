/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process whose traced thread is dead and not yet waited for has not ended for its parent; it has
 * when the tracer, another process, is gone.
 */
#include "guest.h"
#include <pthread.h>
#include <sys/ptrace.h>

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

/* Not a child of ours: its end would wake us. */
static void start_tracer(pid_t tid, volatile int *step, bool wait)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (fork())
			_exit(0);
		step[0] = ptrace(PTRACE_SEIZE, tid, 0, 0) == 0 ? 1 : -1;
		while (step[0] < 2)
			usleep(1000);
		usleep(50000);
		/* told by memory: its words and its parent's would come in any order */
		step[2] = wait && waitpid(tid, NULL, __WALL) != tid ? -1 : 1;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	while (!step[0])
		usleep(1000);
}

static void round_of(bool wait)
{
	volatile int *shared = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = with_thread(&shared[1]);
	int st = 0;
	start_tracer(shared[1], shared, wait);
	printf("attached: %d\n", shared[0]);
	fflush(stdout);
	kill(pid, SIGKILL);
	usleep(100000);
	printf("while traced: %d\n", waitpid(pid, &st, WNOHANG));
	fflush(stdout);
	shared[0] = 2;
	waitpid(pid, &st, 0);
	while (!shared[2])
		usleep(1000);
	printf("ended: %x, tracer %d\n", st, shared[2]);
	munmap((void *)shared, 4096);
}

int main(void)
{
	round_of(false);
	round_of(true);
	return 0;
}
