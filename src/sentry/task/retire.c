/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces whose last thread has left. To empty one takes a CPU for some 100 us and several wake-ups of
 * its cell, and mostly nobody has to wait for that: the undertaker does it for the small ones, when a
 * CPU seems to have nothing better to do. A process with much memory is not dead before its memory
 * is (R17), and no more than a few may lag behind.
 */
#include "host/event.h"
#include "host/thread.h"
#include "sentry/core/kheap.h"
#include "sentry/task/exec.h"
#include "sentry/task/task_i.h"

#define BIG_MEMORY (16ull << 20)
#define LAG_MAX 8
#define LAG_MANY 4		/* then it does not wait for a better moment */

struct retired {
	struct mm *mm;
	pl_thread_t pl;
};

static struct mutex lock = MUTEX_INIT(RANK_PLATFORM);
static struct retired queue[LAG_MAX];
static unsigned queued, lagging;
static bool started;
static uint32_t now;		/* a: a futex: what is queued is to be seen to */

/* True when the space may be emptied later; space_end must follow. */
bool space_may_lag(uint64_t bytes)
{
	bool ok;

	mutex_lock(&lock);
	ok = bytes <= BIG_MEMORY && lagging < LAG_MAX;
	lagging += ok;
	mutex_unlock(&lock);
	return ok;
}

static void empty(struct mm *mm, pl_thread_t pl, bool lags)
{
	uint32_t busy;

	while ((busy = __atomic_load_n(&mm->pl_leaving, __ATOMIC_ACQUIRE)))
		(void)h_futex_wait(&mm->pl_leaving, busy, NULL);
	pl_thread_put(pl, true, !lags);
	mm_put(mm);
	mutex_lock(&lock);
	lagging -= lags;
	mutex_unlock(&lock);
}

static bool take(struct retired *r)
{
	bool got;

	mutex_lock(&lock);
	got = queued > 0;
	if (got)
		*r = queue[--queued];
	mutex_unlock(&lock);
	return got;
}

static void undertaker_main(void *arg)
{
	struct retired r;

	(void)arg;
	for (;;) {
		while (!__atomic_exchange_n(&now, 0, __ATOMIC_ACQ_REL))
			(void)h_futex_wait(&now, 0, NULL);
		while (take(&r))
			empty(r.mm, r.pl, true);
	}
}

bool space_lags(void)
{
	return __atomic_load_n(&queued, __ATOMIC_RELAXED) > 0;
}

/* pl_boot.idle */
void space_idle(void)
{
	if (!space_lags() || __atomic_exchange_n(&now, 1, __ATOMIC_ACQ_REL))
		return;
	(void)h_futex_wake(&now, 1);
}

void space_end(struct mm *mm, pl_thread_t pl, bool lags)
{
	bool many;

	mutex_lock(&lock);
	if (lags && !started)
		started = !h_thread_spawn(undertaker_main, NULL, 0);
	if (!lags || !started) {
		mutex_unlock(&lock);
		empty(mm, pl, lags);
		return;
	}
	queue[queued++] = (struct retired){mm, pl};	/* space_may_lag has counted it */
	many = queued >= LAG_MANY;
	mutex_unlock(&lock);
	if (many)
		space_idle();
}
