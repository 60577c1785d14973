/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal frames of x86-64: built on the guest's stack before a handler runs, taken back by
 * rt_sigreturn. What comes back is the guest's to choose; selectors and flags are sanitised by
 * the platform (I6), the extended state by pl_set_xstate.
 */
#include <errno.h>
#include <signal.h>
#include "abi/x86_64/sigframe.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/exec.h"
#include "sentry/task/task_i.h"

#define RED_ZONE 128
#define USER_CS 0x33
#define USER_SS 0x2b
#define SS_AUTODISARM_ 0x80000000u
#define SA_RESTORER_ 0x04000000u
#define EFLAGS_CLEAR (0x100 | 0x400 | 0x10000)	/* TF DF RF */
#define EFLAGS_USER 0x50dd5ull			/* what sigreturn may set */

static bool on_altstack(const struct task *t, uint64_t sp)
{
	if ((uint32_t)t->altstack.flags & SS_AUTODISARM_)
		return false;
	return sp > t->altstack.sp && sp - t->altstack.sp <= t->altstack.size;
}

uint32_t altstack_state(const struct task *t, uint64_t sp)
{
	if (!t->altstack.size)
		return SS_DISABLE;
	return on_altstack(t, sp) ? SS_ONSTACK : 0;
}

static uint64_t xcr0(void)
{
	uint32_t lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (uint64_t)hi << 32 | lo;
}

static uint64_t pick_stack(struct task *t, const struct l_sigaction *act, uint64_t sp, bool *bad)
{
	*bad = false;
	if ((act->flags & SA_ONSTACK) && altstack_state(t, sp) == 0)
		return t->altstack.sp + t->altstack.size;
	sp -= RED_ZONE;
	return sp;
}

static void fill_context(struct task *t, struct l_sigcontext *mc, const struct l_regs *r)
{
	mc->r8 = r->r8, mc->r9 = r->r9, mc->r10 = r->r10, mc->r11 = r->r11;
	mc->r12 = r->r12, mc->r13 = r->r13, mc->r14 = r->r14, mc->r15 = r->r15;
	mc->rdi = r->rdi, mc->rsi = r->rsi, mc->rbp = r->rbp, mc->rbx = r->rbx;
	mc->rdx = r->rdx, mc->rax = r->rax, mc->rcx = r->rcx, mc->rsp = r->rsp;
	mc->rip = r->rip, mc->eflags = r->eflags;
	mc->cs = (uint16_t)r->cs, mc->ss = (uint16_t)r->ss;
	mc->err = t->fault_err, mc->trapno = t->fault_trapno, mc->cr2 = t->fault_addr;
}

/* The extended state with the markers that tell its size; returns the bytes in all. */
static int64_t fill_xstate(struct task *t, uint8_t *buf, size_t size)
{
	struct l_fpx_sw sw = {.magic1 = L_FP_XSTATE_MAGIC1};
	uint32_t magic2 = L_FP_XSTATE_MAGIC2;
	int rc = pl_get_xstate(t->pl, buf, size);

	if (rc < 0)
		return rc;
	sw.extended_size = (uint32_t)size + 4;
	sw.xstate_size = (uint32_t)size;
	sw.xfeatures = xcr0();
	__builtin_memcpy(buf + L_FPX_SW_OFFSET, &sw, sizeof(sw));
	__builtin_memcpy(buf + size, &magic2, sizeof(magic2));
	return (int64_t)size + 4;
}

static void enter_handler(struct task *t, int sig, const struct l_sigaction *act, uint64_t frame)
{
	struct l_regs *r = task_regs(t, true);

	r->rsp = frame;
	r->rip = act->handler;
	r->rdi = (uint64_t)sig;
	r->rsi = frame + offsetof(struct l_rt_sigframe, info);
	r->rdx = frame + offsetof(struct l_rt_sigframe, uc);
	r->rax = 0;
	r->cs = USER_CS;
	r->ss = USER_SS;
	r->eflags &= ~(uint64_t)EFLAGS_CLEAR;
	r->orig_rax = ~0ull;
}

int frame_build(struct task *t, int sig, const struct l_sigaction *act, const struct l_siginfo *info,
		l_sigset mask)
{
	const struct l_regs *r = task_regs(t, false);
	size_t xsize = pl_xstate_size();
	struct l_rt_sigframe *f;
	uint64_t sp, fp, frame, alt_lo = t->altstack.sp;
	bool bad, use_alt;
	int64_t xlen;
	uint8_t *buf;
	int rc = -EFAULT;

	if (!(act->flags & SA_RESTORER_))
		return -EFAULT;
	use_alt = (act->flags & SA_ONSTACK) && altstack_state(t, r->rsp) == 0;
	sp = pick_stack(t, act, r->rsp, &bad);
	fp = (sp - (xsize + 4)) & ~63ull;
	frame = ((fp - sizeof(*f)) & ~15ull) - 8;
	if (frame > sp || (use_alt && frame < alt_lo))
		return -EFAULT;
	buf = kmalloc(sp - frame);
	if (!buf)
		return -ENOMEM;
	f = (struct l_rt_sigframe *)(void *)buf;
	xlen = fill_xstate(t, buf + (fp - frame), xsize);
	if (xlen < 0)
		goto out;
	f->pretcode = act->restorer;
	f->uc.flags = L_UC_FP_XSTATE | L_UC_SIGCONTEXT_SS | L_UC_STRICT_RESTORE_SS;
	f->uc.stack = t->altstack;
	if (!t->altstack.size)
		f->uc.stack.flags = SS_DISABLE;
	fill_context(t, &f->uc.mc, r);
	f->uc.mc.fpstate = fp;
	f->uc.mc.oldmask = mask;
	f->uc.sigmask = mask;
	f->info = *info;
	rc = copy_out(t, UADDR(frame), buf, fp - frame + (uint64_t)xlen);
	if (rc)
		goto out;
	if (use_alt && ((uint32_t)t->altstack.flags & SS_AUTODISARM_))
		t->altstack = (struct l_sigaltstack){.flags = SS_DISABLE};
	enter_handler(t, sig, act, frame);
out:
	kfree(buf);
	return rc;
}

/* --- rt_sigreturn -------------------------------------------------------------------------- */

static int restore_xstate(struct task *t, uint64_t fp)
{
	size_t xsize = pl_xstate_size(), n = L_FXSAVE_SIZE;
	struct l_fpx_sw sw;
	uint32_t magic2 = 0;
	uint8_t *buf;
	int rc;

	if (!fp)
		return pl_set_xstate(t->pl, NULL, 0);
	buf = kmalloc(xsize);
	if (!buf)
		return -ENOMEM;
	rc = copy_in(t, buf, UADDR(fp), L_FXSAVE_SIZE);
	if (rc)
		goto out;
	__builtin_memcpy(&sw, buf + L_FPX_SW_OFFSET, sizeof(sw));
	if (sw.magic1 == L_FP_XSTATE_MAGIC1 && sw.xstate_size >= L_FXSAVE_SIZE + 64 &&
	    sw.xstate_size <= xsize && sw.extended_size == sw.xstate_size + 4 &&
	    copy_in(t, &magic2, UADDR(fp + sw.xstate_size), 4) == 0 && magic2 == L_FP_XSTATE_MAGIC2) {
		rc = copy_in(t, buf + n, UADDR(fp + n), sw.xstate_size - n);
		if (rc)
			goto out;
		n = sw.xstate_size;
	} else {
		uint64_t bv = 3;	/* x87 and SSE only; the rest starts afresh */

		__builtin_memcpy(buf + n, &bv, sizeof(bv));
		n += 64;
	}
	rc = pl_set_xstate(t->pl, buf, n);
out:
	kfree(buf);
	return rc;
}

static void restore_context(struct task *t, const struct l_sigcontext *mc, bool strict_ss)
{
	struct l_regs *r = task_regs(t, true);

	r->r8 = mc->r8, r->r9 = mc->r9, r->r10 = mc->r10, r->r11 = mc->r11;
	r->r12 = mc->r12, r->r13 = mc->r13, r->r14 = mc->r14, r->r15 = mc->r15;
	r->rdi = mc->rdi, r->rsi = mc->rsi, r->rbp = mc->rbp, r->rbx = mc->rbx;
	r->rdx = mc->rdx, r->rax = mc->rax, r->rcx = mc->rcx, r->rsp = mc->rsp;
	r->rip = mc->rip;
	r->eflags = (r->eflags & ~EFLAGS_USER) | (mc->eflags & EFLAGS_USER);
	r->cs = mc->cs | 3;
	r->ss = strict_ss ? mc->ss | 3 : USER_SS;
	r->orig_rax = ~0ull;
}

/* The frame of the handler that returns now lies at rsp - 8. */
int frame_restore(struct task *t)
{
	uint64_t frame = task_regs(t, true)->rsp - 8;
	struct l_ucontext uc;
	int rc;

	rc = copy_in(t, &uc, UADDR(frame + offsetof(struct l_rt_sigframe, uc)), sizeof(uc));
	if (rc)
		return rc;
	signal_set_mask(t, uc.sigmask);
	restore_context(t, &uc.mc, uc.flags & L_UC_STRICT_RESTORE_SS);
	rc = restore_xstate(t, uc.mc.fpstate);
	if (rc)
		return -EFAULT;
	(void)!altstack_set(t, &uc.stack, t->regs.rsp, true);
	return 0;
}

/* sigaltstack(2) after the copies; `quiet` is rt_sigreturn, which ignores errors. */
int altstack_set(struct task *t, const struct l_sigaltstack *ss, uint64_t sp, bool quiet)
{
	uint32_t mode = (uint32_t)ss->flags & ~SS_AUTODISARM_;

	if (on_altstack(t, sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		t->altstack = (struct l_sigaltstack){.flags = SS_DISABLE};
		return 0;
	}
	if (!quiet && ss->size < altstack_min())
		return -ENOMEM;
	if (quiet && ss->size < 2048)
		return -ENOMEM;
	t->altstack = (struct l_sigaltstack){.sp = ss->sp, .size = ss->size, .flags = ss->flags};
	return 0;
}

uint64_t altstack_min(void)
{
	return 2048;
}

/* AT_MINSIGSTKSZ: the largest frame that a handler may find, with its alignment. */
uint64_t signal_frame_max(void)
{
	return sizeof(struct l_rt_sigframe) + pl_xstate_size() + 4 + 64 + 16 + 8 + RED_ZONE;
}
