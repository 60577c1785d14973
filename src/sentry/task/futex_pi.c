/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Priority-inheritance futexes. The word's changes are made by the caller's stub, so calls on one
 * key take turns (pi->busy, a sleeping turn that outlives no caller: a dying stub's call returns).
 * Waiters are served in order of arrival; guests have no real-time priorities that could differ.
 * An unlock hands the word over to the first waiter itself.
 */
#include <errno.h>
#include <linux/futex.h>
#include "host/event.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/futex_int.h"
#include "sentry/task/task.h"

struct pi_state {
	struct list link;		/* bucket->pis */
	struct futex_key key;
	struct list waiters;		/* struct pi_waiter */
	uint32_t users;			/* callers and waiters */
	bool busy;
	struct waitq wq;		/* for the turn */
};

struct pi_waiter {			/* on the waiter's stack; under the bucket's lock */
	struct list link;
	struct task *t;
	uint32_t tid;
	bool granting;			/* taken off by an unlock that is at work */
	bool granted;
};

static KCACHE(pi_cache, struct pi_state, 0);

static struct pi_state *pi_find_locked(struct futex_bucket *b, const struct futex_key *k)
{
	struct pi_state *p;

	list_for_each(p, &b->pis, link)
		if (futex_key_eq(&p->key, k))
			return p;
	return NULL;
}

static void pi_unuse_locked(struct pi_state *p, struct pi_state **dead)
{
	if (--p->users)
		return;
	list_del(&p->link);
	*dead = p;
}

static uint32_t my_tid(struct task *t)
{
	return (uint32_t)task_pid_nr(t, task_pid_ns(t));
}

/* A task that ends waits for its turn, too; it was killed, perhaps, and no wait of its lasts. */
static int turn_wait(struct task *t)
{
	const struct timespec nap = {0, 100000};
	uint32_t never = 0;

	if (!t->exiting)
		return wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
	(void)h_futex_wait(&never, 0, &nap);
	return 0;
}

/* The turn on a key. -EINTR when killed while waiting for it. */
static int pi_enter(struct task *t, const struct futex_key *k, struct pi_state **out)
{
	struct futex_bucket *b = futex_bucket(k);
	struct pi_state *p, *n = kc_alloc(&pi_cache), *dead = NULL;
	struct waiter w;
	int r = 0;

	if (!n)
		return -ENOMEM;
	mutex_lock(&b->lock);
	p = pi_find_locked(b, k);
	if (!p) {
		p = steal(n);
		p->key = *k;
		list_init(&p->waiters);
		wq_init(&p->wq);
		list_add(&b->pis, &p->link);
	}
	p->users++;
	wait_begin(&w, &p->wq, t);
	while (p->busy && !r) {
		mutex_unlock(&b->lock);
		r = turn_wait(t);
		mutex_lock(&b->lock);
	}
	wait_end(&w);
	if (r && p->busy) {
		r = -EINTR;
		pi_unuse_locked(p, &dead);
	} else {
		r = 0;
		p->busy = true;
	}
	mutex_unlock(&b->lock);
	kc_free(&pi_cache, n);
	kc_free(&pi_cache, dead);
	*out = p;
	return r;
}

/* Gives the turn back; with keep the caller stays a user (it waits). */
static void pi_leave(struct pi_state *p, bool keep)
{
	struct futex_bucket *b = futex_bucket(&p->key);
	struct pi_state *dead = NULL;

	mutex_lock(&b->lock);
	p->busy = false;
	wq_wake_all(&p->wq);
	if (!keep)
		pi_unuse_locked(p, &dead);
	mutex_unlock(&b->lock);
	kc_free(&pi_cache, dead);
}

static bool pi_has_waiters(struct pi_state *p)
{
	struct futex_bucket *b = futex_bucket(&p->key);
	bool r;

	mutex_lock(&b->lock);
	r = !list_empty(&p->waiters);
	mutex_unlock(&b->lock);
	return r;
}

/* With the turn: takes a free word (0), finds it owned and marked (1, then wait), or an errno. */
static int try_take(struct task *t, struct pi_state *p, uint64_t uaddr, bool try)
{
	uint32_t tid = my_tid(t), cur, val, seen;
	struct task *owner;
	int r = user_load32(t, UADDR(uaddr), &cur);

	for (; !r; cur = seen) {
		if (kill_pending(t))
			return -EINTR;
		if ((cur & FUTEX_TID_MASK) == tid)
			return -EDEADLK;
		if (!(cur & FUTEX_TID_MASK)) {
			val = tid | (cur & FUTEX_OWNER_DIED) | (pi_has_waiters(p) ? FUTEX_WAITERS : 0);
			r = user_cmpxchg32(t, UADDR(uaddr), cur, val, &seen);
			if (!r && seen == cur)
				return 0;
			continue;
		}
		owner = task_lookup(task_pid_ns(t), (int32_t)(cur & FUTEX_TID_MASK));
		if (!owner) {
			r = user_load32(t, UADDR(uaddr), &seen);
			if (!r && seen == cur)
				return -ESRCH;
			continue;
		}
		task_put(owner);
		if (try)
			return -EWOULDBLOCK;
		if (cur & FUTEX_WAITERS)
			return 1;
		r = user_cmpxchg32(t, UADDR(uaddr), cur, cur | FUTEX_WAITERS, &seen);
		if (!r && seen == cur)
			return 1;
	}
	return r;
}

/* Sleeps until the word was handed over. A hand-over in progress is waited for. */
static int pi_wait(struct task *t, struct pi_state *p, struct pi_waiter *w, uint64_t deadline)
{
	struct futex_bucket *b = futex_bucket(&p->key);
	struct pi_state *dead = NULL;
	int r = 0, s;

	mutex_lock(&b->lock);
	while (!w->granted) {
		if (r && !w->granting)
			break;
		mutex_unlock(&b->lock);
		/* after r: w is in an unlocker's hands, for the length of one cmpxchg */
		s = wait_sleep(t, r ? WAIT_KILLABLE : WAIT_INTERRUPTIBLE, r ? now_mono() + 1000000 : deadline);
		r = r ? r : s;
		mutex_lock(&b->lock);
	}
	if (w->granted)
		r = 0;
	else
		list_del(&w->link);
	pi_unuse_locked(p, &dead);
	mutex_unlock(&b->lock);
	kc_free(&pi_cache, dead);
	return r;
}

int64_t futex_lock_pi(struct task *t, uint64_t uaddr, uint64_t deadline, bool try)
{
	struct pi_waiter w = {.t = t, .tid = my_tid(t)};
	struct futex_bucket *b;
	struct futex_key k;
	struct pi_state *p;
	int r = mm_futex_key(t, uaddr, true, &k);

	if (!r)
		r = pi_enter(t, &k, &p);
	if (r)
		return r == -EINTR ? -ERESTARTNOINTR : r;
	r = try_take(t, p, uaddr, try);
	if (r == 1) {
		b = futex_bucket(&k);
		mutex_lock(&b->lock);
		list_add_tail(&p->waiters, &w.link);
		mutex_unlock(&b->lock);
		pi_leave(p, true);
		r = pi_wait(t, p, &w, deadline);
		return r == -ERESTARTSYS ? -ERESTARTNOINTR : r;
	}
	pi_leave(p, false);
	return r;
}

static struct pi_waiter *pi_pick(struct pi_state *p)
{
	struct futex_bucket *b = futex_bucket(&p->key);
	struct pi_waiter *w;

	mutex_lock(&b->lock);
	w = list_first(&p->waiters, struct pi_waiter, link);
	if (w) {
		list_del(&w->link);
		w->granting = true;
	}
	mutex_unlock(&b->lock);
	return w;
}

/* Ends the hand-over: the waiter owns the word, or goes back to the head. */
static void pi_settle(struct pi_state *p, struct pi_waiter *w, bool ok)
{
	struct futex_bucket *b = futex_bucket(&p->key);
	struct task *t;

	if (!w)
		return;
	mutex_lock(&b->lock);
	t = task_get(w->t);
	w->granting = false;
	w->granted = ok;
	if (!ok)
		list_add(&p->waiters, &w->link);
	mutex_unlock(&b->lock);
	task_wake(t);
	task_put(t);
}

/* With the turn: the word leaves `tid`, for the first waiter or for nobody. */
static int hand_over(struct task *t, struct pi_state *p, uint64_t uaddr, uint32_t tid, uint32_t died)
{
	struct pi_waiter *w = pi_pick(p);
	uint32_t cur, val, seen;
	int r = user_load32(t, UADDR(uaddr), &cur);

	while (!r) {
		if ((cur & FUTEX_TID_MASK) != tid) {
			r = -EPERM;
			break;
		}
		val = (w ? w->tid | FUTEX_WAITERS : 0) | died;
		r = user_cmpxchg32(t, UADDR(uaddr), cur, val, &seen);
		if (!r && seen == cur)
			break;
		cur = seen;
	}
	pi_settle(p, w, !r);
	return r;
}

int64_t futex_unlock_pi(struct task *t, uint64_t uaddr)
{
	struct futex_key k;
	struct pi_state *p;
	uint32_t cur;
	int r = user_load32(t, UADDR(uaddr), &cur);

	if (r)
		return r;
	if ((cur & FUTEX_TID_MASK) != my_tid(t))
		return -EPERM;
	r = mm_futex_key(t, uaddr, true, &k);
	if (!r)
		r = pi_enter(t, &k, &p);
	if (r)
		return r == -EINTR ? -ERESTARTNOINTR : r;
	r = hand_over(t, p, uaddr, my_tid(t), 0);
	pi_leave(p, false);
	return r;
}

void futex_pi_owner_died(struct task *t, uint64_t uaddr)
{
	struct futex_key k;
	struct pi_state *p;

	if (mm_futex_key(t, uaddr, true, &k) || pi_enter(t, &k, &p))
		return;
	(void)hand_over(t, p, uaddr, my_tid(t), FUTEX_OWNER_DIED);
	pi_leave(p, false);
}
