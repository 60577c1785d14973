/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The x86-64 signal frame as the kernel puts it on the user stack. */
#include <assert.h>
#include <stdint.h>
#include "abi/signal.h"

struct l_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
	uint64_t eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
static_assert(sizeof(struct l_sigcontext) == 256, "sigcontext");

struct l_ucontext {
	uint64_t flags, link;
	struct l_sigaltstack stack;
	struct l_sigcontext mc;
	uint64_t sigmask;
};
static_assert(sizeof(struct l_ucontext) == 304, "ucontext");

struct l_rt_sigframe {
	uint64_t pretcode;
	struct l_ucontext uc;
	struct l_siginfo info;
};
static_assert(sizeof(struct l_rt_sigframe) == 440, "rt_sigframe");

#define L_UC_FP_XSTATE 1
#define L_UC_SIGCONTEXT_SS 2
#define L_UC_STRICT_RESTORE_SS 4

/* struct _fpx_sw_bytes, in bytes 464 to 511 of the fxsave area */
struct l_fpx_sw {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, pad[7];
};
static_assert(sizeof(struct l_fpx_sw) == 48, "fpx_sw");
#define L_FP_XSTATE_MAGIC1 0x46505853u
#define L_FP_XSTATE_MAGIC2 0x46505845u
#define L_FXSAVE_SIZE 512
#define L_FPX_SW_OFFSET 464
