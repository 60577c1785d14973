/* SPDX-License-Identifier: Apache-2.0 */
/* A vfork child lives on when its parent's process ends, and dies alone when it crashes. */
#include "guest.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/time.h>

extern char **environ;
static volatile int alarms;

static void on(int sig)
{
	alarms++;
}

static void *exits_soon(void *arg)
{
	usleep(2000);
	_exit(3);
}

static void spawner(int fd, int how)
{
	char script[64];
	snprintf(script, sizeof(script), "sleep 0.05; echo survived >&%d", fd);
	char *argv[] = {(char *)"sh", (char *)"-c", script, NULL};
	pid_t pid;
	pthread_t t;
	if (how == 0)
		pthread_create(&t, NULL, exits_soon, NULL);
	posix_spawnp(&pid, "sh", NULL, NULL, argv, environ);
	if (how == 1)
		*(volatile int *)8 = 1;
	if (how == 2)
		raise(SIGKILL);
	pause();
}

int main(void)
{
	for (int how = 0; how < 3; how++) {
		int p[2], st;
		char b[64];
		pipe(p);
		fflush(stdout);
		pid_t pid = fork();
		if (pid == 0) {
			close(p[0]);
			spawner(p[1], how);
		}
		close(p[1]);
		waitpid(pid, &st, 0);
		ssize_t n = read(p[0], b, sizeof(b));
		printf("%x %zd %.*s", st & 0x7f7f, n, (int)(n > 0 ? n : 0), b);
		close(p[0]);
	}
	/* signals to the parent wait until the child is gone */
	signal(SIGALRM, on);
	struct itimerval it = {{0, 300}, {0, 300}};
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; i < 100; i++) {
		volatile int before = 0, during = 0;
		pid_t pid = vfork();
		if (pid == 0) {
			before = alarms;
			for (volatile int k = 0; k < 200000; k++)
				;
			during = alarms - before;
			_exit(0);
		}
		CHECK(during == 0);
		int st;
		while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
			;
		CHECK(st == 0);
	}
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK(alarms > 0);
	/* a crash in the child */
	pid_t pid = vfork();
	if (pid == 0) {
		*(volatile int *)8 = 1;
		_exit(0);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("%x\n", st & 0x7f);
	/* exec fails in the child; the parent's memory is as the child left it */
	volatile int left = 0;
	pid = vfork();
	if (pid == 0) {
		execl("/no/such/program", "x", NULL);
		left = errno;
		_exit(9);
	}
	waitpid(pid, &st, 0);
	printf("%s %x\n", strerrorname_np(left), st);
	DONE();
}
