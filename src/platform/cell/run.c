/* SPDX-License-Identifier: Apache-2.0 */
/* The conversation with a stub: replies, events, and the loop that runs a guest thread. */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>

struct cell_op *op_slot(struct pl_thr *t, uint32_t i)
{
	BUG_ON(i >= CELL_OPS_MAX - CELL_PUTS_MAX);
	return &t->c->ops[CELL_PUTS_MAX + i];
}

int64_t op_result(struct pl_thr *t, uint32_t i)
{
	return READ_ONCE(t->c->ops[CELL_PUTS_MAX + i].res);
}

/* Gives the reply whose ops and fields the caller has filled in. */
void stub_post(struct pl_thr *t, uint32_t act, uint32_t nops)
{
	struct cell_ctx *c = t->c;

	WRITE_ONCE(c->act, act);
	WRITE_ONCE(c->nops, nops);
	WRITE_ONCE(c->gspin, wait_guest_spin(t));
	__atomic_store_n(&c->rp_seq, ++t->rp, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->g_wait, __ATOMIC_SEQ_CST))
		(void)h_futex_wake_shared(&c->rp_seq, 1);
}

int cell_broken(struct pl_thr *t, const char *why)
{
	log_warn("cell: protocol broken (%s), killed", why);
	(void)spc_kill(t->s);
	while (!stub_wait(t, true))
		;
	return -ESRCH;
}

uint32_t puts_compose(struct pl_thr *t)
{
	uint32_t n = t->nput;

	for (uint32_t i = 0; i < n; i++) {
		struct cell_op *op = &t->c->ops[CELL_PUTS_MAX - n + i];

		op->kind = COP_PUT;
		op->a[0] = t->put[i].dst;
		op->a[1] = t->c_addr + CTX_BOUNCE + t->put[i].off;
		op->a[2] = t->put[i].n;
	}
	WRITE_ONCE(t->c->op_first, CELL_PUTS_MAX - n);
	return n;
}

bool puts_done(struct pl_thr *t, uint32_t nput, uint32_t done)
{
	bool failed = done < nput;

	if (failed) {
		t->copy_addr = READ_ONCE(t->c->copy_addr);
		t->copy_sig = (int)READ_ONCE(t->c->copy_sig);
		done++;		/* the one that failed is dropped */
	}
	if (done >= nput) {
		t->nput = t->put_used = 0;
		t->put_window = false;
		return failed;
	}
	memmove(t->put, t->put + done, (nput - done) * sizeof(t->put[0]));
	t->nput = nput - done;
	return failed;
}

int stub_run(struct pl_thr *t, uint32_t nops)
{
	uint32_t kind, done, nput;
	int r;

	for (;;) {
		nput = puts_compose(t);
		stub_post(t, CACT_WAIT, nput + nops);
		r = stub_wait(t, true);
		if (r)
			break;
		kind = READ_ONCE(t->c->kind);
		done = READ_ONCE(t->c->op_done);
		if (kind != CEV_OPS || done > nput + nops)
			return cell_broken(t, "ops");
		if (!puts_done(t, nput, done)) {
			r = (int)(done - nput);
			break;
		}
		t->put_failed = true;
	}
	orders_end(t);
	pl_debug("thr %x: %u + %u ops, first %u nr %u %llx %llx %llx -> %d", thr_id(t).v, nput, nops,
		 op_slot(t, 0)->kind, op_slot(t, 0)->nr, (unsigned long long)op_slot(t, 0)->a[0],
		 (unsigned long long)op_slot(t, 0)->a[1], (unsigned long long)op_slot(t, 0)->a[2], r);
	return r;
}

int pl_flush(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);
	int r;

	if (!t)
		return -ESRCH;
	if (t->nput) {
		r = stub_run(t, 0);
		if (r < 0)
			return r;
	}
	r = t->put_failed ? -EFAULT : 0;
	t->put_failed = false;
	return r;
}

static void ev_fault(struct pl_thr *t, struct pl_event *ev, int sig, int code, uint64_t addr,
		     uint64_t trapno, uint64_t err)
{
	t->regs.orig_rax = ~0ull;
	ev->kind = PL_EV_FAULT;
	ev->fault.signo = sig;
	ev->fault.code = code;
	ev->fault.addr = addr;
	ev->fault.trapno = trapno;
	ev->fault.err = err;
}

static void ev_syscall(struct pl_thr *t, struct pl_event *ev)
{
	const struct l_regs *g = &t->regs;

	t->pre_addr = READ_ONCE(t->c->pre_addr);
	t->pre_len = min(READ_ONCE(t->c->pre_len), (uint32_t)CTX_PRE_SIZE);
	ev->kind = PL_EV_SYSCALL;
	ev->nr = (uint32_t)g->rax;
	ev->args[0] = g->rdi;
	ev->args[1] = g->rsi;
	ev->args[2] = g->rdx;
	ev->args[3] = g->r10;
	ev->args[4] = g->r8;
	ev->args[5] = g->r9;
	t->regs.orig_rax = (uint32_t)g->rax;
}

static bool take_kick(struct pl_thr *t, struct pl_event *ev)
{
	if (!__atomic_exchange_n(&t->kicked, 0, __ATOMIC_SEQ_CST))
		return false;
	ev->kind = PL_EV_INTR;
	return true;
}

/* A patched call that trapped at its trampoline, shown where the guest made it. */
static int tramp_trap(struct pl_thr *t, struct pl_event *ev, const struct site *s)
{
	struct l_regs *r = &t->regs;
	bool done = (uint32_t)r->rax == NR_INTR;

	r->rip = r->rcx = site_ret(s);
	t->dirty = true;
	if (!done) {
		ev_syscall(t, ev);
		return 0;
	}
	r->rax = READ_ONCE(t->c->ret);
	return take_kick(t, ev) ? 0 : 1;
}

/* Runs the few instructions to the end of our code; what follows is a step trap. */
static int step_out(struct pl_thr *t)
{
	t->stepping = t->hidden = true;
	t->guest_tf = t->regs.eflags & 0x100;
	t->regs.eflags |= 0x100;
	t->dirty = true;
	return 1;
}

/*
 * An interrupt. In our own code it is shown where a program expects one: at the call it was about
 * to make, or behind one that was done (R5).
 */
static int interrupted(struct pl_thr *t, struct pl_event *ev)
{
	struct l_regs *r = &t->regs;
	struct site s;
	uint32_t off;

	if (site_of_tramp(r->rip, &s, &off)) {
		if (off == TRAMP_RAW && (uint32_t)r->rax == NR_INTR) {
			t->hidden = true;	/* it traps at once */
			return 1;
		}
		r->rip = off == TRAMP_AFTER ? site_ret(&s) : s.addr;
		t->dirty = true;
	} else if (r->rip >= CELL_STUB_BASE && r->rip < CELL_STUB_END) {
		if (!site_of_tramp(r->rcx, &s, &off) || (off && off != TRAMP_RAW))
			return step_out(t);
		r->rip = s.addr;
		t->dirty = true;
	} else if (r->rip >= CELL_VDSO) {
		return step_out(t);
	}
	return take_kick(t, ev) ? 0 : 1;
}

static int decode_fault(struct pl_thr *t, struct pl_event *ev, int sig, int code, uint64_t addr)
{
	struct cell_uc *uc = (void *)((char *)t->c + t->frame);
	uint64_t trapno = READ_ONCE(uc->gregs[G_TRAPNO]), err = READ_ONCE(uc->gregs[G_ERR]);

	if (code <= 0)
		return 1;	/* sent by a process of the host, not by the CPU */
	if (sig == SIGTRAP && t->stepping) {
		t->stepping = false;
		if (!t->guest_tf)
			t->regs.eflags &= ~0x100ull;
		t->dirty = true;
		return take_kick(t, ev) ? 0 : 1;
	}
	if (sig == SIGILL && site_middle(t)) {
		t->regs.rip += 2;
		t->regs.rcx = t->regs.rip;
		t->dirty = true;
		ev_syscall(t, ev);
		return 0;
	}
	ev_fault(t, ev, sig, code, addr, trapno, err);
	return 0;
}

/* Decodes a signal event. 0: the event is *ev; 1: nothing the guest should see, run on. */
static int decode_signal(struct pl_thr *t, struct pl_event *ev)
{
	struct cell_ctx *c = t->c;
	int sig = READ_ONCE(c->sig), code = READ_ONCE(c->code);
	uint64_t addr = READ_ONCE(c->addr);
	uint32_t arch = READ_ONCE(c->arch), off;
	struct site s;

	t->frame = READ_ONCE(c->frame);
	if (frame_read(t))
		return cell_broken(t, "frame");
	t->patched = t->hidden = false;
	if (t->stepping && sig != SIGTRAP) {
		t->stepping = false;
		if (!t->guest_tf)
			t->regs.eflags &= ~0x100ull;
		t->dirty = true;
	}
	switch (sig) {
	case SIGSYS:
		if (arch != AUDIT_ARCH_X86_64) {
			/* as a kernel without 32-bit calls: #GP at the instruction */
			t->regs.rip -= 2;
			t->dirty = true;
			ev_fault(t, ev, SIGSEGV, SI_KERNEL, 0, 13, 0x402);
			return 0;
		}
		if (site_of_tramp(t->regs.rip, &s, &off) && off == TRAMP_AFTER)
			return tramp_trap(t, ev, &s);
		ev_syscall(t, ev);
		site_consider(t);
		return 0;
	case CELL_INTRSIG:
		return interrupted(t, ev);
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
		return decode_fault(t, ev, sig, code, addr);
	default:
		return 1;
	}
}

/* A patched call: its arguments are known, the rest of the registers are with the stub. */
static int decode_call(struct pl_thr *t, struct pl_event *ev)
{
	struct cell_ctx *c = t->c;
	uint64_t tramp = READ_ONCE(c->call.tramp);
	struct l_regs *r = &t->regs;
	struct site s;
	uint32_t off;

	if (!site_of_tramp(tramp, &s, &off) || off)
		return cell_broken(t, "site");
	r->rax = (uint32_t)READ_ONCE(c->call.nr);
	r->rdi = READ_ONCE(c->call.rdi);
	r->rsi = READ_ONCE(c->call.rsi);
	r->rdx = READ_ONCE(c->call.rdx);
	r->r10 = READ_ONCE(c->call.r10);
	r->r8 = READ_ONCE(c->call.r8);
	r->r9 = READ_ONCE(c->call.r9);
	r->rsp = READ_ONCE(c->call.rsp);
	r->rip = r->rcx = site_ret(&s);
	ev_syscall(t, ev);
	t->patched = true;
	t->full = t->dirty = t->result = false;
	return 0;
}

/* The queued ops become the first ones of the reply. */
static int post_resume(struct pl_thr *t, uint32_t *nput, uint32_t *nops, uint16_t *lent)
{
	int r;

	*nops = *nput = 0;
	if (t->frame && !t->patched)
		site_resume(t);
	r = ops_compose(t, t->queue, t->nqueue, nops, lent);
	if (r)
		return r;
	if (unlikely(t->rseq_due))
		rseq_due_compose(t, nops);
	*nput = puts_compose(t);
	if (t->patched) {
		WRITE_ONCE(t->c->ret, t->regs.rax);
		stub_post(t, CACT_RETURN, *nput + *nops);
		return 0;
	}
	frame_write(t);
	stub_post(t, CACT_RESUME, *nput + *nops);
	return 0;
}

/* The call at index `at` of those that the queue of n ops made has failed. */
static void note_failed(struct pl_thr *t, uint32_t n, uint32_t at)
{
	int64_t err = op_result(t, at);
	uint32_t q, calls = 0;

	for (q = 0; q + 1 < n; q++) {
		calls += t->ncalls[q];
		if (calls > at)
			break;
	}
	t->op_failed.err = err < 0 && err >= -4095 ? (int)err : -EINVAL;
	t->op_failed.addr = t->queue[q].addr;
	t->op_failed.len = t->queue[q].len;
}

static bool ev_opfail(struct pl_thr *t, struct pl_event *ev)
{
	if (!t->op_failed.err)
		return false;
	ev->kind = PL_EV_OPFAIL;
	ev->op.err = t->op_failed.err;
	ev->op.addr = t->op_failed.addr;
	ev->op.len = t->op_failed.len;
	t->op_failed.err = 0;
	return true;
}

int queue_run(struct pl_thr *t)
{
	uint32_t nops = 0, n = t->nqueue;
	uint16_t lent = 0;
	int r;

	t->nqueue = 0;
	r = ops_compose(t, t->queue, n, &nops, &lent);
	if (!r)
		r = stub_run(t, nops);
	else
		orders_end(t);
	if (lent)
		lent_put(t->s, lent);
	if (r >= 0 && (uint32_t)r < nops)
		note_failed(t, n, (uint32_t)r);
	return r < 0 ? -ESRCH : 0;
}

/* Lets the guest go. What the reply holds is kept for the event that answers it. */
static void run_post(struct pl_thr *t)
{
	site_enter(t->s);
	t->lent = 0;
	t->posted = post_resume(t, &t->run_nput, &t->run_nops, &t->lent);
	t->blocked_last = false;
}

void pl_start(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (!t || t->started || t->hidden || t->op_failed.err || t->put_failed)
		return;
	__atomic_store_n(&t->running, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&t->kicked, __ATOMIC_SEQ_CST)) {
		__atomic_store_n(&t->running, 0, __ATOMIC_RELAXED);
		return;
	}
	run_post(t);
	t->started = true;
}

static int run_once(struct pl_thr *t, struct pl_event *ev)
{
	uint32_t nops, nput, done;
	int r;

	t->pre_len = 0;
	__atomic_store_n(&t->running, 1, __ATOMIC_SEQ_CST);
	if (!t->started && !t->hidden && __atomic_load_n(&t->kicked, __ATOMIC_SEQ_CST)) {
		/* every event says that the queued ops are done */
		r = t->nqueue ? queue_run(t) : 0;
		if (r || ev_opfail(t, ev) || take_kick(t, ev)) {
			__atomic_store_n(&t->running, 0, __ATOMIC_RELAXED);
			return r;
		}
	}
	if (!t->started)
		run_post(t);
	t->started = false;
	nput = t->run_nput, nops = t->run_nops;
	r = t->posted;
	if (!r)
		r = stub_wait(t, false);
	site_leave(t->s);
	__atomic_store_n(&t->running, 0, __ATOMIC_RELAXED);
	if (r || nops)
		orders_end(t);
	if (t->lent)
		lent_put(t->s, t->lent);
	if (r) {
		t->nqueue = t->nput = 0;
		return r;
	}
	switch (READ_ONCE(t->c->kind)) {
	case CEV_SIG:
		t->nqueue = 0;
		(void)puts_done(t, nput, nput);
		return decode_signal(t, ev);
	case CEV_CALL:
		t->nqueue = 0;
		(void)puts_done(t, nput, nput);
		return decode_call(t, ev);
	case CEV_OPS:
		if (!nops && !nput)
			return cell_broken(t, "opfail");
		done = READ_ONCE(t->c->op_done);
		if (puts_done(t, nput, done)) {
			ev->kind = PL_EV_COPYFAIL;
			ev->op.addr = t->copy_addr;
			return 0;
		}
		note_failed(t, t->nqueue, done - nput < nops ? done - nput : 0);
		(void)ev_opfail(t, ev);
		t->nqueue = 0;
		return 0;
	default:
		return cell_broken(t, "kind");
	}
}

int pl_run(pl_thread_t id, struct pl_event *ev)
{
	struct pl_thr *t = thr_of(id);
	int r;

	memset(ev, 0, sizeof(*ev));
	if (!t)
		return -ESRCH;
	pl_debug("thr %x: run", id.v);
	if (t->put_failed) {
		t->put_failed = false;
		ev->kind = PL_EV_COPYFAIL;
		ev->op.addr = t->copy_addr;
		return 0;
	}
	if (ev_opfail(t, ev))
		return 0;
	do {
		r = run_once(t, ev);
	} while (r == 1);
	if (r == -ESRCH) {
		ev->kind = PL_EV_GONE;
		return 0;
	}
	if (!r)
		pl_debug("thr %x: event %d nr %d rip %llx", id.v, ev->kind, (int)ev->nr,
			 (unsigned long long)t->regs.rip);
	return r;
}

void pl_set_result(pl_thread_t id, int64_t ret)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return;
	t->regs.rax = (uint64_t)ret;
	t->result = true;
}

/* Has a patched call trap: the signal frame holds all of its registers. */
static int retrap(struct pl_thr *t)
{
	uint64_t rax = t->regs.rax;
	bool result = t->result;
	struct site s;
	uint32_t off;
	int r;

	WRITE_ONCE(t->c->told, 0);	/* it is to come here */
	stub_post(t, CACT_RETRAP, 0);
	for (;;) {
		r = stub_wait(t, true);
		if (r)
			return r;
		t->frame = READ_ONCE(t->c->frame);
		if (READ_ONCE(t->c->kind) != CEV_SIG || frame_read(t))
			return cell_broken(t, "retrap");
		if (READ_ONCE(t->c->sig) != CELL_INTRSIG)
			break;
		/* an interrupt on the way: it is owed still, and seen at the next pl_run */
		frame_write(t);
		stub_post(t, CACT_RESUME, 0);
	}
	if (READ_ONCE(t->c->sig) != SIGSYS || !site_of_tramp(t->regs.rip, &s, &off) ||
	    off != TRAMP_AFTER)
		return cell_broken(t, "retrap");
	WRITE_ONCE(t->c->told, t->told);
	t->patched = false;
	t->regs.orig_rax = (uint32_t)t->regs.rax;
	t->regs.rip = t->regs.rcx = site_ret(&s);
	t->dirty = true;
	if (result) {
		t->regs.rax = rax;
		t->result = true;
	}
	return 0;
}

int pl_full_state(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return -ESRCH;
	return t->patched ? retrap(t) : 0;
}

bool pl_has_full_state(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return t && t->full;
}

void pl_get_regs(pl_thread_t id, struct l_regs *out)
{
	struct pl_thr *t = thr_of(id);

	if (t)
		(void)!pl_full_state(id);
	if (t)
		*out = t->regs;
	else
		memset(out, 0, sizeof(*out));
}

void pl_set_regs(pl_thread_t id, const struct l_regs *in)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return;
	(void)!pl_full_state(id);
	if (in->fs_base != t->regs.fs_base)
		t->fs_dirty = true;
	if (in->gs_base != t->regs.gs_base)
		t->gs_dirty = true;
	t->regs = *in;
	t->regs.cs = 0x33;
	t->regs.ss = 0x2b;
	t->full = true;
	t->dirty = true;
}

void pl_set_default_signals(pl_thread_t id, uint64_t mask, uint64_t restorer)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return;
	WRITE_ONCE(t->c->sig_default, 0);
	WRITE_ONCE(t->c->sig_set, 0);
	WRITE_ONCE(t->c->sig_restorer, restorer);
	__atomic_store_n(&t->c->sig_default, mask, __ATOMIC_RELEASE);
}

uint64_t pl_defaulted_signals(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return t ? READ_ONCE(t->c->sig_set) : 0;
}

void pl_set_ids(pl_thread_t id, const struct pl_ids *ids)
{
	struct pl_thr *t = thr_of(id);
	struct cell_ctx *c;

	if (!t)
		return;
	c = t->c;
	WRITE_ONCE(c->fast, 0);
	t->fast = false;
	told_forget(t);
	if (!ids || pl.boot.hardened)
		return;
	c->pid = ids->pid;
	c->tid = ids->tid;
	c->uid = ids->uid;
	c->euid = ids->euid;
	c->gid = ids->gid;
	c->egid = ids->egid;
	t->fast = true;
	__atomic_store_n(&c->fast, 1, __ATOMIC_RELEASE);
}

bool pl_ops_done(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return !t || READ_ONCE(t->c->done_rp) == __atomic_load_n(&t->rp, __ATOMIC_ACQUIRE);
}

void pl_will_block(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (t) {
		t->blocked_last = true;
		wait_inactive(t);
		t->pre_len = 0;		/* memory may change while it sleeps */
		WRITE_ONCE(t->c->gspin, 0);
	}
}

void pl_kick_kill(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (t)
		__atomic_store_n(&t->killing, 1, __ATOMIC_RELAXED);
	pl_kick(id);
}

void pl_kick(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (!t || __atomic_exchange_n(&t->kicked, 1, __ATOMIC_SEQ_CST))
		return;
	if (!__atomic_load_n(&t->running, __ATOMIC_SEQ_CST))
		return;
	mutex_lock(&pl.lock);
	if (thr_of(id) == t && t->s && t->s->pid && t->htid &&
	    !__atomic_load_n(&t->s->dead, __ATOMIC_ACQUIRE))
		(void)!h_tgkill(t->s->pid, t->htid, CELL_INTRSIG);
	if (thr_of(id) == t && t->s)
		(void)h_futex_wake_shared(&t->c->ev_seq, 1);	/* its owner waits with a deadline */
	mutex_unlock(&pl.lock);
}
