/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch of file events to watches. One lock: events are rare, and none are sent for free when
 * nobody watches (a counter is looked at first). */
#include "sentry/vfs/notify.h"
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/vfs/vfs_int.h"

struct notify {
	struct mutex lock;	/* RANK_NOTIFY */
	uint32_t nr;		/* watches, atomic */
};

void (*notify_deliver)(struct watch *w, uint32_t mask, uint32_t cookie, const char *name, size_t len);
static KCACHE(notify_cache, struct notify, 1);
static struct notify *nf;

int notify_init(void)
{
	nf = kc_alloc(&notify_cache);
	if (!nf)
		return -ENOMEM;
	mutex_init(&nf->lock, RANK_NOTIFY);
	return 0;
}

static bool nobody(void)
{
	return likely(!__atomic_load_n(&nf->nr, __ATOMIC_RELAXED));
}

void notify_add_watch(struct watch *w)
{
	mutex_lock(&nf->lock);
	list_add_tail(&w->inode->watches, &w->inode_link);
	__atomic_fetch_add(&nf->nr, 1, __ATOMIC_RELAXED);
	mutex_unlock(&nf->lock);
}

static void unlink_locked(struct watch *w)
{
	list_del(&w->inode_link);
	__atomic_fetch_sub(&nf->nr, 1, __ATOMIC_RELAXED);
}

bool notify_del_watch(struct watch *w)
{
	mutex_lock(&nf->lock);
	bool linked = !list_empty(&w->inode_link);
	if (linked)
		unlink_locked(w);
	mutex_unlock(&nf->lock);
	return linked;
}

struct watch *notify_find(struct inode *i, void *group)
{
	struct watch *w, *found = NULL;

	mutex_lock(&nf->lock);
	list_for_each(w, &i->watches, inode_link) {
		if (w->group == group) {
			found = w;
			break;
		}
	}
	mutex_unlock(&nf->lock);
	return found;
}

void notify_set_mask(struct watch *w, uint32_t mask)
{
	mutex_lock(&nf->lock);
	w->mask = mask;
	mutex_unlock(&nf->lock);
}

static void send_locked(struct inode *i, uint32_t mask, uint32_t cookie, const char *name, size_t len,
			bool unlinked)
{
	struct watch *w, *tmp;
	bool gone = mask & (IN_DELETE_SELF | IN_UNMOUNT);

	list_for_each_safe(w, tmp, &i->watches, inode_link) {
		uint32_t hit = mask & w->mask & IN_ALL_EVENTS;
		if (hit && !(unlinked && (w->mask & IN_EXCL_UNLINK)))
			notify_deliver(w, hit | (mask & IN_ISDIR), cookie, name, len);
		if (gone || (hit && (w->mask & IN_ONESHOT))) {
			unlink_locked(w);
			notify_deliver(w, IN_IGNORED, 0, NULL, 0);
		}
	}
}

void notify_inode(struct inode *i, uint32_t mask)
{
	if (nobody() || !notify_deliver)
		return;
	if (S_ISDIR(i->mode) && !(mask & (IN_DELETE_SELF | IN_MOVE_SELF)))
		mask |= IN_ISDIR;
	mutex_lock(&nf->lock);
	send_locked(i, mask, 0, NULL, 0, false);
	mutex_unlock(&nf->lock);
}

void notify_name(struct inode *dir, const char *name, size_t len, uint32_t mask, uint32_t cookie)
{
	if (nobody() || !notify_deliver)
		return;
	mutex_lock(&nf->lock);
	send_locked(dir, mask, cookie, name, len, false);
	mutex_unlock(&nf->lock);
}

void notify_child_of(struct inode *dir, struct dentry *d, uint32_t mask)
{
	notify_name(dir, d->name, d->name_len, mask, 0);
}

void notify_child(struct dentry *d, uint32_t mask, uint32_t cookie)
{
	char name[NAME_MAX_LEN + 1];
	struct inode *dir = NULL, *i;
	size_t len = 0;

	if (nobody() || !notify_deliver)
		return;
	mutex_lock(dcache_lock);
	i = d->inode;
	bool unlinked = d->flags & D_UNLINKED;
	if (d->parent != d) {
		dir = inode_get(d->parent->inode);
		len = d->name_len;
		memcpy(name, d->name, len);
		name[len] = 0;
	}
	mutex_unlock(dcache_lock);
	if (i && S_ISDIR(i->mode))
		mask |= IN_ISDIR;
	mutex_lock(&nf->lock);
	if (dir)
		send_locked(dir, mask, cookie, name, len, unlinked);
	if (i && !(mask & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)))
		send_locked(i, mask, cookie, NULL, 0, false);
	mutex_unlock(&nf->lock);
	inode_put(dir);
}
