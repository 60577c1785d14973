/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues. A task's wait word is 1 while a wake-up is remembered; sleeping consumes it:
 *
 *	waker				sleeper
 *	makes the condition true	queues itself, finds the condition false
 *	word = 1, futex wake		if word was 1: word = 0, look at the condition again
 *					else sleep while word == 0
 *
 * Words are set under the queue's lock, the host's futex wake comes after it. The task may have
 * gone by then: its word lies in memory that only ever holds tasks, so that a late wake-up is at
 * worst a spurious one.
 */
#include "sentry/core/wait.h"
#include <errno.h>
#include "host/event.h"
#include "host/time.h"
#include "lib/bug.h"
#include "sentry/core/restart.h"

#define WAKE_BATCH 16

static void (*handlers[WAIT_KINDS])(struct waiter *w, uint32_t events);

void wait_set_handler(enum wait_kind k, void (*fn)(struct waiter *w, uint32_t events))
{
	BUG_ON(k == WAIT_TASK || k >= WAIT_KINDS);
	handlers[k] = fn;
}

void wq_init(struct waitq *wq)
{
	mutex_init(&wq->lock, RANK_WAITQ);
	list_init(&wq->waiters);
}

/* Looks without the lock; the fences make up for it, which a race detector cannot see. */
__attribute__((no_sanitize("thread"))) bool wq_active(const struct waitq *wq)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* the condition first, then the look */
	return __atomic_load_n(&wq->waiters.next, __ATOMIC_RELAXED) != &wq->waiters;
}

struct wake_batch {
	uint32_t *words[WAKE_BATCH];
	unsigned n;
};

static void batch_fire(struct wake_batch *b)
{
	while (b->n > 0)
		(void)h_futex_wake(b->words[--b->n], 1);
}

static void fire(struct waiter *w, uint32_t events, struct wake_batch *b)
{
	uint32_t *word;

	w->fired = true;
	if (w->kind != WAIT_TASK && w->kind != WAIT_WORD) {
		if (handlers[w->kind])
			handlers[w->kind](w, events);
		return;
	}
	word = w->kind == WAIT_WORD ? w->owner : task_wait_word(w->owner);
	if (__atomic_exchange_n(word, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (b->n == WAKE_BATCH)
		batch_fire(b);
	b->words[b->n++] = word;
}

void wq_wake(struct waitq *wq, uint32_t events, unsigned nr_exclusive)
{
	struct wake_batch b = {.n = 0};
	struct list done = LIST_INIT(done);
	struct waiter *w, *tmp;

	if (!wq_active(wq))
		return;
	mutex_lock_nested(&wq->lock);
	list_for_each_safe(w, tmp, &wq->waiters, link) {
		if (!(w->events & events))
			continue;
		fire(w, events, &b);
		if (!w->exclusive)
			continue;
		/* To the end of the line: the next wake-up is for somebody else. */
		list_del(&w->link);
		list_add_tail(&done, &w->link);
		if (nr_exclusive && --nr_exclusive == 0)
			break;
	}
	list_splice_tail(&wq->waiters, &done);
	mutex_unlock(&wq->lock);
	batch_fire(&b);
}

void wq_destroy(struct waitq *wq)
{
	struct wake_batch b = {.n = 0};
	struct waiter *w;

	mutex_lock_nested(&wq->lock);
	while ((w = list_first(&wq->waiters, struct waiter, link)) != NULL) {
		list_del(&w->link);
		__atomic_store_n(&w->wq, NULL, __ATOMIC_RELEASE);
		fire(w, ~0u, &b);
	}
	mutex_unlock(&wq->lock);
	batch_fire(&b);
}

static void enqueue(struct waiter *w, struct waitq *wq)
{
	w->wq = wq;
	w->fired = false;
	mutex_lock(&wq->lock);
	if (w->exclusive)
		list_add_tail(&wq->waiters, &w->link);
	else
		list_add(&wq->waiters, &w->link);
	mutex_unlock(&wq->lock);
	/* Pairs with wq_active: queued, then the condition is read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void wait_add(struct waiter *w, struct waitq *wq, enum wait_kind kind, void *owner,
	      uint32_t events)
{
	*w = (struct waiter){.owner = owner, .kind = kind, .events = events};
	enqueue(w, wq);
}

void wait_add_exclusive(struct waiter *w, struct waitq *wq, enum wait_kind kind, void *owner,
			uint32_t events)
{
	*w = (struct waiter){.owner = owner, .kind = kind, .events = events, .exclusive = true};
	enqueue(w, wq);
}

void wait_begin(struct waiter *w, struct waitq *wq, struct task *t)
{
	wait_add(w, wq, WAIT_TASK, t, ~0u);
}

void wait_begin_exclusive(struct waiter *w, struct waitq *wq, struct task *t)
{
	*w = (struct waiter){.owner = t, .kind = WAIT_TASK, .events = ~0u, .exclusive = true};
	enqueue(w, wq);
}

/* The caller keeps the queue's object alive until here, or the queue was destroyed. */
void wait_end(struct waiter *w)
{
	struct waitq *wq = __atomic_load_n(&w->wq, __ATOMIC_ACQUIRE);

	if (!wq)
		return;
	mutex_lock(&wq->lock);
	if (w->wq) {
		list_del(&w->link);
		w->wq = NULL;
	}
	mutex_unlock(&wq->lock);
}

int wait_sleep(struct task *t, enum wait_mode mode, uint64_t deadline)
{
	uint32_t *word = task_wait_word(t);
	struct timespec ts, *until = NULL;
	int rc = 0;

	lock_assert_none_held();
	if (deadline != WAIT_FOREVER) {
		ts = h_timespec((int64_t)min(deadline, (uint64_t)INT64_MAX));
		until = &ts;
	}
	while (__atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL) == 0) {
		if (task_wait_pending(t, mode)) {
			rc = -ERESTARTSYS;
			break;
		}
		task_wait_state(t, true);
		rc = h_futex_wait_until(word, 0, until);
		task_wait_state(t, false);
		if (rc == -ETIMEDOUT)
			break;
		rc = 0;
	}
	return rc;
}

void task_wake(struct task *t)
{
	uint32_t *word = task_wait_word(t);

	if (__atomic_exchange_n(word, 1, __ATOMIC_ACQ_REL) == 0)
		(void)h_futex_wake(word, 1);
}

uint64_t now_mono(void)
{
	return (uint64_t)h_now();
}
