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

const struct fs_type *fs_type_find(const char *name)
{
	for (unsigned i = 0; i < nr_fs_types; i++) {
		if (strcmp(fs_types[i]->name, name) == 0)
			return fs_types[i];
	}
	return NULL;
}

bool task_may_mount(struct task *t)
{
	struct user_ns *uns = t->ns->mnt->user_ns;

	return uns ? cred_ns_capable(t->cred, uns, CAP_SYS_ADMIN) : task_capable(t, CAP_SYS_ADMIN);
}

bool mount_is_ours(struct task *t, const struct mount *m)
{
	return READ_ONCE(m->ns) == t->ns->mnt;
}

/* A tree that is not attached: one's own open_tree or fsmount. */
static bool is_detached_root(const struct mount *m)
{
	struct mnt_ns *ns = READ_ONCE(m->ns);

	return ns && ns->anon && ns->root == m;
}

static int attach_checked(struct mount *m, const struct path *to)
{
	if (S_ISDIR(m->root->inode->mode) != S_ISDIR(to->dentry->inode->mode)) {
		mount_tree_put(m);
		return -ENOTDIR;
	}
	return mount_attach(m, to);
}

/* --- bind ------------------------------------------------------------------------------------ */

/* Would a bind without the rest uncover what is locked onto it? */
static bool has_locked_below(const struct mount *m, const struct dentry *root)
{
	struct mount *c;

	list_for_each(c, &m->children, siblings) {
		if (c->locked && dentry_is_below(c->mountpoint, root))
			return true;
	}
	return false;
}

int mount_copy_for_bind(struct task *t, const struct path *p, bool rec, struct mount **out)
{
	struct list dead = LIST_INIT(dead);
	struct mount *m = p->mnt;
	int r = 0;

	mutex_lock(mount_lock);
	if (t && !mount_is_ours(t, m) && !(m->ns && m->ns->anon) && p->dentry->inode->iops != IOPS_nsfs)
		r = -EINVAL;
	if ((m->flags & MS_UNBINDABLE) || (!rec && has_locked_below(m, p->dentry)))
		r = -EINVAL;
	if (!r)
		r = mount_copy_locked(m, p->dentry, COPY_SAME, rec, false, &dead, out);
	if (!r)
		(*out)->locked = false;
	mutex_unlock(mount_lock);
	mounts_free(&dead);
	return r;
}

int mount_bind(struct task *t, const struct path *from, const struct path *to, bool rec)
{
	struct mount *m;

	if (t && !mount_is_ours(t, to->mnt))
		return -EINVAL;
	int r = mount_copy_for_bind(t, from, rec, &m);
	return r ? r : attach_checked(m, to);
}

static int do_bind(struct task *t, const char *source, const struct path *to, bool rec)
{
	struct path from;

	if (!source || !*source)
		return -EINVAL;
	int r = path_lookup(t, AT_FDCWD, source, LOOKUP_FOLLOW, &from);
	if (r)
		return r;
	r = mount_bind(t, &from, to, rec);
	path_put(&from);
	return r;
}

/* --- flags and propagation ------------------------------------------------------------------- */

int mount_flags_check_locked(const struct mount *m, unsigned flags)
{
	unsigned lost = m->flags & ~flags, locked = m->lock_flags & ~(unsigned)MS_NOATIME;

	if (lost & locked)
		return -EPERM;
	if ((m->lock_flags & MS_NOATIME) &&
	    ((m->flags ^ flags) & (MS_NOATIME | MS_STRICTATIME | MS_NODIRATIME)))
		return -EPERM;
	return 0;
}

int mount_flags_locked(struct mount *m, unsigned flags)
{
	int r = mount_flags_check_locked(m, flags);

	if (!r)
		WRITE_ONCE(m->flags, (m->flags & ~(unsigned)MNT_FLAGS) | (flags & MNT_FLAGS));
	return r;
}

int mount_remount(struct super *sb, uint64_t flags, const char *data)
{
	const struct super_ops *o = super_ops_table[sb->sops];
	int r = o && o->remount ? o->remount(sb, (unsigned)flags, data) : 0;

	if (!r)
		sb->flags = (sb->flags & ~(unsigned)MS_RDONLY) | (flags & MS_RDONLY);
	return r;
}

static int do_remount(struct task *t, const struct path *p, uint64_t flags, const char *data)
{
	struct mount *m = p->mnt;

	if (p->dentry != m->root || !mount_is_ours(t, m))
		return -EINVAL;
	if (!(flags & (MNT_ATIME | MS_NODIRATIME)))
		flags |= m->flags & (MNT_ATIME | MS_NODIRATIME);
	int r = flags & MS_BIND ? 0 : mount_remount(m->sb, flags, data);
	if (r)
		return r;
	mutex_lock(mount_lock);
	r = mount_flags_locked(m, (unsigned)flags & MNT_FLAGS);
	mutex_unlock(mount_lock);
	return r;
}

int mount_propagation_locked(struct mount *top, unsigned type, bool rec)
{
	int r = 0;

	for (struct mount *m = top; m && !r; m = rec ? mount_next(m, top) : NULL) {
		switch (type) {
		case MS_SHARED: r = mount_set_shared_locked(m); break;
		case MS_SLAVE: mount_set_slave_locked(m); break;
		case MS_UNBINDABLE: mount_set_unbindable_locked(m); break;
		default: mount_set_private_locked(m);
		}
	}
	return r;
}

static int do_propagation(struct task *t, const struct path *p, uint64_t flags)
{
	unsigned type = (unsigned)flags & ~(unsigned)(MS_REC | MS_SILENT);

	if ((type & ~(unsigned)MNT_PROPAGATION) || (type & (type - 1)) || p->dentry != p->mnt->root ||
	    !mount_is_ours(t, p->mnt))
		return -EINVAL;
	mutex_lock(mount_lock);
	int r = mount_propagation_locked(p->mnt, type, flags & MS_REC);
	mutex_unlock(mount_lock);
	return r;
}

/* --- move ------------------------------------------------------------------------------------ */

static bool has_unbindable(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_next(m, top)) {
		if (m->flags & MS_UNBINDABLE)
			return true;
	}
	return false;
}

static int check_move_locked(struct mount *m, const struct path *to)
{
	bool detached = is_detached_root(m);

	if (!detached && (!m->parent || m->parent->peers))
		return -EINVAL;
	if (m->locked || (to->mnt->peers && has_unbindable(m)))
		return -EINVAL;
	for (struct mount *up = to->mnt; up; up = up->parent) {
		if (up == m)
			return -ELOOP;
	}
	return 0;
}

/* To hang something between the mount at `to` and what it hangs on; the lock is held afterwards. */
static int lock_beneath(struct task *t, const struct path *to, struct path *p, struct mount **top)
{
	struct mount *m = to->mnt;

	mutex_lock(mount_lock);
	mutex_lock(&t->fs->lock);
	bool root = t->fs->root.mnt == m;
	mutex_unlock(&t->fs->lock);
	if (to->dentry != m->root || !m->parent || m->locked || root)
		return -EINVAL;
	*p = (struct path){m->parent, m->mountpoint};
	path_get(p);
	*top = m;
	return 0;
}

static int lock_target(struct task *t, const struct path *to, bool beneath, struct path *p,
		       struct mount **top)
{
	*top = NULL;
	if (beneath)
		return lock_beneath(t, to, p, top);
	*p = *to;
	path_get(p);
	mount_lock_place(p);
	return 0;
}

int mount_move(struct task *t, const struct path *from, const struct path *to, bool beneath)
{
	struct list dead = LIST_INIT(dead);
	struct mount *m = from->mnt;
	struct path p = {NULL, NULL};
	struct mnt_ns *anon = NULL;
	struct dentry *old = NULL;
	struct mount *parent, *top;

	if (from->dentry != m->root || !(mount_is_ours(t, m) || is_detached_root(m)) ||
	    !(mount_is_ours(t, to->mnt) || (to->mnt->ns && to->mnt->ns->anon)) ||
	    S_ISDIR(m->root->inode->mode) != S_ISDIR(to->dentry->inode->mode))
		return -EINVAL;
	int r = lock_target(t, to, beneath, &p, &top);
	if (!r)
		r = check_move_locked(m, &p);
	if (!r) {
		anon = m->ns && m->ns->anon ? m->ns : NULL;
		parent = m->parent;
		old = mount_unlink_locked(m);
		r = mount_attach_locked(m, &p, &dead);
		if (r && parent)
			mount_link_locked(m, parent, old);
		if (!r && top)
			mount_reparent_locked(top, m, m->root);
		if (r || !anon)
			anon = NULL;
		else
			anon->root = NULL;
	}
	mutex_unlock(mount_lock);
	mounts_free(&dead);
	dentry_put(old);
	mnt_ns_put(anon);
	path_put(&p);
	return r;
}

static int do_move(struct task *t, const char *source, const struct path *to)
{
	struct path from;

	if (!source || !*source)
		return -EINVAL;
	int r = path_lookup(t, AT_FDCWD, source, LOOKUP_FOLLOW, &from);
	if (r)
		return r;
	r = mount_move(t, &from, to, false);
	path_put(&from);
	return r;
}

/* --- mount(2), umount2(2) -------------------------------------------------------------------- */

static int do_new_mount(struct task *t, const char *source, const char *type, const struct path *to,
			uint64_t flags, const char *data)
{
	const struct fs_type *ft = type ? fs_type_find(type) : NULL;
	struct super *sb;
	struct mount *m;

	if (!type || !mount_is_ours(t, to->mnt))
		return -EINVAL;
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
	if (!task_may_mount(t))
		r = -EPERM;
	else if (flags & MS_REMOUNT)
		r = do_remount(t, &to, flags, data);
	else if (flags & MS_BIND)
		r = do_bind(t, source, &to, flags & MS_REC);
	else if (flags & MNT_PROPAGATION)
		r = do_propagation(t, &to, flags);
	else if (flags & MS_MOVE)
		r = do_move(t, source, &to);
	else
		r = do_new_mount(t, source, type, &to, flags, data);
	path_put(&to);
	return r;
}

/* What may be umounted at all; the mount lock is held. */
static int check_umount_locked(struct task *t, struct mount *m, int flags)
{
	if (!mount_is_ours(t, m) || m->locked)
		return -EINVAL;
	if (!m->parent)
		return -EBUSY;	/* the root of the namespace */
	if ((flags & MNT_EXPIRE) && ref_read(&m->ref) > 2)
		return -EBUSY;
	if ((flags & MNT_EXPIRE) && !m->expiring) {
		m->expiring = true;
		return -EAGAIN;
	}
	return !(flags & MNT_DETACH) && mount_is_busy_locked(m, 2) ? -EBUSY : 0;
}

int vfs_umount(struct task *t, const char *target, int flags)
{
	struct list dead = LIST_INIT(dead);
	struct path p;
	int r;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	mount_expire_walk = true;
	r = path_lookup(t, AT_FDCWD, target, flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p);
	mount_expire_walk = false;
	if (r)
		return r;
	struct mount *m = p.mnt;
	if (!task_may_mount(t))
		r = -EPERM;
	else if (p.dentry != m->root || ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH))))
		r = -EINVAL;
	dentry_put(p.dentry);
	mutex_lock(mount_lock);
	if (!r)
		r = check_umount_locked(t, m, flags);
	if (!r)
		mount_umount_locked(m, &dead);
	mutex_unlock(mount_lock);
	mounts_free(&dead);
	mount_put(m);
	return r;
}

/* --- pivot_root(2) --------------------------------------------------------------------------- */

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

static int check_pivot(struct task *t, struct path *root, struct path *new, struct path *old)
{
	if (old->mnt->peers || (new->mnt->parent && new->mnt->parent->peers) ||
	    (root->mnt->parent && root->mnt->parent->peers))
		return -EINVAL;
	if (!mount_is_ours(t, new->mnt) || !mount_is_ours(t, root->mnt) || !mount_is_ours(t, old->mnt) ||
	    new->mnt->locked)
		return -EINVAL;
	if (new->dentry->flags & D_UNLINKED)
		return -ENOENT;
	if (new->mnt == root->mnt || old->mnt == root->mnt)
		return -EBUSY;
	if (root->mnt->root != root->dentry || new->mnt->root != new->dentry || !new->mnt->parent)
		return -EINVAL;
	if (!mount_is_below(old->mnt, old->dentry, new) || !mount_is_below(new->mnt, new->dentry, root))
		return -EINVAL;
	return 0;
}

static int pivot(struct task *t, struct path *root, struct path *new, struct path *old)
{
	struct dentry *drop1, *drop2;

	mutex_lock(mount_lock);
	int r = check_pivot(t, root, new, old);
	if (r) {
		mutex_unlock(mount_lock);
		return r;
	}
	struct mount *top = root->mnt->parent;
	drop1 = mount_unlink_locked(new->mnt);
	drop2 = top ? mount_unlink_locked(root->mnt) : NULL;
	if (root->mnt->locked) {
		new->mnt->locked = true;
		root->mnt->locked = false;
	}
	if (top)
		mount_link_locked(new->mnt, top, drop2);
	else
		t->ns->mnt->root = new->mnt;
	mount_link_locked(root->mnt, old->mnt, old->dentry);
	mutex_unlock(mount_lock);
	dentry_put(drop1);
	dentry_put(drop2);
	return 0;
}

int vfs_pivot_root(struct task *t, const char *new_root, const char *put_old)
{
	struct path root, new, old;
	int r;

	if (!task_may_mount(t))
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
	if (!r)
		task_move_roots(&root, &new);
	path_put(&root);
	path_put(&old);
	path_put(&new);
	return r;
}
