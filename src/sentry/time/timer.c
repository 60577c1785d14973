/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The timer queue and its thread. The thread sleeps in a futex until the earliest deadline; arming
 * an earlier one wakes it. Timers of settable clocks are looked at again when they are due: a
 * clock that was set back puts them off.
 */
#include "sentry/time/timer.h"
#include <errno.h>
#include <time.h>
#include "host/event.h"
#include "host/thread.h"
#include "host/time.h"
#include "lib/bug.h"
#include "lib/lock.h"
#include "sentry/core/kheap.h"
#include "sentry/core/wait.h"
#include "sentry/task/task.h"

struct timer_queue {
	struct mutex lock;		/* RANK_TIMER */
	struct rb_root tree;
	struct ktimer *running;		/* its handler is being called */
};

#define NEVER UINT64_MAX

static KCACHE(queue_cache, struct timer_queue, 1);
static struct timer_queue *q;
static uint32_t bell;			/* the thread's futex word: bumped for an earlier deadline */
static uint32_t turns;			/* bumped after each handler */
static uint32_t turn_waiters;
static _Thread_local bool is_timer_thread;
static void (*handlers[KT_KINDS])(struct ktimer *k);

void ktimer_set_handler(enum ktimer_kind kind, void (*fn)(struct ktimer *k))
{
	handlers[kind] = fn;
}

void ktimer_init(struct ktimer *k, enum ktimer_kind kind, void *owner)
{
	*k = (struct ktimer){.kind = kind, .owner = owner};
}

/* The monotonic time at which `deadline` of the clock comes, as things stand. */
static uint64_t to_mono(int clock, uint64_t deadline)
{
	uint64_t now, mono;

	if (clock == CLOCK_MONOTONIC || deadline == NEVER)
		return deadline;
	mono = now_mono();
	now = (uint64_t)h_clock_ns(clock);
	if (deadline <= now)
		return mono;
	return deadline - now > NEVER - mono ? NEVER : mono + (deadline - now);
}

static void link_locked(struct ktimer *k)
{
	struct rb_node **link = &q->tree.node, *parent = NULL;

	while (*link) {
		struct ktimer *o = container_of(*link, struct ktimer, rb);
		parent = *link;
		link = k->when < o->when ? &parent->left : &parent->right;
	}
	rb_insert(&q->tree, parent, link, &k->rb);
	k->queued = true;
}

static void unlink_locked(struct ktimer *k)
{
	rb_erase(&q->tree, &k->rb);
	k->queued = false;
}

void ktimer_arm(struct ktimer *k, int clock, uint64_t deadline)
{
	bool first;

	mutex_lock(&q->lock);
	if (k->queued)
		unlink_locked(k);
	k->clock = clock;
	k->deadline = deadline;
	k->when = to_mono(clock, deadline);
	link_locked(k);
	first = rb_first(&q->tree) == &k->rb;
	mutex_unlock(&q->lock);
	if (first && !is_timer_thread) {
		__atomic_fetch_add(&bell, 1, __ATOMIC_SEQ_CST);
		(void)h_futex_wake(&bell, 1);
	}
}

bool ktimer_cancel(struct ktimer *k)
{
	bool was = false, running;
	uint32_t turn;

	if (!q)
		return false;
	for (;;) {
		mutex_lock(&q->lock);
		turn = __atomic_load_n(&turns, __ATOMIC_ACQUIRE);
		if (k->queued) {
			unlink_locked(k);
			was = true;
		}
		running = q->running == k && !is_timer_thread;
		mutex_unlock(&q->lock);
		if (!running)
			return was;
		__atomic_fetch_add(&turn_waiters, 1, __ATOMIC_SEQ_CST);
		(void)h_futex_wait(&turns, turn, NULL);
		__atomic_fetch_sub(&turn_waiters, 1, __ATOMIC_SEQ_CST);
	}
}

uint64_t ktimer_left(const struct ktimer *k)
{
	uint64_t now;

	if (!k->queued)
		return 0;
	now = (uint64_t)h_clock_ns(k->clock);
	return k->deadline > now ? k->deadline - now : 1;
}

/* --- the thread ------------------------------------------------------------------------------------ */

/* The next due timer, taken out of the tree and marked running; else *until is the next look. */
static struct ktimer *take_due(uint64_t *until)
{
	struct ktimer *k = NULL;
	struct rb_node *n;
	uint64_t now = now_mono();

	*until = NEVER;
	mutex_lock(&q->lock);
	while ((n = rb_first(&q->tree)) != NULL) {
		k = container_of(n, struct ktimer, rb);
		if (k->when > now) {
			*until = k->when;
			k = NULL;
			break;
		}
		unlink_locked(k);
		k->when = to_mono(k->clock, k->deadline);
		if (k->clock == CLOCK_MONOTONIC || k->when <= now_mono())
			break;
		link_locked(k);		/* its clock was set back */
		k = NULL;
	}
	q->running = k;
	mutex_unlock(&q->lock);
	return k;
}

static void end_turn(void)
{
	mutex_lock(&q->lock);
	q->running = NULL;
	mutex_unlock(&q->lock);
	__atomic_fetch_add(&turns, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&turn_waiters, __ATOMIC_SEQ_CST))
		(void)h_futex_wake(&turns, INT32_MAX);
}

static void timer_thread(void *arg)
{
	is_timer_thread = true;
	for (;;) {
		uint32_t seen = __atomic_load_n(&bell, __ATOMIC_SEQ_CST);
		struct timespec ts;
		uint64_t until;
		struct ktimer *k = take_due(&until);

		if (k) {
			if (k->kind < KT_KINDS && handlers[k->kind])
				handlers[k->kind](k);
			end_turn();
			continue;
		}
		if (until == NEVER) {
			(void)h_futex_wait(&bell, seen, NULL);
			continue;
		}
		ts = h_timespec((int64_t)min(until, (uint64_t)INT64_MAX));
		(void)h_futex_wait_until(&bell, seen, &ts);
	}
}

static void wake_handler(struct ktimer *k)
{
	task_wake(k->owner);
}

int ktimer_thread_start(void)
{
	q = kc_alloc(&queue_cache);
	if (!q)
		return -ENOMEM;
	mutex_init(&q->lock, RANK_TIMER);
	ktimer_set_handler(KT_TASK_WAKE, wake_handler);
	return h_thread_spawn(timer_thread, NULL, 0);
}
