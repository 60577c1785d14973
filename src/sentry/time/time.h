/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Clocks and sleeps of guests, interval and POSIX timers; see timer.h for the queue. */
#include <time.h>
#include "abi/stat.h"
#include "sentry/time/timer.h"

struct task;
struct process;

#define NSEC 1000000000ull

/* --- clock.c ---- */
static inline struct l_timespec ns_to_ts(uint64_t ns)
{
	return (struct l_timespec){(int64_t)(ns / NSEC), (int64_t)(ns % NSEC)};
}
/* Valid and not negative; *ns saturates as in ktime. -EINVAL. */
must_check int ts_to_ns(const struct l_timespec *ts, uint64_t *ns);
must_check int tv_to_ns(const struct l_timeval *tv, uint64_t *ns);
/* The time of a clock as the task sees it (time namespace, CPU clocks of other processes). */
/* What its time namespace adds to a clock, ns. */
int64_t clock_ns_offset(struct task *t, int clock);
must_check int clock_read(struct task *t, int clock, uint64_t *ns);
must_check int clock_resolution(struct task *t, int clock, uint64_t *ns);
/* The host clock that a settable timer of `clock` runs on: MONOTONIC, REALTIME, BOOTTIME, TAI;
 * -EINVAL, or -EOPNOTSUPP for clocks that only tell the time. */
must_check int clock_timer_base(struct task *t, int clock);
/* An absolute time of the task's clock as one of the base clock (time namespace offset). */
uint64_t clock_to_host(struct task *t, int base, uint64_t ns);
/* The CLOCK_MONOTONIC deadline for wait_sleep of an absolute host time of `base`. */
uint64_t clock_deadline(int base, uint64_t ns);
uint64_t process_cpu_ns(struct process *p);	/* user + system, ended threads included */
uint64_t process_cpu_user_ns(struct process *p);
uint64_t task_cpu_ns(struct task *t);

/* A timeout argument (timespec, relative) of poll and friends: CLOCK_MONOTONIC deadline, or
 * WAIT_FOREVER for a null pointer. -EFAULT, -EINVAL. */
must_check int timeout_in(struct task *t, uint64_t uaddr, uint64_t *deadline);

/* --- sleep.c ---- */
int64_t nanosleep_restart(struct task *t);

void posix_timers_init(void);

/* --- itimer.c ---- */
enum { ITIMER_KINDS = 3 };
void itimers_drop(struct process *p);		/* at exit: nothing fires any more */
/* At exec: POSIX timers end, interval timers stay. At exit both end. */
void ptimers_drop(struct task *t);
struct buf;
struct pid_ns;
void ptimers_show(struct task *t, struct pid_ns *ns, struct buf *b);	/* /proc/PID/timers */
/* Deferred re-arming of ITIMER_REAL when its SIGALRM was taken. */
void itimer_real_taken(struct process *p);
/* A thread of p begins to run, or a limit changed: CPU timers are looked at. */
void cpu_timers_update(struct process *p);
