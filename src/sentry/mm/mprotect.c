/* SPDX-License-Identifier: Apache-2.0 */
/* mprotect. Never elided: runtimes use it as a barrier (I7). */
#include <errno.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include "sentry/mm/mm_int.h"

/* How far the call may go from start: stops at a hole or a refusal, *err says why. */
static uint64_t allowed_end_locked(struct task *t, struct mm *mm, uint64_t start, uint64_t end, int prot,
				   int *err)
{
	struct vma *v = mm_find_locked(mm, start);
	uint64_t at = start;

	*err = 0;
	while (at < end) {
		if (!v || v->start > at) {
			*err = -ENOMEM;
			break;
		}
		if ((prot & PROT_WRITE) && !(v->flags & VMA_MAYWRITE))
			*err = -EACCES;
		else if ((prot & PROT_EXEC) && !(v->flags & VMA_MAYEXEC))
			*err = -EACCES;
		else if ((prot & PROT_READ) && !(v->flags & VMA_MAYREAD))
			*err = -EACCES;
		else if (vma_flags_data((v->flags & ~7u) | (uint32_t)prot) && !vma_flags_data(v->flags) &&
			 mm_may_expand_data_locked(t, mm, min(v->end, end) - at))
			*err = -ENOMEM;
		if (*err)
			break;
		at = min(v->end, end);
		v = vma_next(v);
	}
	return at;
}

static void set_prot_locked(struct mm *mm, uint64_t start, uint64_t end, int prot, struct vma **dead)
{
	struct vma *v = vma_overlap_locked(mm, start, end);

	while (v && v->start < end) {
		uint32_t flags = (v->flags & ~(uint32_t)MM_PROT_MASK) | (uint32_t)prot;

		if (v->file && !(v->flags & VMA_SHARED) && ((v->flags | flags) & VMA_WRITE))
			flags |= VMA_WRITTEN;
		vma_set_flags_locked(mm, v, flags);
		v = vma_next(vma_merge_locked(mm, v, dead));
	}
}

/* Text whose system call sites the platform may rewrite (R7): its protection, else -EPERM. */
int mm_may_patch(struct mm *mm, uint64_t page)
{
	int r = -EPERM;
	struct vma *v;

	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, page);
	if (v && v->start <= page && page + PAGE_SIZE <= v->end && v->file && (v->flags & VMA_EXEC) &&
	    !(v->flags & (VMA_SHARED | VMA_WRITE | VMA_WRITTEN)))
		r = (int)(v->flags & MM_PROT_MASK);
	mutex_unlock(&mm->lock);
	return r;
}

/* Private file text that becomes writable: patched sites are put back first. */
static bool is_text_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v;

	for (v = vma_overlap_locked(mm, start, end); v && v->start < end; v = vma_next(v))
		if (v->file && !(v->flags & (VMA_SHARED | VMA_WRITTEN)) && (v->flags & VMA_EXEC))
			return true;
	return false;
}

/* GROWSDOWN: the range reaches down to the start of the stack's vma. */
static int grows_start_locked(struct mm *mm, int flag, uint64_t end, uint64_t *start)
{
	struct vma *v;

	if (!(flag & PROT_GROWSDOWN))
		return 0;
	v = mm_find_locked(mm, *start);
	if (!v || v->start >= end)
		return -ENOMEM;
	if (!(v->flags & VMA_GROWSDOWN))
		return -EINVAL;
	*start = v->start;
	return 0;
}

static int protect_layout_locked(struct task *t, struct mm *mm, uint64_t *start, uint64_t *end, int prot,
				 int grows, struct flight **fl, struct vma **dead, int *later)
{
	int r = grows_start_locked(mm, grows, *end, start);

	if (r)
		return r;
	r = mm_wait_range_locked(mm, t, *start, *end);
	if (r)
		return r;
	if (mm_sealed_locked(mm, *start, *end))
		return -EPERM;
	*end = allowed_end_locked(t, mm, *start, *end, prot, later);
	if (*end == *start)
		return *later;
	r = flight_begin_locked(mm, t, *start, *end, FLIGHT_PROTECT, fl);
	if (!r)
		r = vma_split_locked(mm, *start);
	if (!r)
		r = vma_split_locked(mm, *end);
	if (!r)
		set_prot_locked(mm, *start, *end, prot, dead);
	return r;
}

static int protect(struct task *t, uint64_t addr, uint64_t len, int prot, bool queue)
{
	struct pl_op op = {.kind = PL_OP_PROTECT};
	struct mm *mm = t->mm;
	struct vma *dead = NULL;
	struct flight *fl = NULL;
	int grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP), later = 0, r;
	uint64_t end;
	bool text;

	prot &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (!len)
		return 0;
	if (!page_up(len, &len) || !len || __builtin_add_overflow(addr, len, &end))
		return -ENOMEM;
	if (prot & ~(MM_PROT_MASK | 8 /* PROT_SEM */))
		return -EINVAL;
	if (grows & PROT_GROWSUP)
		return -EINVAL;		/* no such mappings on this architecture */
	prot &= MM_PROT_MASK;
	if ((t->personality & READ_IMPLIES_EXEC) && (prot & PROT_READ))
		prot |= PROT_EXEC;
	mm_flights_done(t);
	mutex_lock(&mm->lock);
	text = (prot & PROT_WRITE) && is_text_locked(mm, addr, end);
	r = protect_layout_locked(t, mm, &addr, &end, prot, grows, &fl, &dead, &later);
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	if (r || !fl) {
		if (fl)
			flight_end(mm, fl);
		return r;
	}
	op.addr = addr, op.len = end - addr, op.prot = prot;
	r = flight_run(mm, t, fl, &op, queue && !later && !text);
	if (!r && text)
		r = pl_unpatch(t->pl, op.addr, op.len);
	return r ? r : later;
}

int mm_mprotect(struct task *t, uint64_t addr, uint64_t len, int prot)
{
	return protect(t, addr, len, prot, false);
}

int mm_mprotect_reply(struct task *t, uint64_t addr, uint64_t len, int prot)
{
	return protect(t, addr, len, prot, true);
}
