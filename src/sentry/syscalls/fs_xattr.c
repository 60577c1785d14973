/* SPDX-License-Identifier: Apache-2.0 */
/* extended attributes */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/task/fcaps.h"
#include "sentry/vfs/acl.h"

enum source { BY_NAME, BY_LINK, BY_FD };

static int target(struct task *t, enum source s, uint64_t arg, struct path *p)
{
	if (s == BY_FD)
		return fs_fd_path(t, (int)(uint32_t)arg, false, p);
	return fs_path(t, UADDR(arg), s == BY_NAME, p);
}

static int get_name(struct task *t, uaddr_t u, char *name)
{
	int64_t n = copy_in_str(t, name, u, XATTR_NAME_MAX + 1);

	if (n == -ENAMETOOLONG || n == 0)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

/* xattr_permission */
static int check(struct task *t, const struct path *p, const char *name, bool write)
{
	struct inode *i = p->dentry->inode;
	struct kstat st;
	const char *dot = strchr(name, '.');
	bool def;

	if (dot && !dot[1])
		return -EINVAL;		/* a prefix alone */
	if (write) {
		bool ro = (p->mnt && (p->mnt->flags & 1)) || (i->sb->flags & 1);
		if (ro)
			return -EROFS;
		if (READ_ONCE(i->attr) & (FS_IMMUTABLE_FL | FS_APPEND_FL))
			return -EPERM;
	}
	if (acl_is_name(name, &def))
		return 0;		/* acl.c checks */
	if (strcmp(name, XATTR_NAME_CAPS) == 0)
		return 0;		/* file_caps_to_store looks at the value first */
	if (strncmp(name, "security.", 9) == 0 || strncmp(name, "system.", 7) == 0)
		return write && !task_capable(t, CAP_SYS_ADMIN) && !inode_owner_or_capable(i, t->cred)
			       ? -EPERM : 0;
	if (strncmp(name, "trusted.", 8) == 0)
		return task_capable(t, CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
	if (strncmp(name, "user.", 5) == 0) {
		if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
			return write ? -EPERM : -ENODATA;
		if (S_ISDIR(i->mode) && write) {
			int r = vfs_getattr(p, &st, 0);
			if (r)
				return r;
			if ((st.mode & S_ISVTX) && t->cred->fsuid != st.uid &&
			    !inode_capable(i, t->cred, CAP_FOWNER))
				return -EPERM;
		}
	}
	return inode_permission(i, write ? W_OK : R_OK, t->cred);
}

static int64_t do_set(struct task *t, enum source s, const struct sysargs *a)
{
	char name[XATTR_NAME_MAX + 1];
	uint64_t size = a->a[3];
	int flags = ARG_INT(4);
	struct path p;
	bool def;
	void *buf;
	int r;

	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	r = get_name(t, ARG_UADDR(1), name);
	if (r)
		return r;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	buf = kmalloc(max(size, (uint64_t)FCAPS_SIZE));
	if (!buf)
		return -ENOMEM;
	r = copy_in(t, buf, ARG_UADDR(2), size);
	if (!r)
		r = target(t, s, a->a[0], &p);
	if (!r) {
		struct inode *i = p.dentry->inode;
		r = check(t, &p, name, true);
		if (!r && strcmp(name, XATTR_NAME_CAPS) == 0)
			r = file_caps_to_store(t, i, buf, &size);
		if (!r && acl_is_name(name, &def))
			r = acl_set(&p, def, buf, size, t->cred);
		else if (!r)
			r = inode_ops(i)->setxattr ? inode_ops(i)->setxattr(i, name, buf, size, flags)
						   : -EOPNOTSUPP;
		if (!r)
			notify_child(p.dentry, IN_ATTRIB, 0);
		path_put(&p);
	}
	kfree(buf);
	return r;
}

static int64_t do_get(struct task *t, enum source s, const struct sysargs *a)
{
	char name[XATTR_NAME_MAX + 1];
	size_t cap = min(a->a[3], (uint64_t)XATTR_SIZE_MAX);
	struct path p;
	int64_t r = get_name(t, ARG_UADDR(1), name);

	if (r)
		return r;
	r = target(t, s, a->a[0], &p);
	if (r)
		return r;
	struct inode *i = p.dentry->inode;
	bool caps = strcmp(name, XATTR_NAME_CAPS) == 0, def;
	char *buf = kmalloc(max(cap, (size_t)FCAPS_SIZE));
	r = buf ? check(t, &p, name, false) : -ENOMEM;
	if (!r && acl_is_name(name, &def))
		r = acl_get(i, def, t->cred->user_ns, buf, cap);
	else if (!r)
		r = inode_ops(i)->getxattr ? inode_ops(i)->getxattr(i, name, buf, caps ? FCAPS_SIZE : cap)
					   : -EOPNOTSUPP;
	if (caps) {
		r = file_caps_to_show(t, (uint8_t *)buf, r);
		if (cap && r > (int64_t)cap)
			r = -ERANGE;
	}
	path_put(&p);
	if (r > 0 && cap) {
		int e = copy_out(t, ARG_UADDR(2), buf, (size_t)r);
		r = e ? e : r;
	}
	kfree(buf);
	return r;
}

/* trusted.* names are not for everybody. */
static size_t drop_trusted(char *buf, size_t len)
{
	size_t out = 0;

	for (size_t at = 0; at < len;) {
		size_t n = strnlen(buf + at, len - at) + 1;
		if (strncmp(buf + at, "trusted.", 8) != 0) {
			memmove(buf + out, buf + at, n);
			out += n;
		}
		at += n;
	}
	return out;
}

static int64_t do_list(struct task *t, enum source s, const struct sysargs *a)
{
	size_t cap = min(a->a[2], (uint64_t)XATTR_LIST_MAX);
	struct path p;
	int64_t r = target(t, s, a->a[0], &p);

	if (r)
		return r;
	struct inode *i = p.dentry->inode;
	char *buf = kmalloc(XATTR_LIST_MAX);
	r = buf ? 0 : -ENOMEM;
	if (!r) {
		int64_t first = (int64_t)acl_list(i, buf);

		if (inode_ops(i)->listxattr)
			r = inode_ops(i)->listxattr(i, buf + first, XATTR_LIST_MAX - (size_t)first);
		if (r >= 0 || r == -EOPNOTSUPP)
			r = max(r, (int64_t)0) + first;
	}
	path_put(&p);
	if (r > 0 && !task_capable(t, CAP_SYS_ADMIN))
		r = (int64_t)drop_trusted(buf, (size_t)r);
	if (r > 0 && cap) {
		int e = (size_t)r > cap ? -ERANGE : copy_out(t, ARG_UADDR(1), buf, (size_t)r);
		r = e ? e : r;
	}
	kfree(buf);
	return r;
}

static int64_t do_remove(struct task *t, enum source s, const struct sysargs *a)
{
	char name[XATTR_NAME_MAX + 1];
	struct path p;
	bool def;
	int r = get_name(t, ARG_UADDR(1), name);

	if (r)
		return r;
	r = target(t, s, a->a[0], &p);
	if (r)
		return r;
	struct inode *i = p.dentry->inode;
	r = check(t, &p, name, true);
	if (!r && strcmp(name, XATTR_NAME_CAPS) == 0 && !inode_capable(i, t->cred, CAP_SETFCAP))
		r = -EPERM;
	if (!r && acl_is_name(name, &def))
		r = acl_set(&p, def, NULL, 0, t->cred);
	else if (!r)
		r = inode_ops(i)->removexattr ? inode_ops(i)->removexattr(i, name) : -EOPNOTSUPP;
	if (!r)
		notify_child(p.dentry, IN_ATTRIB, 0);
	path_put(&p);
	return r;
}

int64_t sys_setxattr(struct task *t, const struct sysargs *a)
{
	return do_set(t, BY_NAME, a);
}

int64_t sys_lsetxattr(struct task *t, const struct sysargs *a)
{
	return do_set(t, BY_LINK, a);
}

int64_t sys_fsetxattr(struct task *t, const struct sysargs *a)
{
	return do_set(t, BY_FD, a);
}

int64_t sys_getxattr(struct task *t, const struct sysargs *a)
{
	return do_get(t, BY_NAME, a);
}

int64_t sys_lgetxattr(struct task *t, const struct sysargs *a)
{
	return do_get(t, BY_LINK, a);
}

int64_t sys_fgetxattr(struct task *t, const struct sysargs *a)
{
	return do_get(t, BY_FD, a);
}

int64_t sys_listxattr(struct task *t, const struct sysargs *a)
{
	return do_list(t, BY_NAME, a);
}

int64_t sys_llistxattr(struct task *t, const struct sysargs *a)
{
	return do_list(t, BY_LINK, a);
}

int64_t sys_flistxattr(struct task *t, const struct sysargs *a)
{
	return do_list(t, BY_FD, a);
}

int64_t sys_removexattr(struct task *t, const struct sysargs *a)
{
	return do_remove(t, BY_NAME, a);
}

int64_t sys_lremovexattr(struct task *t, const struct sysargs *a)
{
	return do_remove(t, BY_LINK, a);
}

int64_t sys_fremovexattr(struct task *t, const struct sysargs *a)
{
	return do_remove(t, BY_FD, a);
}
