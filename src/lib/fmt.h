/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Formatting without stdio or locale: %d %i %u %x %X %o %c %s %p %% with - 0 width .precision *,
 * and the lengths l ll z h hh. Everything else stops the process in debug builds.
 */
#include <stdarg.h>
#include "lib/compiler.h"

/* Like snprintf: returns the full length, terminates if cap > 0. */
size_t fmt_v(char *dst, size_t cap, const char *f, va_list ap);
size_t fmt_n(char *dst, size_t cap, const char *f, ...) printf_like(3, 4);

/* A growing text buffer in process memory (not kheap), for /proc files and messages. After a
 * failed allocation `oom` is set and further appends do nothing; buf_fini frees. */
struct buf {
	char *p;
	size_t len, cap, limit;		/* limit: never grows beyond, 0 = 16 MiB */
	bool oom;
};
void buf_fini(struct buf *b);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_addc(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *f, ...) printf_like(2, 3);
