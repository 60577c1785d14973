/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One page of the Sentry's that every cell can read: how long what a guest thread was told of names
 * may be believed without asking again (sentry/vfs/told.h). An answer counts while `epoch` is the one
 * it came with, `checked` is `news` and the time-stamp counter is below `until`.
 */
#include <stdint.h>

struct told_page {
	uint64_t epoch;		/* counts changes of names and of rights to look them up */
	uint64_t news;		/* counts what was learnt of the world outside */
	uint64_t checked;	/* the count before which the host's directories were last looked at */
	uint64_t until;		/* TSC: that look is believed until then */
	uint32_t full;		/* some table of descriptors may be: open fails before it looks */
};

static inline uint64_t told_clock(void)
{
	return __builtin_ia32_rdtsc();
}

static inline int told_is_fresh(const struct told_page *p)
{
	uint64_t checked = __atomic_load_n(&p->checked, __ATOMIC_ACQUIRE);

	return checked == __atomic_load_n(&p->news, __ATOMIC_ACQUIRE) &&
	       told_clock() < __atomic_load_n(&p->until, __ATOMIC_RELAXED);
}
