/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes of the overlay: identity, and the copies that changes make. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/overlay/overlay_int.h"

#define COPY_CHUNK (128u << 10)

int inode_stat(struct inode *i, struct kstat *st)
{
	memset(st, 0, sizeof(*st));
	if (inode_ops(i)->getattr)
		return inode_ops(i)->getattr(i, st, 0);
	inode_fill_stat(i, st);
	return 0;
}

uint64_t overlay_ino(const struct overlay_super *ov, uint64_t dev, uint64_t ino)
{
	if (dev == ov->main_dev)
		return ino;
	return ino ^ ((dev * 0x9e3779b97f4a7c15ull) & 0x7fff000000000000ull);
}

static uint32_t id_hash(uint64_t dev, uint64_t ino)
{
	return (uint32_t)((ino ^ dev << 32) * 0x9e3779b97f4a7c15ull >> 32);
}

static uint32_t link_hash(const struct list *link)
{
	const struct tlower *l = container_of(link, struct tlower, hash_link);

	return id_hash(l->dev, l->ino);
}

/* A live node by identity, referenced; ov->lock held. */
static struct tnode *find_locked(struct overlay_super *ov, uint64_t dev, uint64_t ino)
{
	struct tlower *l;

	list_for_each(l, htab_bucket(&ov->hash, id_hash(dev, ino)), hash_link) {
		if (l->ino == ino && l->dev == dev && ref_get_unless_zero(&l->node->inode.ref))
			return l->node;
	}
	return NULL;
}

static void copy_attributes(struct inode *i, const struct kstat *st)
{
	i->mode = st->mode;
	i->uid = st->uid;
	i->gid = st->gid;
	i->atime = st->atime;
	i->mtime = st->mtime;
	i->ctime = st->ctime;
	i->btime = st->btime;
	i->size = st->size;
}

static int new_node(struct super *sb, struct inode **lower, uint32_t n, const struct kstat *st,
		    struct tnode **out)
{
	struct overlay_super *ov = sb->priv;
	/* bounded: OVERLAY_LAYERS_MAX */
	struct tlower *l = kmalloc(sizeof(*l) + n * sizeof(l->inode[0]));
	struct tnode *node;

	if (!l)
		return -ENOMEM;
	int r = tnode_create(sb, NULL, st->mode, st->rdev, NULL, &node);
	if (r) {
		kfree(l);
		return -ENOMEM;
	}
	copy_attributes(&node->inode, st);
	node->inode.nlink = (uint32_t)st->nlink;
	node->inode.ino = overlay_ino(ov, st->dev, st->ino);
	list_init(&l->hash_link);
	l->node = node;
	l->dev = st->dev;
	l->ino = st->ino;
	l->n = n;
	for (uint32_t i = 0; i < n; i++)
		l->inode[i] = inode_get(lower[i]);
	node->low = l;
	*out = node;
	return 0;
}

int overlay_node(struct super *sb, struct inode **lower, uint32_t n, struct inode **out)
{
	struct overlay_super *ov = sb->priv;
	struct tnode *node = NULL, *other;
	struct kstat st;
	int r = inode_stat(lower[0], &st);

	if (!r) {
		mutex_lock(&ov->lock);
		node = find_locked(ov, st.dev, st.ino);
		mutex_unlock(&ov->lock);
		if (!node)
			r = new_node(sb, lower, n, &st, &node);
	}
	for (uint32_t i = 0; i < n; i++)
		inode_put(lower[i]);
	if (r)
		return r;
	mutex_lock(&ov->lock);
	other = find_locked(ov, st.dev, st.ino);
	if (!other)
		htab_add(&ov->hash, &node->low->hash_link, link_hash, tnode_live());
	mutex_unlock(&ov->lock);
	if (other) {
		inode_put(&node->inode);	/* ours, or the reference of the first search */
		node = other;
	}
	*out = &node->inode;
	return 0;
}

void overlay_node_gone(struct tnode *n)
{
	struct overlay_super *ov = overlay_sb(&n->inode);
	struct tlower *l = steal(n->low);

	mutex_lock(&ov->lock);
	htab_del(&ov->hash, &l->hash_link, link_hash, tnode_live());
	mutex_unlock(&ov->lock);
	for (uint32_t i = 0; i < l->n; i++)
		inode_put(l->inode[i]);
	kfree(l);
}

int overlay_meta_up(struct tnode *n)
{
	struct overlay_super *ov = overlay_sb(&n->inode);
	struct kstat st;

	if (!lower_meta(n))
		return 0;
	int r = inode_stat(n->low->inode[0], &st);
	if (r)
		return r;
	mutex_lock(&ov->lock);
	if (!n->low->meta_up) {
		copy_attributes(&n->inode, &st);
		__atomic_store_n(&n->low->meta_up, true, __ATOMIC_RELEASE);
		if (!n->low->pinned && n->inode.nlink) {
			n->low->pinned = true;
			inode_get(&n->inode);
		}
	}
	mutex_unlock(&ov->lock);
	return 0;
}

void overlay_unpin(struct tnode *n)
{
	struct overlay_super *ov = overlay_sb(&n->inode);
	bool was = false;

	if (!n->low)
		return;
	mutex_lock(&ov->lock);
	was = n->low->pinned;
	n->low->pinned = false;
	mutex_unlock(&ov->lock);
	if (was)
		inode_put(&n->inode);
}

/* Copies the first `keep` bytes from below. */
int overlay_data_up(struct tnode *n, uint64_t keep)
{
	struct inode *low = lower_data(n);
	struct file *lf = NULL;
	uint64_t pos = 0;

	if (!low)
		return 0;
	int r = overlay_meta_up(n);
	if (r)
		return r;
	uint64_t size = n->inode.size;
	n->inode.size = 0;
	if (keep) {
		char *buf = kmalloc(COPY_CHUNK);
		r = buf ? file_open_inode(low, O_RDONLY, NULL, &lf) : -ENOMEM;
		while (!r && pos < keep) {
			int64_t got = vfs_pread(lf, buf, min((uint64_t)COPY_CHUNK, keep - pos), (int64_t)pos);
			if (got <= 0) {
				r = (int)got;
				break;
			}
			int64_t w = tdata_write(n, pos, buf, (size_t)got);
			if (w != got)
				r = w < 0 ? (int)w : -ENOSPC;
			pos += (uint64_t)got;
		}
		file_put(lf);
		kfree(buf);
	}
	if (r) {
		(void)!tdata_resize(n, 0);
		n->inode.size = size;
		return r;
	}
	__atomic_store_n(&n->low->data_up, true, __ATOMIC_RELEASE);
	overlay_count(n);
	return 0;
}

void overlay_count(struct tnode *n)
{
	if (!__atomic_exchange_n(&n->counted, true, __ATOMIC_RELAXED))
		__atomic_fetch_add(&overlay_sb(&n->inode)->written, 1, __ATOMIC_RELAXED);
}

void overlay_uncount(struct tnode *n)
{
	if (__atomic_exchange_n(&n->counted, false, __ATOMIC_RELAXED))
		__atomic_fetch_sub(&overlay_sb(&n->inode)->written, 1, __ATOMIC_RELAXED);
}

uint64_t overlay_files_written(struct super *sb)
{
	const struct overlay_super *ov = sb->priv;

	return __atomic_load_n(&ov->written, __ATOMIC_RELAXED);
}

/* Copies every extended attribute, so that the node's own set is the whole. */
int overlay_xattr_up(struct tnode *n)
{
	struct inode *low = n->low && !n->low->xattr_up ? n->low->inode[0] : NULL;
	int r = 0;

	if (!low)
		return 0;
	r = overlay_meta_up(n);
	if (r)
		return r;
	struct l_timespec ctime = n->inode.ctime;
	char *names = kmalloc(XATTR_LIST_CAP), *value = kmalloc(XATTR_VALUE_CAP);
	int64_t len = names && value && inode_ops(low)->listxattr
			      ? inode_ops(low)->listxattr(low, names, XATTR_LIST_CAP) : 0;
	for (char *p = names; p && len > 0 && p < names + len && !r; p += strlen(p) + 1) {
		int64_t got = inode_ops(low)->getxattr(low, p, value, XATTR_VALUE_CAP);
		if (got < 0)
			continue;
		r = tmpfs_setxattr(&n->inode, p, value, (size_t)got, 0);
		if (r == -EOPNOTSUPP)
			r = 0;
	}
	kfree(names);
	kfree(value);
	if (!names || !value)
		return -ENOMEM;
	n->inode.ctime = ctime;
	if (!r)
		n->low->xattr_up = true;
	return r;
}
