/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO that guests see: an image of our own, the same in every cell and at every time. Its
 * functions call the host's and add the offsets of the guest's time namespace. The host's write
 * to our stack, never through a guest's pointer, so that a bad one faults here, in an image that
 * /proc/PID/maps shows. What the host's image may ask the kernel for by itself is asked here.
 */
#include <asm/unistd.h>
#include "platform/cell/vdso/data.h"

#define API __attribute__((visibility("default"), used))
#define WEAK(name) __attribute__((visibility("default"), weak, alias("__vdso_" #name)))

/* <time.h> must not be included: it declares these functions otherwise */
#define REALTIME 0
#define MONOTONIC 1
#define MONOTONIC_RAW 4
#define REALTIME_COARSE 5
#define MONOTONIC_COARSE 6
#define BOOTTIME 7
#define TAI 11
#define BIT(c) (1u << (c))
#define MONO_CLOCKS (BIT(MONOTONIC) | BIT(MONOTONIC_RAW) | BIT(MONOTONIC_COARSE))
#define CLOCKS (MONO_CLOCKS | BIT(REALTIME) | BIT(REALTIME_COARSE) | BIT(BOOTTIME) | BIT(TAI))

struct vd_timespec {
	int64_t sec, nsec;
};
struct vd_timeval {
	int64_t sec, usec;
};
struct vd_timezone {
	int32_t minuteswest, dsttime;
};

extern const struct vdso_data vdso_data __attribute__((visibility("hidden")));

static inline long call(long nr, uint64_t a, uint64_t b, uint64_t c)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}

static inline int is_ours(int clock)
{
	return (unsigned)clock < 32 && BIT(clock) & CLOCKS;
}

static inline void add(struct vd_timespec *ts, int64_t sec, int64_t nsec)
{
	ts->sec += sec;
	ts->nsec += nsec;
	if (ts->nsec >= 1000000000) {
		ts->nsec -= 1000000000;
		ts->sec++;
	}
}

API int __vdso_clock_gettime(int clock, struct vd_timespec *ts);
API int __vdso_clock_gettime(int clock, struct vd_timespec *ts)
{
	int (*host)(int, struct vd_timespec *) = (void *)vdso_data.clock_gettime;
	struct vd_timespec now;

	if (!host || !is_ours(clock) || host(clock, &now))
		return (int)call(__NR_clock_gettime, (uint64_t)clock, (uint64_t)ts, 0);
	if (BIT(clock) & MONO_CLOCKS)
		add(&now, vdso_data.mono_sec, vdso_data.mono_nsec);
	else if (clock == BOOTTIME)
		add(&now, vdso_data.boot_sec, vdso_data.boot_nsec);
	*ts = now;
	return 0;
}

API int __vdso_gettimeofday(struct vd_timeval *tv, struct vd_timezone *tz);
API int __vdso_gettimeofday(struct vd_timeval *tv, struct vd_timezone *tz)
{
	int (*host)(struct vd_timeval *, struct vd_timezone *) = (void *)vdso_data.gettimeofday;
	struct vd_timezone zone;
	struct vd_timeval now;

	if (!host || host(&now, &zone))
		return (int)call(__NR_gettimeofday, (uint64_t)tv, (uint64_t)tz, 0);
	if (tv)
		*tv = now;
	if (tz)
		*tz = zone;
	return 0;
}

API int64_t __vdso_time(int64_t *t);
API int64_t __vdso_time(int64_t *t)
{
	int64_t (*host)(int64_t *) = (void *)vdso_data.time;
	int64_t now;

	if (!host)
		return call(__NR_time, (uint64_t)t, 0, 0);
	now = host(0);
	if (t)
		*t = now;
	return now;
}

API int __vdso_clock_getres(int clock, struct vd_timespec *res);
API int __vdso_clock_getres(int clock, struct vd_timespec *res)
{
	int (*host)(int, struct vd_timespec *) = (void *)vdso_data.clock_getres;
	struct vd_timespec r;

	if (!host || !is_ours(clock) || host(clock, &r))
		return (int)call(__NR_clock_getres, (uint64_t)clock, (uint64_t)res, 0);
	if (res)
		*res = r;
	return 0;
}

API long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused);
API long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
	long (*host)(uint32_t *, uint32_t *, void *) = (void *)vdso_data.getcpu;
	uint32_t c, n;

	if (!host || host(&c, &n, 0))
		return call(__NR_getcpu, (uint64_t)cpu, (uint64_t)node, 0);
	if (cpu)
		*cpu = c;
	if (node)
		*node = n;
	return 0;
}

WEAK(clock_gettime) int clock_gettime(int clock, struct vd_timespec *ts);
WEAK(gettimeofday) int gettimeofday(struct vd_timeval *tv, struct vd_timezone *tz);
WEAK(time) int64_t time(int64_t *t);
WEAK(clock_getres) int clock_getres(int clock, struct vd_timespec *res);
WEAK(getcpu) long getcpu(uint32_t *cpu, uint32_t *node, void *unused);
