/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/outcome.h"

#include "lib/fmt.h"
#include "proto/control.h"
#include "sentry/core/charge.h"
#include "sentry/fs/overlay/overlay.h"

#define MAX_OVERLAYS 128u

_Static_assert(LIMIT_MEMORY == CTL_HIT_MEMORY && LIMIT_PIDS == CTL_HIT_PIDS &&
	       LIMIT_DISK == CTL_HIT_DISK, "limits are told as they are noted");

/* Written while there is one thread, read at the end. */
static struct {
	struct super *sb;	/* a reference */
	const char *target;
} overlays[MAX_OVERLAYS];
static unsigned n_overlays;

void outcome_add_overlay(struct super *sb, const char *target)
{
	if (n_overlays == MAX_OVERLAYS)
		return;
	super_get(sb);
	overlays[n_overlays].sb = sb;
	overlays[n_overlays++].target = target;
}

uint32_t outcome_hit(void)
{
	return limit_noted();
}

uint64_t outcome_dropped_files(char *dir, size_t cap)
{
	uint64_t total = 0, most = 0;

	fmt_n(dir, cap, "%s", "");
	for (unsigned i = 0; i < n_overlays; i++) {
		uint64_t n = overlay_files_written(overlays[i].sb);

		total += n;
		if (n > most) {
			most = n;
			fmt_n(dir, cap, "%s", overlays[i].target);
		}
	}
	return total;
}
