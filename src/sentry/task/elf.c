/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/task/elf.h"
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"

#define PHNUM_MAX (65536 / sizeof(struct l_phdr))

int elf_check_header(const struct l_ehdr *eh)
{
	if (__builtin_memcmp(eh->ident, ELFMAG, SELFMAG))
		return -ENOEXEC;
	if (eh->ident[EI_CLASS] != ELFCLASS64 || eh->ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if ((eh->type != ET_EXEC && eh->type != ET_DYN) || eh->machine != EM_X86_64)
		return -ENOEXEC;
	if (eh->phentsize != sizeof(struct l_phdr) || eh->phnum < 1 || eh->phnum > PHNUM_MAX)
		return -ENOEXEC;
	return 0;
}

/* Sizes and addresses of every PT_LOAD lie in [0, top), in order of address. */
int elf_check_phdrs(struct elf_image *im, uint64_t top)
{
	uint64_t last = 0;

	im->max_align = PAGE_SIZE;
	for (unsigned i = 0; i < im->eh.phnum; i++) {
		const struct l_phdr *p = &im->ph[i];
		uint64_t end, file_end;

		if (p->type == PT_GNU_STACK) {
			im->stack_flag_seen = true;
			im->exec_stack = p->flags & PF_X;
		}
		if (p->type != PT_LOAD || !p->memsz)
			continue;
		if (p->filesz > p->memsz || p->memsz > top || p->vaddr > top - p->memsz)
			return -EINVAL;
		if (__builtin_add_overflow(p->offset, p->filesz, &file_end) || file_end > INT64_MAX)
			return -EINVAL;
		if ((p->vaddr ^ p->offset) & (PAGE_SIZE - 1) && p->filesz)
			return -EINVAL;
		if (!page_up(p->vaddr + p->memsz, &end) || end > top)
			return -EINVAL;
		if (im->has_load && p->vaddr < last)
			return -EINVAL;
		last = p->vaddr;
		if (!im->has_load)
			im->lo = page_down(p->vaddr);
		im->hi = max(im->hi, end);
		im->has_load = true;
		if (p->align > im->max_align && !(p->align & (p->align - 1)) && p->align <= (1ull << 30))
			im->max_align = p->align;
	}
	return im->has_load ? 0 : -ENOEXEC;
}

static int read_exact(struct file *f, void *dst, size_t n, uint64_t off)
{
	int64_t r;

	if (off > INT64_MAX - n)
		return -ENOEXEC;
	r = vfs_pread(f, dst, n, (int64_t)off);
	if (r < 0)
		return (int)r;
	return (size_t)r == n ? 0 : -EIO;
}

static int read_interp(struct elf_image *im, const struct l_phdr *p)
{
	int rc;

	if (p->filesz < 2 || p->filesz > PATH_MAX_LEN)
		return -ENOEXEC;
	im->interp = kmalloc(p->filesz);
	if (!im->interp)
		return -ENOMEM;
	rc = read_exact(im->file, im->interp, p->filesz, p->offset);
	if (rc)
		return rc;
	return im->interp[p->filesz - 1] == '\0' ? 0 : -ENOEXEC;
}

int elf_read(struct file *f, bool is_interp, struct elf_image *im)
{
	int bad = is_interp ? -ELIBBAD : -ENOEXEC;
	size_t size;
	int rc;

	*im = (struct elf_image){.file = f};
	rc = read_exact(f, &im->eh, sizeof(im->eh), 0);
	if (rc)
		return rc == -EIO ? bad : rc;
	if (elf_check_header(&im->eh))
		return bad;
	size = im->eh.phnum * sizeof(struct l_phdr);
	im->ph = kmalloc(size);
	if (!im->ph)
		return -ENOMEM;
	rc = read_exact(f, im->ph, size, im->eh.phoff);
	if (rc)
		return rc == -EIO ? bad : rc;
	im->dyn = im->eh.type == ET_DYN;
	rc = elf_check_phdrs(im, pl_guest_top());
	if (rc)
		return is_interp ? -ELIBBAD : rc;
	/* An image of fixed address must lie in the guest's part. */
	if (!im->dyn && im->lo < PL_GUEST_MIN)
		return -ENOMEM;
	for (unsigned i = 0; i < im->eh.phnum && !is_interp; i++)
		if (im->ph[i].type == PT_INTERP)
			return read_interp(im, &im->ph[i]);
	return 0;
}

void elf_fini(struct elf_image *im)
{
	kfree(im->ph);
	kfree(im->interp);
	im->ph = NULL;
	im->interp = NULL;
}

static int seg_prot(const struct l_phdr *p)
{
	return (p->flags & PF_R ? PROT_READ : 0) | (p->flags & PF_W ? PROT_WRITE : 0) |
	       (p->flags & PF_X ? PROT_EXEC : 0);
}

static int zero_tail(struct task *t, uint64_t from, uint64_t to)
{
	static const uint8_t zeros[512];

	while (from < to) {
		size_t n = min((size_t)(to - from), sizeof(zeros));
		int rc = copy_out(t, UADDR(from), zeros, n);

		if (rc)
			return rc;
		from += n;
	}
	return 0;
}

static int map_segment(struct task *t, struct elf_image *im, const struct l_phdr *p)
{
	uint64_t start = page_down(p->vaddr) + im->bias;
	uint64_t file_end = p->vaddr + p->filesz + im->bias, mem_end = p->vaddr + p->memsz + im->bias;
	uint64_t file_page_end, mem_page_end;
	int flags = MAP_PRIVATE | MAP_FIXED, prot = seg_prot(p);
	int64_t r;

	if (!page_up(file_end, &file_page_end) || !page_up(mem_end, &mem_page_end))
		return -ENOMEM;
	if (p->filesz) {
		r = mm_mmap(t, start, file_page_end - start, prot, flags, im->file, page_down(p->offset));
		if (r < 0)
			return (int)r;
	} else {
		file_page_end = start;
	}
	if (mem_page_end > file_page_end) {
		r = mm_mmap(t, file_page_end, mem_page_end - file_page_end, prot, flags | MAP_ANONYMOUS,
			    NULL, 0);
		if (r < 0)
			return (int)r;
	}
	/* The rest of the last file page is zero to its end (ld.so allocates there); a read-only
	 * segment keeps the file's bytes. */
	if (!p->filesz || p->memsz <= p->filesz || !(prot & PROT_WRITE) || file_end == file_page_end)
		return 0;
	if (im->nzero == ELF_TAILS)
		return zero_tail(t, file_end, file_page_end);
	im->zero[im->nzero].from = file_end;
	im->zero[im->nzero++].to = file_page_end;
	return 0;
}

int elf_finish(struct task *t, const struct elf_image *im)
{
	int rc = 0;

	for (unsigned i = 0; i < im->nzero && !rc; i++)
		rc = mm_batch_zero(t, im->zero[i].from, im->zero[i].to);
	return rc;
}

static void note_extent(struct elf_image *im, const struct l_phdr *p)
{
	uint64_t start = p->vaddr + im->bias, fend = start + p->filesz, mend = start + p->memsz;

	if (p->flags & PF_X) {
		if (!im->start_code || start < im->start_code)
			im->start_code = start;
		im->end_code = max(im->end_code, fend);
	}
	im->start_data = max(im->start_data, start);
	im->end_data = max(im->end_data, fend);
	im->brk = max(im->brk, mend);
	if (im->eh.phoff >= p->offset && im->eh.phoff - p->offset < p->filesz)
		im->phdr_addr = im->eh.phoff - p->offset + start;
}

/* Anywhere that has room for the whole extent; nobody else maps in this space yet. */
static int claim(struct task *t, struct elf_image *im)
{
	uint64_t len = im->hi - im->lo + (im->max_align - PAGE_SIZE);
	uint64_t at = mm_image_place(t->mm, im->file, len);

	if (!at)
		return -ENOMEM;
	im->bias = ((at + im->max_align - 1) & ~(im->max_align - 1)) - im->lo;
	return 0;
}

int elf_load(struct task *t, struct elf_image *im, uint64_t base)
{
	int rc = 0;

	im->bias = 0;
	if (im->dyn && base)
		im->bias = ((base + im->max_align - 1) & ~(im->max_align - 1)) - im->lo;
	else if (im->dyn)
		rc = claim(t, im);
	for (unsigned i = 0; i < im->eh.phnum && !rc; i++) {
		const struct l_phdr *p = &im->ph[i];

		if (p->type != PT_LOAD || !p->memsz)
			continue;
		if (p->vaddr + im->bias + p->memsz > t->mm->task_top)
			return -ENOMEM;
		rc = map_segment(t, im, p);
		note_extent(im, p);
	}
	im->entry = im->eh.entry + im->bias;
	for (unsigned i = 0; i < im->eh.phnum; i++)
		if (im->ph[i].type == PT_PHDR)
			im->phdr_addr = im->ph[i].vaddr + im->bias;
	return rc;
}
