/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Private to the trace decoder: names of constants, and values behind pointers. */
#include "abi/uaddr.h"
#include "sentry/syscalls/strace.h"

/* Names of a number or of flag bits; false when the letter is none of theirs. */
bool strace_named(struct buf *b, char letter, uint64_t v);
/* Things in guest memory. `ret` is the call's result (a length for 'B'). */
bool strace_memory(struct task *t, struct buf *b, char letter, uint64_t v, uint64_t next,
		   int64_t ret);
void strace_string(struct task *t, struct buf *b, uint64_t v);
