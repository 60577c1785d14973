/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Answers that guests keep. A walk with LOOKUP_TELL finds out whether its outcome may be told: it is
 * while every directory it looked into is *settled*, which means that its names change only through
 * this kernel (told_names_changed), or that somebody looks after the host's changes and raises the
 * epoch before a change could be missed (fs/gofer/believe.c).
 *
 * The epoch is read before a walk begins. Names: it is raised under the dcache lock in which the
 * change becomes visible, and every look at a name takes that lock, so a walk that saw the old state
 * has an epoch that is past. Rights, mounts and roots have no such lock: they change between
 * told_change_begin and _end, and no walk that began in between is told.
 *
 * told_news says that the guest is about to learn something from outside. Who has seen a host
 * directory before that has to look again, so nobody can know of one change and miss an earlier one.
 */
#include "lib/told.h"
#include "sentry/vfs/vfs.h"

extern struct told_page *told_page;	/* what the cells see; memory of our own until told_init */

/* What the last walk with LOOKUP_TELL of this thread found. */
struct told_walk {
	uint64_t epoch;
	bool sure;
};
extern _Thread_local struct told_walk told_walk;

void told_init(struct told_page *page);
void told_change_begin(void);
void told_change_end(void);
/* A name of sb changes; the dcache lock is held. */
void told_names_changed(struct super *sb);
void told_raise_epoch(void);
void told_news(void);
/* A process has taken the last descriptor it may have. For good: it is rare. */
void told_full(void);

/* --- for the walk ---------------------------------------------------------------------------- */

void told_walk_begin(bool absolute);
/* Before a name is looked up in dir: from now on its changes raise the epoch. */
void told_walk_enter(struct inode *dir);
/* After it: was that the whole truth? */
void told_walk_looked(struct inode *dir);
static inline void told_walk_unsure(void)
{
	told_walk.sure = false;
}
