/* SPDX-License-Identifier: Apache-2.0 */
/* rename (fs/namei.c do_renameat2, vfs_rename). */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/bug.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/names.h"
#include "sentry/vfs/vfs_int.h"

static uint32_t next_cookie;

struct rename {
	struct walk o, n;
	struct dentry *od, *nd;
	unsigned flags;
	bool cross;		/* two directories: rename_lock held */
};

static void rename_lock(struct rename *r)
{
	struct dentry *a = r->o.cur.dentry, *b = r->n.cur.dentry;

	r->cross = a != b;
	if (r->cross)
		mutex_lock(&a->sb->rename_lock);
	mutex_lock2(&a->inode->lock, &b->inode->lock);
}

static void rename_unlock(struct rename *r)
{
	struct dentry *a = r->o.cur.dentry, *b = r->n.cur.dentry;

	mutex_unlock2(&a->inode->lock, &b->inode->lock);
	if (r->cross)
		mutex_unlock(&a->sb->rename_lock);
}

/* Checks between the two lookups' results; order as in do_renameat2. */
static int check_pair(struct rename *r)
{
	struct inode *oi = r->od->inode, *ni = r->nd->inode;

	if (!oi)
		return -ENOENT;
	if ((r->flags & RENAME_NOREPLACE) && ni)
		return -EEXIST;
	if (r->flags & RENAME_EXCHANGE) {
		if (!ni)
			return -ENOENT;
		if (!S_ISDIR(ni->mode) && r->n.trailing)
			return -ENOTDIR;
	}
	if (!S_ISDIR(oi->mode)) {
		if (r->o.trailing)
			return -ENOTDIR;
		if (!(r->flags & RENAME_EXCHANGE) && r->n.trailing)
			return -ENOTDIR;
	}
	if (dentry_is_below(r->n.cur.dentry, r->od))
		return -EINVAL;	/* into itself */
	if (dentry_is_below(r->o.cur.dentry, r->nd))
		return r->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_rights(struct rename *r)
{
	struct inode *oi = r->od->inode, *ni = r->nd->inode;
	bool isdir = S_ISDIR(oi->mode);

	if (!ni && r->n.cur.dentry->inode->sb->fixed_names)
		return -ENOENT;
	int e = may_delete(&r->o.cur, r->od, isdir, r->o.cred);

	if (e)
		return e;
	if (!ni)
		e = may_create(&r->n.cur, r->n.cred);
	else if (r->flags & RENAME_EXCHANGE)
		e = may_delete(&r->n.cur, r->nd, S_ISDIR(ni->mode), r->n.cred);
	else
		e = may_delete(&r->n.cur, r->nd, isdir, r->n.cred);
	if (e)
		return e;
	if (r->cross) {	/* the moved directory's ".." changes */
		if (isdir)
			e = inode_permission(oi, W_OK, r->o.cred);
		if (!e && ni && (r->flags & RENAME_EXCHANGE) && S_ISDIR(ni->mode))
			e = inode_permission(ni, W_OK, r->n.cred);
		if (e)
			return e;
	}
	if (dentry_is_mountpoint(&r->o.cur, r->od) || dentry_is_mountpoint(&r->n.cur, r->nd))
		return -EBUSY;
	return 0;
}

static void rename_events(struct rename *r, struct inode *victim)
{
	uint32_t cookie = __atomic_add_fetch(&next_cookie, 1, __ATOMIC_RELAXED);
	struct inode *moved = r->od->inode;
	uint32_t dir = S_ISDIR(moved->mode) ? IN_ISDIR : 0;

	/* After dentry_move r->nd carries the old name, r->od the new one. */
	notify_name(r->o.cur.dentry->inode, r->o.last, r->o.last_len, IN_MOVED_FROM | dir, cookie);
	notify_name(r->n.cur.dentry->inode, r->n.last, r->n.last_len, IN_MOVED_TO | dir, cookie);
	notify_inode(moved, IN_MOVE_SELF);
	if ((r->flags & RENAME_EXCHANGE) && victim) {
		cookie = __atomic_add_fetch(&next_cookie, 1, __ATOMIC_RELAXED);
		dir = S_ISDIR(victim->mode) ? IN_ISDIR : 0;
		notify_name(r->n.cur.dentry->inode, r->n.last, r->n.last_len, IN_MOVED_FROM | dir, cookie);
		notify_name(r->o.cur.dentry->inode, r->o.last, r->o.last_len, IN_MOVED_TO | dir, cookie);
		notify_inode(victim, IN_MOVE_SELF);
	} else if (victim) {
		notify_inode(victim, IN_ATTRIB);	/* its link count; its end is told by dentry_put */
	}
}

static int rename_locked(struct rename *r, struct inode **victim)
{
	struct inode *odir = r->o.cur.dentry->inode, *ndir = r->n.cur.dentry->inode;
	int e = dentry_lookup_locked(r->o.cur.dentry, r->o.last, r->o.last_len, &r->od);

	if (e)
		return e;
	e = dentry_lookup_locked(r->n.cur.dentry, r->n.last, r->n.last_len, &r->nd);
	if (!e)
		e = check_pair(r);
	if (e)
		return e;
	if (r->od == r->nd || (r->nd->inode == r->od->inode && !(r->flags & RENAME_EXCHANGE)))
		return 1;	/* the same object: nothing to do */
	e = check_rights(r);
	if (!e && !inode_ops(odir)->rename)
		e = -EPERM;
	if (!e)
		e = inode_ops(odir)->rename(odir, r->o.last, r->o.last_len, r->od->inode, ndir, r->n.last,
					    r->n.last_len, r->nd->inode, r->flags);
	if (e)
		return e;
	*victim = inode_get(r->nd->inode);
	return dentry_move(r->od, r->nd, r->flags & RENAME_EXCHANGE);
}

static int rename_walked(struct rename *r)
{
	struct inode *victim = NULL;
	struct dentry *warm;
	int e;

	if (r->o.cur.mnt != r->n.cur.mnt)
		return -EXDEV;
	if (r->o.type != LAST_NORM)
		return -EBUSY;
	if (r->n.type != LAST_NORM)
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	e = path_want_write(&r->o.cur);
	if (e)
		return e;
	/* Revalidation happens without locks. */
	e = dentry_lookup(r->o.cur.dentry, r->o.last, r->o.last_len, &warm);
	if (e)
		return e;
	dentry_put(warm);
	e = dentry_lookup(r->n.cur.dentry, r->n.last, r->n.last_len, &warm);
	if (e)
		return e;
	dentry_put(warm);
	rename_lock(r);
	e = rename_locked(r, &victim);
	rename_unlock(r);
	if (!e && !(r->flags & RENAME_EXCHANGE))
		mounts_forget_place(r->nd);
	if (!e)
		rename_events(r, victim);
	inode_put(victim);
	dentry_put(r->od);
	dentry_put(r->nd);
	return e == 1 ? 0 : e;
}

static int rename_begin(struct rename *r, struct task *t, int odirfd, const char *oname, int ndirfd,
			const char *nname)
{
	int e = walk_begin(&r->o, t, odirfd, oname, 0);

	if (e)
		return e;
	e = walk_parent(&r->o);
	if (e) {
		walk_end(&r->o);
		return e;
	}
	e = walk_begin(&r->n, t, ndirfd, nname, 0);
	if (!e) {
		e = walk_parent(&r->n);
		if (!e)
			return 0;
		walk_end(&r->n);
	}
	walk_end(&r->o);
	return e;
}

int vfs_rename(struct task *t, int odirfd, const char *oname, int ndirfd, const char *nname,
	       unsigned flags)
{
	struct rename *r;
	int e;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) && (flags & RENAME_EXCHANGE))
		return -EINVAL;
	r = kmalloc(sizeof(*r));	/* two walks: too much for the stack */
	if (!r)
		return -ENOMEM;
	r->flags = flags;
	e = rename_begin(r, t, odirfd, oname, ndirfd, nname);
	if (!e) {
		e = rename_walked(r);
		walk_end(&r->n);
		walk_end(&r->o);
	}
	kfree(r);
	return e;
}
