/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one door to guest memory. Each call checks the whole range against the task's layout, then
 * the task's own stopped thread copies through its bounce area; a fault in the stack's growth zone
 * is resolved and the copy retried (R9). 0 or -EFAULT unless stated. No lock may be held.
 * t is always the calling task (its Sentry thread makes the call).
 */
#include "abi/uaddr.h"
#include "lib/compiler.h"

struct task;

must_check int copy_in(struct task *t, void *dst, uaddr_t src, size_t n);
must_check int copy_out(struct task *t, uaddr_t dst, const void *src, size_t n);
/* Bytes copied before the fault: for calls with partial results. -EFAULT if none. */
must_check int64_t copy_in_partial(struct task *t, void *dst, uaddr_t src, size_t n);
must_check int64_t copy_out_partial(struct task *t, uaddr_t dst, const void *src, size_t n);
/* Length without the NUL; -EFAULT, or -ENAMETOOLONG when no NUL lies in cap bytes. Always
 * terminated on success. */
must_check int64_t copy_in_str(struct task *t, char *dst, uaddr_t src, size_t cap);
/* A path: PATH_MAX buffer, ENAMETOOLONG; -ENOENT when empty and !may_be_empty. *out is kmalloc'ed. */
must_check int copy_in_path(struct task *t, uaddr_t src, bool may_be_empty, char **out);
void path_buf_free(char *p);

#define get_user(t, var, ua) copy_in((t), &(var), (ua), sizeof(var))
#define put_user(t, ua, var)                                                                       \
	({                                                                                         \
		__typeof__(var) put_user_v_ = (var);                                               \
		copy_out((t), (ua), &put_user_v_, sizeof(put_user_v_));                            \
	})

/* The range is mapped with the right; layout only. 0 or -EFAULT. */
must_check int access_check(struct task *t, uaddr_t a, uint64_t n, bool write);

/* Atomic access to a 32-bit word (futex): value seen, or old value of the exchange. */
must_check int user_load32(struct task *t, uaddr_t a, uint32_t *val);
must_check int user_cmpxchg32(struct task *t, uaddr_t a, uint32_t old, uint32_t val, uint32_t *seen);

/* Memory of another task (ptrace, /proc/PID/mem, process_vm_*): layout-checked unless `force`
 * (ptrace may write read-only private pages). Bytes moved, or -EFAULT / -EIO. */
struct mm;
must_check int64_t mm_peek(struct mm *mm, void *dst, uint64_t src, size_t n, bool force);
must_check int64_t mm_poke(struct mm *mm, uint64_t dst, const void *src, size_t n, bool force);
