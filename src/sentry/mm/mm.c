/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an address space, its copy for fork, and questions about its layout. */
#include <errno.h>
#include <sys/resource.h>
#include "host/proc.h"
#include "sentry/mm/mm_int.h"

static KCACHE(mm_cache, struct mm, 0);
static uint64_t layout_seed;	/* one per sandbox, so that a file has one address (R8) */

#define STACK_RND (16ull << 30)
#define MIN_STACK_AREA (128ull << 20)

static uint64_t random64(void)
{
	uint64_t v = 0;

	if (h_getrandom(&v, sizeof(v), 0) != (int64_t)sizeof(v))
		v = (uint64_t)now_mono() * 0x9e3779b97f4a7c15ull;
	return v;
}

static uint64_t seed_get(void)
{
	uint64_t s = __atomic_load_n(&layout_seed, __ATOMIC_RELAXED), n;

	if (s)
		return s;
	n = random64() | 1;
	if (__atomic_compare_exchange_n(&layout_seed, &s, n, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		return n;
	return s;
}

int mm_create(pl_space_t space, struct mm **out)
{
	struct mm *mm = kc_alloc(&mm_cache);

	if (!mm)
		return -ENOMEM;
	ref_init(&mm->ref, 1);
	ref_init(&mm->users, 1);
	mutex_init(&mm->lock, RANK_MM);
	list_init(&mm->in_flight);
	list_init(&mm->aio);
	wq_init(&mm->flight_wq);
	mm->space = space;
	mm->task_top = pl_guest_top();
	mm->seed = seed_get();
	/* Above: the stack's random part, its room to grow and the guard gap (R9). */
	mm->mmap_base = mm->task_top - STACK_RND - MIN_STACK_AREA - MM_STACK_GAP;
	mm->mmap_base -= (mm->seed >> 8 & ((1ull << 24) - 1)) << 12;
	mm->hole_from = mm->mmap_base;
	mm->dumpable = true;
	mm->dumpable_mode = 1;
	mm->coredump_filter = 0x33;
	*out = mm;
	return 0;
}

struct mm *mm_get(struct mm *mm)
{
	ref_get(&mm->ref);
	return mm;
}

void (*mm_ended)(void);
void (*mm_aio_exit)(struct mm *mm);

static void drop_layout(struct mm *mm)
{
	struct vma *dead = NULL, *v;
	struct file *exe;

	if (mm_aio_exit)
		mm_aio_exit(mm);
	mutex_lock(&mm->lock);
	while ((v = vma_first_locked(mm)) != NULL)
		vma_unlink_locked(mm, v, &dead);
	exe = steal(mm->exe);
	mutex_unlock(&mm->lock);
	vma_dead_free(dead);
	if (exe)
		file_put(exe);	/* forks share it: writes are allowed again by the last one */
}

void mm_put(struct mm *mm)
{
	if (!mm || !ref_put(&mm->ref))
		return;
	drop_layout(mm);
	if (mm_ended)
		mm_ended();
	if (mm->args && ref_put(&mm->args->ref))
		kfree(mm->args);
	wq_destroy(&mm->flight_wq);
	if (mm->stat_open)
		__atomic_fetch_sub(&mm_stats_open, 1, __ATOMIC_RELAXED);
	kc_free(&mm_cache, mm);
}

void mm_users_put(struct mm *mm)
{
	if (mm && ref_put(&mm->users))
		drop_layout(mm);
}

/* --- fork ------------------------------------------------------------------------------------- */

static struct vma *vma_copy(const struct vma *v)
{
	struct vma *n = vma_alloc(v->start, v->end, v->flags & ~(uint32_t)VMA_LOCKED);

	if (!n)
		return NULL;
	if (v->anon_name) {
		n->anon_name = kstrdup(v->anon_name);
		if (!n->anon_name) {
			vma_free(n);
			return NULL;
		}
	}
	n->off = v->off;
	n->shm_id = v->shm_id;
	if (v->file)
		n->file = file_get(v->file);
	return n;
}

static int copy_layout(struct mm *mm, struct mm *c)
{
	struct vma *v, *n;

	for (v = vma_first_locked(mm); v; v = vma_next(v)) {
		if (v->flags & VMA_DONTFORK)
			continue;
		n = vma_copy(v);
		if (!n)
			return -ENOMEM;
		vma_link_raw_locked(c, n);
	}
	c->mmap_base = mm->mmap_base;
	c->seed = mm->seed;
	c->hole_from = mm->hole_from, c->hole_max = mm->hole_max;
	c->start_code = mm->start_code, c->end_code = mm->end_code;
	c->start_data = mm->start_data, c->end_data = mm->end_data;
	c->start_brk = mm->start_brk, c->brk = mm->brk, c->start_stack = mm->start_stack;
	c->arg_start = mm->arg_start, c->arg_end = mm->arg_end;
	c->env_start = mm->env_start, c->env_end = mm->env_end;
	__builtin_memcpy(c->auxv, mm->auxv, sizeof(c->auxv));
	c->auxv_n = mm->auxv_n;
	c->dumpable = mm->dumpable, c->dumpable_mode = mm->dumpable_mode;
	c->thp_disable = mm->thp_disable;
	c->coredump_filter = mm->coredump_filter;
	c->membarrier = mm->membarrier;
	if (mm->exe)
		c->exe = file_get(mm->exe);
	c->args = mm->args;
	if (c->args)
		ref_get(&c->args->ref);
	return 0;
}

int mm_fork_begin(struct task *t, struct mm **child)
{
	struct mm *mm = t->mm, *c;
	int r = mm_create((pl_space_t){PL_NONE}, &c);

	if (r)
		return r;
	mm_flights_done(t);
	mutex_lock(&mm->lock);
	r = flight_fork_begin_locked(mm, t);
	if (r) {
		mutex_unlock(&mm->lock);
		mm_put(c);
		return r == -EINTR ? -ERESTARTNOINTR : r;
	}
	r = copy_layout(mm, c);
	mutex_unlock(&mm->lock);
	if (r) {
		flight_fork_end(mm);
		mm_put(c);
		return r;
	}
	*child = c;
	return 0;
}

void mm_fork_end(struct task *t, struct mm *child, bool ok)
{
	flight_fork_end(t->mm);
	if (!ok)
		mm_put(child);
}

/* --- looking ------------------------------------------------------------------------------------ */

uint64_t mm_range_prefix(struct mm *mm, uint64_t addr, uint64_t len, uint32_t need)
{
	uint64_t at = addr, end;
	struct vma *v;

	if (addr < PL_GUEST_MIN || addr >= mm->task_top)
		return 0;
	end = len > mm->task_top - addr ? mm->task_top : addr + len;
	if (need & VMA_READ)	/* writable and executable pages are readable, as on the hardware */
		need = (need & ~(uint32_t)VMA_READ) | VMA_MM_ANY_ACCESS;
	mutex_lock(&mm->lock);
	for (v = mm_find_locked(mm, at); v && at < end && v->start <= at; v = vma_next(v)) {
		if ((need & VMA_MM_ANY_ACCESS) && !(v->flags & MM_PROT_MASK))
			break;
		if (need & ~VMA_MM_ANY_ACCESS & ~v->flags)
			break;
		at = min(v->end, end);
	}
	mutex_unlock(&mm->lock);
	return at - addr;
}

bool mm_range_ok(struct mm *mm, uint64_t addr, uint64_t len, uint32_t need)
{
	return len == 0 || mm_range_prefix(mm, addr, len, need) == len;
}

bool mm_has_shared(struct mm *mm)
{
	struct vma *v;
	bool hit = false;

	mutex_lock(&mm->lock);
	for (v = vma_first_locked(mm); v && !hit; v = vma_next(v))
		hit = (v->flags & (VMA_SHARED | VMA_MAYWRITE)) == (VMA_SHARED | VMA_MAYWRITE);
	mutex_unlock(&mm->lock);
	return hit;
}

int mm_futex_key(struct task *t, uint64_t addr, bool write, struct futex_key *out)
{
	struct mm *mm = t->mm;
	struct vma *v;
	int r = 0;

	if (addr & 3)
		return -EINVAL;
	if (!mm_range_prefix(mm, addr, 4, write ? VMA_WRITE : VMA_READ)) {
		if (mm_fault(t, addr, write))
			return -EFAULT;
	}
	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, addr);
	if (!v || v->start > addr) {
		r = -EFAULT;
	} else if (v->file && (v->flags & VMA_SHARED)) {
		out->kind = 1;
		out->obj = (uint64_t)(uintptr_t)v->file->inode;
		out->off = v->off + (addr - v->start);
	} else {
		out->kind = 2;
		out->obj = (uint64_t)(uintptr_t)mm;
		out->off = addr;
	}
	mutex_unlock(&mm->lock);
	return r;
}

/* --- where things go ------------------------------------------------------------------------------ */

uint64_t mm_file_hash(struct mm *mm, struct file *f)
{
	uint64_t h = mm->seed ^ f->inode->ino * 0x9e3779b97f4a7c15ull;

	if (f->inode->sb)
		h ^= f->inode->sb->dev * 0xc2b2ae3d27d4eb4full;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	h ^= h >> 32;
	return h * 0xd6e8feb86659fd93ull;
}

uint64_t mm_image_base(struct mm *mm, struct file *f)
{
	return 0x555555554000ull + ((mm_file_hash(mm, f) >> 36) << 12);
}

/* The stack lies at the top, below a random part that is the process's own. */
uint64_t mm_stack_random(void)
{
	return (random64() & (STACK_RND - 1)) & PAGE_MASK;
}

void mm_set_brk(struct mm *mm, uint64_t start)
{
	uint64_t at;

	if (!page_up(start, &at))
		at = mm->task_top;
	at += (random64() & 0x1fff) << 12;
	mutex_lock(&mm->lock);
	mm->start_brk = mm->brk = at;
	mutex_unlock(&mm->lock);
}
