/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Private to mm/: the vma tree and flights. Functions named _locked want mm->lock. */
#include <sys/mman.h>
#include "lib/bug.h"
#include "lib/checked.h"
#include "lib/log.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/shmem.h"
#include "sentry/task/task.h"

#define MM_MAX_MAP_COUNT 65530u
#define MM_STACK_GAP (256 * PAGE_SIZE)	/* stack_guard_gap */
#define MM_PROT_MASK (PROT_READ | PROT_WRITE | PROT_EXEC)

#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

/* --- vma.c ---- */
struct vma *vma_first_locked(struct mm *mm);
struct vma *vma_next(const struct vma *v);
struct vma *vma_prev(const struct vma *v);
/* The first vma that overlaps [start, end), or NULL. */
struct vma *vma_overlap_locked(struct mm *mm, uint64_t start, uint64_t end);
must_check struct vma *vma_alloc(uint64_t start, uint64_t end, uint32_t flags);
void vma_free(struct vma *v);			/* puts the file: no lock held */
/* Links v (no overlap) and merges it with its neighbours; merged-away vmas go to *dead. Returns
 * the vma that now covers the range. */
struct vma *vma_link_locked(struct mm *mm, struct vma *v, struct vma **dead);
struct vma *vma_merge_locked(struct mm *mm, struct vma *v, struct vma **dead);
/* Cuts the vma that covers `at` in two, so that a vma starts at `at`. No-op at a boundary. */
must_check int vma_split_locked(struct mm *mm, uint64_t at);
/* Unlinks everything in [start, end) onto *dead. -ENOMEM before any change. */
must_check int vma_carve_locked(struct mm *mm, uint64_t start, uint64_t end, struct vma **dead);
void vma_unlink_locked(struct mm *mm, struct vma *v, struct vma **dead);
void vma_link_raw_locked(struct mm *mm, struct vma *v);	/* no merge */
void vma_dead_free(struct vma *dead);		/* no lock held */
/* Moves the boundaries of a linked vma; the caller has checked for room. */
void vma_resize_locked(struct mm *mm, struct vma *v, uint64_t start, uint64_t end);
void vma_set_flags_locked(struct mm *mm, struct vma *v, uint32_t flags);
/* Room for len bytes in [lo, hi) from the top; 0 when there is none. */
uint64_t vma_gap_locked(struct mm *mm, uint64_t len, uint64_t lo, uint64_t hi);
/* Is [start, start + len) free, with the guard gap of a stack above kept? */
bool vma_free_range_locked(struct mm *mm, uint64_t start, uint64_t len);
static inline int vma_prot(const struct vma *v)
{
	return (int)(v->flags & MM_PROT_MASK);
}
static inline bool vma_is_anon(const struct vma *v)
{
	return !v->file;
}
/* What of a mapping may be resident at most: the host keeps the pages and does not tell. */
uint64_t vma_resident(uint32_t flags, uint64_t len);
/* Private and writable: counted as data and against overcommit. */
static inline bool vma_flags_data(uint32_t flags)
{
	return (flags & (VMA_WRITE | VMA_SHARED | VMA_STACK)) == VMA_WRITE;
}

/* --- flight.c ---- */
enum flight_kind { FLIGHT_MAP, FLIGHT_UNMAP, FLIGHT_PROTECT, FLIGHT_OTHER };
struct flight {
	struct list link;		/* mm->in_flight */
	struct task *owner;		/* a reference */
	uint64_t start, end;
	uint32_t kind;
	bool queued;			/* done with the owner's next event */
};
/* Waits, dropping and retaking mm->lock, until nothing of others flies over [start, end) and no
 * fork waits; then records a flight. -EINTR when the task is being killed (lock still held). */
must_check int flight_begin_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end,
				   enum flight_kind kind, struct flight **out);

void flight_end(struct mm *mm, struct flight *f);
/* The start of somebody else's flight that overlaps the range, or 0. */
uint64_t flight_over_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end);
bool flight_must_wait_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end);
/* Carries out op for f: queued behind the reply when `queue` and there is room, else now. Ends the
 * flight when it was done now. */
must_check int flight_run(struct mm *mm, struct task *t, struct flight *f, const struct pl_op *op,
			  bool queue);

must_check int mm_batch_flush(struct task *t);
void flight_fork_end(struct mm *mm);
must_check int flight_fork_begin_locked(struct mm *mm, struct task *t);
bool flight_find_failed(struct mm *mm, struct task *t, uint64_t addr, uint64_t len,
			enum flight_kind *kind);

/* --- limits.c ---- */
must_check int mm_may_expand_locked(struct task *t, struct mm *mm, uint32_t flags, uint64_t len);
must_check int mm_may_expand_data_locked(struct task *t, struct mm *mm, uint64_t len);
must_check int mm_mlock_check_locked(struct task *t, struct mm *mm, uint32_t flags, uint64_t len);
must_check int mm_overcommit_check(uint32_t flags, uint64_t len);
uint64_t mm_stack_limit(struct task *t);

/* --- mmap.c ---- */
bool mm_sealed_locked(struct mm *mm, uint64_t start, uint64_t end);
must_check int mm_unmap_range(struct task *t, uint64_t start, uint64_t end, bool queue, bool must);
/* The host's op failed: what the range holds is unknown, so it is unmapped by order (R12). */
void mm_unmap_unknown(struct task *t, uint64_t start, uint64_t end);
uint64_t mm_file_hash(struct mm *mm, struct file *f);
must_check int mm_wait_range_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end);

/* --- mm.c ---- */
#define VMA_MM_ANY_ACCESS (1u << 31)	/* in `need`: some access right */
/* How many bytes from addr on are mapped with the rights. */
uint64_t mm_range_prefix(struct mm *mm, uint64_t addr, uint64_t len, uint32_t need);
uint64_t mm_stack_random(void);

/* --- uaccess.c ---- */
uint64_t mm_copy_fault(struct task *t);		/* where the last short copy stopped */
