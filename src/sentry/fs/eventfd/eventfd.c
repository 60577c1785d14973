/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd(2): a 64-bit counter. */
#include "sentry/fs/eventfd/eventfd.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"

struct eventfd {
	struct mutex lock;	/* RANK_OBJECT */
	struct waitq wq;
	uint64_t count;		/* lock */
	bool semaphore;		/* I */
	uint32_t id;		/* I */
};

static KCACHE(eventfd_cache, struct eventfd, 0);
static uint32_t eventfd_ids;

static bool take(struct eventfd *e, uint64_t *val)
{
	bool ok;

	mutex_lock(&e->lock);
	ok = e->count > 0;
	if (ok) {
		*val = e->semaphore ? 1 : e->count;
		e->count -= *val;
	}
	mutex_unlock(&e->lock);
	return ok;
}

static bool add(struct eventfd *e, uint64_t val)
{
	bool ok;

	mutex_lock(&e->lock);
	ok = UINT64_MAX - e->count > val;
	if (ok)
		e->count += val;
	mutex_unlock(&e->lock);
	return ok;
}

static int64_t eventfd_read_op(struct file *f, struct uio *u, int64_t *pos)
{
	struct eventfd *e = f->priv;
	uint64_t val = 0;
	int r;

	if (u->left < sizeof(val))
		return -EINVAL;
	r = uio_check(u, sizeof(val), true);
	if (r)
		return r;
	if (!take(e, &val)) {
		if ((f->flags & O_NONBLOCK) || !current)
			return -EAGAIN;
		r = wait_event(current, &e->wq, WAIT_FOREVER, take(e, &val));
		if (r)
			return r;
	}
	wq_wake(&e->wq, EPOLLOUT | EPOLLWRNORM, 0);
	return uio_put(u, &val, sizeof(val));
}

static int64_t eventfd_write_op(struct file *f, struct uio *u, int64_t *pos)
{
	struct eventfd *e = f->priv;
	uint64_t val;
	int64_t n;
	int r;

	if (u->left < sizeof(val))
		return -EINVAL;
	n = uio_get(u, &val, sizeof(val));
	if (n != sizeof(val))
		return -EFAULT;
	if (val == UINT64_MAX)
		return -EINVAL;
	if (!add(e, val)) {
		if ((f->flags & O_NONBLOCK) || !current)
			return -EAGAIN;
		r = wait_event(current, &e->wq, WAIT_FOREVER, add(e, val));
		if (r)
			return r;
	}
	wq_wake(&e->wq, EPOLLIN | EPOLLRDNORM, 0);
	return sizeof(val);
}

int eventfd_signal(struct file *f, uint64_t n)
{
	struct eventfd *e = f->priv;

	if (f->fops != FOPS_eventfd)
		return -EINVAL;
	mutex_lock(&e->lock);
	e->count += min(n, UINT64_MAX - e->count);
	n = e->count;
	mutex_unlock(&e->lock);
	wq_wake(&e->wq, EPOLLIN | EPOLLRDNORM | (n == UINT64_MAX ? EPOLLERR : 0u), 0);
	return 0;
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->priv;
	uint32_t mask = 0;
	uint64_t n;

	poll_wait(pt, f, &e->wq);
	mutex_lock(&e->lock);
	n = e->count;
	mutex_unlock(&e->lock);
	if (n > 0)
		mask |= EPOLLIN;
	if (n == UINT64_MAX)
		mask |= EPOLLERR;
	if (UINT64_MAX - 1 > n)
		mask |= EPOLLOUT;
	return mask;
}

static void eventfd_show_fdinfo(struct file *f, struct buf *b)
{
	struct eventfd *e = f->priv;

	buf_fmt(b, "eventfd-count: %16llx\neventfd-id: %u\neventfd-semaphore: %d\n",
		(unsigned long long)READ_ONCE(e->count), e->id, e->semaphore);
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->priv;

	wq_destroy(&e->wq);
	kc_free(&eventfd_cache, e);
}

const struct file_ops eventfd_file_ops = {
	.release = eventfd_release,
	.read = eventfd_read_op,
	.write = eventfd_write_op,
	.poll = eventfd_poll,
	.show_fdinfo = eventfd_show_fdinfo,
};

int eventfd_new(uint32_t count, unsigned flags, struct file **out)
{
	struct eventfd *e = kc_alloc(&eventfd_cache);
	struct inode *i;
	int r;

	if (!e)
		return -ENOMEM;
	mutex_init(&e->lock, RANK_OBJECT);
	wq_init(&e->wq);
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	e->id = __atomic_fetch_add(&eventfd_ids, 1, __ATOMIC_RELAXED);
	r = inode_anon(0600, current->cred, &i);
	if (r == 0)
		r = file_anon("anon_inode:[eventfd]", i, FOPS_eventfd,
			      FMODE_READ | FMODE_WRITE | FMODE_STREAM, O_RDWR | (flags & O_NONBLOCK),
			      current->cred, out);
	if (r) {
		kc_free(&eventfd_cache, e);
		return r;
	}
	(*out)->priv = e;
	return 0;
}
