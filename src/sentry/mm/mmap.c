/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap: checks as in Linux's do_mmap, a place, then the host's map by the calling thread. The
 * layout is changed first, under a flight; a failed host call unmaps the range again (R12).
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include "sentry/core/hhandle.h"
#include "sentry/mm/mm_int.h"

struct map_req {
	uint64_t addr, len, off;
	int prot, flags;
	struct file *file;		/* owned; NULL: anonymous */
	struct file_map fm;
	uint32_t vflags;
};

/* Images go to a place in here by their identity (R8); small, to be kind to page tables. */
#define FILE_ZONE (4ull << 30)

#define LEGACY_MAP_MASK                                                                            \
	(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE |   \
	 MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK |    \
	 MAP_HUGETLB | MAP_32BIT | (63 << 26))

static int check_file(struct task *t, struct map_req *q, struct file *f)
{
	int type = q->flags & MAP_TYPE;

	if (type == MAP_SHARED_VALIDATE && (q->flags & ~(LEGACY_MAP_MASK | MAP_SHARED_VALIDATE)))
		return -EOPNOTSUPP;
	if (type == MAP_SHARED_VALIDATE)
		type = MAP_SHARED;
	if (type == MAP_SHARED) {
		if ((q->prot & PROT_WRITE) && !(f->mode & FMODE_WRITE))
			return -EACCES;
		q->vflags |= VMA_SHARED;
		if (!(f->mode & FMODE_WRITE))
			q->vflags &= ~(uint32_t)VMA_MAYWRITE;
	} else if (type != MAP_PRIVATE) {
		return -EINVAL;
	}
	if (!(f->mode & FMODE_READ))
		return -EACCES;
	if (f->path.mnt && (f->path.mnt->flags & MS_NOEXEC)) {
		if (q->prot & PROT_EXEC)
			return -EPERM;
		q->vflags &= ~(uint32_t)VMA_MAYEXEC;
	}
	if (!file_ops(f)->mmap)
		return -ENODEV;
	if (q->flags & MAP_GROWSDOWN)
		return -EINVAL;
	int r = file_ops(f)->mmap(f, q->off, q->len, q->prot, q->flags, &q->fm);
	if (!r && q->fm.sealed && (q->vflags & VMA_SHARED))
		q->vflags &= ~(uint32_t)VMA_MAYWRITE;
	return r;
}

static int check_anon(struct map_req *q)
{
	if (q->flags & MAP_HUGETLB)
		return -ENOMEM;		/* no huge page pool, as on most hosts */
	switch (q->flags & MAP_TYPE) {
	case MAP_SHARED:
		if (q->flags & MAP_GROWSDOWN)
			return -EINVAL;
		q->vflags |= VMA_SHARED;
		return 0;
	case MAP_PRIVATE:
		if (q->flags & MAP_GROWSDOWN)
			q->vflags |= VMA_GROWSDOWN;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Everything that can be checked without the layout; takes the file or makes one. */
static int prepare(struct task *t, struct map_req *q, struct file *f)
{
	uint64_t end;
	int r;

	if (!q->len)
		return -EINVAL;
	if (!page_up(q->len, &q->len) || q->len > t->mm->task_top)
		return -ENOMEM;
	if (__builtin_add_overflow(q->off, q->len, &end))
		return -EOVERFLOW;
	if ((t->personality & READ_IMPLIES_EXEC) && (q->prot & PROT_READ))
		q->prot |= PROT_EXEC;
	q->vflags = (uint32_t)(q->prot & MM_PROT_MASK) | VMA_MAYREAD | VMA_MAYWRITE | VMA_MAYEXEC |
		    t->mm->def_flags;
	if (q->flags & MAP_LOCKED) {
		if (!task_rlimit(t, RLIMIT_MEMLOCK) && !task_capable(t, 14 /* CAP_IPC_LOCK */))
			return -EPERM;
		q->vflags |= VMA_LOCKED;
	}
	if (q->flags & MAP_NORESERVE)
		q->vflags |= VMA_NORESERVE;
	r = f ? check_file(t, q, f) : check_anon(q);
	if (r)
		return r;
	if (!f || q->fm.anon) {
		q->off = 0;
		if (!(q->vflags & VMA_SHARED))
			return mm_overcommit_check(q->vflags, q->len);
		r = shmem_create(t, "/dev/zero", q->len, &q->file);
		if (r)
			return r;
		return file_ops(q->file)->mmap(q->file, 0, q->len, q->prot, q->flags, &q->fm);
	}
	q->file = file_get(f);
	return mm_overcommit_check(q->vflags, q->len);
}

/* --- the place ---------------------------------------------------------------------------------- */

static uint64_t file_place_locked(struct mm *mm, const struct map_req *q)
{
	uint64_t base = mm->mmap_base - FILE_ZONE, h = mm_file_hash(mm, q->file), at;
	unsigned tries;

	for (tries = 0; tries < 4; tries++, h += 0x9e3779b97f4a7c15ull) {
		at = base + (h >> 16) % (FILE_ZONE / PAGE_SIZE) * PAGE_SIZE;
		if (at + q->len < mm->mmap_base && vma_free_range_locked(mm, at, q->len))
			return at;
	}
	return 0;
}

/* What a dynamic linker maps first: glibc's says DENYWRITE, musl's nothing. */
static bool is_image(const struct map_req *q)
{
	const struct dentry *d = q->file ? q->file->path.dentry : NULL;

	if (!d || (q->vflags & VMA_SHARED) || q->off)
		return false;
	if ((q->flags & MAP_DENYWRITE) || (q->prot & PROT_EXEC))
		return true;
	return d->name && memmem(d->name, d->name_len, ".so", 3);
}

static int fixed_place_locked(struct mm *mm, const struct map_req *q, uint64_t *at)
{
	if (q->addr & ~PAGE_MASK)
		return -EINVAL;
	if (q->addr > mm->task_top - q->len)
		return -ENOMEM;
	if (q->addr < PL_GUEST_MIN)
		return -EPERM;		/* vm.mmap_min_addr */
	if ((q->flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE &&
	    vma_overlap_locked(mm, q->addr, q->addr + q->len))
		return -EEXIST;
	*at = q->addr;
	return 0;
}

static int free_place_locked(struct mm *mm, struct task *t, const struct map_req *q, uint64_t *at)
{
	uint64_t lo = PL_GUEST_MIN, hi = mm->mmap_base, fl, a = q->addr & PAGE_MASK;
	unsigned tries;

	if (q->addr) {
		a = max(a + (q->addr & ~PAGE_MASK ? PAGE_SIZE : 0), PL_GUEST_MIN);
		if (a <= mm->task_top - q->len && vma_free_range_locked(mm, a, q->len)) {
			*at = a;
			return 0;
		}
	}
	if (q->flags & MAP_32BIT)
		lo = 0x40000000, hi = 0x80000000;
	else if (is_image(q) && (*at = file_place_locked(mm, q)))
		return 0;
	*at = vma_gap_locked(mm, q->len, lo, hi);
	for (tries = 0; *at && tries < 8; tries++) {
		fl = flight_over_locked(mm, t, *at, *at + q->len);
		if (!fl)
			return 0;
		*at = fl < hi ? vma_gap_locked(mm, q->len, lo, fl) : 0;
	}
	if (!*at)
		*at = vma_gap_locked(mm, q->len, lo, hi);
	if (!*at && !(q->flags & MAP_32BIT))	/* bottom up, above the mmap area's start */
		*at = vma_gap_locked(mm, q->len, lo, mm->task_top);
	return *at ? 0 : -ENOMEM;
}

uint64_t mm_image_place(struct mm *mm, struct file *f, uint64_t len)
{
	const struct map_req q = {.len = len, .file = f};
	uint64_t at;

	mutex_lock(&mm->lock);
	at = file_place_locked(mm, &q);
	if (!at)
		at = vma_gap_locked(mm, len, PL_GUEST_MIN, mm->mmap_base);
	mutex_unlock(&mm->lock);
	return at;
}

static int place_locked(struct mm *mm, struct task *t, const struct map_req *q, uint64_t *at)
{
	int r;

	for (;;) {
		if (q->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
			r = fixed_place_locked(mm, q, at);
		else
			r = free_place_locked(mm, t, q, at);
		if (r || !flight_must_wait_locked(mm, t, *at, *at + q->len))
			return r;
		r = mm_wait_range_locked(mm, t, *at, *at + q->len);
		if (r)
			return r;
	}
}

/* --- carrying out --------------------------------------------------------------------------------- */

static uint64_t mapped_bytes_locked(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_overlap_locked(mm, start, end);
	uint64_t n = 0;

	for (; v && v->start < end; v = vma_next(v))
		n += min(v->end, end) - max(v->start, start);
	return n;
}

static int layout_locked(struct task *t, struct mm *mm, struct map_req *q, uint64_t at,
			 struct vma *v, struct vma **dead, struct flight **fl)
{
	uint64_t old = mapped_bytes_locked(mm, at, at + q->len);
	int r;

	if (old && mm_sealed_locked(mm, at, at + q->len))
		return -EPERM;
	if (mm->vma_count >= MM_MAX_MAP_COUNT)
		return -ENOMEM;
	r = mm_may_expand_locked(t, mm, q->vflags, q->len - old);
	if (!r)
		r = mm_mlock_check_locked(t, mm, q->vflags, q->len);
	if (!r)
		r = flight_begin_locked(mm, t, at, at + q->len, FLIGHT_MAP, fl);
	if (r)
		return r;
	r = vma_carve_locked(mm, at, at + q->len, dead);
	if (r)
		return r;
	v->start = at, v->end = at + q->len;
	v->file = q->file ? file_get(q->file) : NULL;
	v->off = q->off;
	(void)vma_link_locked(mm, v, dead);
	return 0;
}

static int host_map(struct task *t, struct mm *mm, const struct map_req *q, uint64_t at,
		    struct flight *fl, bool queue)
{
	struct pl_op op = {.kind = PL_OP_MAP_ANON, .addr = at, .len = q->len,
			   .prot = q->prot & MM_PROT_MASK, .flags = MAP_PRIVATE};

	op.flags |= q->flags & (MAP_NORESERVE | MAP_STACK | MAP_POPULATE);
	if ((q->vflags & VMA_LOCKED) && (q->prot & MM_PROT_MASK))
		op.flags |= MAP_POPULATE;
	if (q->file) {
		op.kind = PL_OP_MAP_FILE;
		if (q->vflags & VMA_SHARED)
			op.flags = MAP_SHARED | (op.flags & MAP_POPULATE);
		op.hfd = hh_fd(q->fm.h);
		op.off = q->fm.off;
		if (op.hfd < 0) {
			flight_end(mm, fl);
			return -EIO;
		}
	}
	return flight_run(mm, t, fl, &op, queue);
}

static int64_t do_mmap(struct task *t, struct map_req *q, bool queue)
{
	struct mm *mm = t->mm;
	struct vma *v = vma_alloc(0, 0, q->vflags), *dead = NULL;
	struct flight *fl = NULL;
	uint64_t at = 0;
	int r;

	if (!v)
		return -ENOMEM;
	mutex_lock(&mm->lock);
	r = place_locked(mm, t, q, &at);
	if (!r)
		r = layout_locked(t, mm, q, at, v, &dead, &fl);
	mutex_unlock(&mm->lock);
	if (r) {
		if (fl)
			flight_end(mm, fl);
		vma_dead_free(dead);
		vma_free(v);
		return r;
	}
	r = host_map(t, mm, q, at, fl, queue);
	vma_dead_free(dead);
	if (r) {
		mm_unmap_unknown(t, at, at + q->len);
		return r == -ESRCH ? -ENOMEM : r;
	}
	return (int64_t)at;
}

static int64_t mmap_common(struct task *t, uint64_t addr, uint64_t len, int prot, int flags,
			   struct file *f, uint64_t off, bool queue)
{
	struct map_req q = {.addr = addr, .len = len, .off = off, .prot = prot, .flags = flags};
	int64_t r;

	mm_flights_done(t);
	r = prepare(t, &q, f);

	if (!r)
		r = do_mmap(t, &q, queue);
	if (q.file)
		file_put(q.file);
	return r;
}

int64_t mm_mmap(struct task *t, uint64_t addr, uint64_t len, int prot, int flags, struct file *f,
		uint64_t off)
{
	return mmap_common(t, addr, len, prot, flags, f, off, false);
}

int64_t mm_mmap_reply(struct task *t, uint64_t addr, uint64_t len, int prot, int flags,
		      struct file *f, uint64_t off)
{
	return mmap_common(t, addr, len, prot, flags, f, off, true);
}
