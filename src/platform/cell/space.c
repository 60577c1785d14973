/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces and threads: how they begin and end. */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include "host/file.h"

#define FORK_FLAGS (CLONE_PARENT | SIGCHLD)

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
		r = stub_run(parent, 1);
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

/* Undoes a space whose cell may or may not exist. */
static void abandon(struct pl_spc *s, struct pl_thr *t)
{
	if (spc_kill(s) == 0)
		while (!__atomic_load_n(&s->gone, __ATOMIC_ACQUIRE))
			(void)h_futex_wait(&s->gone, 0, NULL);
	if (t)
		thr_free(t);
	spc_free(s);
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
	r = fork_cell(parent, s, t);
	if (r) {
		abandon(s, t);
		return r;
	}
	*out_s = s;
	*out_t = t;
	return 0;
}

int pl_space_create(pl_space_t *space, pl_thread_t *thread)
{
	struct pl_spc *s;
	struct pl_thr *t;
	int r;

	mutex_lock(&pl.tmpl_lock);
	r = new_cell(pl.tmpl_thr, NULL, &s, &t);
	mutex_unlock(&pl.tmpl_lock);
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

	if (!p)
		return -ESRCH;
	r = new_cell(p, regs, &s, &t);
	if (r)
		return r;
	*space = spc_id(s);
	*out = thr_id(t);
	pl_set_regs(*out, regs);
	return 0;
}

void pl_space_kill(pl_space_t id)
{
	struct pl_spc *s = spc_of(id);

	if (s)
		(void)spc_kill(s);
}

void pl_thread_put(pl_thread_t id, bool last, bool wait_gone)
{
	struct pl_thr *t = thr_of(id);
	struct pl_spc *s;

	if (!t)
		return;
	s = t->s;
	(void)wait_gone;
	if (last) {
		abandon(s, t);
		return;
	}
	/* it stays where it is until its space ends */
}
