/* SPDX-License-Identifier: Apache-2.0 */
/* fsopen, fsconfig, fsmount, fspick, open_tree, open_tree_attr, move_mount, mount_setattr */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/mountctx.h"
#include "sentry/vfs/told.h"

#define ATTRS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |       \
	       MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME | 0x200000u /* NOSYMFOLLOW */)
#define PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
#define MOVE_FLAGS 0x377u
#define MOVE_ALONE 0x300u	/* SET_GROUP, BENEATH: one of them */
#define BINARY_MAX (1 << 20)
#ifndef FSCONFIG_CMD_CREATE_EXCL	/* newer than libc's header */
#define FSCONFIG_CMD_CREATE_EXCL 8
#endif

static int64_t give(struct task *t, struct file *f, bool cloexec)
{
	return fd_add(t, f, cloexec);
}

/* strndup_user: too long is EINVAL. */
static int copy_text(struct task *t, uaddr_t u, size_t cap, char **out)
{
	char *p = kmalloc(cap);
	int64_t n = p ? copy_in_str(t, p, u, cap) : -ENOMEM;

	if (n < 0) {
		kfree(p);
		return n == -ENAMETOOLONG ? -EINVAL : (int)n;
	}
	*out = p;
	return 0;
}

int64_t sys_fsopen(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(1);
	struct file *f;
	char *type;

	if (!task_may_mount(t))
		return -EPERM;
	if (flags & ~(unsigned)FSOPEN_CLOEXEC)
		return -EINVAL;
	int r = copy_text(t, ARG_UADDR(0), PATH_MAX_LEN, &type);
	if (r)
		return r;
	r = mount_ctx_open(t, type, &f);
	kfree(type);
	return r ? r : give(t, f, flags & FSOPEN_CLOEXEC);
}

/* Which arguments each command has (fs/fsopen.c). */
static int check_config(unsigned cmd, uaddr_t key, uaddr_t value, int aux)
{
	bool ok;

	switch (cmd) {
	case FSCONFIG_SET_FLAG:
		ok = key.v && !value.v && !aux;
		break;
	case FSCONFIG_SET_STRING:
		ok = key.v && value.v && !aux;
		break;
	case FSCONFIG_SET_BINARY:
		ok = key.v && value.v && aux > 0 && aux <= BINARY_MAX;
		break;
	case FSCONFIG_SET_PATH:
	case FSCONFIG_SET_PATH_EMPTY:
		ok = key.v && value.v && (aux == AT_FDCWD || aux >= 0);
		break;
	case FSCONFIG_SET_FD:
		ok = key.v && !value.v && aux >= 0;
		break;
	case FSCONFIG_CMD_CREATE:
	case FSCONFIG_CMD_CREATE_EXCL:
	case FSCONFIG_CMD_RECONFIGURE:
		ok = !key.v && !value.v && !aux;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return ok ? 0 : -EINVAL;
}

int64_t sys_fsconfig(struct task *t, const struct sysargs *a)
{
	unsigned cmd = ARG_U32(1);
	uaddr_t ukey = ARG_UADDR(2), uvalue = ARG_UADDR(3);
	char *key = NULL, *value = NULL;

	if (ARG_INT(0) < 0)
		return -EINVAL;
	int r = check_config(cmd, ukey, uvalue, ARG_INT(4));
	if (r)
		return r;
	struct file *f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	if (ukey.v)
		r = copy_text(t, ukey, MOUNT_PARAM_MAX, &key);
	if (!r && cmd == FSCONFIG_SET_STRING)
		r = copy_text(t, uvalue, MOUNT_PARAM_MAX, &value);
	if (!r && cmd == FSCONFIG_SET_FD) {
		struct file *arg = fd_get_any(t, ARG_INT(4));
		r = arg ? 0 : -EBADF;
		file_put(arg);
	}
	told_change_begin();
	if (!r)
		r = mount_ctx_config(t, f, cmd, key, value);
	told_change_end();
	kfree(key);
	kfree(value);
	file_put(f);
	return r;
}

int64_t sys_fsmount(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(1), attr = ARG_U32(2), atime = attr & MOUNT_ATTR__ATIME;
	struct file *f, *out;

	if (!task_may_mount(t))
		return -EPERM;
	if ((flags & ~(unsigned)FSMOUNT_CLOEXEC) || (attr & ~ATTRS))
		return -EINVAL;
	if (atime && atime != MOUNT_ATTR_NOATIME && atime != MOUNT_ATTR_STRICTATIME)
		return -EINVAL;
	f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	int r = mount_ctx_mount(t, f, attr, &out);
	file_put(f);
	return r ? r : give(t, out, flags & FSMOUNT_CLOEXEC);
}

int64_t sys_fspick(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(2), at = 0;
	struct path p;
	struct file *f;

	if (!task_may_mount(t))
		return -EPERM;
	if (flags & ~(unsigned)(FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT |
				FSPICK_EMPTY_PATH))
		return -EINVAL;
	at |= flags & FSPICK_SYMLINK_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0u;
	at |= flags & FSPICK_EMPTY_PATH ? AT_EMPTY_PATH : 0u;
	int r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), at, &p);
	if (r)
		return r;
	r = mount_ctx_pick(t, &p, &f);
	path_put(&p);
	return r ? r : give(t, f, flags & FSPICK_CLOEXEC);
}

static int do_open_tree(struct task *t, const struct sysargs *a, struct file **out)
{
	const unsigned all = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW |
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
	unsigned flags = ARG_U32(2);
	bool clone = flags & OPEN_TREE_CLONE;
	struct path p;

	if ((flags & ~all) || ((flags & AT_RECURSIVE) && !clone))
		return -EINVAL;
	if (clone && !task_may_mount(t))
		return -EPERM;
	int r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW), &p);
	if (r)
		return r;
	r = clone ? mount_open_tree(t, &p, flags & AT_RECURSIVE, out) : vfs_open_path(t, &p, O_PATH, out);
	path_put(&p);
	return r;
}

int64_t sys_open_tree(struct task *t, const struct sysargs *a)
{
	struct file *f;
	int r = do_open_tree(t, a, &f);

	return r ? r : give(t, f, ARG_U32(2) & OPEN_TREE_CLOEXEC);
}

int64_t sys_move_mount(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(4), at;
	struct path from, to;

	if (!task_may_mount(t))
		return -EPERM;
	if ((flags & ~MOVE_FLAGS) || (flags & MOVE_ALONE) == MOVE_ALONE)
		return -EINVAL;
	at = (flags & MOVE_MOUNT_F_SYMLINKS ? 0u : (unsigned)AT_SYMLINK_NOFOLLOW) |
	     (flags & MOVE_MOUNT_F_EMPTY_PATH ? (unsigned)AT_EMPTY_PATH : 0u);
	int r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), at, &from);
	if (r)
		return r;
	at = (flags & MOVE_MOUNT_T_SYMLINKS ? 0u : (unsigned)AT_SYMLINK_NOFOLLOW) |
	     (flags & MOVE_MOUNT_T_EMPTY_PATH ? (unsigned)AT_EMPTY_PATH : 0u);
	r = fs_path_at(t, ARG_INT(2), ARG_UADDR(3), at, &to);
	if (!r) {
		told_change_begin();
		r = mount_move_to(t, &from, &to, flags);
		told_change_end();
		path_put(&to);
	}
	path_put(&from);
	return r;
}

/* --- mount_setattr --------------------------------------------------------------------------- */

static int get_attr(struct task *t, uaddr_t u, uint64_t size, struct mount_attr *at)
{
	char rest[64];

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < MOUNT_ATTR_SIZE_VER0)
		return -EINVAL;
	int r = copy_in(t, at, u, sizeof(*at));
	for (uint64_t at_ = sizeof(*at); !r && at_ < size; at_ += sizeof(rest)) {
		uint64_t n = min(size - at_, (uint64_t)sizeof(rest)), where;
		if (__builtin_add_overflow(u.v, at_, &where))
			return -EFAULT;
		r = copy_in(t, rest, UADDR(where), n);
		for (uint64_t i = 0; !r && i < n; i++)
			r = rest[i] ? -E2BIG : 0;
	}
	return r;
}

static int check_attr(const struct mount_attr *at, struct mount_change *c)
{
	uint64_t atime = at->attr_set & MOUNT_ATTR__ATIME;

	if ((at->propagation & ~(uint64_t)PROPAGATION) || (at->propagation & (at->propagation - 1)))
		return -EINVAL;
	/* No file system here has idmapped mounts. */
	if ((at->attr_set | at->attr_clr) & ~(uint64_t)ATTRS)
		return -EINVAL;
	if (at->attr_clr & MOUNT_ATTR__ATIME) {
		if ((at->attr_clr & MOUNT_ATTR__ATIME) != MOUNT_ATTR__ATIME)
			return -EINVAL;
		if (atime && atime != MOUNT_ATTR_NOATIME && atime != MOUNT_ATTR_STRICTATIME)
			return -EINVAL;
	} else if (atime) {
		return -EINVAL;
	}
	*c = (struct mount_change){.set = (unsigned)at->attr_set, .clear = (unsigned)at->attr_clr,
				   .propagation = (unsigned)at->propagation};
	return 0;
}

static bool changes_nothing(const struct mount_attr *at)
{
	return !at->attr_set && !at->attr_clr && !at->propagation;
}

int64_t sys_mount_setattr(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(2);
	struct mount_attr at;
	struct mount_change c;
	struct path p;

	if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT))
		return -EINVAL;
	if (a->a[4] > PAGE_SIZE)
		return -E2BIG;
	if (a->a[4] < MOUNT_ATTR_SIZE_VER0)
		return -EINVAL;
	if (!task_may_mount(t))
		return -EPERM;
	int r = get_attr(t, ARG_UADDR(3), a->a[4], &at);
	if (r || changes_nothing(&at))
		return r;
	r = check_attr(&at, &c);
	if (!r)
		r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), flags & (AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW), &p);
	if (r)
		return r;
	told_change_begin();
	r = mount_change_attr(t, &p, &c, flags & AT_RECURSIVE);
	told_change_end();
	path_put(&p);
	return r;
}

/* open_tree, with mount_setattr on the copy before anybody sees it. */
int64_t sys_open_tree_attr(struct task *t, const struct sysargs *a)
{
	struct mount_attr at = {0};
	struct mount_change c = {0};
	struct file *f;
	int r = 0;

	if (!ARG_UADDR(3).v && a->a[4])
		return -EINVAL;
	if (a->a[4])
		r = get_attr(t, ARG_UADDR(3), a->a[4], &at);
	if (!r)
		r = check_attr(&at, &c);
	if (!r)
		r = do_open_tree(t, a, &f);
	if (r)
		return r;
	if (!changes_nothing(&at)) {
		r = task_may_mount(t) ? mount_change_attr(t, &f->path, &c, ARG_U32(2) & AT_RECURSIVE) : -EPERM;
		if (r) {
			file_put(f);
			return r;
		}
	}
	return give(t, f, ARG_U32(2) & OPEN_TREE_CLOEXEC);
}
