/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core file: ELF header, one PT_LOAD per mapping, and the notes that debuggers read. Pages of
 * zeros are holes. Mappings of files that were never writable are left to the files, but for the
 * first page of an ELF image (coredump_filter, core(5)).
 */
#include "sentry/task/core_elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/shmem.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/task/rusage.h"
#include "sentry/task/task_i.h"

#define CHUNK (64u << 10)
#define LOADS_MAX 0xfff0u
#define SPARSE_MAX (256ull << 20)	/* a reserve larger than this is not looked through */
#define FILE_NOTE_MAX (4u << 20)

enum { DUMP_ANON = 1, DUMP_SHARED_ANON = 2, DUMP_FILE = 4, DUMP_SHARED_FILE = 8, DUMP_ELF = 16 };

struct load {
	uint64_t start, end, filesz;
	uint32_t flags;
};

struct out {
	struct file *f;
	uint64_t pos, limit;
	int err;
};

/* --- writing --------------------------------------------------------------------------------- */

static void put(struct out *o, const void *p, uint64_t n)
{
	struct uio u;
	int64_t pos = (int64_t)o->pos, r;

	if (n > o->limit - min(o->pos, o->limit))
		o->err = o->err ? o->err : 1;	/* the limit: enough */
	if (o->err || !n)
		return;
	uio_kernel(&u, (void *)(uintptr_t)p, n);
	while (u.left) {
		r = vfs_write(o->f, &u, &pos);
		if (r <= 0) {
			o->err = r < 0 ? (int)r : -EIO;
			return;
		}
	}
	o->pos += n;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* The memory of one mapping. What cannot be read is a hole. */
static void put_memory(struct out *o, struct mm *mm, const struct load *l, uint8_t *chunk, bool last)
{
	for (uint64_t at = l->start; at < l->start + l->filesz && !o->err;) {
		size_t n = min((uint64_t)CHUNK, l->start + l->filesz - at);
		int64_t r = mm_peek(mm, chunk, at, n, true);

		for (size_t k = 0; k < n; k += PAGE_SIZE) {
			bool end = last && at + k + PAGE_SIZE >= l->start + l->filesz;

			if (r < (int64_t)(k + PAGE_SIZE))
				memset(chunk + k, 0, PAGE_SIZE);
			if (!end && all_zero(chunk + k, PAGE_SIZE))
				o->pos += PAGE_SIZE;
			else
				put(o, chunk + k, PAGE_SIZE);
		}
		at += n;
	}
}

/* --- which memory ---------------------------------------------------------------------------- */

static bool starts_image(const struct vma *v)
{
	return v->file && !v->off && (v->flags & VMA_READ) && (v->flags & (VMA_EXEC | VMA_MAYEXEC));
}

static uint64_t dump_size(const struct vma *v, uint32_t filter)
{
	uint64_t n = v->end - v->start;

	if (v->flags & VMA_DONTDUMP)
		return 0;
	if (v->flags & VMA_SHARED)
		return filter & (v->file && !shmem_is(v->file) ? DUMP_SHARED_FILE : DUMP_SHARED_ANON) ? n : 0;
	if (!(v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC)) || ((v->flags & VMA_NORESERVE) && n > SPARSE_MAX))
		return 0;
	if (!v->file || (v->flags & (VMA_WRITE | VMA_WRITTEN)))
		return filter & DUMP_ANON ? n : 0;
	if (filter & DUMP_FILE)
		return n;
	return (filter & DUMP_ELF) && starts_image(v) ? PAGE_SIZE : 0;
}

static uint32_t collect(struct mm *mm, struct load *l, uint32_t max)
{
	uint64_t size, vdso = pl_vdso(&size);
	uint32_t n = 0;

	mutex_lock(&mm->lock);
	for (struct vma *v = mm_find_locked(mm, 0); v && n < max; v = mm_find_locked(mm, v->end))
		l[n++] = (struct load){v->start, v->end, dump_size(v, mm->coredump_filter),
				       (v->flags & VMA_READ ? PF_R : 0u) | (v->flags & VMA_WRITE ? PF_W : 0u) |
					       (v->flags & VMA_EXEC ? PF_X : 0u)};
	mutex_unlock(&mm->lock);
	if (vdso && n < max)	/* beyond the layout */
		l[n++] = (struct load){vdso, vdso + size, size, PF_R | PF_X};
	return n;
}

/* --- notes ----------------------------------------------------------------------------------- */

static void note(struct buf *b, uint32_t type, const char *name, const void *p, size_t n)
{
	const Elf64_Nhdr h = {(uint32_t)strlen(name) + 1, (uint32_t)n, type};
	static const char zeros[8];

	buf_add(b, &h, sizeof(h));
	buf_add(b, name, h.n_namesz);
	buf_add(b, zeros, -h.n_namesz & 3);
	buf_add(b, p, n);
	buf_add(b, zeros, -n & 3);
}

static struct timeval tv(uint64_t ns)
{
	return (struct timeval){(time_t)(ns / 1000000000u), (suseconds_t)(ns % 1000000000u / 1000)};
}

static void ids_of(struct task *t, int32_t *pid, int32_t *ppid, int32_t *pgrp, int32_t *sid)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct process *p = t->proc;

	mutex_lock(&tasks_lock);
	*pid = task_tgid_nr(t, ns);
	*ppid = p->parent && p->parent->leader ? task_tgid_nr(p->parent->leader, ns) : 0;
	*pgrp = p->pgrp ? pid_nr(p->pgrp, ns) : 0;
	*sid = p->session ? pid_nr(p->session, ns) : 0;
	mutex_unlock(&tasks_lock);
}

static void note_status(struct buf *b, struct task *t, const struct core *d, const struct core_thread *c)
{
	struct elf_prstatus s = {.pr_cursig = (short)d->sig, .pr_fpvalid = c->xstate_n != 0};
	struct rusage_sum ru;
	int32_t pid;

	s.pr_info.si_signo = d->sig;
	if (c->tid == task_pid_nr(t, task_pid_ns(t)))
		s.pr_info.si_code = d->info.code, s.pr_info.si_errno = d->info.err;
	s.pr_sigpend = c->pending, s.pr_sighold = c->blocked;
	ids_of(t, &pid, &s.pr_ppid, &s.pr_pgrp, &s.pr_sid);
	s.pr_pid = c->tid;
	process_usage(t->proc, &ru);
	s.pr_utime = tv(ru.utime), s.pr_stime = tv(ru.stime);
	memcpy(&s.pr_reg, &c->regs, sizeof(c->regs));
	note(b, NT_PRSTATUS, "CORE", &s, sizeof(s));
}

static void note_xstate(struct buf *b, const struct core_thread *c)
{
	if (c->xstate_n < 512)
		return;
	note(b, NT_FPREGSET, "CORE", c->xstate, 512);
	if (c->xstate_n > 576)
		note(b, NT_X86_XSTATE, "LINUX", c->xstate, c->xstate_n);
}

static void note_psinfo(struct buf *b, struct task *t)
{
	struct elf_prpsinfo s = {.pr_sname = 'R', .pr_nice = t->nice, .pr_flag = 0x400000};
	struct mm *mm = t->mm;

	s.pr_uid = t->cred->uid, s.pr_gid = t->cred->gid;
	ids_of(t, &s.pr_pid, &s.pr_ppid, &s.pr_pgrp, &s.pr_sid);
	memcpy(s.pr_fname, t->comm, sizeof(s.pr_fname) - 1);
	size_t n = min((size_t)(mm->arg_end - mm->arg_start), sizeof(s.pr_psargs) - 1);
	if (n && mm_peek(mm, s.pr_psargs, mm->arg_start, n, true) != (int64_t)n)
		memset(s.pr_psargs, 0, sizeof(s.pr_psargs));
	for (size_t i = 0; i + 1 < n; i++)
		if (!s.pr_psargs[i])
			s.pr_psargs[i] = ' ';
	note(b, NT_PRPSINFO, "CORE", &s, sizeof(s));
}

/* NT_FILE: count, page size, (start, end, offset in pages) each, then the names. */
static void note_files(struct buf *b, struct task *t)
{
	struct buf rows = {0}, names = {0};
	char *text = kmalloc(PATH_MAX_LEN);
	uint64_t head[2] = {0, PAGE_SIZE}, at = 0;
	struct path root, p;

	if (!text || task_root_get(t, &root)) {
		kfree(text);
		return;
	}
	for (bool more = true; more;) {
		more = false;
		uint64_t row[3] = {0};
		mutex_lock(&t->mm->lock);
		for (struct vma *v = mm_find_locked(t->mm, at); v && !more; v = mm_find_locked(t->mm, v->end)) {
			at = v->end;
			if (!v->file)
				continue;
			row[0] = v->start, row[1] = v->end, row[2] = v->off / PAGE_SIZE;
			p = v->file->path;
			path_get(&p);
			more = true;
		}
		mutex_unlock(&t->mm->lock);
		if (!more)
			break;
		const char *s = path_text(&p, &root, text, PATH_MAX_LEN);
		path_put(&p);
		if (!s)
			s = "";
		if (rows.len + names.len > FILE_NOTE_MAX)
			break;
		buf_add(&rows, row, sizeof(row));
		buf_add(&names, s, strlen(s) + 1);
		head[0]++;
	}
	path_put(&root);
	kfree(text);
	struct buf all = {0};
	buf_add(&all, head, sizeof(head));
	if (rows.len)
		buf_add(&all, rows.p, rows.len);
	if (names.len)
		buf_add(&all, names.p, names.len);
	if (!all.oom && !rows.oom && !names.oom)
		note(b, NT_FILE, "CORE", all.p, all.len);
	buf_fini(&rows);
	buf_fini(&names);
	buf_fini(&all);
}

static void add_notes(struct buf *b, struct task *t, const struct core *d)
{
	const struct core_thread *c;
	bool first = true;

	list_for_each(c, &d->threads, link) {
		note_status(b, t, d, c);
		if (first) {
			note_psinfo(b, t);
			note(b, NT_SIGINFO, "CORE", &d->info, sizeof(d->info));
			note(b, NT_AUXV, "CORE", t->mm->auxv, min(t->mm->auxv_n, (uint32_t)MM_SAVED_AUXV) * 8u);
			note_files(b, t);
		}
		note_xstate(b, c);
		first = false;
	}
}

/* --- the file -------------------------------------------------------------------------------- */

static void put_headers(struct out *o, const struct load *l, uint32_t n, const struct buf *notes)
{
	Elf64_Ehdr eh = {.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(eh),
			 .e_ehsize = sizeof(eh), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (uint16_t)(n + 1)};
	uint64_t at = sizeof(eh) + (n + 1) * sizeof(Elf64_Phdr);
	Elf64_Phdr ph = {.p_type = PT_NOTE, .p_offset = at, .p_filesz = notes->len, .p_align = 4};

	memcpy(eh.e_ident, ELFMAG "\x02\x01\x01", 7);
	put(o, &eh, sizeof(eh));
	put(o, &ph, sizeof(ph));
	at = (at + notes->len + PAGE_SIZE - 1) & PAGE_MASK;
	for (uint32_t i = 0; i < n; i++) {
		ph = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = l[i].flags, .p_offset = at, .p_vaddr = l[i].start,
				  .p_filesz = l[i].filesz, .p_memsz = l[i].end - l[i].start, .p_align = PAGE_SIZE};
		put(o, &ph, sizeof(ph));
		at += l[i].filesz;
	}
	put(o, notes->p, notes->len);
	o->pos = (o->pos + PAGE_SIZE - 1) & PAGE_MASK;
}

int core_write(struct task *t, struct core *d, struct file *f)
{
	struct out o = {.f = f, .limit = d->limit};
	uint32_t max = min(t->mm->vma_count + 8, LOADS_MAX), n = 0, last = 0;
	struct load *l = kmalloc_array(max, sizeof(*l));
	uint8_t *chunk = kmalloc(CHUNK);
	struct buf notes = {0};

	if (l && chunk) {
		n = collect(t->mm, l, max);
		add_notes(&notes, t, d);
	}
	if (!l || !chunk || notes.oom)
		o.err = -ENOMEM;
	else
		put_headers(&o, l, n, &notes);
	for (uint32_t i = 0; i < n; i++)
		if (l[i].filesz)
			last = i;
	for (uint32_t i = 0; i < n && !o.err; i++)
		put_memory(&o, t->mm, &l[i], chunk, i == last);
	buf_fini(&notes);
	kfree(chunk);
	kfree(l);
	return o.err < 0 ? o.err : 0;
}
