/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Saturating reference counts. `ref_get` needs an existing reference; a lookup uses
 * `ref_get_unless_zero` under its table's lock. A count that saturates is never freed.
 */
#include "lib/bug.h"
#include "lib/compiler.h"

typedef struct {
	uint32_t n;
} refcount_t;

#define REF_SATURATED 0xc0000000u

static inline void ref_init(refcount_t *r, uint32_t n)
{
	__atomic_store_n(&r->n, n, __ATOMIC_RELAXED);
}

static inline uint32_t ref_read(const refcount_t *r)
{
	return __atomic_load_n(&r->n, __ATOMIC_RELAXED);
}

static inline void ref_get(refcount_t *r)
{
	uint32_t old = __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED);
	BUG_ON(old == 0);
	if (unlikely(old >= REF_SATURATED))
		__atomic_store_n(&r->n, REF_SATURATED, __ATOMIC_RELAXED);
}

static inline bool ref_get_unless_zero(refcount_t *r)
{
	uint32_t old = ref_read(r);
	do {
		if (old == 0)
			return false;
		if (old >= REF_SATURATED)
			return true;
	} while (!__atomic_compare_exchange_n(&r->n, &old, old + 1, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_RELAXED));
	return true;
}

/* True when this was the last reference; the caller then destroys the object. */
static inline must_check bool ref_put(refcount_t *r)
{
	if (unlikely(ref_read(r) >= REF_SATURATED))
		return false;
	uint32_t old = __atomic_fetch_sub(&r->n, 1, __ATOMIC_ACQ_REL);
	BUG_ON(old == 0);
	return old == 1;
}
