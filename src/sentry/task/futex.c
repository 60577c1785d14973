/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting and waking.
 *
 * The word lies in guest memory that only the waiter's own stub can read (R11). So a waiter is
 * queued first, then loads the word; a wake that meets a waiter which has not validated yet does
 * not count it but makes it load again. The wait happens, as far as anybody can tell, at the load
 * that was not disturbed. No lock is held over a load.
 */
#include "sentry/task/futex.h"
#include <errno.h>
#include <linux/futex.h>
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/futex_int.h"
#include "sentry/task/task_i.h"

struct futex_table {
	struct futex_bucket b[FUTEX_BUCKETS];
};

#define WAKE_BATCH 16

static KCACHE(table_cache, struct futex_table, 1);
static struct futex_table *table;
static struct mutex table_lock = MUTEX_INIT(RANK_OBJECT);

static struct futex_table *table_get(void)
{
	struct futex_table *n = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
	int i;

	if (likely(n != NULL))
		return n;
	mutex_lock(&table_lock);
	n = table;
	if (!n) {
		n = kc_alloc(&table_cache);
		BUG_ON(!n);	/* at the first futex call of the sandbox */
		for (i = 0; i < FUTEX_BUCKETS; i++) {
			mutex_init(&n->b[i].lock, RANK_FUTEX);
			list_init(&n->b[i].waiters);
			list_init(&n->b[i].pis);
		}
		__atomic_store_n(&table, n, __ATOMIC_RELEASE);
	}
	mutex_unlock(&table_lock);
	return n;
}

struct futex_bucket *futex_bucket(const struct futex_key *k)
{
	uint64_t h = (k->obj ^ k->off >> 2 ^ (uint64_t)k->kind << 60) * 0x9e3779b97f4a7c15ull;

	return &table_get()->b[h >> 56];
}

/* The waiter's bucket, locked; it may move while we look. */
static struct futex_bucket *waiter_lock(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = __atomic_load_n(&w->b, __ATOMIC_ACQUIRE);
		mutex_lock(&b->lock);
		if (b == __atomic_load_n(&w->b, __ATOMIC_ACQUIRE))
			return b;
		mutex_unlock(&b->lock);
	}
}

/* --- waiting -------------------------------------------------------------------------------------- */

/* Queued: 0. Else -EAGAIN (another value) or -EFAULT, not queued. */
static int queue_validated(struct task *t, struct futex_waiter *w, uint64_t uaddr, uint32_t val)
{
	struct futex_bucket *b = w->b;
	uint32_t cur;
	int r;

	mutex_lock(&b->lock);
	list_add_tail(&b->waiters, &w->link);
	mutex_unlock(&b->lock);
	for (;;) {
		r = user_load32(t, UADDR(uaddr), &cur);
		b = waiter_lock(w);
		if (!r && w->kick) {
			w->kick = false;
			mutex_unlock(&b->lock);
			if (kill_pending(t)) {	/* a storm of wakes must not hold a dying task */
				b = waiter_lock(w);
				r = -EAGAIN;
			} else {
				continue;
			}
		}
		if (!r && cur != val)
			r = -EAGAIN;
		if (r)
			list_del(&w->link);
		w->valid = !r;
		mutex_unlock(&b->lock);
		return r;
	}
}

/* Sleeps until woken: 0, -ETIMEDOUT or -ERESTARTSYS; unqueued afterwards. */
static int wait_woken(struct task *t, struct futex_waiter *w, uint64_t deadline)
{
	struct futex_bucket *b;
	int r = 0;

	for (;;) {
		b = waiter_lock(w);
		if (w->woken || r) {
			if (w->woken)
				r = 0;
			list_del(&w->link);
			mutex_unlock(&b->lock);
			return r;
		}
		mutex_unlock(&b->lock);
		r = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
	}
}

/* An interrupted wait with a deadline goes on by restart_syscall, see futex_wait_restart. */
static int64_t to_be_restarted(struct task *t, uint64_t uaddr, uint32_t val, uint32_t bitset,
			       uint64_t deadline, bool private)
{
	t->restart.kind = RESTART_FUTEX_WAIT;
	t->restart.arg[0] = uaddr;
	t->restart.arg[1] = val;
	t->restart.arg[2] = bitset;
	t->restart.arg[3] = deadline;
	t->restart.arg[4] = private;
	return -ERESTART_RESTARTBLOCK;
}

int64_t futex_wait(struct task *t, uint64_t uaddr, uint32_t val, uint32_t bitset, uint64_t deadline)
{
	struct futex_waiter w = {.t = t, .bitset = bitset};
	int r;

	if (!bitset)
		return -EINVAL;
	r = mm_futex_key(t, uaddr, false, &w.key);
	if (r)
		return r;
	w.b = futex_bucket(&w.key);
	list_init(&w.link);
	r = queue_validated(t, &w, uaddr, val);
	if (!r)
		r = wait_woken(t, &w, deadline);
	if (r != -ERESTARTSYS || deadline == WAIT_FOREVER)
		return r;
	return to_be_restarted(t, uaddr, val, bitset, deadline, false);
}

/* --- private ones: the host's queue (R2, R18) ----------------------------------------------------- */

static bool interrupted(const struct task *t)
{
	return signal_pending(t) || t->work & TW_PTRACE;
}

/* The host call; the task counts as in guest code meanwhile, so that whoever wants it kicks. */
static int64_t native(struct task *t, const uint64_t *args, bool waits, uint64_t deadline)
{
	int64_t res = 0;
	int r;

	for (;;) {
		__atomic_store_n(&t->state, TASK_GUEST, __ATOMIC_SEQ_CST);
		if (waits && interrupted(t))
			r = -EINTR;
		else
			r = pl_futex(t->pl, args, deadline, &res);
		__atomic_store_n(&t->state, TASK_KERNEL, __ATOMIC_SEQ_CST);
		if (r != -EINTR || interrupted(t))
			break;
		if (__atomic_load_n(&t->mem_wanted, __ATOMIC_ACQUIRE))
			task_serve_mem(t);
	}
	if (r == -ESRCH) {
		t->gone = true;
		return -EINTR;
	}
	return r ? -ERESTARTSYS : res;
}

int64_t futex_private(struct task *t, const uint64_t *args)
{
	return native(t, args, false, WAIT_FOREVER);
}

int64_t futex_private_wait(struct task *t, uint64_t uaddr, uint32_t val, uint32_t bitset,
			   uint64_t deadline)
{
	const uint64_t args[6] = {uaddr, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, val, 0, 0, bitset};
	int64_t r = native(t, args, true, deadline);

	if (r != -ERESTARTSYS || deadline == WAIT_FOREVER)
		return r;
	return to_be_restarted(t, uaddr, val, bitset, deadline, true);
}

int64_t futex_wait_restart(struct task *t)
{
	if (t->restart.arg[4])
		return futex_private_wait(t, t->restart.arg[0], (uint32_t)t->restart.arg[1],
					  (uint32_t)t->restart.arg[2], t->restart.arg[3]);
	return futex_wait(t, t->restart.arg[0], (uint32_t)t->restart.arg[1],
			  (uint32_t)t->restart.arg[2], t->restart.arg[3]);
}

/* --- waking ------------------------------------------------------------------------------------------ */

struct wake_list {
	struct task *t[WAKE_BATCH];	/* references */
	unsigned n;
};

static void wake_one_locked(struct futex_waiter *w, struct wake_list *l)
{
	l->t[l->n++] = task_get(w->t);
	list_del(&w->link);
	w->woken = true;
}

/* After the unlock (R16). */
static void wake_flush(struct wake_list *l)
{
	unsigned i;

	for (i = 0; i < l->n; i++) {
		task_wake(l->t[i]);
		task_put(l->t[i]);
	}
	l->n = 0;
}

int64_t futex_wake_key(const struct futex_key *k, int nr, uint32_t bitset)
{
	struct futex_bucket *b = futex_bucket(k);
	struct wake_list l = {.n = 0};
	struct futex_waiter *w, *n;
	int64_t woken = 0;
	bool full;

	do {
		full = false;
		mutex_lock(&b->lock);
		list_for_each_safe(w, n, &b->waiters, link) {
			if (!futex_key_eq(&w->key, k) || !(w->bitset & bitset))
				continue;
			if (!w->valid) {
				w->kick = true;
				continue;
			}
			if (l.n == WAKE_BATCH) {
				full = true;
				break;
			}
			wake_one_locked(w, &l);
			if (++woken >= nr)
				break;
		}
		mutex_unlock(&b->lock);
		wake_flush(&l);
	} while (full);
	return woken;
}

int64_t futex_wake(struct task *t, uint64_t uaddr, int nr, uint32_t bitset)
{
	struct futex_key k;
	int r;

	if (!bitset)
		return -EINVAL;
	r = mm_futex_key(t, uaddr, false, &k);
	return r ? r : futex_wake_key(&k, nr, bitset);
}

/* One batch under both locks: waiters woken and moved so far are counted on. */
static bool requeue_batch(struct futex_bucket *b1, struct futex_bucket *b2, const struct futex_key *k1,
			  const struct futex_key *k2, int nr_wake, int64_t total, int64_t *count,
			  struct wake_list *l)
{
	struct futex_waiter *w, *n;
	struct list moved;
	bool full = false;

	list_init(&moved);
	mutex_lock2(&b1->lock, &b2->lock);
	list_for_each_safe(w, n, &b1->waiters, link) {
		if (*count >= total)
			break;
		if (!futex_key_eq(&w->key, k1))
			continue;
		if (!w->valid) {
			w->kick = true;
			continue;
		}
		if (l->n == WAKE_BATCH) {
			full = true;
			break;
		}
		if (++*count <= nr_wake) {
			wake_one_locked(w, l);
		} else {
			list_del(&w->link);
			list_add_tail(&moved, &w->link);
			w->key = *k2;
			__atomic_store_n(&w->b, b2, __ATOMIC_RELEASE);
		}
	}
	list_splice_tail(&b2->waiters, &moved);
	mutex_unlock2(&b1->lock, &b2->lock);
	wake_flush(l);
	return full;
}

int64_t futex_requeue(struct task *t, uint64_t from, uint64_t to, int nr_wake, int nr_move,
		      const uint32_t *cmp)
{
	struct wake_list l = {.n = 0};
	struct futex_bucket *b1, *b2;
	struct futex_key k1, k2;
	int64_t count = 0;
	uint32_t cur;
	int r;

	if (nr_wake < 0 || nr_move < 0)
		return -EINVAL;
	r = mm_futex_key(t, from, false, &k1);
	if (!r)
		r = mm_futex_key(t, to, false, &k2);
	if (!r && cmp)
		r = user_load32(t, UADDR(from), &cur);
	if (r)
		return r;
	if (cmp && cur != *cmp)
		return -EAGAIN;
	b1 = futex_bucket(&k1);
	b2 = futex_bucket(&k2);
	while (requeue_batch(b1, b2, &k1, &k2, nr_wake, (int64_t)nr_wake + nr_move, &count, &l))
		;
	return count;
}

/* --- WAKE_OP -------------------------------------------------------------------------------------------- */

static int wake_op_value(uint32_t enc, uint32_t old, uint32_t *val)
{
	uint32_t op = enc >> 28 & 7, arg = (uint32_t)((int32_t)(enc << 8) >> 20);

	if (enc >> 28 & FUTEX_OP_OPARG_SHIFT)
		arg = 1u << (arg & 31);
	switch (op) {
	case FUTEX_OP_SET:
		*val = arg;
		return 0;
	case FUTEX_OP_ADD:
		*val = old + arg;
		return 0;
	case FUTEX_OP_OR:
		*val = old | arg;
		return 0;
	case FUTEX_OP_ANDN:
		*val = old & ~arg;
		return 0;
	case FUTEX_OP_XOR:
		*val = old ^ arg;
		return 0;
	default:
		return -ENOSYS;
	}
}

static int wake_op_compare(uint32_t enc, uint32_t old)
{
	int32_t a = (int32_t)old, b = (int32_t)(enc << 20) >> 20;

	switch (enc >> 24 & 15) {
	case FUTEX_OP_CMP_EQ:
		return a == b;
	case FUTEX_OP_CMP_NE:
		return a != b;
	case FUTEX_OP_CMP_LT:
		return a < b;
	case FUTEX_OP_CMP_GE:
		return a >= b;
	case FUTEX_OP_CMP_LE:
		return a <= b;
	case FUTEX_OP_CMP_GT:
		return a > b;
	default:
		return -ENOSYS;
	}
}

int64_t futex_wake_op(struct task *t, uint64_t uaddr, uint64_t uaddr2, int nr, int nr2, uint32_t op)
{
	struct futex_key k1, k2;
	uint32_t old, val, seen;
	int64_t n;
	int r = mm_futex_key(t, uaddr, false, &k1);

	if (!r)
		r = mm_futex_key(t, uaddr2, true, &k2);
	if (!r)
		r = user_load32(t, UADDR(uaddr2), &old);
	while (!r) {
		r = wake_op_value(op, old, &val);
		if (!r)
			r = user_cmpxchg32(t, UADDR(uaddr2), old, val, &seen);
		if (r || seen == old)
			break;
		old = seen;
		if (kill_pending(t))
			r = -EINTR;
	}
	if (r)
		return r;
	r = wake_op_compare(op, old);
	if (r < 0)
		return r;
	n = futex_wake_key(&k1, nr, FUTEX_BITSET_MATCH_ANY);
	if (r)
		n += futex_wake_key(&k2, nr2, FUTEX_BITSET_MATCH_ANY);
	return n;
}
