/* SPDX-License-Identifier: Apache-2.0 */
/* Byte buffers: one cache per size class, so that a buffer never lies where a typed object was. */
#include <string.h>
#include "lib/bug.h"
#include "lib/checked.h"
#include "sentry/core/kheap_int.h"

#define CLASS(n) {.name = "kmalloc-" #n, .size = (n)}
static struct kcache classes[] = {
	CLASS(32),    CLASS(64),     CLASS(96),     CLASS(128),    CLASS(192),	   CLASS(256),
	CLASS(384),   CLASS(512),    CLASS(768),    CLASS(1024),   CLASS(1536),	   CLASS(2048),
	CLASS(3072),  CLASS(4096),   CLASS(6144),   CLASS(8192),   CLASS(12288),   CLASS(16384),
	CLASS(32768), CLASS(65536),  CLASS(131072), CLASS(262144), CLASS(524288),  CLASS(1048576),
	CLASS(2097152), CLASS(4194304), CLASS(8388608), CLASS(16777216),
};
static struct kcache pages = {.name = "kpage", .size = PAGE_SIZE};

void *kmalloc(size_t n)
{
	size_t lo = 0, hi = array_size(classes);

	if (n > KMALLOC_MAX)
		return NULL;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (classes[mid].size < n)
			lo = mid + 1;
		else
			hi = mid;
	}
	return kc_alloc(&classes[lo]);
}

void *kmalloc_array(size_t n, size_t size)
{
	size_t bytes;

	return size_mul(n, size, &bytes) ? kmalloc(bytes) : NULL;
}

void kfree(void *p)
{
	struct kc_state *s;

	if (!p)
		return;
	s = kc_state_of(p);
	BUG_ON(strncmp(s->name, "kmalloc-", 8) != 0);
	kc_state_free(s, p);
}

char *kstrdup(const char *s)
{
	return kmemdup(s, strlen(s) + 1);
}

void *kmemdup(const void *p, size_t n)
{
	void *copy = kmalloc(n);

	if (copy)
		memcpy(copy, p, n);
	return copy;
}

void *kpage_alloc(void)
{
	return kc_alloc(&pages);
}

void kpage_free(void *p)
{
	kc_free(&pages, p);
}
