/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notary: one thread that answers every call the filter asks about. A call is let through
 * only if exactly this host thread was ordered to make exactly this call, and once. It knows
 * nothing but the orders and never waits for anything but the kernel.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "host/file.h"

void order_add(struct pl_thr *t, const struct pl_order *o)
{
	mutex_lock(&pl.lock);
	BUG_ON(t->norders >= PL_ORDERS_MAX);
	t->orders[t->norders++] = *o;
	mutex_unlock(&pl.lock);
}

void orders_end(struct pl_thr *t)
{
	uint32_t busy;

	mutex_lock(&pl.lock);
	t->norders = 0;
	t->order_next = 0;
	__atomic_store_n(&t->used, 0, __ATOMIC_RELAXED);
	mutex_unlock(&pl.lock);
	while ((busy = __atomic_load_n(&t->busy, __ATOMIC_ACQUIRE)))
		if (busy == 2 || __atomic_compare_exchange_n(&t->busy, &busy, 2, false,
							     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			(void)h_futex_wait(&t->busy, 2, NULL);
}

static uint16_t lent_try(struct pl_spc *s)
{
	uint16_t n = 0;

	mutex_lock(&pl.lock);
	for (unsigned w = 0; w < LENT_WORDS && !n; w++) {
		if (s->lent_map[w] == ~0ull)
			continue;
		uint32_t b = (uint32_t)__builtin_ctzll(~s->lent_map[w]);

		s->lent_map[w] |= 1ull << b;
		n = (uint16_t)(CELL_FD_LENT + w * 64 + b);
	}
	mutex_unlock(&pl.lock);
	return n;
}

/* A thread holds one number at most, and not for ever: the rest wait for it. */
uint16_t lent_get(struct pl_spc *s)
{
	struct timespec nap = {0, 5000000};
	uint32_t never = 0;
	uint16_t n;

	for (unsigned i = 0; !(n = lent_try(s)) && i < 400; i++)
		(void)h_futex_wait(&never, 0, &nap);
	return n;
}

void lent_put(struct pl_spc *s, uint16_t n)
{
	unsigned b = (unsigned)n - CELL_FD_LENT;

	mutex_lock(&pl.lock);
	s->lent_map[b / 64] &= ~(1ull << (b % 64));
	mutex_unlock(&pl.lock);
}

static bool same_call(const struct pl_order *o, const struct seccomp_data *d)
{
	if (d->instruction_pointer != o->ip || (uint32_t)d->nr != o->nr)
		return false;
	for (unsigned i = 0; i < o->nargs; i++)
		if (d->args[i] != o->a[i])
			return false;
	return true;
}

static int add_fd(uint64_t id, int hfd, uint32_t to)
{
	struct seccomp_notif_addfd a = {.id = id, .flags = SECCOMP_ADDFD_FLAG_SETFD,
					.srcfd = (uint32_t)hfd, .newfd = to};
	int r;

	do {
		r = h_ioctl(pl.listener, SECCOMP_IOCTL_NOTIF_ADDFD, H_ARG(&a));
	} while (r == -EINTR);
	return r < 0 ? r : 0;
}

/* The first call of a forked child: its nonce says which fork it is (I2: the pid is news). */
static int introduce(const struct seccomp_notif *n)
{
	const __u64 *a = n->data.args;
	uint32_t nonce = (uint32_t)(a[4] >> 32);
	struct pl_spc *s = NULL;
	int r;

	if (a[0] != CELL_CTX_BASE || a[1] != CELL_CTX_SPAN || a[2] != (PROT_READ | PROT_WRITE) ||
	    a[3] != (MAP_SHARED | MAP_FIXED) || (uint32_t)a[4] != CELL_FD_CTX || a[5] != 0)
		return -EPERM;
	mutex_lock(&pl.lock);
	for (uint32_t i = 0; i < pl.spc_used && nonce; i++)
		if (pl.spc[i].used && pl.spc[i].nonce == nonce)
			s = &pl.spc[i];
	if (s) {
		s->nonce = 0;
		s->pid = (int)n->pid;
		s->nhost = 1;
		tid_add_locked(s->first, (int)n->pid);
		s->ctx_kept = pl.nkept < PL_KEPT_MAX;
		pl.nkept += s->ctx_kept;
	}
	mutex_unlock(&pl.lock);
	if (!s)
		return -EPERM;
	/* the fork's maker waits for `intro`, so s and its descriptor cannot go away */
	r = add_fd(n->id, s->ctx_hfd, CELL_FD_CTX);
	if (!r && !s->ctx_kept) {
		h_close(s->ctx_hfd);
		s->ctx_hfd = -1;
	}
	__atomic_store_n(&s->intro, r ? 2 : 1, __ATOMIC_RELEASE);
	(void)h_futex_wake(&s->intro, 1);
	return r;
}

/* What an approved call makes true. The lock is held; the thread is in the kernel until SEND. */
static void note_fact(struct pl_thr *t, const struct pl_order *o)
{
	if (o->ip == IP_CLONE)
		t->s->nhost++;
	if (o->ip == IP_PRIV && o->nr == SYS_exit)
		t->s->nhost--;
	if (o->nr == SYS_seccomp)
		t->strict = true;
	if (o->nr == SYS_rseq)
		rseq_ordered_locked(t, o);
	if (o->ip == IP_GATE) {
		t->c->rp_seq = 0;
		t->c->ev_seq = 0;
	}
	__atomic_store_n(&t->used, t->order_next, __ATOMIC_RELEASE);
	if (o->ip == IP_GATE || o->nr == SYS_exit)
		(void)h_futex_wake(&t->used, 1);
}

int orders_await(struct pl_thr *t, uint32_t n)
{
	struct timespec tick = {1, 0};
	unsigned ticks = 0;
	uint32_t v;

	while ((v = __atomic_load_n(&t->used, __ATOMIC_ACQUIRE)) < n) {
		if (__atomic_load_n(&t->s->dead, __ATOMIC_ACQUIRE))
			return -ESRCH;
		if (h_futex_wait(&t->used, v, &tick) == -ETIMEDOUT && ++ticks >= PL_STOP_TICKS)
			return -ESRCH;
	}
	return 0;
}

static int judge(const struct seccomp_notif *n)
{
	struct pl_order o = {.hfd = -1};
	struct pl_thr *t;
	int r = -EPERM;

	if (__atomic_load_n(&pl.stopping, __ATOMIC_SEQ_CST))
		return r;
	if (n->data.instruction_pointer == IP_FORK1)
		return introduce(n);
	mutex_lock(&pl.lock);
	t = tid_find_locked((int)n->pid);
	if (t && t->order_next < t->norders && same_call(&t->orders[t->order_next], &n->data)) {
		o = t->orders[t->order_next++];
		r = 0;
		if (o.lent)
			__atomic_store_n(&t->busy, 1, __ATOMIC_RELAXED);
		note_fact(t, &o);
	} else if (t && t->order_next && same_call(&t->orders[t->order_next - 1], &n->data)) {
		/* a restarted call (R3): it was not carried out, its maker orders anew */
		r = -EAGAIN;
	}
	mutex_unlock(&pl.lock);
	if (!r && o.lent) {
		r = add_fd(n->id, o.hfd, o.lent);
		if (__atomic_exchange_n(&t->busy, 0, __ATOMIC_ACQ_REL) == 2)
			(void)h_futex_wake(&t->busy, 1);
	}
	return r;
}

/* No process has the filter any more, and none ever will. */
static bool all_gone(void)
{
	struct pollfd p = {.fd = pl.listener, .events = POLLIN};

	return h_poll(&p, 1, 0) == 1 && (p.revents & POLLHUP);
}

void notary_main(void *arg)
{
	union {
		struct seccomp_notif n;
		char room[256];
	} u;
	struct seccomp_notif_resp resp;
	int r;

	(void)arg;
	/* also while we stop: a child that nobody has heard of yet can only be told to end */
	for (;;) {
		memset(&u, 0, sizeof(u));
		r = h_ioctl(pl.listener, SECCOMP_IOCTL_NOTIF_RECV, H_ARG(&u.n));
		if (r == -EINTR || (r == -ENOENT && !all_gone()))
			continue;
		if (r == -ENOENT)
			break;
		if (r < 0) {
			log_error("notary: receive failed: %d", r);
			break;
		}
		memset(&resp, 0, sizeof(resp));
		resp.id = u.n.id;
		r = judge(&u.n);
		pl_debug("notary: pid %u nr %d ip %llx -> %d", u.n.pid, u.n.data.nr,
			 (unsigned long long)u.n.data.instruction_pointer, r);
		if (r)
			resp.error = r;
		else
			resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		(void)!h_ioctl(pl.listener, SECCOMP_IOCTL_NOTIF_SEND, H_ARG(&resp));
	}
}
