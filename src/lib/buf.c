/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text buffers. b->p is NUL-terminated whenever it is not NULL. */
#include <stdlib.h>
#include <string.h>
#include "lib/fmt.h"

#define BUF_LIMIT ((size_t)16 << 20)

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){.limit = b->limit};
}

/* Room for n more bytes and a NUL. */
static bool buf_reserve(struct buf *b, size_t n)
{
	size_t limit = b->limit ? b->limit : BUF_LIMIT, cap;
	char *p;

	if (b->oom)
		return false;
	if (n < b->cap - b->len && b->cap)
		return true;
	if (b->len >= limit || n >= limit - b->len) {
		b->oom = true;
		return false;
	}
	cap = max(b->cap * 2, (size_t)256);
	while (cap <= b->len + n)
		cap *= 2;
	p = realloc(b->p, cap);
	if (!p) {
		b->oom = true;
		return false;
	}
	b->p = p;
	b->cap = cap;
	return true;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (!n || !buf_reserve(b, n))
		return;
	memcpy(b->p + b->len, p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_fmt(struct buf *b, const char *f, ...)
{
	char small[256];
	va_list ap;
	size_t n;

	va_start(ap, f);
	n = fmt_v(small, sizeof(small), f, ap);
	va_end(ap);
	if (n < sizeof(small)) {
		buf_add(b, small, n);
		return;
	}
	if (!buf_reserve(b, n))
		return;
	va_start(ap, f);
	fmt_v(b->p + b->len, n + 1, f, ap);
	va_end(ap);
	b->len += n;
}
