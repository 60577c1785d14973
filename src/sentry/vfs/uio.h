/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The buffers of one read or write: a guest's iovecs (copied in once) or one kernel buffer.
 * File systems move bytes through these calls and never see a guest address.
 *
 * No lock may be held across any of them when the buffers are a guest's. A read consumes its
 * source only after uio_check (I9); a write takes the bytes first, then the object's lock (R16).
 * Implemented in mm/uio.c.
 */
#include "abi/stat.h"
#include "lib/compiler.h"

struct task;

#ifndef UIO_MAXIOV	/* <sys/uio.h> has it too */
#define UIO_MAXIOV 1024
#endif
#define UIO_FAST 8

struct uio {
	struct task *t;			/* whose memory; NULL: kbuf */
	char *kbuf;
	struct l_iovec *iov;		/* owned when not `fast` */
	struct l_iovec fast[UIO_FAST];
	uint32_t n, i;			/* iovecs, current one */
	uint64_t skip;			/* done bytes of the current one */
	uint64_t left;			/* bytes still to go */
};

/* One guest buffer; len is cut to MAX_RW_COUNT as Linux does. */
void uio_user(struct uio *u, struct task *t, uint64_t addr, uint64_t len);
void uio_kernel(struct uio *u, void *buf, size_t len);
/* readv and friends: copies the array in; -EINVAL, -EFAULT, -ENOMEM. */
must_check int uio_user_iov(struct uio *u, struct task *t, uint64_t iov, uint64_t n);
void uio_fini(struct uio *u);

/* The first `n` bytes lie in mappings that the guest may write (for_write) or read: 0 or -EFAULT.
 * Looks at the layout only. */
must_check int uio_check(const struct uio *u, uint64_t n, bool for_write);

/* Kernel to guest and back. Return the bytes moved (short when memory faults), -EFAULT if none. */
must_check int64_t uio_put(struct uio *u, const void *src, size_t n);
must_check int64_t uio_put_zero(struct uio *u, size_t n);
must_check int64_t uio_get(struct uio *u, void *dst, size_t n);

/* A scratch window, shared with the guest's cell when the buffer is a guest's (so: give it to a
 * host read or write, never parse it); for a kernel buffer it is the buffer itself.
 * Read: fill up to *cap bytes of it, then uio_put_window(n). Write: n = uio_get_window(want). */
void *uio_window(struct uio *u, size_t *cap);
must_check int64_t uio_put_window(struct uio *u, size_t n);
must_check int64_t uio_get_window(struct uio *u, size_t want);
