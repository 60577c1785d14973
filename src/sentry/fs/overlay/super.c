/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of the overlay's nodes, and its superblock. Rights are checked on the attributes that a
 * node was found with (a lower layer does not change under an overlay); stat asks the lower layer. */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/overlay/overlay_int.h"

#define NEW_INO (1ull << 40)	/* nodes without a lower object are numbered from here */

static KCACHE(overlay_super_cache, struct overlay_super, 0);

static int overlay_getattr(struct inode *i, struct kstat *st, unsigned query)
{
	struct tnode *n = to_tnode(i);
	struct inode *low = lower_meta(n), *data = lower_data(n);
	struct kstat lst;
	int r = 0;

	if (low) {
		r = inode_stat(low, st);
	} else {
		r = tmpfs_getattr(i, st, query);
		if (!r && data && S_ISREG(i->mode)) {
			r = inode_stat(data, &lst);
			st->size = lst.size;
			st->blocks = lst.blocks;
		}
	}
	if (S_ISDIR(i->mode) && !low) {	/* as a directory on disk shows itself */
		st->size = PAGE_SIZE;
		st->blocks = PAGE_SIZE / 512;
	}
	st->dev = i->sb->dev;
	st->ino = i->ino;
	st->nlink = i->nlink;
	return r;
}

static int overlay_setattr(struct inode *i, const struct iattr *a)
{
	struct tnode *n = to_tnode(i);
	int r = n->low ? overlay_meta_up(n) : 0;

	if (!r && (a->valid & ATTR_SIZE) && n->low)
		r = overlay_data_up(n, a->size);
	return r ? r : tmpfs_setattr(i, a);
}

static int64_t overlay_readlink(struct inode *i, char *buf, size_t cap)
{
	struct tnode *n = to_tnode(i);

	if (!n->low)
		return tmpfs_readlink(i, buf, cap);
	struct inode *low = n->low->inode[0];
	return inode_ops(low)->readlink ? inode_ops(low)->readlink(low, buf, cap) : -EINVAL;
}

static struct inode *lower_xattr(struct inode *i)
{
	struct tnode *n = to_tnode(i);

	return n->low && !n->low->xattr_up ? n->low->inode[0] : NULL;
}

static int64_t overlay_getxattr(struct inode *i, const char *name, void *buf, size_t cap)
{
	struct inode *low = lower_xattr(i);

	if (!low)
		return tmpfs_getxattr(i, name, buf, cap);
	return inode_ops(low)->getxattr ? inode_ops(low)->getxattr(low, name, buf, cap) : -EOPNOTSUPP;
}

static int overlay_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags)
{
	int r = overlay_xattr_up(to_tnode(i));

	return r ? r : tmpfs_setxattr(i, name, buf, n, flags);
}

static int64_t overlay_listxattr(struct inode *i, char *buf, size_t cap)
{
	struct inode *low = lower_xattr(i);

	if (!low)
		return tmpfs_listxattr(i, buf, cap);
	return inode_ops(low)->listxattr ? inode_ops(low)->listxattr(low, buf, cap) : 0;
}

static int overlay_removexattr(struct inode *i, const char *name)
{
	int r = overlay_xattr_up(to_tnode(i));

	return r ? r : tmpfs_removexattr(i, name);
}

const struct inode_ops overlay_inode_ops = {
	.lookup = overlay_lookup,
	.revalidate = overlay_revalidate,
	.cached = overlay_cached,
	.settled = overlay_settled,
	.create = overlay_create,
	.mkdir = overlay_mkdir,
	.symlink = overlay_symlink,
	.link = overlay_link,
	.unlink = overlay_unlink,
	.rmdir = overlay_rmdir,
	.rename = overlay_rename,
	.tmpfile = tmpfs_tmpfile,
	.readlink = overlay_readlink,
	.getattr = overlay_getattr,
	.setattr = overlay_setattr,
	.getxattr = overlay_getxattr,
	.setxattr = overlay_setxattr,
	.listxattr = overlay_listxattr,
	.removexattr = overlay_removexattr,
	.destroy = tmpfs_destroy,
};

/* --- superblock ------------------------------------------------------------------------------ */

/* The last mount went: nothing is pinned any more. */
static void overlay_kill(struct super *sb)
{
	struct overlay_super *ov = sb->priv;

	for (uint32_t b = 0; b < ov->hash.n; b++) {
		for (;;) {
			struct tlower *l;
			struct tnode *found = NULL;
			mutex_lock(&ov->lock);
			list_for_each(l, htab_bucket(&ov->hash, b), hash_link) {
				if (l->pinned) {
					l->pinned = false;
					found = l->node;
					break;
				}
			}
			mutex_unlock(&ov->lock);
			if (!found)
				break;
			inode_put(&found->inode);
		}
	}
}

static void overlay_destroy(struct super *sb)
{
	struct overlay_super *ov = sb->priv;

	for (uint32_t i = 0; i < ov->n; i++)
		super_put(ov->lower[i]);
	htab_fini(&ov->hash);
	kc_free(&overlay_super_cache, ov);
}

static void overlay_show_options(struct super *sb, struct buf *b)
{
	buf_fmt(b, ",lowerdir=/,upperdir=memory");
	tmpfs_show_options(sb, b);
}

const struct super_ops overlay_super_ops = {
	.statfs = tmpfs_statfs,
	.show_options = overlay_show_options,
	.kill = overlay_kill,
	.destroy = overlay_destroy,
};

int overlay_super_create(struct super *const *lower, unsigned n, uint64_t size, struct super **out)
{
	struct tmpfs_opts o = {.size = size, .mode = 01777};
	struct inode *roots[OVERLAY_LAYERS_MAX], *root;
	struct kstat st;

	if (!n || n > OVERLAY_LAYERS_MAX)
		return -EINVAL;
	struct super *sb = super_alloc(SOPS_overlay, OVERLAYFS_SUPER_MAGIC, "overlay");
	struct overlay_super *ov = kc_alloc(&overlay_super_cache);
	int r = sb && ov && !htab_init(&ov->hash) ? tmpfs_super_init(&ov->ts, &o) : -ENOMEM;
	if (!r)
		r = inode_stat(lower[0]->root->inode, &st);
	if (r) {
		if (ov)
			htab_fini(&ov->hash);
		kc_free(&overlay_super_cache, ov);
		super_put(sb);
		return r;
	}
	mutex_init(&ov->lock, RANK_OBJECT);
	ov->main_dev = st.dev;
	ov->ts.iops = IOPS_overlay;
	ov->ts.fops_reg = FOPS_overlay_reg;
	ov->ts.fops_dir = FOPS_overlay_dir;
	ov->ts.overlay = true;
	ov->n = n;
	sb->priv = ov;
	sb->acls = true;
	sb->next_ino = NEW_INO;
	for (unsigned i = 0; i < n; i++) {
		ov->lower[i] = super_get(lower[i]);
		roots[i] = inode_get(lower[i]->root->inode);
	}
	r = overlay_node(sb, roots, n, &root);
	if (!r)
		r = super_set_root(sb, root);
	if (r) {
		super_put(sb);
		return r;
	}
	*out = sb;
	return 0;
}
