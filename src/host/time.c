/* SPDX-License-Identifier: Apache-2.0 */
#include "host/time.h"
#include "host/h_syscall.h"

int64_t h_clock_ns(int clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		return 0;
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int64_t h_now(void)
{
	return h_clock_ns(CLOCK_MONOTONIC);
}

int h_clock_getres(int clock, struct timespec *res)
{
	return (int)h_sys2(SYS_clock_getres, clock, res);
}

struct timespec h_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NSEC_PER_SEC, .tv_nsec = ns % NSEC_PER_SEC};
}
