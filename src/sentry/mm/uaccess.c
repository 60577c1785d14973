/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to guest memory: a layout check, the stub's copy, and at a fault one look at the stack's
 * growth zone (R9). Every function may stop in the middle; the partial forms say where.
 */
#include <errno.h>
#include <string.h>
#include "sentry/mm/mm_int.h"
#include "sentry/mm/uaccess.h"

#define PATH_SMALL 192u

enum dir { IN, OUT };

/* The vDSO lies beyond the layout (mm_setup_vdso); its image is ours. */
static uint64_t vdso_prefix(uint64_t addr, uint64_t n)
{
	size_t size;
	const uint64_t at = pl_vdso(&size);

	return at && addr >= at && addr - at < size ? min(n, size - (addr - at)) : 0;
}

/* How much of the range may be copied now; grows the stack when it starts in its growth zone. */
static uint64_t allowed(struct task *t, uint64_t addr, uint64_t n, enum dir d)
{
	uint64_t ok;
	int tries;

	if (!t->mm)
		return 0;
	if (unlikely(addr >= t->mm->task_top))
		return d == IN ? vdso_prefix(addr, n) : 0;
	for (tries = 0; tries < 3; tries++) {
		ok = mm_range_prefix(t->mm, addr, n, d == OUT ? VMA_WRITE : VMA_READ);
		if (ok || mm_fault(t, addr, d == OUT))
			return ok;
	}
	return 0;
}

uint64_t mm_copy_fault(struct task *t)
{
	int signo;

	return pl_copy_fault(t->pl, &signo);
}

static int64_t copy(struct task *t, void *buf, uint64_t addr, uint64_t n, enum dir d)
{
	uint64_t done = 0, ok;
	unsigned faults = 0;
	int64_t r;

	lock_assert_none_held();
	if (unlikely(t->mm_batch != NULL) && mm_batch_flush(t))
		return -EFAULT;
	while (done < n) {
		ok = allowed(t, addr + done, n - done, d);
		if (!ok)
			break;
		if (d == IN && addr + done >= t->mm->task_top)
			r = (int64_t)pl_vdso_read((char *)buf + done, addr + done, ok);
		else if (d == IN)
			r = pl_copy_in(t->pl, (char *)buf + done, addr + done, ok);
		else
			r = pl_copy_out(t->pl, addr + done, (const char *)buf + done, ok);
		if (r < 0 || (uint64_t)r > ok)
			break;
		done += (uint64_t)r;
		if ((uint64_t)r < ok && faults++ > 3)
			break;
		if ((uint64_t)r < ok && mm_fault(t, mm_copy_fault(t), d == OUT))
			break;
	}
	return done ? (int64_t)done : -EFAULT;
}

int copy_in(struct task *t, void *dst, uaddr_t src, size_t n)
{
	if (!n)
		return 0;
	return copy(t, dst, src.v, n, IN) == (int64_t)n ? 0 : -EFAULT;
}

int copy_out(struct task *t, uaddr_t dst, const void *src, size_t n)
{
	if (!n)
		return 0;
	return copy(t, (void *)(uintptr_t)src, dst.v, n, OUT) == (int64_t)n ? 0 : -EFAULT;
}

int64_t copy_in_partial(struct task *t, void *dst, uaddr_t src, size_t n)
{
	return n ? copy(t, dst, src.v, n, IN) : 0;
}

int64_t copy_out_partial(struct task *t, uaddr_t dst, const void *src, size_t n)
{
	return n ? copy(t, (void *)(uintptr_t)src, dst.v, n, OUT) : 0;
}

int64_t copy_in_str(struct task *t, char *dst, uaddr_t src, size_t cap)
{
	uint64_t done = 0, ok;
	unsigned faults = 0;
	int64_t r;

	lock_assert_none_held();
	while (done < cap) {
		ok = allowed(t, src.v + done, cap - done, IN);
		if (!ok)
			return -EFAULT;
		r = pl_copy_in_str(t->pl, dst + done, src.v + done, ok);
		if (r < 0 || (uint64_t)r > ok)
			return -EFAULT;
		done += (uint64_t)r;
		if (r && !dst[done - 1])
			return (int64_t)done - 1;
		if ((uint64_t)r < ok && faults++ > 3)
			return -EFAULT;
		if ((uint64_t)r < ok && mm_fault(t, mm_copy_fault(t), false))
			return -EFAULT;
	}
	return -ENAMETOOLONG;
}

int copy_in_path(struct task *t, uaddr_t src, bool may_be_empty, char **out)
{
	char small[PATH_SMALL], *p;
	int64_t n = copy_in_str(t, small, src, sizeof(small));

	if (n >= 0) {		/* nearly all: no page is cleared for them */
		p = n || may_be_empty ? kmemdup(small, (size_t)n + 1) : NULL;
		*out = p;
		return p ? 0 : n || may_be_empty ? -ENOMEM : -ENOENT;
	}
	if (n != -ENAMETOOLONG)
		return (int)n;
	p = kmalloc(PATH_MAX_LEN);
	if (!p)
		return -ENOMEM;
	n = copy_in_str(t, p, src, PATH_MAX_LEN);
	if (!n && !may_be_empty)
		n = -ENOENT;
	if (n < 0) {
		kfree(p);
		return (int)n;
	}
	*out = p;
	return 0;
}

void path_buf_free(char *p)
{
	kfree(p);
}

int access_check(struct task *t, uaddr_t a, uint64_t n, bool write)
{
	uint64_t done = 0, ok;

	while (done < n) {
		ok = allowed(t, a.v + done, n - done, write ? OUT : IN);
		if (!ok)
			return -EFAULT;
		done += ok;
	}
	return 0;
}

static int atomic32(struct task *t, enum pl_atomic op, uaddr_t a, uint32_t old, uint32_t val,
		    uint32_t *seen)
{
	int tries, r = -EFAULT;

	if (a.v & 3)
		return -EINVAL;
	lock_assert_none_held();
	for (tries = 0; tries < 3; tries++) {
		if (allowed(t, a.v, 4, op == PL_LOAD ? IN : OUT) < 4)
			return -EFAULT;
		r = pl_atomic32(t->pl, op, a.v, old, val, seen);
		if (r != -EFAULT || mm_fault(t, a.v, op != PL_LOAD))
			break;
	}
	return r ? -EFAULT : 0;
}

int user_load32(struct task *t, uaddr_t a, uint32_t *val)
{
	return atomic32(t, PL_LOAD, a, 0, 0, val);
}

int user_cmpxchg32(struct task *t, uaddr_t a, uint32_t old, uint32_t val, uint32_t *seen)
{
	return atomic32(t, PL_CMPXCHG, a, old, val, seen);
}

/* --- other spaces --------------------------------------------------------------------------------- */

/* A forced access reaches what the process could have been given, as FOLL_FORCE does. */
static uint32_t peek_need(bool write, bool force)
{
	if (force)
		return VMA_MAYREAD;
	return write ? VMA_WRITE : VMA_READ;
}

/* Forced writes to read-only shared mappings are refused as in Linux (EIO). */
static bool forced_write_ok(struct mm *mm, uint64_t addr, uint64_t n)
{
	struct vma *v;
	bool ok = true;

	mutex_lock(&mm->lock);
	for (v = vma_overlap_locked(mm, addr, addr + n); v && v->start < addr + n; v = vma_next(v))
		if ((v->flags & VMA_SHARED) && !(v->flags & VMA_WRITE))
			ok = false;
	mutex_unlock(&mm->lock);
	return ok;
}

int64_t mm_peek(struct mm *mm, void *dst, uint64_t src, size_t n, bool force)
{
	uint64_t ok = mm_range_prefix(mm, src, n, peek_need(false, force)), image = vdso_prefix(src, n);
	int64_t r;

	if (!n)
		return 0;
	if (image) {
		r = pl_space_read(mm->space, dst, src, image);
		return r > 0 ? r : (int64_t)pl_vdso_read(dst, src, image);
	}
	if (!ok)
		return -EFAULT;
	r = pl_space_read(mm->space, dst, src, ok);
	if (r < 0 && mm->args && src >= mm->args->start && src - mm->args->start < mm->args->n) {
		uint64_t at = src - mm->args->start;

		ok = min(ok, mm->args->n - at);
		__builtin_memcpy(dst, mm->args->data + at, ok);
		return (int64_t)ok;
	}
	return r > 0 ? r : -EFAULT;
}

int64_t mm_poke(struct mm *mm, uint64_t dst, const void *src, size_t n, bool force)
{
	uint64_t ok = mm_range_prefix(mm, dst, n, peek_need(true, force));
	int64_t r;

	if (!n)
		return 0;
	if (force && vdso_prefix(dst, n))
		ok = vdso_prefix(dst, n);
	else if (!ok || (force && !forced_write_ok(mm, dst, ok)))
		return -EFAULT;
	r = pl_space_write(mm->space, dst, src, ok);
	return r > 0 ? r : -EFAULT;
}
