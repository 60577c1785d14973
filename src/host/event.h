/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Waiting on the host: futexes, epoll, eventfd, timerfd, poll. All return -errno. */
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include "host/h_syscall.h"
#include "lib/compiler.h"

static inline must_check int h_epoll_create(int flags)
{
	return (int)h_sys1(SYS_epoll_create1, flags);
}
static inline must_check int h_epoll_ctl(int ep, int op, int hfd, struct epoll_event *ev)
{
	return (int)h_sys4(SYS_epoll_ctl, ep, op, hfd, ev);
}
static inline must_check int h_epoll_pwait(int ep, struct epoll_event *ev, int cnt, int timeout_ms)
{
	return (int)h_sys6x(SYS_epoll_pwait, ep, ev, cnt, timeout_ms, NULL, 8);
}
static inline must_check int h_eventfd(unsigned init, int flags)
{
	return (int)h_sys2(SYS_eventfd2, init, flags);
}
static inline must_check int h_timerfd_create(int clock, int flags)
{
	return (int)h_sys2(SYS_timerfd_create, clock, flags);
}
static inline must_check int h_timerfd_settime(int hfd, int flags, const struct itimerspec *its,
			struct itimerspec *old)
{
	return (int)h_sys4(SYS_timerfd_settime, hfd, flags, its, old);
}
static inline must_check int h_poll(struct pollfd *fds, unsigned n, int timeout_ms)
{
	return (int)h_sys3(SYS_poll, fds, n, timeout_ms);
}

/* Process-private unless the name says shared. A NULL timeout waits for ever. */
static inline int h_futex_wait(uint32_t *word, uint32_t val, const struct timespec *rel)
{
	return (int)h_sys4(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, val, rel);
}
/* Until an absolute CLOCK_MONOTONIC time. */
static inline int h_futex_wait_until(uint32_t *word, uint32_t val, const struct timespec *abs)
{
	return (int)h_sys6x(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, val, abs, 0,
			    FUTEX_BITSET_MATCH_ANY);
}
static inline int h_futex_wake(uint32_t *word, int count)
{
	return (int)h_sys3(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
}
static inline int h_futex_wait_shared(uint32_t *word, uint32_t val, const struct timespec *rel)
{
	return (int)h_sys4(SYS_futex, word, FUTEX_WAIT, val, rel);
}
static inline int h_futex_wake_shared(uint32_t *word, int count)
{
	return (int)h_sys3(SYS_futex, word, FUTEX_WAKE, count);
}
static inline int h_futex_requeue_shared(uint32_t *word, int wake, int move, uint32_t *to)
{
	return (int)h_sys5(SYS_futex, word, FUTEX_REQUEUE, wake, move, to);
}
