/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* struct user_regs_struct of <sys/user.h>: PTRACE_GETREGS, NT_PRSTATUS. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct l_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax;	/* system call number, or -1 outside a call */
	uint64_t rip, cs, eflags, rsp, ss, fs_base, gs_base, ds, es, fs, gs;
};
static_assert(sizeof(struct l_regs) == 27 * 8, "user_regs_struct");
