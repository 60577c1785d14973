/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes by path: stat's source, and the checks of chmod, chown, utimens and truncate. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/task/task.h"
#include "sentry/vfs/told.h"
#include "sentry/vfs/vfs_int.h"

int vfs_getattr(const struct path *p, struct kstat *st, unsigned query)
{
	struct inode *i = p->dentry->inode;
	int r = 0;

	memset(st, 0, sizeof(*st));
	if (inode_ops(i)->getattr)
		r = inode_ops(i)->getattr(i, st, query);
	else
		inode_fill_stat(i, st);
	st->attributes |= READ_ONCE(i->attr) & (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL);
	if (p->mnt)
		st->mnt_id = p->mnt->id;
	return r;
}

static int check_owner_change(struct inode *i, const struct kstat *st, const struct iattr *a,
			      const struct cred *cred)
{
	if ((a->valid & ATTR_UID) && !(cred->fsuid == st->uid && a->uid == st->uid) &&
	    !inode_capable(i, cred, CAP_CHOWN))
		return -EPERM;
	if ((a->valid & ATTR_GID) &&
	    !(cred->fsuid == st->uid && (a->gid == st->gid || cred_in_group(cred, a->gid))) &&
	    !inode_capable(i, cred, CAP_CHOWN))
		return -EPERM;
	return 0;
}

static bool is_owner(struct inode *i, const struct kstat *st, const struct cred *cred)
{
	return cred->fsuid == st->uid || inode_capable(i, cred, CAP_FOWNER);
}

static int check_change(struct inode *i, const struct kstat *st, struct iattr *a,
			const struct cred *cred)
{
	int r = check_owner_change(i, st, a, cred);

	if (r)
		return r;
	if (a->valid & ATTR_MODE) {
		if (!is_owner(i, st, cred))
			return -EPERM;
		uint32_t gid = a->valid & ATTR_GID ? a->gid : st->gid;
		if (!cred_in_group(cred, gid) && !inode_capable(i, cred, CAP_FSETID))
			a->mode &= ~(uint32_t)S_ISGID;
	}
	if (a->valid & ATTR_TIMES_SET)
		return is_owner(i, st, cred) ? 0 : -EPERM;
	if ((a->valid & (ATTR_ATIME_NOW | ATTR_MTIME_NOW)) && !(a->valid & ATTR_SIZE) &&
	    !is_owner(i, st, cred))
		return inode_permission(i, W_OK, cred);
	return 0;
}

/* What chattr +i and +a forbid; times "now" are like a write. */
static int check_flags(struct inode *i, const struct iattr *a)
{
	uint32_t attr = READ_ONCE(i->attr);

	if (!(attr & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return 0;
	if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_TIMES_SET | ATTR_SIZE))
		return -EPERM;
	return attr & FS_IMMUTABLE_FL ? -EPERM : 0;
}

#define SETTABLE_FLAGS (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

int vfs_set_attr_flags(const struct path *p, uint32_t flags, const struct cred *cred)
{
	struct iattr a = {.valid = ATTR_MODE};
	struct inode *i = p->dentry->inode;
	struct kstat st;
	int r = path_want_write(p);

	if (!r)
		r = vfs_getattr(p, &st, 0);
	if (r)
		return r;
	if (!is_owner(i, &st, cred))
		return -EPERM;
	if (flags & ~(uint32_t)SETTABLE_FLAGS)
		return -EOPNOTSUPP;
	/* the mode as it is: an overlay makes the node its own, ctime moves */
	a.mode = st.mode;
	mutex_lock(&i->lock);
	if (((i->attr ^ flags) & (FS_IMMUTABLE_FL | FS_APPEND_FL)) && !cred_capable(cred, CAP_LINUX_IMMUTABLE))
		r = -EPERM;
	else
		r = inode_ops(i)->setattr ? inode_ops(i)->setattr(i, &a) : inode_set_attr(i, &a);
	if (!r)
		WRITE_ONCE(i->attr, flags);
	mutex_unlock(&i->lock);
	return r;
}

int vfs_setattr(const struct path *p, struct iattr *a, const struct cred *cred)
{
	struct inode *i = p->dentry->inode;
	struct kstat st;
	int r = path_want_write(p);

	if (!r)
		r = check_flags(i, a);
	if (r)
		return r;
	if (cred) {
		r = vfs_getattr(p, &st, 0);
		if (!r)
			r = check_change(i, &st, a, cred);
		if (r)
			return r;
	}
	if ((a->valid & (ATTR_UID | ATTR_GID)) && !S_ISDIR(i->mode))
		a->valid |= ATTR_KILL_PRIV;
	if ((a->valid & ATTR_SIZE) && READ_ONCE(i->has_fcaps))
		a->valid |= ATTR_KILL_CAPS;
	if ((a->valid & ATTR_SIZE) && cred && !inode_capable(i, cred, CAP_FSETID))
		a->valid |= ATTR_KILL_PRIV;
	bool rights = S_ISDIR(i->mode) && (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID));
	if (rights)
		told_change_begin();
	mutex_lock(&i->lock);
	r = inode_ops(i)->setattr ? inode_ops(i)->setattr(i, a) : inode_set_attr(i, a);
	mutex_unlock(&i->lock);
	if (rights)
		told_change_end();
	if (!r) {
		uint32_t ev = 0;
		if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
			ev |= IN_ATTRIB;
		if (a->valid & ATTR_SIZE)
			ev |= IN_MODIFY;
		else if ((a->valid & ATTR_ATIME) && (a->valid & ATTR_MTIME))
			ev |= IN_ATTRIB;
		else if (a->valid & ATTR_ATIME)
			ev |= IN_ACCESS;
		else if (a->valid & ATTR_MTIME)
			ev |= IN_MODIFY;
		if (ev)
			notify_child(p->dentry, ev, 0);
	}
	return r;
}
