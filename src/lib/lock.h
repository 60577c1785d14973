/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sleeping mutexes with a rank. They may live in kheap: no thread identity is stored, and the
 * all-zero word is "unlocked". Debug builds keep a per-thread stack of held ranks and stop the
 * process on an inversion (taking a lock whose rank is not greater than every held one).
 * docs/locking.md has the order with the path behind each edge.
 *
 * Two locks of one rank are taken through mutex_lock2 (by address). There are no spinlocks: a
 * guest that is woken may preempt the holder on its own CPU (R16).
 */
#include "lib/compiler.h"

enum lock_rank {		/* outermost first */
	RANK_NONE,
	RANK_EPOLL_TREE,	/* which epoll watches which file; poll ops take anything below */
	RANK_EPOLL,		/* one epoll instance; nested ones outer first */
	RANK_OVL2_RENAME,	/* an overlay that a guest mounted upon such an overlay: as RENAME */
	RANK_OVL2_INODE,	/* its inodes */
	RANK_OVL2_COPY,		/* its copies in the making */
	RANK_OVL1_RENAME,	/* an overlay that a guest mounted upon others' directories */
	RANK_OVL1_INODE,
	RANK_OVL1_COPY,
	RANK_RENAME,		/* one per superblock tree: cross-directory renames */
	RANK_INODE,		/* struct inode.lock; a directory's is held over its Gofer call */
	RANK_INODE_NESTED,	/* a child or the second directory, while RANK_INODE is held */
	RANK_INODE_LOWER,	/* an inode below an overlay's inode, parent first */
	RANK_INODE_LOWER_NESTED,
	RANK_MOUNT,		/* the mount tree */
	RANK_DCACHE,		/* all dentry links, hash and LRU */
	RANK_MM,		/* struct mm.lock */
	RANK_TASKS,		/* process tree, groups, sessions, ptrace links, credentials tables */
	RANK_FILES,		/* struct files.lock, struct fsctx.lock */
	RANK_SIGHAND,		/* one thread group's signal state and its threads' pending sets */
	RANK_SOCK,		/* one socket; two by mutex_lock2 */
	RANK_NOTIFY,		/* the links between inodes and their watches */
	RANK_OBJECT,		/* pipe, eventfd, timerfd, tty, inotify, sysv, ... one at a time */
	RANK_TIMER,		/* the timer queue */
	RANK_FUTEX,		/* one futex bucket; two by mutex_lock2 */
	RANK_PIDMAP,		/* pid allocation */
	RANK_WAITQ,		/* struct waitq: leaf for everything above */
	RANK_EPOLL_READY,	/* an epoll's ready list, changed by wake-ups */
	RANK_BELIEF,		/* the host directories that are believed for a moment */
	RANK_GOFER,		/* one channel to the Gofer, over its request */
	RANK_GOFER_TABLE,	/* a gofer superblock's inode table, the queue of handles to forget */
	RANK_PLATFORM,		/* the platform's tables */
	RANK_HEAP,		/* slabs, charge */
	RANK_LOG,
	RANK_COUNT
};

struct mutex {
	uint32_t word;		/* 0 free, 1 held, 2 held with sleepers */
	uint16_t rank;
	uint16_t pad;
};

#define MUTEX_INIT(r) {0, (r), 0}

void mutex_init(struct mutex *m, enum lock_rank rank);
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
/* As mutex_lock, but a lock of the same rank may be held: the caller's structure rules out cycles
 * (a wait queue whose wake-up wakes the queue of an epoll that watches it). */
void mutex_lock_nested(struct mutex *m);
void mutex_unlock(struct mutex *m);
/* Takes two mutexes of one rank in address order; a == b is taken once. */
void mutex_lock2(struct mutex *a, struct mutex *b);
void mutex_unlock2(struct mutex *a, struct mutex *b);
/* Debug builds: stops if this thread holds any lock (before a guest copy, a stop, an order). */
void lock_assert_none_held(void);
/* Debug builds: stops if `m` is not locked by anybody. */
void mutex_assert_held(const struct mutex *m);
