/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fake.h"

uint32_t *task_wait_word(struct task *t)
{
	return &t->word;
}

bool task_wait_pending(const struct task *t, enum wait_mode mode)
{
	return __atomic_load_n(&t->pending, __ATOMIC_ACQUIRE) > (int)mode;
}

void task_wait_state(struct task *t, bool sleeping)
{
	(void)t, (void)sleeping;
}
