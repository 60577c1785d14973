/* SPDX-License-Identifier: Apache-2.0 */
/* What core/wait.c needs from a task. */
#include "sentry/task/task_i.h"

uint32_t *task_wait_word(struct task *t)
{
	return &t->wake_word;
}

bool task_wait_pending(const struct task *t, enum wait_mode mode)
{
	return mode == WAIT_KILLABLE ? kill_pending(t) : signal_pending(t);
}

/* Only between "in the kernel" and "asleep": stops set their own state around it. */
void task_wait_state(struct task *t, bool sleeping)
{
	uint32_t s = __atomic_load_n(&t->state, __ATOMIC_RELAXED);

	if (sleeping) {
		task_wake_owed();
		pl_will_block(t->pl);
		if (!t->vfork_wait && pl_cpu_free())	/* its child is about to need it */
			space_idle();
	}
	if (sleeping && s == TASK_KERNEL)
		__atomic_store_n(&t->state, TASK_SLEEPING, __ATOMIC_SEQ_CST);
	else if (!sleeping && s == TASK_SLEEPING)
		__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
	if (unlikely(!sleeping && __atomic_load_n(&t->mem_wanted, __ATOMIC_ACQUIRE)))
		task_serve_mem(t);
}
