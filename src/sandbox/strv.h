/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A growing vector of owned strings, NULL-terminated; out of memory ends the launcher. */
#include "lib/compiler.h"

struct strv {
	char **v;
	size_t n, cap;
};

void *xmalloc(size_t n);
char *xstrdup(const char *s);
char *xasprintf(const char *f, ...) printf_like(1, 2);
void strv_add(struct strv *s, char *owned);
void strv_free(struct strv *s);
/* "NAME=value" replaces an earlier entry of the same name. */
void strv_setenv(struct strv *s, char *owned);
/* The value of NAME, or NULL. */
const char *strv_getenv(const struct strv *s, const char *name);
/* All strings with their NULs in one block (malloc). */
char *strv_pack(char *const *v, size_t n, size_t *len);
