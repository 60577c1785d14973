/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <linux/seccomp.h>
#include "sentry/task/task.h"

struct seccomp_filter *seccomp_get(struct seccomp_filter *f);
void seccomp_put(struct seccomp_filter *f);
/* 0: make the call (number and arguments may have been changed by a tracer: see the registers);
 * 1: *ret is its result; -1: the task is dying. */
int seccomp_check(struct task *t, uint32_t nr, const uint64_t *args, int64_t *ret);
must_check int64_t seccomp_set_filter(struct task *t, uint32_t flags, uint64_t uprog);
must_check int64_t seccomp_set_strict(struct task *t);

/* seccomp_notif.c: a filter's supervisor, who reads and answers through a file. */
struct seccomp_listener;
/* *fd is reserved for *file, which is to be installed there. */
must_check int seccomp_listener_create(struct task *t, bool killable, struct seccomp_listener **out, int *fd,
				       struct file **file);
void seccomp_listener_put(struct seccomp_listener *l);	/* the filter's reference */
/* Asks the supervisor: 0 go on with the call, 1 *ret is its result. */
int seccomp_notify(struct task *t, struct seccomp_listener *l, const struct seccomp_data *d, int64_t *ret);
