/* SPDX-License-Identifier: Apache-2.0 */
/* Stops, continues, and what wait says about them. */
#include "guest.h"

static void show_status(pid_t pid, int options)
{
	int st = 0;
	pid_t r = waitpid(pid, &st, options);
	if (r <= 0) {
		printf("wait %d\n", r < 0 ? -errno : r);
		return;
	}
	if (WIFEXITED(st))
		printf("exited %d\n", WEXITSTATUS(st));
	else if (WIFSIGNALED(st))
		printf("signaled %d core %d\n", WTERMSIG(st), 0);
	else if (WIFSTOPPED(st))
		printf("stopped %d\n", WSTOPSIG(st));
	else if (WIFCONTINUED(st))
		printf("continued\n");
}

static volatile int conts;

static void on_cont(int sig)
{
	conts++;
}

static void info(int what)
{
	siginfo_t si = {0};
	int r = waitid(P_ALL, 0, &si, what);
	printf("waitid %d: signo %d code %d status %d\n", r < 0 ? -errno : r, si.si_signo, si.si_code,
	       si.si_status);
}

static char state_of(pid_t pid)
{
	char path[64], b[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	read(fd, b, sizeof(b) - 1);
	close(fd);
	char *p = strrchr(b, ')');
	return p ? p[2] : '?';
}

int main(void)
{
	int p[2];
	pipe(p);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGCONT, on_cont);
		write(p[1], "r", 1);
		while (!conts)
			pause();
		_exit(5);
	}
	char c;
	read(p[0], &c, 1);
	SHOW(kill(pid, SIGSTOP));
	show_status(pid, WUNTRACED);
	printf("state %c\n", state_of(pid));
	show_status(pid, WUNTRACED | WNOHANG);
	SHOW(kill(pid, SIGUSR2) || kill(pid, SIGSTOP));
	show_status(pid, WUNTRACED | WNOHANG);
	/* a stopped process dies of a fatal signal only when it continues, of SIGKILL at once */
	SHOW(kill(pid, SIGKILL));
	show_status(pid, 0);
	show_status(pid, 0);

	pid = fork();
	if (pid == 0) {
		/* a stop from the terminal does nothing in an orphaned group */
		setpgid(0, 0);
		signal(SIGCONT, on_cont);
		write(p[1], "r", 1);
		raise(SIGTSTP);
		_exit(conts ? 5 : 6);
	}
	read(p[0], &c, 1);
	info(WSTOPPED | WNOWAIT);
	info(WSTOPPED);
	kill(pid, SIGCONT);
	info(WCONTINUED);
	info(WEXITED | WNOWAIT);
	printf("state %c\n", state_of(pid));
	info(WEXITED);
	info(WEXITED);

	pid = fork();
	if (pid == 0) {
		signal(SIGTERM, SIG_DFL);
		for (;;)
			pause();
	}
	kill(pid, SIGSTOP);
	show_status(pid, WUNTRACED);
	kill(pid, SIGTERM);
	show_status(pid, WNOHANG);
	kill(pid, SIGCONT);
	show_status(pid, 0);

	/* a new group: signals to the group, wait by group */
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		if (fork() == 0)
			for (;;)
				pause();
		write(p[1], "r", 1);
		for (;;)
			pause();
	}
	read(p[0], &c, 1);
	SHOW(getpgid(pid) == pid);
	SHOW(waitpid(-pid, NULL, WNOHANG));
	SHOW(kill(-pid, SIGINT));
	show_status(-pid, 0);
	SHOW(kill(-1 << 20, SIGINT));
	SHOW(setpgid(pid, pid));
	SHOW(setpgid(0, 1 << 20));
	SHOW(setpgid(0, -1));
	SHOW(getpgid(1 << 22) < 0);
	/* sessions */
	pid = fork();
	if (pid == 0) {
		pid_t s = setsid();
		printf("%d %d %d\n", s == getpid(), getpgrp() == getpid(), getsid(0) == getpid());
		SHOW(setsid());
		SHOW(setpgid(0, 0));
		SHOW(open("/dev/tty", O_RDWR));
		fflush(stdout);
		_exit(0);
	}
	show_status(pid, 0);
	SHOW(waitid(P_ALL, 0, NULL, 0));
	SHOW(waitid(P_PID, 1 << 22, NULL, WEXITED));
	SHOW(waitpid(-1, NULL, 0x1000));
	DONE();
}
