/* SPDX-License-Identifier: Apache-2.0 */
/* mount, umount2, pivot_root, name_to_handle_at */
#include <errno.h>
#include <fcntl.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/told.h"

/* A string of at most a page, or NULL for a null pointer. */
static int opt_string(struct task *t, uaddr_t u, char **out)
{
	*out = NULL;
	if (!u.v)
		return 0;
	char *p = kmalloc(PATH_MAX_LEN);
	if (!p)
		return -ENOMEM;
	int64_t n = copy_in_str(t, p, u, PATH_MAX_LEN);
	if (n < 0) {
		kfree(p);
		return n == -ENAMETOOLONG ? -EINVAL : (int)n;
	}
	*out = p;
	return 0;
}

int64_t sys_mount(struct task *t, const struct sysargs *a)
{
	char *type = NULL, *source = NULL, *data = NULL, *target = NULL;
	int r = opt_string(t, ARG_UADDR(2), &type);

	if (!r)
		r = opt_string(t, ARG_UADDR(0), &source);
	if (!r)
		r = opt_string(t, ARG_UADDR(4), &data);
	if (!r)
		r = copy_in_path(t, ARG_UADDR(1), false, &target);
	if (!r) {
		told_change_begin();
		r = vfs_mount(t, source, target, type, a->a[3], data);
		told_change_end();
	}
	kfree(type);
	kfree(source);
	kfree(data);
	if (target)
		path_buf_free(target);
	return r;
}

int64_t sys_umount2(struct task *t, const struct sysargs *a)
{
	char *p;
	int r = copy_in_path(t, ARG_UADDR(0), false, &p);

	if (r)
		return r;
	told_change_begin();
	r = vfs_umount(t, p, ARG_INT(1));
	told_change_end();
	path_buf_free(p);
	return r;
}

int64_t sys_pivot_root(struct task *t, const struct sysargs *a)
{
	char *n, *o;
	int r = copy_in_path(t, ARG_UADDR(0), false, &n);

	if (r)
		return r;
	r = copy_in_path(t, ARG_UADDR(1), false, &o);
	if (!r) {
		told_change_begin();
		r = vfs_pivot_root(t, n, o);
		told_change_end();
		path_buf_free(o);
	}
	path_buf_free(n);
	return r;
}

/* No file system here has handles that outlive its dentries; Linux's answer for such is this. */
int64_t sys_name_to_handle_at(struct task *t, const struct sysargs *a)
{
	struct path p;

	if (ARG_U32(4) & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	unsigned flags = ARG_U32(4) & AT_EMPTY_PATH;
	if (!(ARG_U32(4) & AT_SYMLINK_FOLLOW))
		flags |= AT_SYMLINK_NOFOLLOW;
	int r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), flags, &p);
	if (r)
		return r;
	path_put(&p);
	return -EOPNOTSUPP;
}
