/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/strv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/err.h"

static void *xcheck(void *p)
{
	if (p)
		return p;
	say("out of memory");
	exit(EXIT_BRIG);
}

void *xmalloc(size_t n)
{
	return xcheck(calloc(1, n ? n : 1));
}

char *xstrdup(const char *s)
{
	return xcheck(strdup(s));
}

char *xasprintf(const char *f, ...)
{
	char *s = NULL;
	va_list ap;
	va_start(ap, f);
	if (vasprintf(&s, f, ap) < 0)
		s = NULL;
	va_end(ap);
	return xcheck(s);
}

void strv_add(struct strv *s, char *owned)
{
	if (s->n + 1 >= s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->v = xcheck(reallocarray(s->v, s->cap, sizeof(*s->v)));
	}
	s->v[s->n++] = owned;
	s->v[s->n] = NULL;
}

void strv_free(struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct strv){0};
}

void strv_setenv(struct strv *s, char *owned)
{
	size_t n = strcspn(owned, "=") + 1;
	for (size_t i = 0; i < s->n; i++) {
		if (strncmp(s->v[i], owned, n) == 0) {
			free(s->v[i]);
			s->v[i] = owned;
			return;
		}
	}
	strv_add(s, owned);
}

const char *strv_getenv(const struct strv *s, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < s->n; i++)
		if (strncmp(s->v[i], name, n) == 0 && s->v[i][n] == '=')
			return s->v[i] + n + 1;
	return NULL;
}

char *strv_pack(char *const *v, size_t n, size_t *len)
{
	size_t total = 0, at = 0;
	for (size_t i = 0; i < n; i++)
		total += strlen(v[i]) + 1;
	char *p = xmalloc(total);
	for (size_t i = 0; i < n; i++) {
		size_t k = strlen(v[i]) + 1;
		memcpy(p + at, v[i], k);
		at += k;
	}
	*len = total;
	return p;
}
