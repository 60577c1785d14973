/* SPDX-License-Identifier: Apache-2.0 */
/* Position-independent guests, copied into a cell by hand. rdi is an argument. */
	.macro blob name
	.globl guest_\name
	.globl guest_\name\()_end
guest_\name:
	.endm
	.macro endblob name
guest_\name\()_end:
	.endm

	.section .rodata
blob hello
	mov $1, %eax
	mov $1, %edi
	lea 1f(%rip), %rsi
	mov $6, %edx
	syscall
	mov %eax, %edi
	mov $60, %eax
	syscall
	ud2
1:	.ascii "hello\n"
endblob hello

blob loop
	mov $39, %r12d			/* getpid rdi times */
	mov %rdi, %r13
1:	mov %r12d, %eax
	syscall
	dec %r13
	jnz 1b
	mov $60, %eax
	syscall
endblob loop

blob spin
1:	inc %rbx
	jmp 1b
endblob spin

blob segv
	mov $0x1234000, %eax
	mov (%rax), %eax
	int $0x80
	ud2
endblob segv

blob fork
	mov $57, %eax
	syscall
	mov %eax, %edi
	mov $60, %eax
	syscall
endblob fork

blob evil
	/* privileged sites with calls nobody ordered; results go to the exit code */
	xor %ebx, %ebx
	.irp nr, 257, 9, 3, 56, 57, 59, 231, 60, 16
	mov $\nr, %eax
	mov $1, %edi
	xor %esi, %esi
	xor %edx, %edx
	xor %r10d, %r10d
	lea 2f(%rip), %rcx
	mov $0x70130, %r15d
	push %rcx
	jmp *%r15
2:	cmp $-1, %rax
	je 3f
	inc %ebx
3:
	.endr
	mov %ebx, %edi
	mov $60, %eax
	syscall
endblob evil
	.section .note.GNU-stack, "", @progbits
