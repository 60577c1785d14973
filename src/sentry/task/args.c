/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/task/args.h"
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"

#define MAX_ARG_STRLEN (128ul << 10)
#define BLOCK_SMALL ((16ul << 10) - sizeof(struct arg_block))	/* a slot below kheap's big ones */
#define ARG_TOTAL_MAX (7ul << 20)
#define ARG_COUNT_MAX (ARG_TOTAL_MAX / 8)
#define PTR_CHUNK 64

static int new_block(struct arg_vec *a, size_t cap)
{
	struct arg_block *b = kmalloc(sizeof(*b) + cap);

	if (!b)
		return -ENOMEM;
	b->cap = cap;
	b->next = a->blocks;
	a->blocks = b;
	return 0;
}

static size_t total(const struct arg_vec *a)
{
	size_t n = 0;

	for (const struct arg_block *b = a->blocks; b; b = b->next)
		n += b->used;
	return n;
}

static int push(struct arg_vec *a, char *s)
{
	if (a->n + 1 >= a->cap) {
		uint32_t cap = a->cap ? a->cap * 2 : 32;
		char **v;

		if (a->n >= ARG_COUNT_MAX)
			return -E2BIG;
		v = kmalloc_array(cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		if (a->n)
			__builtin_memcpy(v, a->v, a->n * sizeof(*v));
		kfree(a->v);
		a->v = v;
		a->cap = cap;
	}
	a->v[a->n++] = s;
	a->v[a->n] = NULL;
	return 0;
}

int arg_vec_add(struct arg_vec *a, const char *s)
{
	size_t n = __builtin_strlen(s) + 1;
	struct arg_block *b = a->blocks;
	int rc;

	if (!b || b->cap - b->used < n) {
		rc = new_block(a, max(n, (size_t)256));
		if (rc)
			return rc;
		b = a->blocks;
	}
	__builtin_memcpy(b->data + b->used, s, n);
	b->used += n;
	return push(a, b->data + b->used - n);
}

static int add_user(struct task *t, struct arg_vec *a, uint64_t ptr)
{
	struct arg_block *b = a->blocks;
	size_t room = b ? b->cap - b->used : 0;
	int64_t n = -ENAMETOOLONG;
	int rc;

	if (room >= 64) {
		n = copy_in_str(t, b->data + b->used, UADDR(ptr), min(room, MAX_ARG_STRLEN));
		if (n == -ENAMETOOLONG && room >= MAX_ARG_STRLEN)
			return -E2BIG;
	}
	if (n == -ENAMETOOLONG) {
		rc = new_block(a, room >= 64 ? MAX_ARG_STRLEN * 2 : BLOCK_SMALL);
		if (rc)
			return rc;
		b = a->blocks;
		n = copy_in_str(t, b->data, UADDR(ptr), min(b->cap, MAX_ARG_STRLEN));
		if (n == -ENAMETOOLONG && b->cap < MAX_ARG_STRLEN) {
			rc = new_block(a, MAX_ARG_STRLEN * 2);
			if (rc)
				return rc;
			b = a->blocks;
			n = copy_in_str(t, b->data, UADDR(ptr), MAX_ARG_STRLEN);
		}
		if (n == -ENAMETOOLONG)
			return -E2BIG;
	}
	if (n < 0)
		return (int)n;
	b->used += (size_t)n + 1;
	if (total(a) > ARG_TOTAL_MAX)
		return -E2BIG;
	return push(a, b->data + b->used - (size_t)n - 1);
}

int arg_vec_copy_in(struct task *t, uint64_t uptr, struct arg_vec *out)
{
	uint64_t ptrs[PTR_CHUNK];
	int rc;

	*out = (struct arg_vec){0};
	if (!uptr)
		return 0;
	for (;;) {
		/* As many as lie on this page: the array may end right before an unmapped one. */
		uint64_t room = (PAGE_SIZE - (uptr & (PAGE_SIZE - 1))) / 8;
		size_t n = min(room ? room : 1, (uint64_t)PTR_CHUNK);

		rc = copy_in(t, ptrs, UADDR(uptr), n * 8);
		if (rc)
			return rc;
		for (size_t i = 0; i < n; i++) {
			if (!ptrs[i])
				return 0;
			rc = add_user(t, out, ptrs[i]);
			if (rc)
				return rc;
		}
		uptr += n * 8;
	}
}

void arg_vec_fini(struct arg_vec *a)
{
	struct arg_block *b;

	while ((b = a->blocks) != NULL) {
		a->blocks = b->next;
		kfree(b);
	}
	kfree(a->v);
	*a = (struct arg_vec){0};
}
