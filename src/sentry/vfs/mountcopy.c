/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of trees, for binds, new namespaces and propagation, and hanging trees into others. */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount_int.h"

#define LOCKABLE (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)

/* A lone copy of m, showing `root` of it. */
static int clone_one(struct mount *m, struct dentry *root, enum copy_kind kind, struct list *dead,
		     struct mount **out)
{
	struct mount *c;
	int r = mount_create_root(m->sb, root, m->flags, m->source, &c);

	if (r)
		return r;
	c->lock_flags = m->lock_flags;
	c->locked = m->locked;
	bool slave = kind == COPY_SLAVE || kind == COPY_SLAVE_SHARED ||
		     (kind == COPY_SHARED_TO_SLAVE && m->peers);
	if (slave && m->peers)
		mount_enslave_locked(c, m->peers);
	else if (kind != COPY_PRIVATE && !slave && m->peers)
		mount_join_locked(c, m->peers);
	else if (kind != COPY_PRIVATE)
		mount_enslave_locked(c, mount_master(m));
	if (kind == COPY_SLAVE_SHARED)
		r = mount_set_shared_locked(c);
	if (r) {
		mount_detach_locked(c, dead);
		return r;
	}
	*out = c;
	return 0;
}

int mount_copy_locked(struct mount *top, struct dentry *root, enum copy_kind kind, bool rec, bool all,
		      struct list *dead, struct mount **out)
{
	struct mount *m, *c, *new_top;
	int r = clone_one(top, root, kind, dead, &new_top);

	if (r)
		return r;
	top->copy = new_top;
	for (m = rec ? mount_next(top, top) : NULL; m;) {
		/* A bind shows part of the file system: mounts outside of it are left out. */
		bool outside = m->parent == top && root != top->root && !dentry_is_below(m->mountpoint, root);
		if (outside || (!all && (m->flags & MS_UNBINDABLE))) {
			m = mount_next_skip(m, top);
			continue;
		}
		r = clone_one(m, m->root, kind, dead, &c);
		if (r) {
			mount_tree_detach_locked(new_top, dead);
			return r;
		}
		m->copy = c;
		mount_link_locked(c, m->parent->copy, m->mountpoint);
		m = mount_next(m, top);
	}
	*out = new_top;
	return 0;
}

/* --- attaching ------------------------------------------------------------------------------- */

static uint32_t tree_size(struct mount *top)
{
	uint32_t n = 0;

	for (struct mount *m = top; m; m = mount_next(m, top))
		n++;
	return n;
}

static int tree_set_shared(struct mount *top)
{
	int r = 0;

	for (struct mount *m = top; m && !r; m = mount_next(m, top))
		r = mount_set_shared_locked(m);
	return r;
}

void mount_lock_place(struct path *p)
{
	for (;;) {
		mount_follow_down(p);
		mutex_lock(mount_lock);
		if (!mount_find_locked(p->mnt, p->dentry))
			return;
		mutex_unlock(mount_lock);
	}
}

static void add_to_ns(struct mount *top, struct mnt_ns *ns)
{
	for (struct mount *c = top; c && ns; c = mount_next(c, top)) {
		if (c->ns == ns)
			continue;
		mount_ns_del_locked(c);
		mount_ns_add_locked(ns, c);
	}
}

/* What a less privileged namespace gets stays together and keeps its restrictions. */
static void lock_tree(struct mount *top)
{
	for (struct mount *m = top; m; m = mount_next(m, top)) {
		m->lock_flags = (m->flags & LOCKABLE) | MS_NOATIME;
		m->locked = true;
	}
}

/* NULL: the initial one. */
static const struct user_ns *owner(const struct mnt_ns *ns)
{
	return ns->user_ns && ns->user_ns->parent ? ns->user_ns : NULL;
}

/* A copy that mount_propagate_locked made goes to its place, below what is mounted there. */
static void place_copy(struct mount *copy, struct mnt_ns *from)
{
	struct mount *parent = copy->parent, *there;
	struct dentry *d = copy->mountpoint;

	there = mount_find_locked(parent, d);
	mount_link_locked(copy, parent, d);
	dentry_put_not_last(d);		/* the note's */
	if (there)
		mount_reparent_locked(there, copy, copy->root);
	add_to_ns(copy, parent->ns);
	if (from && owner(parent->ns) != owner(from))
		lock_tree(copy);
	copy->locked = false;
}

static void drop_note(struct mount *copy, struct list *dead)
{
	struct dentry *d = steal(copy->mountpoint);

	copy->parent = NULL;
	mount_tree_detach_locked(copy, dead);
	copy->mountpoint = d;
}

int mount_attach_locked(struct mount *m, const struct path *p, struct list *dead)
{
	struct list made = LIST_INIT(made);
	struct mnt_ns *ns = p->mnt->ns;
	struct mount *c;
	uint32_t n = m->ns && m->ns == ns ? 0 : tree_size(m);
	int r = 0;

	/* Not on the links of /proc/PID/fd, as Linux. */
	if ((p->dentry->flags & D_UNLINKED) || p->dentry->inode->iops == IOPS_pseudo_magic)
		return -ENOENT;
	if (ns && ns->nr + n > MNT_NS_MAX)
		return -ENOSPC;
	if (ns)
		ns->pending = n;
	if (p->mnt->peers)
		r = tree_set_shared(m);
	if (!r && p->mnt->peers)
		r = mount_propagate_locked(p->mnt, p->dentry, m, &made, dead);
	if (ns)
		ns->pending = 0;
	list_for_each(c, &made, work_link)
		c->parent->ns->pending = 0;
	if (!r) {
		mount_link_locked(m, p->mnt, p->dentry);
		add_to_ns(m, ns);
	}
	while ((c = list_first(&made, struct mount, work_link))) {
		list_del(&c->work_link);
		if (r)
			drop_note(c, dead);
		else
			place_copy(c, ns);
	}
	return r;
}

int mount_attach(struct mount *m, const struct path *where)
{
	struct list dead = LIST_INIT(dead);
	struct path p = *where;

	path_get(&p);
	mount_lock_place(&p);
	int r = mount_attach_locked(m, &p, &dead);
	if (r)
		mount_tree_detach_locked(m, &dead);
	mutex_unlock(mount_lock);
	mounts_free(&dead);
	path_put(&p);
	return r;
}

/* --- a namespace's copy ---------------------------------------------------------------------- */

static void fs_move(struct path *p, struct mnt_ns *old)
{
	if (p->mnt->ns == old && p->mnt->copy)
		p->mnt = p->mnt->copy;
	mount_get(p->mnt);	/* outside the tree: keeps what it has */
}

int mnt_ns_copy(struct mnt_ns *old, struct user_ns *u, struct fsctx *fs, struct mnt_ns **out)
{
	struct mnt_ns *ns = mnt_ns_alloc();
	struct mount *top, *c, *drop[2] = {NULL, NULL};
	struct list dead = LIST_INIT(dead);
	bool less = u && (u->parent ? u : NULL) != owner(old);

	if (!ns)
		return -ENOMEM;
	mutex_lock(mount_lock);
	int r = mount_copy_locked(old->root, old->root->root, less ? COPY_SHARED_TO_SLAVE : COPY_SAME, true,
				  true, &dead, &top);
	if (r) {
		mutex_unlock(mount_lock);
		mounts_free(&dead);
		mnt_ns_put(ns);
		return r;
	}
	if (less)
		lock_tree(top);
	ns->root = top;
	add_to_ns(top, ns);
	if (fs) {
		struct path np[2] = {fs->root, fs->cwd};
		fs_move(&np[0], old);
		fs_move(&np[1], old);
		drop[0] = fs->root.mnt, drop[1] = fs->cwd.mnt;
		mutex_lock(&fs->lock);
		fs->root.mnt = np[0].mnt;
		fs->cwd.mnt = np[1].mnt;
		mutex_unlock(&fs->lock);
	}
	for (c = old->root; c; c = mount_next(c, old->root))
		c->copy = NULL;
	mutex_unlock(mount_lock);
	mount_put(drop[0]);
	mount_put(drop[1]);
	ns->user_ns = u ? user_ns_get(u) : NULL;
	*out = ns;
	return 0;
}
