/* SPDX-License-Identifier: Apache-2.0 */
/* System time: what calls cost is seen in times, getrusage, /proc and wait4, and does not go back. */
#include <sys/resource.h>
#include <sys/times.h>
#include "guest.h"

static double sys_time(int who)
{
	struct rusage r;

	getrusage(who, &r);
	return (double)r.ru_stime.tv_sec + (double)r.ru_stime.tv_usec / 1e6;
}

/* Calls whose work is the kernel's. */
static void work(double until)
{
	char buf[65536];
	int fd = open("/dev/zero", O_RDONLY);
	double last = 0, now;

	while ((now = sys_time(RUSAGE_SELF)) < until) {
		CHECK(now >= last);
		last = now;
		for (int i = 0; i < 20; i++)
			CHECK(read(fd, buf, sizeof(buf)) == sizeof(buf));
	}
	close(fd);
}

int main(void)
{
	struct timespec a, b;
	struct rusage r;
	struct tms t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	work(sys_time(RUSAGE_SELF) + 0.1);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	CHECK((double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9 > 0.09);
	times(&t);
	CHECK(t.tms_stime >= 9);
	CHECK(sys_time(RUSAGE_THREAD) > 0.09);
	CHECK(sys_time(RUSAGE_CHILDREN) < 0.01);
	pid_t pid = fork();
	if (!pid) {
		CHECK(sys_time(RUSAGE_SELF) < 0.05);
		work(0.1);
		_exit(guest_failures);
	}
	int st = -1;
	CHECK(wait4(pid, &st, 0, &r) == pid && st == 0);
	CHECK(r.ru_stime.tv_usec > 90000);
	CHECK(sys_time(RUSAGE_CHILDREN) > 0.09);
	puts("done");
	DONE();
}
