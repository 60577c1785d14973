/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include "host/mem.h"

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

/*
 * The host maps 16 pages around each that is touched: after start-up nearly the whole file is
 * mapped, most of it libc's and ours for the start. Segments that are never written come back
 * from the page cache when they are needed.
 */
void h_drop_text(void)
{
	const char *base = (const char *)&__ehdr_start;
	const Elf64_Phdr *ph = (const void *)(base + __ehdr_start.e_phoff);

	for (unsigned i = 0; i < __ehdr_start.e_phnum; i++) {
		uint64_t at = ph[i].p_vaddr & ~4095ull;
		uint64_t end = (ph[i].p_vaddr + ph[i].p_filesz + 4095) & ~4095ull;

		if (ph[i].p_type == PT_LOAD && !(ph[i].p_flags & PF_W))
			(void)!h_madvise((void *)(uintptr_t)(base + at), end - at, MADV_DONTNEED);
	}
}
