/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of other processes. What /proc shows of arguments and environment comes from a copy
 * made by exec, so that looking disturbs nobody (R13). Tracing and process_vm_readv need the
 * descriptor that a cell opens on itself; the task does it at its next stop when asked.
 */
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"

#define WAIT_NS 1000000ull
#define WAIT_TRIES 1000
#define TRY_TRIES 5
#define STATS_MAX 128u
enum { WANT_MEM = 1, WANT_STAT = 2 };	/* mem_wanted */
#define TRY_OPEN_MAX 64		/* descriptors that mere looking may cost */

struct args_copy *args_copy_create(uint64_t start, const void *p, size_t n)
{
	struct args_copy *a;

	if (n > ARGS_COPY_MAX)
		return NULL;
	a = kmalloc(sizeof(*a) + n);
	if (!a)
		return NULL;
	ref_init(&a->ref, 1);
	a->start = start;
	a->n = n;
	__builtin_memcpy(a->data, p, n);
	return a;
}

/* Descriptors are few: beyond the limit the estimate has to do. */
static void serve_stat(struct task *t, struct mm *mm)
{
	if (__atomic_load_n(&mm->stat_open, __ATOMIC_ACQUIRE))
		return;
	if (__atomic_add_fetch(&mm_stats_open, 1, __ATOMIC_RELAXED) > STATS_MAX || pl_stat_open(t->pl))
		__atomic_fetch_sub(&mm_stats_open, 1, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&mm->stat_open, true, __ATOMIC_RELEASE);
}

/* By the task itself, between two calls or asleep in one. */
void task_serve_mem(struct task *t)
{
	struct mm *mm = t->mm;
	uint8_t wanted = __atomic_exchange_n(&t->mem_wanted, 0, __ATOMIC_RELAXED);

	if (!mm || t->gone)
		return;
	if (wanted & WANT_STAT)
		serve_stat(t, mm);
	if (wanted == WANT_STAT)
		return;
	if (__atomic_load_n(&mm->mem_open, __ATOMIC_ACQUIRE)) {
		/* What the last call put out is to be seen, too. */
		if (pl_flush(t->pl) == -EFAULT)
			task_regs(t, true)->rax = (uint64_t)-EFAULT;
		return;
	}
	if (pl_mem_open(t->pl) == 0)
		__atomic_store_n(&mm->mem_open, true, __ATOMIC_RELEASE);
}

static int open_within(struct task *t, struct task *o, int tries)
{
	struct mm *mm = task_mm_get(o);
	int rc = -ENXIO;

	if (!mm)
		return -ESRCH;
	if (mm == t->mm)
		task_serve_mem(t);
	for (int i = 0; i < tries; i++) {
		if (__atomic_load_n(&mm->mem_open, __ATOMIC_ACQUIRE)) {
			rc = 0;
			break;
		}
		if (kill_pending(t) || o->exiting)
			break;
		if (!i) {
			__atomic_fetch_or(&o->mem_wanted, WANT_MEM, __ATOMIC_RELEASE);
			task_notify(o, TW_NOTIFY);
		}
		(void)!wait_sleep(t, WAIT_KILLABLE, now_mono() + WAIT_NS);
	}
	mm_put(mm);
	return rc;
}

int task_mem_open(struct task *t, struct task *o)
{
	return open_within(t, o, WAIT_TRIES);
}

void task_mem_try(struct task *t, struct task *o)
{
	static uint32_t opened;
	struct mm *mm = task_mm_get(o);

	if (!mm)
		return;
	if (!mm->mem_open && (mm == t->mm || __atomic_load_n(&o->state, __ATOMIC_RELAXED) == TASK_SLEEPING) &&
	    __atomic_load_n(&opened, __ATOMIC_RELAXED) < TRY_OPEN_MAX && open_within(t, o, TRY_TRIES) == 0)
		__atomic_fetch_add(&opened, 1, __ATOMIC_RELAXED);
	mm_put(mm);
}

void task_stat_try(struct task *t, struct task *o)
{
	struct mm *mm = task_mm_get(o);

	if (!mm)
		return;
	if (mm == t->mm) {
		serve_stat(t, mm);
	} else if (!mm->stat_open && __atomic_load_n(&o->state, __ATOMIC_RELAXED) == TASK_SLEEPING &&
		   __atomic_load_n(&mm_stats_open, __ATOMIC_RELAXED) < STATS_MAX) {
		__atomic_fetch_or(&o->mem_wanted, WANT_STAT, __ATOMIC_RELEASE);
		task_notify(o, TW_NOTIFY);
		for (int i = 0; i < TRY_TRIES && !mm->stat_open && !kill_pending(t); i++)
			(void)!wait_sleep(t, WAIT_KILLABLE, now_mono() + WAIT_NS);
	}
	mm_put(mm);
}
