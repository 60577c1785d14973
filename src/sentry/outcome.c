/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/outcome.h"

#include <string.h>

#include "proto/control.h"
#include "sentry/core/charge.h"
#include "sentry/fs/tmpfs/tmpfs.h"

static uint32_t hits;		/* a: CTL_HIT_* */

void outcome_init(const struct boot_spec *s)
{
	(void)s;
}

void outcome_note(uint32_t hit)
{
	if (!(__atomic_load_n(&hits, __ATOMIC_RELAXED) & hit))
		__atomic_fetch_or(&hits, hit, __ATOMIC_RELAXED);
}

uint32_t outcome_hit(void)
{
	return __atomic_load_n(&hits, __ATOMIC_RELAXED);
}

bool outcome_oom_killed_init(void)
{
	return outcome_hit() & CTL_HIT_MEMORY;
}

uint64_t outcome_dropped_files(char *dir, size_t cap)
{
	if (cap)
		*dir = 0;
	return 0;
}
