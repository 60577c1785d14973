/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* A storm of signals while processes and threads are made: none is lost, none is killed. */
#include "guest.h"
#include <pthread.h>
#include <sys/time.h>

static volatile long hits;

static void on(int sig)
{
	hits++;
}

static void *nothing(void *arg)
{
	return arg;
}

static void storm(int us)
{
	struct itimerval it = {{0, us}, {0, us}};
	setitimer(ITIMER_REAL, &it, NULL);
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGCHLD, &sa, NULL);
	storm(200);
	int lost = 0;
	for (int i = 0; i < 1000; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(i & 63);
		int st = -1;
		if (pid < 0 || waitpid(pid, &st, 0) != pid || st != (i & 63) << 8)
			lost++;
	}
	printf("processes lost %d\n", lost);
	for (int i = 0; i < 1000; i++) {
		pthread_t t;
		void *r = NULL;
		if (pthread_create(&t, NULL, nothing, (void *)(long)i) || pthread_join(t, &r) ||
		    (long)r != i)
			lost++;
	}
	printf("threads lost %d\n", lost);
	for (int i = 0; i < 200; i++) {
		pid_t pid = vfork();
		if (pid == 0)
			_exit(i & 63);
		int st = -1;
		if (pid < 0 || waitpid(pid, &st, 0) != pid || st != (i & 63) << 8)
			lost++;
	}
	storm(0);
	printf("vforks lost %d, signals %d\n", lost, hits > 100);
	DONE();
}
