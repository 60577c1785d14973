/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks that grow (R9), faults, and failed queued ops. The host never grows a stack for us: the
 * area between a stack and its current limit is mapped natively when it is first touched, by the
 * guest or by a copy of the kernel.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include "sentry/mm/mm_int.h"
#include "sentry/task/ns.h"

#define GROW_CHUNK (128 * 1024ul)
#define STACK_FIRST (132 * 1024ul)

/* How far down the stack v may be taken for addr; 0: not at all. */
static uint64_t grow_to_locked(struct task *t, struct mm *mm, struct vma *v, uint64_t addr)
{
	struct vma *p = vma_prev(v);
	uint64_t lim = mm_stack_limit(t), lowest = PL_GUEST_MIN, at = page_down(addr);

	if (lim < v->end - PL_GUEST_MIN)
		lowest = page_down(v->end - lim + PAGE_SIZE - 1);
	if (p) {
		bool gap = !(p->flags & VMA_GROWSDOWN) && (p->flags & MM_PROT_MASK);
		lowest = max(lowest, p->end + (gap ? MM_STACK_GAP : 0));
	}
	if (at < lowest || at >= v->start)
		return 0;
	if (v->start - at < GROW_CHUNK)
		at = v->start - lowest > GROW_CHUNK ? v->start - GROW_CHUNK : lowest;
	if (mm_may_expand_locked(t, mm, v->flags, v->start - at))
		at = page_down(addr);
	if (mm_may_expand_locked(t, mm, v->flags, v->start - at))
		return 0;
	if (mm_mlock_check_locked(t, mm, v->flags, v->start - at))
		return 0;
	return at;
}

static int grow_stack(struct task *t, struct mm *mm, struct vma *v, uint64_t addr)
{
	struct pl_op op = {.kind = PL_OP_MAP_ANON, .flags = MAP_PRIVATE};
	uint64_t at = grow_to_locked(t, mm, v, addr), old = v->start;
	struct flight *fl = NULL;
	int r;

	if (!at) {
		mutex_unlock(&mm->lock);
		return SEGV_MAPERR;
	}
	if (flight_must_wait_locked(mm, t, at, old)) {	/* then look again */
		r = mm_wait_range_locked(mm, t, at, old);
		mutex_unlock(&mm->lock);
		return r ? SEGV_MAPERR : 0;
	}
	r = flight_begin_locked(mm, t, at, old, FLIGHT_MAP, &fl);
	if (!r) {
		op.addr = at, op.len = old - at;
		op.prot = vma_prot(v);
		vma_resize_locked(mm, v, at, v->end);
	}
	mutex_unlock(&mm->lock);
	if (r)
		return SEGV_MAPERR;
	r = flight_run(mm, t, fl, &op, false);
	if (r) {
		mm_unmap_unknown(t, at, old);
		return SEGV_MAPERR;
	}
	return 0;
}

int mm_fault(struct task *t, uint64_t addr, bool write)
{
	struct mm *mm = t->mm;
	struct vma *v;
	bool waiting;
	int r;

	if (!mm || addr >= mm->task_top)
		return SEGV_MAPERR;
	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, addr);
	if (v && v->start > addr && (v->flags & VMA_GROWSDOWN))
		return grow_stack(t, mm, v, addr);
	waiting = flight_over_locked(mm, t, page_down(addr), page_down(addr) + PAGE_SIZE) != 0;
	if (!v || v->start > addr) {
		r = SEGV_MAPERR;
	} else if (waiting && (write ? v->flags & VMA_WRITE : v->flags & MM_PROT_MASK)) {
		/* another thread's call is on its way to the host: wait for it and retry */
		r = mm_wait_range_locked(mm, t, addr, addr + 1) ? SEGV_ACCERR : 0;
	} else {
		r = SEGV_ACCERR;
	}
	mutex_unlock(&mm->lock);
	return r;
}

static void reprotect(struct task *t, uint64_t addr, uint64_t len)
{
	struct pl_op op = {.kind = PL_OP_PROTECT};
	uint64_t at = addr, end = addr + len;

	while (at < end) {
		struct vma *v;
		mutex_lock(&t->mm->lock);
		v = vma_overlap_locked(t->mm, at, end);
		if (v) {
			op.addr = max(v->start, at);
			op.len = min(v->end, end) - op.addr;
			op.prot = vma_prot(v);
		}
		mutex_unlock(&t->mm->lock);
		if (!v)
			return;
		if (pl_op(t->pl, &op))
			log_debug("mm: %lx+%lx could not be protected again", op.addr, op.len);
		at = op.addr + op.len;
	}
}

void mm_op_failed(struct task *t, uint64_t addr, uint64_t len, int err)
{
	enum flight_kind kind = FLIGHT_MAP;
	uint64_t end;

	if (!t->mm || __builtin_add_overflow(addr, len, &end))
		return;
	if (!flight_find_failed(t->mm, t, addr, len, &kind)) {
		mm_flights_done(t);	/* nothing that we asked for: the cell lies */
		return;
	}
	mm_flights_done(t);
	pl_set_result(t->pl, err);
	if (kind == FLIGHT_MAP)
		mm_unmap_unknown(t, addr, end);
	else if (kind == FLIGHT_PROTECT)
		reprotect(t, addr, len);
}

/* --- exec ----------------------------------------------------------------------------------------- */

int mm_setup_stack(struct task *t, uint64_t size, bool exec_stack, uint64_t *top)
{
	struct mm *mm = t->mm;
	int prot = PROT_READ | PROT_WRITE | (exec_stack ? PROT_EXEC : 0);
	uint64_t end = mm->task_top - mm_stack_random() - PAGE_SIZE, len;
	struct vma *v, *dead = NULL;
	int64_t r;

	if (!page_up(max(size, STACK_FIRST), &len) || len > (64ul << 20))
		return -ENOMEM;
	end &= PAGE_MASK;
	r = mm_mmap(t, end - len, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0);
	if (r < 0)
		return (int)r;
	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, end - len);
	if (v) {
		vma_set_flags_locked(mm, v, v->flags | VMA_GROWSDOWN | VMA_STACK);
		(void)vma_merge_locked(mm, v, &dead);
	}
	mm->start_stack = end;
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	*top = end;
	return 0;
}

/* Our image, which every cell has beyond the guest's part: it reads the clocks without a call. */
int mm_setup_vdso(struct task *t, uint64_t *vdso)
{
	size_t size;

	*vdso = pl_vdso(&size);
	return 0;
}
