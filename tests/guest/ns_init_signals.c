/* SPDX-License-Identifier: Apache-2.0 */
/* The init of a pid namespace: safe from its own and its children's signals, not from those above. */
#include "guest.h"
#include <sched.h>
#include <sys/prctl.h>

static void in_child(int (*fn)(void), const char *what)
{
	int st;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
			_exit(99);
		_exit(fn());
	}
	waitpid(pid, &st, 0);
	printf("%s: %x\n", what, st);
}

static int from_inside(void)
{
	int st = 0;
	pid_t init = fork();
	if (init == 0) {
		pid_t c = fork();
		if (c == 0) {
			kill(1, SIGKILL);
			kill(1, SIGTERM);
			kill(1, SIGSTOP);
			_exit(0);
		}
		waitpid(c, NULL, 0);
		kill(getpid(), SIGKILL);
		kill(getpid(), SIGUSR1);
		_exit(7);
	}
	waitpid(init, &st, 0);
	return WIFEXITED(st) ? WEXITSTATUS(st) : 90;
}

static pid_t sleeper(void)
{
	pid_t init = fork();
	if (init == 0) {
		for (;;)
			pause();
	}
	usleep(20000);
	return init;
}

static int from_above(void)
{
	int st = 0;
	pid_t init = sleeper();
	kill(init, SIGTERM);
	usleep(20000);
	if (waitpid(init, &st, WNOHANG) != 0)
		return 91;
	kill(init, SIGSTOP);
	if (waitpid(init, &st, WUNTRACED) != init || !WIFSTOPPED(st))
		return 92;
	kill(init, SIGKILL);
	waitpid(init, &st, 0);
	return WIFSIGNALED(st) ? WTERMSIG(st) : 93;
}

static int parent_dies(void)
{
	int p[2];
	char c;
	if (pipe(p))
		return 94;
	pid_t mid = fork();	/* the first child: init */
	if (mid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(p[1]);
	if (read(p[0], &c, 1) != 1)
		return 95;
	fcntl(p[0], F_SETFD, 0);
	if (fork() == 0)	/* in the namespace too: ends with its init */
		for (;;)
			pause();
	return 0;
}

int main(void)
{
	int st;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	in_child(from_inside, "from inside");
	in_child(from_above, "from above");
	in_child(parent_dies, "its parent dies");
	for (int n = 0; waitpid(-1, &st, 0) > 0; n++)
		printf("orphan: %x\n", st);
	return 0;
}
