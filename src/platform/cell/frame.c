/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal frames: how registers and vector state pass between a guest thread and the Sentry. They
 * lie in the thread's context and are written by the guest at will; what matters is read once
 * and bounded, and the kernel checks the rest when the stub returns through them.
 */
#include "platform/cell/cell_int.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>

#define FRESH_UC	0x3000u		/* the stub's own stack of a blank thread ends below */
#define FRESH_FP	(FRESH_UC + 0x140u)
#define SW_RESERVED	464
#define XS_HEADER	512
#define MAGIC1		0x46505853u
#define MAGIC2		0x46505845u

struct fp_sw {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, pad[7];
};

/* What the kernel writes into a frame: all user components but the ones it hands out on demand. */
void xstate_init(void)
{
	uint32_t a, b, c, d, lo, hi;
	uint64_t mask;
	size_t size = XS_HEADER + 64;

	__asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	mask = ((uint64_t)hi << 32 | lo) & ~(3ull << 17);
	for (unsigned i = 2; i < 63; i++) {
		if (!(mask & 1ull << i))
			continue;
		__cpuid_count(0xd, i, a, b, c, d);
		if (b + a > size)
			size = b + a;
	}
	pl.xfeatures = mask;
	pl.xsize = size;
	BUG_ON(FRESH_FP + size + 4 > CTX_STACK_TOP);
}

size_t pl_xstate_size(void)
{
	return pl.xsize + 4;
}

static struct cell_uc *frame_uc(const struct pl_thr *t)
{
	return (void *)((char *)t->c + t->frame);
}

static bool in_contexts(uint64_t addr)
{
	return addr >= CELL_CTX_BASE && addr < CELL_CTX_BASE + CELL_CTX_SPAN;
}

int frame_read(struct pl_thr *t)
{
	uint64_t g[23], fp;
	struct cell_uc *uc;

	if (t->frame < CTX_ALTSTACK + 8 || t->frame > CTX_STACK_TOP - sizeof(*uc) ||
	    t->frame % 8) {
		t->frame = 0;
		return -EINVAL;
	}
	uc = frame_uc(t);
	memcpy(g, uc->gregs, sizeof(g));
	fp = READ_ONCE(uc->fpregs) - t->c_addr;
	t->fp_off = 0;
	if (fp >= CTX_ALTSTACK && fp <= CTX_STACK_TOP - pl.xsize - 4 && fp % 64 == 0)
		t->fp_off = (uint32_t)fp;
	t->regs = (struct l_regs){
		.r8 = g[G_R8], .r9 = g[G_R9], .r10 = g[G_R10], .r11 = g[G_R11],
		.r12 = g[G_R12], .r13 = g[G_R13], .r14 = g[G_R14], .r15 = g[G_R15],
		.rdi = g[G_RDI], .rsi = g[G_RSI], .rbp = g[G_RBP], .rbx = g[G_RBX],
		.rdx = g[G_RDX], .rax = g[G_RAX], .rcx = g[G_RCX], .rsp = g[G_RSP],
		.rip = g[G_RIP], .eflags = g[G_EFL],
		.cs = g[G_CSGSFS] & 0xffff, .ss = g[G_CSGSFS] >> 48,
		.fs_base = READ_ONCE(t->c->fs_base), .gs_base = READ_ONCE(t->c->gs_base),
		.orig_rax = ~0ull,
	};
	if (in_contexts(t->regs.gs_base))
		t->regs.gs_base = 0;
	t->full = true;
	t->dirty = t->result = t->fs_dirty = t->gs_dirty = false;
	return 0;
}

static void write_gregs(const struct pl_thr *t, struct cell_uc *uc)
{
	const struct l_regs *r = &t->regs;

	uc->gregs[G_R8] = r->r8;
	uc->gregs[G_R9] = r->r9;
	uc->gregs[G_R10] = r->r10;
	uc->gregs[G_R11] = r->r11;
	uc->gregs[G_R12] = r->r12;
	uc->gregs[G_R13] = r->r13;
	uc->gregs[G_R14] = r->r14;
	uc->gregs[G_R15] = r->r15;
	uc->gregs[G_RDI] = r->rdi;
	uc->gregs[G_RSI] = r->rsi;
	uc->gregs[G_RBP] = r->rbp;
	uc->gregs[G_RBX] = r->rbx;
	uc->gregs[G_RDX] = r->rdx;
	uc->gregs[G_RAX] = r->rax;
	uc->gregs[G_RCX] = r->rcx;
	uc->gregs[G_RSP] = r->rsp;
	uc->gregs[G_RIP] = r->rip;
	uc->gregs[G_EFL] = r->eflags;
	uc->gregs[G_CSGSFS] = 0x33ull | 0x2bull << 48;
}

/* A frame for a thread that has none. */
static void frame_fresh(struct pl_thr *t)
{
	struct cell_uc *uc;

	t->frame = FRESH_UC;
	t->fp_off = FRESH_FP;
	uc = frame_uc(t);
	memset(uc, 0, sizeof(*uc));
	uc->flags = 7;		/* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
	uc->ss_sp = t->c_addr + CTX_ALTSTACK;
	uc->ss_size = CTX_ALTSTACK_SIZE;
	t->dirty = t->fs_dirty = t->gs_dirty = true;
}

/* Puts the registers where the stub's sigreturn takes them from. */
void frame_write(struct pl_thr *t)
{
	struct cell_ctx *c = t->c;
	uint32_t set = 0;
	struct cell_uc *uc;

	if (!t->frame)
		frame_fresh(t);
	uc = frame_uc(t);
	if (t->dirty)
		write_gregs(t, uc);
	else if (t->result)
		uc->gregs[G_RAX] = t->regs.rax;
	uc->sigmask = 0;
	if (t->fs_dirty) {
		c->fs_new = t->regs.fs_base;
		set |= 1;
	}
	if (t->gs_dirty) {
		c->gs_new = t->regs.gs_base ? t->regs.gs_base : t->c_addr;
		set |= 2;
	}
	c->set_base = set;
	c->resume_sp = t->c_addr + t->frame;
	t->dirty = t->result = t->fs_dirty = t->gs_dirty = false;
}

static void own_sw_words(void *image)
{
	struct fp_sw sw = {
		.magic1 = MAGIC1,
		.extended_size = (uint32_t)pl.xsize + 4,
		.xfeatures = pl.xfeatures,
		.xstate_size = (uint32_t)pl.xsize,
	};
	uint32_t magic2 = MAGIC2;

	memcpy((char *)image + SW_RESERVED, &sw, sizeof(sw));
	memcpy((char *)image + pl.xsize, &magic2, sizeof(magic2));
}

/*
 * The frame of a thread that makes a new one goes to the same place in the new context, with its
 * two pointers moved. The registers are the caller's to set afterwards.
 */
void frame_copy(const struct pl_thr *from, struct pl_thr *to)
{
	struct cell_uc *uc;
	uint32_t start = from->frame - 8;

	if (!from->frame)
		return;
	if (to->frame) {	/* a parked thread keeps its own: its stub's stack lies below */
		uc = frame_uc(to);
		uc->fpregs = 0;
		if (from->fp_off && to->fp_off) {
			memcpy((char *)to->c + to->fp_off, (char *)from->c + from->fp_off, pl.xsize);
			own_sw_words((char *)to->c + to->fp_off);
			uc->fpregs = to->c_addr + to->fp_off;
		}
		return;
	}
	memcpy((char *)to->c + start, (char *)from->c + start, CTX_STACK_TOP - start);
	to->frame = from->frame;
	to->fp_off = from->fp_off;
	uc = frame_uc(to);
	uc->flags = 7;
	uc->fpregs = from->fp_off ? to->c_addr + to->fp_off : 0;
	uc->ss_sp = to->c_addr + CTX_ALTSTACK;
	uc->ss_size = CTX_ALTSTACK_SIZE;
	uc->ss_flags = 0;
}

int pl_get_xstate(pl_thread_t id, void *dst, size_t cap)
{
	struct pl_thr *t = thr_of(id);
	char *p = dst;

	if (!t)
		return -ESRCH;
	if (cap < pl.xsize + 4)
		return -EINVAL;
	if (pl_full_state(id))
		return -ESRCH;
	memset(dst, 0, pl.xsize + 4);
	if (t->frame && t->fp_off && READ_ONCE(frame_uc(t)->fpregs)) {
		memcpy(dst, (char *)t->c + t->fp_off, pl.xsize);
	} else {
		const uint16_t fcw = 0x37f;
		const uint32_t mxcsr[2] = {0x1f80, 0xffff};

		memcpy(p, &fcw, sizeof(fcw));
		memcpy(p + 24, mxcsr, sizeof(mxcsr));
	}
	own_sw_words(dst);
	return (int)(pl.xsize + 4);
}

int pl_set_xstate(pl_thread_t id, const void *src, size_t n)
{
	struct pl_thr *t = thr_of(id);
	uint64_t bv, zero[7] = {0};
	uint32_t mxcsr;
	char *p;

	if (!t)
		return -ESRCH;
	if (pl_full_state(id))
		return -ESRCH;
	if (!t->frame)
		frame_fresh(t);
	if (!src) {
		frame_uc(t)->fpregs = 0;
		return 0;
	}
	if (n < XS_HEADER || !t->fp_off)
		return -EINVAL;
	if (n > pl.xsize)
		n = pl.xsize;
	p = (char *)t->c + t->fp_off;
	memcpy(&mxcsr, (const char *)src + 24, sizeof(mxcsr));
	if (mxcsr & ~0xffffu)
		return -EINVAL;
	bv = 3;
	if (n >= XS_HEADER + 64)
		memcpy(&bv, (const char *)src + XS_HEADER, sizeof(bv));
	if (n < pl.xsize)
		bv &= 3;
	memset(p, 0, pl.xsize);
	memcpy(p, src, n);
	bv &= pl.xfeatures;
	memcpy(p + XS_HEADER, &bv, sizeof(bv));
	memcpy(p + XS_HEADER + 8, zero, sizeof(zero));
	own_sw_words(p);
	frame_uc(t)->fpregs = t->c_addr + t->fp_off;
	return 0;
}
