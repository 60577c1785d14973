/* SPDX-License-Identifier: Apache-2.0 */
/* Detached trees and what is done to trees by descriptor: open_tree, move_mount, mount_setattr. A
 * detached tree is a namespace of its own that ends with the descriptor, unless it was attached. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "sentry/task/task.h"
#include "sentry/vfs/mount_int.h"
#include "sentry/vfs/mountctx.h"

#ifndef MOVE_MOUNT_SET_GROUP		/* newer than libc's header */
#define MOVE_MOUNT_SET_GROUP 0x100
#endif
#ifndef MOVE_MOUNT_BENEATH
#define MOVE_MOUNT_BENEATH 0x200
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x200000
#endif

/* --- attributes ------------------------------------------------------------------------------ */

unsigned mount_attr_flags(unsigned attr)
{
	static const struct {
		unsigned attr, flag;
	} map[] = {
		{MOUNT_ATTR_RDONLY, MS_RDONLY}, {MOUNT_ATTR_NOSUID, MS_NOSUID}, {MOUNT_ATTR_NODEV, MS_NODEV},
		{MOUNT_ATTR_NOEXEC, MS_NOEXEC}, {MOUNT_ATTR_NODIRATIME, MS_NODIRATIME},
		{MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW},
	};
	unsigned f = 0;

	for (size_t i = 0; i < array_size(map); i++)
		f |= attr & map[i].attr ? map[i].flag : 0;
	if ((attr & MOUNT_ATTR__ATIME) == MOUNT_ATTR_NOATIME)
		f |= MS_NOATIME;
	else if ((attr & MOUNT_ATTR__ATIME) == MOUNT_ATTR_STRICTATIME)
		f |= MS_STRICTATIME;
	return f;
}

static unsigned changed(const struct mount *m, const struct mount_change *c)
{
	unsigned off = mount_attr_flags(c->clear & ~(unsigned)MOUNT_ATTR__ATIME);

	if (c->clear & MOUNT_ATTR__ATIME)
		off |= MNT_ATIME;
	return ((m->flags & ~off) | mount_attr_flags(c->set)) & MNT_FLAGS;
}

int mount_change_attr(struct task *t, const struct path *p, const struct mount_change *c, bool rec)
{
	struct mount *top = p->mnt, *m;
	int r = 0;

	if (p->dentry != top->root)
		return -EINVAL;
	mutex_lock(mount_lock);
	if (!mount_is_ours(t, top) && !(top->ns && top->ns->anon && !top->parent))
		r = -EINVAL;
	/* All or nothing. */
	for (m = top; m && !r; m = rec ? mount_next(m, top) : NULL)
		r = mount_flags_check_locked(m, changed(m, c));
	for (m = top; m && !r; m = rec ? mount_next(m, top) : NULL)
		r = mount_flags_locked(m, changed(m, c));
	if (!r && c->propagation)
		r = mount_propagation_locked(top, c->propagation, rec);
	mutex_unlock(mount_lock);
	return r;
}

/* --- detached trees -------------------------------------------------------------------------- */

void mount_dissolve(const struct path *p)
{
	struct list dead = LIST_INIT(dead);
	struct mount *m = p->mnt;
	struct mnt_ns *ns;

	mutex_lock(mount_lock);
	ns = m->ns && m->ns->anon && m->ns->root == m ? m->ns : NULL;
	if (ns) {
		ns->root = NULL;
		mount_tree_detach_locked(m, &dead);
	}
	mutex_unlock(mount_lock);
	mounts_free(&dead);
	mnt_ns_put(ns);
}

int mount_open_detached(struct task *t, struct mount *m, struct file **out)
{
	struct path p = {m, m->root};
	int r = mnt_ns_create_anon(m);

	if (r) {
		mount_tree_put(m);
		return r;
	}
	path_get(&p);
	r = vfs_open_path(t, &p, O_PATH, out);
	if (r)
		mount_dissolve(&p);
	else
		(*out)->mode |= FMODE_UNMOUNT;
	path_put(&p);
	return r;
}

int mount_open_tree(struct task *t, const struct path *p, bool rec, struct file **out)
{
	struct mount *m;
	int r = mount_copy_for_bind(t, p, rec, &m);

	return r ? r : mount_open_detached(t, m, out);
}

/* --- move_mount ------------------------------------------------------------------------------ */

/* `to` joins from's peers, or receives from the same master. */
static int set_group(struct task *t, const struct path *from, const struct path *to)
{
	struct mount *a = from->mnt, *b = to->mnt;
	int r = 0;

	if (from->dentry != a->root || to->dentry != b->root || !mount_is_ours(t, a) || !mount_is_ours(t, b))
		return -EINVAL;
	mutex_lock(mount_lock);
	struct peer_group *master = mount_master(a);
	if (b->peers || b->master || (!a->peers && !master) || a->sb != b->sb ||
	    !dentry_is_below(b->root, a->root)) {
		r = -EINVAL;
	} else if (a->peers) {
		mount_join_locked(b, a->peers);
	} else {
		mount_enslave_locked(b, master);
	}
	mutex_unlock(mount_lock);
	return r;
}

int mount_move_to(struct task *t, const struct path *from, const struct path *to, unsigned flags)
{
	if (flags & MOVE_MOUNT_SET_GROUP)
		return set_group(t, from, to);
	return mount_move(t, from, to, flags & MOVE_MOUNT_BENEATH);
}
