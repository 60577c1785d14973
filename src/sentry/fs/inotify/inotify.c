/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7) instances: watches by number, and the queue of events.
 *
 * Locks: g->lock (an instance's watches) is outside the VFS's notify lock, under which events
 * arrive; g->qlock covers the queue and is inside of it. A watch that the VFS has taken off
 * (IN_IGNORED) is marked and freed by the next call on the instance, since its inode's reference
 * cannot be dropped where events are delivered.
 */
#include "sentry/fs/inotify/inotify.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include "lib/fmt.h"
#include "lib/rbtree.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/task.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/poll.h"

#define MASK_BITS                                                                                  \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW |   \
	 IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

struct inotify {
	struct mutex lock;	/* RANK_FILES */
	struct mutex qlock;	/* RANK_OBJECT */
	struct waitq wq;
	struct list events;	/* qlock; struct inevent.link */
	uint32_t nevents, bytes;/* qlock */
	bool overflow;		/* qlock: the overflow event is queued */
	struct rb_root watches;	/* lock; by wd */
	int32_t next_wd;	/* lock */
};

struct inwatch {
	struct watch w;
	struct rb_node rb;
	bool gone;		/* a: taken off by the VFS */
};

struct inevent {
	struct list link;
	int32_t wd;
	uint32_t mask, cookie, len;	/* len: of name with padding */
	char name[];
};

struct l_inotify_event {
	int32_t wd;
	uint32_t mask, cookie, len;
};

static KCACHE(inotify_cache, struct inotify, 0);
static KCACHE(inwatch_cache, struct inwatch, 0);

static uint32_t nr_instances, nr_watches;	/* a */

/* --- the queue -------------------------------------------------------------------------------- */

static struct inevent *event_make(int32_t wd, uint32_t mask, uint32_t cookie, const char *name, size_t len)
{
	uint32_t pad = len ? ((uint32_t)len + 16) & ~15u : 0;	/* with at least one NUL */
	struct inevent *e = kmalloc(sizeof(*e) + pad);

	if (!e)
		return NULL;
	list_init(&e->link);
	e->wd = wd, e->mask = mask, e->cookie = cookie, e->len = pad;
	if (len)
		__builtin_memcpy(e->name, name, len);
	return e;
}

static bool same_as_last(const struct inotify *g, const struct inevent *e)
{
	const struct inevent *l;

	if (list_empty(&g->events))
		return false;
	l = list_entry(g->events.prev, struct inevent, link);
	return l->wd == e->wd && l->mask == e->mask && l->cookie == e->cookie && l->len == e->len &&
	       !__builtin_memcmp(l->name, e->name, e->len);
}

/* Under the notify lock: memory that cannot be had counts as an overflow. */
static void queue_event(struct inotify *g, int32_t wd, uint32_t mask, uint32_t cookie, const char *name, size_t len)
{
	struct inevent *e = event_make(wd, mask, cookie, name, len);
	bool added = false;

	mutex_lock(&g->qlock);
	if (!e || g->nevents >= sysctl_get(SYSCTL_inotify_events)) {
		kfree(e);
		e = g->overflow ? NULL : event_make(-1, IN_Q_OVERFLOW, 0, NULL, 0);
		g->overflow = g->overflow || e;
	} else if (same_as_last(g, e)) {
		kfree(e);
		e = NULL;
	}
	if (e) {
		list_add_tail(&g->events, &e->link);
		g->nevents++;
		g->bytes += (uint32_t)sizeof(struct l_inotify_event) + e->len;
		added = true;
	}
	mutex_unlock(&g->qlock);
	if (added)
		wq_wake(&g->wq, EPOLLIN | EPOLLRDNORM, 0);
}

static void deliver(struct watch *w, uint32_t mask, uint32_t cookie, const char *name, size_t len)
{
	struct inwatch *iw = container_of(w, struct inwatch, w);

	queue_event(w->group, w->wd, mask, cookie, name, len);
	if (mask & IN_IGNORED)
		__atomic_store_n(&iw->gone, true, __ATOMIC_RELEASE);
}

void inotify_start(void)
{
	notify_deliver = deliver;
}

static struct inevent *pop_event(struct inotify *g, uint64_t room, int *err)
{
	struct inevent *e;

	mutex_lock(&g->qlock);
	e = list_first(&g->events, struct inevent, link);
	*err = !e ? -EAGAIN : 0;
	if (e && sizeof(struct l_inotify_event) + e->len > room) {
		*err = -EINVAL;
		e = NULL;
	}
	if (e) {
		list_del(&e->link);
		g->nevents--;
		g->bytes -= (uint32_t)sizeof(struct l_inotify_event) + e->len;
		if (e->mask & IN_Q_OVERFLOW)
			g->overflow = false;
	}
	mutex_unlock(&g->qlock);
	return e;
}

static bool has_events(struct inotify *g)
{
	return !list_empty((const struct list *)&g->events);
}

static int64_t put_event(struct uio *u, const struct inevent *e)
{
	struct l_inotify_event h = {e->wd, e->mask, e->cookie, e->len};
	int64_t n = uio_put(u, &h, sizeof(h)), m = 0;

	if (n == sizeof(h) && e->len)
		m = uio_put(u, e->name, e->len);
	return n < (int64_t)sizeof(h) || m < (int64_t)e->len ? -EFAULT : n + m;
}

static int64_t inotify_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct inotify *g = f->priv;
	int64_t done = 0, r = 0;
	int err;

	for (;;) {
		struct inevent *e;

		r = uio_check(u, min(u->left, (uint64_t)g->bytes), true);
		if (r)
			break;
		e = pop_event(g, u->left, &err);
		if (e) {
			r = put_event(u, e);
			kfree(e);
			if (r < 0)
				break;
			done += r;
			continue;
		}
		r = err;
		if (r != -EAGAIN || done || (f->flags & O_NONBLOCK))
			break;
		r = wait_event(current, &g->wq, WAIT_FOREVER, has_events(g));
		if (r)
			break;
	}
	return done ? done : r;
}

static uint32_t inotify_poll(struct file *f, struct poll_table *pt)
{
	struct inotify *g = f->priv;

	poll_wait(pt, f, &g->wq);
	return has_events(g) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int64_t inotify_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inotify *g = f->priv;
	int v = (int)READ_ONCE(g->bytes);

	return cmd == FIONREAD ? put_user(t, UADDR(arg), v) : -ENOTTY;
}

/* --- watches ---------------------------------------------------------------------------------- */

static struct inwatch *watch_find(struct inotify *g, int32_t wd)
{
	struct rb_node *n = g->watches.node;

	while (n) {
		struct inwatch *iw = container_of(n, struct inwatch, rb);

		if (wd == iw->w.wd)
			return iw;
		n = wd < iw->w.wd ? n->left : n->right;
	}
	return NULL;
}

static void watch_link(struct inotify *g, struct inwatch *new)
{
	struct rb_node **link = &g->watches.node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = new->w.wd < container_of(parent, struct inwatch, rb)->w.wd ? &parent->left : &parent->right;
	}
	rb_insert(&g->watches, parent, link, &new->rb);
	__atomic_fetch_add(&nr_watches, 1, __ATOMIC_RELAXED);
}

/* Off the tree; the inode's reference is the caller's to drop, after g->lock. */
static struct inode *watch_free(struct inotify *g, struct inwatch *iw)
{
	struct inode *i = iw->w.inode;

	rb_erase(&g->watches, &iw->rb);
	__atomic_fetch_sub(&nr_watches, 1, __ATOMIC_RELAXED);
	kc_free(&inwatch_cache, iw);
	return i;
}

/* Frees what the VFS has taken off. */
static void sweep(struct inotify *g)
{
	for (;;) {
		struct inode *dead = NULL;

		mutex_lock(&g->lock);
		for (struct rb_node *n = rb_first(&g->watches); n; n = rb_next(n)) {
			struct inwatch *iw = container_of(n, struct inwatch, rb);

			if (__atomic_load_n(&iw->gone, __ATOMIC_ACQUIRE)) {
				dead = watch_free(g, iw);
				break;
			}
		}
		mutex_unlock(&g->lock);
		if (!dead)
			return;
		inode_put(dead);
	}
}

static int watch_new_locked(struct inotify *g, struct inode *i, uint32_t mask)
{
	struct inwatch *iw;

	if (__atomic_load_n(&nr_watches, __ATOMIC_RELAXED) >= sysctl_get(SYSCTL_inotify_watches))
		return -ENOSPC;
	iw = kc_alloc(&inwatch_cache);
	if (!iw)
		return -ENOMEM;
	list_init(&iw->w.inode_link);
	iw->w.inode = inode_get(i);
	iw->w.group = g;
	iw->w.mask = mask;
	iw->w.wd = ++g->next_wd;
	watch_link(g, iw);
	notify_add_watch(&iw->w);
	return iw->w.wd;
}

int inotify_add(struct file *f, struct inode *i, uint32_t mask)
{
	struct inotify *g = f->priv;
	uint32_t keep = (mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT)) | IN_UNMOUNT;
	struct watch *w;
	int r;

	if (!(mask & MASK_BITS) || (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE))
		return -EINVAL;
	sweep(g);
	mutex_lock(&g->lock);
	w = notify_find(i, g);
	if (!w)
		r = watch_new_locked(g, i, keep);
	else if (mask & IN_MASK_CREATE)
		r = -EEXIST;
	else {
		notify_set_mask(w, mask & IN_MASK_ADD ? w->mask | keep : keep);
		r = w->wd;
	}
	mutex_unlock(&g->lock);
	return r;
}

int inotify_rm(struct file *f, int wd)
{
	struct inotify *g = f->priv;
	struct inode *i = NULL;
	struct inwatch *iw;

	if (f->fops != FOPS_inotify)
		return -EINVAL;
	sweep(g);
	mutex_lock(&g->lock);
	iw = watch_find(g, wd);
	if (iw && notify_del_watch(&iw->w)) {
		queue_event(g, wd, IN_IGNORED, 0, NULL, 0);
		i = watch_free(g, iw);
	}
	mutex_unlock(&g->lock);
	if (i)
		inode_put(i);
	return i ? 0 : -EINVAL;
}

static void inotify_release(struct file *f)
{
	struct inotify *g = f->priv;
	struct inevent *e;
	struct rb_node *n;

	while ((n = rb_first(&g->watches))) {
		struct inwatch *iw = container_of(n, struct inwatch, rb);

		(void)notify_del_watch(&iw->w);
		inode_put(watch_free(g, iw));
	}
	while ((e = list_first(&g->events, struct inevent, link))) {
		list_del(&e->link);
		kfree(e);
	}
	wq_destroy(&g->wq);
	kc_free(&inotify_cache, g);
	__atomic_fetch_sub(&nr_instances, 1, __ATOMIC_RELAXED);
}

static void inotify_show_fdinfo(struct file *f, struct buf *b)
{
	struct inotify *g = f->priv;

	mutex_lock(&g->lock);
	for (struct rb_node *n = rb_last(&g->watches); n; n = rb_prev(n)) {
		struct inwatch *iw = container_of(n, struct inwatch, rb);

		if (!iw->gone)
			buf_fmt(b, "inotify wd:%x ino:%lx sdev:%lx mask:%x ignored_mask:0 \n", iw->w.wd,
				(unsigned long)iw->w.inode->ino, (unsigned long)iw->w.inode->sb->dev,
				iw->w.mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT));
	}
	mutex_unlock(&g->lock);
}

const struct file_ops inotify_file_ops = {
	.release = inotify_release,
	.read = inotify_read,
	.poll = inotify_poll,
	.ioctl = inotify_ioctl,
	.show_fdinfo = inotify_show_fdinfo,
};

int inotify_new(unsigned flags, struct file **out)
{
	struct inotify *g;
	struct inode *i;
	int r;

	if (__atomic_fetch_add(&nr_instances, 1, __ATOMIC_RELAXED) >= sysctl_get(SYSCTL_inotify_instances)) {
		__atomic_fetch_sub(&nr_instances, 1, __ATOMIC_RELAXED);
		return -EMFILE;
	}
	g = kc_alloc(&inotify_cache);
	r = g ? inode_anon(0600, current->cred, &i) : -ENOMEM;
	if (r == 0) {
		mutex_init(&g->lock, RANK_FILES);
		mutex_init(&g->qlock, RANK_OBJECT);
		wq_init(&g->wq);
		list_init(&g->events);
		r = file_anon("anon_inode:inotify", i, FOPS_inotify, FMODE_READ | FMODE_STREAM,
			      O_RDONLY | (flags & O_NONBLOCK), current->cred, out);
	}
	if (r) {
		kc_free(&inotify_cache, g);
		__atomic_fetch_sub(&nr_instances, 1, __ATOMIC_RELAXED);
		return r;
	}
	(*out)->priv = g;
	return 0;
}
