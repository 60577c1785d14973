/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of address spaces: decode and check, then mm/. */
#include <errno.h>
#include <sys/mman.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"

int64_t sys_mmap(struct task *t, const struct sysargs *a)
{
	int flags = ARG_INT(3);
	struct file *f = NULL;
	int64_t r;

	if (a->a[5] & ~PAGE_MASK)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		f = fd_get(t, ARG_INT(4));
		if (!f)
			return -EBADF;
	}
	r = mm_mmap_reply(t, a->a[0], a->a[1], ARG_INT(2), flags, f, a->a[5]);
	if (f)
		file_put(f);
	return r;
}

int64_t sys_munmap(struct task *t, const struct sysargs *a)
{
	return mm_munmap_reply(t, a->a[0], a->a[1]);
}

int64_t sys_mprotect(struct task *t, const struct sysargs *a)
{
	return mm_mprotect_reply(t, a->a[0], a->a[1], ARG_INT(2));
}

/* No protection keys: a key other than "none" is invalid, as on hardware without them. */
int64_t sys_pkey_mprotect(struct task *t, const struct sysargs *a)
{
	return ARG_INT(3) == -1 ? mm_mprotect_reply(t, a->a[0], a->a[1], ARG_INT(2)) : -EINVAL;
}

int64_t sys_pkey_alloc(struct task *t, const struct sysargs *a)
{
	if (ARG_U32(0) || (ARG_U32(1) & ~3u))
		return -EINVAL;
	return -ENOSPC;
}

int64_t sys_pkey_free(struct task *t, const struct sysargs *a)
{
	return -EINVAL;
}

int64_t sys_brk(struct task *t, const struct sysargs *a)
{
	return mm_brk(t, a->a[0]);
}

int64_t sys_mremap(struct task *t, const struct sysargs *a)
{
	return mm_mremap(t, a->a[0], a->a[1], a->a[2], ARG_INT(3), a->a[4]);
}

/* The file and protection of the shared mapping that holds the whole range, maybe in several pieces. */
static int shared_file(struct mm *mm, uint64_t start, uint64_t end, int *prot, struct file **out)
{
	struct file *f = NULL;
	uint64_t at = start;

	mutex_lock(&mm->lock);
	for (struct vma *v = mm_find_locked(mm, start); v && at < end; v = mm_find_locked(mm, at)) {
		if (v->start > at || !v->file || !(v->flags & VMA_SHARED) || (f && f != v->file))
			break;
		f = v->file;
		*prot = (int)(v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC));
		at = v->end;
	}
	*out = at >= end ? file_get(f) : NULL;
	mutex_unlock(&mm->lock);
	return *out ? 0 : -EINVAL;
}

/* As Linux does it since 4.0: a new mapping of the same file over the old one. */
int64_t sys_remap_file_pages(struct task *t, const struct sysargs *a)
{
	uint64_t start = a->a[0] & PAGE_MASK, size = a->a[1] & PAGE_MASK, end, off, off_end;
	struct file *f;
	int prot = 0;

	if (a->a[2] || !size || !size_add(start, size, &end) || !size_mul(a->a[3], PAGE_SIZE, &off) ||
	    !size_add(off, size, &off_end))
		return -EINVAL;
	int64_t r = shared_file(t->mm, start, end, &prot, &f);
	if (r)
		return r;
	r = mm_mmap_reply(t, start, size, prot, MAP_SHARED | MAP_FIXED, f, off);
	file_put(f);
	return r < 0 ? r : 0;
}

int64_t sys_madvise(struct task *t, const struct sysargs *a)
{
	return mm_madvise(t, a->a[0], a->a[1], ARG_INT(2));
}

int64_t sys_mlock(struct task *t, const struct sysargs *a)
{
	return mm_mlock(t, a->a[0], a->a[1], true, false);
}

int64_t sys_mlock2(struct task *t, const struct sysargs *a)
{
	if (ARG_INT(2) & ~1 /* MLOCK_ONFAULT */)
		return -EINVAL;
	return mm_mlock(t, a->a[0], a->a[1], true, ARG_U32(2) & 1);
}

int64_t sys_munlock(struct task *t, const struct sysargs *a)
{
	return mm_mlock(t, a->a[0], a->a[1], false, false);
}

int64_t sys_mlockall(struct task *t, const struct sysargs *a)
{
	int f = ARG_INT(0);

	if (!f || (f & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || f == MCL_ONFAULT)
		return -EINVAL;
	return mm_mlockall(t, f);
}

int64_t sys_munlockall(struct task *t, const struct sysargs *a)
{
	return mm_mlockall(t, 0);
}

int64_t sys_mseal(struct task *t, const struct sysargs *a)
{
	return mm_mseal(t, a->a[0], a->a[1], a->a[2]);
}

/* One step of msync: the first mapping at or behind *at, its file when it must be written. */
static bool sync_step(struct mm *mm, uint64_t *at, uint64_t end, int flags, struct file **f, int *err)
{
	struct vma *v;

	*f = NULL;
	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, *at);
	if (!v || v->start >= end) {
		*err = -ENOMEM;
		*at = end;
	} else {
		if (v->start > *at)
			*err = -ENOMEM;
		if ((flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED))
			*err = -EBUSY;
		else if ((flags & MS_SYNC) && v->file && (v->flags & VMA_SHARED))
			*f = file_get(v->file);
		*at = v->end;
	}
	mutex_unlock(&mm->lock);
	return *at < end && *err != -EBUSY;
}

int64_t sys_msync(struct task *t, const struct sysargs *a)
{
	uint64_t at = a->a[0], len = a->a[1], end;
	int flags = ARG_INT(2), err = 0, r;
	bool more = true;
	struct file *f;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (at & ~PAGE_MASK))
		return -EINVAL;
	if ((flags & MS_ASYNC) && (flags & MS_SYNC))
		return -EINVAL;
	if ((len && !page_up(len, &len)) || __builtin_add_overflow(at, len, &end))
		return -ENOMEM;
	while (at < end && more) {
		more = sync_step(t->mm, &at, end, flags, &f, &err);
		if (!f)
			continue;
		r = file_ops(f)->fsync ? file_ops(f)->fsync(f, true) : 0;
		file_put(f);
		if (r)
			return r;
	}
	return err;
}

/* The host keeps the pages: the thread asks it, and says what it was told. Pages of files that the
 * guest may neither write nor own count as resident, as Linux has it; so do those of the host's. */
int64_t sys_mincore(struct task *t, const struct sysargs *a)
{
	uint64_t at = a->a[0], pages, len, done;
	size_t cap;

	if (at & ~PAGE_MASK)
		return -EINVAL;
	if (!range_within(at, a->a[1], 0, t->mm->task_top) || (a->a[1] && !page_up(a->a[1], &len)))
		return -ENOMEM;
	pages = a->a[1] ? len / PAGE_SIZE : 0;
	if (access_check(t, ARG_UADDR(2), pages, true))
		return -EFAULT;
	if (!mm_range_ok(t->mm, at, pages * PAGE_SIZE, 0))
		return -ENOMEM;
	if (!pl_bounce(t->pl, &cap))
		return -EFAULT;
	for (done = 0; done < pages; done += min(pages - done, (uint64_t)cap)) {
		size_t n = min(pages - done, (uint64_t)cap);
		int64_t r = pl_mincore(t->pl, at + done * PAGE_SIZE, n);

		if (r < 0)
			return r == -ENOMEM || r == -EAGAIN ? r : -EFAULT;
		/* bounded: access_check saw the whole range */
		r = pl_bounce_out(t->pl, a->a[2] + done, 0, n);
		if (r != (int64_t)n)
			return -EFAULT;
	}
	return 0;
}
