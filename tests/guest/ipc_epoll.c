/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/signalfd.h>

static int ctl(int ep, int op, int fd, uint32_t ev, int data)
{
	struct epoll_event e = {.events = ev, .data.u32 = (uint32_t)data};
	return epoll_ctl(ep, op, fd, &e);
}

static void show(int ep, int ms)
{
	struct epoll_event e[8];
	int n = epoll_wait(ep, e, 8, ms);
	printf("%d:", n);
	unsigned bits = 0;
	for (int i = 0; i < n; i++) {
		printf(" %d/%x", e[i].data.u32, e[i].events);
		bits |= 1u << e[i].data.u32;
	}
	printf("\n");
}

static void *later(void *arg)
{
	usleep(20000);
	uint64_t one = 1;
	write((int)(long)arg, &one, 8);
	return NULL;
}

int main(void)
{
	int p[2], ep = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_NONBLOCK);
	uint64_t v;
	char b[16];
	pipe2(p, O_NONBLOCK);
	SHOW(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
	SHOW(ctl(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1));
	SHOW(ctl(ep, EPOLL_CTL_MOD, p[1], EPOLLIN, 1));
	SHOW(ctl(ep, EPOLL_CTL_DEL, p[1], 0, 1));
	SHOW(ctl(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 1));
	SHOW(ctl(ep, EPOLL_CTL_ADD, 99, EPOLLIN, 1));
	SHOW(ctl(p[0], EPOLL_CTL_ADD, p[1], EPOLLIN, 1));
	SHOW(ctl(ep, 9, p[1], EPOLLIN, 1));
	int file = open("f", O_CREAT | O_RDWR, 0644);
	SHOW(ctl(ep, EPOLL_CTL_ADD, file, EPOLLIN, 1));
	show(ep, 0);
	write(p[1], "x", 1);
	show(ep, 0);
	show(ep, -1);
	read(p[0], b, 1);
	show(ep, 0);
	/* edge triggered: once for each write */
	SHOW(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 2));
	write(p[1], "x", 1);
	show(ep, 0);
	show(ep, 0);
	write(p[1], "x", 1);
	show(ep, 0);
	/* one shot */
	SHOW(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3));
	show(ep, 0);
	show(ep, 0);
	SHOW(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 3));
	show(ep, 0);
	/* more than one source, fair order when few are asked for */
	SHOW(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN | EPOLLOUT, 4));
	show(ep, 0);
	v = 5;
	SHOW(write(ev, &v, 8));
	show(ep, 0);
	SHOW(read(ev, &v, 8));
	printf("%llu\n", (unsigned long long)v);
	SHOW(read(ev, &v, 8));
	v = ~0ull;
	SHOW(write(ev, &v, 8));
	v = ~0ull - 1;
	SHOW(write(ev, &v, 8));
	show(ep, 0);
	v = 1;
	SHOW(write(ev, &v, 8));
	SHOW(read(ev, &v, 4));
	read(ev, &v, 8);
	SHOW(ctl(ep, EPOLL_CTL_DEL, ev, 0, 0));
	/* nested, hang-up, a closed descriptor leaves */
	int outer = epoll_create1(0);
	SHOW(ctl(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLRDHUP, 5));
	SHOW(ctl(outer, EPOLL_CTL_ADD, ep, EPOLLIN, 6));
	SHOW(ctl(ep, EPOLL_CTL_ADD, outer, EPOLLIN, 7));
	show(outer, 0);
	while (read(p[0], b, 16) > 0)
		;
	show(outer, 0);
	close(p[1]);
	show(outer, 0);
	show(ep, 0);
	close(p[0]);
	show(ep, 0);
	/* woken from outside, by another thread */
	pthread_t t;
	SHOW(ctl(ep, EPOLL_CTL_ADD, ev, EPOLLIN, 8));
	pthread_create(&t, NULL, later, (void *)(long)ev);
	show(ep, 5000);
	pthread_join(t, NULL);
	read(ev, &v, 8);
	show(ep, 10);
	struct epoll_event e;
	SHOW(epoll_wait(ep, &e, 0, 0));
	SHOW(epoll_wait(ep, &e, -1, 0));
	SHOW(epoll_wait(ev, &e, 1, 0));
	SHOW(epoll_wait(99, &e, 1, 0));
	SHOW(epoll_create(0));
	SHOW(epoll_create1(77));
	/* semaphore eventfd */
	int sem = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	SHOW(read(sem, &v, 8));
	SHOW(read(sem, &v, 8));
	SHOW(read(sem, &v, 8));
	/* signalfd, and the mask of ppoll */
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	int sf = signalfd(-1, &s, SFD_NONBLOCK);
	SHOW(ctl(ep, EPOLL_CTL_ADD, sf, EPOLLIN, 9));
	struct signalfd_siginfo si;
	SHOW(read(sf, &si, sizeof(si)));
	kill(getpid(), SIGUSR1);
	show(ep, 0);
	SHOW(read(sf, &si, sizeof(si)));
	printf("%u %d %d\n", si.ssi_signo, si.ssi_code, si.ssi_pid == (uint32_t)getpid());
	show(ep, 0);
	/* what is left in a pipe after a read is no new edge */
	int pp[2];
	char page[4096];
	SHOW(pipe2(pp, O_NONBLOCK));
	SHOW(fcntl(pp[1], F_SETPIPE_SZ, 4096));
	ep = epoll_create1(0);
	SHOW(ctl(ep, EPOLL_CTL_ADD, pp[0], EPOLLIN | EPOLLET, 10));
	SHOW(ctl(ep, EPOLL_CTL_ADD, pp[1], EPOLLOUT | EPOLLET, 11));
	memset(page, 0, sizeof(page));
	SHOW(write(pp[1], page, sizeof(page)));
	show(ep, 0);
	SHOW(read(pp[0], page, 100));
	show(ep, 0);
	SHOW(read(pp[0], page, sizeof(page)));
	show(ep, 0);
	/* poll and select */
	struct pollfd pf[3] = {{ev, POLLOUT, 0}, {-1, POLLIN, 77}, {99, POLLIN, 0}};
	SHOW(poll(pf, 3, -1));
	printf("%x %x %x\n", pf[0].revents, pf[1].revents, pf[2].revents);
	SHOW(poll((struct pollfd *)8, 1, 0));
	fd_set r, w;
	FD_ZERO(&r);
	FD_ZERO(&w);
	FD_SET(ev, &r);
	FD_SET(ev, &w);
	struct timeval tv = {0, 1000};
	SHOW(select(ev + 1, &r, &w, NULL, &tv));
	printf("%d %d\n", FD_ISSET(ev, &r), FD_ISSET(ev, &w));
	/* below 64, the least size of a table: how far beyond it Linux looks hangs on the parent */
	FD_SET(62, &r);
	SHOW(select(63, &r, NULL, NULL, &tv));
	SHOW(select(-1, NULL, NULL, NULL, &tv));
	tv = (struct timeval){0, 5000};
	SHOW(select(0, NULL, NULL, NULL, &tv));
	printf("%ld\n", (long)tv.tv_usec);
	DONE();
}
