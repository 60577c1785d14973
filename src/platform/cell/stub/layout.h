/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The address space of a cell. Included by C and assembly, on both sides.
 *
 *	0x60000-0x6ffff		jump table of patched sites, the pages of cell_load and told.h; read-only
 *	0x70000-0x7ffff		the stub: text of the cell program, no data
 *	0x80000-0xaffff		trampolines of patched sites, read and execute
 *	0x100000 - TOP		the guest
 *	TOP - TOP+GUARD		nothing, ever
 *	CTX_BASE		one context of 64 KiB per guest thread
 *	VVAR			our vDSO, which the guest knows: a page of data and the image
 *	VDSO			the host's vvar and vdso, which ours calls
 *
 * TOP leaves room for the shadow layouts of ASan, TSan (its high application range starts at
 * 0x7e8000000000) and MSan. The filter admits requests with addr < TOP and len < GUARD, so TOP,
 * GUARD and CTX_BASE have zero low words: it compares high words only.
 */
#define CELL_TABLE	0x60000
#define CELL_LOAD	0x6e000		/* struct cell_load */
#define CELL_TOLD	0x6f000
#define CELL_STUB_BASE	0x70000
#define CELL_STUB_END	0x80000
#define CELL_TRAMP	0x80000
#define CELL_OURS_END	0xb0000
#define CELL_MIN	0x100000
#define CELL_TOP	0x7fe000000000
#define CELL_TOP_HI	0x7fe0
#define CELL_GUARD_HI	0x10
#define CELL_CTX_BASE	0x7ff000000000
#define CELL_CTX_HI	0x7ff0
#define CELL_CTX_SIZE	0x10000
#define CELL_CTX_MAX	8192
#define CELL_CTX_SPAN	0x20000000
#define CELL_VVAR	0x7ff700000000
#define CELL_GUEST_VDSO	0x7ff700001000
#define CELL_GUEST_VDSO_SIZE 0x1000
#define CELL_VDSO	0x7ff800000000

/* Offsets in the file that the tables of patched sites are mapped from. */
#define SITES_TABLE	0
#define SITES_TOLD	(SITES_TABLE + CELL_TOLD - CELL_TABLE)
#define SITES_TRAMP	0x10000
#define SITES_VVAR	(SITES_TRAMP + CELL_OURS_END - CELL_TRAMP)
#define SITES_VDSO	(SITES_VVAR + 0x1000)
#define SITES_SIZE	(SITES_VDSO + CELL_GUEST_VDSO_SIZE)

/* Inside a context */
#define CTX_ALTSTACK	0x1000
#define CTX_STACK_TOP	0x4000
#define CTX_ALTSTACK_SIZE (CTX_STACK_TOP - CTX_ALTSTACK)
#define CTX_BOUNCE	0x4000
#define CTX_BOUNCE_SIZE	0xc000
/* Parts of the bounce area: the window, what the thread was told, bytes that go out with the reply,
 * bytes that came in with a system call. */
#define CTX_WINDOW_SIZE	0x8000
#define CTX_TOLD	(CTX_BOUNCE + CTX_WINDOW_SIZE)
#define CTX_TOLD_SIZE	0x2000
#define CTX_PUT		(CTX_TOLD + CTX_TOLD_SIZE)
#define CTX_PUT_SIZE	0x1000
#define CTX_PRE		(CTX_PUT + CTX_PUT_SIZE)
#define CTX_PRE_SIZE	0x1000		/* a page, so that a block never crosses one */

/* Descriptors in a cell: the context memfd, /proc, the boot socket; numbers lent to one ordered call each. */
#define CELL_FD_CTX	3
#define CELL_FD_PROC	4		/* the host's /proc, for self/mem and self/status only */
#define CELL_FD_BOOT	5
#define CELL_FD_SITES	6		/* tables of patched sites, until boot is over */
#define CELL_FD_EXE	7
#define CELL_FD_LENT	16
#define CELL_FD_LENT_END 976		/* below the usual limit of 1024; whole words of a map */

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
#define CELL_STR_STATUS	(CELL_SITES + 0xe0)	/* "self/status" */
#define IP_NATIVE	(CELL_SITES + 0xc2)
#define CELL_SLOTS_END	(CELL_SITES + 0xd0)
#define CELL_STRICT	(CELL_SITES + 0xd0)	/* struct sock_fprog of the strict filter */
#define STRICT_INSNS	10

/*
 * Patched sites. Entry i of the table points to trampoline i:
 *	+0	mov $nr, %eax, or a nop of the same length
 *	+5	lea trampoline(%rip), %rcx
 *	+12	jmp CELL_PATCHED
 *	+17	syscall			the site's own, for what must trap or go to the host
 *	+19	jmp CELL_RAW_DONE	reached only by host calls; rcx is the address of this
 *	+24	where to go on (behind the original instruction), and the shape in the top bits
 */
#define TRAMP_SIZE	32
#define TRAMP_MAX	6144
#define TRAMP_RAW	17
#define TRAMP_AFTER	19
#define TRAMP_RET	24
#define SHAPE_MOV	0		/* mov $nr, %eax; syscall */
#define SHAPE_CMP96	1		/* syscall; cmp $-4096, %rax */
#define SHAPE_CMP95	2		/* syscall; cmp $-4095, %rax */
#define SHAPE_SHIFT	60
#define CELL_PATCHED	(CELL_SITES + 0x100)
#define CELL_RAW_DONE	(CELL_SITES + 0x110)
/*
 * A finished call with an interrupt owed traps once more, under this number. Below 0x40000000:
 * filters made with libseccomp, such as a container engine's, end a thread that makes an x32 call.
 */
#define NR_INTR		0x3ffffffe
/* What follows a strict thread's futex call: the result to %rdi, and a trap under this number. */
#define CELL_NATIVE_DONE (CELL_SITES + 0x120)
#define IP_NATIVE_TRAP	(CELL_NATIVE_DONE + 10)
#define NR_NATIVE	0x3ffffffd

/* Offsets in struct cell_ctx that entry.S uses; shared.h checks them. */
#define C_INTR		0x80
#define C_FAST		0x84
#define C_PID		0x88
#define C_TID		0x8c
#define C_UID		0x90
#define C_EUID		0x94
#define C_GID		0x98
#define C_EGID		0x9c
#define C_CALL		0xa0		/* nr rdi rsi rdx r10 r8 r9 tramp rsp */
#define C_SIGDFL	0xe8
#define C_SIGSET	0xf0
#define C_SIGREST	0xf8
#define C_RET		0x120

/* The signal that stops a guest thread. The kernel never sends it. */
#define CELL_INTRSIG	16
