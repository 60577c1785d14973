/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd, eventfd2, signalfd, signalfd4, timerfd_create, timerfd_settime, timerfd_gettime */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/fs/timerfd/timerfd.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"

static int64_t do_eventfd(struct task *t, uint32_t count, uint32_t flags)
{
	struct file *f;
	int r;

	if (flags & ~(uint32_t)(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	r = eventfd_new(count, flags, &f);
	return r ? r : fd_add(t, f, flags & EFD_CLOEXEC);
}

int64_t sys_eventfd(struct task *t, const struct sysargs *a)
{
	return do_eventfd(t, ARG_U32(0), 0);
}

int64_t sys_eventfd2(struct task *t, const struct sysargs *a)
{
	return do_eventfd(t, ARG_U32(0), ARG_U32(1));
}

static int64_t do_signalfd(struct task *t, int fd, uaddr_t umask, uint64_t size, uint32_t flags)
{
	struct file *f;
	l_sigset mask;
	int r;

	if (size != sizeof(mask))
		return -EINVAL;
	r = get_user(t, mask, umask);
	if (r)
		return r;
	if (flags & ~(uint32_t)(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	if (fd == -1) {
		r = signalfd_new(mask, flags, &f);
		return r ? r : fd_add(t, f, flags & SFD_CLOEXEC);
	}
	f = fd_get(t, fd);
	if (!f)
		return -EBADF;
	r = signalfd_set_mask(f, mask);
	file_put(f);
	return r ? r : fd;
}

int64_t sys_signalfd(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, ARG_INT(0), ARG_UADDR(1), a->a[2], 0);
}

int64_t sys_signalfd4(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, ARG_INT(0), ARG_UADDR(1), a->a[2], ARG_U32(3));
}

int64_t sys_timerfd_create(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1);
	struct file *f;
	int r;

	if (flags & ~(uint32_t)(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	r = timerfd_new(t, ARG_INT(0), flags, &f);
	return r ? r : fd_add(t, f, flags & TFD_CLOEXEC);
}

int64_t sys_timerfd_settime(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1);
	struct l_itimerspec its, old;
	struct file *f;
	int r = get_user(t, its, ARG_UADDR(2));

	if (r)
		return r;
	if (flags & ~(uint32_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	r = timerfd_set(t, f, flags, &its, &old);
	file_put(f);
	return r || !a->a[3] ? r : put_user(t, ARG_UADDR(3), old);
}

int64_t sys_timerfd_gettime(struct task *t, const struct sysargs *a)
{
	struct l_itimerspec its;
	struct file *f = fd_get(t, ARG_INT(0));
	int r;

	if (!f)
		return -EBADF;
	r = timerfd_get(f, &its);
	file_put(f);
	return r ? r : put_user(t, ARG_UADDR(1), its);
}
