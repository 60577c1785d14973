/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX timers. A timer has one signal entry of its own; while that is queued, expiries are
 * counted, and an interval timer is armed again only when its signal has been taken (R23). CPU
 * clocks are looked at when the deadline could be reached at the earliest.
 *
 * Lifetime: proc->ptimers holds a reference (list under the sighand lock); the fields are under
 * the timer's own lock. The owner cancels the ktimer before the last reference goes.
 */
#include <errno.h>
#include <signal.h>
#include "host/time.h"
#include "lib/checked.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"
#include "sentry/time/time.h"

#define SIGEV_THREAD_ID_ 4
#define CPU_LOOK_MIN 1000000ull
#define PTIMERS_MAX 65536u

struct ptimer {
	refcount_t ref;
	struct list link;		/* S: proc->ptimers */
	struct mutex lock;		/* RANK_OBJECT */
	int32_t id, clock, base;	/* I; base -1: a CPU clock */
	int32_t notify, signo;		/* I */
	uint64_t value;			/* I: as given, for /proc */
	struct process *proc;		/* I; borrowed: dropped before it dies */
	struct task *target;		/* I; owned: the thread that gets the signal, or the creator */
	struct sigqueue *q;		/* owned; NULL for SIGEV_NONE */
	struct ktimer k;
	uint64_t expires, interval;	/* l: on the base clock or CPU time; 0 = off */
	int32_t overrun, overrun_last;	/* l */
	bool waiting;			/* l: fired, to be armed again when the signal is taken */
	bool dead;			/* l: deleted: never armed again, though somebody still holds it */
};

struct l_sigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};
static_assert(sizeof(struct l_sigevent) == 64, "sigevent");

struct l_itimerspec {
	struct l_timespec interval, value;
};

static KCACHE(ptimer_cache, struct ptimer, PTIMERS_MAX);

static void ptimer_put(struct ptimer *pt)
{
	if (!ref_put(&pt->ref))
		return;
	task_put(pt->target);
	kc_free(&ptimer_cache, pt);
}

/* Not under pt->lock: CPU clocks take the tasks lock. */
static uint64_t timer_now(struct ptimer *pt)
{
	uint64_t now = 0;

	if (pt->base >= 0)
		return (uint64_t)h_clock_ns(pt->base);
	return clock_read(pt->target, pt->clock, &now) ? 0 : now;
}

/* Arms for pt->expires; pt->lock held. */
static void arm_locked(struct ptimer *pt, uint64_t now)
{
	if (pt->notify == SIGEV_NONE || pt->dead)
		return;
	if (pt->base >= 0) {
		ktimer_arm(&pt->k, pt->base, pt->expires);
		return;
	}
	ktimer_arm(&pt->k, CLOCK_MONOTONIC,
		   now_mono() + max(pt->expires > now ? pt->expires - now : 0, CPU_LOOK_MIN));
}

/* Moves expires behind now by whole intervals; counts the ones passed over. */
static void forward_locked(struct ptimer *pt, uint64_t now)
{
	uint64_t n;

	if (!pt->interval || now < pt->expires)
		return;
	n = (now - pt->expires) / pt->interval + 1;
	pt->expires += n * pt->interval;
	pt->overrun = n > (uint64_t)(INT32_MAX - pt->overrun) ? INT32_MAX : pt->overrun + (int32_t)n;
}

/* --- firing ------------------------------------------------------------------------------------- */

static void fired(struct ktimer *k)
{
	struct ptimer *pt = k->owner;
	uint64_t now = timer_now(pt);
	bool due;
	int r;

	mutex_lock(&pt->lock);
	due = pt->expires && now >= pt->expires;
	if (pt->expires && !due)
		arm_locked(pt, now);		/* CPU time has not come that far */
	if (due) {
		pt->waiting = pt->interval != 0;
		if (!pt->interval)
			pt->expires = 0;
	}
	mutex_unlock(&pt->lock);
	if (!due)
		return;
	r = signal_send_prealloc(pt->target, pt->notify == SIGEV_THREAD_ID_ ? SEND_THREAD : SEND_PROCESS,
				 pt->q);
	if (r <= 0)
		return;
	mutex_lock(&pt->lock);		/* ignored: nobody takes it; go on, but not in a storm */
	if (pt->waiting && pt->interval) {
		pt->waiting = false;
		forward_locked(pt, now);
		pt->expires = max(pt->expires, now + CPU_LOOK_MIN);
		arm_locked(pt, now);
	}
	mutex_unlock(&pt->lock);
}

/* A reference to the live timer that this pointer or id names. */
static struct ptimer *find(struct process *p, const struct ptimer *what, int32_t id)
{
	struct ptimer *pt, *hit = NULL;

	mutex_lock(&p->sighand->lock);
	list_for_each(pt, &p->ptimers, link) {
		if (what ? pt == what : pt->id == id) {
			hit = pt;
			ref_get(&pt->ref);
			break;
		}
	}
	mutex_unlock(&p->sighand->lock);
	return hit;
}

/* Its signal was taken by `current`. */
static void taken(struct ptimer *what, struct l_siginfo *info)
{
	struct ptimer *pt = current ? find(current->proc, what, 0) : NULL;
	uint64_t now;

	if (!pt)
		return;
	now = timer_now(pt);
	mutex_lock(&pt->lock);
	if (pt->waiting && pt->interval) {
		pt->waiting = false;
		pt->overrun = -1;	/* the expiry that was signalled is none */
		forward_locked(pt, now);
		pt->overrun = max(pt->overrun, 0);
		arm_locked(pt, now);
	}
	pt->overrun_last = pt->overrun;
	pt->overrun = 0;
	info->timer.overrun = pt->overrun_last;
	mutex_unlock(&pt->lock);
	ptimer_put(pt);
}

void posix_timers_init(void)
{
	ktimer_set_handler(KT_PTIMER, fired);
	signal_timer_hook = taken;
}

/* --- life ----------------------------------------------------------------------------------------- */

static int check_event(struct task *t, const struct l_sigevent *ev, struct ptimer *pt)
{
	struct task *o;

	pt->notify = ev->notify;
	pt->value = ev->value;
	pt->signo = ev->signo;
	switch (ev->notify) {
	case SIGEV_SIGNAL | SIGEV_THREAD_ID_:
		o = task_lookup(task_pid_ns(t), ev->tid);
		if (!o || o->proc != t->proc) {
			if (o)
				task_put(o);
			return -EINVAL;
		}
		pt->target = o;
		break;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
	case SIGEV_NONE:
		pt->target = task_get(t);
		break;
	default:
		return -EINVAL;
	}
	if (ev->notify != SIGEV_NONE && (ev->signo <= 0 || ev->signo > L_NSIG))
		return -EINVAL;
	return 0;
}

static int set_base(struct task *t, struct ptimer *pt, int clock)
{
	uint64_t now;
	int r;

	pt->clock = clock;
	if (clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) {
		pt->base = -1;
		return clock_read(t, clock, &now);
	}
	r = clock_timer_base(t, clock);
	pt->base = r;
	return r < 0 ? r : 0;
}

/* The number under which it is known from here on. Without a value the signal carries that. */
static int32_t publish(struct task *t, struct ptimer *pt, const uint64_t *value)
{
	struct process *p = t->proc;
	struct ptimer *o;
	int32_t id;
	bool clash;

	mutex_lock(&p->sighand->lock);
	do {
		pt->id = p->next_timer_id;
		p->next_timer_id = p->next_timer_id == INT32_MAX ? 0 : p->next_timer_id + 1;
		clash = false;
		list_for_each(o, &p->ptimers, link)
			clash |= o->id == pt->id;
	} while (clash);
	id = pt->id;
	if (pt->q) {
		pt->q->info = (struct l_siginfo){.signo = pt->signo, .code = SI_TIMER};
		pt->q->info.timer.tid = id;
		pt->q->info.timer.value = value ? *value : (uint64_t)id;
	}
	list_add_tail(&p->ptimers, &pt->link);
	mutex_unlock(&p->sighand->lock);
	return id;
}

static void destroy(struct task *t, struct ptimer *pt)
{
	mutex_lock(&pt->lock);
	pt->dead = true;
	mutex_unlock(&pt->lock);
	(void)ktimer_cancel(&pt->k);
	if (pt->q)
		sigqueue_release(t, steal(pt->q));
	ptimer_put(pt);
}

/* Unlinks under the lock: whoever unlinks destroys. */
static bool unlink_timer(struct process *p, struct ptimer *pt)
{
	bool linked;

	mutex_lock(&p->sighand->lock);
	linked = !list_empty(&pt->link);
	list_del(&pt->link);
	mutex_unlock(&p->sighand->lock);
	return linked;
}

void ptimers_drop(struct task *t)
{
	struct process *p = t->proc;
	struct ptimer *pt;

	for (;;) {
		mutex_lock(&p->sighand->lock);
		pt = list_first(&p->ptimers, struct ptimer, link);
		if (pt)
			list_del(&pt->link);
		mutex_unlock(&p->sighand->lock);
		if (!pt)
			return;
		destroy(t, pt);
	}
}

int64_t sys_timer_create(struct task *t, const struct sysargs *a)
{
	struct l_sigevent ev = {.notify = SIGEV_SIGNAL, .signo = SIGALRM};
	struct ptimer *pt;
	int32_t id;
	int r;

	if (a->a[1] && get_user(t, ev, ARG_UADDR(1)))
		return -EFAULT;
	pt = kc_alloc(&ptimer_cache);
	if (!pt)
		return -EAGAIN;
	ref_init(&pt->ref, 1);
	list_init(&pt->link);
	mutex_init(&pt->lock, RANK_OBJECT);
	ktimer_init(&pt->k, KT_PTIMER, pt);
	pt->proc = t->proc;
	r = set_base(t, pt, ARG_INT(0));
	if (!r)
		r = check_event(t, &ev, pt);
	if (!r && ev.notify != SIGEV_NONE && !(pt->q = sigqueue_alloc(t, pt)))
		r = -EAGAIN;
	if (r) {
		if (pt->target)
			task_put(pt->target);
		kc_free(&ptimer_cache, pt);
		return r;
	}
	ref_get(&pt->ref);	/* once published, others may delete it */
	id = publish(t, pt, a->a[1] ? &ev.value : NULL);
	r = put_user(t, ARG_UADDR(2), id) ? -EFAULT : 0;
	if (r && unlink_timer(t->proc, pt))
		destroy(t, pt);
	ptimer_put(pt);
	return r;
}

void ptimers_show(struct task *t, struct pid_ns *ns, struct buf *b)
{
	struct process *p = t->proc;

	mutex_lock(&p->sighand->lock);
	for (struct list *l = p->ptimers.prev; l != &p->ptimers; l = l->prev) {	/* the newest first */
		const struct ptimer *pt = list_entry(l, struct ptimer, link);
		bool tid = pt->notify & SIGEV_THREAD_ID;
		int kind = pt->notify & ~SIGEV_THREAD_ID, clock = pt->clock;

		if (clock == CLOCK_PROCESS_CPUTIME_ID)
			clock = -6;
		else if (clock == CLOCK_THREAD_CPUTIME_ID)
			clock = -2;
		buf_fmt(b, "ID: %d\nsignal: %d/%016llx\nnotify: %s/%s.%d\nClockID: %d\n", pt->id, pt->signo,
			(unsigned long long)pt->value,
			kind == SIGEV_NONE ? "none" : kind == SIGEV_THREAD ? "thread" : "signal", tid ? "tid" : "pid",
			tid && pt->target ? task_pid_nr(pt->target, ns) : task_tgid_nr(t, ns), clock);
	}
	mutex_unlock(&p->sighand->lock);
}

int64_t sys_timer_delete(struct task *t, const struct sysargs *a)
{
	struct ptimer *pt = find(t->proc, NULL, ARG_INT(0));

	if (!pt)
		return -EINVAL;
	if (unlink_timer(t->proc, pt))
		destroy(t, pt);
	ptimer_put(pt);
	return 0;
}

/* --- setting and asking ------------------------------------------------------------------------------ */

static void current_value_locked(struct ptimer *pt, uint64_t now, struct l_itimerspec *out)
{
	uint64_t left, expires = pt->expires;

	*out = (struct l_itimerspec){.interval = ns_to_ts(pt->interval)};
	if (!expires)
		return;
	if (pt->interval && now >= expires && (pt->waiting || pt->notify == SIGEV_NONE))
		expires += ((now - expires) / pt->interval + 1) * pt->interval;
	left = expires > now ? expires - now : pt->notify == SIGEV_NONE ? 0 : 1;
	out->value = ns_to_ts(left);
}

int64_t sys_timer_settime(struct task *t, const struct sysargs *a)
{
	struct l_itimerspec v, old;
	uint64_t value, interval, now;
	struct ptimer *pt;

	if (!a->a[2])
		return -EINVAL;
	if (get_user(t, v, ARG_UADDR(2)))
		return -EFAULT;
	if (ts_to_ns(&v.value, &value) || ts_to_ns(&v.interval, &interval))
		return -EINVAL;
	pt = find(t->proc, NULL, ARG_INT(0));
	if (!pt)
		return -EINVAL;
	now = timer_now(pt);
	mutex_lock(&pt->lock);
	current_value_locked(pt, now, &old);
	pt->expires = 0;
	pt->waiting = false;
	mutex_unlock(&pt->lock);
	(void)ktimer_cancel(&pt->k);
	mutex_lock(&pt->lock);
	pt->interval = interval;
	pt->overrun = pt->overrun_last = 0;
	if (value) {
		if (!(ARG_INT(1) & TIMER_ABSTIME))
			value = value > INT64_MAX - now ? INT64_MAX : now + value;
		else if (pt->base >= 0)
			value = clock_to_host(t, pt->base, value);
		pt->expires = max(value, 1ul);
		arm_locked(pt, now);
	}
	mutex_unlock(&pt->lock);
	ptimer_put(pt);
	return a->a[3] && put_user(t, ARG_UADDR(3), old) ? -EFAULT : 0;
}

int64_t sys_timer_gettime(struct task *t, const struct sysargs *a)
{
	struct ptimer *pt = find(t->proc, NULL, ARG_INT(0));
	struct l_itimerspec v;
	uint64_t now;

	if (!pt)
		return -EINVAL;
	now = timer_now(pt);
	mutex_lock(&pt->lock);
	current_value_locked(pt, now, &v);
	mutex_unlock(&pt->lock);
	ptimer_put(pt);
	return put_user(t, ARG_UADDR(1), v);
}

int64_t sys_timer_getoverrun(struct task *t, const struct sysargs *a)
{
	struct ptimer *pt = find(t->proc, NULL, ARG_INT(0));
	int32_t n;

	if (!pt)
		return -EINVAL;
	mutex_lock(&pt->lock);
	n = pt->overrun_last;
	mutex_unlock(&pt->lock);
	ptimer_put(pt);
	return n;
}
