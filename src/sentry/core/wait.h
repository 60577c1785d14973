/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Wait queues and sleeping, after Linux's: a waiter queues itself, checks its condition, sleeps,
 * and unqueues. There are no callbacks by pointer (kheap rule): an entry's kind selects what a
 * wake-up does, by the table in wait.c.
 *
 *	struct waiter w;
 *	wait_begin(&w, wq, t);
 *	while (!(condition)) {
 *		r = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
 *		if (r) break;			// -ERESTARTSYS, -ETIMEDOUT
 *	}
 *	wait_end(&w);
 *
 * wait_sleep returns 0 after any wake-up; the condition is checked again. A signal is looked at
 * only when the condition is still false: callers re-check after -ERESTARTSYS (R4).
 * No lock may be held in wait_sleep.
 */
#include "lib/list.h"
#include "lib/lock.h"

struct task;

enum wait_kind {
	WAIT_TASK,		/* wake the task's Sentry thread */
	WAIT_EPOLL,		/* owner is a struct epitem: mark ready, wake the epoll's waiters */
	WAIT_FASYNC,		/* owner is a struct file: send SIGIO to its owner */
	WAIT_WORD,		/* owner is a uint32_t that a thread of ours sleeps on: set to 1, wake */
	WAIT_KINDS
};

enum wait_mode { WAIT_INTERRUPTIBLE, WAIT_KILLABLE };

struct waitq {
	struct mutex lock;	/* RANK_WAITQ */
	struct list waiters;	/* struct waiter.link */
};

struct waiter {
	struct list link;
	struct waitq *wq;
	void *owner;		/* struct task, struct epitem, struct file */
	uint32_t kind;		/* enum wait_kind */
	uint32_t events;	/* EPOLL* bits that interest this waiter; ~0 any */
	bool exclusive;		/* wake-one: at the tail, wq_wake stops after nr_exclusive */
	bool fired;
};

void wq_init(struct waitq *wq);
bool wq_active(const struct waitq *wq);
/* Wakes everyone interested in `events` (EPOLLIN, ... or ~0), exclusive waiters up to nr (0 = all).
 * May be called with locks of rank below RANK_WAITQ held. */
void wq_wake(struct waitq *wq, uint32_t events, unsigned nr_exclusive);
#define wq_wake_all(wq) wq_wake((wq), ~0u, 0)
/* Wakes everyone and detaches all entries: the queue is going away (POLLFREE). */
void wq_destroy(struct waitq *wq);

void wait_begin(struct waiter *w, struct waitq *wq, struct task *t);
void wait_begin_exclusive(struct waiter *w, struct waitq *wq, struct task *t);
void wait_add(struct waiter *w, struct waitq *wq, enum wait_kind kind, void *owner, uint32_t events);
void wait_add_exclusive(struct waiter *w, struct waitq *wq, enum wait_kind kind, void *owner,
			uint32_t events);
void wait_end(struct waiter *w);	/* idempotent */

#define WAIT_FOREVER UINT64_MAX
/* Sleeps until woken. deadline: CLOCK_MONOTONIC ns, or WAIT_FOREVER. 0, -ERESTARTSYS when a
 * signal (or kill, in WAIT_KILLABLE) is pending, -ETIMEDOUT. */
must_check int wait_sleep(struct task *t, enum wait_mode mode, uint64_t deadline);
/* Wakes the task's Sentry thread if it sleeps in wait_sleep; remembered if it does not yet. */
void task_wake(struct task *t);
/* Registered by their owners at start: what a wake-up of this kind does (called with wq->lock). */
void wait_set_handler(enum wait_kind k, void (*fn)(struct waiter *w, uint32_t events));

/*
 * What waiting needs from a task, provided by task/ (core includes nothing above it). The word is
 * 1 while a wake-up is remembered; `pending` says whether this mode of sleep must end.
 */
uint32_t *task_wait_word(struct task *t);
bool task_wait_pending(const struct task *t, enum wait_mode mode);
void task_wait_state(struct task *t, bool sleeping);

/* CLOCK_MONOTONIC of the host, ns. */
uint64_t now_mono(void);

/* Sleeps (interruptibly) until cond holds: 0, -ERESTARTSYS or -ETIMEDOUT. cond takes the object's
 * lock itself; it is evaluated once more before an error is believed (R4). */
#define wait_event(t, wq, deadline, cond) wait_event_mask(t, wq, ~0u, deadline, cond)
/* Woken only for some EPOLL* events. */
#define wait_event_mask(t, wq, events, deadline, cond)                                             \
	({                                                                                         \
		struct waiter wait_event_w_;                                                       \
		int wait_event_r_ = 0;                                                             \
		if (!(cond)) {                                                                     \
			wait_add(&wait_event_w_, (wq), WAIT_TASK, (t), (events));                  \
			while (!(cond)) {                                                          \
				wait_event_r_ = wait_sleep((t), WAIT_INTERRUPTIBLE, (deadline));   \
				if (wait_event_r_) {                                               \
					if (cond)                                                  \
						wait_event_r_ = 0;                                 \
					break;                                                     \
				}                                                                  \
			}                                                                          \
			wait_end(&wait_event_w_);                                                  \
		}                                                                                  \
		wait_event_r_;                                                                     \
	})
