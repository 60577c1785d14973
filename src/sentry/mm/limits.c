/* SPDX-License-Identifier: Apache-2.0 */
/* What may be mapped: RLIMIT_AS, DATA, STACK, MEMLOCK and the overcommit heuristic (mode 0). */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include "host/mem.h"
#include "sentry/mm/mm_int.h"

static uint64_t total_ram;	/* bytes of RAM and swap of the host; 0 not known */

int mm_may_expand_locked(struct task *t, struct mm *mm, uint32_t flags, uint64_t len)
{
	uint64_t lim = task_rlimit(t, RLIMIT_AS), sum;

	if (__builtin_add_overflow(mm->total_vm, len, &sum) || sum > lim)
		return -ENOMEM;
	if (vma_flags_data(flags) && mm->data_vm + len > task_rlimit(t, RLIMIT_DATA))
		return -ENOMEM;
	return 0;
}

/* A range that becomes private and writable by mprotect. */
int mm_may_expand_data_locked(struct task *t, struct mm *mm, uint64_t len)
{
	return mm->data_vm + len > task_rlimit(t, RLIMIT_DATA) ? -ENOMEM : 0;
}

int mm_mlock_check_locked(struct task *t, struct mm *mm, uint32_t flags, uint64_t len)
{
	if (!(flags & VMA_LOCKED) || task_capable(t, CAP_IPC_LOCK))
		return 0;
	return mm->locked_vm + len > task_rlimit(t, RLIMIT_MEMLOCK) ? -EAGAIN : 0;
}

int mm_overcommit_check(uint32_t flags, uint64_t len)
{
	struct sysinfo si;

	if ((flags & VMA_NORESERVE) || !vma_flags_data(flags))
		return 0;
	if (!__atomic_load_n(&total_ram, __ATOMIC_RELAXED)) {
		if (h_sysinfo(&si))
			return 0;
		__atomic_store_n(&total_ram, (si.totalram + si.totalswap) * si.mem_unit,
				 __ATOMIC_RELAXED);
	}
	return len > total_ram ? -ENOMEM : 0;
}

uint64_t mm_stack_limit(struct task *t)
{
	return task_rlimit(t, RLIMIT_STACK);
}
