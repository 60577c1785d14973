/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd_create(2). A periodic timer is not armed again before somebody looks: the expirations in
 * between are counted then, so that a short interval costs nothing while nobody reads.
 */
#include "sentry/fs/timerfd/timerfd.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/timerfd.h>
#include "host/time.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/time/time.h"
#include "sentry/vfs/poll.h"

struct timerfd {
	struct mutex lock;	/* RANK_OBJECT */
	struct waitq wq;
	struct ktimer timer;
	uint64_t ticks, interval, deadline;	/* lock; deadline on `base` */
	int clock, base;	/* I */
	uint32_t settime_flags;	/* lock */
	bool armed, expired;	/* lock: expired and, if periodic, not yet armed again */
};

static KCACHE(timerfd_cache, struct timerfd, 0);

static uint64_t now_of(const struct timerfd *tf)
{
	return (uint64_t)h_clock_ns(tf->base);
}

/* Also called by who looks before the timer thread had its turn; true when it has just expired. */
static bool expire_locked(struct timerfd *tf)
{
	if (!tf->armed || tf->expired || now_of(tf) < tf->deadline)
		return false;
	tf->expired = true;
	tf->ticks++;
	return true;
}

static void timerfd_fire(struct ktimer *k)
{
	struct timerfd *tf = k->owner;
	bool wake;

	mutex_lock(&tf->lock);
	wake = expire_locked(tf) || tf->ticks;
	mutex_unlock(&tf->lock);
	if (wake)
		wq_wake(&tf->wq, EPOLLIN, 0);
}

void timerfd_start(void)
{
	ktimer_set_handler(KT_TIMERFD, timerfd_fire);
}

/* Counts what has gone by since the expiry and arms the next one. */
static void forward_locked(struct timerfd *tf)
{
	uint64_t now, more;

	if (!tf->expired)
		return;
	tf->expired = false;
	if (!tf->interval) {
		tf->armed = false;
		return;
	}
	now = now_of(tf);
	more = now > tf->deadline ? (now - tf->deadline) / tf->interval : 0;
	tf->ticks += more;
	tf->deadline += (more + 1) * tf->interval;
	ktimer_arm(&tf->timer, tf->base, tf->deadline);
}

static bool take_ticks(struct timerfd *tf, uint64_t *ticks)
{
	bool any;

	mutex_lock(&tf->lock);
	expire_locked(tf);
	any = tf->ticks > 0;
	if (any) {
		forward_locked(tf);
		*ticks = tf->ticks;
		tf->ticks = 0;
	}
	mutex_unlock(&tf->lock);
	return any;
}

static int64_t timerfd_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct timerfd *tf = f->priv;
	uint64_t ticks = 0;
	int r;

	if (u->left < sizeof(ticks))
		return -EINVAL;
	r = uio_check(u, sizeof(ticks), true);
	if (r)
		return r;
	if (!take_ticks(tf, &ticks)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_event(current, &tf->wq, WAIT_FOREVER, take_ticks(tf, &ticks));
		if (r)
			return r;
	}
	return uio_put(u, &ticks, sizeof(ticks));
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *tf = f->priv;

	bool any;

	poll_wait(pt, f, &tf->wq);
	mutex_lock(&tf->lock);
	expire_locked(tf);
	any = tf->ticks > 0;
	mutex_unlock(&tf->lock);
	return any ? EPOLLIN : 0;
}

static void value_locked(const struct timerfd *tf, struct l_itimerspec *out)
{
	uint64_t now = now_of(tf), left = 0;

	if (tf->armed && !tf->expired)
		left = tf->deadline > now ? tf->deadline - now : 1;
	out->value = ns_to_ts(left);
	out->interval = ns_to_ts(tf->interval);
}

static void timerfd_show_fdinfo(struct file *f, struct buf *b)
{
	struct timerfd *tf = f->priv;
	struct l_itimerspec its;

	mutex_lock(&tf->lock);
	value_locked(tf, &its);
	buf_fmt(b, "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n",
		tf->clock, (unsigned long long)tf->ticks, tf->settime_flags, (unsigned long long)its.value.sec,
		(unsigned long long)its.value.nsec, (unsigned long long)its.interval.sec,
		(unsigned long long)its.interval.nsec);
	mutex_unlock(&tf->lock);
}

static void timerfd_release(struct file *f)
{
	struct timerfd *tf = f->priv;

	(void)ktimer_cancel(&tf->timer);
	wq_destroy(&tf->wq);
	kc_free(&timerfd_cache, tf);
}

const struct file_ops timerfd_file_ops = {
	.release = timerfd_release,
	.read = timerfd_read,
	.poll = timerfd_poll,
	.show_fdinfo = timerfd_show_fdinfo,
};

static int base_of(struct task *t, int clock)
{
	switch (clock) {
	case CLOCK_REALTIME: case CLOCK_MONOTONIC: case CLOCK_BOOTTIME:
		return clock;
	case CLOCK_REALTIME_ALARM:
		return task_capable(t, CAP_WAKE_ALARM) ? CLOCK_REALTIME : -EPERM;
	case CLOCK_BOOTTIME_ALARM:
		return task_capable(t, CAP_WAKE_ALARM) ? CLOCK_BOOTTIME : -EPERM;
	}
	return -EINVAL;
}

int timerfd_new(struct task *t, int clock, unsigned flags, struct file **out)
{
	int base = base_of(t, clock), r;
	struct timerfd *tf;
	struct inode *i;

	if (base < 0)
		return base;
	tf = kc_alloc(&timerfd_cache);
	if (!tf)
		return -ENOMEM;
	mutex_init(&tf->lock, RANK_OBJECT);
	wq_init(&tf->wq);
	ktimer_init(&tf->timer, KT_TIMERFD, tf);
	tf->clock = clock, tf->base = base;
	r = inode_anon(0600, t->cred, &i);
	if (r == 0)
		r = file_anon("anon_inode:[timerfd]", i, FOPS_timerfd, FMODE_READ | FMODE_WRITE | FMODE_STREAM,
			      O_RDWR | (flags & O_NONBLOCK), t->cred, out);
	if (r) {
		kc_free(&timerfd_cache, tf);
		return r;
	}
	(*out)->priv = tf;
	return 0;
}

int timerfd_set(struct task *t, struct file *f, unsigned flags, const struct l_itimerspec *its,
		struct l_itimerspec *old)
{
	struct timerfd *tf = f->priv;
	uint64_t value, interval;
	int r;

	if (f->fops != FOPS_timerfd)
		return -EINVAL;
	r = ts_to_ns(&its->value, &value);
	if (r == 0)
		r = ts_to_ns(&its->interval, &interval);
	if (r)
		return r;
	mutex_lock(&tf->lock);
	expire_locked(tf);
	if (tf->expired && tf->interval)
		forward_locked(tf);
	if (old)
		value_locked(tf, old);
	tf->armed = false;	/* a handler on its way finds nothing to do */
	mutex_unlock(&tf->lock);
	(void)ktimer_cancel(&tf->timer);
	mutex_lock(&tf->lock);
	tf->ticks = 0;
	tf->expired = false;
	tf->interval = interval;
	tf->settime_flags = flags;
	tf->armed = value != 0;
	if (tf->armed) {
		if (flags & TFD_TIMER_ABSTIME)
			tf->deadline = clock_to_host(t, tf->base, value);
		else if (__builtin_add_overflow(now_of(tf), value, &tf->deadline))
			tf->deadline = INT64_MAX;
		ktimer_arm(&tf->timer, tf->base, tf->deadline);
	}
	mutex_unlock(&tf->lock);
	return 0;
}

int timerfd_get(struct file *f, struct l_itimerspec *out)
{
	struct timerfd *tf = f->priv;

	if (f->fops != FOPS_timerfd)
		return -EINVAL;
	mutex_lock(&tf->lock);
	expire_locked(tf);
	if (tf->interval)
		forward_locked(tf);
	value_locked(tf, out);
	mutex_unlock(&tf->lock);
	return 0;
}
