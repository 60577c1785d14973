/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The memory limit where no cgroup can be had: the launcher samples what the cells and the Sentry
 * have in memory and kills the largest cell when it is too much; its guest process then dies by
 * SIGKILL, as from the kernel's own out-of-memory killer. A guest can overshoot by what it touches
 * between two samples: OOM_SLOW_MS apart while less than a quarter of the limit is used, else
 * OOM_FAST_MS.
 */
#include <sys/types.h>
#include "lib/compiler.h"

#define OOM_SLOW_MS 250
#define OOM_FAST_MS 25

struct oom {
	uint64_t limit;		/* bytes; 0: nothing is watched */
	pid_t sentry;
	pid_t parent_tid;	/* the Sentry's thread that cells are children of, once found */
	unsigned kills;
	int64_t next_ns;	/* when to look again */
};

/* Milliseconds until the next look; -1 for never. */
int oom_wait_ms(const struct oom *o, int64_t now_ns);
void oom_look(struct oom *o, int64_t now_ns);
