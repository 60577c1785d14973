/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restartable sequences (R10, R22). The cell's own thread registers the guest's area with the host,
 * which then keeps the CPU numbers in it (the guest's are the host's) and aborts critical sections:
 * nobody else sees preemption and migration.
 *
 * What a registration is good for to an attacker: the host writes to the area, and moves the thread
 * to an address that the area names, from anywhere, our code included. So
 *	- it is an ordered call, and how many a host thread was ordered to make is a fact;
 *	- that it was undone is only ever a claim (the host refuses when the area is unmapped), but for
 *	  the one at the gate, behind which no guest code is left to lie;
 *	- a thread that ever registered does not fork: its child would have an area before it is
 *	  introduced (space.c, agent_take). The child registers its own, by an order of its own.
 *
 * The order costs two switches, and libc has every thread of every process register, of which many
 * live for a few calls. So a thread's first registration, and a forked child's, is due only after
 * DUE_CALLS calls, or a moment of its own time. Until then its area says what it says before a
 * registration: the CPU is not known (-1). No critical section gets past its comparison then, and
 * sched_getcpu asks the vDSO.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <linux/rseq.h>
#include <string.h>
#include "lib/checked.h"

#define DUE_CALLS 16
#define DUE_NS 1000000		/* then, if it spent half of it, */
#define DUE_IDLE_NS 50000000	/* or so much later: a signal may end a timed native wait early */

void rseq_ordered_locked(struct pl_thr *t, const struct pl_order *o)
{
	t->rseq_orders++;
	t->rseq_last = (struct pl_rseq){o->a[0], (uint32_t)o->a[1], (uint32_t)o->a[3]};
}

static void call(struct pl_thr *t, uint32_t i, uint32_t kind, const struct pl_rseq *r, uint32_t flags)
{
	set_op(t, i, kind, SYS_rseq, r->addr, r->len, flags);
	op_slot(t, i)->a[3] = r->sig;
}

static void order(struct pl_thr *t, uint32_t i)
{
	struct pl_order o = {.ip = IP_PRIV, .nr = SYS_rseq, .nargs = 4, .hfd = -1};

	memcpy(o.a, op_slot(t, i)->a, sizeof(o.a));
	order_add(t, &o);
}

void rseq_end_compose(struct pl_thr *t, uint32_t *n)
{
	if (!t->rseq.addr || t->rseq_due)
		return;
	call(t, (*n)++, COP_STUB, &t->rseq, RSEQ_FLAG_UNREGISTER);
}

void rseq_end(struct pl_thr *t)
{
	uint32_t n = 0;

	rseq_end_compose(t, &n);
	if (n)
		(void)!stub_run(t, n);
	rseq_ended(t);
}

void rseq_ended(struct pl_thr *t)
{
	t->rseq.addr = 0;
	t->rseq_due = t->rseq_first = false;
}

void pl_rseq_end(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (t)
		rseq_end(t);
}

static void rseq_put_off(struct pl_thr *t, const struct pl_rseq *r)
{
	t->rseq = *r;
	t->rseq_due = t->rseq_first = true;
	t->rseq_calls = DUE_CALLS;
	t->rseq_idle = false;
}

void rseq_inherit(struct pl_thr *t, const struct pl_rseq *r)
{
	const uint32_t unknown = (uint32_t)RSEQ_CPU_ID_UNINITIALIZED;

	if (!r->addr)
		return;
	rseq_put_off(t, r);
	/* goes out with the first reply; a child that cannot take it ends there */
	(void)!pl_copy_out(thr_id(t), r->addr + offsetof(struct rseq, cpu_id), &unknown, 4);
}

const struct timespec *rseq_timeout(struct pl_thr *t)
{
	static const struct timespec soon = {0, DUE_NS}, late = {0, DUE_IDLE_NS};

	if (!t->rseq_due || !t->rseq_calls)
		return NULL;
	if (!t->rseq_idle)
		t->rseq_cpu = spc_cpu_raw(t->s);
	return t->rseq_idle ? &late : &soon;
}

void rseq_timed_out(struct pl_thr *t)
{
	bool busy = spc_cpu_raw(t->s) - t->rseq_cpu > DUE_NS / 2;

	if (!busy && !t->rseq_idle) {
		t->rseq_idle = true;
		return;
	}
	t->rseq_calls = 0;
	pl_kick(thr_id(t));
}

void rseq_due_compose(struct pl_thr *t, uint32_t *n)
{
	t->rseq_idle = false;
	if (t->rseq_calls) {
		t->rseq_calls--;
		return;
	}
	t->rseq_due = false;
	call(t, *n, COP_PRIV, &t->rseq, 0);
	order(t, (*n)++);
}

/* What the host would say, of what is registered already. 1: nothing is. */
static int known(const struct pl_thr *t, const struct pl_rseq *r)
{
	if (!t->rseq.addr)
		return 1;
	if (t->rseq.addr != r->addr || t->rseq.len != r->len)
		return -EINVAL;
	return t->rseq.sig != r->sig ? -EPERM : 0;
}

int pl_rseq(pl_thread_t id, uint64_t addr, uint32_t len, uint32_t flags, uint32_t sig)
{
	struct pl_rseq want = {addr, len, sig};
	struct pl_thr *t = thr_of(id);
	int64_t res;
	int r;

	if (!t)
		return -ESRCH;
	if (flags & ~(uint32_t)RSEQ_FLAG_UNREGISTER)
		return -EINVAL;
	r = known(t, &want);
	if (flags && r)
		return r == 1 ? -EINVAL : r;
	if (!flags && r != 1)
		return r ? r : -EBUSY;
	if (!flags && !range_within(addr, max(len, 1u), CELL_MIN, CELL_TOP))
		return addr % 32 ? -EINVAL : -EFAULT;
	if (flags && t->rseq_due) {
		t->rseq.addr = 0;
		t->rseq_due = false;
		return 0;
	}
	if (!flags && !t->rseq_first && addr % 32 == 0 && len >= 32) {
		rseq_put_off(t, &want);
		return 0;
	}
	call(t, 0, flags ? COP_STUB : COP_PRIV, &want, flags);
	if (!flags)
		order(t, 0);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	res = op_result(t, 0);
	if (res < 0 && res >= -4095)
		return (int)res;
	t->rseq = want;
	if (flags)
		t->rseq.addr = 0;
	return 0;
}
