/* SPDX-License-Identifier: Apache-2.0 */
/* inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch */
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include "sentry/fs/inotify/inotify.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"

static int64_t do_init(struct task *t, uint32_t flags)
{
	struct file *f;
	int r;

	if (flags & ~(uint32_t)(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	r = inotify_new(flags, &f);
	return r ? r : fd_add(t, f, flags & IN_CLOEXEC);
}

int64_t sys_inotify_init(struct task *t, const struct sysargs *a)
{
	return do_init(t, 0);
}

int64_t sys_inotify_init1(struct task *t, const struct sysargs *a)
{
	return do_init(t, ARG_U32(0));
}

static int add_path(struct task *t, struct file *f, const char *name, uint32_t mask)
{
	unsigned lookup = (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
	struct path p;
	int r = path_lookup(t, AT_FDCWD, name, lookup, &p);

	if (r)
		return r;
	r = inode_permission(p.dentry->inode, 4 /* R_OK */, t->cred);
	if (r == 0)
		r = inotify_add(f, p.dentry->inode, mask);
	path_put(&p);
	return r;
}

int64_t sys_inotify_add_watch(struct task *t, const struct sysargs *a)
{
	uint32_t mask = ARG_U32(2);
	struct file *f;
	char *name;
	int r;

	if (!(mask & (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED)))
		return -EINVAL;
	f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	if (f->fops != FOPS_inotify) {
		file_put(f);
		return -EINVAL;
	}
	r = copy_in_path(t, ARG_UADDR(1), false, &name);
	if (r == 0) {
		r = add_path(t, f, name, mask);
		path_buf_free(name);
	}
	file_put(f);
	return r;
}

int64_t sys_inotify_rm_watch(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	int r;

	if (!f)
		return -EBADF;
	r = inotify_rm(f, ARG_INT(1));
	file_put(f);
	return r;
}
