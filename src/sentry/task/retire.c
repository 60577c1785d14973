/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces whose last thread has left. To empty one takes a CPU for some 100 us and several wake-ups of
 * its cell, and mostly nobody has to wait for that: the undertaker does it for the small ones, when a
 * CPU seems to have nothing better to do, and after a moment in any case. A process with much memory is not dead before its memory is (R17), and no more
 * than a few may lag behind.
 */
#include "host/event.h"
#include "host/thread.h"
#include "sentry/core/kheap.h"
#include "sentry/task/exec.h"
#include "sentry/task/task_i.h"

#define BIG_MEMORY (16ull << 20)
#define LAG_MAX 8
#define LAG_MANY 4		/* then it does not wait for a better moment */
#define LAG_NS 3000000

struct retired {
	struct mm *mm;
	pl_thread_t pl;
};

static struct mutex lock = MUTEX_INIT(RANK_PLATFORM);
static struct retired queue[LAG_MAX];
static unsigned queued, lagging;
static bool started;
/* a: futexes: something is queued; it is to be seen to now. */
static uint32_t some, hurry;

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
	else
		__atomic_store_n(&some, 0, __ATOMIC_SEQ_CST);
	mutex_unlock(&lock);
	return got;
}

static void undertaker_main(void *arg)
{
	const struct timespec moment = {0, LAG_NS};
	struct retired r;

	(void)arg;
	for (;;) {
		while (!__atomic_load_n(&some, __ATOMIC_SEQ_CST))
			(void)h_futex_wait(&some, 0, NULL);
		if (!__atomic_load_n(&hurry, __ATOMIC_ACQUIRE))
			(void)h_futex_wait(&hurry, 0, &moment);
		__atomic_store_n(&hurry, 0, __ATOMIC_RELEASE);
		while (take(&r))
			empty(r.mm, r.pl, true);
	}
}

/* pl_boot.idle */
void space_idle(void)
{
	if (!__atomic_load_n(&some, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&hurry, 1, __ATOMIC_ACQ_REL))
		return;
	(void)h_futex_wake(&hurry, 1);
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
	if (!__atomic_exchange_n(&some, 1, __ATOMIC_SEQ_CST))
		(void)h_futex_wake(&some, 1);
	if (many)
		space_idle();
}
