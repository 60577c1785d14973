/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Futexes that the host cannot do for us: shared ones (keyed by object and offset), PI, and the
 * kernel's own wakes (clear-tid, robust lists), which are non-private in Linux too, so that the
 * split by FUTEX_PRIVATE_FLAG is exact. Private waits and wakes run natively in the cell.
 */
#include "sentry/mm/mm.h"

struct task;

/* Deadlines are CLOCK_MONOTONIC ns or WAIT_FOREVER. */
must_check int64_t futex_wait(struct task *t, uint64_t uaddr, uint32_t val, uint32_t bitset,
			      uint64_t deadline);
must_check int64_t futex_wake(struct task *t, uint64_t uaddr, int nr, uint32_t bitset);
must_check int64_t futex_requeue(struct task *t, uint64_t from, uint64_t to, int nr_wake, int nr_move,
				 const uint32_t *cmp);
must_check int64_t futex_wake_op(struct task *t, uint64_t uaddr, uint64_t uaddr2, int nr, int nr2,
				 uint32_t op);
must_check int64_t futex_lock_pi(struct task *t, uint64_t uaddr, uint64_t deadline, bool try);
must_check int64_t futex_unlock_pi(struct task *t, uint64_t uaddr);
int64_t futex_wait_restart(struct task *t);
/* A private one that came to us, of a strict thread: judged, it is the host's to carry out. */
must_check int64_t futex_private(struct task *t, const uint64_t *args);
must_check int64_t futex_private_wait(struct task *t, uint64_t uaddr, uint32_t val, uint32_t bitset,
				      uint64_t deadline);

/* The end of a thread, in this order (R10, R14), while its guest thread can still copy. */
/* The robust list (also at exec, which starts with none), then CLONE_CHILD_CLEARTID: store 0, wake. */
void futex_exit(struct task *t);
