/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

static volatile siginfo_t info;
static volatile int count;

static void on(int sig, siginfo_t *si, void *uc)
{
	info = *si;
	count++;
}

static pid_t child(int how)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		if (how < 100)
			_exit(how);
		raise(how - 100);
		_exit(0);
	}
	return pid;
}

static void show(pid_t pid)
{
	while (!count)
		usleep(1000);
	printf("sig %d code %d status %d pid %d\n", info.si_signo, info.si_code, info.si_status,
	       info.si_pid == pid);
	count = 0;
	int st;
	SHOW(waitpid(pid, &st, 0) == pid);
	printf("%x\n", st & ~0x80);
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
	sigaction(SIGCHLD, &sa, NULL);
	show(child(9));
	show(child(100 + SIGTERM));
	show(child(100 + SIGKILL));
	/* stops are told too, unless SA_NOCLDSTOP */
	pid_t pid = child(100 + SIGSTOP);
	while (!count)
		usleep(1000);
	printf("sig %d code %d status %d\n", info.si_signo, info.si_code, info.si_status);
	sa.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &sa, NULL);
	count = 0;
	kill(pid, SIGCONT);
	show(pid);
	pid = child(100 + SIGSTOP);
	int st;
	waitpid(pid, &st, WUNTRACED);
	printf("%d %d\n", WIFSTOPPED(st), count);
	kill(pid, SIGKILL);
	show(pid);
	/* SA_NOCLDWAIT and SIG_IGN: no zombies; wait blocks until all are gone */
	sa.sa_flags = SA_SIGINFO | SA_NOCLDWAIT | SA_RESTART;
	sigaction(SIGCHLD, &sa, NULL);
	child(1);
	child(2);
	SHOW(wait(NULL));
	printf("told %d\n", count > 0);
	signal(SIGCHLD, SIG_IGN);
	child(1);
	SHOW(wait(NULL));
	signal(SIGCHLD, SIG_DFL);
	/* orphans go to a subreaper */
	SHOW(syscall(SYS_prctl, 36, 1, 0, 0, 0));
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			usleep(30000);
			_exit(getppid() != 1 ? 44 : 45);
		}
		_exit(43);
	}
	for (int i = 0; i < 2; i++) {
		waitpid(-1, &st, 0);
		printf("%d\n", WEXITSTATUS(st));
	}
	SHOW(waitpid(-1, &st, 0));
	/* the parent's death signal */
	int p[2];
	pipe(p);
	if (fork() == 0) {
		if (fork() == 0) {
			syscall(SYS_prctl, 1, SIGKILL, 0, 0, 0);
			write(p[1], "r", 1);
			for (;;)
				pause();
		}
		char c;
		read(p[0], &c, 1);
		_exit(0);
	}
	for (int i = 0; i < 2; i++) {
		wait(&st);
		printf("%d %d\n", WIFSIGNALED(st), WIFSIGNALED(st) ? WTERMSIG(st) : WEXITSTATUS(st));
	}
	DONE();
}
