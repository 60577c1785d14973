/* SPDX-License-Identifier: Apache-2.0 */
/* The owner of a shared robust mutex is killed, execs or exits in one of four threads. */
#include "guest.h"
#include <pthread.h>

static pthread_mutex_t *m;
static int p[2], how;

static void *sleeps(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void *owner(void *arg)
{
	for (int i = 0; i < 3; i++)
		pthread_mutex_lock(&m[i]);
	write(p[1], "x", 1);
	if (how == 1)
		_exit(0);
	if (how == 2)
		execlp("true", "true", NULL);
	if (how == 3)
		*(volatile int *)8 = 1;
	return sleeps(NULL);
}

int main(void)
{
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < 3; i++)
		pthread_mutex_init(&m[i], &a);
	for (how = 0; how < 4; how++) {
		pipe(p);
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t t[4];
			for (int i = 0; i < 3; i++)
				pthread_create(&t[i], NULL, sleeps, NULL);
			/* exec changes the id of a thread that is not the first */
			if (how == 2)
				owner(NULL);
			pthread_create(&t[3], NULL, owner, NULL);
			sleeps(NULL);
		}
		char c;
		read(p[0], &c, 1);
		if (how == 0)
			kill(pid, SIGKILL);
		struct timespec ts;
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_sec += 2;
		for (int i = 0; i < 3; i++) {
			int r = pthread_mutex_timedlock(&m[i], &ts);
			printf("%d: %s\n", how, r ? strerrorname_np(r) : "0");
			if (r == EOWNERDEAD)
				pthread_mutex_consistent(&m[i]);
			if (r == 0 || r == EOWNERDEAD)
				pthread_mutex_unlock(&m[i]);
		}
		wait(NULL);
		close(p[0]);
		close(p[1]);
	}
	DONE();
}
