/* SPDX-License-Identifier: Apache-2.0 */
/* Which blocked calls a handler interrupts, and which go on after it. */
#include "guest.h"
#include <poll.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>

static volatile int *hits;	/* shared with the feeder */
static int p[2], sv[2];

static void on(int sig)
{
	++*hits;
}

static void alarm_in(int ms)
{
	struct itimerval it = {.it_value = {0, ms * 1000}};
	setitimer(ITIMER_REAL, &it, NULL);
}

/* Feeds the blocked call some time after the signal, so that a restarted one can end. */
static pid_t feeder(void)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 400 && !*hits; i++)
			usleep(2500);
		usleep(80000);
		write(p[1], "x", 1);
		write(sv[1], "x", 1);
		_exit(7);
	}
	return pid;
}

#define TRY(call)                                                                                  \
	do {                                                                                       \
		*hits = 0;                                                                         \
		pid_t pid_ = feeder();                                                             \
		alarm_in(40);                                                                      \
		errno = 0;                                                                         \
		long r_ = (long)(call);                                                            \
		printf("%s = %ld %s, %d signals\n", #call, r_,                                     \
		       r_ < 0 ? strerrorname_np(errno) : "", *hits);                               \
		int st_;                                                                           \
		while (waitpid(pid_, &st_, 0) < 0 && errno == EINTR)                               \
			;                                                                          \
		char b_[8];                                                                        \
		recv(sv[0], b_, 8, MSG_DONTWAIT);                                                  \
		fcntl(p[0], F_SETFL, O_NONBLOCK);                                                  \
		while (read(p[0], b_, 8) > 0)                                                      \
			;                                                                          \
		fcntl(p[0], F_SETFL, 0);                                                           \
	} while (0)

static long do_wait(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		usleep(150000);
		_exit(3);
	}
	int st;
	long r = waitpid(pid, &st, 0);
	if (r < 0)
		return r;
	return WEXITSTATUS(st);
}

static long do_sleep(void)
{
	struct timespec ts = {0, 400000000}, rem = {0, 0};
	long r = nanosleep(&ts, &rem);
	int e = errno;
	if (r < 0)
		printf("left %s; ", rem.tv_nsec > 0 && rem.tv_nsec < 400000000 ? "right" : "wrong");
	errno = e;
	return r;
}

static long do_select(int ms)
{
	fd_set f;
	FD_ZERO(&f);
	FD_SET(p[0], &f);
	struct timeval tv = {0, ms * 1000};
	return select(p[0] + 1, &f, NULL, NULL, ms < 0 ? NULL : &tv);
}

static void run(int flags)
{
	char b[8];
	static int word;
	struct sigaction sa = {.sa_handler = on, .sa_flags = flags};
	sigaction(SIGALRM, &sa, NULL);
	printf("flags %s\n", flags ? "SA_RESTART" : "0");
	TRY(read(p[0], b, 8));
	TRY(recv(sv[0], b, 8, 0));
	TRY(do_wait());
	TRY(do_sleep());
	TRY(poll(&(struct pollfd){p[0], POLLIN, 0}, 1, -1));
	TRY(poll(&(struct pollfd){p[0], POLLIN, 0}, 1, 5000));
	TRY(do_select(-1));
	TRY(pause());
	int ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev);
	TRY(epoll_wait(ep, &ev, 1, -1));
	close(ep);
	TRY(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &(struct timespec){5, 0}));
	TRY(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &(struct timespec){5, 0}));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	TRY(read(p[0], b, 8));
	fcntl(p[0], F_SETFL, 0);
	struct timeval tv = {5, 0};
	setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	TRY(recv(sv[0], b, 8, 0));
	tv.tv_sec = 0;
	setsockopt(sv[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	struct timespec ts = {0, 400000000};
	TRY(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
}

int main(void)
{
	hits = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(hits != MAP_FAILED);
	CHECK(pipe(p) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == 0);
	run(0);
	run(SA_RESTART);
	/* an ignored signal or a stop interrupts nothing */
	signal(SIGALRM, SIG_IGN);
	char b[8];
	TRY(read(p[0], b, 8));
	DONE();
}
