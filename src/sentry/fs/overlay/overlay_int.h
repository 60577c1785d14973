/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The overlay's part of a node. What was changed lives in the node itself, which is a tmpfs node:
 * names in its tables, pages in the arena. A node that came from below is found again by the
 * lower object's identity, so it stays the same node under all its names; once it differs from
 * what is below it is *pinned* until its last name goes.
 *
 *	meta_up   attributes are the node's own     data_up   so is the content
 *	xattr_up  so are the extended attributes    whiteout  an entry without an inode
 */
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"
#include "sentry/vfs/htab.h"

struct tlower {
	struct list hash_link;		/* ov->lock */
	struct tnode *node;
	uint64_t dev, ino;		/* I; identity of inode[0] */
	bool meta_up, data_up, xattr_up, pinned;	/* meta_up, pinned: ov->lock */
	uint32_t n;
	struct inode *inode[];		/* I; owned; directories may have several, topmost first */
};

#define XATTR_LIST_CAP 65536u
#define XATTR_VALUE_CAP 65536u

struct overlay_super {
	struct tmpfs_super ts;		/* first */
	struct mutex lock;		/* RANK_OBJECT */
	struct htab hash;
	uint32_t n;
	struct super *lower[OVERLAY_LAYERS_MAX];	/* owned */
	uint64_t main_dev;
	uint64_t written;		/* a: nodes with `counted` */
};

static inline struct overlay_super *overlay_sb(const struct inode *i)
{
	return (struct overlay_super *)i->sb->priv;
}
/* The lower object that still gives this node's attributes or content, or NULL. */
static inline struct inode *lower_meta(const struct tnode *n)
{
	return n->low && !__atomic_load_n(&n->low->meta_up, __ATOMIC_ACQUIRE) ? n->low->inode[0] : NULL;
}
static inline struct inode *lower_data(const struct tnode *n)
{
	return n->low && !__atomic_load_n(&n->low->data_up, __ATOMIC_ACQUIRE) ? n->low->inode[0] : NULL;
}

/* --- node.c --- */
/* The node of lower objects (references consumed); a known one or a new one. */
must_check int overlay_node(struct super *sb, struct inode **lower, uint32_t n, struct inode **out);
void overlay_node_gone(struct tnode *n);
must_check int overlay_meta_up(struct tnode *n);
must_check int overlay_data_up(struct tnode *n, uint64_t keep);	/* inode locked */
must_check int overlay_xattr_up(struct tnode *n);
void overlay_unpin(struct tnode *n);
void overlay_count(struct tnode *n);
void overlay_uncount(struct tnode *n);
uint64_t overlay_ino(const struct overlay_super *ov, uint64_t dev, uint64_t ino);
int inode_stat(struct inode *i, struct kstat *st);

/* --- readdir.c --- */
int overlay_iterate(struct file *f, struct dir_emit *e);
void overlay_dir_release(struct file *f);
int64_t overlay_dir_llseek(struct file *f, int64_t off, int whence);
/* Does the merged directory show anything? 0, 1 or an error. */
must_check int overlay_dir_has_entries(struct tnode *dir);

/* --- coherence.c --- */
int overlay_revalidate(struct inode *dir, struct dentry *d);
void overlay_cached(struct inode *dir, struct dentry *d);
bool overlay_settled(struct inode *dir);

/* --- dir.c --- */
int overlay_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
int overlay_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		   const struct cred *cred, struct inode **out);
int overlay_mkdir(struct inode *dir, const char *name, size_t len, uint32_t mode,
		  const struct cred *cred, struct inode **out);
int overlay_symlink(struct inode *dir, const char *name, size_t len, const char *target,
		    const struct cred *cred, struct inode **out);
int overlay_link(struct inode *dir, const char *name, size_t len, struct inode *target);
int overlay_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim);
int overlay_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim);
int overlay_rename(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
		   struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
		   unsigned flags);
