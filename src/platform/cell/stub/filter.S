/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter of every guest thread, a constant table. The verdict goes by the address behind the
 * system call instruction; the architecture is checked first, since 32-bit calls can be made
 * with any instruction. Loading the address first keeps the kernel from trying the filter once
 * per system call number at installation.
 *
 *	anywhere	private futex operations, sched_yield, restart_syscall
 *	ip_sigret	rt_sigreturn
 *	ip_stub		futex WAIT and WAKE on contexts; sigaltstack, rt_sigprocmask that only set;
 *			close of a lent descriptor; the thread's CPU clock into a context;
 *			rseq that only unregisters; close_range of all lent ones
 *	ip_anon		private anonymous fixed mmap, munmap, mprotect, madvise below TOP
 *	ip_pds		prctl(PR_SET_PDEATHSIG, SIGKILL)
 *	ip_mad		madvise(contexts, MADV_DONTFORK)
 *	ip_die		exit_group
 *	ip_priv, ip_clone, ip_fork, ip_fork1, ip_gate	asked of the notary
 *	ip_native	futex, asked of the notary; restart_syscall
 *	all else	SIGSYS
 *
 * A strict thread has a second filter on top, which it installs itself by an ordered call: it lets
 * pass what is made at the addresses above, and anywhere else it is SIGSYS for everything.
 */
#include "platform/cell/stub/layout.h"

#define NR	0
#define ARCH	4
#define IP	8
#define ARG(i)	(16 + 8 * (i))
#define HI	4

#define ALLOW	0x7fff0000
#define NOTIFY	0x7fc00000
#define TRAP	0x00030000

	.macro ld off
	.short 0x20
	.byte 0, 0
	.long \off
	.endm
	.macro and_ k
	.short 0x54
	.byte 0, 0
	.long \k
	.endm
	.macro ret_ k
	.short 0x06
	.byte 0, 0
	.long \k
	.endm
	/* jump to \to if A is / is not / is at least / is above k */
	.macro jeq k, to
	.short 0x15
	.byte (\to - (. + 6)) / 8, 0
	.long \k
	.endm
	.macro jne k, to
	.short 0x15
	.byte 0, (\to - (. + 5)) / 8
	.long \k
	.endm
	.macro jge k, to
	.short 0x35
	.byte (\to - (. + 6)) / 8, 0
	.long \k
	.endm
	.macro jlt k, to
	.short 0x35
	.byte 0, (\to - (. + 5)) / 8
	.long \k
	.endm

	.section .text.filter, "a"
	.balign 8
	.globl stub_filter
stub_filter:
	ld IP
	ld ARCH
	jne 0xc000003e, f_trap
	ld IP+HI
	jne 0, f_other
	ld IP
	jeq IP_STUB, f_stub
	jeq IP_SIGRET, f_sigret
	jeq IP_ANON, f_anon
	jeq IP_PRIV, f_priv
	jeq IP_CLONE, f_clone
	jeq IP_FORK, f_clone
	jeq IP_FORK1, f_mmap
	jeq IP_GATE, f_munmap
	jeq IP_PDS, f_pds
	jeq IP_MAD, f_mad
	jeq IP_DIE, f_die
	jeq IP_NATIVE, f_native
f_other:
	ld NR
	jeq 202, f_private
	jeq 24, f_allow
	jeq 219, f_allow
f_trap:	ret_ TRAP
f_private:
	ld ARG(1)
	and_ ~256			/* FUTEX_CLOCK_REALTIME */
	jeq 128, f_allow		/* WAIT */
	jeq 129, f_allow		/* WAKE */
	jeq 131, f_allow		/* REQUEUE */
	jeq 132, f_allow		/* CMP_REQUEUE */
	jeq 133, f_allow		/* WAKE_OP */
	jeq 137, f_allow		/* WAIT_BITSET */
	jeq 138, f_allow		/* WAKE_BITSET */
	ret_ TRAP
f_allow: ret_ ALLOW
f_sigret:
	ld NR
	jne 15, f_trap2
	ret_ ALLOW
f_native:
	ld NR
	jeq 202, f_notify2
	jne 219, f_trap2
	ret_ ALLOW
f_notify2: ret_ NOTIFY
f_die:
	ld NR
	jne 231, f_trap2
	ret_ ALLOW
f_pds:
	ld NR
	jne 157, f_trap2
	ld ARG(0)
	jne 1, f_trap2
	ld ARG(1)
	jne 9, f_trap2
	ret_ ALLOW
f_mad:
	ld NR
	jne 28, f_trap2
	ld ARG(0)+HI
	jne CELL_CTX_HI, f_trap2
	ld ARG(2)
	jne 10, f_trap2
	ret_ ALLOW
f_trap2: ret_ TRAP

f_stub:
	ld NR
	jeq 202, f_futex
	jeq 131, f_altstack
	jeq 14, f_mask
	jeq 3, f_close
	jeq 228, f_clock
	jeq 334, f_rseq
	jne 436, f_trap3
	ld ARG(0)			/* close_range of all that may be lent */
	jne CELL_FD_PROC+1, f_trap3
	ld ARG(1)
	jne 0xffffffff, f_trap3
	ld ARG(2)
	jne 0, f_trap3
	ret_ ALLOW
f_rseq:	ld ARG(2)
	jne 1, f_trap3			/* RSEQ_FLAG_UNREGISTER */
	ret_ ALLOW
f_futex:
	ld ARG(0)+HI
	jne CELL_CTX_HI, f_trap3
	ld ARG(1)
	jge 2, f_trap3
	ret_ ALLOW
f_altstack:
	ld ARG(1)
	jne 0, f_trap3
	ld ARG(1)+HI
	jne 0, f_trap3
	ret_ ALLOW
f_mask:
	ld ARG(2)
	jne 0, f_trap3
	ld ARG(2)+HI
	jne 0, f_trap3
	ret_ ALLOW
f_close:
	ld ARG(0)
	jge CELL_FD_LENT_END, f_trap3
	jlt CELL_FD_LENT, f_trap3
	ret_ ALLOW
f_clock:
	ld ARG(0)
	jne 3, f_trap3			/* CLOCK_THREAD_CPUTIME_ID */
	ld ARG(1)+HI
	jne CELL_CTX_HI, f_trap3
	ret_ ALLOW
f_trap3: ret_ TRAP

f_anon:
	ld ARG(0)+HI
	jge CELL_TOP_HI, f_trap4
	jne 0, f_len
	ld ARG(0)
	jlt CELL_MIN, f_trap4
f_len:	ld ARG(1)+HI
	jge CELL_GUARD_HI, f_trap4
	ld NR
	jeq 11, f_allow4		/* munmap */
	jeq 28, f_advice
	jeq 10, f_prot			/* mprotect */
	jne 9, f_trap4
	ld ARG(3)
	and_ ~0x2c000			/* MAP_NORESERVE, MAP_STACK, MAP_POPULATE */
	jne 0x32, f_trap4		/* MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS */
	ld ARG(3)+HI
	jne 0, f_trap4
f_prot:	ld ARG(2)
	jge 8, f_trap4
	ret_ ALLOW
f_advice:
	ld ARG(2)
	jlt 5, f_allow4			/* NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED */
	jeq 8, f_allow4			/* FREE */
	jeq 10, f_allow4		/* DONTFORK DOFORK */
	jeq 11, f_allow4
	jlt 14, f_trap4
	jlt 24, f_allow4		/* HUGEPAGE ... POPULATE_WRITE */
f_trap4: ret_ TRAP
f_allow4: ret_ ALLOW

f_clone:
	ld NR
	jeq 56, f_notify
	ret_ TRAP
f_mmap:
	ld NR
	jeq 9, f_notify
	ret_ TRAP
f_munmap:
	ld NR
	jeq 11, f_notify
	ret_ TRAP
f_priv:
	ld NR
	jeq 9, f_notify			/* mmap */
	jeq 25, f_notify		/* mremap */
	jeq 11, f_notify		/* munmap */
	jeq 10, f_notify		/* mprotect */
	jeq 28, f_notify		/* madvise */
	jeq 60, f_notify		/* exit */
	jeq 231, f_notify		/* exit_group */
	jeq 26, f_notify		/* msync */
	jeq 324, f_notify		/* membarrier */
	jeq 317, f_notify		/* seccomp */
	jeq 334, f_notify		/* rseq */
	jeq 27, f_notify		/* mincore */
	jeq 302, f_notify		/* prlimit64 */
	jeq 3, f_notify			/* close */
	jeq 257, f_open
	jeq 46, f_notify		/* sendmsg */
	ret_ TRAP
f_open:	ld ARG(1)			/* openat: two names, in our text */
	jeq CELL_STR_STATUS, f_high
	jne CELL_STR_MEM, f_trap5
f_high:
	ld ARG(1)+HI
	jeq 0, f_notify
f_trap5: ret_ TRAP
f_notify: ret_ NOTIFY
	.globl stub_filter_end
stub_filter_end:

	.globl strict_filter
strict_filter:
	ld IP
	ld ARCH
	jne 0xc000003e, s_trap
	ld IP+HI
	jne 0, s_trap
	ld IP
	jlt CELL_SITES, s_trap
	jge CELL_SLOTS_END, s_trap
	ret_ ALLOW
s_trap:	ret_ TRAP
	.if . - strict_filter != 8 * STRICT_INSNS
	.error "layout.h: STRICT_INSNS"
	.endif

	.section .note.GNU-stack, "", @progbits
