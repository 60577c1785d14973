/* SPDX-License-Identifier: Apache-2.0 */
/*
 * madvise and the flags of ranges: mlock, mseal, names. What changes content or inheritance is
 * carried out by the host; pure hints are checked and kept as flags.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <sys/resource.h>
#include "sentry/mm/mm_int.h"

#define MADV_SOFT_OFFLINE_ 101
#define MADV_DONTNEED_LOCKED_ 24
#define MADV_COLLAPSE_ 25

/* Applies to every vma in the range: new flags by set and clear; the whole range is walked, a hole
 * is reported at the end as in Linux. *dead collects merged vmas. */
static int change_flags_locked(struct mm *mm, uint64_t start, uint64_t end, uint32_t set, uint32_t clear,
			       struct vma **dead)
{
	struct vma *v;
	uint64_t at = start;
	int r = vma_split_locked(mm, start);

	if (!r)
		r = vma_split_locked(mm, end);
	if (r)
		return r;
	for (v = vma_overlap_locked(mm, start, end); v && v->start < end; v = vma_next(v)) {
		if (v->start > at)
			r = -ENOMEM;
		vma_set_flags_locked(mm, v, (v->flags & ~clear) | set);
		v = vma_merge_locked(mm, v, dead);
		at = v->end;
	}
	return at < end ? -ENOMEM : r;
}

static int change_flags(struct task *t, uint64_t start, uint64_t end, uint32_t set, uint32_t clear)
{
	struct mm *mm = t->mm;
	struct vma *dead = NULL;
	int r;

	mutex_lock(&mm->lock);
	r = mm_wait_range_locked(mm, t, start, end);
	if (!r)
		r = change_flags_locked(mm, start, end, set, clear, &dead);
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	return r;
}

/* --- advice ---------------------------------------------------------------------------------------- */

struct advice {
	uint32_t set, clear;		/* vma flags */
	bool host;			/* carried out by the host */
	bool known;
};

static struct advice advice_of(int a)
{
	switch (a) {
	case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED:
	case MADV_MERGEABLE: case MADV_UNMERGEABLE: case MADV_PAGEOUT: case MADV_REMOVE: case MADV_COLLAPSE_:
		return (struct advice){.known = true};
	case MADV_DONTNEED: case MADV_DONTNEED_LOCKED_: case MADV_FREE: case MADV_COLD: case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return (struct advice){.known = true, .host = true};
	case MADV_DONTFORK:
		return (struct advice){VMA_DONTFORK, 0, true, true};
	case MADV_DOFORK:
		return (struct advice){0, VMA_DONTFORK, true, true};
	case MADV_HUGEPAGE:
		return (struct advice){VMA_HUGEPAGE, VMA_NOHUGEPAGE, true, true};
	case MADV_NOHUGEPAGE:
		return (struct advice){VMA_NOHUGEPAGE, VMA_HUGEPAGE, true, true};
	case MADV_DONTDUMP:
		return (struct advice){VMA_DONTDUMP, 0, false, true};
	case MADV_DODUMP:
		return (struct advice){0, VMA_DONTDUMP, false, true};
	case MADV_WIPEONFORK:
		return (struct advice){VMA_WIPEONFORK, 0, true, true};
	case MADV_KEEPONFORK:
		return (struct advice){0, VMA_WIPEONFORK, true, true};
	default:
		return (struct advice){.known = false};
	}
}

static bool discards(int a)
{
	return a == MADV_FREE || a == MADV_DONTNEED || a == MADV_DONTNEED_LOCKED_ || a == MADV_REMOVE ||
	       a == MADV_DONTFORK || a == MADV_WIPEONFORK;
}

/* Refusals by mapping, as madvise_vma_behavior. */
static int advice_allowed(const struct vma *v, int a)
{
	/* content that a seal keeps from being written cannot be thrown away either */
	if ((v->flags & (VMA_SEALED | VMA_SHARED | VMA_WRITE)) == VMA_SEALED && discards(a))
		return -EPERM;
	switch (a) {
	case MADV_DONTNEED:
		return v->flags & VMA_LOCKED ? -EINVAL : 0;
	case MADV_FREE:
		return v->file || (v->flags & VMA_SHARED) ? -EINVAL : 0;
	case MADV_WIPEONFORK:
		return v->file || (v->flags & VMA_SHARED) ? -EINVAL : 0;
	case MADV_COLD: case MADV_PAGEOUT:
		return v->flags & VMA_LOCKED ? -EINVAL : 0;
	case MADV_REMOVE:
		if (v->flags & VMA_LOCKED)
			return -EINVAL;
		if (!v->file)
			return -EINVAL;
		return (v->flags & (VMA_SHARED | VMA_WRITE)) == (VMA_SHARED | VMA_WRITE) ? 0 : -EACCES;
	case MADV_POPULATE_WRITE:
		return v->flags & VMA_WRITE ? 0 : -EINVAL;
	case MADV_POPULATE_READ:
		return v->flags & MM_PROT_MASK ? 0 : -EINVAL;
	default:
		return 0;
	}
}

/* The next run of the range that the advice may be given for. Returns 1, 0 at the end, or errno. */
static int next_run_locked(struct mm *mm, uint64_t *at, uint64_t end, int a, uint64_t *run_end, bool *hole)
{
	struct vma *v = vma_overlap_locked(mm, *at, end);
	int r;

	if (!v) {
		*hole = true;
		return 0;
	}
	if (v->start > *at) {
		*hole = true;
		*at = v->start;
	}
	r = advice_allowed(v, a);
	if (r)
		return r;
	*run_end = min(v->end, end);
	return 1;
}

static int punch(struct mm *mm, uint64_t start, uint64_t end)
{
	struct file *f = NULL;
	uint64_t off = 0;
	struct vma *v;
	int r = -EINVAL;

	mutex_lock(&mm->lock);
	v = vma_overlap_locked(mm, start, end);
	if (v && v->file && v->start <= start) {
		f = file_get(v->file);
		off = v->off + (start - v->start);
	}
	mutex_unlock(&mm->lock);
	if (!f)
		return r;
	r = -EOPNOTSUPP;
	if (file_ops(f)->fallocate)
		r = file_ops(f)->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (int64_t)off,
					   (int64_t)(end - start));
	file_put(f);
	return r;
}

static int advise_run(struct task *t, uint64_t start, uint64_t end, int a, const struct advice *ad)
{
	struct pl_op op = {.kind = PL_OP_ADVISE, .addr = start, .len = end - start,
			   .advice = a == MADV_DONTNEED_LOCKED_ ? MADV_DONTNEED : a};
	struct mm *mm = t->mm;
	struct vma *dead = NULL;
	struct flight *fl = NULL;
	int r;

	if (a == MADV_REMOVE)
		return punch(mm, start, end);
	mutex_lock(&mm->lock);
	r = mm_wait_range_locked(mm, t, start, end);
	if (!r && (ad->set || ad->clear))
		r = change_flags_locked(mm, start, end, ad->set, ad->clear, &dead);
	if (!r && ad->host)
		r = flight_begin_locked(mm, t, start, end, FLIGHT_OTHER, &fl);
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	if (r || !fl)
		return r;
	r = flight_run(mm, t, fl, &op, a == MADV_DONTNEED || a == MADV_FREE);
	/* hints that the host cannot take (no huge pages) are not the guest's concern */
	if (r == -EINVAL && (a == MADV_HUGEPAGE || a == MADV_NOHUGEPAGE || a == MADV_COLD || a == MADV_POPULATE_READ ||
			     a == MADV_POPULATE_WRITE))
		r = 0;
	return r;
}

int mm_madvise(struct task *t, uint64_t addr, uint64_t len, int advice)
{
	const struct advice ad = advice_of(advice);
	uint64_t end, at = addr, run_end;
	bool hole = false, populate = advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE;
	int r;

	if (advice == MADV_HWPOISON || advice == MADV_SOFT_OFFLINE_)
		return -EPERM;
	if (!ad.known || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (!len)
		return 0;
	if (!page_up(len, &len) || !len || __builtin_add_overflow(addr, len, &end))
		return -EINVAL;
	while (at < end) {
		mutex_lock(&t->mm->lock);
		r = next_run_locked(t->mm, &at, end, advice, &run_end, &hole);
		mutex_unlock(&t->mm->lock);
		if (r < 0)
			return r;
		if (!r || (hole && populate))
			break;
		r = advise_run(t, at, run_end, advice, &ad);
		if (r)
			return r;
		at = run_end;
	}
	return hole ? -ENOMEM : 0;
}

/* --- locking ----------------------------------------------------------------------------------------- */

static uint64_t locked_in_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_overlap_locked(mm, start, end);
	uint64_t n = 0;

	for (; v && v->start < end; v = vma_next(v))
		if (v->flags & VMA_LOCKED)
			n += min(v->end, end) - max(v->start, start);
	return n;
}

/* Locked memory is present. What cannot be had now comes when it is touched. */
static void populate(struct task *t, uint64_t at, uint64_t end)
{
	while (at < end) {
		struct vma *v;
		uint32_t flags = 0;
		uint64_t to = end;

		mutex_lock(&t->mm->lock);
		v = vma_overlap_locked(t->mm, at, end);
		if (v) {
			at = max(at, v->start);
			to = min(end, v->end);
			flags = v->flags;
		}
		mutex_unlock(&t->mm->lock);
		if (flags & MM_PROT_MASK)
			(void)!mm_madvise(t, at, to - at, (flags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE
								  ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
		at = to;
	}
}

int mm_mlock(struct task *t, uint64_t addr, uint64_t len, bool lock, bool on_fault)
{
	struct mm *mm = t->mm;
	uint64_t end, lim = task_rlimit(t, RLIMIT_MEMLOCK), sum;
	bool cap = task_capable(t, CAP_IPC_LOCK);

	if (lock && !lim && !cap)
		return -EPERM;
	if (__builtin_add_overflow(len, addr & ~PAGE_MASK, &len) || (len && !page_up(len, &len)))
		return -EINVAL;
	addr &= PAGE_MASK;
	if (__builtin_add_overflow(addr, len, &end))
		return -EINVAL;
	if (addr == end)
		return 0;
	if (lock) {
		mutex_lock(&mm->lock);
		sum = mm->locked_vm + len - locked_in_locked(mm, addr, end);
		mutex_unlock(&mm->lock);
		if (sum > lim && !cap)
			return -ENOMEM;
	}
	int r = change_flags(t, addr, end, lock ? VMA_LOCKED : 0, lock ? 0 : VMA_LOCKED);
	if (!r && lock && !on_fault)
		populate(t, addr, end);
	return r;
}

int mm_mlockall(struct task *t, int flags)
{
	struct mm *mm = t->mm;
	uint64_t lim = task_rlimit(t, RLIMIT_MEMLOCK);
	bool cap = task_capable(t, CAP_IPC_LOCK);
	struct vma *dead = NULL, *v;
	int r = 0;

	if (flags && !lim && !cap)
		return -EPERM;
	mutex_lock(&mm->lock);
	if ((flags & MCL_CURRENT) && mm->total_vm > lim && !cap)
		r = -ENOMEM;
	if (!r) {
		mm->def_flags = flags & MCL_FUTURE ? VMA_LOCKED : 0;
		for (v = vma_first_locked(mm); v && (!flags || (flags & MCL_CURRENT)); v = vma_next(v)) {
			vma_set_flags_locked(mm, v, (v->flags & ~(uint32_t)VMA_LOCKED) |
						    (flags ? VMA_LOCKED : 0));
			v = vma_merge_locked(mm, v, &dead);
		}
	}
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	return r;
}

/* --- seals and names ----------------------------------------------------------------------------------- */

/* No gaps between mapped ranges? */
static bool contiguous_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = mm_find_locked(mm, start);

	for (; v && v->start <= start && start < end; v = vma_next(v))
		start = v->end;
	return start >= end;
}

int mm_mseal(struct task *t, uint64_t addr, uint64_t len, uint64_t flags)
{
	uint64_t end;
	bool ok;

	if (flags || (addr & ~PAGE_MASK))
		return -EINVAL;
	if (len && (!page_up(len, &len) || !len))
		return -EINVAL;
	if (__builtin_add_overflow(addr, len, &end))
		return -EINVAL;
	if (addr == end)
		return 0;
	mutex_lock(&t->mm->lock);
	ok = contiguous_locked(t->mm, addr, end);
	mutex_unlock(&t->mm->lock);
	return ok ? change_flags(t, addr, end, VMA_SEALED, 0) : -ENOMEM;
}

static int name_vma(struct vma *v, const char *name)
{
	char *n = NULL;

	if (name && !(n = kstrdup(name)))
		return -ENOMEM;
	kfree(v->anon_name);
	v->anon_name = n;
	return 0;
}

int mm_set_anon_name(struct task *t, uint64_t addr, uint64_t len, const char *name)
{
	struct mm *mm = t->mm;
	struct vma *v, *dead = NULL;
	uint64_t end;
	int r;

	if ((addr & ~PAGE_MASK) || (len && !page_up(len, &len)))
		return -EINVAL;
	if (__builtin_add_overflow(addr, len, &end))
		return -EINVAL;
	if (addr == end)
		return 0;
	mutex_lock(&mm->lock);
	r = vma_split_locked(mm, addr);
	if (!r)
		r = vma_split_locked(mm, end);
	for (v = vma_overlap_locked(mm, addr, end); !r && v && v->start < end; v = vma_next(v)) {
		if (v->file && !shmem_is(v->file))
			r = -EBADF;
		if (!r)
			r = name_vma(v, name && *name ? name : NULL);
		if (!r)
			v = vma_merge_locked(mm, v, &dead);
	}
	if (!r && !contiguous_locked(mm, addr, end))
		r = -ENOMEM;
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	return r;
}
