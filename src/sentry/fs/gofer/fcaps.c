/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File capabilities of host files. The host's own attribute is not the guest's to set: what a guest
 * sets is kept here, by the object's identity, for the life of the file system. It holds inside the
 * sandbox only. Without a time of birth an identity may come back, so such files have none.
 */
#include <errno.h>
#include <string.h>
#include <linux/xattr.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer_int.h"

#define GCAPS_MAX 512u		/* files of one file system; the oldest goes */
#define GCAPS_SIZE 24u		/* struct vfs_ns_cap_data */

struct gcaps {
	struct list link;
	uint64_t dev, ino, born;
	uint32_t n;
	uint8_t data[GCAPS_SIZE];
};

static struct gcaps *find_locked(struct gofer_super *gs, const struct gofer_inode *g)
{
	struct gcaps *k;

	if (!gs->ncaps)
		return NULL;
	list_for_each(k, &gs->caps, link)
		if (k->dev == g->dev && k->ino == g->inode.ino && k->born == g->born)
			return k;
	return NULL;
}

void gofer_caps_note(struct gofer_inode *g)
{
	struct gofer_super *gs = gofer_sb(&g->inode);

	if (!READ_ONCE(gs->ncaps))
		return;
	mutex_lock(&gs->lock);
	WRITE_ONCE(g->inode.has_fcaps, find_locked(gs, g) != NULL);
	mutex_unlock(&gs->lock);
}

int64_t gofer_caps_get(struct gofer_inode *g, void *buf, size_t cap)
{
	struct gofer_super *gs = gofer_sb(&g->inode);
	int64_t r = -ENODATA;

	mutex_lock(&gs->lock);
	const struct gcaps *k = find_locked(gs, g);
	if (k) {
		r = k->n;
		if (cap && cap < k->n)
			r = -ERANGE;
		else if (cap)
			memcpy(buf, k->data, k->n);
	}
	mutex_unlock(&gs->lock);
	return r;
}

int gofer_caps_drop(struct gofer_inode *g)
{
	struct gofer_super *gs = gofer_sb(&g->inode);

	mutex_lock(&gs->lock);
	struct gcaps *k = find_locked(gs, g);
	if (k) {
		list_del(&k->link);
		gs->ncaps--;
	}
	WRITE_ONCE(g->inode.has_fcaps, false);
	mutex_unlock(&gs->lock);
	kfree(k);
	return k ? 0 : -ENODATA;
}

int gofer_caps_set(struct gofer_inode *g, const void *buf, size_t n, int flags)
{
	struct gofer_super *gs = gofer_sb(&g->inode);
	struct gcaps *k, *old, *dead = NULL;
	int r = 0;

	if (!S_ISREG(g->inode.mode) || !g->born || n > GCAPS_SIZE)
		return -EOPNOTSUPP;
	k = kmalloc(sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->dev = g->dev, k->ino = g->inode.ino, k->born = g->born;
	k->n = (uint32_t)n;
	memcpy(k->data, buf, n);
	mutex_lock(&gs->lock);
	if (!gs->ncaps)
		list_init(&gs->caps);
	old = find_locked(gs, g);
	if (old && (flags & XATTR_CREATE))
		r = -EEXIST;
	else if (!old && (flags & XATTR_REPLACE))
		r = -ENODATA;
	if (!r) {
		dead = old ? old : gs->ncaps >= GCAPS_MAX ? list_first(&gs->caps, struct gcaps, link) : NULL;
		if (dead)
			list_del(&dead->link);
		else
			gs->ncaps++;
		list_add_tail(&gs->caps, &k->link);
		WRITE_ONCE(g->inode.has_fcaps, true);
	}
	mutex_unlock(&gs->lock);
	kfree(r ? k : dead);
	return r;
}

void gofer_caps_fini(struct gofer_super *gs)
{
	struct gcaps *k;

	while (gs->ncaps && (k = list_first(&gs->caps, struct gcaps, link))) {
		list_del(&k->link);
		gs->ncaps--;
		kfree(k);
	}
}
