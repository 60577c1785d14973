/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account. Counters are added to first and taken back when that went over the limit, so that
 * two callers can never both take the last bytes. No lock: callers hold any.
 */
#include "sentry/core/charge.h"
#include <errno.h>
#include "lib/bug.h"
#include "sentry/core/kheap_int.h"

#define RECLAIMERS_MAX 8
#define RECLAIM_MIN (256u << 10)

static uint64_t (*reclaimers[RECLAIMERS_MAX])(uint64_t wanted);
static unsigned reclaimer_count;

int charge_init(uint64_t limit, uint64_t file_limit)
{
	if (!kheap_root)
		return -EINVAL;
	kheap_root->charge.limit = limit;
	kheap_root->charge.file_limit = file_limit;
	return 0;
}

void charge_add_reclaimer(uint64_t (*fn)(uint64_t wanted))
{
	BUG_ON(reclaimer_count == RECLAIMERS_MAX);
	reclaimers[reclaimer_count++] = fn;
}

uint64_t charge_used(enum charge_kind k)
{
	return __atomic_load_n(&kheap_root->charge.used[k], __ATOMIC_RELAXED);
}

uint64_t charge_limit(void)
{
	return kheap_root->charge.limit;
}

uint64_t charge_file_limit(void)
{
	return kheap_root->charge.file_limit;
}

static bool over(const struct charge_state *c, enum charge_kind k)
{
	uint64_t sum = 0;

	if (k == CHARGE_FILE && c->file_limit && charge_used(k) > c->file_limit)
		return true;
	for (int i = 0; i < CHARGE_KINDS; i++)
		sum += charge_used((enum charge_kind)i);
	return c->limit && sum > c->limit;
}

static uint32_t noted;		/* a: LIMIT_* */

void limit_note(uint32_t limit)
{
	if (!(__atomic_load_n(&noted, __ATOMIC_RELAXED) & limit))
		__atomic_fetch_or(&noted, limit, __ATOMIC_RELAXED);
}

uint32_t limit_noted(void)
{
	return __atomic_load_n(&noted, __ATOMIC_RELAXED);
}

int charge(enum charge_kind k, uint64_t bytes)
{
	struct charge_state *c = &kheap_root->charge;

	if (bytes > UINT64_MAX / 4)
		return -ENOMEM;
	__atomic_fetch_add(&c->used[k], bytes, __ATOMIC_RELAXED);
	if (likely(!over(c, k)))
		return 0;
	for (unsigned i = 0; i < reclaimer_count; i++) {
		if (!reclaimers[i](max(bytes, (uint64_t)RECLAIM_MIN)))
			continue;
		if (!over(c, k))
			return 0;
	}
	uncharge(k, bytes);
	limit_note(k == CHARGE_FILE ? LIMIT_DISK : LIMIT_MEMORY);
	return -ENOMEM;
}

void uncharge(enum charge_kind k, uint64_t bytes)
{
	uint64_t old = __atomic_fetch_sub(&kheap_root->charge.used[k], bytes, __ATOMIC_RELAXED);

	BUG_ON(old < bytes);
}
