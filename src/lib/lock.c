/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutexes on one futex word: 0 free, 1 held, 2 held and somebody may sleep. The classic three
 * state lock; a woken waiter takes the word as 2, so that no wake-up is ever lost.
 */
#include "lib/lock.h"
#include "lib/bug.h"
#include "lib/hooks.h"

#ifdef BRIG_DEBUG
#define HELD_MAX 16
static __thread const struct mutex *held[HELD_MAX];
static __thread unsigned held_count;

/* `pair` is the second lock of mutex_lock2, which may have the rank of the first. */
static void held_check(const struct mutex *m, bool pair)
{
	for (unsigned i = 0; i < held_count; i++) {
		BUG_ON(held[i] == m);
		BUG_ON(m->rank != RANK_NONE && held[i]->rank > m->rank);
		BUG_ON(m->rank != RANK_NONE && held[i]->rank == m->rank && !pair);
	}
}

static void held_push(const struct mutex *m)
{
	BUG_ON(held_count == HELD_MAX);
	held[held_count++] = m;
}

static void held_pop(const struct mutex *m)
{
	for (unsigned i = held_count; i-- > 0;) {
		if (held[i] != m)
			continue;
		for (held_count--; i < held_count; i++)
			held[i] = held[i + 1];
		return;
	}
	BUG_ON("unlock of a mutex this thread does not hold");
}
#else
static inline void held_check(const struct mutex *m, bool pair)
{
	(void)m, (void)pair;
}
static inline void held_push(const struct mutex *m)
{
	(void)m;
}
static inline void held_pop(const struct mutex *m)
{
	(void)m;
}
#endif

void mutex_init(struct mutex *m, enum lock_rank rank)
{
	*m = (struct mutex)MUTEX_INIT(rank);
}

static void lock_slow(struct mutex *m)
{
	while (__atomic_exchange_n(&m->word, 2, __ATOMIC_ACQUIRE) != 0)
		hook_futex_wait(&m->word, 2);
}

static bool lock_fast(struct mutex *m)
{
	uint32_t free_word = 0;

	return __atomic_compare_exchange_n(&m->word, &free_word, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void lock_checked(struct mutex *m, bool pair)
{
	held_check(m, pair);
	if (!lock_fast(m))
		lock_slow(m);
	held_push(m);
}

void mutex_lock(struct mutex *m)
{
	lock_checked(m, false);
}

void mutex_lock_nested(struct mutex *m)
{
	lock_checked(m, true);
}

/* Cannot deadlock, so the rank is not checked. */
bool mutex_trylock(struct mutex *m)
{
	if (!lock_fast(m))
		return false;
	held_push(m);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	held_pop(m);
	if (__atomic_exchange_n(&m->word, 0, __ATOMIC_RELEASE) == 2)
		hook_futex_wake(&m->word, 1);
}

void mutex_lock2(struct mutex *a, struct mutex *b)
{
	DEBUG_ASSERT(a->rank == b->rank);
	if (a == b) {
		mutex_lock(a);
		return;
	}
	mutex_lock(a < b ? a : b);
	lock_checked(a < b ? b : a, true);
}

void mutex_unlock2(struct mutex *a, struct mutex *b)
{
	if (a != b)
		mutex_unlock(b);
	mutex_unlock(a);
}

void lock_assert_none_held(void)
{
#ifdef BRIG_DEBUG
	BUG_ON(held_count != 0);
#endif
}

void mutex_assert_held(const struct mutex *m)
{
	DEBUG_ASSERT(__atomic_load_n(&m->word, __ATOMIC_RELAXED) != 0);
}
