/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Private to futex*.c. */
#include "lib/list.h"
#include "lib/lock.h"
#include "sentry/core/wait.h"
#include "sentry/task/futex.h"

#define FUTEX_BUCKETS 256

struct futex_bucket {
	struct mutex lock;	/* RANK_FUTEX */
	struct list waiters;	/* struct futex_waiter */
	struct list pis;	/* struct pi_state */
};

/* Lies on the waiting Sentry thread's stack; all under its bucket's lock. */
struct futex_waiter {
	struct list link;
	struct futex_bucket *b;	/* changed by requeue: see waiter_lock */
	struct futex_key key;
	struct task *t;
	uint32_t bitset;
	bool valid;		/* its value was seen after it was queued */
	bool kick;		/* a wake met it before that: it must look again */
	bool woken;
};

struct futex_bucket *futex_bucket(const struct futex_key *k);
static inline bool futex_key_eq(const struct futex_key *a, const struct futex_key *b)
{
	return a->obj == b->obj && a->off == b->off && a->kind == b->kind;
}
must_check int64_t futex_wake_key(const struct futex_key *k, int nr, uint32_t bitset);
/* The owner of a PI futex dies: the first waiter gets it, marked OWNER_DIED. */
void futex_pi_owner_died(struct task *t, uint64_t uaddr);
