/* SPDX-License-Identifier: Apache-2.0 */
/* System V attachments in the layout. */
#include <errno.h>
#include "sentry/mm/mm_int.h"

void (*shmem_detached_hook)(struct task *t);

void mm_mark_shm(struct task *t, uint64_t addr, struct file *f, uint32_t key)
{
	struct mm *mm = t->mm;
	struct vma *v;

	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, addr);
	if (v && v->start <= addr && v->file == f) {
		vma_set_flags_locked(mm, v, v->flags | VMA_SHM);
		v->shm_id = key;
	}
	mutex_unlock(&mm->lock);
}

/* The next piece of the attachment at addr: parts may have been unmapped or protected otherwise. */
static bool next_piece(struct mm *mm, uint64_t addr, uint64_t from, struct file **f, uint64_t *start,
		       uint64_t *end)
{
	struct vma *v;
	bool hit = false;

	mutex_lock(&mm->lock);
	for (v = mm_find_locked(mm, from); v && !hit; v = vma_next(v)) {
		if (!(v->flags & VMA_SHM) || v->start - v->off != addr || v->start < addr)
			continue;
		if (*f && v->file != *f)
			continue;
		if (!*f)
			*f = file_get(v->file);
		*start = v->start, *end = v->end;
		hit = true;
	}
	mutex_unlock(&mm->lock);
	return hit;
}

int mm_shm_detach(struct task *t, uint64_t addr, struct file **f)
{
	uint64_t from = addr, start, end;
	int r = 0;

	*f = NULL;
	while (!r && next_piece(t->mm, addr, from, f, &start, &end)) {
		r = mm_unmap_range(t, start, end, false, true);
		from = end;
	}
	if (!*f)
		return -EINVAL;
	if (r)
		file_put(*f);
	return r;
}
