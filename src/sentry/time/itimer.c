/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interval timers, alarm, and the CPU-time side: ITIMER_VIRTUAL, ITIMER_PROF and RLIMIT_CPU.
 * ITIMER_REAL is armed again when its SIGALRM has been taken (R23), so that a short interval costs
 * nothing while nobody looks. CPU time is not visible while a guest computes: one timer per
 * process looks when the earliest limit could be reached at all.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include "host/time.h"
#include "lib/checked.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/rusage.h"
#include "sentry/time/time.h"

#define CPU_LOOK_MIN 1000000ull		/* ns between two looks at CPU time */
#define CPU_LOOK_MAX NSEC

struct l_itimerval {
	struct l_timeval interval, value;
};

static struct l_timeval ns_to_tv(uint64_t ns)
{
	ns += 999;	/* an armed timer never reads as zero */
	return (struct l_timeval){(int64_t)(ns / NSEC), (int64_t)(ns % NSEC / 1000)};
}

/* --- ITIMER_REAL --------------------------------------------------------------------------------- */

static bool ignores(struct process *p, int sig)
{
	bool r;

	mutex_lock(&p->sighand->lock);
	r = p->sighand->action[sig - 1].handler == (uint64_t)(uintptr_t)SIG_IGN;
	mutex_unlock(&p->sighand->lock);
	return r;
}

static void real_fired(struct ktimer *k)
{
	struct process *p = k->owner;

	if (p->itimer_real_interval)
		__atomic_store_n(&p->itimer_real_wait, true, __ATOMIC_RELEASE);
	if (signal_send_process(p, SIGALRM, NULL) == 0 && !ignores(p, SIGALRM))
		return;
	itimer_real_taken(p);		/* ignored: nobody will take it */
}

void itimer_real_taken(struct process *p)
{
	uint64_t now, next, iv = p->itimer_real_interval;

	if (!__atomic_exchange_n(&p->itimer_real_wait, false, __ATOMIC_ACQ_REL) || !iv)
		return;
	now = now_mono();
	next = p->itimer_real.deadline + iv;
	if (next <= now)
		next += (now - next) / iv * iv + iv;
	ktimer_arm(&p->itimer_real, CLOCK_MONOTONIC, next);
}

static void get_real(struct process *p, uint64_t *left, uint64_t *interval)
{
	uint64_t now = now_mono();

	*interval = p->itimer_real_interval;
	*left = ktimer_left(&p->itimer_real);
	if (!*left && p->itimer_real_wait && *interval)
		*left = *interval - (now - p->itimer_real.deadline) % *interval;
}

/* Not ktimer_init: another thread of the process may just have armed it. */
static void set_owner(struct ktimer *k, enum ktimer_kind kind, struct process *p)
{
	k->kind = kind;
	k->owner = p;
}

static void set_real(struct process *p, uint64_t value, uint64_t interval)
{
	uint64_t now = now_mono();

	(void)ktimer_cancel(&p->itimer_real);
	p->itimer_real_wait = false;
	p->itimer_real_interval = interval;
	if (!value)
		return;
	set_owner(&p->itimer_real, KT_ITIMER_REAL, p);
	ktimer_arm(&p->itimer_real, CLOCK_MONOTONIC, value > INT64_MAX - now ? INT64_MAX : now + value);
}

/* --- CPU time --------------------------------------------------------------------------------------- */

/* One CPU interval timer against the time used: the time still missing, 0 when off. Fires it. */
static uint64_t check_cpu_itimer(struct process *p, struct cpu_itimer *it, uint64_t used, int sig)
{
	bool fire = false;
	uint64_t left = 0;

	mutex_lock(&p->sighand->lock);
	if (it->expires && used >= it->expires) {
		fire = true;
		it->expires = it->interval ? used + it->interval : 0;
	}
	if (it->expires)
		left = it->expires - used;
	mutex_unlock(&p->sighand->lock);
	if (fire)
		(void)signal_send_process(p, sig, NULL);
	return left;
}

/* RLIMIT_CPU: SIGXCPU each second beyond the soft limit, SIGKILL at the hard one. */
static uint64_t check_rlimit(struct process *p, uint64_t used)
{
	uint64_t soft = p->rlim[RLIMIT_CPU].cur, hard = p->rlim[RLIMIT_CPU].max;
	uint64_t sec = used / NSEC;

	if (hard != UINT64_MAX && sec >= hard) {
		(void)signal_send_process(p, SIGKILL, NULL);
		return 0;
	}
	if (soft == UINT64_MAX)
		return 0;
	if (soft < p->cpu_warned)
		soft = p->cpu_warned;
	if (sec >= soft) {
		(void)signal_send_process(p, SIGXCPU, NULL);
		p->cpu_warned = soft = sec + 1;
	}
	if (soft > INT64_MAX / NSEC)
		return 0;
	return soft * NSEC - used;
}

static void sooner(uint64_t *best, uint64_t left)
{
	if (left && (!*best || left < *best))
		*best = left;
}

static void cpu_look(struct process *p)
{
	struct rusage_sum u;
	uint64_t best = 0, total, wait, idle, slow;

	process_usage(p, &u);
	total = u.utime + u.stime;
	sooner(&best, check_cpu_itimer(p, &p->itimer_prof, total, SIGPROF));
	sooner(&best, check_cpu_itimer(p, &p->itimer_virt, u.utime, SIGVTALRM));
	sooner(&best, check_rlimit(p, total));
	if (!best)
		return;
	wait = best / (p->nr_threads ? p->nr_threads : 1);
	wait = max(wait, CPU_LOOK_MIN);
	/* a process that does not run is looked at ever less often */
	idle = total == p->cpu_seen ? min(p->cpu_idle + 1, 10u) : 0;
	p->cpu_idle = (uint32_t)idle;
	p->cpu_seen = total;
	slow = idle ? min(CPU_LOOK_MIN << idle, CPU_LOOK_MAX) : 0;
	wait = max(wait, slow);
	ktimer_arm(&p->cpu_timer, CLOCK_MONOTONIC, now_mono() + wait);
}

static void cpu_fired(struct ktimer *k)
{
	cpu_look(k->owner);
}

void cpu_timers_update(struct process *p)
{
	if (!p->itimer_prof.expires && !p->itimer_virt.expires &&
	    p->rlim[RLIMIT_CPU].cur == UINT64_MAX && p->rlim[RLIMIT_CPU].max == UINT64_MAX)
		return;
	(void)ktimer_cancel(&p->cpu_timer);
	/* Not for a process that has ended: another one's prlimit64 may come late. */
	mutex_lock(&tasks_lock);
	if (!p->zombie) {
		set_owner(&p->cpu_timer, KT_CPU, p);
		p->cpu_idle = 0;
		ktimer_arm(&p->cpu_timer, CLOCK_MONOTONIC, now_mono() + CPU_LOOK_MIN);
	}
	mutex_unlock(&tasks_lock);
}

static void cpu_itimer(struct process *p, int which, const uint64_t *set, uint64_t *left, uint64_t *interval)
{
	struct cpu_itimer *it = which == ITIMER_PROF ? &p->itimer_prof : &p->itimer_virt;
	uint64_t used = which == ITIMER_PROF ? process_cpu_ns(p) : process_cpu_user_ns(p);

	mutex_lock(&p->sighand->lock);
	*interval = it->interval;
	*left = !it->expires ? 0 : it->expires > used ? it->expires - used : 1;
	if (set) {
		it->interval = set[1];
		it->expires = set[0] ? used + set[0] : 0;
	}
	mutex_unlock(&p->sighand->lock);
	if (set && set[0])
		cpu_timers_update(p);
}

void itimers_drop(struct process *p)
{
	(void)ktimer_cancel(&p->itimer_real);
	(void)ktimer_cancel(&p->cpu_timer);
}

/* --- calls -------------------------------------------------------------------------------------------- */

static int get_itimer(struct task *t, int which, uint64_t *left, uint64_t *interval)
{
	if (which == ITIMER_REAL)
		get_real(t->proc, left, interval);
	else if (which == ITIMER_VIRTUAL || which == ITIMER_PROF)
		cpu_itimer(t->proc, which, NULL, left, interval);
	else
		return -EINVAL;
	return 0;
}

static int put_itimer(struct task *t, uint64_t addr, uint64_t left, uint64_t interval)
{
	struct l_itimerval v = {.interval = {0, 0}, .value = {0, 0}};

	if (interval)
		v.interval = (struct l_timeval){(int64_t)(interval / NSEC), (int64_t)(interval % NSEC / 1000)};
	if (left)
		v.value = ns_to_tv(left);
	return put_user(t, UADDR(addr), v);
}

int64_t sys_getitimer(struct task *t, const struct sysargs *a)
{
	uint64_t left, interval;
	int r = get_itimer(t, ARG_INT(0), &left, &interval);

	return r ? r : put_itimer(t, a->a[1], left, interval);
}

int64_t sys_setitimer(struct task *t, const struct sysargs *a)
{
	struct l_itimerval v = {.interval = {0, 0}};
	uint64_t set[2], left, interval;
	int which = ARG_INT(0), r;

	if (a->a[1] && get_user(t, v, ARG_UADDR(1)))
		return -EFAULT;
	if (tv_to_ns(&v.value, &set[0]) || tv_to_ns(&v.interval, &set[1]))
		return -EINVAL;
	r = get_itimer(t, which, &left, &interval);
	if (r)
		return r;
	if (which == ITIMER_REAL)
		set_real(t->proc, set[0], set[1]);
	else
		cpu_itimer(t->proc, which, set, &left, &interval);
	return a->a[2] ? put_itimer(t, a->a[2], left, interval) : 0;
}

int64_t sys_alarm(struct task *t, const struct sysargs *a)
{
	uint64_t left, interval, sec;

	get_real(t->proc, &left, &interval);
	set_real(t->proc, ARG_U32(0) * NSEC, 0);
	sec = left / NSEC;
	if (left % NSEC >= NSEC / 2 || (left && !sec))
		sec++;
	return (int64_t)sec;
}

int ktimer_start(void)
{
	ktimer_set_handler(KT_ITIMER_REAL, real_fired);
	ktimer_set_handler(KT_CPU, cpu_fired);
	posix_timers_init();
	return ktimer_thread_start();
}
