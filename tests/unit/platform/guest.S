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

	/* a site of the mov shape, rdi times: nr 110 with known arguments; then of the other one */
blob sites
	mov %rdi, %r13
1:	mov $2, %esi
	mov $3, %edx
	mov $0x1111, %ebx
	mov $0x2222, %ebp
	mov $0x3333, %r14d
	mov $0x4444, %r15d
	movq $0x5a5a, -8(%rsp)		/* the red zone */
	mov $110, %eax
	syscall
	cmp $77, %rax
	jne 9f
	cmp $3, %edx
	jne 9f
	cmpq $0x5a5a, -8(%rsp)
	jne 9f
	cmp $0x1111, %ebx
	jne 9f
	cmp $0x2222, %ebp
	jne 9f
	cmp $0x3333, %r14d
	jne 9f
	cmp $0x4444, %r15d
	jne 9f
	mov $96, %ecx
	mov %ecx, %eax
	.byte 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff
	jae 8f
	cmp $78, %rax
	jne 9f
	mov $97, %ecx
	mov %ecx, %eax
	.byte 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff
	jbe 9f				/* answered with an error */
	mov $39, %eax
	syscall
	mov %rax, %r12
	dec %r13
	jnz 1b
	mov $60, %eax
	mov %r12, %rdi
	syscall
8:	mov $60, %eax
	mov $8, %edi
	syscall
9:	mov $60, %eax
	mov $9, %edi
	syscall
endblob sites

	/* patched calls for ever */
blob calls
1:	mov $110, %eax
	syscall
	mov $39, %eax
	syscall
	jmp 1b
endblob calls

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
