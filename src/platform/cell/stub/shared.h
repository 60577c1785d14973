/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the stub and the Sentry share per guest thread. All of it can be written by the guest at
 * any moment: the Sentry reads each word once, checks it, and never reads back what it wrote.
 *
 * A thread's event: the stub fills the first lines, adds 1 to ev_seq and sleeps until rp_seq
 * changes. A new thread announces nothing and waits for its first reply. A reply: the Sentry fills
 * the second half and adds 1 to rp_seq. The Sentry keeps both counts in private memory. Both words
 * are shared futexes.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include "platform/cell/stub/layout.h"

enum cell_ev {
	CEV_SIG = 1,	/* a signal frame lies at `frame` */
	CEV_OPS,	/* the ops of the last reply were run, `op_done` of them with success */
	CEV_CALL,	/* a patched call: registers in `call` */
};

enum cell_act { CACT_WAIT = 1, CACT_RESUME, CACT_RETURN, CACT_RETRAP };

enum cell_op_kind {
	COP_ANON = 1,	/* host call nr(a...) at the memory site */
	COP_PRIV,	/* the same at the ordered site */
	COP_STUB,	/* the same at the stub's own site; its failure is no failure of the list */
	COP_CLONE,	/* thread: flags, stack, ptid, ctid, tls */
	COP_FORK,	/* the same; the child introduces itself with the nonce in a[5] */
	COP_EXPECT64,	/* fails unless the word at a0 is a1 */
	COP_PUT,	/* a0 to, a1 from, a2 bytes: a short copy is a failure of the list */
	COP_ZERO,	/* a0 to, a2 bytes: the same with zeros */
	COP_COPY,	/* a0 to, a1 from, a2 bytes: result is the bytes copied */
	COP_STR,	/* the same up to and with a NUL */
	COP_LOAD32,	/* result: the word at a0 or -EFAULT */
	COP_CMPXCHG32,	/* at a0, old a1, new a2; result: the word seen or -EFAULT */
	COP_GATE,	/* empties the cell; a0 context address */
};

#define CELL_OPS_MAX 40
#define CELL_PUTS_MAX 8		/* of them the first ones, for bytes that go out with a reply */

struct cell_op {
	uint32_t kind;
	uint32_t nr;
	uint64_t a[6];
	int64_t res;	/* written by the stub */
};

struct cell_ctx {
	/* written by the stub */
	uint32_t ev_seq;
	uint32_t g_wait;	/* the stub sleeps on rp_seq, or is about to */
	uint32_t kind;		/* enum cell_ev */
	uint32_t frame;		/* offset of the ucontext in this context */
	int32_t sig, code;
	uint64_t addr;		/* si_addr */
	uint32_t arch;		/* of a SIGSYS */
	uint32_t op_done;
	uint64_t fs_base, gs_base;
	uint64_t copy_addr;	/* where the last short copy faulted */
	uint32_t copy_sig;
	uint32_t cpu;
	uint32_t htid;		/* CLONE_PARENT_SETTID of this thread */
	uint32_t boot_listener;	/* descriptor + 1, or -errno */
	uint32_t boot_helper;
	uint32_t boot_err, boot_warn;	/* warn 1: no /proc, 2: no trampolines, 4: no vDSO */
	uint64_t vdso;		/* where the host's vdso image lies, 0 = nowhere */
	uint64_t pre_addr;

	uint32_t done_rp;	/* the reply whose ops were all run */
	uint32_t pre_len;	/* bytes of guest memory at pre_addr, in the CTX_PRE area */

	/* the patched path; `intr` is the stub's, the ids are the Sentry's */
	uint32_t intr __attribute__((aligned(128)));
	uint32_t fast;		/* the ids below may be answered here */
	uint32_t pid, tid, uid, euid, gid, egid;
	struct {
		uint64_t nr, rdi, rsi, rdx, r10, r8, r9, tramp, rsp;
	} call;
	/* the Sentry's, used with `fast`: bit n: signal n's action is all zeros */
	uint64_t sig_default;
	/* the stub's: those that were set to SIG_DFL since, with the Sentry's restorer */
	uint64_t sig_set, sig_restorer;

	/* written by the Sentry */
	uint32_t rp_seq __attribute__((aligned(256)));
	uint32_t s_wait;	/* the Sentry sleeps on ev_seq, or is about to */
	uint32_t gspin;		/* pauses before the stub sleeps */
	uint32_t act;		/* enum cell_act */
	uint32_t nops;		/* from op_first on */
	uint32_t set_base;	/* bit 0: load fs_new, bit 1: load gs_new */
	uint64_t resume_sp;	/* address of the ucontext to return through */
	uint64_t ret;		/* CACT_RETURN */
	uint64_t fs_new, gs_new;
	uint32_t op_first;
	uint32_t told;		/* there is something at CTX_TOLD */
	uint64_t cputime[2];	/* struct timespec, written by the stub's own call */
	uint64_t until[2];	/* struct timespec: the deadline of a strict thread's futex */
	struct cell_op ops[CELL_OPS_MAX] __attribute__((aligned(64)));
};

/* How full the CPUs are, for stubs that wait: one for all cells, which can only read it. */
struct cell_load {
	uint32_t want;		/* guest threads that run, and threads that spin */
	uint32_t ncpus;
};
static_assert(TRAMP_MAX * 8 <= CELL_LOAD - CELL_TABLE && CELL_LOAD + 0x1000 <= CELL_TOLD, "layout.h");

static_assert(sizeof(struct cell_ctx) <= CTX_ALTSTACK, "one page");
static_assert(offsetof(struct cell_ctx, intr) == C_INTR, "layout.h");
static_assert(offsetof(struct cell_ctx, fast) == C_FAST, "layout.h");
static_assert(offsetof(struct cell_ctx, pid) == C_PID, "layout.h");
static_assert(offsetof(struct cell_ctx, egid) == C_EGID, "layout.h");
static_assert(offsetof(struct cell_ctx, call) == C_CALL, "layout.h");
static_assert(offsetof(struct cell_ctx, sig_default) == C_SIGDFL, "layout.h");
static_assert(offsetof(struct cell_ctx, sig_restorer) == C_SIGREST, "layout.h");
static_assert(offsetof(struct cell_ctx, ret) == C_RET, "layout.h");

/*
 * Where a path led, at CTX_TOLD: -EINVAL of readlink (there is something, and it is no link) or
 * -ENOENT. It counts as lib/told.h says. An entry's place follows from the path: one of two.
 */
struct cell_told {
	uint64_t epoch;		/* 0: none */
	uint32_t hash;
	uint16_t len;
	uint16_t err;
	char path[80];		/* not terminated */
};
#define CELL_TOLD_MAX (CTX_TOLD_SIZE / (uint32_t)sizeof(struct cell_told))
static_assert(sizeof(struct cell_told) == 96, "a line and a half");

#define CELL_HASH_INIT 0x9e3779b9u
static inline uint32_t cell_hash_add(uint32_t h, uint8_t c)
{
	return (h ^ c) * 0x01000193u;
}
static inline uint32_t cell_told_place(uint32_t hash, uint32_t which)
{
	return ((hash ^ hash >> 15) + which) % CELL_TOLD_MAX;
}

/* The kernel's struct ucontext, as it lies in a signal frame. */
struct cell_uc {
	uint64_t flags, link;
	uint64_t ss_sp, ss_flags, ss_size;
	uint64_t gregs[23];
	uint64_t fpregs;
	uint64_t reserved[8];
	uint64_t sigmask;
};
static_assert(sizeof(struct cell_uc) == 304, "struct ucontext");

enum {
	G_R8, G_R9, G_R10, G_R11, G_R12, G_R13, G_R14, G_R15, G_RDI, G_RSI, G_RBP, G_RBX, G_RDX,
	G_RAX, G_RCX, G_RSP, G_RIP, G_EFL, G_CSGSFS, G_ERR, G_TRAPNO, G_OLDMASK, G_CR2
};
