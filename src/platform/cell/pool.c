/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blank spaces. A space whose last guest thread has ended goes through the gate: its only host
 * thread (the notary has counted them) unmaps all that the guest owned, which is notified. When that
 * goes on, nothing of the old guest is left, and our own code closes the files that were lent to it.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>

int pool_take(struct pl_spc **s, struct pl_thr **t)
{
	struct pl_spc *p = NULL;
	struct pl_thr *f = NULL;

	mutex_lock(&pl.lock);
	while (pl.pool) {
		p = &pl.spc[pl.pool - 1];
		pl.pool = p->pool_next;
		pl.npool--;
		f = p->first;
		if (!__atomic_load_n(&p->dead, __ATOMIC_ACQUIRE))
			break;
		mutex_unlock(&pl.lock);
		spc_end(p);
		mutex_lock(&pl.lock);
		p = NULL;
	}
	mutex_unlock(&pl.lock);
	if (!p && pl.boot.idle)
		pl.boot.idle();		/* to empty some for the next */
	if (!p)
		return -ENOENT;
	mutex_lock(&pl.lock);
	thr_state_locked(f, THR_LIVE);
	mutex_unlock(&pl.lock);
	*s = p;
	*t = f;
	return 0;
}

/* A new blank space. */
void pool_add(struct pl_spc *s, struct pl_thr *t)
{
	mutex_lock(&pl.lock);
	thr_state_locked(t, THR_PARKED);
	s->first = t;
	s->pool_next = pl.pool;
	pl.pool = (uint32_t)(s - pl.spc) + 1;
	pl.npool++;
	mutex_unlock(&pl.lock);
}

/* Leaves one host thread, the cell's first; NULL when that is not to be had cheaply. */
static struct pl_thr *only_thread(struct pl_spc *s)
{
	struct pl_thr *leader = NULL;
	uint32_t i, next;

	for (i = s->threads; i; i = pl.thr[i - 1].next)
		if (pl.thr[i - 1].htid == s->pid)
			leader = &pl.thr[i - 1];
	if (!leader || s->nhost > 5)
		return NULL;
	for (i = s->threads; i; i = next) {
		struct pl_thr *t = &pl.thr[i - 1];

		next = t->next;
		if (t == leader)
			continue;
		if (t->state == THR_PARKED)
			s->nparked--;
		if (thr_exit_host(t))
			return NULL;
		thr_free(t);
	}
	return s->nhost == 1 ? leader : NULL;
}

/*
 * I5: nothing that one guest process left in shared memory is seen by the next. It could write
 * all of its contexts, given out or not. The stub clears the page of its own stack itself, perhaps
 * later than this; the frame above it is ours from now on.
 */
static void wipe(struct pl_spc *s, struct pl_thr *t)
{
	size_t at = (size_t)((char *)t->c - s->ctx_map);
	char *c = (char *)t->c;

	BUG_ON(ctx_clear(s, 0, at));
	BUG_ON(ctx_clear(s, at + CTX_ALTSTACK, at + CTX_ALTSTACK + 0x1000));
	BUG_ON(ctx_clear(s, at + CTX_BOUNCE, CELL_CTX_SPAN));
	memset(c + 0x3000, 0, 0x1000);
	memset(&t->c->kind, 0, offsetof(struct cell_ctx, rp_seq) - offsetof(struct cell_ctx, kind));
	memset(&t->c->s_wait, 0, CTX_ALTSTACK - offsetof(struct cell_ctx, s_wait));
}

static bool run_gate(struct pl_thr *t)
{
	struct pl_order gate = {.ip = IP_GATE, .nr = SYS_munmap, .nargs = 3, .hfd = -1,
				.a = {CELL_MIN, CELL_TOP - CELL_MIN, t->c_addr}};
	uint32_t n = 0;

	if (t->rseq_orders) {
		gate.nargs = 6;
		gate.a[3] = t->rseq_last.addr;
		gate.a[4] = t->rseq_last.len;
		gate.a[5] = t->rseq_last.sig;
	}
	rseq_end_compose(t, &n);
	rseq_ended(t);
	order_add(t, &gate);
	set_op(t, n, COP_GATE, SYS_munmap, 0, 0, 0);
	memcpy(op_slot(t, n++)->a, gate.a, sizeof(gate.a));
	(void)puts_compose(t);
	stub_post(t, CACT_WAIT, n);
	if (orders_await(t, 1))
		return false;
	orders_end(t);
	return true;
}

bool pool_recycle(struct pl_spc *s, bool wait_gone)
{
	struct pl_thr *t;

	if (__atomic_load_n(&s->dead, __ATOMIC_ACQUIRE) || pl.npool >= PL_POOL_MAX || !s->nhost ||
	    s->own_vdso)
		return false;
	t = only_thread(s);
	if (!t || (t->strict && !pl.boot.hardened) || t->rseq_orders > 1 || !run_gate(t))
		return false;
	/* behind the gate there is no guest code and no other thread: this memory is quiet */
	wipe(s, t);
	mem_close(s);
	t->rp = t->ev = 0;
	if (wait_gone && stub_run(t, 0) < 0)
		return false;
	mutex_lock(&pl.lock);
	s->gen++;
	memset(s->lent_map, 0, sizeof(s->lent_map));
	memset(s->hits, 0, sizeof(s->hits));
	s->cpu_base = spc_cpu_raw(s);
	s->cpu_last = 0;
	s->nparked = 0;
	s->first = t;
	affinity_reset_locked(t);
	thr_renew_locked(t);
	t->cpu_rebase = true;
	s->pool_next = pl.pool;
	pl.pool = (uint32_t)(s - pl.spc) + 1;
	pl.npool++;
	mutex_unlock(&pl.lock);
	return true;
}
