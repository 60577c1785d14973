/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes to the real directories, through their dentries: what vfs/names.c and vfs/rename.c do for
 * a guest, without its rights, since the overlay's own were checked.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/vfs/stack.h"

#define WORK_TRIES 64

bool ovl_is_whiteout(const struct inode *i)
{
	return S_ISCHR(i->mode) && i->rdev == 0;
}

int ovl_stat(struct inode *i, struct kstat *st)
{
	memset(st, 0, sizeof(*st));
	if (inode_ops(i)->getattr)
		return inode_ops(i)->getattr(i, st, 0);
	inode_fill_stat(i, st);
	return 0;
}

static int make_inode(struct inode *di, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		      const char *target, const struct cred *cred, struct inode **made)
{
	const struct inode_ops *o = inode_ops(di);

	if (S_ISDIR(mode))
		return o->mkdir ? o->mkdir(di, name, len, mode, cred, made) : -EPERM;
	if (S_ISLNK(mode))
		return o->symlink ? o->symlink(di, name, len, target, cred, made) : -EPERM;
	return o->create ? o->create(di, name, len, mode, rdev, cred, made) : -EPERM;
}

int ovl_make(struct dentry *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
	     const char *target, const struct cred *cred, struct dentry **out)
{
	struct inode *di = dir->inode, *made = NULL;
	struct dentry *d;

	mutex_lock(&di->lock);
	int r = dentry_lookup_locked(dir, name, len, &d);
	if (!r) {
		r = d->inode ? -EEXIST : make_inode(di, name, len, mode, rdev, target, cred, &made);
		if (!r)
			dentry_instantiate(d, made);
		else
			dentry_put(d);
	}
	mutex_unlock(&di->lock);
	if (!r)
		*out = d;
	return r;
}

int ovl_make_work(struct ovl_super *os, uint32_t mode, uint64_t rdev, const char *target,
		  struct dentry **out)
{
	char name[24];
	int r = -EEXIST;

	for (int i = 0; i < WORK_TRIES && r == -EEXIST; i++) {
		uint32_t n = __atomic_fetch_add(&os->next_work, 1, __ATOMIC_RELAXED);
		fmt_n(name, sizeof(name), "#%x", n);
		r = ovl_make(os->work, name, strlen(name), mode, rdev, target, NULL, out);
	}
	return r;
}

int ovl_remove(struct dentry *dir, struct dentry *d)
{
	struct inode *di = dir->inode, *i = inode_get(d->inode);
	const struct inode_ops *o = inode_ops(di);
	int r = -EPERM;

	mutex_lock(&di->lock);
	if (S_ISDIR(i->mode))
		r = o->rmdir ? o->rmdir(di, d->name, d->name_len, i) : -EPERM;
	else
		r = o->unlink ? o->unlink(di, d->name, d->name_len, i) : -EPERM;
	if (!r)
		(void)dentry_deleted(d);
	mutex_unlock(&di->lock);
	inode_put(i);
	return r;
}

int ovl_move(struct dentry *odir, struct dentry *od, struct dentry *ndir, const char *name, size_t len,
	     unsigned flags)
{
	struct inode *oi = odir->inode, *ni = ndir->inode, *victim = NULL;
	struct dentry *nd = NULL;

	if (!inode_ops(oi)->rename)
		return -EPERM;
	if (odir != ndir)
		mutex_lock(&odir->sb->rename_lock);
	mutex_lock2(&oi->lock, &ni->lock);
	int r = dentry_lookup_locked(ndir, name, len, &nd);
	if (!r) {
		victim = inode_get(nd->inode);
		r = inode_ops(oi)->rename(oi, od->name, od->name_len, od->inode, ni, name, len, nd->inode,
					  flags);
		if (!r)
			r = dentry_move(od, nd, flags & RENAME_EXCHANGE);
	}
	mutex_unlock2(&oi->lock, &ni->lock);
	if (odir != ndir)
		mutex_unlock(&odir->sb->rename_lock);
	inode_put(victim);
	dentry_put(nd);
	return r;
}

int ovl_whiteout(struct ovl_super *os, struct dentry *dir, const char *name, size_t len)
{
	struct dentry *w, *there;
	int r = ovl_make_work(os, S_IFCHR, 0, NULL, &w);

	if (r)
		return r;
	r = dentry_lookup(dir, name, len, &there);
	if (r)
		goto out;
	if (there->inode && S_ISDIR(there->inode->mode)) {
		r = ovl_move(os->work, w, dir, name, len, RENAME_EXCHANGE);
		if (!r)
			r = ovl_remove(os->work, there);
	} else {
		r = ovl_move(os->work, w, dir, name, len, 0);
	}
	dentry_put(there);
out:
	if (r && !dentry_is_below(w, dir))
		(void)!ovl_remove(os->work, w);
	dentry_put(w);
	return r;
}

/* --- marks ----------------------------------------------------------------------------------- */

static const char *own_prefix(const struct ovl_super *os)
{
	return os->c.userxattr ? "user.overlay." : "trusted.overlay.";
}

bool ovl_is_own_xattr(const struct ovl_super *os, const char *name)
{
	const char *p = own_prefix(os);

	return strncmp(name, p, strlen(p)) == 0;
}

static const char *opaque_name(const struct ovl_super *os)
{
	return os->c.userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

int ovl_set_opaque(struct ovl_super *os, struct dentry *d)
{
	struct inode *i = d->inode;

	if (os->noxattr || !inode_ops(i)->setxattr)
		return -EOPNOTSUPP;
	return inode_ops(i)->setxattr(i, opaque_name(os), "y", 1, 0);
}

bool ovl_is_opaque(struct ovl_super *os, struct inode *i)
{
	char v = 0;

	return inode_ops(i)->getxattr &&
	       inode_ops(i)->getxattr(i, opaque_name(os), &v, 1) == 1 && v == 'y';
}
