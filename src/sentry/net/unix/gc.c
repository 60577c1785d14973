/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors in flight. A unix socket whose only references are messages in queues that cannot be
 * reached any more would never go; the collector finds them the classic way (Linux before 6.10):
 *
 *	candidates: sockets in flight whose file has no other reference than those messages
 *	take away from each candidate the references that come from candidates' own queues
 *	what still has some is reachable from outside, and so is all that hangs in its queue
 *	the rest is garbage: its queues are emptied
 *
 * gc_lock covers the counts and is taken before socket locks.
 */
#include <errno.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include "sentry/core/kheap.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/task.h"

#define USERS 64u

struct unix_gc {
	struct mutex lock;	/* RANK_FILES: outside RANK_SOCK */
	struct list in_flight;	/* lock; struct unix_sock.gc_link */
	uint32_t flying[USERS];	/* lock: descriptors by user, hashed */
	uint32_t flying_socks;	/* a */
	uint32_t running;	/* a */
	uint32_t trigger;	/* a: so many sockets in flight start a collection at a send */
};
#define TRIGGER_MIN 256u
static KCACHE(unix_gc_cache, struct unix_gc, 1);
static struct unix_gc *gc;	/* made once, at start */

int unix_gc_start(void)
{
	gc = kc_alloc(&unix_gc_cache);
	if (!gc)
		return -ENOMEM;
	mutex_init(&gc->lock, RANK_FILES);
	list_init(&gc->in_flight);
	gc->trigger = TRIGGER_MIN;
	return 0;
}

static struct unix_sock *unix_of(struct file *f)
{
	struct sock *s = sock_of(f);

	return s && s->family == AF_UNIX ? s->unix_ : NULL;
}

int unix_inflight(struct scm *scm, struct task *t)
{
	uint32_t *count = &gc->flying[t->cred->uid % USERS];
	int r = 0;

	mutex_lock(&gc->lock);
	if (*count > task_rlimit(t, RLIMIT_NOFILE) && !task_capable(t, CAP_SYS_RESOURCE) &&
	    !task_capable(t, CAP_SYS_ADMIN)) {
		r = -ETOOMANYREFS;
	} else {
		*count += scm->nfds;
		scm->inflight = true;
		scm->inflight_uid = t->cred->uid;
		for (uint32_t i = 0; i < scm->nfds; i++) {
			struct unix_sock *us = unix_of(scm->fds[i]);

			if (us && us->inflight++ == 0) {
				list_add_tail(&gc->in_flight, &us->gc_link);
				__atomic_fetch_add(&gc->flying_socks, 1, __ATOMIC_RELAXED);
			}
		}
	}
	mutex_unlock(&gc->lock);
	/* Cycles of sockets that are never released otherwise. */
	if (__atomic_load_n(&gc->flying_socks, __ATOMIC_RELAXED) >= __atomic_load_n(&gc->trigger, __ATOMIC_RELAXED))
		unix_gc_poke();
	return r;
}

void unix_not_inflight(struct scm *scm)
{
	mutex_lock(&gc->lock);
	if (scm->inflight) {
		scm->inflight = false;
		gc->flying[scm->inflight_uid % USERS] -= scm->nfds;
		for (uint32_t i = 0; i < scm->nfds; i++) {
			struct unix_sock *us = scm->fds[i] ? unix_of(scm->fds[i]) : NULL;

			if (us && --us->inflight == 0) {
				list_del(&us->gc_link);
				__atomic_fetch_sub(&gc->flying_socks, 1, __ATOMIC_RELAXED);
			}
		}
	}
	mutex_unlock(&gc->lock);
}

void unix_gc_forget(struct sock *s)
{
	mutex_lock(&gc->lock);
	list_del(&s->unix_->gc_link);
	mutex_unlock(&gc->lock);
}

/* Adds `by` to gc_refs of each candidate that a queue of s refers to; s->lock held. */
static void scan_queue_locked(struct sock *s, int by, bool *marked)
{
	struct skb *b;

	list_for_each(b, &s->rxq, link)
		for (uint32_t i = 0; b->scm && i < b->scm->nfds; i++) {
			struct unix_sock *us = unix_of(b->scm->fds[i]);

			if (!us || !us->gc_refs)
				continue;
			if (by < 0) {
				us->gc_refs--;
			} else if (!us->gc_reached) {
				us->gc_reached = true;
				*marked = true;
			}
		}
}

/* A listener's queue holds sockets whose queues count as its own. */
static void scan_socket(struct sock *s, int by, bool *marked)
{
	struct sock *c;

	mutex_lock(&s->lock);
	scan_queue_locked(s, by, marked);
	list_for_each(c, &s->acceptq, accept_link) {
		mutex_lock_nested(&c->lock);
		scan_queue_locked(c, by, marked);
		mutex_unlock(&c->lock);
	}
	mutex_unlock(&s->lock);
}

/* gc_refs is kept one too high, so that 0 means "no candidate". */
static void mark_candidates_locked(void)
{
	struct unix_sock *us;

	list_for_each(us, &gc->in_flight, gc_link) {
		struct file *f = READ_ONCE(us->sock->file);

		us->gc_reached = false;
		us->gc_refs = f && ref_read(&f->ref) == us->inflight ? us->inflight + 1 : 0;
	}
}

static void mark_reachable_locked(void)
{
	struct unix_sock *us;
	bool marked = false, more;

	list_for_each(us, &gc->in_flight, gc_link)
		if (us->gc_refs)
			scan_socket(us->sock, -1, &marked);
	list_for_each(us, &gc->in_flight, gc_link)
		us->gc_reached = us->gc_refs > 1;
	do {
		more = false;
		list_for_each(us, &gc->in_flight, gc_link)
			if (us->gc_reached && us->gc_refs) {
				us->gc_refs = 0;	/* its queue is done with */
				scan_socket(us->sock, 1, &more);
				more = true;
			}
	} while (more);
}

/* What is left with gc_refs: its messages are moved out, to be dropped after the lock. */
static void empty_queues_locked(struct list *out)
{
	struct unix_sock *us;

	list_for_each(us, &gc->in_flight, gc_link) {
		struct sock *s = us->sock, *c;

		if (!us->gc_refs)
			continue;
		mutex_lock(&s->lock);
		list_splice_tail(out, &s->rxq);
		s->rmem = s->rxq_len = 0;
		list_for_each(c, &s->acceptq, accept_link) {
			mutex_lock_nested(&c->lock);
			list_splice_tail(out, &c->rxq);
			c->rmem = c->rxq_len = 0;
			mutex_unlock(&c->lock);
		}
		mutex_unlock(&s->lock);
		us->gc_refs = 0;
	}
}

void unix_gc_poke(void)
{
	struct list garbage = LIST_INIT(garbage);
	uint32_t left;

	if (!__atomic_load_n(&gc->flying_socks, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&gc->running, 1, __ATOMIC_ACQ_REL))
		return;
	mutex_lock(&gc->lock);
	mark_candidates_locked();
	mark_reachable_locked();
	empty_queues_locked(&garbage);
	mutex_unlock(&gc->lock);
	__atomic_store_n(&gc->running, 0, __ATOMIC_RELEASE);
	skb_list_free(&garbage);	/* closes files, which may come here again */
	left = __atomic_load_n(&gc->flying_socks, __ATOMIC_RELAXED);
	__atomic_store_n(&gc->trigger, max(left * 2, TRIGGER_MIN), __ATOMIC_RELAXED);
}
