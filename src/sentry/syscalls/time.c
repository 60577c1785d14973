/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks: reading them, and refusing to set them. */
#include "sentry/time/time.h"
#include <errno.h>
#include <linux/capability.h>
#include <sys/timex.h>
#include "host/time.h"
#include "lib/checked.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/rusage.h"

#define USER_TICK 10000000ull	/* ns of a clock_t */

int64_t sys_clock_gettime(struct task *t, const struct sysargs *a)
{
	struct l_timespec ts;
	uint64_t ns;
	int r = clock_read(t, ARG_INT(0), &ns);

	if (r)
		return r;
	/* the vDSO adds the offset itself to what its host part finds out */
	if (unlikely(task_has_time_offset(t)) && pl_called_by_host_vdso(t->pl))
		ns -= (uint64_t)clock_ns_offset(t, ARG_INT(0));
	ts = ns_to_ts(ns);
	return put_user(t, ARG_UADDR(1), ts);
}

int64_t sys_clock_getres(struct task *t, const struct sysargs *a)
{
	struct l_timespec ts;
	uint64_t ns;
	int r = clock_resolution(t, ARG_INT(0), &ns);

	if (r)
		return r;
	ts = ns_to_ts(ns);
	return a->a[1] ? put_user(t, ARG_UADDR(1), ts) : 0;
}

/* The host's clock is nobody's to set. */
int64_t sys_clock_settime(struct task *t, const struct sysargs *a)
{
	struct l_timespec ts;

	if (ARG_INT(0) != CLOCK_REALTIME)
		return -EINVAL;
	if (get_user(t, ts, ARG_UADDR(1)))
		return -EFAULT;
	if (ts.sec < 0 || (uint64_t)ts.nsec >= NSEC)
		return -EINVAL;
	return -EPERM;
}

int64_t sys_gettimeofday(struct task *t, const struct sysargs *a)
{
	struct {
		int32_t minuteswest, dsttime;
	} tz = {0, 0};
	uint64_t ns = (uint64_t)h_clock_ns(CLOCK_REALTIME);
	struct l_timeval tv = {(int64_t)(ns / NSEC), (int64_t)(ns % NSEC / 1000)};

	if (a->a[0] && put_user(t, ARG_UADDR(0), tv))
		return -EFAULT;
	if (a->a[1] && put_user(t, ARG_UADDR(1), tz))
		return -EFAULT;
	return 0;
}

int64_t sys_settimeofday(struct task *t, const struct sysargs *a)
{
	struct l_timeval tv;

	if (a->a[0]) {
		if (get_user(t, tv, ARG_UADDR(0)))
			return -EFAULT;
		if ((uint64_t)tv.usec > 1000000 || tv.sec < 0)
			return -EINVAL;
	}
	return -EPERM;
}

int64_t sys_time(struct task *t, const struct sysargs *a)
{
	int64_t now = h_clock_ns(CLOCK_REALTIME_COARSE) / (int64_t)NSEC;

	if (a->a[0] && put_user(t, ARG_UADDR(0), now))
		return -EFAULT;
	return now;
}

int64_t sys_times(struct task *t, const struct sysargs *a)
{
	struct rusage_sum u, c;
	struct {
		int64_t utime, stime, cutime, cstime;
	} tms;
	uint64_t now;

	if (a->a[0]) {
		process_usage(t->proc, &u);
		mutex_lock(&tasks_lock);
		c = t->proc->dead_children;
		mutex_unlock(&tasks_lock);
		tms.utime = (int64_t)(u.utime / USER_TICK);
		tms.stime = (int64_t)(u.stime / USER_TICK);
		tms.cutime = (int64_t)(c.utime / USER_TICK);
		tms.cstime = (int64_t)(c.stime / USER_TICK);
		if (put_user(t, ARG_UADDR(0), tms))
			return -EFAULT;
	}
	now = (uint64_t)h_clock_ns(CLOCK_BOOTTIME);
	return (int64_t)(now / USER_TICK);
}

/* struct timex of the kernel: 208 bytes. */
struct l_timex {
	uint32_t modes, pad0;
	int64_t offset, freq, maxerror, esterror;
	int32_t status, pad1;
	int64_t constant, precision, tolerance;
	struct l_timeval time;
	int64_t tick, ppsfreq, jitter;
	int32_t shift, pad2;
	int64_t stabil, jitcnt, calcnt, errcnt, stbcnt;
	int32_t tai, pad3[11];
};
static_assert(sizeof(struct l_timex) == 208, "timex");

static int64_t read_timex(struct task *t, uaddr_t ua)
{
	struct l_timex tx;
	uint64_t ns;

	if (get_user(t, tx, ua))
		return -EFAULT;
	if (tx.modes)
		return -EPERM;
	ns = (uint64_t)h_clock_ns(CLOCK_REALTIME);
	tx = (struct l_timex){.maxerror = 16000000, .esterror = 16000000, .status = STA_UNSYNC,
			      .constant = 2, .precision = 1, .tolerance = 32768000, .tick = 10000};
	tx.time = (struct l_timeval){(int64_t)(ns / NSEC), (int64_t)(ns % NSEC / 1000)};
	return put_user(t, ua, tx) ? -EFAULT : TIME_ERROR;
}

int64_t sys_adjtimex(struct task *t, const struct sysargs *a)
{
	return read_timex(t, ARG_UADDR(0));
}

int64_t sys_clock_adjtime(struct task *t, const struct sysargs *a)
{
	uint64_t ns;

	if (ARG_INT(0) == CLOCK_REALTIME)
		return read_timex(t, ARG_UADDR(1));
	return clock_read(t, ARG_INT(0), &ns) ? -EINVAL : -EOPNOTSUPP;
}
