/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/task/task.h"

struct clone_args_k {
	uint64_t flags;			/* CLONE_*, without the signal */
	uint64_t stack, stack_size, tls;
	uint64_t parent_tid, child_tid, pidfd;	/* guest addresses */
	int32_t exit_signal;
	int32_t set_tid[PID_LEVELS];
	uint32_t set_tid_n;
	/* fs/pidfd's pidfd_create, for CLONE_PIDFD */
	int (*open_pidfd)(struct pid *pid, unsigned flags, struct file **out);
};
/* The child's number in the caller's namespace, or a negative errno. */
must_check int64_t task_clone(struct task *t, const struct clone_args_k *a);
