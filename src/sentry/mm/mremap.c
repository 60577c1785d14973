/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mremap. A move is the host's own of exactly the old length; a longer tail is mapped behind it,
 * since what is one vma here may be several in the host.
 */
#include <errno.h>
#include "sentry/core/hhandle.h"
#include "sentry/mm/mm_int.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

struct move {
	uint64_t old, old_len, at, new_len;
	bool keep;			/* DONTUNMAP */
	bool dup;			/* old_len 0: a second mapping of a shared object */
	/* the mapping, as it was */
	uint32_t flags;
	struct file *file;		/* owned */
	uint64_t off;
	char *anon_name;
	uint32_t shm_id;
};

/* Maps [at, at + len) as the moved vma continues there. */
static int map_like(struct task *t, const struct move *m, uint64_t at, uint64_t len, uint64_t off)
{
	struct pl_op op = {.kind = PL_OP_MAP_ANON, .addr = at, .len = len, .flags = MAP_PRIVATE,
			   .prot = (int)(m->flags & MM_PROT_MASK)};
	struct file_map fm = {.off = 0};
	int r;

	if (m->file) {
		if (m->flags & VMA_SHARED)
			op.flags = MAP_SHARED;
		r = file_ops(m->file)->mmap(m->file, off, len, op.prot, op.flags, &fm);
		if (r)
			return r;
		if (!fm.anon) {
			op.kind = PL_OP_MAP_FILE;
			op.hfd = hh_fd(fm.h);
			op.off = fm.off;
			if (op.hfd < 0)
				return -EIO;
		}
	} else if (m->flags & VMA_NORESERVE) {
		op.flags |= MAP_NORESERVE;
	}
	return pl_op(t->pl, &op);
}

/* The one vma that holds the old range; its facts go to m. */
static int source_locked(struct task *t, struct mm *mm, struct move *m)
{
	struct vma *v = mm_find_locked(mm, m->old);

	if (!v || v->start > m->old)
		return -EFAULT;
	if (v->flags & VMA_SEALED)
		return -EPERM;
	m->dup = !m->old_len;
	if (m->dup && !(v->flags & VMA_SHARED))
		return -EINVAL;
	if (m->old_len > v->end - m->old)
		return -EFAULT;
	if (v->flags & (VMA_VDSO | VMA_VVAR) && m->new_len > m->old_len)
		return -EFAULT;
	m->flags = v->flags;
	m->off = v->off + (m->old - v->start);
	m->shm_id = v->shm_id;
	m->file = v->file ? file_get(v->file) : NULL;
	if (v->anon_name && !(m->anon_name = kstrdup(v->anon_name)))
		return -ENOMEM;
	if (m->new_len > m->old_len) {
		int r = mm_mlock_check_locked(t, mm, v->flags, m->new_len - m->old_len);
		return r ? r : mm_may_expand_locked(t, mm, v->flags, m->new_len - m->old_len);
	}
	return 0;
}

static struct vma *vma_like(const struct move *m, uint64_t at, uint64_t len, uint64_t off)
{
	struct vma *v = vma_alloc(at, at + len, m->flags);

	if (!v)
		return NULL;
	v->off = off;
	v->shm_id = m->shm_id;
	if (m->anon_name && !(v->anon_name = kstrdup(m->anon_name))) {
		vma_free(v);
		return NULL;
	}
	if (m->file)
		v->file = file_get(m->file);
	return v;
}

/* Grows where it stands: 1 done, 0 no room, or an errno. */
static int expand(struct task *t, struct move *m)
{
	struct mm *mm = t->mm;
	uint64_t from = m->old + m->old_len, add = m->new_len - m->old_len;
	struct vma *n = vma_like(m, from, add, m->off + m->old_len), *v, *dead = NULL;
	struct flight *fl = NULL;
	bool room;
	int r;

	if (!n)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, m->old);
	room = v && v->end == from && m->new_len <= mm->task_top - m->old &&
	       vma_free_range_locked(mm, from, add) && mm->vma_count < MM_MAX_MAP_COUNT &&
	       !flight_must_wait_locked(mm, t, from, from + add);
	r = room ? flight_begin_locked(mm, t, from, from + add, FLIGHT_MAP, &fl) : 0;
	if (room && !r)
		(void)vma_link_locked(mm, steal(n), &dead);
	mutex_unlock(&mm->lock);
	vma_free(n);
	vma_dead_free(dead);
	if (r || !room)
		return r;
	r = map_like(t, m, from, add, m->off + m->old_len);
	flight_end(mm, fl);
	if (r) {
		mm_unmap_unknown(t, from, from + add);
		return r;
	}
	return 1;
}

static int wait_both_locked(struct mm *mm, struct task *t, const struct move *m)
{
	int r = 0;

	while (!r && (flight_must_wait_locked(mm, t, m->old, m->old + m->old_len) ||
		      flight_must_wait_locked(mm, t, m->at, m->at + m->new_len))) {
		r = mm_wait_range_locked(mm, t, m->old, m->old + m->old_len);
		if (!r)
			r = mm_wait_range_locked(mm, t, m->at, m->at + m->new_len);
	}
	return r;
}

static int move_layout_locked(struct task *t, struct mm *mm, struct move *m, bool fixed, struct vma *n,
			      struct vma **dead, struct flight **fa, struct flight **fb)
{
	int r;

	if (!fixed) {
		m->at = vma_gap_locked(mm, m->new_len, PL_GUEST_MIN, mm->mmap_base);
		if (!m->at)
			return -ENOMEM;
	}
	r = wait_both_locked(mm, t, m);
	if (r)
		return r;
	if (!fixed && vma_overlap_locked(mm, m->at, m->at + m->new_len))
		return -EAGAIN;
	if (mm->vma_count >= MM_MAX_MAP_COUNT - 3)
		return -ENOMEM;
	r = flight_begin_locked(mm, t, m->at, m->at + m->new_len, FLIGHT_MAP, fa);
	if (!r && m->old_len)
		r = flight_begin_locked(mm, t, m->old, m->old + m->old_len, FLIGHT_UNMAP, fb);
	if (!r)
		r = vma_carve_locked(mm, m->at, m->at + m->new_len, dead);
	if (!r && !m->dup && !m->keep)
		r = vma_carve_locked(mm, m->old, m->old + m->old_len, dead);
	if (r)
		return r;
	n->start = m->at, n->end = m->at + m->new_len;
	(void)vma_link_locked(mm, n, dead);
	return 0;
}

static int move_host(struct task *t, const struct move *m)
{
	struct pl_op op = {.kind = PL_OP_MREMAP, .addr = m->at, .len = m->old_len,
			   .old_addr = m->old, .old_len = m->old_len};
	int r;

	if (m->dup)
		return map_like(t, m, m->at, m->new_len, m->off);
	r = pl_op(t->pl, &op);
	if (!r && m->new_len > m->old_len)
		r = map_like(t, m, m->at + m->old_len, m->new_len - m->old_len, m->off + m->old_len);
	if (!r && m->keep)
		r = map_like(t, m, m->old, m->old_len, m->off);
	return r;
}

static int64_t do_move(struct task *t, struct move *m, bool fixed)
{
	struct mm *mm = t->mm;
	struct vma *n = vma_like(m, 0, 0, m->off), *dead = NULL;
	struct flight *fa = NULL, *fb = NULL;
	bool laid;
	int r;

	if (!n)
		return -ENOMEM;
	do {
		mutex_lock(&mm->lock);
		r = move_layout_locked(t, mm, m, fixed, n, &dead, &fa, &fb);
		mutex_unlock(&mm->lock);
	} while (r == -EAGAIN);
	laid = !r;
	if (!laid)
		vma_free(n);
	else
		r = move_host(t, m);
	if (fa)
		flight_end(mm, fa);
	if (fb)
		flight_end(mm, fb);
	vma_dead_free(dead);
	if (r && laid)
		mm_unmap_unknown(t, m->at, m->at + m->new_len);
	return r ? r : (int64_t)m->at;
}

static int check_args(struct mm *mm, uint64_t old, uint64_t *old_len, uint64_t *new_len, int flags,
		      uint64_t new_addr)
{
	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && *old_len != *new_len)
		return -EINVAL;
	if (old & ~PAGE_MASK)
		return -EINVAL;
	if (!page_up(*old_len, old_len) || !page_up(*new_len, new_len) || !*new_len)
		return -EINVAL;
	if (!range_within(old, *old_len, 0, mm->task_top))
		return -EFAULT;
	if (*new_len > mm->task_top)
		return -EINVAL;
	if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		return 0;
	if ((new_addr & ~PAGE_MASK) || !range_within(new_addr, *new_len, 0, mm->task_top))
		return -EINVAL;
	if ((flags & MREMAP_FIXED) && new_addr < PL_GUEST_MIN)
		return -EPERM;
	if ((flags & MREMAP_FIXED) && new_addr < old + *old_len && old < new_addr + *new_len)
		return -EINVAL;
	return 0;
}

int64_t mm_mremap(struct task *t, uint64_t old, uint64_t old_len, uint64_t new_len, int flags,
		  uint64_t new_addr)
{
	struct move m = {.old = old, .at = new_addr, .keep = flags & MREMAP_DONTUNMAP};
	bool to = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	int64_t r = check_args(t->mm, old, &old_len, &new_len, flags, new_addr);

	if (r)
		return r;
	if (old_len > new_len) {
		mutex_lock(&t->mm->lock);
		r = vma_overlap_locked(t->mm, old, old + 1) ? 0 : -EFAULT;
		mutex_unlock(&t->mm->lock);
		if (!r)
			r = mm_unmap_range(t, old + new_len, old + old_len, false, false);
		if (r)
			return r;
		old_len = new_len;
	}
	m.old_len = old_len, m.new_len = new_len;
	mutex_lock(&t->mm->lock);
	r = source_locked(t, t->mm, &m);
	mutex_unlock(&t->mm->lock);
	if (!r)
		r = mm_overcommit_check(m.flags, new_len - old_len);
	if (!r && !to && old_len == new_len) {
		r = (int64_t)old;
	} else if (!r) {
		if (!to && !m.dup)
			r = expand(t, &m);
		if (r == 1)
			r = (int64_t)old;
		else if (!r && !(flags & MREMAP_MAYMOVE))
			r = -ENOMEM;
		else if (!r)
			r = do_move(t, &m, flags & MREMAP_FIXED);
	}
	if (m.file)
		file_put(m.file);
	kfree(m.anon_name);
	return r;
}
