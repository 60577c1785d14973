/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * ELF images. elf_read checks everything that can be checked before the point of no return; what
 * elf_load maps afterwards follows from it. Nothing in the file is trusted.
 */
#include "abi/elf.h"
#include "sentry/task/task.h"

#define ELF_TAILS 4

struct elf_image {
	struct file *file;		/* borrowed */
	struct l_ehdr eh;
	struct l_phdr *ph;		/* kmalloc'ed */
	char *interp;			/* kmalloc'ed; NULL: static */
	bool has_load, stack_flag_seen, exec_stack, dyn;
	uint64_t lo, hi;		/* page-aligned extent of the PT_LOADs */
	uint64_t max_align;
	/* filled by elf_load: */
	struct {
		uint64_t from, to;
	} zero[ELF_TAILS];		/* ends of file pages that elf_finish clears */
	unsigned nzero;
	uint64_t bias, entry, phdr_addr, start_code, end_code, start_data, end_data, brk;
};

/* Pure: the header's and program headers' own consistency. Fuzzed. */
must_check int elf_check_header(const struct l_ehdr *eh);
must_check int elf_check_phdrs(struct elf_image *im, uint64_t top);
must_check int elf_read(struct file *f, bool is_interp, struct elf_image *im);
void elf_fini(struct elf_image *im);
/* Maps the image into t->mm at `base` (dyn images; 0: anywhere). */
must_check int elf_load(struct task *t, struct elf_image *im, uint64_t base);
/* The rest, when the maps are there. */
must_check int elf_finish(struct task *t, const struct elf_image *im);
