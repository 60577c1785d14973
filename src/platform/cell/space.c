/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces and threads: how they begin and end. */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include "host/file.h"

#define FORK_FLAGS (CLONE_PARENT | SIGCHLD)

static int clone_host(struct pl_thr *p, struct pl_thr *t);

static uint32_t new_nonce(void)
{
	uint32_t v = 0;

	while (!v)
		if (h_getrandom(&v, sizeof(v), 0) != sizeof(v))
			v = 0;
	return v;
}

/* The order of a fork. The child's stack pointer must lie in its context, below its frame. */
static void fork_order(struct pl_thr *parent, struct pl_thr *child, uint32_t nonce)
{
	uint64_t sp = child->c_addr + (child->frame ? (child->frame - 8u) & ~63u : 0x3000u);
	struct pl_order o = {.ip = IP_FORK, .nr = SYS_clone, .nargs = 6, .hfd = -1};
	struct cell_op *op = op_slot(parent, 0);

	o.a[0] = FORK_FLAGS;
	o.a[1] = sp - 64;
	o.a[5] = (uint64_t)nonce << 32 | CELL_FD_CTX;
	op->kind = COP_FORK;
	op->nr = SYS_clone;
	memcpy(op->a, o.a, sizeof(o.a));
	order_add(parent, &o);
}

/* Waits for the child to show itself: only then the fork is a fact. */
static int await_intro(struct pl_thr *parent, struct pl_spc *s)
{
	struct timespec tick = {1, 0};
	unsigned ticks = 0;
	uint32_t v;

	wait_word(&s->intro);
	while (!(v = __atomic_load_n(&s->intro, __ATOMIC_ACQUIRE))) {
		if (h_futex_wait(&s->intro, 0, &tick) != -ETIMEDOUT)
			continue;
		if (++ticks >= PL_STOP_TICKS) {
			(void)spc_kill(parent->s);
			break;
		}
	}
	mutex_lock(&pl.lock);
	if (s->nonce) {		/* never came: from now on it is killed if it does */
		s->nonce = 0;
		v = 2;
	}
	mutex_unlock(&pl.lock);
	while (!v)		/* it came just now */
		v = __atomic_load_n(&s->intro, __ATOMIC_ACQUIRE);
	return v == 1 ? 0 : -EAGAIN;
}

static int fork_cell(struct pl_thr *parent, struct pl_spc *s, struct pl_thr *child)
{
	uint32_t nonce = new_nonce();
	int64_t err = -EAGAIN;
	int r = 0;

	for (unsigned try = 0; try < 16; try++) {
		mutex_lock(&pl.lock);
		s->first = child;
		s->intro = 0;
		s->nonce = nonce;
		mutex_unlock(&pl.lock);
		fork_order(parent, child, nonce);
		parent->patient = true;
		parent->blocked_last = true;	/* its CPU is for the child */
		r = stub_run(parent, 1);
		parent->patient = false;
		if (r == 1)
			return await_intro(parent, s);
		if (r == 0)
			err = op_result(parent, 0);
		mutex_lock(&pl.lock);
		bool came = !s->nonce;

		s->nonce = 0;
		mutex_unlock(&pl.lock);
		if (came) {	/* it lied: the child is real, its parent is not to be trusted */
			(void)spc_kill(parent->s);
			return -ESRCH;
		}
		if (r < 0)
			return r;
		if (err != -EAGAIN && err != -ERESTARTNOINTR_)
			break;
	}
	return err == -ENOMEM ? -ENOMEM : -EAGAIN;
}

/* Ends a space that nobody will use again; its memory is gone when this returns. */
void spc_end(struct pl_spc *s)
{
	(void)spc_kill(s);
	while (__atomic_load_n(&s->intro, __ATOMIC_ACQUIRE) == 1 &&
	       !__atomic_load_n(&s->gone, __ATOMIC_ACQUIRE))
		(void)h_futex_wait(&s->gone, 0, NULL);
	while (s->threads)
		thr_free(&pl.thr[s->threads - 1]);
	spc_free(s);
}

/*
 * A thread that never had an rseq area, to fork in p's stead. A child inherits its maker's, and
 * the kernel would move a child that is not introduced yet from our code to where the area says.
 */
static int agent_take(struct pl_thr *p, struct pl_thr **out)
{
	struct pl_thr *t = NULL;
	uint32_t i;
	int r;

	if (p->nput && stub_run(p, 0) < 0)
		return -ESRCH;
	mutex_lock(&pl.lock);
	for (i = p->s->nparked ? p->s->threads : 0; i && !t; i = pl.thr[i - 1].next)
		if (pl.thr[i - 1].state == THR_PARKED && !pl.thr[i - 1].rseq_orders)
			t = &pl.thr[i - 1];
	if (t) {
		thr_state_locked(t, THR_LIVE);
		p->s->nparked--;
	}
	mutex_unlock(&pl.lock);
	if (!t) {
		r = thr_new(p->s, SLOT_ANY, &t);
		if (r)
			return r;
		t->strict = p->strict;
		frame_copy(p, t);
		t->regs = p->regs;
		r = clone_host(p, t);
		if (r) {
			thr_free(t);
			return r;
		}
		t->cpu_rebase = true;
	}
	t->killing = 1;		/* no process waits for it */
	*out = t;
	return 0;
}

static void agent_give(struct pl_thr *t)
{
	mutex_lock(&pl.lock);
	t->killing = 0;
	t->full = true;
	thr_state_locked(t, THR_PARKED);
	t->gen++;
	t->s->nparked++;
	mutex_unlock(&pl.lock);
}

static int fork_by(struct pl_thr *parent, struct pl_spc *s, struct pl_thr *child)
{
	struct pl_thr *agent;
	int r;

	if (!parent->rseq_orders)
		return fork_cell(parent, s, child);
	r = agent_take(parent, &agent);
	if (r)
		return r;
	child->strict = agent->strict;
	/* the agent's bases are those of whoever had it last, not the parent's */
	child->fs_dirty = child->gs_dirty = true;
	r = fork_cell(agent, s, child);
	agent_give(agent);
	return r;
}

static int new_cell(struct pl_thr *parent, const struct l_regs *regs, struct pl_spc **out_s,
		    struct pl_thr **out_t)
{
	struct pl_thr *t = NULL;
	struct pl_spc *s;
	int r;

	r = spc_new(&s);
	if (r)
		return r;
	r = thr_new(s, parent->slot, &t);
	if (r) {
		spc_free(s);
		return r;
	}
	if (regs) {
		frame_copy(parent, t);
		t->regs = parent->regs;	/* the child's bases are its parent's */
	}
	t->strict = parent->strict;	/* filters are inherited */
	s->mono_ns = parent->s->mono_ns;
	s->boot_ns = parent->s->boot_ns;
	s->own_vdso = parent->s->own_vdso;
	r = fork_by(parent, s, t);
	if (r) {
		spc_end(s);
		return r;
	}
	*out_s = s;
	*out_t = t;
	return 0;
}

void pool_fill(void *arg)
{
	struct pl_spc *s;
	struct pl_thr *t;
	int r = 0;

	(void)arg;
	for (unsigned i = 0; i < pl.boot.pool_blank && !r; i++) {
		mutex_lock(&pl.tmpl_lock);
		r = new_cell(pl.tmpl_thr, NULL, &s, &t);
		if (!r)
			pool_add(s, t);
		mutex_unlock(&pl.tmpl_lock);
	}
}

int pl_space_create(pl_space_t *space, pl_thread_t *thread)
{
	struct pl_spc *s;
	struct pl_thr *t;
	int r;

	r = pool_take(&s, &t);
	if (r) {
		mutex_lock(&pl.tmpl_lock);
		r = pool_take(&s, &t);		/* pool_fill's, just now */
		if (r)
			r = new_cell(pl.tmpl_thr, NULL, &s, &t);
		mutex_unlock(&pl.tmpl_lock);
	}
	if (r)
		return r;
	t->full = true;
	*space = spc_id(s);
	*thread = thr_id(t);
	return 0;
}

int pl_space_fork(pl_thread_t parent, const struct l_regs *regs, pl_space_t *space,
		  pl_thread_t *out)
{
	struct pl_thr *p = thr_of(parent), *t;
	struct pl_spc *s;
	int r;

	if (!p || pl_full_state(parent))
		return -ESRCH;
	r = new_cell(p, regs, &s, &t);
	if (r)
		return r;
	*space = spc_id(s);
	*out = thr_id(t);
	pl_set_regs(*out, regs);
	rseq_inherit(t, &p->rseq);
	return 0;
}

void pl_space_kill(pl_space_t id)
{
	struct pl_spc *s = spc_of(id);

	if (s)
		(void)spc_kill(s);
}


static void thr_begin(struct pl_thr *p, struct pl_thr *t, const struct l_regs *regs)
{
	frame_copy(p, t);
	t->regs = p->regs;
	pl_set_regs(thr_id(t), regs);
	t->fs_dirty = t->gs_dirty = true;
}

/* A strict thread stays one: it is not for those who need not be. */
static bool is_fit(const struct pl_thr *t, const struct pl_thr *p)
{
	return t->state == THR_PARKED && (!t->strict || p->strict);
}

static struct pl_thr *take_parked(struct pl_thr *p)
{
	struct pl_spc *s = p->s;
	struct pl_thr *t = NULL;
	uint32_t i;

	mutex_lock(&pl.lock);
	for (i = s->nparked ? s->threads : 0; i; i = pl.thr[i - 1].next) {
		if (is_fit(&pl.thr[i - 1], p)) {
			t = &pl.thr[i - 1];
			thr_state_locked(t, THR_LIVE);
			s->nparked--;
			break;
		}
	}
	mutex_unlock(&pl.lock);
	return t;
}

static int clone_host(struct pl_thr *p, struct pl_thr *t)
{
	uint64_t sp = t->c_addr + (t->frame ? (t->frame - 8u) & ~63u : 0x3000u);
	struct pl_order o = {.ip = IP_CLONE, .nr = SYS_clone, .nargs = 5, .hfd = -1};
	struct cell_op *op = op_slot(p, 0);
	int64_t tid;
	int r;

	o.a[0] = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	o.a[1] = sp - 64;
	op->kind = COP_CLONE;
	op->nr = SYS_clone;
	memcpy(op->a, o.a, sizeof(o.a));
	for (unsigned try = 0; try < 16; try++) {
		order_add(p, &o);
		r = stub_run(p, 1);
		if (r < 0)
			return r;
		tid = op_result(p, 0);
		if (r == 1 || (tid != -EAGAIN && tid != -ERESTARTNOINTR_))
			break;
	}
	if (r != 1)
		return -EAGAIN;
	/* the number is the parent's claim: it must be a thread of this cell, and nobody else's */
	r = -ESRCH;
	mutex_lock(&pl.lock);
	if (p->s->pid && tid > 0 && tid <= INT32_MAX && !tid_find_locked((int)tid) &&
	    h_tgkill(p->s->pid, (int)tid, 0) == 0) {
		tid_add_locked(t, (int)tid);
		r = 0;
	}
	mutex_unlock(&pl.lock);
	if (r)
		(void)spc_kill(p->s);
	return r;
}

int pl_thread_create(pl_thread_t parent, const struct l_regs *regs, pl_thread_t *out)
{
	struct pl_thr *p = thr_of(parent), *t;
	int r;

	if (!p || pl_full_state(parent))
		return -ESRCH;
	rseq_not_alone(p);
	t = take_parked(p);
	if (t) {
		thr_begin(p, t, regs);
		*out = thr_id(t);
		return 0;
	}
	r = thr_new(p->s, SLOT_ANY, &t);
	if (r)
		return r;
	t->strict = p->strict;
	thr_begin(p, t, regs);
	r = clone_host(p, t);
	if (r) {
		thr_free(t);
		return r;
	}
	*out = thr_id(t);
	return 0;
}

/* The thread stays in its stub, waiting for a reply that makes it another guest thread. */
static void park(struct pl_thr *t)
{
	mutex_lock(&pl.lock);
	thr_state_locked(t, THR_PARKED);
	t->gen++;
	t->s->nparked++;
	affinity_reset_locked(t);
	t->kicked = t->killing = 0;
	t->running = 0;
	t->nqueue = t->nput = t->put_used = t->pre_len = 0;
	t->put_window = t->put_failed = false;
	t->op_failed.err = 0;
	t->started = false;
	if (t->patched)		/* its frame is long gone: the next one is made afresh */
		t->frame = t->fp_off = 0;
	t->patched = t->stepping = t->hidden = false;
	t->full = true;
	t->fast = false;
	told_forget(t);
	WRITE_ONCE(t->c->fast, 0);
	WRITE_ONCE(t->c->sig_default, 0);
	WRITE_ONCE(t->c->sig_set, 0);
	t->cpu_ns = 0;
	t->cpu_rebase = true;
	mutex_unlock(&pl.lock);
}

int thr_exit_host(struct pl_thr *t)
{
	struct pl_order o = {.ip = IP_PRIV, .nr = SYS_exit, .nargs = 1, .hfd = -1};

	set_op(t, 0, COP_PRIV, SYS_exit, 0, 0, 0);
	order_add(t, &o);
	(void)puts_compose(t);
	stub_post(t, CACT_WAIT, 1);
	return orders_await(t, 1);
}

static bool is_leader(const struct pl_thr *t)
{
	return t->s->pid && t->htid == t->s->pid;
}

void pl_thread_put(pl_thread_t id, bool last, bool wait_gone)
{
	struct pl_thr *t = thr_of(id);
	struct pl_spc *s;
	uint32_t live;

	if (!t)
		return;
	s = t->s;
	if (!last && t->rseq.addr)
		rseq_end(t);
	if (t->nput && !last)
		(void)!stub_run(t, 0);
	if (last) {
		mutex_lock(&pl.lock);
		t->gen++;		/* the id is used up */
		thr_state_locked(t, THR_PARKED);
		t->nput = 0;
		s->nparked++;
		mutex_unlock(&pl.lock);
		/* the others' owners are in here too, on their way out */
		__atomic_store_n(&s->live_waited, 1, __ATOMIC_SEQ_CST);
		while ((live = __atomic_load_n(&s->nlive, __ATOMIC_SEQ_CST)))
			(void)h_futex_wait(&s->nlive, live, NULL);
		__atomic_store_n(&s->live_waited, 0, __ATOMIC_RELAXED);
		wait_work(1);
		if (!pool_recycle(s, wait_gone))
			spc_end(s);
		wait_work(-1);
		return;
	}
	if (__atomic_load_n(&s->dead, __ATOMIC_ACQUIRE)) {
		thr_free(t);
		return;
	}
	if ((s->nparked < PL_PARKED_MAX && (!t->strict || pl.boot.hardened)) || is_leader(t)) {
		park(t);
		return;
	}
	if (thr_exit_host(t))
		(void)spc_kill(s);	/* its context is given out again only when it is gone */
	thr_free(t);
}
