/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between the files of sentry/task only. */
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

extern struct kcache task_cache, process_cache;

/* task.c */
struct task *task_alloc(void);
void task_set_work(struct task *t, uint32_t bits);
void task_clear_work(struct task *t, uint32_t bits);
/* Sets the bits, then makes the task look: out of the guest by a kick, out of a sleep by a wake. */
void task_notify(struct task *t, uint32_t bits);
/* The full register set, loaded into t->regs; marks it changed when `write`. */
struct l_regs *task_regs(struct task *t, bool write);
void task_regs_load(struct task *t, const struct l_regs *r);
void task_mm_release(struct task *t);

/* cells.c */
enum slow { SLOW_TRACED = 1, SLOW_FILTERED = 2, SLOW_CALLS = 4 };
uint8_t task_slow(const struct task *t);
void task_tell_ids(struct task *t);
void task_untell_actions(struct task *t);
void task_take_actions(struct task *t);

/* task.c: lets the guest thread go while something else is still to be done for it: the task's own
 * Sentry thread is to be woken, or an old space to be left. Nothing of it may be touched then but by
 * task_main. Does nothing when there is work. */
void task_prestart(struct task *t);
/* Of this Sentry thread: a child task that runs is given its own now, not after the next reply. */
void task_wake_owed(void);

/* exit.c */
void task_do_exit(struct task *t);		/* runs everything up to zombie or gone */
void process_release_task_locked(struct task *t, struct list *dead);
/* S held. `except` ends by itself. */
void group_exit_locked(struct process *p, int32_t code, struct task *except);
bool process_is_orphaned_pgrp(struct pid *pgrp, struct task *ignored);
void task_release_list(struct list *dead);

/* signal.c; S held unless stated */
int signal_send_locked(struct task *target, int scope, int sig, const struct l_siginfo *info, bool force);
int signal_dequeue(struct task *t, l_sigset mask, struct l_siginfo *info);
void signal_flush(struct sigpending *p);
void signal_flush_mask(struct sigpending *p, l_sigset mask);
void sigqueue_free(struct sigqueue *q);
void signal_wake(struct task *t, bool fatal);
bool signal_default_ignored(int sig);
bool signal_is_ignored(struct process *p, int sig);
void signal_kill_thread(struct task *t);	/* adds SIGKILL and wakes */
bool signal_dumps_core(int sig);
bool signal_stops(int sig);
int signal_send_process_locked(struct process *p, int sig, const struct l_siginfo *info);	/* T held */
int task_may_signal_locked(struct task *t, struct task *target, int sig);	/* T held */
struct l_sigaction *signal_action(struct process *p, int sig);

/* jobctl.c */
void jobctl_prepare(struct process *p, struct task *t, int sig);	/* S: effects of stop/cont signals at send */
bool jobctl_do_stop(struct task *t, int sig);	/* S held, drops it when it returns true */
void jobctl_trap(struct task *t);		/* S held, drops it */
void jobctl_set_pending(struct task *t, uint32_t mask);
void jobctl_clear_pending(struct task *t, uint32_t mask);
void jobctl_task_gone(struct task *t);		/* S */
void notify_parent_cldstop(struct task *t, bool for_ptracer, int why);	/* T held */
void process_tell_end(struct process *p, struct list *dead);	/* T held; only if it has ended */
bool notify_parent_exit(struct task *t, int sig);	/* T held; true: reap at once */
void process_tell_parent(struct task *t);	/* pending CLD_STOPPED/CONTINUED; no locks */

/* deliver.c */
void signal_deliver(struct task *t);		/* before the guest runs: all work */
void syscall_finish(struct task *t, int64_t ret);

/* signal_x86.c */
must_check int frame_restore(struct task *t);
uint32_t altstack_state(const struct task *t, uint64_t sp);
must_check int altstack_set(struct task *t, const struct l_sigaltstack *ss, uint64_t sp, bool quiet);
uint64_t altstack_min(void);
int frame_build(struct task *t, int sig, const struct l_sigaction *act,
			   const struct l_siginfo *info, l_sigset mask);
/* memopen.c */
struct args_copy *args_copy_create(uint64_t start, const void *p, size_t n) must_check;
void task_serve_mem(struct task *t);

/* Misc */
void task_init_affinity(struct task *t);
struct group_list *group_list_create(const uint32_t *gid, uint32_t n) must_check;
void process_usage_locked(struct process *p, struct rusage_sum *out);	/* T */
void process_cpu_attach(struct process *p, pl_space_t space);	/* T */
void process_cpu_detach(struct process *p);			/* T */
void task_start_failed(struct task *t);
