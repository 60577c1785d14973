/* SPDX-License-Identifier: Apache-2.0 */
/* munmap, brk, and the removal of ranges whose host state is unknown. */
#include <errno.h>
#include <sys/resource.h>
#include "sentry/mm/mm_int.h"

bool mm_sealed_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_overlap_locked(mm, start, end);

	for (; v && v->start < end; v = vma_next(v))
		if (v->flags & VMA_SEALED)
			return true;
	return false;
}

void mm_unmap_unknown(struct task *t, uint64_t start, uint64_t end)
{
	struct pl_op op = {.kind = PL_OP_UNMAP, .addr = start, .len = end - start, .must = true};
	struct vma *dead = NULL;
	int r;

	mutex_lock(&t->mm->lock);
	r = vma_carve_locked(t->mm, start, end, &dead);
	mutex_unlock(&t->mm->lock);
	vma_dead_free(dead);
	if (!r)
		r = pl_op(t->pl, &op);
	if (r)
		log_debug("mm: range %lx-%lx could not be emptied: %d", start, end, r);
}

int mm_unmap_range(struct task *t, uint64_t start, uint64_t end, bool queue, bool must)
{
	struct pl_op op = {.kind = PL_OP_UNMAP, .addr = start, .len = end - start, .must = must};
	struct mm *mm = t->mm;
	struct vma *dead = NULL;
	struct flight *fl = NULL;
	bool none;
	int r;

	mm_flights_done(t);
	mutex_lock(&mm->lock);
	r = mm_wait_range_locked(mm, t, start, end);
	none = !vma_overlap_locked(mm, start, end);
	if (!r && mm_sealed_locked(mm, start, end))
		r = -EPERM;
	if (!r && !none)
		r = flight_begin_locked(mm, t, start, end, FLIGHT_UNMAP, &fl);
	if (!r)
		r = vma_carve_locked(mm, start, end, &dead);
	mutex_unlock(&mm->lock);
	if (!fl)
		return r;
	if (r)
		flight_end(mm, fl);
	else
		r = flight_run(mm, t, fl, &op, queue);
	vma_dead_free(dead);
	return r;
}

static int munmap_common(struct task *t, uint64_t addr, uint64_t len, bool queue)
{
	if ((addr & ~PAGE_MASK) || !page_up(len, &len) || !len)
		return -EINVAL;
	if (!range_within(addr, len, 0, t->mm->task_top))
		return -EINVAL;
	if (addr < PL_GUEST_MIN) {	/* nothing of the guest's lies there */
		if (addr + len <= PL_GUEST_MIN)
			return 0;
		len -= PL_GUEST_MIN - addr;
		addr = PL_GUEST_MIN;
	}
	return mm_unmap_range(t, addr, addr + len, queue, false);
}

int mm_munmap(struct task *t, uint64_t addr, uint64_t len)
{
	return munmap_common(t, addr, len, false);
}

int mm_munmap_reply(struct task *t, uint64_t addr, uint64_t len)
{
	return munmap_common(t, addr, len, true);
}

/* --- brk ---------------------------------------------------------------------------------------- */

static int brk_grow(struct task *t, uint64_t from, uint64_t to)
{
	struct pl_op op = {.kind = PL_OP_MAP_ANON, .addr = from, .len = to - from,
			   .prot = PROT_READ | PROT_WRITE, .flags = MAP_PRIVATE};
	const uint32_t flags = VMA_READ | VMA_WRITE | VMA_MAYREAD | VMA_MAYWRITE | VMA_MAYEXEC | VMA_HEAP;
	struct mm *mm = t->mm;
	struct vma *v = vma_alloc(from, to, flags | mm->def_flags), *dead = NULL;
	struct flight *fl = NULL;
	int r = v ? 0 : -ENOMEM;

	if (r)
		return r;
	mutex_lock(&mm->lock);
	r = mm_wait_range_locked(mm, t, from, to);
	if (!r && !vma_free_range_locked(mm, from, to - from))
		r = -ENOMEM;
	if (!r && (to > mm->task_top || mm->vma_count >= MM_MAX_MAP_COUNT))
		r = -ENOMEM;
	if (!r)
		r = mm_may_expand_locked(t, mm, v->flags, to - from);
	if (!r)
		r = mm_mlock_check_locked(t, mm, v->flags, to - from);
	if (!r)
		r = mm_overcommit_check(v->flags, to - from);
	if (!r)
		r = flight_begin_locked(mm, t, from, to, FLIGHT_MAP, &fl);
	if (!r)
		(void)vma_link_locked(mm, v, &dead);
	mutex_unlock(&mm->lock);
	if (r) {
		vma_free(v);
		return r;
	}
	vma_dead_free(dead);
	r = flight_run(mm, t, fl, &op, true);
	if (r)
		mm_unmap_unknown(t, from, to);
	return r;
}

int64_t mm_brk(struct task *t, uint64_t brk)
{
	struct mm *mm = t->mm;
	uint64_t old = mm->brk, old_page, new_page;
	uint64_t data = mm->end_data - mm->start_data;

	if (brk < mm->start_brk || !page_up(brk, &new_page) || !page_up(old, &old_page))
		return (int64_t)old;
	if (brk - mm->start_brk + data > task_rlimit(t, RLIMIT_DATA))
		return (int64_t)old;
	if (new_page < old_page && mm_unmap_range(t, new_page, old_page, true, false))
		return (int64_t)old;
	if (new_page > old_page && brk_grow(t, old_page, new_page))
		return (int64_t)old;
	mm->brk = brk;
	return (int64_t)brk;
}
