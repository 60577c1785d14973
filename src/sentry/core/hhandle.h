/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Host descriptors by index. kheap objects hold an hh_t; the table lies in a mapping of its own
 * that is writable only inside its two writers. There is a budget: it works under
 * `ulimit -n 1024`; over it hh_add returns -ENFILE after asking the registered evictors.
 */
#include "lib/compiler.h"

typedef struct {
	uint32_t v;		/* index + generation; 0 is none */
} hh_t;

#define HH_NONE ((hh_t){0})
static inline bool hh_is_none(hh_t h)
{
	return h.v == 0;
}

/* `evict` tells the owner of evictable handles to give some up (dentry attributes, idle files). */
must_check int hh_init(void (*evict)(unsigned wanted));
must_check int hh_add(int hfd, hh_t *out);	/* consumes hfd, also on failure */
int hh_fd(hh_t h);				/* -EBADF for a stale handle */
void hh_close(hh_t h);				/* HH_NONE is accepted */
