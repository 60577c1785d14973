/* SPDX-License-Identifier: Apache-2.0 */
/* What core/wait.c needs from a task. */
#include "sentry/task/task.h"

uint32_t *task_wait_word(struct task *t)
{
	return &t->wake_word;
}

bool task_wait_pending(const struct task *t, enum wait_mode mode)
{
	return mode == WAIT_KILLABLE ? kill_pending(t) : signal_pending(t);
}

void task_wait_state(struct task *t, bool sleeping)
{
	__atomic_store_n(&t->state, sleeping ? TASK_SLEEPING : TASK_KERNEL, __ATOMIC_RELAXED);
}
