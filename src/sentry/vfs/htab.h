/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A hash table of embedded links that starts as one page and has the size of what it holds: an idle
 * sandbox has hundreds of objects, a build tens of thousands. The owner's lock covers every call.
 */
#include "lib/list.h"

struct htab {
	struct list *b;		/* owned; an all zero bucket is empty */
	uint32_t n;		/* a power of two */
};

typedef uint32_t htab_hash_fn(const struct list *link);

must_check int htab_init(struct htab *t);
void htab_fini(struct htab *t);
/* Adds at the front; `live` is about how many objects there are. */
void htab_add(struct htab *t, struct list *link, htab_hash_fn *hash_of, uint64_t live);

/* Harmless on what was not added. */
void htab_del(struct htab *t, struct list *link, htab_hash_fn *hash_of, uint64_t live);

static inline struct list *htab_bucket(struct htab *t, uint32_t hash)
{
	struct list *b = &t->b[hash & (t->n - 1)];

	if (!b->next)
		list_init(b);
	return b;
}
