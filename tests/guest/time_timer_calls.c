/* SPDX-License-Identifier: Apache-2.0 */
/* guest: libs=-lrt */
#include "guest.h"
#include <poll.h>
#include <sys/time.h>
#include <sys/timerfd.h>

static volatile int hits, code, value, overrun_seen;
static timer_t tid;

static void on(int sig, siginfo_t *si, void *uc)
{
	hits++;
	code = si->si_code;
	value = si->si_value.sival_int;
	if (si->si_code == SI_TIMER)
		overrun_seen += si->si_overrun;
}

static void spin_until(int n)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	time_t end = ts.tv_sec + 3;
	while (hits < n && ts.tv_sec < end)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

int main(void)
{
	int sigs[] = {SIGALRM, SIGVTALRM, SIGPROF, SIGUSR1};
	for (int i = 0; i < 4; i++) {
		struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
		sigaction(sigs[i], &sa, NULL);
	}
	/* interval timers */
	for (int which = 0; which < 3; which++) {
		struct itimerval it = {{0, 5000}, {0, 5000}}, old;
		hits = 0;
		SHOW(setitimer(which, &it, NULL));
		spin_until(4);
		printf("which %d hits %s code %d\n", which, hits >= 4 ? ">= 4" : "missing", code);
		SHOW(getitimer(which, &old));
		printf("interval %ld left %s\n", (long)old.it_interval.tv_usec,
		       old.it_value.tv_usec <= 9000 ? "right" : "wrong");
		memset(&it, 0, sizeof(it));
		SHOW(setitimer(which, &it, &old));
		SHOW(getitimer(which, &old));
		printf("%ld %ld\n", (long)old.it_value.tv_usec, (long)old.it_interval.tv_usec);
	}
	SHOW(setitimer(5, &(struct itimerval){0}, NULL));
	SHOW(setitimer(0, &(struct itimerval){{0, 0}, {0, 1000000}}, NULL));
	SHOW(alarm(100));
	SHOW(alarm(0));
	SHOW(alarm(0));
	/* POSIX timers */
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	ev.sigev_value.sival_int = 42;
	SHOW(timer_create(CLOCK_MONOTONIC, &ev, &tid));
	struct itimerspec its = {{0, 0}, {0, 5000000}}, cur;
	hits = 0;
	SHOW(timer_settime(tid, 0, &its, NULL));
	spin_until(1);
	printf("%d code %d value %d\n", hits, code, value);
	SHOW(timer_gettime(tid, &cur));
	printf("%ld %ld\n", (long)cur.it_value.tv_sec, cur.it_value.tv_nsec);
	/* blocked: expirations are counted as overrun */
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	its.it_interval.tv_nsec = 1000000;
	hits = overrun_seen = 0;
	SHOW(timer_settime(tid, 0, &its, NULL));
	usleep(60000);
	its = (struct itimerspec){{0, 0}, {0, 0}};
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	timer_settime(tid, 0, &its, &cur);
	printf("hits %s overrun %s\n", hits >= 1 && hits < 10 ? "few" : "many",
	       overrun_seen >= 30 && overrun_seen < 200 ? "right" : "wrong");
	SHOW(timer_getoverrun(tid) >= 0);
	its.it_value.tv_sec = 1;
	SHOW(timer_settime(tid, TIMER_ABSTIME, &its, NULL));
	spin_until(hits + 1);
	SHOW(timer_delete(tid));
	ev.sigev_notify = SIGEV_NONE;
	SHOW(timer_create(CLOCK_REALTIME, &ev, &tid));
	its = (struct itimerspec){{0, 0}, {100, 0}};
	SHOW(timer_settime(tid, 0, &its, NULL));
	SHOW(timer_gettime(tid, &cur));
	printf("%d\n", cur.it_value.tv_sec == 99 || cur.it_value.tv_sec == 100);
	SHOW(timer_delete(tid));
	ev.sigev_notify = 77;
	SHOW(timer_create(CLOCK_REALTIME, &ev, &tid));
	SHOW(timer_create(77, NULL, &tid));
	SHOW(syscall(SYS_timer_delete, 12345));
	SHOW(syscall(SYS_timer_settime, 12345, 0, &its, NULL));
	/* timerfd */
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	uint64_t n = 0;
	SHOW(read(fd, &n, 8));
	its = (struct itimerspec){{0, 2000000}, {0, 2000000}};
	SHOW(timerfd_settime(fd, 0, &its, NULL));
	struct pollfd p = {fd, POLLIN, 0};
	SHOW(poll(&p, 1, 1000));
	usleep(20000);
	SHOW(read(fd, &n, 8));
	printf("%s\n", n >= 8 && n < 100 ? "right" : "wrong");
	SHOW(read(fd, &n, 4));
	SHOW(timerfd_gettime(fd, &cur));
	printf("%ld\n", cur.it_interval.tv_nsec);
	its = (struct itimerspec){{0, 0}, {0, 0}};
	SHOW(timerfd_settime(fd, 0, &its, NULL));
	SHOW(poll(&p, 1, 5));
	SHOW(timerfd_settime(fd, 64, &its, NULL));
	SHOW(timerfd_settime(0, 0, &its, NULL) < 0);
	its.it_value.tv_sec = 1;
	SHOW(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL));
	SHOW(poll(&p, 1, 1000));
	SHOW(read(fd, &n, 8));
	printf("%llu\n", (unsigned long long)n);
	SHOW(timerfd_create(77, 0));
	SHOW(timerfd_create(CLOCK_MONOTONIC, 77));
	SHOW(write(fd, &n, 8));
	/* timers end with exec, are not inherited by fork */
	struct itimerval it = {{0, 0}, {0, 20000}};
	setitimer(ITIMER_REAL, &it, NULL);
	if (fork() == 0) {
		getitimer(ITIMER_REAL, &it);
		_exit(it.it_value.tv_usec != 0);
	}
	int st;
	while (wait(&st) < 0)
		;
	printf("%d\n", st);
	DONE();
}
