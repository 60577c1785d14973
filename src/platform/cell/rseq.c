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
 * The order costs two switches, and libc has every process register, of which many live for a few
 * calls. So the first registration of a process with one thread, and a forked child's, is due only
 * after DUE_CALLS calls, a moment of its own CPU time, or with a second thread. Until then the
 * area says what it says before a registration: the CPU is not known (-1). No critical section gets
 * past its comparison then, and sched_getcpu asks the vDSO.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <linux/rseq.h>
#include <string.h>
#include "lib/checked.h"

#define DUE_CALLS 16
#define DUE_NS 500000
#define DUE_LOOKS 5		/* after 1 ms, 2 ms and so on: then it sleeps */

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
	t->rseq_looks = 0;
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

bool rseq_timeout(struct pl_thr *t, struct timespec *ts)
{
	if (!t->rseq_due || !t->rseq_calls || t->rseq_looks == DUE_LOOKS)
		return false;
	if (!t->rseq_looks)
		t->rseq_cpu = spc_cpu_raw(t->s);
	*ts = (struct timespec){0, 1000000 << t->rseq_looks};
	return true;
}

void rseq_timed_out(struct pl_thr *t)
{
	t->rseq_looks++;
	if (spc_cpu_raw(t->s) - t->rseq_cpu < DUE_NS)
		return;
	t->rseq_calls = 0;
	pl_kick(thr_id(t));
}

void rseq_not_alone(struct pl_thr *t)
{
	t->rseq_calls = 0;
}

void rseq_due_compose(struct pl_thr *t, uint32_t *n)
{
	t->rseq_looks = 0;
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
	if (!flags && !t->rseq_first && t->s->nhost == 1 && addr % 32 == 0 && len >= 32) {
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
