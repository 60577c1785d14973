/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Kernel copies of argv and envp. Strings lie in a few large blocks. */
#include "sentry/task/task.h"

struct arg_block {
	struct arg_block *next;
	size_t used, cap;
	char data[];
};

struct arg_vec {
	char **v;			/* kmalloc'ed, NULL-terminated */
	uint32_t n, cap;
	struct arg_block *blocks;
};

must_check int arg_vec_copy_in(struct task *t, uint64_t uptr, struct arg_vec *out);
/* One string of the kernel's own (the launcher's argv, "" for an empty argv). */
must_check int arg_vec_add(struct arg_vec *a, const char *s);
void arg_vec_fini(struct arg_vec *a);
