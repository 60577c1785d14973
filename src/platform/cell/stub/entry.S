/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a cell enters and leaves the host. Every host call that the filter lets through is made
 * at one of the sites below, whose addresses layout.h fixes; filter.S says what each may do.
 * General registers only. Nothing here trusts a register that the notary or the kernel has not
 * checked or set.
 */
#include "platform/cell/stub/layout.h"

	.section .text.sites, "ax"
	/* one every 16 bytes, at CELL_SITES; the order is that of layout.h */
	.macro at n
	.org \n * 16, 0xcc
	syscall
	.endm
sites:
	at 0
	ret
	at 1
	jmp stub_die
	at 2
	ret
	at 3
	ret
	at 4
	jmp after_clone
	at 5
	jmp after_fork
	at 6
	jmp after_pds
	at 7
	jmp after_fork1
	at 8
	jmp after_mad
	at 9
	jmp after_gate
	at 10
	ud2
	.org CELL_STR_MEM - CELL_SITES, 0xcc
	.asciz "self/mem"
	at 12
	jmp native_done
	.org CELL_STRICT - CELL_SITES, 0xcc
	.short STRICT_INSNS
	.balign 8
	.quad strict_filter
	.org CELL_STR_STATUS - CELL_SITES, 0xcc
	.asciz "self/status"
	.org CELL_PATCHED - CELL_SITES, 0xcc
	jmp stub_call
	.org CELL_RAW_DONE - CELL_SITES, 0xcc
	jmp raw_done
	.org CELL_NATIVE_DONE - CELL_SITES, 0xcc
native_done:
	mov %rax, %rdi
	mov $NR_NATIVE, %eax
	syscall
	ud2
#define SITE(ip) sites + (ip - CELL_SITES - 2)

	.text
	.globl _start
_start:
	mov %rsp, %rdi
	call boot_main
	ud2

/* void boot_switch(ctx, arg, fn): goes on with fn(ctx, arg) on the context's own stack */
	.globl boot_switch
boot_switch:
	lea CTX_STACK_TOP(%rdi), %rsp
	call *%rdx
	ud2

/* long boot_sys(nr, a, b, c, d, e, f): only before the filter */
	.globl boot_sys
boot_sys:
	mov %rdi, %rax
	mov %rsi, %rdi
	mov %rdx, %rsi
	mov %rcx, %rdx
	mov %r8, %r10
	mov %r9, %r8
	mov 8(%rsp), %r9
	syscall
	ret

/* long boot_spawn(flags, stack, ctid, ctx): the boot helper, a thread without a filter */
	.globl boot_spawn
boot_spawn:
	mov %rcx, %r9
	mov %rdx, %r10
	xor %edx, %edx
	xor %r8d, %r8d
	mov $56, %eax
	syscall
	test %rax, %rax
	jnz 1f
	mov %r9, %rdi
	call boot_helper
	ud2
1:	ret

/* --- signals -------------------------------------------------------------------------- */

/*
 * The handler of every signal. A stack outside the context area means that the guest forged its
 * alternate stack: another process could write it. Nothing but the end is safe then.
 */
	.globl stub_handler
stub_handler:
	movabs $CELL_CTX_BASE, %rax
	mov %rsp, %rcx
	sub %rax, %rcx
	cmp $CELL_CTX_SPAN, %rcx
	jae stub_die
	pushfq				/* AC is the guest's; DF and TF the kernel has cleared */
	andl $~0x40000, (%rsp)
	popfq
	mov %rsp, %rcx
	and $~(CELL_CTX_SIZE - 1), %rcx
	call stub_signal
	lea 8(%rsp), %rdi
	/* fall through: only a repaired copy fault and a call that was answered return */

/* void stub_resume(uc): leaves through the frame at uc */
	.globl stub_resume
stub_resume:
	mov %rdi, %rsp
	mov $15, %eax
	jmp SITE(IP_SIGRET)

	.globl stub_die
stub_die:
	mov $99, %edi
	mov $231, %eax
	jmp SITE(IP_DIE)

/* --- call sites: long site_X(nr, const uint64_t a[6]) ---------------------------------- */

	.macro site name, ip
	.globl \name
\name:
	mov %edi, %eax
	mov %rsi, %r11
	mov (%r11), %rdi
	mov 8(%r11), %rsi
	mov 16(%r11), %rdx
	mov 24(%r11), %r10
	mov 32(%r11), %r8
	mov 40(%r11), %r9
	jmp \ip
	.endm

	site site_stub, SITE(IP_STUB)
	site site_anon, SITE(IP_ANON)
	site site_priv, SITE(IP_PRIV)

/* long site_clone(const uint64_t a[6]): a new thread of this cell; its stack is in its context */
	.globl site_clone
site_clone:
	mov %rdi, %r11
	mov (%r11), %rdi
	mov 8(%r11), %rsi
	mov 16(%r11), %rdx
	mov 24(%r11), %r10
	mov 32(%r11), %r8
	mov 40(%r11), %r9
	mov $56, %eax
	jmp SITE(IP_CLONE)
after_clone:
	test %rax, %rax
	jnz 1f
	jmp stub_begin
1:	ret

/*
 * long site_fork(const uint64_t a[6]): a new cell. The child has no context yet (they are not
 * inherited) and uses registers only: rsp and r9, which the notary compared in the parent.
 */
	.globl site_fork
site_fork:
	mov %rdi, %r11
	mov (%r11), %rdi
	mov 8(%r11), %rsi
	mov 16(%r11), %rdx
	mov 24(%r11), %r10
	mov 32(%r11), %r8
	mov 40(%r11), %r9
	mov $56, %eax
	jmp SITE(IP_FORK)
after_fork:
	test %rax, %rax
	jz 1f
	ret
1:	mov %r9, %r12
	mov $1, %edi			/* PR_SET_PDEATHSIG, before anything that can wait */
	mov $9, %esi
	mov $157, %eax
	jmp SITE(IP_PDS)
after_pds:
	movabs $CELL_CTX_BASE, %rdi
	mov $CELL_CTX_SPAN, %esi
	mov $3, %edx			/* PROT_READ | PROT_WRITE */
	mov $0x11, %r10d		/* MAP_SHARED | MAP_FIXED */
	mov %r12, %r8			/* CELL_FD_CTX | nonce << 32 */
	xor %r9d, %r9d
	mov $9, %eax
	jmp SITE(IP_FORK1)
after_fork1:
	movabs $CELL_CTX_BASE, %rdi
	cmp %rdi, %rax
	jne stub_die
	mov $CELL_CTX_SPAN, %esi
	mov $10, %edx			/* MADV_DONTFORK */
	mov $28, %eax
	jmp SITE(IP_MAD)
after_mad:
	test %rax, %rax
	jnz stub_die
	/* fall through */

/* A new host thread or cell: rsp lies in its context. */
stub_begin:
	mov %rsp, %rdi
	and $~(CELL_CTX_SIZE - 1), %rdi
	wrgsbase %rdi
	and $~15, %rsp
	push $2
	popfq
	call stub_born
	ud2

/*
 * void site_gate(ctx, const uint64_t a[6]): empties the address space. The notified call is the
 * proof: behind it no byte of the old guest is left, and rdx, which the notary compared, names the
 * context. r10, r8 and r9 (address, length, signature) name the rseq area that this thread may have
 * registered: it was to be unregistered before; were it not, this would fail with EFAULT now.
 */
	.globl site_gate
site_gate:
	mov %rdi, %rdx
	mov 24(%rsi), %r10
	mov 32(%rsi), %r8
	mov 40(%rsi), %r9
	mov $CELL_MIN, %edi
	movabs $(CELL_TOP - CELL_MIN), %rsi
	mov $11, %eax
	jmp SITE(IP_GATE)
after_gate:
	test %rax, %rax
	jnz stub_die
	lea 0x2000(%rdx), %rdi		/* what is left on the page of its stack */
	mov $(0x1000 / 8), %ecx
	xor %eax, %eax
	cld
	rep stosq
	lea 0x3000(%rdx), %rsp		/* below FRESH_UC of frame.c */
	mov %rdx, %rbx
	mov $(CELL_FD_PROC + 1), %edi	/* nor a file of its */
	mov $-1, %esi
	xor %edx, %edx
	mov $436, %eax			/* close_range */
	call SITE(IP_STUB)
	test %rax, %rax
	jnz stub_die
	mov %rbx, %rdx
	test %r10, %r10
	jz 1f
	mov %r10, %rdi
	mov %r8, %rsi
	mov $1, %edx			/* RSEQ_FLAG_UNREGISTER */
	mov %r9, %r10
	mov $334, %eax
	call SITE(IP_STUB)
	cmp $-14, %rax
	je stub_die
	mov %rbx, %rdx
1:	mov %rdx, %rdi
	wrgsbase %rdi
	xor %eax, %eax
	wrfsbase %rax
	push $2
	popfq
	push %rax
	call stub_gated
	ud2

/* --- patched calls ------------------------------------------------------------------------ */

/*
 * Reached from a trampoline: rax is the number, rcx the trampoline, the rest as at the original
 * instruction. Until `call_published` the guest's registers but rcx and r11 are untouched, and an
 * interrupt is shown at the site. The context is found by %gs and checked before it is used; a
 * thread that gave %gs away traps. Not a byte of the guest's stack is used.
 */
	.globl stub_call
stub_call:
	rdgsbase %r11
	cmp ctx_lo(%rip), %r11
	jb go_raw
	cmp ctx_hi(%rip), %r11
	jae go_raw
	test $(CELL_CTX_SIZE - 1), %r11d
	jnz go_raw
	cmp $202, %eax			/* private ones are the host's; the others trap */
	je go_raw
	cmp $24, %eax
	je go_raw
	cmp $219, %eax
	je go_raw
	cmpl $0, C_FAST(%r11)
	jne fast_try
call_slow:
	mov %eax, %eax
	mov %rax, C_CALL(%r11)
	mov %rdi, C_CALL+8(%r11)
	mov %rsi, C_CALL+16(%r11)
	mov %rdx, C_CALL+24(%r11)
	mov %r10, C_CALL+32(%r11)
	mov %r8, C_CALL+40(%r11)
	mov %r9, C_CALL+48(%r11)
	mov %rcx, C_CALL+56(%r11)
	mov %rsp, C_CALL+64(%r11)
	.globl call_published
call_published:
	lea 0x2f00(%r11), %rsp
	mov %r11, %rdi
	cld
	call stub_patched
	rdgsbase %r11
	test %eax, %eax
	jnz call_again
	/* from here to the jump: an interrupt starts over at call_exit with r11 = context */
	.globl call_exit
call_exit:
	cmpl $0, C_INTR(%r11)
	jne call_intr
	mov C_CALL+8(%r11), %rdi
	mov C_CALL+16(%r11), %rsi
	mov C_CALL+24(%r11), %rdx
	mov C_CALL+32(%r11), %r10
	mov C_CALL+40(%r11), %r8
	mov C_CALL+48(%r11), %r9
	mov C_CALL+64(%r11), %rsp
	mov C_CALL+56(%r11), %rcx
	mov C_RET(%r11), %rax
	mov TRAMP_RET(%rcx), %rcx
	.globl go_on
go_on:					/* rcx: where to, and the shape */
	bt $SHAPE_SHIFT, %rcx
	jc 1f
	bt $(SHAPE_SHIFT + 1), %rcx
	jc 2f
	jmp *%rcx
1:	btr $SHAPE_SHIFT, %rcx
	add $6, %rcx
	cmp $-4096, %rax
	jmp *%rcx
2:	btr $(SHAPE_SHIFT + 1), %rcx
	add $6, %rcx
	cmp $-4095, %rax
	jmp *%rcx
	.globl call_exit_end
call_exit_end:

call_intr:
	movl $0, C_INTR(%r11)
	mov $NR_INTR, %eax
	jmp 1f
call_again:
	mov C_CALL(%r11), %rax
1:	mov C_CALL+8(%r11), %rdi
	mov C_CALL+16(%r11), %rsi
	mov C_CALL+24(%r11), %rdx
	mov C_CALL+32(%r11), %r10
	mov C_CALL+40(%r11), %r8
	mov C_CALL+48(%r11), %r9
	mov C_CALL+64(%r11), %rsp
	mov C_CALL+56(%r11), %rcx
	add $TRAMP_RAW, %rcx
	jmp *%rcx

	.globl go_raw
go_raw:					/* the site's own instruction */
	add $TRAMP_RAW, %rcx
	jmp *%rcx

	/* a host call is done: rcx = trampoline + TRAMP_AFTER */
	.globl raw_done
raw_done:
	mov (TRAMP_RET - TRAMP_AFTER)(%rcx), %rcx
	jmp go_on

	/* ids; until rcx is loaded an interrupt is shown at the site as well */
	.globl fast_try
fast_try:
	cmp $39, %eax
	je 1f
	cmp $186, %eax
	je 2f
	cmp $102, %eax
	je 3f
	cmp $107, %eax
	je 4f
	cmp $104, %eax
	je 5f
	cmp $13, %eax
	je 6f
	cmp $108, %eax
	jne call_slow
	mov C_EGID(%r11), %r11d
	jmp 9f
1:	mov C_PID(%r11), %r11d
	jmp 9f
2:	mov C_TID(%r11), %r11d
	jmp 9f
3:	mov C_UID(%r11), %r11d
	jmp 9f
4:	mov C_EUID(%r11), %r11d
	jmp 9f
	/*
	 * rt_sigaction of an action that is all zeros: posix_spawn asks for each and sets each to
	 * SIG_DFL. What is set is noted; the Sentry does it before it looks at the next event.
	 */
6:	cmp $8, %r10
	jne call_slow
	cmp $63, %edi
	ja call_slow
	bt %edi, C_SIGDFL(%r11)
	jnc call_slow
	.globl sig_lo
sig_lo:
	test %rsi, %rsi
	jnz 7f
	movq $0, (%rdx)
	movq $0, 8(%rdx)
	movq $0, 16(%rdx)
	movq $0, 24(%rdx)
	jmp 8f
7:	test %rdx, %rdx
	jnz call_slow
	cmpq $0, (%rsi)			/* SIG_DFL */
	jne call_slow
	cmpq $0x4000000, 8(%rsi)	/* SA_RESTORER alone */
	jne call_slow
	cmpq $0, 24(%rsi)
	jne call_slow
	mov 16(%rsi), %r11		/* %gs is the context, as compared above */
	cmp %r11, %gs:C_SIGREST
	jne sig_fault
	bts %edi, %gs:C_SIGSET
	btr %edi, %gs:C_SIGDFL
	.globl sig_hi
sig_hi:
8:	xor %r11d, %r11d
	jmp 9f
	.globl sig_fault
sig_fault:
	rdgsbase %r11
	jmp call_slow
5:	mov C_GID(%r11), %r11d
9:	mov TRAMP_RET(%rcx), %rcx
	mov %r11d, %eax
	jmp go_on
	.globl fast_end
fast_end:

	.balign 8
ctx_lo:	.quad CELL_CTX_BASE
ctx_hi:	.quad CELL_CTX_BASE + CELL_CTX_SPAN

/* --- copies with fault fix-up ----------------------------------------------------------- */

/* uint64_t stub_copy(to, from, n): bytes copied */
	.globl stub_copy
stub_copy:
	cld
	mov %rdx, %rcx
	.globl copy_lo
copy_lo:
	rep movsb
	.globl copy_hi
copy_hi:
	mov %rdx, %rax
	sub %rcx, %rax
	ret

/* uint64_t stub_zero(to, n): bytes cleared */
	.globl stub_zero
stub_zero:
	cld
	mov %rsi, %rdx
	mov %rsi, %rcx
	xor %eax, %eax
	.globl zero_lo
zero_lo:
	rep stosb
	.globl zero_hi
zero_hi:
	mov %rdx, %rax
	sub %rcx, %rax
	ret

/* uint64_t stub_str(to, from, n): bytes copied, the NUL included */
	.globl stub_str
stub_str:
	xor %eax, %eax
1:	cmp %rdx, %rax
	jae str_hi
	.globl str_lo
str_lo:
	movzbl (%rsi, %rax), %ecx
	mov %cl, (%rdi, %rax)
	inc %rax
	test %cl, %cl
	jnz 1b
	.globl str_hi
str_hi:
	ret

/* int64_t stub_load32(addr), int64_t stub_cmpxchg32(addr, old, new): the word, or -EFAULT */
	.globl stub_load32
stub_load32:
	.globl word_lo
word_lo:
	mov (%rdi), %eax
	ret
	.globl stub_expect64			/* (addr, value): 0, or negative */
stub_expect64:
	cmp %rsi, (%rdi)
	jne word_hi
	xor %eax, %eax
	ret
	.globl stub_cmpxchg32
stub_cmpxchg32:
	mov %esi, %eax
	lock cmpxchg %edx, (%rdi)
	mov %eax, %eax
	ret
	.globl word_hi
word_hi:
	mov $-14, %rax
	ret

	.section .note.GNU-stack, "", @progbits
