/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll, select, pselect6: results, timeouts, interruption, masks. */
#include <poll.h>
#include <sys/select.h>
#include "guest.h"

static volatile int alarms;

static void on_alarm(int sig)
{
	alarms++;
}

static long ms_since(struct timespec *t0)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec - t0->tv_sec) * 1000 + (t.tv_nsec - t0->tv_nsec) / 1000000;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	struct timespec t0, ts = {0, 50000000};
	struct timeval tv = {0, 0};
	sigset_t block, none;
	fd_set rd, wr;
	int p[2], q[2];

	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGALRM, &sa, NULL);
	CHECK(pipe(p) == 0 && pipe(q) == 0);
	struct pollfd f[4] = {{p[0], POLLIN, 99}, {-1, POLLIN, 99}, {400, POLLIN, 99}, {p[1], POLLOUT, 99}};
	SHOW(poll(f, 4, 1000));
	for (int i = 0; i < 4; i++)
		printf("%d %x %x\n", f[i].fd < 0, f[i].events, f[i].revents);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	SHOW(poll(f, 1, 60));
	CHECK(ms_since(&t0) >= 59 && ms_since(&t0) < 2000);
	write(p[1], "a", 1);
	SHOW(poll(f, 1, -1));
	printf("%x\n", f[0].revents);
	ualarm(20000, 0);
	SHOW(poll(NULL, 0, -1));
	printf("alarms %d\n", alarms);
	SHOW(ppoll(NULL, 0, &ts, NULL));
	ts.tv_nsec = 2000000000;
	SHOW(syscall(SYS_ppoll, NULL, 0, &ts, NULL, 8));
	SHOW(syscall(SYS_ppoll, NULL, 0, NULL, &block, 4));
	SHOW(poll(f, 1u << 30, 0));

	/* A blocked signal that a temporary mask lets in. */
	sigemptyset(&none), sigemptyset(&block), sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGALRM);
	SHOW(poll(f + 1, 1, 20));
	printf("alarms %d\n", alarms);
	SHOW(ppoll(f + 1, 1, NULL, &none));
	printf("alarms %d\n", alarms);
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	printf("blocked %d\n", sigismember(&now, SIGALRM));
	raise(SIGALRM);
	SHOW(pselect(0, NULL, NULL, NULL, NULL, &none));
	printf("alarms %d\n", alarms);

	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_SET(p[0], &rd);
	FD_SET(q[0], &rd);
	FD_SET(q[1], &wr);
	SHOW(select(q[1] + 1, &rd, &wr, NULL, &tv));
	printf("%d %d %d\n", FD_ISSET(p[0], &rd), FD_ISSET(q[0], &rd), FD_ISSET(q[1], &wr));
	FD_ZERO(&rd);
	FD_SET(q[0], &rd);
	tv = (struct timeval){0, 30000};
	SHOW(select(q[0] + 1, &rd, NULL, NULL, &tv));
	printf("%d %ld\n", FD_ISSET(q[0], &rd), (long)tv.tv_usec);
	FD_SET(20, &rd);
	SHOW(select(21, &rd, NULL, NULL, &tv));
	SHOW(select(-1, NULL, NULL, NULL, &tv));
	if (fork() == 0) {
		usleep(20000);
		write(q[1], "x", 1);
		_exit(0);
	}
	FD_ZERO(&rd);
	FD_SET(q[0], &rd);
	SHOW(select(q[0] + 1, &rd, NULL, NULL, NULL));
	wait(NULL);
	close(q[1]);
	read(q[0], &tv, 1);
	FD_ZERO(&rd);
	FD_SET(q[0], &rd);
	tv = (struct timeval){1, 0};
	SHOW(select(q[0] + 1, &rd, NULL, NULL, &tv));
	DONE();
}
