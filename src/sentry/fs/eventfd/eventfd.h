/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/vfs/vfs.h"

/* flags: EFD_SEMAPHORE, EFD_NONBLOCK */
must_check int eventfd_new(uint32_t count, unsigned flags, struct file **out);
/* The kernel adds n: a counter that is full stays at its greatest value, which poll shows as an error. */
int eventfd_signal(struct file *f, uint64_t n);
