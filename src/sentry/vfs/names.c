/* SPDX-License-Identifier: Apache-2.0 */
/* Creating and removing names (fs/namei.c: filename_create, do_unlinkat, do_rmdir, do_linkat). */
#include "sentry/vfs/names.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/vfs_int.h"

bool (*vfs_protected_hardlinks)(void);

uint32_t task_umask(struct task *t)
{
	return t ? READ_ONCE(t->fs->umask) : 0;
}

struct newname {
	struct walk w;
	struct dentry *d;	/* negative; the parent's lock is held */
};

/* A negative dentry in a locked directory, in which the caller may create. */
static int create_begin_walked(struct newname *n, bool isdir)
{
	struct walk *w = &n->w;
	int r, ro;

	if (w->type != LAST_NORM)
		return -EEXIST;
	ro = path_want_write(&w->cur);
	struct inode *di = w->cur.dentry->inode;
	vfs_name_intent = ro ? NAME_ANY : NAME_TO_CREATE;
	r = dentry_lookup(w->cur.dentry, w->last, w->last_len, &n->d);
	vfs_name_intent = NAME_ANY;
	if (r)
		return r;
	mutex_lock(&di->lock);
	if (!n->d->inode) {	/* it may have been dropped or filled meanwhile */
		dentry_put(n->d);
		r = dentry_lookup_locked(w->cur.dentry, w->last, w->last_len, &n->d);
		if (r) {
			mutex_unlock(&di->lock);
			return r;
		}
	}
	if (n->d->inode)
		r = -EEXIST;
	else if (w->trailing && !isdir)
		r = -ENOENT;
	else if (ro)
		r = ro;
	else
		r = may_create(&w->cur, w->cred);
	if (r) {
		mutex_unlock(&di->lock);
		dentry_put(n->d);
	}
	return r;
}

static int create_begin(struct newname *n, struct task *t, int dirfd, const char *name, bool isdir)
{
	int r = walk_begin(&n->w, t, dirfd, name, 0);

	if (r)
		return r;
	r = walk_parent(&n->w);
	if (!r)
		r = create_begin_walked(n, isdir);
	if (r)
		walk_end(&n->w);
	return r;
}

static int create_end(struct newname *n, int r, struct inode *made, uint32_t event)
{
	if (!r)
		dentry_instantiate(n->d, made);
	mutex_unlock(&n->w.cur.dentry->inode->lock);
	if (!r)
		notify_child(n->d, event, 0);
	dentry_put(n->d);
	walk_end(&n->w);
	return r;
}

int vfs_mkdir(struct task *t, int dirfd, const char *name, uint32_t mode)
{
	struct newname n;
	struct inode *made = NULL;
	int r = create_begin(&n, t, dirfd, name, true);

	if (r)
		return r;
	struct inode *di = n.w.cur.dentry->inode;
	mode = S_IFDIR | (mode & 01777 & ~acl_umask(di, task_umask(t)));
	r = -EPERM;
	if (inode_ops(di)->mkdir)
		r = inode_ops(di)->mkdir(di, n.w.last, n.w.last_len, mode, n.w.cred, &made);
	return create_end(&n, r, made, IN_CREATE | IN_ISDIR);
}

static int mknod_check(const struct path *dir, uint32_t mode, uint64_t rdev, const struct cred *cred)
{
	bool whiteout = S_ISCHR(mode) && rdev == 0;

	if ((S_ISCHR(mode) || S_ISBLK(mode)) && cred && !whiteout && !cred_capable(cred, CAP_MKNOD))
		return -EPERM;
	if (!inode_ops(dir->dentry->inode)->create)
		return -EPERM;
	return 0;
}

int vfs_mknod(struct task *t, int dirfd, const char *name, uint32_t mode, uint64_t rdev)
{
	struct newname n;
	struct inode *made = NULL;

	switch (mode & S_IFMT) {
	case 0:
		mode |= S_IFREG;
		break;
	case S_IFREG: case S_IFIFO: case S_IFSOCK:
		break;
	case S_IFCHR: case S_IFBLK:
		break;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
	int r = create_begin(&n, t, dirfd, name, false);
	if (r)
		return r;
	struct inode *di = n.w.cur.dentry->inode;
	mode = (mode & S_IFMT) | (mode & 07777 & ~acl_umask(di, task_umask(t)));
	r = mknod_check(&n.w.cur, mode, rdev, n.w.cred);
	if (!r)
		r = inode_ops(di)->create(di, n.w.last, n.w.last_len, mode, rdev, n.w.cred, &made);
	return create_end(&n, r, made, IN_CREATE);
}

int vfs_mknod_at(const struct path *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		 const struct cred *cred, struct path *out)
{
	struct inode *di = dir->dentry->inode, *made = NULL;
	struct dentry *d;
	int r = path_want_write(dir);

	if (r && cred)
		return r;
	mutex_lock(&di->lock);
	r = dentry_lookup_locked(dir->dentry, name, len, &d);
	if (r) {
		mutex_unlock(&di->lock);
		return r;
	}
	r = d->inode ? -EEXIST : may_create(dir, cred);
	if (!r)
		r = mknod_check(dir, mode, rdev, cred);
	if (!r && S_ISDIR(mode))
		r = inode_ops(di)->mkdir ? inode_ops(di)->mkdir(di, name, len, mode, cred, &made) : -EPERM;
	else if (!r)
		r = inode_ops(di)->create(di, name, len, mode, rdev, cred, &made);
	if (!r)
		dentry_instantiate(d, made);
	mutex_unlock(&di->lock);
	if (!r)
		notify_child(d, IN_CREATE | (S_ISDIR(mode) ? IN_ISDIR : 0), 0);
	if (!r && out) {
		out->mnt = mount_get(dir->mnt);
		out->dentry = d;
	} else {
		dentry_put(d);
	}
	return r;
}

int vfs_mkdir_p(const struct path *root, const char *name, uint32_t mode, struct path *out)
{
	struct path cur = *root, next;
	int r = 0;

	path_get(&cur);
	while (!r) {
		while (*name == '/')
			name++;
		size_t len = (size_t)(strchrnul(name, '/') - name);
		if (!len)
			break;
		char comp[NAME_MAX_LEN + 1];
		if (len > NAME_MAX_LEN) {
			r = -ENAMETOOLONG;
			break;
		}
		memcpy(comp, name, len);
		comp[len] = 0;
		r = path_lookup_at(NULL, root, &cur, comp, LOOKUP_FOLLOW, &next);
		if (r == -ENOENT)
			r = vfs_mknod_at(&cur, comp, len, S_IFDIR | mode, 0, NULL, &next);
		if (!r) {
			path_put(&cur);
			cur = next;
		}
		name += len;
	}
	if (r)
		path_put(&cur);
	else
		*out = cur;
	return r;
}

int vfs_symlink(struct task *t, const char *target, int dirfd, const char *name)
{
	struct newname n;
	struct inode *made = NULL;
	int r = create_begin(&n, t, dirfd, name, false);

	if (r)
		return r;
	struct inode *di = n.w.cur.dentry->inode;
	r = -EPERM;
	if (inode_ops(di)->symlink)
		r = inode_ops(di)->symlink(di, n.w.last, n.w.last_len, target, n.w.cred, &made);
	return create_end(&n, r, made, IN_CREATE);
}

/* --- removal --------------------------------------------------------------------------------- */

static int remove_locked(struct walk *w, struct dentry *d, bool isdir)
{
	struct inode *di = w->cur.dentry->inode, *i = d->inode;
	int r;

	if (!i)
		return -ENOENT;
	if (w->trailing && !isdir)
		return S_ISDIR(i->mode) ? -EISDIR : -ENOTDIR;
	r = may_delete(&w->cur, d, isdir, w->cred);
	if (r)
		return r;
	if (dentry_is_mountpoint(&w->cur, d))
		return -EBUSY;
	if (isdir)
		return inode_ops(di)->rmdir ? inode_ops(di)->rmdir(di, w->last, w->last_len, i) : -EPERM;
	return inode_ops(di)->unlink ? inode_ops(di)->unlink(di, w->last, w->last_len, i) : -EPERM;
}

static int remove_walked(struct walk *w, bool isdir)
{
	struct inode *di = w->cur.dentry->inode, *i;
	struct dentry *d;
	int r;

	if (w->type != LAST_NORM) {
		if (!isdir)
			return -EISDIR;
		return w->type == LAST_DOTDOT ? -ENOTEMPTY : w->type == LAST_DOT ? -EINVAL : -EBUSY;
	}
	r = path_want_write(&w->cur);
	if (r)
		return r;
	vfs_name_intent = NAME_TO_REMOVE;
	r = dentry_lookup(w->cur.dentry, w->last, w->last_len, &d);	/* revalidates */
	vfs_name_intent = NAME_ANY;
	if (r)
		return r;
	dentry_put(d);
	mutex_lock(&di->lock);
	r = dentry_lookup_locked(w->cur.dentry, w->last, w->last_len, &d);
	if (r) {
		mutex_unlock(&di->lock);
		return r;
	}
	r = remove_locked(w, d, isdir);
	i = r ? NULL : inode_get(d->inode);
	if (!r) {
		if (!isdir)
			notify_inode(i, IN_ATTRIB);	/* its link count */
		if (dentry_deleted(d) && (isdir || i->nlink == 0))
			notify_inode(i, IN_DELETE_SELF);
		notify_child_of(di, d, IN_DELETE | (isdir ? IN_ISDIR : 0));
	}
	mutex_unlock(&di->lock);
	if (!r)
		mounts_forget_place(d);
	inode_put(i);
	dentry_put(d);
	return r;
}

static int remove_name(struct task *t, int dirfd, const char *name, bool isdir)
{
	struct walk w;
	int r = walk_begin(&w, t, dirfd, name, 0);

	if (r)
		return r;
	r = walk_parent(&w);
	if (!r)
		r = remove_walked(&w, isdir);
	walk_end(&w);
	return r;
}

int vfs_unlink(struct task *t, int dirfd, const char *name)
{
	return remove_name(t, dirfd, name, false);
}

int vfs_rmdir(struct task *t, int dirfd, const char *name)
{
	return remove_name(t, dirfd, name, true);
}

/* --- link ------------------------------------------------------------------------------------ */

/* fs.protected_hardlinks: one's own files, or harmless ones that one may read and write. */
static bool hardlinks_protected(struct inode *i, const struct path *p, const struct cred *cred)
{
	struct kstat st;

	if (!cred || !vfs_protected_hardlinks || !vfs_protected_hardlinks() || vfs_getattr(p, &st, 0))
		return false;
	if (cred->fsuid == st.uid || inode_capable(i, cred, CAP_FOWNER))
		return false;
	return !S_ISREG(st.mode) || (st.mode & S_ISUID) ||
	       (st.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	       inode_permission(i, R_OK | W_OK, cred);
}

static int link_locked(struct newname *n, const struct path *old)
{
	struct inode *di = n->w.cur.dentry->inode, *i = old->dentry->inode;

	if (S_ISDIR(i->mode) || (READ_ONCE(i->attr) & (FS_APPEND_FL | FS_IMMUTABLE_FL)))
		return -EPERM;
	if (!inode_ops(di)->link)
		return -EPERM;
	if (hardlinks_protected(i, old, n->w.cred))
		return -EPERM;
	if (i->no_link || (i->nlink == 0 && !(old->dentry->flags & D_DISCONNECTED)))
		return -ENOENT;
	return inode_ops(di)->link(di, n->w.last, n->w.last_len, i);
}

int vfs_link(struct task *t, int odirfd, const char *oname, int ndirfd, const char *nname, int flags)
{
	struct newname n;
	struct path old;
	unsigned lf = 0;
	int r;

	if (flags & AT_EMPTY_PATH)
		lf |= LOOKUP_EMPTY;
	if (flags & AT_SYMLINK_FOLLOW)
		lf |= LOOKUP_FOLLOW;
	r = path_lookup(t, odirfd, oname, lf, &old);
	if (r)
		return r;
	r = create_begin(&n, t, ndirfd, nname, false);
	if (r) {
		path_put(&old);
		return r;
	}
	if (old.mnt != n.w.cur.mnt || old.dentry->sb != n.w.cur.dentry->sb)
		r = -EXDEV;
	else
		r = link_locked(&n, &old);
	if (!r)
		inode_get(old.dentry->inode);
	if (!r && (old.dentry->flags & D_DISCONNECTED))
		old.dentry->flags &= ~(uint32_t)D_UNLINKED;
	struct inode *i = inode_get(old.dentry->inode);
	r = create_end(&n, r, i, IN_CREATE);
	if (!r)
		notify_inode(i, IN_ATTRIB);
	inode_put(i);
	path_put(&old);
	return r;
}
