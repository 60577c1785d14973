/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/htab.h"
#include <errno.h>
#include "sentry/core/kheap.h"

#define HTAB_FIRST 256u
#define HTAB_LAST 65536u

int htab_init(struct htab *t)
{
	t->n = HTAB_FIRST;
	t->b = kmalloc_array(t->n, sizeof(*t->b));
	return t->b ? 0 : -ENOMEM;
}

void htab_fini(struct htab *t)
{
	kfree(t->b);
	t->b = NULL;
}

/* Without memory the chains just get longer. */
static void resize(struct htab *t, uint32_t n, htab_hash_fn *hash_of)
{
	struct htab to = {.n = n};

	to.b = kmalloc_array(to.n, sizeof(*to.b));
	if (!to.b)
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		while (t->b[i].next && !list_empty(&t->b[i])) {
			struct list *link = t->b[i].next;

			list_del(link);
			list_add(htab_bucket(&to, hash_of(link)), link);
		}
	}
	kfree(t->b);
	*t = to;
}

void htab_add(struct htab *t, struct list *link, htab_hash_fn *hash_of, uint64_t live)
{
	if (unlikely(live > 2 * (uint64_t)t->n) && t->n < HTAB_LAST)
		resize(t, t->n * 4, hash_of);
	list_add(htab_bucket(t, hash_of(link)), link);
}

void htab_del(struct htab *t, struct list *link, htab_hash_fn *hash_of, uint64_t live)
{
	list_del(link);
	if (unlikely(live * 16 < t->n) && t->n > HTAB_FIRST)
		resize(t, t->n / 4, hash_of);
}
