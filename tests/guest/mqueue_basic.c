/* SPDX-License-Identifier: Apache-2.0 */
/* guest: libs=-lrt */
/* POSIX message queues: order, limits, timeouts, notification, names. */
#include <mqueue.h>
#include <poll.h>
#include "guest.h"

static volatile int told;

static void on_msg(int sig, siginfo_t *si, void *u)
{
	told = si->si_code == SI_MESGQ ? si->si_value.sival_int : -1;
}

static int pipe_told[2];

static void on_thread(union sigval v)
{
	if (write(pipe_told[1], v.sival_ptr, 4) != 4)
		abort();
}

/* SIGEV_THREAD, which libc makes of a netlink socket; the second kind of end is without a word. */
static void by_thread(mqd_t q)
{
	static char word[] = "told";
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread,
			      .sigev_value.sival_ptr = word};
	char b[16] = "";

	SHOW(pipe(pipe_told));
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(q, &ev));
	SHOW(mq_send(q, "ping", 5, 0));
	SHOW(read(pipe_told[0], b, 4));
	printf("%s\n", b);
	SHOW(mq_receive(q, b, sizeof(b), NULL));
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(q, NULL));
	ev.sigev_signo = pipe_told[0];
	SHOW(syscall(SYS_mq_notify, q, &ev));
	ev.sigev_signo = -1;
	SHOW(syscall(SYS_mq_notify, q, &ev));
	ev.sigev_value.sival_ptr = (void *)8;
	SHOW(syscall(SYS_mq_notify, q, &ev));
}

int main(void)
{
	struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 16};
	struct timespec ts;
	unsigned prio;
	char b[16], n[32];
	mqd_t q, r;

	setvbuf(stdout, NULL, _IONBF, 0);
	snprintf(n, sizeof(n), "/brig-test-%d", getpid());
	SHOW(mq_open("/brig-absent", O_RDWR) == -1 ? errno : 0);
	SHOW(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL) == -1 ? errno : 0);
	q = mq_open(n, O_RDWR | O_CREAT | O_EXCL, 0600, &a);
	CHECK(q >= 0);
	SHOW(mq_open(n, O_RDWR | O_CREAT | O_EXCL, 0600, &a) == -1 ? errno : 0);
	r = mq_open(n, O_RDONLY);
	SHOW(mq_send(r, "x", 1, 0));
	SHOW(mq_send(q, "low", 4, 1));
	SHOW(mq_send(q, "high", 5, 9));
	SHOW(mq_send(q, "low2", 5, 1));
	struct pollfd p = {r, POLLIN | POLLOUT, 0};
	SHOW(poll(&p, 1, 0));
	printf("%x\n", p.revents);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	SHOW(mq_timedsend(q, "more", 5, 0, &ts));
	for (int i = 0; i < 3; i++) {
		SHOW(mq_receive(r, b, sizeof(b), &prio));
		printf("%s %u\n", b, prio);
	}
	SHOW(mq_timedreceive(r, b, sizeof(b), NULL, &ts));
	ts.tv_nsec = -1;
	SHOW(mq_timedreceive(r, b, sizeof(b), NULL, &ts));
	SHOW(mq_receive(r, b, 4, NULL));
	SHOW(mq_send(q, "0123456789abcdefg", 17, 0));
	struct sigaction sa = {.sa_sigaction = on_msg, .sa_flags = SA_SIGINFO};
	sigaction(SIGUSR1, &sa, NULL);
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(r, &ev));
	SHOW(mq_send(q, "ping", 5, 0));
	printf("told %d\n", told);
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(q, NULL));
	SHOW(mq_getattr(q, &a));
	printf("%ld %ld %ld %ld\n", a.mq_flags, a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
	SHOW(read(q, b, 10));
	SHOW(mq_receive(q, b, sizeof(b), NULL));
	if (fork() == 0) {
		usleep(20000);
		_exit(mq_send(q, "late", 5, 3) ? 1 : 0);
	}
	SHOW(mq_receive(q, b, sizeof(b), &prio));
	wait(NULL);
	by_thread(q);
	SHOW(mq_unlink(n));
	SHOW(mq_unlink(n));
	SHOW(mq_send(q, "still", 6, 0));
	DONE();
}
