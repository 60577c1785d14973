/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one place for arithmetic on lengths that came from outside. True means "it fits". */
#include "lib/compiler.h"

static inline must_check bool size_add(size_t a, size_t b, size_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

static inline must_check bool size_mul(size_t a, size_t b, size_t *out)
{
	return !__builtin_mul_overflow(a, b, out);
}

static inline must_check bool off_add(int64_t a, int64_t b, int64_t *out)
{
	return !__builtin_add_overflow(a, b, out);
}

/* Rounds up to a page; false when that wraps. */
static inline must_check bool page_up(uint64_t x, uint64_t *out)
{
	if (__builtin_add_overflow(x, PAGE_SIZE - 1, out))
		return false;
	*out &= PAGE_MASK;
	return true;
}

/* [start, start + len) lies in [lo, hi), without wrapping. */
static inline must_check bool range_within(uint64_t start, uint64_t len, uint64_t lo, uint64_t hi)
{
	return start >= lo && start <= hi && len <= hi - start;
}
