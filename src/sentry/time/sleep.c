/* SPDX-License-Identifier: Apache-2.0 */
/* nanosleep and clock_nanosleep. */
#include <errno.h>
#include "host/time.h"
#include "lib/checked.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"
#include "sentry/time/time.h"

/* Until an absolute host time: 0 or -ERESTARTSYS. A clock that is set back is noticed at the end. */
static int sleep_until(struct task *t, int base, uint64_t ns)
{
	int r;

	for (;;) {
		uint64_t deadline = clock_deadline(base, ns);
		if (now_mono() >= deadline)
			return 0;
		r = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
		if (r == -ERESTARTSYS)
			return r;
	}
}

/* A relative sleep that was interrupted tells the rest and goes on by restart_syscall. */
static int64_t rel_sleep(struct task *t, uint64_t deadline, uint64_t rem)
{
	struct l_timespec left;
	uint64_t now;

	if (!sleep_until(t, CLOCK_MONOTONIC, deadline))
		return 0;
	now = now_mono();
	if (now >= deadline)
		return 0;
	left = ns_to_ts(deadline - now);
	if (rem && put_user(t, UADDR(rem), left))
		return -EFAULT;
	t->restart.kind = RESTART_NANOSLEEP;
	t->restart.arg[0] = deadline;
	t->restart.arg[1] = rem;
	return -ERESTART_RESTARTBLOCK;
}

int64_t nanosleep_restart(struct task *t)
{
	return rel_sleep(t, t->restart.arg[0], t->restart.arg[1]);
}

/* CPU clocks tell no deadline: sleep for what is missing at least, and look again. */
static int64_t cpu_sleep(struct task *t, int clock, uint64_t ns, bool abs)
{
	uint64_t now, goal, left;
	int r = clock_read(t, clock, &now);

	if (r)
		return r;
	goal = abs ? ns : (ns > INT64_MAX - now ? INT64_MAX : now + ns);
	while (!clock_read(t, clock, &now) && now < goal) {
		left = max(goal - now, 1000000ul);
		r = wait_sleep(t, WAIT_INTERRUPTIBLE, now_mono() + min(left, NSEC));
		if (r == -ERESTARTSYS)
			return abs ? -ERESTARTNOHAND : -EINTR;
	}
	return 0;
}

static int64_t do_nanosleep(struct task *t, int clock, int flags, uint64_t req, uint64_t rem)
{
	struct l_timespec ts;
	uint64_t ns, now;
	int base, r;

	if (clock == CLOCK_THREAD_CPUTIME_ID)
		return -EOPNOTSUPP;	/* libc makes it EINVAL */
	if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0)
		base = -1;
	else if ((base = clock_timer_base(t, clock)) < 0)
		return base;
	if (get_user(t, ts, UADDR(req)))
		return -EFAULT;
	r = ts_to_ns(&ts, &ns);
	if (r)
		return r;
	if (base < 0)
		return cpu_sleep(t, clock, ns, flags & TIMER_ABSTIME);
	if (flags & TIMER_ABSTIME) {
		r = sleep_until(t, base, clock_to_host(t, base, ns));
		return r ? -ERESTARTNOHAND : 0;
	}
	now = now_mono();
	return rel_sleep(t, ns > INT64_MAX - now ? INT64_MAX : now + ns, rem);
}

int64_t sys_nanosleep(struct task *t, const struct sysargs *a)
{
	return do_nanosleep(t, CLOCK_MONOTONIC, 0, a->a[0], a->a[1]);
}

int64_t sys_clock_nanosleep(struct task *t, const struct sysargs *a)
{
	return do_nanosleep(t, ARG_INT(0), ARG_INT(1), a->a[2], a->a[3]);
}
