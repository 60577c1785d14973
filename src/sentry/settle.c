/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sandbox gives back when its work is done. A few seconds after the last process ended, names
 * and nodes beyond the newest few are forgotten, and pages of free slots and of our own text return to
 * the host. While processes come and go the timer only looks; with none it is not armed.
 * The work has a thread of its own: to forget a node can mean to wait for the Gofer, and for the
 * Gofer to wait for a file server.
 */
#include <errno.h>
#include <time.h>
#include "host/event.h"
#include "host/mem.h"
#include "host/thread.h"
#include "host/time.h"
#include "lib/log.h"
#include "sentry/boot.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/mm.h"
#include "sentry/time/timer.h"
#include "sentry/vfs/vfs.h"

#define SETTLE_NS 4000000000ull
#define NAMES_KEPT 128u

struct settle {
	struct ktimer timer;
	uint32_t armed;		/* a */
	uint32_t ends, seen;	/* a: address spaces that ended; at the last look */
};

static KCACHE(settle_cache, struct settle, 1);
static struct settle *settle;
static uint32_t word;		/* a: the thread has work */
static bool started;		/* the timer thread's */

static void arm(void)
{
	ktimer_arm(&settle->timer, CLOCK_MONOTONIC, (uint64_t)h_now() + SETTLE_NS);
}

static void space_ended(void)
{
	__atomic_fetch_add(&settle->ends, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_exchange_n(&settle->armed, 1, __ATOMIC_SEQ_CST))
		arm();
}

static void settle_main(void *arg)
{
	(void)arg;
	for (;;) {
		while (!__atomic_exchange_n(&word, 0, __ATOMIC_ACQ_REL))
			(void)h_futex_wait(&word, 0, NULL);
		uint64_t names = dcache_trim(NAMES_KEPT), pages = kheap_trim();

		h_drop_text();
		log_debug("settled: %lu names forgotten, %lu pages given back", names, pages);
	}
}

static void look(struct ktimer *k)
{
	uint32_t ends = __atomic_load_n(&settle->ends, __ATOMIC_SEQ_CST);

	if (ends != settle->seen) {
		settle->seen = ends;
		arm();
		return;
	}
	__atomic_store_n(&settle->armed, 0, __ATOMIC_SEQ_CST);
	if (!started)
		started = !h_thread_spawn(settle_main, NULL, 0);
	__atomic_store_n(&word, 1, __ATOMIC_RELEASE);
	(void)h_futex_wake(&word, 1);
}

int settle_init(void)
{
	settle = kc_alloc(&settle_cache);
	if (!settle)
		return -ENOMEM;
	ktimer_init(&settle->timer, KT_SETTLE, settle);
	ktimer_set_handler(KT_SETTLE, look);
	mm_ended = space_ended;
	return 0;
}
