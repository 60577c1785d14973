/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spaces whose last thread has left. Emptying one takes several wake-ups of its cell, and mostly
 * nobody has to wait for that: a small one is emptied after the news of its process's end has been
 * given (by its own Sentry thread), or beside the program that took its place (by the undertaker).
 * A process with much memory is not dead before its memory is (R17), and no more than a few may
 * lag behind.
 */
#include "host/event.h"
#include "host/thread.h"
#include "sentry/core/kheap.h"
#include "sentry/task/exec.h"
#include "sentry/task/task_i.h"

#define BIG_MEMORY (16ull << 20)
#define LAG_MAX 6

struct retired {
	struct mm *mm;
	pl_thread_t pl;
};

static struct mutex lock = MUTEX_INIT(RANK_PLATFORM);
static struct retired queue[LAG_MAX];
static unsigned queued, lagging;
static uint32_t word;			/* a: something is queued */
static bool started;

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

static void space_empty(struct mm *mm, pl_thread_t pl, bool wait_gone)
{
	uint32_t busy;

	while ((busy = __atomic_load_n(&mm->pl_leaving, __ATOMIC_ACQUIRE)))
		(void)h_futex_wait(&mm->pl_leaving, busy, NULL);
	pl_thread_put(pl, true, wait_gone);
	mm_put(mm);
}

void space_end(struct mm *mm, pl_thread_t pl, bool lags)
{
	space_empty(mm, pl, !lags);
	mutex_lock(&lock);
	lagging -= lags;
	mutex_unlock(&lock);
}

static void undertaker_main(void *arg)
{
	struct retired r;

	(void)arg;
	for (;;) {
		while (!__atomic_exchange_n(&word, 0, __ATOMIC_ACQ_REL))
			(void)h_futex_wait(&word, 0, NULL);
		for (;;) {
			mutex_lock(&lock);
			r.mm = NULL;
			if (queued)
				r = queue[--queued];
			mutex_unlock(&lock);
			if (!r.mm)
				break;
			space_end(r.mm, r.pl, true);
		}
	}
}

/* Ends the space beside the caller; at once when that cannot be. */
void space_retire(struct mm *mm, pl_thread_t pl, uint64_t bytes)
{
	bool later = space_may_lag(bytes), wake = false;

	if (later) {
		mutex_lock(&lock);
		if (!started)
			started = !h_thread_spawn(undertaker_main, NULL, 0);
		wake = started && queued < LAG_MAX;
		if (wake)
			queue[queued++] = (struct retired){mm, pl};
		mutex_unlock(&lock);
	}
	if (!wake) {
		space_end(mm, pl, later);
		return;
	}
	__atomic_store_n(&word, 1, __ATOMIC_RELEASE);
	(void)h_futex_wake(&word, 1);
}
