/* SPDX-License-Identifier: Apache-2.0 */
/* Waiters of one task on any number of queues: the first few on its stack, more in chunks. */
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/fs/epoll/epoll.h"

static KCACHE(pollset_chunk_cache, struct pollset_chunk, 0);

static void pollset_queue(struct poll_table *pt, struct file *f, struct waitq *wq)
{
	struct pollset *ps = container_of(pt, struct pollset, pt);
	struct pollset_chunk *c = ps->chunks;
	struct waiter *w;

	if (ps->n < POLLSET_INLINE) {
		w = &ps->first[ps->n++];
	} else {
		if (!c || c->n == array_size(c->w)) {
			c = kc_alloc(&pollset_chunk_cache);
			if (!c) {
				ps->err = -ENOMEM;
				return;
			}
			c->next = ps->chunks;
			ps->chunks = c;
		}
		w = &c->w[c->n++];
	}
	wait_add(w, wq, WAIT_TASK, ps->t, pt->events);
}

void pollset_init(struct pollset *ps, struct task *t)
{
	ps->pt = (struct poll_table){.queue = pollset_queue, .events = ~0u};
	ps->t = t;
	ps->n = 0;
	ps->chunks = NULL;
	ps->err = 0;
}

void pollset_fini(struct pollset *ps)
{
	for (unsigned i = 0; i < ps->n; i++)
		wait_end(&ps->first[i]);
	while (ps->chunks) {
		struct pollset_chunk *c = ps->chunks;

		for (unsigned i = 0; i < c->n; i++)
			wait_end(&c->w[i]);
		ps->chunks = c->next;
		kc_free(&pollset_chunk_cache, c);
	}
}

static int poll_pass(struct pollset *ps, struct pollent *e, unsigned n, bool queue)
{
	struct poll_table look = {.queue = NULL};
	int ready = 0;

	for (unsigned i = 0; i < n; i++) {
		struct poll_table *pt = queue && !ready && !ps->err ? &ps->pt : &look;

		if (e[i].f) {
			pt->events = e[i].want;
			e[i].got = vfs_poll(e[i].f, pt) & pt->events;
		}
		if (e[i].got)
			ready++;
	}
	return ready;
}

int pollset_wait(struct task *t, struct pollent *e, unsigned n, uint64_t deadline)
{
	struct pollset ps;
	int r = 0, ready;

	pollset_init(&ps, t);
	ready = poll_pass(&ps, e, n, deadline != 0);
	while (!ready && deadline && !ps.err && !r) {
		r = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
		ready = poll_pass(&ps, e, n, false);
	}
	pollset_fini(&ps);
	if (ready)
		return ready;
	if (ps.err)
		return ps.err;
	return r && r != -ETIMEDOUT ? -ERESTARTNOHAND : 0;
}
