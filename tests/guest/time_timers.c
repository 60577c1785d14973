/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeps, interval and POSIX timers. */
#include "guest.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>

static volatile int hits, last_code, last_value, last_overrun;

static void on_sig(int sig, siginfo_t *si, void *uc)
{
	hits++;
	last_code = si->si_code;
	last_value = si->si_value.sival_int;
	last_overrun = si->si_overrun;
}

static long ms_since(struct timespec *t)
{
	struct timespec n;

	clock_gettime(CLOCK_MONOTONIC, &n);
	return (n.tv_sec - t->tv_sec) * 1000 + (n.tv_nsec - t->tv_nsec) / 1000000;
}

static bool about(long ms, long want)
{
	return ms >= want - 1 && ms <= want + 150;
}

static void clocks(void)
{
	struct timespec ts, ts2;
	struct timeval tv;
	struct tms tms;
	clockid_t c;
	int i;

	for (i = 0; i < 12; i++)
		SHOW(clock_gettime(i, &ts));
	for (i = 0; i < 12; i++)
		SHOW(clock_getres(i, &ts));
	clock_getres(CLOCK_MONOTONIC, &ts);
	printf("res %ld\n", ts.tv_nsec);
	SHOW(clock_gettime(-77, &ts));
	SHOW(syscall(SYS_clock_gettime, CLOCK_REALTIME, NULL));
	SHOW(clock_getcpuclockid(getpid(), &c));
	SHOW(clock_gettime(c, &ts));
	SHOW(clock_getcpuclockid(99999999, &c));
	SHOW(pthread_getcpuclockid(pthread_self(), &c));
	SHOW(clock_gettime(c, &ts));
	CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_sec > 1600000000);
	CHECK(syscall(SYS_gettimeofday, &tv, NULL) == 0 && tv.tv_sec > 1600000000);
	CHECK(labs(time(NULL) - tv.tv_sec) <= 1);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts2);
	CHECK(labs(ts2.tv_sec - ts.tv_sec) <= 1);
	CHECK(times(&tms) != (clock_t)-1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	for (volatile int k = 0; k < 30000000; k++)
		;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts2);
	CHECK((ts2.tv_sec - ts.tv_sec) * 1000000000l + ts2.tv_nsec - ts.tv_nsec > 1000000);
}

static void sleeps(void)
{
	struct timespec t0, ts = {0, 30000000}, bad = {0, 1000000000}, rem = {7, 7};
	struct sigaction sa = {.sa_sigaction = on_sig, .sa_flags = SA_SIGINFO | SA_RESTART};

	sigaction(SIGALRM, &sa, NULL);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	SHOW(nanosleep(&ts, &rem));
	CHECK(about(ms_since(&t0), 30));
	SHOW(nanosleep(&bad, NULL));
	SHOW(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL));
	SHOW(clock_nanosleep(CLOCK_MONOTONIC_RAW, 0, &ts, NULL));
	SHOW(clock_nanosleep(77, 0, &ts, NULL));
	clock_gettime(CLOCK_MONOTONIC, &t0);
	ts = t0;
	ts.tv_nsec += 30000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	CHECK(about(ms_since(&t0), 30));
	SHOW(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL));
	hits = 0;
	ualarm(20000, 0);
	ts = (struct timespec){0, 500000000};
	SHOW(nanosleep(&ts, &rem));
	printf("hits %d, rest %d\n", hits, rem.tv_sec == 0 && rem.tv_nsec > 300000000);
}

static void itimers(void)
{
	struct itimerval v = {{0, 10000}, {0, 10000}}, old;
	struct sigaction sa = {.sa_sigaction = on_sig, .sa_flags = SA_SIGINFO};
	struct timespec t0;

	hits = 0;
	SHOW(setitimer(ITIMER_REAL, &v, NULL));
	while (hits < 5)
		pause();
	printf("code %d\n", last_code);
	memset(&v, 0, sizeof(v));
	SHOW(setitimer(ITIMER_REAL, &v, &old));
	printf("old interval %ld\n", old.it_interval.tv_usec);
	SHOW(getitimer(ITIMER_REAL, &old));
	printf("off %ld\n", old.it_value.tv_usec);
	SHOW(setitimer(7, &v, NULL));
	SHOW(alarm(100));
	SHOW(alarm(0));
	v.it_value.tv_usec = 2000000;
	SHOW(setitimer(ITIMER_REAL, &v, NULL));
	sigaction(SIGPROF, &sa, NULL);
	sigaction(SIGVTALRM, &sa, NULL);
	v = (struct itimerval){{0, 0}, {0, 30000}};
	hits = 0;
	SHOW(setitimer(ITIMER_PROF, &v, NULL));
	clock_gettime(CLOCK_MONOTONIC, &t0);
	while (!hits && ms_since(&t0) < 5000)
		;
	printf("prof %d\n", hits);
	hits = 0;
	SHOW(setitimer(ITIMER_VIRTUAL, &v, NULL));
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (volatile long i = 0; !hits && i < 3000000000; i++)
		;
	printf("virtual %d\n", hits);
}

static void ptimers(void)
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 99};
	struct itimerspec v = {{0, 0}, {0, 20000000}}, cur;
	struct sigaction sa = {.sa_sigaction = on_sig, .sa_flags = SA_SIGINFO};
	struct timespec t0;
	sigset_t set, old;
	siginfo_t si;
	timer_t t, t2;

	sigaction(SIGUSR1, &sa, NULL);
	SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
	hits = 0;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	SHOW(timer_settime(t, 0, &v, NULL));
	SHOW(timer_gettime(t, &cur));
	printf("armed %d\n", cur.it_value.tv_nsec > 0);
	while (!hits)
		pause();
	CHECK(about(ms_since(&t0), 20));
	printf("hits %d code %d value %d overrun %d\n", hits, last_code, last_value, last_overrun);
	SHOW(timer_gettime(t, &cur));
	printf("off %ld\n", cur.it_value.tv_nsec);
	/* overruns while it is blocked */
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	v = (struct itimerspec){{0, 1000000}, {0, 1000000}};
	SHOW(timer_settime(t, 0, &v, NULL));
	usleep(50000);
	CHECK(sigwaitinfo(&set, &si) == SIGUSR1);
	CHECK(si.si_overrun > 20 && timer_getoverrun(t) == si.si_overrun);
	memset(&v, 0, sizeof(v));
	SHOW(timer_settime(t, 0, &v, NULL));
	sigprocmask(SIG_SETMASK, &old, NULL);
	SHOW(timer_delete(t));
	SHOW(timer_delete(t));
	SHOW(timer_settime(t, 0, &v, NULL));
	SHOW(timer_create(77, &ev, &t2));
	ev.sigev_signo = 1000;
	SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t2));
	ev.sigev_signo = SIGUSR1;
	SHOW(timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &t2));
	v = (struct itimerspec){{0, 0}, {0, 20000000}};
	hits = 0;
	SHOW(timer_settime(t2, 0, &v, NULL));
	clock_gettime(CLOCK_MONOTONIC, &t0);
	while (!hits && ms_since(&t0) < 5000)
		;
	printf("cpu timer %d\n", hits);
}

static void tfd(void)
{
	struct itimerspec v = {{0, 5000000}, {0, 10000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t n = 0, sum = 0;

	SHOW(timerfd_settime(fd, 0, &v, NULL));
	while (sum < 5) {
		CHECK(read(fd, &n, 8) == 8);
		sum += n;
	}
	usleep(30000);
	CHECK(read(fd, &n, 8) == 8);
	CHECK(n >= 4);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	clocks();
	sleeps();
	itimers();
	ptimers();
	tfd();
	DONE();
}
