/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flights (I8): between the decision "do this memory call" and the host call itself other threads
 * run. A flight marks the range meanwhile: nobody else is given it, a conflicting call waits, and
 * a fork of the space is made only when nothing flies, so that the layout and the host's never
 * part. A queued call is done with its owner's next event (a claim; a lie hurts the liar's own
 * process); a waiter kicks the owner, which brings that event.
 */
#include <errno.h>
#include <sys/mman.h>
#include "sentry/mm/mm_int.h"
#include "sentry/mm/uaccess.h"

static KCACHE(flight_cache, struct flight, 0);

static void flight_free_locked(struct mm *mm, struct flight *f)
{
	list_del(&f->link);
	if (f->queued)
		f->owner->mm_flights--;
}

static void flight_release(struct flight *f)
{
	task_put(f->owner);
	kc_free(&flight_cache, f);
}

void mm_flights_done(struct task *t)
{
	struct mm *mm = t->mm;
	struct flight *f, *n;
	struct list done;

	if (likely(!t->mm_flights) || !mm)
		return;
	list_init(&done);
	mutex_lock(&mm->lock);
	list_for_each_safe(f, n, &mm->in_flight, link) {
		if (f->owner != t || !f->queued)
			continue;
		flight_free_locked(mm, f);
		list_add_tail(&done, &f->link);
	}
	mutex_unlock(&mm->lock);
	if (wq_active(&mm->flight_wq))
		wq_wake_all(&mm->flight_wq);
	list_for_each_safe(f, n, &done, link)
		flight_release(f);
}

/* Somebody else's flight over the range; a queued one's owner is kicked. */
static bool occupied_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end)
{
	struct flight *f;
	bool hit = false;

	list_for_each(f, &mm->in_flight, link) {
		if (f->owner == t || f->start >= end || start >= f->end)
			continue;
		hit = true;
		if (f->queued)
			pl_kick(f->owner->pl);
	}
	return hit;
}

uint64_t flight_over_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end)
{
	struct flight *f;

	list_for_each(f, &mm->in_flight, link)
		if (f->owner != t && f->start < end && start < f->end)
			return f->start;
	return 0;
}

static bool fork_first_locked(struct mm *mm, struct task *t)
{
	return mm->forks_waiting && mm->forking != t;
}

bool flight_must_wait_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end)
{
	return fork_first_locked(mm, t) || flight_over_locked(mm, t, start, end);
}

int mm_wait_range_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end)
{
	struct waiter w;
	int r = 0;

	if (!flight_must_wait_locked(mm, t, start, end))
		return 0;
	wait_begin(&w, &mm->flight_wq, t);
	while (!r && (occupied_locked(mm, t, start, end) || fork_first_locked(mm, t))) {
		mutex_unlock(&mm->lock);
		r = wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
		mutex_lock(&mm->lock);
	}
	wait_end(&w);
	return r ? -EINTR : 0;
}

int flight_begin_locked(struct mm *mm, struct task *t, uint64_t start, uint64_t end,
			enum flight_kind kind, struct flight **out)
{
	struct flight *f;
	int r = mm_wait_range_locked(mm, t, start, end);

	if (r)
		return r;
	f = kc_alloc(&flight_cache);
	if (!f)
		return -ENOMEM;
	f->owner = task_get(t);
	f->start = start, f->end = end, f->kind = kind;
	list_add_tail(&mm->in_flight, &f->link);
	*out = f;
	return 0;
}

void flight_end(struct mm *mm, struct flight *f)
{
	mutex_lock(&mm->lock);
	flight_free_locked(mm, f);
	mutex_unlock(&mm->lock);
	if (wq_active(&mm->flight_wq))
		wq_wake_all(&mm->flight_wq);
	flight_release(f);
}

/* --- batches ------------------------------------------------------------------------------------ */

#define BATCH_FLIGHTS (2 * PL_OPS_MAX)

struct mm_batch {
	struct pl_op op[PL_OPS_MAX];
	struct flight *fl[BATCH_FLIGHTS];
	unsigned n, nfl;
	unsigned file;			/* the file map that may still grow, index + 1 */
	int err;			/* the first failure */
};

int mm_batch_begin(struct task *t)
{
	t->mm_batch = kmalloc(sizeof(struct mm_batch));
	return t->mm_batch ? 0 : -ENOMEM;
}

int mm_batch_flush(struct task *t)
{
	struct mm_batch *b = t->mm_batch;
	unsigned i;
	int r = 0;

	if (b->n && !b->err)
		r = pl_ops(t->pl, b->op, b->n);
	for (i = 0; i < b->nfl; i++)
		flight_end(t->mm, b->fl[i]);
	b->n = b->nfl = b->file = 0;
	if (!b->err)
		b->err = r;
	return b->err;
}

int mm_batch_send(struct task *t)
{
	struct mm_batch *b = t->mm_batch;
	unsigned i;
	int r = b->err;

	mutex_lock(&t->mm->lock);
	for (i = 0; i < b->nfl; i++)
		b->fl[i]->queued = true;
	t->mm_flights += b->nfl;
	mutex_unlock(&t->mm->lock);
	for (i = 0; i < b->n && !r; i++)
		r = pl_op_queue(t->pl, &b->op[i]);
	kfree(steal(t->mm_batch));
	return r;
}

/* The next segment of an image that lies behind the one before, in memory and in the file: one map
 * of both, and its own protection (0: it has the same). */
static bool grows_file(struct mm_batch *b, const struct pl_op *op, struct pl_op *prot)
{
	struct pl_op *f = b->file ? &b->op[b->file - 1] : NULL;

	if (!f || op->kind != PL_OP_MAP_FILE || op->hfd != f->hfd || op->flags != f->flags ||
	    !(f->flags & MAP_PRIVATE) || op->addr != f->addr + f->len || op->off != f->off + f->len)
		return false;
	f->len += op->len;
	*prot = (struct pl_op){.kind = PL_OP_PROTECT, .addr = op->addr, .len = op->len, .prot = op->prot};
	if (op->prot == f->prot)
		prot->len = 0;
	return true;
}

static int batch_op(struct task *t, const struct pl_op *op)
{
	struct mm_batch *b = t->mm_batch;
	struct pl_op prot;
	int r = b->n == PL_OPS_MAX || b->nfl == BATCH_FLIGHTS ? mm_batch_flush(t) : b->err;

	if (r)
		return r;
	if (grows_file(b, op, &prot)) {
		if (prot.len)
			b->op[b->n++] = prot;
		return 0;
	}
	b->op[b->n++] = *op;
	b->file = op->kind == PL_OP_MAP_FILE ? b->n : 0;
	return 0;
}

static int batch_add(struct task *t, struct mm *mm, struct flight *f, const struct pl_op *op)
{
	struct mm_batch *b = t->mm_batch;
	int r = batch_op(t, op);

	if (r)
		flight_end(mm, f);
	else
		b->fl[b->nfl++] = f;
	return r;
}

int mm_batch_zero(struct task *t, uint64_t from, uint64_t to)
{
	const struct pl_op op = {.kind = PL_OP_ZERO, .addr = from, .len = to - from};

	return batch_op(t, &op);
}

int mm_batch_write(struct task *t, uint64_t to, const void *from, size_t n)
{
	const struct pl_op op = {.kind = PL_OP_WRITE, .addr = to, .len = n};
	size_t cap;
	char *room = pl_bounce(t->pl, &cap);

	if (n > cap)
		return copy_out(t, UADDR(to), from, n);
	__builtin_memcpy(room, from, n);
	return batch_op(t, &op);
}

/* With more threads than this a file's map is not left to ride on a reply: the number that the
 * cell is lent for it comes back only with the thread's next event (R19). */
#define QUEUE_THREADS 24
#define LENT_TRIES 5000

static bool may_queue(struct mm *mm, const struct pl_op *op)
{
	return op->kind != PL_OP_MAP_FILE ||
	       __atomic_load_n(&mm->pl_users, __ATOMIC_RELAXED) <= QUEUE_THREADS;
}

/* Now; when all numbers are lent it comes to this thread's turn soon. */
static int run_now(struct task *t, const struct pl_op *op)
{
	int r = pl_op(t->pl, op), tries;

	for (tries = 0; r == -EAGAIN && tries < LENT_TRIES && !kill_pending(t); tries++) {
		if (wait_sleep(t, WAIT_KILLABLE, now_mono() + 1000000) == -ERESTARTSYS)
			break;
		r = pl_op(t->pl, op);
	}
	return r;
}

int flight_run(struct mm *mm, struct task *t, struct flight *f, const struct pl_op *op, bool queue)
{
	int r;

	if (t->mm_batch)
		return batch_add(t, mm, f, op);
	if (queue && may_queue(mm, op)) {
		mutex_lock(&mm->lock);
		f->queued = true;
		t->mm_flights++;
		mutex_unlock(&mm->lock);
		if (!pl_op_queue(t->pl, op))
			return 0;
		mutex_lock(&mm->lock);
		f->queued = false;
		t->mm_flights--;
		mutex_unlock(&mm->lock);
	}
	lock_assert_none_held();
	r = run_now(t, op);
	flight_end(mm, f);
	return r;
}

/* --- fork ------------------------------------------------------------------------------------- */

/* Waits until the fork may start: no other fork, nothing in flight; mm->lock held. */
int flight_fork_begin_locked(struct mm *mm, struct task *t)
{
	struct waiter w;
	int r = 0;

	mm->forks_waiting++;
	wait_begin(&w, &mm->flight_wq, t);
	while (mm->forking || !list_empty(&mm->in_flight)) {
		(void)occupied_locked(mm, t, 0, UINT64_MAX);
		mutex_unlock(&mm->lock);
		r = wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
		mutex_lock(&mm->lock);
		if (r)
			break;
	}
	wait_end(&w);
	if (r) {
		mm->forks_waiting--;
		return -EINTR;
	}
	mm->forking = t;
	return 0;
}

void flight_fork_end(struct mm *mm)
{
	mutex_lock(&mm->lock);
	mm->forks_waiting--;
	mm->forking = NULL;
	mutex_unlock(&mm->lock);
	if (wq_active(&mm->flight_wq))
		wq_wake_all(&mm->flight_wq);
}

/* What the task's failed queued call was; consumes the flight records of t. */
bool flight_find_failed(struct mm *mm, struct task *t, uint64_t addr, uint64_t len,
			enum flight_kind *kind)
{
	struct flight *f;
	bool found = false;

	mutex_lock(&mm->lock);
	list_for_each(f, &mm->in_flight, link) {
		if (f->owner == t && f->queued && f->start <= addr && addr + len <= f->end) {
			*kind = f->kind;
			found = true;
			break;
		}
	}
	mutex_unlock(&mm->lock);
	return found;
}
