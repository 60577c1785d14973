/* SPDX-License-Identifier: Apache-2.0 */
/* epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2 */
#include <errno.h>
#include <limits.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/fs/epoll/epoll.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/syscalls/sigmask.h"

#define EV_STACK 16u
#define EV_MAX 65536u	/* one call gives at most so many; the next ones give the rest */

static int64_t do_create(struct task *t, uint32_t flags)
{
	struct file *f;
	int r;

	if (flags & ~(uint32_t)EPOLL_CLOEXEC)
		return -EINVAL;
	r = epoll_new(0, &f);
	return r ? r : fd_add(t, f, flags & EPOLL_CLOEXEC);
}

int64_t sys_epoll_create(struct task *t, const struct sysargs *a)
{
	return ARG_INT(0) <= 0 ? -EINVAL : do_create(t, 0);
}

int64_t sys_epoll_create1(struct task *t, const struct sysargs *a)
{
	return do_create(t, ARG_U32(0));
}

int64_t sys_epoll_ctl(struct task *t, const struct sysargs *a)
{
	int op = ARG_INT(1), fd = ARG_INT(2), r;
	struct l_epoll_event ev;
	struct file *ef, *target;

	if (op != EPOLL_CTL_DEL) {
		r = get_user(t, ev, ARG_UADDR(3));
		if (r)
			return r;
	}
	ef = fd_get(t, ARG_INT(0));
	if (!ef)
		return -EBADF;
	target = fd_get(t, fd);
	if (!target)
		r = -EBADF;
	else if (!file_ops(target)->poll)
		r = -EPERM;
	else if (!file_is_epoll(ef))
		r = -EINVAL;
	else
		r = epoll_ctl_file(ef, op, target, fd, op != EPOLL_CTL_DEL ? &ev : NULL);
	if (target)
		file_put(target);
	file_put(ef);
	return r;
}

static int wait_and_copy(struct task *t, struct file *ef, uint64_t uev, uint32_t max,
			 uint64_t deadline)
{
	struct l_epoll_event stack[EV_STACK], *ev = stack;
	int n, r;

	if (max > EV_STACK) {
		uint32_t useful = min(epoll_item_count(ef), EV_MAX);

		useful = max(useful, EV_STACK);
		max = min(max, useful);
		if (max > EV_STACK)
			ev = kmalloc_array(max, sizeof(*ev));
		if (!ev)
			return -ENOMEM;
	}
	n = epoll_wait_file(ef, ev, max, deadline);
	if (n > 0) {
		r = copy_out(t, UADDR(uev), ev, (size_t)n * sizeof(*ev));
		n = r ? r : n;
	}
	if (ev != stack)
		kfree(ev);
	return n;
}

/* What is taken off an edge-triggered list must arrive: with a bad buffer nothing is taken. */
static int wait_only(struct task *t, struct file *ef, uint64_t deadline)
{
	struct pollent e = {.f = ef, .want = EPOLLIN};
	int r = pollset_wait(t, &e, 1, deadline);

	return r > 0 ? -EFAULT : r == -ERESTARTNOHAND ? -EINTR : r;
}

static int64_t do_wait(struct task *t, int epfd, uint64_t uev, int max, uint64_t deadline)
{
	struct file *ef;
	int r;

	ef = fd_get(t, epfd);
	if (!ef)
		return -EBADF;
	if (max <= 0 || (unsigned)max > INT_MAX / sizeof(struct l_epoll_event) || !file_is_epoll(ef))
		r = -EINVAL;
	else if (access_check(t, UADDR(uev), sizeof(struct l_epoll_event), true))
		r = wait_only(t, ef, deadline);
	else
		r = wait_and_copy(t, ef, uev, (uint32_t)max, deadline);
	file_put(ef);
	return r;
}

int64_t sys_epoll_wait(struct task *t, const struct sysargs *a)
{
	return do_wait(t, ARG_INT(0), a->a[1], ARG_INT(2), timeout_ms_deadline(ARG_INT(3)));
}

int64_t sys_epoll_pwait(struct task *t, const struct sysargs *a)
{
	int64_t r = sigmask_begin(t, ARG_UADDR(4), a->a[5]);

	if (r)
		return r;
	r = do_wait(t, ARG_INT(0), a->a[1], ARG_INT(2), timeout_ms_deadline(ARG_INT(3)));
	sigmask_end(t, r == -EINTR);
	return r;
}

int64_t sys_epoll_pwait2(struct task *t, const struct sysargs *a)
{
	uint64_t deadline = WAIT_FOREVER;
	struct l_timespec ts;
	int64_t r;

	if (a->a[3]) {
		r = get_user(t, ts, ARG_UADDR(3));
		if (r)
			return r;
		r = timeout_deadline(ts.sec, ts.nsec, &deadline);
		if (r)
			return r;
	}
	r = sigmask_begin(t, ARG_UADDR(4), a->a[5]);
	if (r)
		return r;
	r = do_wait(t, ARG_INT(0), a->a[1], ARG_INT(2), deadline);
	sigmask_end(t, r == -EINTR);
	return r;
}
