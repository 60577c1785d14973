/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories: a tree by name and a tree by cookie (the order of creation, which readdir follows).
 * The directory's inode is locked by the caller; changes also take the superblock's lock, since
 * rmdir and rename look into a directory that they have not locked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"

#define COOKIE_FIRST 2u		/* after . and .. */

static uint32_t hash_of(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h ^ h >> 15;
}

static int cmp(const struct tent *e, uint32_t hash, const char *name, size_t len)
{
	if (e->hash != hash)
		return e->hash < hash ? -1 : 1;
	if (e->len != len)
		return e->len < len ? -1 : 1;
	return memcmp(e->name, name, len);
}

#define BY_NAME(n) container_of(n, struct tent, by_name)
#define BY_COOKIE(n) container_of(n, struct tent, by_cookie)

struct tent *tdir_find(struct tnode *dir, const char *name, size_t len)
{
	uint32_t hash = hash_of(name, len);
	struct rb_node *n = dir->names.node;

	while (n) {
		int c = cmp(BY_NAME(n), hash, name, len);
		if (!c)
			return BY_NAME(n);
		n = c > 0 ? n->left : n->right;
	}
	return NULL;
}

static void link_name(struct tnode *dir, struct tent *e)
{
	struct rb_node **l = &dir->names.node, *parent = NULL;

	while (*l) {
		parent = *l;
		l = cmp(BY_NAME(parent), e->hash, e->name, e->len) > 0 ? &parent->left : &parent->right;
	}
	rb_insert(&dir->names, parent, l, &e->by_name);
}

static void link_cookie(struct tnode *dir, struct tent *e)
{
	struct rb_node **l = &dir->cookies.node, *parent = NULL;

	while (*l) {
		parent = *l;
		l = BY_COOKIE(parent)->cookie > e->cookie ? &parent->left : &parent->right;
	}
	rb_insert(&dir->cookies, parent, l, &e->by_cookie);
}

int tdir_insert(struct tnode *dir, const char *name, size_t len, struct inode *inode)
{
	struct tmpfs_super *ts = tmpfs_sb(&dir->inode);
	struct tent *e = kmalloc(sizeof(*e) + len + 1), *old;
	int r = 0;

	if (!e)
		return -ENOSPC;
	memcpy(e->name, name, len);
	e->len = (uint16_t)len;
	e->hash = hash_of(name, len);
	mutex_lock(&ts->lock);
	old = tdir_find(dir, name, len);
	if (dir->dead) {
		r = -ENOENT;
	} else if (old) {
		if (old->inode) {
			r = -EEXIST;
		} else if (inode) {	/* over a whiteout */
			old->inode = inode;
			dir->nr_live++;
		}
	} else {
		if (!dir->next_cookie)
			dir->next_cookie = COOKIE_FIRST;
		e->cookie = dir->next_cookie++;
		e->inode = inode;
		link_name(dir, e);
		link_cookie(dir, e);
		dir->nr_live += inode != NULL;
		e = NULL;
	}
	mutex_unlock(&ts->lock);
	kfree(e);
	return r;
}

static void unlink_entry(struct tnode *dir, struct tent *e)
{
	rb_erase(&dir->names, &e->by_name);
	rb_erase(&dir->cookies, &e->by_cookie);
	dir->nr_live -= e->inode != NULL;
}

struct inode *tdir_remove(struct tnode *dir, struct tent *e)
{
	struct tmpfs_super *ts = tmpfs_sb(&dir->inode);
	struct inode *i = e->inode;

	mutex_lock(&ts->lock);
	if (e->over) {
		e->inode = NULL;
		dir->nr_live--;
		e = NULL;
	} else {
		unlink_entry(dir, e);
	}
	mutex_unlock(&ts->lock);
	kfree(e);
	return i;
}

struct tent *tdir_from(struct tnode *dir, uint64_t cookie)
{
	struct rb_node *n = dir->cookies.node;
	struct tent *best = NULL;

	while (n) {
		if (BY_COOKIE(n)->cookie >= cookie) {
			best = BY_COOKIE(n);
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

void tdir_clear(struct tnode *dir)
{
	struct rb_node *n;

	while ((n = rb_first(&dir->cookies))) {
		struct tent *e = BY_COOKIE(n);
		unlink_entry(dir, e);
		inode_put(e->inode);
		kfree(e);
	}
}

/* --- inode operations ------------------------------------------------------------------------ */

int tmpfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct tent *e;

	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	e = tdir_find(to_tnode(dir), name, len);
	if (!e || !e->inode)
		return -ENOENT;
	*out = inode_get(e->inode);
	return 0;
}

static int add_new(struct inode *dir, const char *name, size_t len, struct tnode *n, struct inode **out)
{
	int r = tdir_insert(to_tnode(dir), name, len, &n->inode);

	if (r) {
		inode_put(&n->inode);
		return r;
	}
	if (S_ISDIR(n->inode.mode)) {
		n->inode.nlink = 2;
		dir->nlink++;
	}
	inode_touch(dir, ATTR_MTIME);
	*out = inode_get(&n->inode);
	return 0;
}

int tmpfs_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		 const struct cred *cred, struct inode **out)
{
	struct tnode *n;
	int r = tnode_create(dir->sb, dir, mode, rdev, cred, &n);

	return r ? r : add_new(dir, name, len, n, out);
}

int tmpfs_mkdir(struct inode *dir, const char *name, size_t len, uint32_t mode,
		const struct cred *cred, struct inode **out)
{
	return tmpfs_create(dir, name, len, mode, 0, cred, out);
}

int tmpfs_symlink(struct inode *dir, const char *name, size_t len, const char *target,
		  const struct cred *cred, struct inode **out)
{
	struct tnode *n;
	int r = tnode_create(dir->sb, dir, S_IFLNK | 0777, 0, cred, &n);

	if (r)
		return r;
	n->target = kstrdup(target);
	if (!n->target) {
		inode_put(&n->inode);
		return -ENOSPC;
	}
	n->inode.size = strlen(target);
	return add_new(dir, name, len, n, out);
}

int tmpfs_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out)
{
	struct tnode *n;
	int r = tnode_create(dir->sb, dir, mode, 0, cred, &n);

	if (r)
		return r;
	n->inode.nlink = 0;
	*out = &n->inode;
	return 0;
}

int tmpfs_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	int r = tdir_insert(to_tnode(dir), name, len, inode_get(target));

	if (r) {
		inode_put(target);
		return r;
	}
	__atomic_fetch_add(&target->nlink, 1, __ATOMIC_RELAXED);
	target->ctime = now_real();
	inode_touch(dir, ATTR_MTIME);
	return 0;
}

int tmpfs_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	struct tent *e = tdir_find(to_tnode(dir), name, len);

	if (!e || e->inode != victim)
		return -ENOENT;
	struct inode *i = tdir_remove(to_tnode(dir), e);
	__atomic_fetch_sub(&i->nlink, 1, __ATOMIC_RELAXED);
	inode_touch(dir, ATTR_MTIME);
	i->ctime = dir->ctime;
	inode_put(i);
	return 0;
}

/* Nothing can be added to an empty directory any more; -ENOTEMPTY. */
static int kill_dir(struct tmpfs_super *ts, struct tnode *d)
{
	int r = 0;

	mutex_lock(&ts->lock);
	if (d->nr_live)
		r = -ENOTEMPTY;
	else
		d->dead = true;
	mutex_unlock(&ts->lock);
	return r;
}

int tmpfs_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	struct tent *e = tdir_find(to_tnode(dir), name, len);

	if (!e || e->inode != victim)
		return -ENOENT;
	int r = kill_dir(tmpfs_sb(dir), to_tnode(victim));
	if (r)
		return r;
	inode_put(tdir_remove(to_tnode(dir), e));
	victim->nlink = 0;
	dir->nlink--;
	inode_touch(dir, ATTR_MTIME);
	victim->ctime = dir->ctime;
	return 0;
}

static int exchange(struct tnode *od, struct tent *oe, struct tnode *nd, struct tent *ne)
{
	struct inode *t = oe->inode;

	oe->inode = ne->inode;
	ne->inode = t;
	bool odir = S_ISDIR(t->mode), ndir = S_ISDIR(oe->inode->mode);
	if (od != nd && odir != ndir) {
		od->inode.nlink += ndir ? 1u : -1u;
		nd->inode.nlink += odir ? 1u : -1u;
	}
	return 0;
}

int tmpfs_rename(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
		 struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
		 unsigned flags)
{
	struct tnode *od = to_tnode(odir), *nd = to_tnode(ndir);
	struct tent *oe = tdir_find(od, oname, olen), *ne = tdir_find(nd, nname, nlen);
	bool isdir = S_ISDIR(inode->mode);
	struct tnode *white = NULL;
	int r = 0;

	if (!oe || oe->inode != inode || (victim && (!ne || ne->inode != victim)))
		return -ENOENT;
	if (flags & RENAME_EXCHANGE) {
		r = exchange(od, oe, nd, ne);
		goto done;
	}
	if (victim && S_ISDIR(victim->mode)) {
		r = kill_dir(tmpfs_sb(odir), to_tnode(victim));
		if (r)
			return r;
	}
	if (flags & RENAME_WHITEOUT) {	/* the guest's kind: a device 0:0 */
		r = tnode_create(odir->sb, NULL, S_IFCHR, 0, NULL, &white);
		if (r)
			return r;
	}
	if (ne) {		/* also a whiteout */
		mutex_lock(&tmpfs_sb(odir)->lock);
		nd->nr_live += ne->inode == NULL;
		ne->inode = inode_get(inode);
		mutex_unlock(&tmpfs_sb(odir)->lock);
	} else {
		r = tdir_insert(nd, nname, nlen, inode_get(inode));
		if (r) {
			inode_put(inode);
			if (white)
				inode_put(&white->inode);
			return r;
		}
	}
	if (victim) {
		victim->nlink = S_ISDIR(victim->mode) ? 0 : victim->nlink - 1;
		victim->ctime = now_real();
	}
	if (victim && S_ISDIR(victim->mode))
		ndir->nlink--;
	inode_put(victim);	/* the entry's */
	if (white)
		oe->inode = &white->inode;
	else
		(void)tdir_remove(od, oe);
	inode_put(inode);	/* the old entry's */
	if (isdir && odir != ndir) {
		odir->nlink--;
		ndir->nlink++;
	}
done:
	inode_touch(odir, ATTR_MTIME);
	inode_touch(ndir, ATTR_MTIME);
	inode->ctime = odir->ctime;
	return r;
}

/* --- readdir --------------------------------------------------------------------------------- */

static unsigned dt_of(const struct inode *i)
{
	return (i->mode & S_IFMT) >> 12;
}

int tmpfs_iterate(struct file *f, struct dir_emit *e)
{
	struct tnode *dir = to_tnode(f->inode);
	char name[NAME_MAX_LEN + 1];

	if (!dir_emit_dots(f, e))
		return 0;
	for (;;) {
		mutex_lock(&f->inode->lock);
		struct tent *t = tdir_from(dir, (uint64_t)e->pos);
		while (t && !t->inode)
			t = tdir_from(dir, t->cookie + 1);
		if (!t) {
			mutex_unlock(&f->inode->lock);
			return 0;
		}
		uint64_t ino = t->inode->ino, next = t->cookie + 1;
		unsigned type = dt_of(t->inode);
		size_t len = t->len;
		memcpy(name, t->name, len);
		mutex_unlock(&f->inode->lock);
		if (dir_emit(e, name, len, ino, type, (int64_t)next))
			return 0;
	}
}
