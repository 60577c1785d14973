/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Resource usage and CPU masks, for getrusage, times, CPU clocks and /proc. */
#include "lib/fmt.h"
#include "sentry/task/task.h"

void task_usage(struct task *t, struct rusage_sum *out);	/* one thread, so far */
void process_usage(struct process *p, struct rusage_sum *out);	/* all threads, dead ones too */

/* struct task.affinity as /proc shows masks: "ff,ffffffff" and "0-3,8". */
void cpumask_show(const uint8_t *mask, struct buf *b);
void cpumask_show_list(const uint8_t *mask, struct buf *b);

int task_seccomp_mode(const struct task *t);		/* 0 none, 1 strict, 2 filter */
unsigned task_seccomp_count(const struct task *t);
