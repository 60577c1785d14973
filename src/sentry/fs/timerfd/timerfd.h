/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "abi/stat.h"
#include "sentry/vfs/vfs.h"

struct task;

struct l_itimerspec {
	struct l_timespec interval, value;
};

void timerfd_start(void);
must_check int timerfd_new(struct task *t, int clock, unsigned flags, struct file **out);
/* -EINVAL: not a timerfd. old may be NULL. */
must_check int timerfd_set(struct task *t, struct file *f, unsigned flags, const struct l_itimerspec *its,
			   struct l_itimerspec *old);
must_check int timerfd_get(struct file *f, struct l_itimerspec *out);
