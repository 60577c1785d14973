/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/map_files: one link for each mapping of a file, named by its addresses. */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/stat.h>

#include "sentry/fs/proc/pid.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/shmem.h"

/* The first mapping of a file that ends above `at`: its path with a reference. False: none. */
static bool next_map(struct mm *mm, uint64_t at, uint64_t *start, uint64_t *end, uint32_t *flags,
		     struct path *out)
{
	bool found = false;

	mutex_lock(&mm->lock);
	for (struct vma *v = mm_find_locked(mm, at); v && !found; v = mm_find_locked(mm, v->end)) {
		if (!v->file)
			continue;
		*start = v->start, *end = v->end, *flags = v->flags;
		*out = v->file->path;
		path_get(out);
		found = true;
	}
	mutex_unlock(&mm->lock);
	return found;
}

static bool parse_hex(const char **p, const char *end, uint64_t *v)
{
	const char *from = *p;

	for (*v = 0; *p < end; ++*p) {
		char c = **p;
		int d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (d < 0 || *p - from >= 16)
			break;
		*v = *v << 4 | (uint64_t)d;
	}
	return *p > from && (*from != '0' || *p == from + 1);
}

static int map_files_lookup(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out)
{
	uint64_t lo, hi, start, end;
	const char *p = name;
	uint32_t flags;
	struct path path;

	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	if (!parse_hex(&p, name + len, &lo) || p == name + len || *p++ != '-' || !parse_hex(&p, name + len, &hi) ||
	    p != name + len)
		return -ENOENT;
	struct mm *mm = proc_mm_get(c);
	bool found = mm && next_map(mm, lo, &start, &end, &flags, &path);
	if (mm)
		mm_put(mm);
	if (!found)
		return -ENOENT;
	path_put(&path);
	if (start != lo || end != hi)
		return -ENOENT;
	int err = pseudo_make(c->pi->inode.sb, PT_PROC_FD, "map_files", c->pi->pid, c->pi->thread, lo, out);
	if (!err)
		(*out)->mode = S_IFLNK | (flags & VMA_READ ? 0400u : 0) | (flags & VMA_WRITE ? 0200u : 0);
	return err;
}

static int map_files_iterate(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base)
{
	uint64_t start, end;
	uint32_t flags;
	struct path path;

	(void)f;
	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	for (;;) {
		/* positions count pages, since an address may not fit */
		uint64_t at = (uint64_t)(e->pos - base) * PAGE_SIZE;
		struct mm *mm = proc_mm_get(c);
		bool found = mm && next_map(mm, at, &start, &end, &flags, &path);
		char name[40];

		if (mm)
			mm_put(mm);
		if (!found)
			return 0;
		path_put(&path);
		size_t n = fmt_n(name, sizeof(name), "%lx-%lx", start, end);
		int64_t next = base + (int64_t)(end / PAGE_SIZE);
		if (dir_emit(e, name, n, 0x500000000ull + start / PAGE_SIZE, DT_LNK, next))
			return 0;
		e->pos = next;
	}
}

const struct pseudo_dir_ops proc_map_files_dir = {.lookup = map_files_lookup, .iterate = map_files_iterate};

static int map_path(const struct pseudo_ctx *c, struct path *out)
{
	uint64_t start, end;
	uint32_t flags;

	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	struct mm *mm = proc_mm_get(c);
	bool found = mm && next_map(mm, c->pi->arg, &start, &end, &flags, out);
	if (mm)
		mm_put(mm);
	if (!found)
		return -ENOENT;
	if (start == c->pi->arg)
		return 0;
	path_put(out);
	return -ENOENT;
}

int64_t proc_map_file_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	struct path p;
	int err = map_path(c, &p);

	return err ? err : proc_path_readlink(c, &p, buf, cap);
}

/* Going through the link needs a capability, unlike reading it (proc_map_files_get_link). */
int proc_map_file_follow(const struct pseudo_ctx *c, struct path *out)
{
	if (!task_capable(c->reader, CAP_SYS_ADMIN) && !task_capable(c->reader, CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	return map_path(c, out);
}
