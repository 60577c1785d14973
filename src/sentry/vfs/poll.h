/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Readiness. A file's poll op calls poll_wait for each queue that can change its answer, then
 * returns the EPOLL* bits that hold now. The table decides what is registered: nothing (NULL pt, or
 * when an answer is known), a task waiter per queue (poll, select), or an epoll item.
 */
#include <sys/epoll.h>
#include "sentry/core/wait.h"

struct file;

struct poll_table {
	void (*queue)(struct poll_table *pt, struct file *f, struct waitq *wq);
	uint32_t events;	/* what the caller is interested in */
};

static inline void poll_wait(struct poll_table *pt, struct file *f, struct waitq *wq)
{
	if (pt && pt->queue)
		pt->queue(pt, f, wq);
}

uint32_t vfs_poll(struct file *f, struct poll_table *pt);
/* fs/epoll: called by the last file_put, before the release op: no epoll watches f any more. */
void epoll_file_gone(struct file *f);
/* fs/fasync: the same for a file that has FASYNC set. */
void fasync_file_gone(struct file *f);
