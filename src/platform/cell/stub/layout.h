/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The address space of a cell. Included by C and assembly, on both sides.
 *
 *	0x60000-0x6ffff		jump table of patched sites, read-only
 *	0x70000-0x7ffff		the stub: text of the cell program, no data
 *	0x200000 - TOP		the guest
 *	TOP - TOP+GUARD		nothing, ever
 *	CTX_BASE		one context of 32 KiB per guest thread
 *	VDSO			the host's vvar and vdso
 *
 * TOP leaves room for the shadow layouts of ASan, TSan (its high application range starts at
 * 0x7e8000000000) and MSan. The filter admits requests with addr < TOP and len < GUARD, so TOP,
 * GUARD and CTX_BASE have zero low words: it compares high words only.
 */
#define CELL_STUB_BASE	0x70000
#define CELL_STUB_END	0xb0000
#define CELL_MIN	0x200000
#define CELL_TOP	0x7fe000000000
#define CELL_TOP_HI	0x7fe0
#define CELL_GUARD_HI	0x10
#define CELL_CTX_BASE	0x7ff000000000
#define CELL_CTX_HI	0x7ff0
#define CELL_CTX_SIZE	0x8000
#define CELL_CTX_MAX	8192
#define CELL_CTX_SPAN	0x10000000
#define CELL_VDSO	0x7ff800000000

/* Inside a context */
#define CTX_ALTSTACK	0x1000
#define CTX_STACK_TOP	0x4000
#define CTX_ALTSTACK_SIZE (CTX_STACK_TOP - CTX_ALTSTACK)
#define CTX_BOUNCE	0x4000
#define CTX_BOUNCE_SIZE	0x4000

/* Descriptors in a cell: the context memfd, /proc, the boot socket; numbers lent to one ordered call each. */
#define CELL_FD_CTX	3
#define CELL_FD_PROC	4		/* the host's /proc, for self/mem only */
#define CELL_FD_BOOT	5
#define CELL_FD_LENT	16
#define CELL_FD_LENT_END 64

/* Where host calls are made: the address behind the instruction, which a filter sees. */
#define CELL_SITES	0x70100
#define IP_STUB		(CELL_SITES + 0x02)
#define IP_SIGRET	(CELL_SITES + 0x12)
#define IP_ANON		(CELL_SITES + 0x22)
#define IP_PRIV		(CELL_SITES + 0x32)
#define IP_CLONE	(CELL_SITES + 0x42)
#define IP_FORK		(CELL_SITES + 0x52)
#define IP_PDS		(CELL_SITES + 0x62)
#define IP_FORK1	(CELL_SITES + 0x72)
#define IP_MAD		(CELL_SITES + 0x82)
#define IP_GATE		(CELL_SITES + 0x92)
#define IP_DIE		(CELL_SITES + 0xa2)
#define CELL_STR_MEM	(CELL_SITES + 0xb0)	/* "self/mem" */

/* The signal that stops a guest thread. The kernel never sends it. */
#define CELL_INTRSIG	16
