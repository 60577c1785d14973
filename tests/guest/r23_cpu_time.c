/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time only grows, over exec and fork too; fast timers do no harm. */
/* guest: libs=-lrt */
#include "guest.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static volatile long hits;

static void on(int sig)
{
	hits++;
}

static long cpu_us(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000000 + r.ru_utime.tv_usec +
	       r.ru_stime.tv_usec;
}

static void burn(long us)
{
	long end = cpu_us() + us;
	while (cpu_us() < end)
		for (volatile int i = 0; i < 20000; i++)
			;
}

static void *burns(void *arg)
{
	struct timespec a, b;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	burn((long)arg);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	return (void *)(long)(b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		long now = cpu_us();
		printf("over exec %s\n", now >= atol(argv[1]) ? "grows" : "falls");
		return now < atol(argv[1]);
	}
	long last = 0;
	for (int i = 0; i < 2000; i++) {
		long now = cpu_us();
		CHECK(now >= last);
		last = now;
	}
	pthread_t t[2];
	long before = cpu_us();
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, burns, (void *)20000L);
	for (int i = 0; i < 2; i++) {
		void *r;
		pthread_join(t[i], &r);
		CHECK(r == (void *)1);
	}
	/* the time of ended threads is the process's */
	CHECK(cpu_us() - before >= 15000);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		char now[32];
		CHECK(cpu_us() < before + 1000000);
		burn(30000);
		snprintf(now, sizeof(now), "%ld", cpu_us());
		execl("/proc/self/exe", argv[0], now, NULL);
	}
	int st;
	struct rusage ru;
	wait4(pid, &st, 0, &ru);
	printf("%x %d\n", st, ru.ru_utime.tv_usec + ru.ru_stime.tv_usec >= 25000);
	/* the limit on CPU time */
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CPU, &(struct rlimit){1, 2});
		for (;;)
			;
	}
	wait(&st);
	printf("signal %d\n", WTERMSIG(st));
	/* a profile: hits about as time passes */
	signal(SIGPROF, on);
	struct itimerval it = {{0, 10000}, {0, 10000}};
	setitimer(ITIMER_PROF, &it, NULL);
	burn(300000);
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_PROF, &it, NULL);
	printf("profile %s\n", hits >= 8 && hits <= 45 ? "right" : "wrong");
	/* as fast as can be */
	timer_t id;
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	signal(SIGUSR1, on);
	hits = 0;
	timer_create(CLOCK_MONOTONIC, &ev, &id);
	struct itimerspec its = {{0, 50000}, {0, 50000}};
	SHOW(timer_settime(id, 0, &its, NULL));
	struct timespec end, now;
	clock_gettime(CLOCK_MONOTONIC, &end);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - end.tv_sec < 2);
	SHOW(timer_delete(id));
	printf("hits %d\n", hits > 100);
	DONE();
}
