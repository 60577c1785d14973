/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Overlays that guests mount: real directories on top of each other, after Linux's
 * fs/overlayfs. A node refers to the real objects by their dentries, and every change goes through
 * the dentry cache of the upper file system, so that who looks into the upper directory sees it:
 * whiteouts are character devices 0:0, opaque directories carry an attribute, what is changed is
 * copied into the upper directory first (through the work directory).
 *
 * Locks: an overlay's own rename and inode locks come before those of what lies below it
 * (RANK_OVL1_* for an overlay over ordinary file systems, RANK_OVL2_* over such an overlay),
 * `copy_lock` between the two. As in Linux nobody else is expected to change the layers meanwhile.
 */
#include <sys/stat.h>
#include "sentry/vfs/htab.h"
#include "sentry/vfs/vfs.h"

#define OVL_LAYERS_MAX 64u
#define OVL_DEPTH_MAX 2u

struct ovl_node {
	struct inode inode;
	struct list hash_link;		/* os->lock; by what gives the attributes */
	struct inode *key;		/* borrowed from upper or lower[0]; os->lock */
	struct dentry *upper;		/* owned; a: set once by copy-up */
	struct ovl_node *parent;	/* owned (inode reference); of a node that has no upper: where it goes */
	bool gone;			/* has no name any more; inode.lock of the directory */
	uint16_t n;			/* I */
	struct dentry *lower[];		/* I; owned; directories: topmost first */
};

struct ovl_config {
	char *lower, *upper, *work;	/* owned; texts as they were given */
	bool userxattr, is_volatile;
};

struct ovl_super {
	struct mutex lock;		/* RANK_OBJECT: the hash */
	struct mutex copy_lock;		/* one copy-up at a time */
	struct htab hash;
	uint64_t live;			/* a: nodes */
	struct mount *upper_mnt;	/* owned, private; NULL: read-only */
	struct mount *lower_mnt[OVL_LAYERS_MAX];
	uint32_t n_lower;
	struct dentry *work;		/* owned: the directory "work" in the work directory */
	uint32_t next_work;		/* a: names in it */
	uint64_t main_dev;
	bool noxattr;			/* opaque marks cannot be set */
	struct ovl_config c;
};

static inline struct ovl_node *to_ovl(const struct inode *i)
{
	return container_of(i, struct ovl_node, inode);
}
static inline struct ovl_super *ovl_sb(const struct inode *i)
{
	return i->sb->priv;
}
static inline struct dentry *ovl_upper(const struct ovl_node *n)
{
	return __atomic_load_n(&n->upper, __ATOMIC_ACQUIRE);
}
/* A directory with something below the uppermost; a copy-up can make it one. */
static inline bool ovl_is_merged(const struct ovl_node *n)
{
	return S_ISDIR(n->inode.mode) && n->n > (ovl_upper(n) ? 0 : 1);
}
/* What gives the attributes. */
static inline struct dentry *ovl_real(const struct ovl_node *n)
{
	struct dentry *d = ovl_upper(n);

	return d ? d : n->lower[0];
}

/* --- options.c --- */
must_check int ovl_parse(const char *data, struct ovl_config *c);
void ovl_config_fini(struct ovl_config *c);
/* The next layer's path of a lowerdir text, unescaped into buf; NULL at the end. */
const char *ovl_next_layer(const char *s, char *buf, size_t cap);

/* --- real.c: names of real directories; locks are taken inside --- */
bool ovl_is_whiteout(const struct inode *i);
must_check int ovl_stat(struct inode *i, struct kstat *st);
must_check int ovl_make(struct dentry *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
			const char *target, const struct cred *cred, struct dentry **out);
must_check int ovl_make_work(struct ovl_super *os, uint32_t mode, uint64_t rdev, const char *target,
			     struct dentry **out);
must_check int ovl_remove(struct dentry *dir, struct dentry *d);
/* od goes to the name in ndir; what was there is replaced, or changes places (RENAME_EXCHANGE). */
must_check int ovl_move(struct dentry *odir, struct dentry *od, struct dentry *ndir, const char *name,
			size_t len, unsigned flags);
/* A whiteout takes the name, whatever stands there. */
must_check int ovl_whiteout(struct ovl_super *os, struct dentry *dir, const char *name, size_t len);
must_check int ovl_set_opaque(struct ovl_super *os, struct dentry *d);
bool ovl_is_opaque(struct ovl_super *os, struct inode *i);
bool ovl_is_own_xattr(const struct ovl_super *os, const char *name);

/* --- node.c --- */
must_check int ovl_node_get(struct super *sb, struct dentry *upper, struct dentry **lower, uint32_t n,
			    struct ovl_node *parent, struct inode **out);	/* consumes the dentries */
int ovl_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
/* Would the name be seen in a layer below the upper one? 1, 0 or an error. */
must_check int ovl_name_below(struct ovl_node *dir, const char *name, size_t len);
void ovl_copy_attributes(struct ovl_node *n);
void ovl_set_upper(struct ovl_node *n, struct dentry *d /* consumed */);
void ovl_destroy(struct inode *i);

/* --- copyup.c --- */
/* n and all above it get an upper object; of a file's content the first `keep` bytes. */
must_check int ovl_copy_up(struct ovl_node *n, uint64_t keep);

/* --- attr.c --- */
int64_t ovl_readlink(struct inode *i, char *buf, size_t cap);
int ovl_getattr(struct inode *i, struct kstat *st, unsigned query);
int ovl_setattr(struct inode *i, const struct iattr *a);
int ovl_permission(struct inode *i, int mask, const struct cred *cred);
int64_t ovl_getxattr(struct inode *i, const char *name, void *buf, size_t cap);
int ovl_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags);
int64_t ovl_listxattr(struct inode *i, char *buf, size_t cap);
int ovl_removexattr(struct inode *i, const char *name);
uint64_t ovl_ino(const struct ovl_super *os, uint64_t dev, uint64_t ino);

/* --- list.c --- */
int ovl_iterate(struct file *f, struct dir_emit *e);
void ovl_dir_release(struct file *f);
/* -ENOTEMPTY when the merged directory shows anything. */
must_check int ovl_check_empty(struct ovl_node *dir);
/* Takes the whiteouts out of the upper part of a directory that shows nothing. */
must_check int ovl_clear_whiteouts(struct ovl_node *dir);

/* --- mount.c --- */
int ovl_init(void);
