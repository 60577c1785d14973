/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/maps, smaps and smaps_rollup, in Linux's format. */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include "lib/fmt.h"
#include "sentry/mm/mm_int.h"

/* A vma as it was under the lock, with a reference to its file. */
struct snap {
	uint64_t start, end, off;
	uint32_t flags, shm_id;
	struct file *file;
	char name[84];			/* anon_name */
	bool heap;
};

static bool snap_next(struct mm *mm, uint64_t *at, struct snap *s)
{
	struct vma *v;

	mutex_lock(&mm->lock);
	v = mm_find_locked(mm, *at);
	if (v) {
		*s = (struct snap){.start = v->start, .end = v->end, .off = v->off, .flags = v->flags,
				   .shm_id = v->shm_id, .file = v->file ? file_get(v->file) : NULL};
		if (v->anon_name)
			fmt_n(s->name, sizeof(s->name), "%s", v->anon_name);
		s->heap = !v->file && v->start <= mm->brk && v->end >= mm->start_brk &&
			  mm->brk > mm->start_brk;
		*at = v->end;
	}
	mutex_unlock(&mm->lock);
	return v != NULL;
}

static void add_escaped(struct buf *b, const char *p)
{
	for (; *p; p++) {
		if (*p == '\n')
			buf_fmt(b, "\\012");
		else
			buf_addc(b, *p);
	}
}

static void add_name(struct buf *b, const struct snap *s, struct task *reader)
{
	struct path root;
	char *text, *p;

	if (s->flags & VMA_VDSO) {
		buf_fmt(b, "[vdso]");
	} else if (s->flags & VMA_VVAR) {
		buf_fmt(b, "[vvar]");
	} else if (s->flags & VMA_SHM) {
		buf_fmt(b, "/SYSV%08x (deleted)", s->shm_id);
	} else if (s->file && shmem_is(s->file)) {
		if (s->name[0])
			buf_fmt(b, "[anon_shmem:%s]", s->name);
		else
			buf_fmt(b, "/dev/zero (deleted)");
	} else if (s->file) {
		text = kmalloc(PATH_MAX_LEN);
		if (text && !task_root_get(reader, &root)) {
			p = path_text(&s->file->path, &root, text, PATH_MAX_LEN);
			add_escaped(b, p ? p : "");
			path_put(&root);
		}
		kfree(text);
	} else if (s->heap) {
		buf_fmt(b, "[heap]");
	} else if (s->flags & VMA_STACK) {
		buf_fmt(b, "[stack]");
	} else if (s->name[0]) {
		buf_fmt(b, "[anon:%s]", s->name);
	}
}

static bool has_name(const struct snap *s)
{
	return s->file || s->heap || s->name[0] || (s->flags & (VMA_VDSO | VMA_VVAR | VMA_SHM | VMA_STACK));
}

static void add_line(struct buf *b, const struct snap *s, struct task *reader)
{
	struct kstat st = {.ino = 0};
	size_t from = b->len;

	if (s->file && !shmem_is(s->file)) {
		if (vfs_getattr(&s->file->path, &st, 0))
			st = (struct kstat){.ino = s->file->inode->ino};
	} else if (s->file) {
		st = (struct kstat){.dev = makedev(0, 1), .ino = s->file->inode->ino};
	}
	buf_fmt(b, "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ", s->start, s->end,
		s->flags & VMA_READ ? 'r' : '-', s->flags & VMA_WRITE ? 'w' : '-',
		s->flags & VMA_EXEC ? 'x' : '-', s->flags & VMA_SHARED ? 's' : 'p',
		s->file ? s->off : 0, (unsigned)major(st.dev), (unsigned)minor(st.dev), st.ino);
	if (has_name(s)) {
		while (!b->oom && b->len - from < 73)
			buf_addc(b, ' ');
		add_name(b, s, reader);
	}
	buf_addc(b, '\n');
}

/* The image that every space has beyond the layout (mm_setup_vdso). */
static void add_vdso(struct buf *b, struct task *reader)
{
	size_t size;
	const uint64_t at = pl_vdso(&size);
	const struct snap vvar = {.start = at - PL_VVAR_SIZE, .end = at, .flags = VMA_READ | VMA_VVAR};
	const struct snap vdso = {.start = at, .end = at + size,
				  .flags = VMA_READ | VMA_EXEC | VMA_VDSO};

	if (!at)
		return;
	add_line(b, &vvar, reader);
	add_line(b, &vdso, reader);
}

void mm_show_maps(struct mm *mm, struct task *reader, struct buf *b)
{
	struct snap s;
	uint64_t at = 0;

	while (!b->oom && snap_next(mm, &at, &s)) {
		add_line(b, &s, reader);
		if (s.file)
			file_put(s.file);
	}
	if (at)
		add_vdso(b, reader);
}

/* --- smaps --------------------------------------------------------------------------------------------- */

static uint64_t resident(const struct snap *s)
{
	return vma_resident(s->flags, s->end - s->start);
}

static void add_counts(struct buf *b, uint64_t rss, bool anon, bool shared, uint64_t locked)
{
	uint64_t k = rss >> 10;

	buf_fmt(b, "Rss:            %8lu kB\nPss:            %8lu kB\nPss_Dirty:      %8lu kB\n", k, k,
		anon ? k : 0);
	buf_fmt(b, "Shared_Clean:   %8lu kB\nShared_Dirty:   %8lu kB\n", shared ? k : 0ul, 0ul);
	buf_fmt(b, "Private_Clean:  %8lu kB\nPrivate_Dirty:  %8lu kB\n", shared || anon ? 0ul : k,
		anon && !shared ? k : 0ul);
	buf_fmt(b, "Referenced:     %8lu kB\nAnonymous:      %8lu kB\n", k, anon ? k : 0);
	buf_fmt(b, "KSM:            %8lu kB\nLazyFree:       %8lu kB\n", 0ul, 0ul);
	buf_fmt(b, "AnonHugePages:  %8lu kB\nShmemPmdMapped: %8lu kB\nFilePmdMapped:  %8lu kB\n", 0ul, 0ul,
		0ul);
	buf_fmt(b, "Shared_Hugetlb: %8lu kB\nPrivate_Hugetlb:%8lu kB\n", 0ul, 0ul);
	buf_fmt(b, "Swap:           %8lu kB\nSwapPss:        %8lu kB\nLocked:         %8lu kB\n", 0ul, 0ul,
		locked >> 10);
}

static void add_vmflags(struct buf *b, uint32_t f)
{
	static const struct {
		uint32_t bit;
		char text[3];
	} names[] = {
		{VMA_READ, "rd"}, {VMA_WRITE, "wr"}, {VMA_EXEC, "ex"}, {VMA_SHARED, "sh"},
		{VMA_MAYREAD, "mr"}, {VMA_MAYWRITE, "mw"}, {VMA_MAYEXEC, "me"}, {VMA_GROWSDOWN, "gd"},
		{VMA_LOCKED, "lo"}, {VMA_DONTFORK, "dc"}, {VMA_NORESERVE, "nr"}, {VMA_DONTDUMP, "dd"},
		{VMA_WIPEONFORK, "wf"}, {VMA_HUGEPAGE, "hg"}, {VMA_NOHUGEPAGE, "nh"}, {VMA_SEALED, "sl"},
	};
	size_t i;

	buf_fmt(b, "VmFlags: ");
	for (i = 0; i < array_size(names); i++)
		if (f & names[i].bit)
			buf_fmt(b, "%s ", names[i].text);
	buf_addc(b, '\n');
}

static void show_one(struct buf *b, const struct snap *s, struct task *reader)
{
	uint64_t rss = resident(s);

	add_line(b, s, reader);
	buf_fmt(b, "Size:           %8lu kB\n", (s->end - s->start) >> 10);
	buf_fmt(b, "KernelPageSize: %8lu kB\nMMUPageSize:    %8lu kB\n", 4ul, 4ul);
	add_counts(b, rss, !s->file, s->flags & VMA_SHARED, s->flags & VMA_LOCKED ? rss : 0);
	buf_fmt(b, "THPeligible:           0\n");
	add_vmflags(b, s->flags);
}

void mm_show_smaps(struct mm *mm, struct task *reader, struct buf *b, bool rollup)
{
	uint64_t at = 0, first = 0, last = 0, rss = 0, locked = 0;
	struct snap s;

	while (!b->oom && snap_next(mm, &at, &s)) {
		first = first ? first : s.start;
		last = s.end;
		rss += resident(&s);
		locked += s.flags & VMA_LOCKED ? resident(&s) : 0;
		if (!rollup)
			show_one(b, &s, reader);
		if (s.file)
			file_put(s.file);
	}
	if (rollup) {
		struct pl_mem_stat st;
		mm_stat(mm, &st);
		rss = st.rss;
		buf_fmt(b, "%08lx-%08lx ---p 00000000 00:00 0 ", first, last);
		while (!b->oom && b->len < 73)
			buf_addc(b, ' ');
		buf_fmt(b, "[rollup]\n");
		add_counts(b, rss, true, false, locked);
	}
}

/* Without the host's count: what may be resident at most. */
static void estimate(struct mm *mm, struct pl_mem_stat *st)
{
	struct vma *v;

	*st = (struct pl_mem_stat){.rss = 0};
	mutex_lock(&mm->lock);
	for (v = vma_first_locked(mm); v; v = vma_next(v)) {
		const struct snap s = {.start = v->start, .end = v->end, .flags = v->flags};
		*(v->file ? &st->file : &st->anon) += resident(&s);
	}
	mutex_unlock(&mm->lock);
	st->rss = st->anon + st->file;
	st->hiwater = max(st->rss, READ_ONCE(mm->peak_resident));
}

uint32_t mm_stats_open;

void mm_stat(struct mm *mm, struct pl_mem_stat *st)
{
	if (!__atomic_load_n(&mm->stat_open, __ATOMIC_ACQUIRE) || pl_space_stat(mm->space, st))
		estimate(mm, st);
	/* a cell may have seen better days under another program */
	st->hiwater = max(st->rss, min(st->hiwater, mm->peak_vm));
}

uint64_t mm_rss(struct mm *mm)
{
	struct pl_mem_stat st;

	mm_stat(mm, &st);
	return st.rss;
}

uint64_t mm_rss_shared(struct mm *mm)
{
	struct pl_mem_stat st;

	mm_stat(mm, &st);
	return st.file + st.shmem;
}

uint64_t mm_hiwater(struct mm *mm)
{
	struct pl_mem_stat st;

	mm_stat(mm, &st);
	return st.hiwater;
}
