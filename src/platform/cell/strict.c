/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict threads (R18). A host thread becomes one where it stands, by installing a second filter
 * on itself under an order: frame, registers, mask and clocks stay what they are. Then nothing
 * that its guest thread asks for is done without an event first.
 *
 * There must be one queue for a private futex, which is the host's. So a strict thread's call is
 * carried out natively all the same, once it was judged: the thread goes to a site of the stub with
 * the arguments in its registers and the stop signal open, the notary lets exactly this call
 * through, and a trap behind it brings the result.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>

static_assert(SECCOMP_SET_MODE_FILTER == 1, "linux/seccomp.h");

int thr_make_strict(struct pl_thr *t)
{
	struct pl_order o = {.ip = IP_PRIV, .nr = SYS_seccomp, .nargs = 3, .hfd = -1,
			     .a = {SECCOMP_SET_MODE_FILTER, 0, CELL_STRICT}};
	int64_t res;
	int r;

	if (t->strict)
		return 0;
	set_op(t, 0, COP_PRIV, SYS_seccomp, o.a[0], o.a[1], o.a[2]);
	order_add(t, &o);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	res = op_result(t, 0);
	if (r == 1 && res == 0)
		return t->strict ? 0 : cell_broken(t, "strict");	/* the notary knows nothing of it */
	t->strict = false;
	return -ENOMEM;
}

int pl_set_strict(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return t ? thr_make_strict(t) : -ESRCH;
}

bool pl_is_strict(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return t && __atomic_load_n(&t->strict, __ATOMIC_ACQUIRE);
}

/* Sends the thread to the site, with the order for it; 0 when it came out with an event. */
static int go_native(struct pl_thr *t, const uint64_t *a)
{
	struct pl_order o = {.ip = IP_NATIVE, .nr = SYS_futex, .nargs = 6, .hfd = -1};
	struct l_regs *g = &t->regs;
	int r;

	memcpy(o.a, a, sizeof(o.a));
	order_add(t, &o);
	g->rip = IP_NATIVE - 2;
	g->rax = SYS_futex;
	g->rdi = a[0];
	g->rsi = a[1];
	g->rdx = a[2];
	g->r10 = a[3];
	g->r8 = a[4];
	g->r9 = a[5];
	g->eflags &= ~0x100ull;
	t->dirty = true;
	site_enter(t->s);
	(void)puts_compose(t);
	frame_write(t);
	stub_post(t, CACT_RESUME, 0);
	t->blocked_last = false;
	r = stub_wait(t, false);
	site_leave(t->s);
	orders_end(t);
	if (r)
		return r;
	t->frame = READ_ONCE(t->c->frame);
	if (READ_ONCE(t->c->kind) != CEV_SIG || frame_read(t))
		return cell_broken(t, "native");
	return 0;
}

/* Where it came out: 0 and the result, -EINTR, or -EAGAIN when it is to go again. */
static int came_out(struct pl_thr *t, int64_t *res)
{
	int sig = READ_ONCE(t->c->sig);
	uint64_t rip = t->regs.rip;

	if (sig == SIGSYS && rip == IP_NATIVE_TRAP) {
		*res = (int64_t)t->regs.rdi;
		return 0;
	}
	if (sig != CELL_INTRSIG)
		return cell_broken(t, "native trap");
	if (rip == IP_NATIVE - 2)
		return __atomic_exchange_n(&t->kicked, 0, __ATOMIC_SEQ_CST) ? -EINTR : -EAGAIN;
	if (rip == IP_NATIVE || rip == CELL_NATIVE_DONE)
		*res = (int64_t)t->regs.rax;
	else if (rip > CELL_NATIVE_DONE && rip < IP_NATIVE_TRAP)
		*res = (int64_t)t->regs.rdi;
	else
		return cell_broken(t, "native rip");
	if (*res == -EINTR)
		return __atomic_exchange_n(&t->kicked, 0, __ATOMIC_SEQ_CST) ? -EINTR : -EAGAIN;
	return 0;		/* the kick is owed still: the next pl_run reports it */
}

int pl_futex(pl_thread_t id, const uint64_t args[6], uint64_t deadline, int64_t *res)
{
	struct pl_thr *t = thr_of(id);
	bool waits = (args[1] & 0x7f) == FUTEX_WAIT_BITSET;
	struct l_regs saved;
	uint64_t a[6];
	int r;

	if (!t || pl_full_state(id) || (t->nput && stub_run(t, 0) < 0))
		return -ESRCH;
	memcpy(a, args, sizeof(a));
	if (waits) {
		t->c->until[0] = deadline / 1000000000;
		t->c->until[1] = deadline % 1000000000;
		a[3] = deadline == UINT64_MAX ? 0 : t->c_addr + offsetof(struct cell_ctx, until);
	}
	t->pre_len = 0;
	saved = t->regs;
	do {
		__atomic_store_n(&t->running, 1, __ATOMIC_SEQ_CST);
		if (waits && __atomic_exchange_n(&t->kicked, 0, __ATOMIC_SEQ_CST))
			r = -EINTR;
		else
			r = go_native(t, a);
		__atomic_store_n(&t->running, 0, __ATOMIC_SEQ_CST);
		if (!r)
			r = came_out(t, res);
	} while (r == -EAGAIN);
	if (r == -ESRCH)
		return r;
	t->regs = saved;
	t->dirty = true;
	return r;
}
