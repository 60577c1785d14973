/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks as guests see them. */
#include <errno.h>
#include <linux/capability.h>
#include "host/time.h"
#include "lib/checked.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/task/rusage.h"
#include "sentry/time/time.h"

#define CPUCLOCK_PID(c) (~((c) >> 3))
#define CPUCLOCK_PERTHREAD 4
#define CPUCLOCK_WHICH 3
#define CPUCLOCK_VIRT 1

int ts_to_ns(const struct l_timespec *ts, uint64_t *ns)
{
	if (ts->sec < 0 || (uint64_t)ts->nsec >= NSEC)
		return -EINVAL;
	if ((uint64_t)ts->sec > INT64_MAX / NSEC - 1)
		*ns = INT64_MAX;
	else
		*ns = (uint64_t)ts->sec * NSEC + (uint64_t)ts->nsec;
	return 0;
}

int tv_to_ns(const struct l_timeval *tv, uint64_t *ns)
{
	struct l_timespec ts = {tv->sec, tv->usec * 1000};

	if ((uint64_t)tv->usec >= 1000000)
		return -EINVAL;
	return ts_to_ns(&ts, ns);
}

uint64_t process_cpu_ns(struct process *p)
{
	struct rusage_sum u;

	process_usage(p, &u);
	return u.utime + u.stime;
}

uint64_t process_cpu_user_ns(struct process *p)
{
	struct rusage_sum u;

	process_usage(p, &u);
	return u.utime;
}

uint64_t task_cpu_ns(struct task *t)
{
	struct rusage_sum u;

	if (t == current)
		pl_thread_cpu_update(t->pl);
	task_usage(t, &u);
	return u.utime + u.stime;
}

/* The clocks of pthread_getcpuclockid and clock_getcpuclockid. */
static int cpu_clock_read(struct task *t, int clock, uint64_t *ns)
{
	int32_t pid = CPUCLOCK_PID(clock);
	bool thread = clock & CPUCLOCK_PERTHREAD, virt = (clock & CPUCLOCK_WHICH) == CPUCLOCK_VIRT;
	struct rusage_sum u;
	struct task *o;

	if ((clock & CPUCLOCK_WHICH) == CPUCLOCK_WHICH)
		return -EINVAL;
	o = pid ? task_lookup(task_pid_ns(t), pid) : task_get(t);
	if (!o)
		return -EINVAL;
	if (thread && o->proc != t->proc) {
		task_put(o);
		return -EINVAL;
	}
	if (thread && o == current)
		pl_thread_cpu_update(o->pl);
	if (thread)
		task_usage(o, &u);
	else
		process_usage(o->proc, &u);
	task_put(o);
	*ns = virt ? u.utime : u.utime + u.stime;
	return 0;
}

int64_t clock_ns_offset(struct task *t, int clock)
{
	const struct time_ns *tn = t->ns ? t->ns->time : NULL;

	switch (tn ? clock : CLOCK_REALTIME) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return tn->mono_offset;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return tn->boot_offset;
	default:
		return 0;
	}
}

int clock_read(struct task *t, int clock, uint64_t *ns)
{
	if (clock < 0)
		return cpu_clock_read(t, clock, ns);
	switch (clock) {
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = process_cpu_ns(t->proc);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = task_cpu_ns(t);
		return 0;
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		*ns = (uint64_t)(h_clock_ns(clock) + clock_ns_offset(t, clock));
		return 0;
	default:	/* the alarm clocks too: there is no real-time clock device */
		return -EINVAL;
	}
}

int clock_resolution(struct task *t, int clock, uint64_t *ns)
{
	struct timespec ts;
	uint64_t now;
	int r = clock_read(t, clock, &now);

	if (r)
		return r;
	*ns = 1;
	if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE) {
		*ns = h_clock_getres(clock, &ts) ? 4000000 : (uint64_t)ts.tv_nsec;
	}
	return 0;
}

int clock_timer_base(struct task *t, int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
		return clock;
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

uint64_t clock_to_host(struct task *t, int base, uint64_t ns)
{
	int64_t off = clock_ns_offset(t, base);

	if (off >= 0)
		return ns > (uint64_t)off ? ns - (uint64_t)off : 0;
	return ns > INT64_MAX - (uint64_t)-off ? INT64_MAX : ns + (uint64_t)-off;
}

uint64_t clock_deadline(int base, uint64_t ns)
{
	uint64_t mono = now_mono(), now;

	if (base == CLOCK_MONOTONIC)
		return ns;
	now = (uint64_t)h_clock_ns(base);
	if (ns <= now)
		return mono;
	return ns - now > INT64_MAX - mono ? INT64_MAX : mono + (ns - now);
}

int timeout_in(struct task *t, uint64_t uaddr, uint64_t *deadline)
{
	struct l_timespec ts;
	uint64_t ns, now;
	int r;

	*deadline = WAIT_FOREVER;
	if (!uaddr)
		return 0;
	if (get_user(t, ts, UADDR(uaddr)))
		return -EFAULT;
	r = ts_to_ns(&ts, &ns);
	if (r)
		return r;
	now = now_mono();
	*deadline = ns > INT64_MAX - now ? WAIT_FOREVER : now + ns;
	return 0;
}
