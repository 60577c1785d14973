/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The names of a merged directory, as one open file lists them: read once per pass, numbered in
 * the order of adding. */
#include "lib/compiler.h"
#include "lib/rbtree.h"

struct list_name {
	struct rb_node rb;	/* by name, when names may come twice */
	uint64_t ino;
	uint16_t len;
	uint8_t type;		/* DT_* */
	char name[];
};

struct name_block;
struct name_list {
	struct name_block *first, *last;
	struct rb_root names;
	bool dedupe;
	/* cursor: entry number `at` is at byte `off` of `cur` */
	struct name_block *cur;
	uint32_t off;
	int64_t at;
};

/* dedupe: a name that is there already is not added again. NULL: no memory */
struct name_list *name_list_new(bool dedupe);
void name_list_free(struct name_list *l);
must_check int name_list_add(struct name_list *l, const char *name, size_t len, uint64_t ino,
			     unsigned type);
/* Entry number i, or NULL behind the last. */
struct list_name *name_list_at(struct name_list *l, int64_t i);
