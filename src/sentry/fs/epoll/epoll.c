/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoll instances.
 *
 * Locks: topology_lock covers which epoll watches which file (file->epitems, every item tree) and
 * is taken by ctl and by the end of files; ep->lock covers the items of one instance while they
 * are polled and delivered (nested instances: outer first, there are no loops); ep->rlock, a leaf
 * below the wait queues, covers the ready list, since wake-ups come with a queue locked.
 *
 * An item is linked in ep->ready exactly when its file may have news. A wake-up links it; delivery
 * unlinks it, polls, and links it again if it is level-triggered and still ready.
 */
#include "sentry/fs/epoll/epoll.h"
#include <errno.h>
#include <fcntl.h>
#include "lib/fmt.h"
#include "lib/rbtree.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/task/task.h"

#define EP_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EP_EXCLUSIVE_OK (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | (EP_PRIVATE & ~EPOLLONESHOT))
#define EP_NESTS 4

struct epwait {
	struct waiter w;
	struct epwait *next;
};

struct eventpoll {
	struct mutex lock;	/* RANK_EPOLL */
	struct mutex rlock;	/* RANK_EPOLL_READY */
	struct list ready;	/* rlock; struct epitem.ready_link */
	struct waitq wq;	/* epoll_wait, and who polls the instance */
	struct rb_root items;	/* topology_lock and lock */
	struct file *file;	/* borrowed: the instance's own */
	uint32_t count;
	uint32_t visit;		/* topology_lock: last loop check that came by */
};

struct epitem {
	struct rb_node rb;
	struct list file_link;	/* topology_lock; in file->epitems */
	struct list ready_link;	/* ep->rlock */
	struct eventpoll *ep;	/* borrowed: owns this item */
	struct file *file;	/* borrowed: epoll_file_gone removes the item */
	int fd;
	uint32_t events;	/* a */
	uint64_t data;
	struct epwait first;
	bool first_used;
};

struct ep_table {
	struct poll_table pt;
	struct epitem *item;
	int err;
};

static KCACHE(eventpoll_cache, struct eventpoll, 0);
static KCACHE(epitem_cache, struct epitem, 0);
static KCACHE(epwait_cache, struct epwait, 0);

static struct mutex topology_lock = MUTEX_INIT(RANK_EPOLL_TREE);
static uint64_t watches;	/* topology_lock */
static uint32_t visit_gen;	/* topology_lock */

bool file_is_epoll(const struct file *f)
{
	return f->fops == FOPS_epoll;
}

uint32_t epoll_item_count(const struct file *ef)
{
	return ((struct eventpoll *)ef->priv)->count;
}

static void mark_ready(struct epitem *it)
{
	struct eventpoll *ep = it->ep;

	mutex_lock(&ep->rlock);
	if (list_empty(&it->ready_link))
		list_add_tail(&ep->ready, &it->ready_link);
	mutex_unlock(&ep->rlock);
}

/* A watched file has news; the file's queue is locked. */
static void epoll_wakeup(struct waiter *w, uint32_t events)
{
	struct epitem *it = w->owner;
	uint32_t want = READ_ONCE(it->events);

	if (!(want & ~EP_PRIVATE) || !(events & want))
		return;
	mark_ready(it);
	wq_wake(&it->ep->wq, EPOLLIN | EPOLLRDNORM, 1);
}

void epoll_start(void)
{
	wait_set_handler(WAIT_EPOLL, epoll_wakeup);
}

/* --- items -------------------------------------------------------------------------------- */

static void ep_queue(struct poll_table *pt, struct file *f, struct waitq *wq)
{
	struct ep_table *tab = container_of(pt, struct ep_table, pt);
	struct epitem *it = tab->item;
	struct epwait *ew = &it->first;

	if (it->first_used) {
		ew = kc_alloc(&epwait_cache);
		if (!ew) {
			tab->err = -ENOMEM;
			return;
		}
		ew->next = it->first.next;
		it->first.next = ew;
	}
	it->first_used = true;
	if (it->events & EPOLLEXCLUSIVE)
		wait_add_exclusive(&ew->w, wq, WAIT_EPOLL, it, ~0u);
	else
		wait_add(&ew->w, wq, WAIT_EPOLL, it, ~0u);
}

static uint32_t item_poll(struct epitem *it, struct poll_table *pt)
{
	return vfs_poll(it->file, pt) & READ_ONCE(it->events);
}

static int item_cmp(const struct file *f, int fd, const struct epitem *it)
{
	if (f != it->file)
		return f < it->file ? -1 : 1;
	return fd < it->fd ? -1 : fd > it->fd;
}

static struct epitem *item_find(struct eventpoll *ep, const struct file *f, int fd)
{
	struct rb_node *n = ep->items.node;

	while (n) {
		struct epitem *it = container_of(n, struct epitem, rb);
		int c = item_cmp(f, fd, it);

		if (c == 0)
			return it;
		n = c < 0 ? n->left : n->right;
	}
	return NULL;
}

static void item_link(struct eventpoll *ep, struct epitem *new)
{
	struct rb_node **link = &ep->items.node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = item_cmp(new->file, new->fd, container_of(parent, struct epitem, rb)) < 0
			? &parent->left : &parent->right;
	}
	rb_insert(&ep->items, parent, link, &new->rb);
	list_add_tail(&new->file->epitems, &new->file_link);
	ep->count++;
	watches++;
}

/* Both locks held. */
static void item_remove(struct eventpoll *ep, struct epitem *it)
{
	struct epwait *ew;

	if (it->first_used)
		wait_end(&it->first.w);
	while ((ew = it->first.next)) {
		it->first.next = ew->next;
		wait_end(&ew->w);
		kc_free(&epwait_cache, ew);
	}
	mutex_lock(&ep->rlock);
	list_del(&it->ready_link);
	mutex_unlock(&ep->rlock);
	list_del(&it->file_link);
	rb_erase(&ep->items, &it->rb);
	ep->count--;
	watches--;
	kc_free(&epitem_cache, it);
}

/* --- loops -------------------------------------------------------------------------------- */

/* Nesting below ep, or -ELOOP when `seek` is reachable or it is too deep. topology_lock held. */
static int depth_below(struct eventpoll *ep, const struct eventpoll *seek, int level)
{
	int deepest = 0;

	if (ep == seek || level > EP_NESTS)
		return -ELOOP;
	if (ep->visit == visit_gen)
		return 0;
	ep->visit = visit_gen;
	for (struct rb_node *n = rb_first(&ep->items); n; n = rb_next(n)) {
		struct epitem *it = container_of(n, struct epitem, rb);
		int d;

		if (!file_is_epoll(it->file))
			continue;
		d = depth_below(it->file->priv, seek, level + 1);
		if (d < 0)
			return d;
		deepest = max(deepest, d + 1);
	}
	return deepest;
}

static int depth_above(const struct eventpoll *ep, int level)
{
	const struct epitem *it;
	int highest = 0;

	if (level > EP_NESTS)
		return level;
	list_for_each(it, &ep->file->epitems, file_link)
		highest = max(highest, 1 + depth_above(it->ep, level + 1));
	return highest;
}

static int check_nesting(struct eventpoll *ep, struct file *target)
{
	int below;

	if (!file_is_epoll(target))
		return 0;
	visit_gen++;
	below = depth_below(target->priv, ep, 0);
	if (below < 0)
		return below;
	return below + 1 + depth_above(ep, 0) > EP_NESTS ? -ELOOP : 0;
}

/* --- control ------------------------------------------------------------------------------ */

static int item_add(struct eventpoll *ep, struct file *target, int fd,
		    const struct l_epoll_event *ev)
{
	struct ep_table tab = {.pt = {.queue = ep_queue, .events = ev->events}};
	struct epitem *it;
	uint32_t now;
	int r = check_nesting(ep, target);

	if (r)
		return r;
	if (watches >= (uint64_t)sysctl_get(SYSCTL_epoll_watches))
		return -ENOSPC;
	it = kc_alloc(&epitem_cache);
	if (!it)
		return -ENOMEM;
	it->ep = ep, it->file = target, it->fd = fd;
	it->events = ev->events, it->data = ev->data;
	list_init(&it->file_link);
	list_init(&it->ready_link);
	tab.item = it;
	mutex_lock(&ep->lock);
	item_link(ep, it);
	now = item_poll(it, &tab.pt);
	if (tab.err)
		item_remove(ep, it);
	else if (now)
		mark_ready(it);
	mutex_unlock(&ep->lock);
	if (!tab.err && now)
		wq_wake(&ep->wq, EPOLLIN | EPOLLRDNORM, 1);
	return tab.err;
}

static int item_modify(struct eventpoll *ep, struct epitem *it, const struct l_epoll_event *ev)
{
	struct poll_table pt = {.queue = NULL, .events = ev->events};
	uint32_t now;

	if (it->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	mutex_lock(&ep->lock);
	WRITE_ONCE(it->events, ev->events);
	it->data = ev->data;
	/* Events first, then the state: a wake-up in between sees the new events. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	now = item_poll(it, &pt);
	if (now)
		mark_ready(it);
	mutex_unlock(&ep->lock);
	if (now)
		wq_wake(&ep->wq, EPOLLIN | EPOLLRDNORM, 1);
	return 0;
}

int epoll_ctl_file(struct file *ef, int op, struct file *target, int fd,
		   const struct l_epoll_event *ev)
{
	struct l_epoll_event e = ev ? *ev : (struct l_epoll_event){0};
	struct eventpoll *ep = ef->priv;
	struct epitem *it;
	int r = -EINVAL;

	if (!file_ops(target)->poll)
		return -EPERM;
	if (ef == target)
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && (e.events & EPOLLEXCLUSIVE) &&
	    (op == EPOLL_CTL_MOD || file_is_epoll(target) || (e.events & ~EP_EXCLUSIVE_OK)))
		return -EINVAL;
	e.events = (e.events & ~EPOLLWAKEUP) | EPOLLERR | EPOLLHUP;
	mutex_lock(&topology_lock);
	it = item_find(ep, target, fd);
	switch (op) {
	case EPOLL_CTL_ADD:
		r = it ? -EEXIST : item_add(ep, target, fd, &e);
		break;
	case EPOLL_CTL_MOD:
		r = it ? item_modify(ep, it, &e) : -ENOENT;
		break;
	case EPOLL_CTL_DEL:
		r = it ? 0 : -ENOENT;
		if (it) {
			mutex_lock(&ep->lock);
			item_remove(ep, it);
			mutex_unlock(&ep->lock);
		}
		break;
	}
	mutex_unlock(&topology_lock);
	return r;
}

void epoll_file_gone(struct file *f)
{
	struct epitem *it;

	if (list_empty(&f->epitems))
		return;
	mutex_lock(&topology_lock);
	while ((it = list_first(&f->epitems, struct epitem, file_link))) {
		struct eventpoll *ep = it->ep;

		mutex_lock(&ep->lock);
		item_remove(ep, it);
		mutex_unlock(&ep->lock);
	}
	mutex_unlock(&topology_lock);
}

static void epoll_release(struct file *f)
{
	struct eventpoll *ep = f->priv;
	struct rb_node *n;

	mutex_lock(&topology_lock);
	mutex_lock(&ep->lock);
	while ((n = rb_first(&ep->items)))
		item_remove(ep, container_of(n, struct epitem, rb));
	mutex_unlock(&ep->lock);
	mutex_unlock(&topology_lock);
	wq_destroy(&ep->wq);
	kc_free(&eventpoll_cache, ep);
}

/* --- delivery ----------------------------------------------------------------------------- */

static bool has_ready(struct eventpoll *ep)
{
	bool ready;

	mutex_lock(&ep->rlock);
	ready = !list_empty(&ep->ready);
	mutex_unlock(&ep->rlock);
	return ready;
}

static struct epitem *pop(struct eventpoll *ep, struct list *from)
{
	struct epitem *it;

	mutex_lock(&ep->rlock);
	it = list_first(from, struct epitem, ready_link);
	if (it)
		list_del(&it->ready_link);
	mutex_unlock(&ep->rlock);
	return it;
}

static void take_ready(struct eventpoll *ep, struct list *to)
{
	list_init(to);
	mutex_lock(&ep->rlock);
	list_splice_tail(to, &ep->ready);
	mutex_unlock(&ep->rlock);
}

/* What was not looked at goes back to the front. */
static void give_back(struct eventpoll *ep, struct list *rest)
{
	mutex_lock(&ep->rlock);
	list_splice_tail(rest, &ep->ready);
	list_splice_tail(&ep->ready, rest);
	mutex_unlock(&ep->rlock);
}

static int collect(struct eventpoll *ep, struct l_epoll_event *out, uint32_t max)
{
	struct poll_table pt = {.queue = NULL};
	struct list todo;
	struct epitem *it;
	uint32_t n = 0;

	mutex_lock(&ep->lock);
	take_ready(ep, &todo);
	while (n < max && (it = pop(ep, &todo))) {
		uint32_t now;

		pt.events = it->events;
		now = item_poll(it, &pt);
		if (!now)
			continue;
		out[n++] = (struct l_epoll_event){now, it->data};
		if (it->events & EPOLLONESHOT)
			WRITE_ONCE(it->events, it->events & EP_PRIVATE);
		else if (!(it->events & EPOLLET))
			mark_ready(it);
	}
	give_back(ep, &todo);
	mutex_unlock(&ep->lock);
	if (n && wq_active(&ep->wq) && has_ready(ep))
		wq_wake(&ep->wq, EPOLLIN | EPOLLRDNORM, 1);
	return (int)n;
}

int epoll_wait_file(struct file *ef, struct l_epoll_event *out, uint32_t max, uint64_t deadline)
{
	struct eventpoll *ep = ef->priv;
	struct waiter w;
	int n, r = 0;

	for (;;) {
		n = has_ready(ep) ? collect(ep, out, max) : 0;
		if (n || deadline == 0)
			return n;
		if (r)
			return r == -ETIMEDOUT ? 0 : -EINTR;
		wait_begin_exclusive(&w, &ep->wq, current);
		while (!has_ready(ep) && !r)
			r = wait_sleep(current, WAIT_INTERRUPTIBLE, deadline);
		wait_end(&w);
	}
}

static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
	struct eventpoll *ep = f->priv;
	struct poll_table none = {.queue = NULL};
	struct list todo;
	struct epitem *it;
	uint32_t mask = 0;

	poll_wait(pt, f, &ep->wq);
	if (!has_ready(ep))
		return 0;
	mutex_lock_nested(&ep->lock);
	take_ready(ep, &todo);
	while (!mask && (it = pop(ep, &todo))) {
		none.events = it->events;
		if (!item_poll(it, &none))
			continue;
		mark_ready(it);
		mask = EPOLLIN | EPOLLRDNORM;
	}
	give_back(ep, &todo);
	mutex_unlock(&ep->lock);
	return mask;
}

static void epoll_show_fdinfo(struct file *f, struct buf *b)
{
	struct eventpoll *ep = f->priv;

	mutex_lock(&topology_lock);
	for (struct rb_node *n = rb_first(&ep->items); n; n = rb_next(n)) {
		struct epitem *it = container_of(n, struct epitem, rb);

		buf_fmt(b, "tfd: %8d events: %8x data: %16llx  pos:%lli ino:%lx sdev:%x\n", it->fd,
			it->events, (unsigned long long)it->data, (long long)it->file->pos,
			(unsigned long)it->file->inode->ino, (unsigned)it->file->inode->sb->dev);
	}
	mutex_unlock(&topology_lock);
}

const struct file_ops epoll_file_ops = {
	.release = epoll_release,
	.poll = epoll_poll,
	.show_fdinfo = epoll_show_fdinfo,
};

int epoll_new(unsigned flags, struct file **out)
{
	struct eventpoll *ep = kc_alloc(&eventpoll_cache);
	struct inode *i;
	struct file *f;
	int r;

	if (!ep)
		return -ENOMEM;
	mutex_init(&ep->lock, RANK_EPOLL);
	mutex_init(&ep->rlock, RANK_EPOLL_READY);
	list_init(&ep->ready);
	wq_init(&ep->wq);
	r = inode_anon(0600, current->cred, &i);
	if (r == 0)
		r = file_anon("anon_inode:[eventpoll]", i, FOPS_epoll, FMODE_READ | FMODE_WRITE | FMODE_STREAM,
			      O_RDWR | flags, current->cred, &f);
	if (r) {
		kc_free(&eventpoll_cache, ep);
		return r;
	}
	f->priv = ep;
	ep->file = f;
	*out = f;
	return 0;
}
