/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Contexts of io_setup(2). A context belongs to an address space and is named by the address of
 * its ring, as in Linux. The ring itself lies in the kernel heap: the page that the guest sees is
 * empty and lacks the magic number, so libaio asks with io_getevents. Requests are carried out by
 * io_submit; what is kept here is the events that nobody has fetched.
 */
#include <linux/aio_abi.h>
#include "sentry/core/wait.h"

struct task;
struct mm;
struct aio_ctx;

/* For nr requests at once, with its ring at `id`: 0, -EAGAIN (fs.aio-max-nr), -ENOMEM. */
must_check int aio_create(struct mm *mm, uint64_t id, uint32_t nr);
/* A reference, or NULL. */
struct aio_ctx *aio_get(struct mm *mm, uint64_t id);
void aio_put(struct aio_ctx *c);
uint32_t aio_max(const struct aio_ctx *c);
/* Takes it out of the address space and wakes those who wait: -EINVAL when there is none. */
int aio_destroy(struct mm *mm, uint64_t id);
void aio_start(void);

/* A place for the event of one request: -EAGAIN when all are taken. Then one of the two. */
must_check int aio_reserve(struct aio_ctx *c);
void aio_unreserve(struct aio_ctx *c);
void aio_complete(struct aio_ctx *c, const struct io_event *ev);
/* Takes up to max events; fewer than `least` are waited for. How many, -EINVAL when the context
 * was destroyed, -EINTR; what came with a signal or until the deadline counts. */
must_check int64_t aio_wait(struct task *t, struct aio_ctx *c, uint32_t least, struct io_event *ev, uint32_t max,
			    uint64_t deadline);

#define AIO_MAX_NR 65536u	/* fs.aio-max-nr */
uint32_t aio_total(void);	/* fs.aio-nr */
