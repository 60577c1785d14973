/* SPDX-License-Identifier: Apache-2.0 */
/* mount, umount, bind, move, remount, propagation flags, pivot_root (fs/namespace.c). */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount_int.h"

#define FS_TYPES_MAX 24
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#define MNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME |      \
		   MS_RELATIME | MS_STRICTATIME | MS_NOSYMFOLLOW)
#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)

static const struct fs_type *fs_types[FS_TYPES_MAX];
static unsigned nr_fs_types;

void fs_type_register(const struct fs_type *ft)
{
	if (nr_fs_types < FS_TYPES_MAX)
		fs_types[nr_fs_types++] = ft;
}

void fs_types_show(struct buf *b)
{
	for (unsigned i = 0; i < nr_fs_types; i++)
		buf_fmt(b, "%s\t%s\n", fs_types[i]->nodev ? "nodev" : "", fs_types[i]->name);
}

static bool may_mount(struct task *t)
{
	struct user_ns *uns = t->ns->mnt->user_ns;

	return uns ? cred_ns_capable(t->cred, uns, CAP_SYS_ADMIN) : task_capable(t, CAP_SYS_ADMIN);
}

/* Is m in the caller's namespace? */
static bool is_ours(struct task *t, const struct mount *m)
{
	return READ_ONCE(m->ns) == t->ns->mnt;
}

static int attach_checked(struct mount *m, const struct path *to)
{
	if (S_ISDIR(m->root->inode->mode) != S_ISDIR(to->dentry->inode->mode)) {
		mount_tree_put(m);
		return -ENOTDIR;
	}
	return mount_attach(m, to);
}

int mount_bind(struct task *t, const struct path *from, const struct path *to, bool rec)
{
	struct mount *m;
	int r;

	if (t && (!is_ours(t, from->mnt) || !is_ours(t, to->mnt)))
		return -EINVAL;
	do
		r = rec ? mount_tree_copy(from->mnt, from->dentry, &m)
			: mount_clone(from->mnt, from->dentry, &m);
	while (r == -EAGAIN);
	if (r)
		return r;
	if (rec) {
		mutex_lock(mount_lock);
		for (struct mount *c = m; c; c = mount_next(c, m))
			c->copy_of = NULL;
		mutex_unlock(mount_lock);
	}
	return attach_checked(m, to);
}

static int do_bind(struct task *t, const char *source, const struct path *to, bool rec)
{
	struct path from;
	int r = path_lookup(t, AT_FDCWD, source, LOOKUP_FOLLOW, &from);

	if (r)
		return r;
	r = mount_bind(t, &from, to, rec);
	path_put(&from);
	return r;
}

static int do_remount(const struct path *p, uint64_t flags, const char *data)
{
	struct mount *m = p->mnt;
	struct super *sb = m->sb;
	int r = 0;

	if (p->dentry != m->root)
		return -EINVAL;
	if (!(flags & MS_BIND)) {
		if (super_ops_table[sb->sops] && super_ops_table[sb->sops]->remount)
			r = super_ops_table[sb->sops]->remount(sb, (unsigned)flags, data);
		if (r)
			return r;
		sb->flags = (sb->flags & ~(unsigned)MS_RDONLY) | (flags & MS_RDONLY);
	}
	mutex_lock(mount_lock);
	WRITE_ONCE(m->flags, (m->flags & ~(unsigned)MNT_FLAGS) | (flags & MNT_FLAGS));
	mutex_unlock(mount_lock);
	return 0;
}

static int do_propagation(const struct path *p, uint64_t flags)
{
	struct mount *m;

	if (p->dentry != p->mnt->root)
		return -EINVAL;
	mutex_lock(mount_lock);
	for (m = p->mnt; m; m = flags & MS_REC ? mount_next(m, p->mnt) : NULL) {
		if (flags & MS_SHARED) {
			if (!m->peer_group)
				m->peer_group = m->id;
		} else {
			m->master_group = flags & MS_SLAVE ? m->peer_group : 0;
			m->peer_group = 0;
			m->flags &= ~(unsigned)MS_UNBINDABLE;
			m->flags |= flags & MS_UNBINDABLE;
		}
	}
	mutex_unlock(mount_lock);
	return 0;
}

static int do_move(struct task *t, const char *source, const struct path *to)
{
	struct path from;
	struct dentry *old = NULL;
	int r = path_lookup(t, AT_FDCWD, source, LOOKUP_FOLLOW, &from);

	if (r)
		return r;
	struct mount *m = from.mnt;
	r = -EINVAL;
	if (from.dentry == m->root && is_ours(t, m) && is_ours(t, to->mnt)) {
		r = 0;
		if (S_ISDIR(m->root->inode->mode) != S_ISDIR(to->dentry->inode->mode))
			r = -ENOTDIR;
		mutex_lock(mount_lock);
		if (!m->parent)
			r = -EINVAL;
		for (struct mount *up = to->mnt; up && !r; up = up->parent) {
			if (up == m)
				r = -ELOOP;
		}
		if (!r) {
			old = mount_unlink_locked(m);
			mount_link_locked(m, to->mnt, to->dentry);
		}
		mutex_unlock(mount_lock);
	}
	if (old)
		dentry_put(old);
	path_put(&from);
	return r;
}

static int do_new_mount(struct task *t, const char *source, const char *type, const struct path *to,
			uint64_t flags, const char *data)
{
	const struct fs_type *ft = NULL;
	struct super *sb;
	struct mount *m;

	if (!type)
		return -EINVAL;
	if (!is_ours(t, to->mnt))
		return -EINVAL;
	for (unsigned i = 0; i < nr_fs_types; i++) {
		if (strcmp(fs_types[i]->name, type) == 0)
			ft = fs_types[i];
	}
	if (!ft)
		return -ENODEV;
	int r = ft->create(t, source, (unsigned)flags, data, &sb);
	if (r)
		return r;
	if (flags & MS_RDONLY)
		sb->flags |= MS_RDONLY;
	r = mount_create(sb, flags & MNT_FLAGS, source, &m);
	super_put(sb);
	return r ? r : attach_checked(m, to);
}

int vfs_mount(struct task *t, const char *source, const char *target, const char *type,
	      uint64_t flags, const char *data)
{
	struct path to;
	int r;

	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~(uint64_t)MS_MGC_MSK;
	r = path_lookup(t, AT_FDCWD, target, LOOKUP_FOLLOW, &to);
	if (r)
		return r;
	if (!may_mount(t))
		r = -EPERM;
	else if ((flags & (MS_REMOUNT | MS_BIND)) == MS_BIND)
		r = source ? do_bind(t, source, &to, flags & MS_REC) : -EINVAL;
	else if (flags & MS_REMOUNT)
		r = do_remount(&to, flags, data);
	else if (flags & PROPAGATION)
		r = do_propagation(&to, flags);
	else if (flags & MS_MOVE)
		r = source ? do_move(t, source, &to) : -EINVAL;
	else
		r = do_new_mount(t, source, type, &to, flags, data);
	path_put(&to);
	return r;
}

int vfs_umount(struct task *t, const char *target, int flags)
{
	struct path p;
	int r;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
		return -EINVAL;
	r = path_lookup(t, AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p);
	if (r)
		return r;
	struct mount *m = p.mnt;
	if (!may_mount(t))
		r = -EPERM;
	else if (p.dentry != m->root || !is_ours(t, m))
		r = -EINVAL;
	dentry_put(p.dentry);
	mutex_lock(mount_lock);
	if (!r && !m->parent)
		r = -EBUSY;	/* the root of the namespace */
	if (!r && !(flags & MNT_DETACH) && (!list_empty(&m->children) || ref_read(&m->ref) > 2))
		r = -EBUSY;
	if (!r && (flags & MNT_EXPIRE))
		r = -EAGAIN;
	mutex_unlock(mount_lock);
	if (!r)
		mount_tree_put(m);
	mount_put(m);
	return r;
}

static bool mount_is_below(struct mount *m, const struct dentry *d, const struct path *top)
{
	while (m != top->mnt) {
		if (!m->parent)
			return false;
		d = m->mountpoint;
		m = m->parent;
	}
	return dentry_is_below(d, top->dentry);
}

static int pivot(struct task *t, struct path *root, struct path *new, struct path *old)
{
	struct dentry *drop1, *drop2;

	if (root->mnt->root != root->dentry || new->mnt->root != new->dentry || !is_ours(t, new->mnt) ||
	    !is_ours(t, root->mnt) || !is_ours(t, old->mnt))
		return -EINVAL;
	if (new->mnt == root->mnt || old->mnt == root->mnt)
		return -EBUSY;
	if (!S_ISDIR(new->dentry->inode->mode) || !S_ISDIR(old->dentry->inode->mode))
		return -ENOTDIR;
	mutex_lock(mount_lock);
	if (!new->mnt->parent || !mount_is_below(old->mnt, old->dentry, new) ||
	    !mount_is_below(new->mnt, new->dentry, root)) {
		mutex_unlock(mount_lock);
		return -EINVAL;
	}
	struct mount *top = root->mnt->parent;
	drop1 = mount_unlink_locked(new->mnt);
	drop2 = top ? mount_unlink_locked(root->mnt) : NULL;
	if (top)
		mount_link_locked(new->mnt, top, drop2);
	else
		t->ns->mnt->root = new->mnt;
	mount_link_locked(root->mnt, old->mnt, old->dentry);
	mutex_unlock(mount_lock);
	dentry_put(drop1);
	if (drop2)
		dentry_put(drop2);
	return 0;
}

static void repoint(struct fsctx *fs, struct path *which, const struct path *from, const struct path *to)
{
	struct path old = {NULL, NULL};

	mutex_lock(&fs->lock);
	if (path_equal(which, from)) {
		old = *which;
		*which = *to;
		path_get(which);
	}
	mutex_unlock(&fs->lock);
	if (old.dentry)
		path_put(&old);
}

int vfs_pivot_root(struct task *t, const char *new_root, const char *put_old)
{
	struct path root, new, old;
	int r;

	if (!may_mount(t))
		return -EPERM;
	r = path_lookup(t, AT_FDCWD, new_root, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &new);
	if (r)
		return r;
	r = path_lookup(t, AT_FDCWD, put_old, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &old);
	if (r) {
		path_put(&new);
		return r;
	}
	mutex_lock(&t->fs->lock);
	root = t->fs->root;
	path_get(&root);
	mutex_unlock(&t->fs->lock);
	r = pivot(t, &root, &new, &old);
	if (!r) {
		repoint(t->fs, &t->fs->root, &root, &new);
		repoint(t->fs, &t->fs->cwd, &root, &new);
	}
	path_put(&root);
	path_put(&old);
	path_put(&new);
	return r;
}
