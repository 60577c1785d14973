/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Marks on inodes and the dispatch of events to them. A watch belongs to an inotify instance
 * (fs/inotify), which embeds it; the core only links it to the inode and calls notify_deliver.
 */
#include "sentry/vfs/vfs.h"

struct watch {
	struct list inode_link;		/* notify lock; in inode->watches */
	struct inode *inode;		/* owned by the watch's owner */
	void *group;			/* the instance */
	uint32_t mask;			/* IN_*; notify lock */
	int32_t wd;
};

/*
 * Registered at start by fs/inotify; called with the notify lock (RANK_NOTIFY) held, with the bits
 * that matched (and IN_ISDIR). It only queues: no sleeping, no inode_put. IN_IGNORED comes last: the
 * core has unlinked the watch (IN_DELETE_SELF, IN_UNMOUNT, IN_ONESHOT) and will not use it again.
 */
extern void (*notify_deliver)(struct watch *w, uint32_t mask, uint32_t cookie, const char *name,
			      size_t len);

void notify_add_watch(struct watch *w);		/* inode and group are set */
/* False when the core had already taken it off. */
bool notify_del_watch(struct watch *w);
/* The watch of this instance on i, or NULL; stable while the instance's own lock keeps it. */
struct watch *notify_find(struct inode *i, void *group);
void notify_set_mask(struct watch *w, uint32_t mask);
