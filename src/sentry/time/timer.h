/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one timer queue: deadlines in a tree, served by one thread that sleeps until the earliest.
 * A timer names what it does by a kind (kheap holds no code pointers). All-zero is a valid timer
 * that is not armed. Lock: RANK_TIMER, taken inside; a handler runs without it.
 */
#include "lib/compiler.h"
#include "lib/rbtree.h"

enum ktimer_kind {
	KT_NONE,
	KT_TASK_WAKE,		/* owner: struct task */
	KT_PTIMER,		/* owner: struct ptimer */
	KT_TIMERFD,		/* owner: the timerfd */
	KT_ITIMER_REAL,		/* owner: struct process */
	KT_CPU,			/* owner: struct process: CPU-time limits and timers */
	KT_SETTLE,		/* owner: what the sandbox gives back when idle */
	KT_KINDS
};

struct ktimer {
	struct rb_node rb;
	uint64_t when;		/* CLOCK_MONOTONIC ns at which it is looked at */
	uint64_t deadline;	/* on its own clock */
	int32_t clock;		/* CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI */
	uint32_t kind;
	void *owner;		/* borrowed: the owner cancels before it dies */
	bool queued;
};

/* Interval and POSIX timers' handlers and the thread; before the first guest runs. */
must_check int ktimer_start(void);
must_check int ktimer_thread_start(void);	/* the thread alone (tests) */
/* What an expired timer of this kind does: called by the timer thread, no locks held. It may arm
 * the timer again. */
void ktimer_set_handler(enum ktimer_kind kind, void (*fn)(struct ktimer *k));
void ktimer_init(struct ktimer *k, enum ktimer_kind kind, void *owner);
/* (Re)arms for an absolute time of `clock`. */
void ktimer_arm(struct ktimer *k, int clock, uint64_t deadline);
/* Takes it out; when its handler is running just now, waits for the end (so: no lock held that the
 * handler takes). True when it was armed. */
bool ktimer_cancel(struct ktimer *k);
/* Time left on its own clock, 0 when not armed; 1 when it has expired this moment. */
uint64_t ktimer_left(const struct ktimer *k);
