/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Encoding and decoding of messages between our processes. Little endian as the machine, no
 * padding, no pointer casts onto buffers. A writer that runs out of room and a reader that runs
 * past its end set `bad` and go on harmlessly: the caller checks once, at the end, with wire_done
 * or wire_fits. Nothing that a reader returned may be used before that check, except to decide
 * what to read next.
 *
 * Strings are a u16 length, the bytes, and a NUL: a decoded string is a C string inside the
 * receiver's own buffer, without NUL bytes in it.
 */
#include <string.h>
#include "lib/compiler.h"

struct wire_w {
	uint8_t *p;
	size_t len, cap;
	bool bad;
};

struct wire_r {
	const uint8_t *p;
	size_t off, n;
	bool bad;
};

#define WIRE_W(buf, size) ((struct wire_w){.p = (buf), .cap = (size)})
#define WIRE_R(buf, size) ((struct wire_r){.p = (buf), .n = (size)})

/* Reserves n bytes and returns them, NULL when they do not fit. */
static inline uint8_t *wire_reserve(struct wire_w *w, size_t n)
{
	if (w->bad || n > w->cap - w->len) {
		w->bad = true;
		return NULL;
	}
	uint8_t *at = w->p + w->len;
	__asm__("" : "+r"(at));		/* gcc 12 guesses its object wrong and warns of an overflow */
	w->len += n;
	return at;
}

static inline void wire_put(struct wire_w *w, const void *src, size_t n)
{
	uint8_t *at = wire_reserve(w, n);
	if (at && n)
		memcpy(at, src, n);
}

static inline void wire_put_u16(struct wire_w *w, uint16_t v)
{
	wire_put(w, &v, sizeof(v));
}

static inline void wire_put_u32(struct wire_w *w, uint32_t v)
{
	wire_put(w, &v, sizeof(v));
}

static inline void wire_put_u64(struct wire_w *w, uint64_t v)
{
	wire_put(w, &v, sizeof(v));
}

static inline void wire_put_strn(struct wire_w *w, const char *s, size_t n)
{
	if (n > UINT16_MAX) {
		w->bad = true;
		return;
	}
	wire_put_u16(w, (uint16_t)n);
	wire_put(w, s, n);
	wire_put(w, "", 1);
}

static inline void wire_put_str(struct wire_w *w, const char *s)
{
	wire_put_strn(w, s, strlen(s));
}

static inline must_check bool wire_fits(const struct wire_w *w)
{
	return !w->bad;
}

/* The next n bytes, inside the buffer, or NULL. */
static inline const uint8_t *wire_take(struct wire_r *r, size_t n)
{
	if (r->bad || n > r->n - r->off) {
		r->bad = true;
		return NULL;
	}
	const uint8_t *at = r->p + r->off;
	r->off += n;
	return at;
}

static inline void wire_get(struct wire_r *r, void *dst, size_t n)
{
	const uint8_t *at = wire_take(r, n);
	if (at)
		memcpy(dst, at, n);
	else
		memset(dst, 0, n);
}

static inline uint16_t wire_get_u16(struct wire_r *r)
{
	uint16_t v;
	wire_get(r, &v, sizeof(v));
	return v;
}

static inline uint32_t wire_get_u32(struct wire_r *r)
{
	uint32_t v;
	wire_get(r, &v, sizeof(v));
	return v;
}

static inline uint64_t wire_get_u64(struct wire_r *r)
{
	uint64_t v;
	wire_get(r, &v, sizeof(v));
	return v;
}

/* A string of at most max bytes; "" and `bad` when it is longer, cut off, or holds a NUL. */
static inline const char *wire_get_str(struct wire_r *r, size_t max, size_t *len)
{
	size_t n = wire_get_u16(r);
	const uint8_t *at = n <= max ? wire_take(r, n + 1) : NULL;
	if (!at || at[n] || memchr(at, 0, n)) {
		r->bad = true;
		if (len)
			*len = 0;
		return "";
	}
	if (len)
		*len = n;
	return (const char *)at;
}

/* Everything was there and nothing is left over. */
static inline must_check bool wire_done(const struct wire_r *r)
{
	return !r->bad && r->off == r->n;
}
