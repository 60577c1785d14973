/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Resource usage and CPU masks, for getrusage, times, CPU clocks and /proc. */
#include "lib/fmt.h"
#include "sentry/task/task.h"

void task_usage(struct task *t, struct rusage_sum *out);	/* one thread, so far */
void task_sys_start(struct task *t);	/* its Sentry thread begins to serve it */
void task_sys_end(struct task *t);
void process_usage(struct process *p, struct rusage_sum *out);	/* all threads, dead ones too */

/* struct task.affinity as /proc shows masks: "ff,ffffffff" and "0-3,8". */
void cpumask_show(const uint8_t *mask, struct buf *b);
void cpumask_show_list(const uint8_t *mask, struct buf *b);

int task_seccomp_mode(const struct task *t);		/* 0 none, 1 strict, 2 filter */
unsigned task_seccomp_count(const struct task *t);

/* The whole sandbox, for /proc/stat, loadavg and sysinfo. */
struct sys_usage {
	uint64_t utime, stime, switches, forks;
	uint32_t tasks, running;
};
void sys_usage_sum(struct sys_usage *u);
void sys_usage_gone(struct process *p);	/* T held: it leaves the list of processes */
void sys_loadavg(uint32_t load[3]);	/* 16.16 fixed point over 1, 5, 15 minutes */
