/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between the files of vfs/: the dcache, the mount tree and the walk. */
#include "sentry/vfs/mount.h"
#include "sentry/vfs/stack.h"
#include "sentry/vfs/vfs.h"

/* --- dcache.c -------------------------------------------------------------------------------- */

must_check int dcache_init(void);
extern struct mutex *dcache_lock;
/* Bumped by each rename: a scoped walk that meets ".." compares it. */
uint64_t dcache_rename_seq(void);
/* A referenced cached dentry, or NULL. */
struct dentry *dentry_find(struct dentry *dir, const char *name, size_t len);
/* For callers with locks: another reference is known to stay. */
void dentry_put_not_last(struct dentry *d);
struct dentry *dentry_parent(struct dentry *d);		/* referenced */
/* The path inside its file system. */
char *dentry_text(struct dentry *d, char *buf, size_t cap);
void dcache_prune_super(struct super *sb);
uint64_t dcache_shrink(unsigned n);
/* Runs what a failed charge asked for; no locks held. */
void dcache_relieve(void);

static inline bool dentry_unhashed_locked(const struct dentry *d)
{
	return list_empty(&d->hash_link);
}

/* --- inode.c, locks.c, notify.c -------------------------------------------------------------- */

must_check int inode_get_write(struct inode *i);	/* -ETXTBSY while it is being executed */
void inode_put_write(struct inode *i);
void inode_locks_free(struct inode *i);
must_check int notify_init(void);
/* To watchers of d's directory (dir) and of d itself, while d still has its name. */
void notify_child_of(struct inode *dir, struct dentry *d, uint32_t mask);
void notify_name(struct inode *dir, const char *name, size_t len, uint32_t mask, uint32_t cookie);

/* --- super.c --------------------------------------------------------------------------------- */

void super_activate(struct super *sb);
void super_deactivate(struct super *sb);
extern struct super *anon_sb;
extern struct mount *anon_mnt;

/* --- mounttree.c ----------------------------------------------------------------------------- */

must_check int mounts_init(void);
extern struct mutex *mount_lock;
/* Steps onto what is mounted on p, to the top. True if it moved. */
bool mount_follow_down(struct path *p);
/* From a mount's root to the place it is mounted on; false at the top. */
bool mount_follow_up(struct path *p);
bool dentry_is_mountpoint(const struct path *dir, const struct dentry *d);
/* d's object has lost this name: what other namespaces have mounted there goes. No locks held. */
void mounts_forget_place(struct dentry *d);
bool path_equal(const struct path *a, const struct path *b);

/* --- namei.c --------------------------------------------------------------------------------- */

#define WALK_MAX_LINKS 40

enum last_type { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct walk {
	struct task *t;
	const struct cred *cred;
	struct path root, cur;		/* owned */
	unsigned flags;			/* LOOKUP_* */
	unsigned links;
	uint64_t rename_seq;
	const char *name;		/* rest of the current text */
	const char *last;		/* last component, set by walk_parent */
	size_t last_len;
	enum last_type type;
	bool trailing;
	unsigned depth;
	struct {
		const char *rest;
		char *text;		/* owned: the text of the link one deeper */
	} stack[WALK_MAX_LINKS + 1];
	char *text;			/* owned: what `name` points into, NULL for the caller's */
};

must_check int walk_begin(struct walk *w, struct task *t, int dirfd, const char *name, unsigned flags);
must_check int walk_begin_at(struct walk *w, struct task *t, const struct path *root,
			     const struct path *start, const char *name, unsigned flags);
void walk_end(struct walk *w);
/* Everything but the last component: cur is its parent. */
must_check int walk_parent(struct walk *w);
/* The last component too. 1: it was a link that is to be followed (go on with walk_parent). */
must_check int walk_last(struct walk *w, bool follow);
/* A dentry that was looked up for the last component: mounts, links. As walk_last. */
must_check int walk_into(struct walk *w, struct dentry *d /* consumed */, bool follow);
must_check int walk_check_end(struct walk *w);
must_check int may_create(const struct path *dir, const struct cred *cred);
must_check int may_delete(const struct path *dir, const struct dentry *d, bool isdir,
			  const struct cred *cred);
const struct cred *walk_cred(struct task *t);
uint32_t task_umask(struct task *t);

/* --- open.c ---------------------------------------------------------------------------------- */

must_check int file_alloc(const struct cred *cred, unsigned flags, struct file **out);
void file_free_unopened(struct file *f);
must_check int files_init(void);
struct inode *anon_inode_alloc(void);
/* Makes f (from file_alloc) an open file of p: write counts, device and FIFO ops, fops->open. */
must_check int file_open_on(struct file *f, const struct path *p);
