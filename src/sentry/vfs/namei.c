/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path walk, after Linux's Documentation/filesystems/path-lookup.rst: one component at a time on
 * referenced (mount, dentry) pairs, never on text. Links nest by a stack of the texts that are
 * still to be walked, at most 40 in one walk.
 *
 *	walk_begin -> { walk_parent -> walk_last } while a link is followed -> w.cur, walk_end
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/told.h"
#include "sentry/vfs/vfs_int.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#define LINK_BUF 128

_Thread_local uint64_t vfs_walks;

const struct cred *walk_cred(struct task *t)
{
	return t ? t->cred : NULL;
}

static void fs_root(struct task *t, struct path *out)
{
	mutex_lock(&t->fs->lock);
	*out = t->fs->root;
	path_get(out);
	mutex_unlock(&t->fs->lock);
}

static void fs_cwd(struct task *t, struct path *out)
{
	mutex_lock(&t->fs->lock);
	*out = t->fs->cwd;
	path_get(out);
	mutex_unlock(&t->fs->lock);
}

static int start_from_fd(struct walk *w, int dirfd, bool empty)
{
	struct file *f = fd_get_any(w->t, dirfd);

	if (!f)
		return -EBADF;
	if (!empty && !S_ISDIR(f->inode->mode)) {
		file_put(f);
		return -ENOTDIR;
	}
	w->cur = f->path;
	path_get(&w->cur);
	file_put(f);
	return 0;
}

int walk_begin(struct walk *w, struct task *t, int dirfd, const char *name, unsigned flags)
{
	bool scoped = flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT);

	memset(w, 0, offsetof(struct walk, stack));
	w->text = NULL;
	w->t = t;
	w->cred = walk_cred(t);
	w->flags = flags;
	w->name = name;
	w->rename_seq = dcache_rename_seq();
	vfs_walks++;
	if (flags & LOOKUP_TELL)
		told_walk_begin(*name == '/');
	if (!*name && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	if (*name == '/' && (flags & LOOKUP_BENEATH))
		return -EXDEV;
	if (!scoped)
		fs_root(t, &w->root);
	if (*name == '/' && !(flags & LOOKUP_IN_ROOT)) {
		w->cur = w->root;
		path_get(&w->cur);
	} else if (dirfd == AT_FDCWD) {
		fs_cwd(t, &w->cur);
	} else {
		int r = start_from_fd(w, dirfd, !*name);
		if (r) {
			path_put(&w->root);
			return r;
		}
	}
	if (scoped) {
		w->root = w->cur;
		path_get(&w->root);
	}
	return 0;
}

int walk_begin_at(struct walk *w, struct task *t, const struct path *root, const struct path *start,
		  const char *name, unsigned flags)
{
	memset(w, 0, offsetof(struct walk, stack));
	w->text = NULL;
	w->t = t;
	w->cred = walk_cred(t);
	w->flags = flags;
	w->name = name;
	w->rename_seq = dcache_rename_seq();
	vfs_walks++;
	if (!*name && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	w->root = *root;
	w->cur = *name == '/' ? *root : *start;
	path_get(&w->root);
	path_get(&w->cur);
	return 0;
}

void walk_end(struct walk *w)
{
	while (w->depth) {
		kfree(w->text);
		w->text = w->stack[--w->depth].text;
	}
	kfree(w->text);
	w->text = NULL;
	if (w->cur.dentry)
		path_put(&w->cur);
	if (w->root.dentry)
		path_put(&w->root);
}

/* --- one component --------------------------------------------------------------------------- */

static bool only_slashes(const char *s)
{
	while (*s == '/')
		s++;
	return *s == 0;
}

/* Nothing is left but slashes, here and in the texts of the links we are in. */
static bool is_last(const struct walk *w, const char *rest, bool *trailing)
{
	if (!only_slashes(rest))
		return false;
	bool tr = *rest == '/';
	for (unsigned i = 0; i < w->depth; i++) {
		if (!only_slashes(w->stack[i].rest))
			return false;
		tr |= w->stack[i].rest[0] == '/';
	}
	*trailing = tr;
	return true;
}

/* The next component of the walk, or none (false). */
static bool next_component(struct walk *w)
{
	for (;;) {
		while (*w->name == '/')
			w->name++;
		if (*w->name)
			break;
		if (!w->depth)
			return false;
		kfree(w->text);
		w->depth--;
		w->name = w->stack[w->depth].rest;
		w->text = w->stack[w->depth].text;
	}
	w->last = w->name;
	const char *e = strchrnul(w->name, '/');
	w->last_len = (size_t)(e - w->name);
	w->name = e;
	w->type = LAST_NORM;
	if (w->last[0] == '.' && w->last_len == 1)
		w->type = LAST_DOT;
	else if (w->last[0] == '.' && w->last[1] == '.' && w->last_len == 2)
		w->type = LAST_DOTDOT;
	return true;
}

static int walk_up(struct walk *w)
{
	struct mount *before = w->cur.mnt;

	if (path_equal(&w->cur, &w->root))
		return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
	while (w->cur.dentry == w->cur.mnt->root) {
		if (path_equal(&w->cur, &w->root))
			return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
		if (!mount_follow_up(&w->cur))
			return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;	/* the top */
	}
	if (!path_equal(&w->cur, &w->root)) {
		struct dentry *p = dentry_parent(w->cur.dentry);
		dentry_put(w->cur.dentry);
		w->cur.dentry = p;
	}
	mount_follow_down(&w->cur);
	if ((w->flags & LOOKUP_NO_XDEV) && w->cur.mnt != before)
		return -EXDEV;
	if ((w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) && dcache_rename_seq() != w->rename_seq)
		return -EAGAIN;
	return 0;
}

/* Starts walking the text of a link. */
static int push_text(struct walk *w, char *text)
{
	w->stack[w->depth].rest = w->name;
	w->stack[w->depth].text = w->text;
	w->depth++;
	w->text = text;
	w->name = text;
	if (*text != '/')
		return 1;
	if (w->flags & LOOKUP_BENEATH)
		return -EXDEV;
	if ((w->flags & LOOKUP_NO_XDEV) && w->cur.mnt != w->root.mnt)
		return -EXDEV;
	path_put(&w->cur);
	w->cur = w->root;
	path_get(&w->cur);
	return 1;
}

static int read_link(struct inode *i, char **out)
{
	char small[LINK_BUF];

	if (!inode_ops(i)->readlink)
		return -EINVAL;
	int64_t n = inode_ops(i)->readlink(i, small, sizeof(small));
	if (n < 0)
		return (int)n;
	size_t cap = n < (int64_t)sizeof(small) ? (size_t)n + 1 : PATH_MAX_LEN;
	char *text = kmalloc(cap);
	if (!text)
		return -ENOMEM;
	if (n < (int64_t)sizeof(small)) {
		memcpy(text, small, (size_t)n);
	} else {
		n = inode_ops(i)->readlink(i, text, cap - 1);
		if (n < 0) {
			kfree(text);
			return (int)n;
		}
	}
	text[n] = 0;
	if (!n) {
		kfree(text);
		return -ENOENT;
	}
	*out = text;
	return 0;
}

static int jump_magic(struct walk *w, struct inode *i)
{
	struct path to;

	if (w->flags & LOOKUP_NO_MAGICLINKS)
		return -ELOOP;
	int r = inode_ops(i)->follow(i, w->t, &to);
	if (r)
		return r;
	r = 0;
	if (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT))
		r = -EXDEV;
	if ((w->flags & LOOKUP_NO_XDEV) && to.mnt != w->cur.mnt)
		r = -EXDEV;
	if (r) {
		path_put(&to);
		return r;
	}
	path_put(&w->cur);
	w->cur = to;
	return 0;
}

/* link: the dentry of a symbolic link below w->cur; consumed. 0: jumped (magic), 1: text pushed. */
static int follow_link(struct walk *w, struct dentry *link)
{
	struct inode *i = link->inode;
	char *text;
	int r;

	if (w->links++ >= WALK_MAX_LINKS || (w->flags & LOOKUP_NO_SYMLINKS) ||
	    (w->cur.mnt && (w->cur.mnt->flags & MS_NOSYMFOLLOW))) {
		dentry_put(link);
		return -ELOOP;
	}
	if (inode_ops(i)->follow) {
		told_walk_unsure();
		r = jump_magic(w, i);
		dentry_put(link);
		return r;
	}
	struct path lp = {w->cur.mnt, link};
	path_accessed(&lp);
	r = read_link(i, &text);
	dentry_put(link);
	return r ? r : push_text(w, text);
}

int walk_into(struct walk *w, struct dentry *d, bool follow)
{
	struct mount *before = w->cur.mnt;
	struct inode *i = d->inode;

	if (i && S_ISLNK(i->mode) && follow && !(d->flags & D_MOUNTED))
		return follow_link(w, d);
	dentry_put(w->cur.dentry);
	w->cur.dentry = d;
	if (unlikely(d->flags & D_MOUNTED) && mount_follow_down(&w->cur)) {
		if ((w->flags & LOOKUP_NO_XDEV) && w->cur.mnt != before)
			return -EXDEV;
	}
	return 0;
}

static int may_walk(struct walk *w)
{
	struct inode *dir = w->cur.dentry->inode;

	if (!dir)
		return -ENOENT;
	if (!S_ISDIR(dir->mode))
		return -ENOTDIR;
	return inode_permission(dir, X_OK, w->cred);
}

/* The component in w->last, from w->cur. */
static int step(struct walk *w, bool follow)
{
	struct dentry *d;
	int r;

	if (w->type == LAST_DOT || w->type == LAST_ROOT)
		return 0;
	if (w->type == LAST_DOTDOT) {
		told_walk_unsure();
		return walk_up(w);
	}
	if (w->flags & LOOKUP_TELL)
		told_walk_enter(w->cur.dentry->inode);
	if (w->flags & LOOKUP_CACHED) {
		d = dentry_find(w->cur.dentry, w->last, w->last_len);
		if (!d)
			return -EAGAIN;
	} else {
		r = dentry_lookup(w->cur.dentry, w->last, w->last_len, &d);
		if (r)
			return r;
	}
	if (w->flags & LOOKUP_TELL)
		told_walk_looked(w->cur.dentry->inode);
	return walk_into(w, d, follow);
}

int walk_parent(struct walk *w)
{
	int r;

	dcache_relieve();
	for (;;) {
		if (!next_component(w)) {
			w->type = LAST_ROOT;
			w->last = "";
			w->last_len = 0;
			w->trailing = false;
			return 0;
		}
		r = may_walk(w);
		if (r)
			return r;
		if (is_last(w, w->name, &w->trailing))
			return 0;
		r = step(w, true);
		if (r < 0)
			return r;
		if (r == 0 && !w->cur.dentry->inode)
			return -ENOENT;
	}
}

int walk_last(struct walk *w, bool follow)
{
	return step(w, follow || w->trailing);
}

/* The rules of the end: must exist, must be a directory after a slash. */
int walk_check_end(struct walk *w)
{
	struct inode *i = w->cur.dentry->inode;

	if (!i)
		return -ENOENT;
	if ((w->trailing || (w->flags & LOOKUP_DIRECTORY)) && !S_ISDIR(i->mode))
		return -ENOTDIR;
	return 0;
}

static int walk_all(struct walk *w, struct path *out)
{
	int r;

	do {
		r = walk_parent(w);
		if (!r)
			r = walk_last(w, w->flags & LOOKUP_FOLLOW);
	} while (r == 1);
	if (!r)
		r = walk_check_end(w);
	if (!r) {
		*out = w->cur;
		w->cur = (struct path){NULL, NULL};
	}
	walk_end(w);
	return r;
}

int path_lookup_cred(struct task *t, const struct cred *cred, int dirfd, const char *name,
		     unsigned flags, struct path *out)
{
	struct walk w;

	for (int tries = 0;; tries++) {
		int r = walk_begin(&w, t, dirfd, name, flags);
		w.cred = cred;
		if (!r)
			r = walk_all(&w, out);
		if (r == -ENOMEM && !tries && dcache_shrink(8192))
			continue;
		return r;
	}
}

int path_lookup(struct task *t, int dirfd, const char *name, unsigned flags, struct path *out)
{
	return path_lookup_cred(t, walk_cred(t), dirfd, name, flags, out);
}

int path_lookup_at(struct task *t, const struct path *root, const struct path *start,
		   const char *name, unsigned flags, struct path *out)
{
	struct walk w;
	int r = walk_begin_at(&w, t, root, start, name, flags);

	return r ? r : walk_all(&w, out);
}

int path_parent(struct task *t, int dirfd, const char *name, unsigned flags, struct path *parent,
		const char **last, size_t *len, bool *trailing)
{
	struct walk w;
	int r = walk_begin(&w, t, dirfd, name, flags);

	if (r)
		return r;
	r = walk_parent(&w);
	if (!r && w.depth)
		r = -ELOOP;	/* cannot be: only middle links are followed */
	if (!r) {
		*parent = w.cur;
		w.cur = (struct path){NULL, NULL};
		*last = w.last;
		*len = w.last_len;
		*trailing = w.trailing;
	}
	walk_end(&w);
	return r;
}

/* --- rights in a directory ------------------------------------------------------------------- */

int may_create(const struct path *dir, const struct cred *cred)
{
	struct inode *i = dir->dentry->inode;

	if (i->nlink == 0 || (dir->dentry->flags & D_UNLINKED) || i->sb->fixed_names)
		return -ENOENT;
	return inode_permission(i, W_OK | X_OK, cred);
}

int may_delete(const struct path *dir, const struct dentry *d, bool isdir, const struct cred *cred)
{
	struct inode *di = dir->dentry->inode, *i = d->inode;
	struct kstat ds, st;
	int r;

	if (!i)
		return -ENOENT;
	r = inode_permission(di, W_OK | X_OK, cred);
	if (r)
		return r;
	if ((READ_ONCE(di->attr) & FS_APPEND_FL) || (READ_ONCE(i->attr) & (FS_APPEND_FL | FS_IMMUTABLE_FL)))
		return -EPERM;
	if (cred) {
		struct path dp = *dir, ip = {dir->mnt, (struct dentry *)(uintptr_t)d};
		r = vfs_getattr(&dp, &ds, 0);
		if (!r)
			r = vfs_getattr(&ip, &st, 0);
		if (r)
			return r;
		if ((ds.mode & S_ISVTX) && cred->fsuid != st.uid && cred->fsuid != ds.uid &&
		    !inode_capable(i, cred, CAP_FOWNER))
			return -EPERM;
	}
	if (isdir && !S_ISDIR(i->mode))
		return -ENOTDIR;
	if (!isdir && S_ISDIR(i->mode))
		return -EISDIR;
	if (d->flags & D_ROOT)
		return -EBUSY;
	return 0;
}
