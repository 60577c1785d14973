/* SPDX-License-Identifier: Apache-2.0 */
/* Signal-driven I/O on pipes and sockets: F_SETOWN, F_SETSIG, O_ASYNC. */
#include <sys/socket.h>
#include "guest.h"

static volatile int signo, code, fd_of;

static void on_io(int sig, siginfo_t *si, void *u)
{
	code = si->si_code;
	fd_of = si->si_fd;
	signo = sig;
}

static void show(const char *what)
{
	for (int i = 0; i < 100 && !signo; i++)
		usleep(5000);
	printf("%s: signal %d code %x\n", what, signo, code);
	signo = code = 0;
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_io, .sa_flags = SA_SIGINFO};
	int p[2], s[2];

	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGIO, &sa, NULL);
	sigaction(SIGRTMIN + 1, &sa, NULL);
	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	SHOW(fcntl(p[0], F_SETFL, O_ASYNC));
	write(p[1], "a", 1);
	usleep(50000);
	printf("no owner: %d\n", signo);
	SHOW(fcntl(p[0], F_SETOWN, getpid()));
	CHECK(fcntl(p[0], F_GETOWN) == getpid());
	write(p[1], "a", 1);
	show("pipe");
	SHOW(fcntl(s[0], F_SETOWN, getpid()));
	SHOW(fcntl(s[0], F_SETSIG, SIGRTMIN + 1));
	SHOW(fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	printf("%x\n", fcntl(s[0], F_GETFL) & (O_ASYNC | O_NONBLOCK));
	write(s[1], "b", 1);
	for (int i = 0; i < 100 && !signo; i++)
		usleep(5000);
	printf("socket: %d %d\n", signo == SIGRTMIN + 1, fd_of == s[0]);
	SHOW(fcntl(s[0], F_SETFL, 0));
	SHOW(fcntl(p[0], F_SETFL, 0));
	signo = 0;
	write(p[1], "a", 1);
	write(s[1], "b", 1);
	usleep(50000);
	printf("off: %d\n", signo);
	DONE();
}
