/* SPDX-License-Identifier: Apache-2.0 */
/* epoll: level, edge, oneshot, exclusive, nesting, errors, removal by close. */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "guest.h"

static int ep;

static int ctl(int op, int fd, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u32 = (uint32_t)fd * 7};

	return epoll_ctl(ep, op, fd, &ev);
}

static void show_wait(const char *what, int timeout)
{
	struct epoll_event ev[8];
	int n = epoll_wait(ep, ev, 8, timeout);

	printf("%s: %d", what, n);
	for (int i = 0; i < n; i++)
		printf(" %x", ev[i].events);
	printf("\n");
}

static void modes(int r, int w)
{
	char c;

	SHOW(ctl(EPOLL_CTL_ADD, r, EPOLLIN));
	SHOW(ctl(EPOLL_CTL_ADD, r, EPOLLIN));
	show_wait("empty", 10);
	write(w, "a", 1);
	show_wait("level", -1);
	show_wait("level again", 0);
	SHOW(ctl(EPOLL_CTL_MOD, r, EPOLLIN | EPOLLET));
	show_wait("edge", 0);
	show_wait("edge again", 0);
	write(w, "b", 1);
	show_wait("edge after write", 0);
	show_wait("edge again", 0);
	SHOW(ctl(EPOLL_CTL_MOD, r, EPOLLIN | EPOLLONESHOT));
	show_wait("oneshot", 0);
	write(w, "c", 1);
	show_wait("oneshot again", 0);
	SHOW(ctl(EPOLL_CTL_MOD, r, EPOLLIN | EPOLLONESHOT));
	show_wait("oneshot rearmed", 0);
	while (read(r, &c, 1) == 1)
		;
	SHOW(ctl(EPOLL_CTL_MOD, r, EPOLLIN));
	show_wait("drained", 0);
	SHOW(ctl(EPOLL_CTL_DEL, r, 0));
	SHOW(ctl(EPOLL_CTL_DEL, r, 0));
	SHOW(ctl(EPOLL_CTL_MOD, r, 0));
}

static void errors(int r)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct epoll_event *volatile bad = (void *)8;
	int file = open("plain", O_CREAT | O_RDWR, 0600), d = dup(r);

	SHOW(ctl(EPOLL_CTL_ADD, file, EPOLLIN));
	SHOW(ctl(EPOLL_CTL_ADD, 900, EPOLLIN));
	SHOW(ctl(EPOLL_CTL_ADD, ep, EPOLLIN));
	SHOW(ctl(99, r, EPOLLIN));
	SHOW(epoll_ctl(r, EPOLL_CTL_ADD, d, &ev));
	SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, r, bad));
	SHOW(epoll_wait(ep, &ev, 0, 0));
	SHOW(epoll_wait(ep, bad, 1, 0));
	SHOW(epoll_wait(r, &ev, 1, 0));
	SHOW(syscall(SYS_epoll_create, 0));
	SHOW(epoll_create1(77));
	SHOW(ctl(EPOLL_CTL_ADD, r, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT));
	SHOW(ctl(EPOLL_CTL_ADD, r, EPOLLIN | EPOLLEXCLUSIVE));
	SHOW(ctl(EPOLL_CTL_MOD, r, EPOLLIN));
	SHOW(ctl(EPOLL_CTL_DEL, r, 0));
}

static void nesting(int r, int w)
{
	int inner = epoll_create1(0), chain[8], last = -1, i;
	struct epoll_event ev = {.events = EPOLLIN};
	char c;

	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, r, &ev));
	SHOW(ctl(EPOLL_CTL_ADD, inner, EPOLLIN));
	SHOW(epoll_ctl(inner, EPOLL_CTL_ADD, ep, &ev));
	show_wait("nested, nothing", 0);
	write(w, "n", 1);
	show_wait("nested", 0);
	read(r, &c, 1);
	show_wait("nested, drained", 0);
	close(inner);
	show_wait("nested, closed", 0);
	for (i = 0; i < 8; i++) {
		chain[i] = epoll_create1(0);
		if (i && epoll_ctl(chain[i], EPOLL_CTL_ADD, chain[i - 1], &ev) < 0) {
			last = i;
			printf("chain: %s\n", strerrorname_np(errno));
			break;
		}
	}
	printf("chain of %d\n", last);
	while (i >= 0)
		close(chain[i--]);
}

static void sockets(void)
{
	int s[2];

	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SHOW(ctl(EPOLL_CTL_ADD, s[0], EPOLLIN | EPOLLOUT | EPOLLRDHUP));
	show_wait("socket", 0);
	write(s[1], "x", 1);
	show_wait("readable", 0);
	shutdown(s[1], SHUT_WR);
	show_wait("half closed", 0);
	close(s[1]);
	show_wait("closed", 0);
	close(s[0]);
	show_wait("gone", 0);
}

/* Each event wakes one of the waiters, and all events arrive. */
static void waiters(void)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
	int e = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK), sum = 0, st;

	ep = epoll_create1(0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev) == 0);
	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			uint64_t v;
			int got = 0;

			while (epoll_wait(ep, &ev, 1, 300) == 1)
				while (read(e, &v, 8) == 8)
					got++;
			_exit(got);
		}
	for (int i = 0; i < 40; i++) {
		uint64_t one = 1;

		CHECK(write(e, &one, 8) == 8);
		usleep(1000);
	}
	while (wait(&st) > 0)
		sum += WEXITSTATUS(st);
	printf("events %d\n", sum);
}

int main(void)
{
	int p[2];

	setvbuf(stdout, NULL, _IONBF, 0);
	CHECK(pipe2(p, O_NONBLOCK) == 0);
	ep = epoll_create1(EPOLL_CLOEXEC);
	CHECK(ep >= 0);
	modes(p[0], p[1]);
	errors(p[0]);
	nesting(p[0], p[1]);
	sockets();
	waiters();
	DONE();
}
