/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of vmas: lookup, linking with merge, splitting, carving, gaps. mm->lock is held in all
 * functions named _locked; files of removed vmas are put after it (vma_dead_free).
 */
#include <errno.h>
#include "sentry/mm/mm_int.h"

static KCACHE(vma_cache, struct vma, 0);

static struct vma *vma_of(struct rb_node *n)
{
	return n ? container_of(n, struct vma, rb) : NULL;
}

struct vma *vma_first_locked(struct mm *mm)
{
	return vma_of(rb_first(&mm->vmas));
}

struct vma *vma_next(const struct vma *v)
{
	return vma_of(rb_next(&v->rb));
}

struct vma *vma_prev(const struct vma *v)
{
	return vma_of(rb_prev(&v->rb));
}

struct vma *mm_find_locked(struct mm *mm, uint64_t addr)
{
	struct rb_node *n = mm->vmas.node;
	struct vma *best = NULL;

	while (n) {
		struct vma *v = vma_of(n);
		if (v->end > addr) {
			best = v;
			if (v->start <= addr)
				break;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

struct vma *vma_overlap_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = mm_find_locked(mm, start);

	return v && v->start < end ? v : NULL;
}

struct vma *vma_alloc(uint64_t start, uint64_t end, uint32_t flags)
{
	struct vma *v = kc_alloc(&vma_cache);

	if (v)
		v->start = start, v->end = end, v->flags = flags;
	return v;
}

void vma_free(struct vma *v)
{
	bool shm = v && (v->flags & VMA_SHM);

	if (!v)
		return;

	if (v->file)
		file_put(v->file);
	kfree(v->anon_name);
	kc_free(&vma_cache, v);
	if (shm && shmem_detached_hook)
		shmem_detached_hook(current);
}

void vma_dead_free(struct vma *dead)
{
	while (dead) {
		struct vma *next = dead->dead_next;
		vma_free(dead);
		dead = next;
	}
}

/* --- accounting --------------------------------------------------------------------------- */

uint64_t vma_resident(uint32_t flags, uint64_t len)
{
	if (!(flags & MM_PROT_MASK) || (flags & VMA_NORESERVE))
		return 0;
	return min(len, 1ull << 30);
}

static void account(struct mm *mm, uint32_t flags, bool file, uint64_t len, bool add)
{
	uint64_t d = add ? len : -len;

	mm->total_vm += d;
	if (flags & VMA_LOCKED)
		mm->locked_vm += d;
	if ((flags & (VMA_EXEC | VMA_WRITE | VMA_STACK)) == VMA_EXEC)
		mm->exec_vm += d;
	else if (flags & VMA_STACK)
		mm->stack_vm += d;
	else if (vma_flags_data(flags))
		mm->data_vm += d;
	if (file)
		mm->shared_vm += d;
	if (mm->total_vm > mm->peak_vm)
		mm->peak_vm = mm->total_vm;
	d = vma_resident(flags, len);
	mm->resident += add ? d : -d;
	if (mm->resident > mm->peak_resident)
		mm->peak_resident = mm->resident;
}

static void account_vma(struct mm *mm, const struct vma *v, bool add)
{
	account(mm, v->flags, v->file != NULL, v->end - v->start, add);
}

/* --- linking and merging -------------------------------------------------------------------- */

static void link_raw(struct mm *mm, struct vma *v)
{
	struct rb_node **link = &mm->vmas.node, *parent = NULL;

	while (*link) {
		struct vma *o = vma_of(*link);
		parent = *link;
		BUG_ON(v->start < o->end && o->start < v->end);
		link = v->start < o->start ? &parent->left : &parent->right;
	}
	rb_insert(&mm->vmas, parent, link, &v->rb);
	mm->vma_count++;
}

static void unlink_raw(struct mm *mm, struct vma *v)
{
	rb_erase(&mm->vmas, &v->rb);
	mm->vma_count--;
}

static bool same_name(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return __builtin_strcmp(a, b) == 0;
}

static bool may_merge(const struct vma *a, const struct vma *b)
{
	if (a->end != b->start || a->flags != b->flags || a->file != b->file)
		return false;
	if (a->shm_id != b->shm_id || (a->flags & (VMA_VDSO | VMA_VVAR)))
		return false;
	if (a->file && a->off + (a->end - a->start) != b->off)
		return false;
	return same_name(a->anon_name, b->anon_name);
}

static void kill_vma(struct vma *v, struct vma **dead)
{
	v->dead_next = *dead;
	*dead = v;
}

void vma_unlink_locked(struct mm *mm, struct vma *v, struct vma **dead)
{
	account_vma(mm, v, false);
	unlink_raw(mm, v);
	kill_vma(v, dead);
}

void vma_link_raw_locked(struct mm *mm, struct vma *v)
{
	link_raw(mm, v);
	account_vma(mm, v, true);
}

struct vma *vma_merge_locked(struct mm *mm, struct vma *v, struct vma **dead)
{
	struct vma *p, *n;

	while ((p = vma_prev(v)) != NULL && may_merge(p, v)) {
		unlink_raw(mm, v);
		p->end = v->end;
		kill_vma(v, dead);
		v = p;
	}
	while ((n = vma_next(v)) != NULL && may_merge(v, n)) {
		unlink_raw(mm, n);
		v->end = n->end;
		kill_vma(n, dead);
	}
	return v;
}

struct vma *vma_link_locked(struct mm *mm, struct vma *v, struct vma **dead)
{
	link_raw(mm, v);
	account_vma(mm, v, true);
	return vma_merge_locked(mm, v, dead);
}

int vma_split_locked(struct mm *mm, uint64_t at)
{
	struct vma *v = mm_find_locked(mm, at), *n;

	if (!v || v->start >= at)
		return 0;
	if (mm->vma_count >= MM_MAX_MAP_COUNT)
		return -ENOMEM;
	n = vma_alloc(at, v->end, v->flags);
	if (!n)
		return -ENOMEM;
	if (v->anon_name) {
		n->anon_name = kstrdup(v->anon_name);
		if (!n->anon_name) {
			vma_free(n);
			return -ENOMEM;
		}
	}
	n->shm_id = v->shm_id;
	if (v->file) {
		n->file = file_get(v->file);
		n->off = v->off + (at - v->start);
	}
	v->end = at;
	link_raw(mm, n);
	return 0;
}

int vma_carve_locked(struct mm *mm, uint64_t start, uint64_t end, struct vma **dead)
{
	struct vma *v, *n;
	int r = vma_split_locked(mm, start);

	if (!r)
		r = vma_split_locked(mm, end);
	if (r)
		return r;
	for (v = vma_overlap_locked(mm, start, end); v && v->start < end; v = n) {
		n = vma_next(v);
		vma_unlink_locked(mm, v, dead);
	}
	if (end > mm->hole_from) {
		n = mm_find_locked(mm, end);
		mm->hole_from = n ? n->start : mm->mmap_base;
	}
	return 0;
}

void vma_resize_locked(struct mm *mm, struct vma *v, uint64_t start, uint64_t end)
{
	account_vma(mm, v, false);
	if (v->file)
		v->off += start - v->start;
	v->start = start, v->end = end;
	account_vma(mm, v, true);
}

void vma_set_flags_locked(struct mm *mm, struct vma *v, uint32_t flags)
{
	account_vma(mm, v, false);
	v->flags = flags;
	account_vma(mm, v, true);
}

/* --- gaps ------------------------------------------------------------------------------------- */

/* The lowest address that belongs to v, with the guard gap of a stack. */
static uint64_t guarded_start(const struct vma *v)
{
	if (!(v->flags & VMA_GROWSDOWN))
		return v->start;
	return v->start > MM_STACK_GAP ? v->start - MM_STACK_GAP : 0;
}

bool vma_free_range_locked(struct mm *mm, uint64_t start, uint64_t len)
{
	struct vma *v = mm_find_locked(mm, start);

	return !v || start + len <= guarded_start(v);
}

/* Plain search downwards from `from`; *biggest: the largest gap that was too small. */
static uint64_t gap_down(struct mm *mm, uint64_t len, uint64_t lo, uint64_t from, uint64_t *biggest)
{
	struct vma *n = mm_find_locked(mm, from), *v;
	uint64_t top = from;

	if (n && n->start < from)
		v = n, n = vma_next(n);
	else
		v = n ? vma_prev(n) : vma_of(rb_last(&mm->vmas));
	if (n)
		top = min(top, guarded_start(n));
	for (;;) {
		uint64_t bottom = v ? max(v->end, lo) : lo;
		if (top > bottom) {
			if (top - bottom >= len)
				return top - len;
			*biggest = max(*biggest, top - bottom);
		}
		if (!v || v->start <= lo)
			return 0;
		top = min(top, guarded_start(v));
		v = vma_prev(v);
	}
}

/*
 * Top down, as Linux, with the memory of where the last search ended: all gaps above hole_from are
 * at most hole_max bytes, so that a process of many small mappings does not walk them each time.
 */
uint64_t vma_gap_locked(struct mm *mm, uint64_t len, uint64_t lo, uint64_t hi)
{
	uint64_t biggest = 0, r;

	if (hi != mm->mmap_base)
		return gap_down(mm, len, lo, hi, &biggest);
	if (len <= mm->hole_max || mm->hole_from > hi || mm->hole_from <= lo)
		mm->hole_from = hi, mm->hole_max = 0;
	biggest = mm->hole_max;
	r = gap_down(mm, len, lo, mm->hole_from, &biggest);
	if (!r && mm->hole_from != hi) {
		biggest = 0;
		r = gap_down(mm, len, lo, hi, &biggest);
	}
	if (r) {
		mm->hole_from = r;
		mm->hole_max = biggest;
	}
	return r;
}
