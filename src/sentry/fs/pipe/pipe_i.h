/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between pipe.c (the ring) and fifo.c (life of a pipe, limits). */
#include "sentry/fs/pipe/pipe.h"

struct poll_table;

int64_t pipe_read(struct file *f, struct uio *u, int64_t *pos);
int64_t pipe_write(struct file *f, struct uio *u, int64_t *pos);
uint32_t pipe_poll(struct file *f, struct poll_table *pt);
int64_t pipe_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg);
