/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of ELF64 that exec reads. */
#include <assert.h>
#include <stdint.h>

struct l_ehdr {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
static_assert(sizeof(struct l_ehdr) == 64, "ehdr");

struct l_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
static_assert(sizeof(struct l_phdr) == 56, "phdr");
