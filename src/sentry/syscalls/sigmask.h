/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The temporary signal mask and the timeout of ppoll, pselect6, epoll_pwait. */
#include "abi/signal.h"
#include "sentry/task/task.h"

/* A NULL address leaves the mask alone. -EINVAL, -EFAULT. */
must_check int sigmask_begin(struct task *t, uaddr_t mask, uint64_t size);
/* Interrupted: the mask comes back with the handler's frame (R25). Otherwise now. */
void sigmask_end(struct task *t, bool interrupted);

/* Relative timeout to a deadline: 0 for a zero timeout. -EINVAL when out of range. */
must_check int timeout_deadline(int64_t sec, int64_t nsec, uint64_t *deadline);
uint64_t timeout_ms_deadline(int ms);
/* What is left until the deadline, never negative. */
struct l_timespec deadline_left(uint64_t deadline);
