/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static long long ns(struct timespec t)
{
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static long long at(clockid_t c)
{
	struct timespec t;
	CHECK(clock_gettime(c, &t) == 0);
	return ns(t);
}

static void burn(int ms)
{
	long long end = at(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000ll;
	while (at(CLOCK_PROCESS_CPUTIME_ID) < end)
		for (volatile int i = 0; i < 10000; i++)
			;
}

int main(void)
{
	struct timespec t, raw;
	clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
			      CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
			      CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
	for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		struct timespec a, b, res;
		SHOW(clock_gettime(clocks[i], &a));
		SHOW(syscall(SYS_clock_gettime, clocks[i], &b));
		SHOW(clock_getres(clocks[i], &res));
		CHECK(ns(b) + 50000000 >= ns(a) && ns(b) - ns(a) < 500000000);
		CHECK(res.tv_sec == 0 && res.tv_nsec > 0 && res.tv_nsec <= 10000000);
	}
	SHOW(clock_gettime(77, &t));
	SHOW(clock_gettime(-1, &t));
	SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
	SHOW(clock_getres(77, &t));
	long long last = 0;
	for (int i = 0; i < 100000; i++) {
		long long now = at(CLOCK_MONOTONIC);
		if (now < last) {
			CHECK(!"monotonic");
			break;
		}
		last = now;
	}
	struct timeval tv;
	SHOW(gettimeofday(&tv, NULL));
	CHECK(llabs(tv.tv_sec - at(CLOCK_REALTIME) / 1000000000) <= 1);
	CHECK(llabs(time(NULL) - tv.tv_sec) <= 1);
	SHOW(syscall(SYS_time, NULL) - time(NULL) <= 1);
	/* sleeping */
	long long a = at(CLOCK_MONOTONIC);
	t = (struct timespec){0, 20000000};
	SHOW(nanosleep(&t, NULL));
	long long slept = at(CLOCK_MONOTONIC) - a;
	CHECK(slept >= 20000000 && slept < 300000000);
	t = (struct timespec){0, 1000000000};
	SHOW(nanosleep(&t, NULL));
	t = (struct timespec){-1, 0};
	SHOW(nanosleep(&t, NULL));
	SHOW(syscall(SYS_nanosleep, 8, NULL));
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += 10000000;
	if (t.tv_nsec >= 1000000000)
		t.tv_sec++, t.tv_nsec -= 1000000000;
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
	CHECK(at(CLOCK_MONOTONIC) >= ns(t));
	t.tv_sec -= 10;
	SHOW(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL));
	SHOW(clock_nanosleep(77, 0, &(struct timespec){0, 1}, NULL));
	SHOW(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &(struct timespec){0, 1}, NULL));
	/* CPU time: of the thread, the process, the children */
	struct rusage r0, r1, ch;
	getrusage(RUSAGE_SELF, &r0);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &raw);
	burn(50);
	getrusage(RUSAGE_SELF, &r1);
	long long used = at(CLOCK_THREAD_CPUTIME_ID) - ns(raw);
	CHECK(used >= 40000000 && used < 200000000);
	long long ru = (r1.ru_utime.tv_sec + r1.ru_stime.tv_sec - r0.ru_utime.tv_sec -
			r0.ru_stime.tv_sec) * 1000000ll +
		       r1.ru_utime.tv_usec + r1.ru_stime.tv_usec - r0.ru_utime.tv_usec -
		       r0.ru_stime.tv_usec;
	CHECK(ru >= 30000 && ru < 200000);
	getrusage(RUSAGE_CHILDREN, &ch);
	CHECK(ch.ru_utime.tv_sec == 0 && ch.ru_utime.tv_usec == 0);
	if (fork() == 0) {
		burn(60);
		_exit(0);
	}
	wait(NULL);
	getrusage(RUSAGE_CHILDREN, &ch);
	long cu = ch.ru_utime.tv_usec + ch.ru_stime.tv_usec;
	CHECK(cu >= 40000 && cu < 250000);
	struct tms tms;
	CHECK(times(&tms) > 0);
	CHECK(tms.tms_cutime + tms.tms_cstime >= 3);
	SHOW(getrusage(77, &ch));
	SHOW(getrusage(RUSAGE_SELF, (struct rusage *)8));
	clockid_t pc;
	SHOW(clock_getcpuclockid(0, &pc));
	CHECK(at(pc) > 50000000);
	SHOW(clock_settime(CLOCK_MONOTONIC, &t));
	DONE();
}
