/* SPDX-License-Identifier: Apache-2.0 */
/* Waiters of one task on any number of queues: the first few on its stack, more in chunks. */
#include <errno.h>
#include "sentry/core/kheap.h"
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
	/* The condition is looked at again after each wake-up, so waking for everything is right;
	 * what nobody asked for is left out to spare empty rounds. */
	wait_add(w, wq, WAIT_TASK, ps->t, pt->events | EPOLLERR | EPOLLHUP);
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
