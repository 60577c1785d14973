/* SPDX-License-Identifier: Apache-2.0 */
/* chmod, chown, utimes, truncate and their forms */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/syscalls/fs_util.h"

static int64_t chmod_path(struct task *t, struct path *p, uint32_t mode)
{
	struct iattr a = {.valid = ATTR_MODE, .mode = mode & 07777};
	int r = S_ISLNK(p->dentry->inode->mode) ? -EOPNOTSUPP : vfs_setattr(p, &a, t->cred);

	path_put(p);
	return r;
}

static int64_t do_chmod(struct task *t, int dirfd, uaddr_t name, uint32_t mode, unsigned flags)
{
	struct path p;

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	int r = fs_path_at(t, dirfd, name, flags, &p);
	return r ? r : chmod_path(t, &p, mode);
}

int64_t sys_chmod(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, AT_FDCWD, ARG_UADDR(0), ARG_U32(1), 0);
}

int64_t sys_fchmodat(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2), 0);
}

int64_t sys_fchmodat2(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2), ARG_U32(3));
}

int64_t sys_fchmod(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = fs_fd_path(t, ARG_INT(0), false, &p);

	return r ? r : chmod_path(t, &p, ARG_U32(1));
}

static int64_t chown_path(struct task *t, struct path *p, uint32_t uid, uint32_t gid)
{
	struct iattr a = {.uid = uid, .gid = gid};

	if (uid != UINT32_MAX)
		a.valid |= ATTR_UID;
	if (gid != UINT32_MAX)
		a.valid |= ATTR_GID;
	if (!a.valid && !S_ISDIR(p->dentry->inode->mode))
		a.valid = ATTR_KILL_PRIV;
	int r = vfs_setattr(p, &a, t->cred);
	path_put(p);
	return r;
}

static int64_t do_chown(struct task *t, int dirfd, uaddr_t name, uint32_t uid, uint32_t gid, unsigned flags)
{
	struct path p;

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	int r = fs_path_at(t, dirfd, name, flags, &p);
	return r ? r : chown_path(t, &p, uid, gid);
}

int64_t sys_chown(struct task *t, const struct sysargs *a)
{
	return do_chown(t, AT_FDCWD, ARG_UADDR(0), ARG_U32(1), ARG_U32(2), 0);
}

int64_t sys_lchown(struct task *t, const struct sysargs *a)
{
	return do_chown(t, AT_FDCWD, ARG_UADDR(0), ARG_U32(1), ARG_U32(2), AT_SYMLINK_NOFOLLOW);
}

int64_t sys_fchownat(struct task *t, const struct sysargs *a)
{
	return do_chown(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2), ARG_U32(3), ARG_U32(4));
}

int64_t sys_fchown(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = fs_fd_path(t, ARG_INT(0), false, &p);

	return r ? r : chown_path(t, &p, ARG_U32(1), ARG_U32(2));
}

/* --- times ----------------------------------------------------------------------------------- */

/* ts: NULL for "now", else two. */
static int times_attr(const struct l_timespec *ts, struct iattr *a)
{
	if (ts && ts[0].nsec == UTIME_NOW && ts[1].nsec == UTIME_NOW)
		ts = NULL;
	*a = (struct iattr){.valid = ATTR_ATIME | ATTR_MTIME};
	if (!ts) {
		a->valid |= ATTR_ATIME_NOW | ATTR_MTIME_NOW;
		return 0;
	}
	a->valid |= ATTR_TIMES_SET;
	for (int i = 0; i < 2; i++) {
		uint32_t set = i ? ATTR_MTIME : ATTR_ATIME, now = i ? ATTR_MTIME_NOW : ATTR_ATIME_NOW;
		if (ts[i].nsec == UTIME_OMIT)
			a->valid &= ~set;
		else if (ts[i].nsec == UTIME_NOW)
			a->valid |= now;
		else if (ts[i].nsec < 0 || ts[i].nsec > 999999999)
			return -EINVAL;
	}
	a->atime = ts[0];
	a->mtime = ts[1];
	return 0;
}

static int64_t times_path(struct task *t, struct path *p, struct iattr *a)
{
	int r = vfs_setattr(p, a, t->cred);

	path_put(p);
	return r;
}

int64_t sys_utimensat(struct task *t, const struct sysargs *a)
{
	struct l_timespec ts[2];
	struct iattr at;
	struct path p;
	unsigned flags = ARG_U32(3);
	int r;

	if (a->a[2]) {
		r = copy_in(t, ts, ARG_UADDR(2), sizeof(ts));
		if (r)
			return r;
		if (ts[0].nsec == UTIME_OMIT && ts[1].nsec == UTIME_OMIT)
			return 0;
	}
	r = times_attr(a->a[2] ? ts : NULL, &at);
	if (r)
		return r;
	if (!a->a[1] && ARG_INT(0) != AT_FDCWD) {
		if (flags)
			return -EINVAL;
		r = fs_fd_path(t, ARG_INT(0), false, &p);
	} else {
		if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
			return -EINVAL;
		r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), flags, &p);
	}
	return r ? r : times_path(t, &p, &at);
}

static int64_t do_utimes(struct task *t, int dirfd, uaddr_t name, uaddr_t times)
{
	struct l_timeval tv[2];
	struct l_timespec ts[2];
	struct iattr at;
	struct path p;
	int r;

	if (times.v) {
		r = copy_in(t, tv, times, sizeof(tv));
		if (r)
			return r;
		for (int i = 0; i < 2; i++) {
			if (tv[i].usec < 0 || tv[i].usec >= 1000000)
				return -EINVAL;
			ts[i] = (struct l_timespec){tv[i].sec, tv[i].usec * 1000};
		}
	}
	r = times_attr(times.v ? ts : NULL, &at);
	if (r)
		return r;
	if (!name.v && dirfd != AT_FDCWD)
		r = fs_fd_path(t, dirfd, false, &p);
	else
		r = fs_path_at(t, dirfd, name, 0, &p);
	return r ? r : times_path(t, &p, &at);
}

int64_t sys_utimes(struct task *t, const struct sysargs *a)
{
	return do_utimes(t, AT_FDCWD, ARG_UADDR(0), ARG_UADDR(1));
}

int64_t sys_futimesat(struct task *t, const struct sysargs *a)
{
	return do_utimes(t, ARG_INT(0), ARG_UADDR(1), ARG_UADDR(2));
}

int64_t sys_utime(struct task *t, const struct sysargs *a)
{
	int64_t sec[2];
	struct l_timespec ts[2];
	struct iattr at;
	struct path p;
	int r;

	if (a->a[1]) {
		r = copy_in(t, sec, ARG_UADDR(1), sizeof(sec));
		if (r)
			return r;
		ts[0] = (struct l_timespec){sec[0], 0};
		ts[1] = (struct l_timespec){sec[1], 0};
	}
	r = times_attr(a->a[1] ? ts : NULL, &at);
	if (!r)
		r = fs_path(t, ARG_UADDR(0), true, &p);
	return r ? r : times_path(t, &p, &at);
}

/* --- truncate -------------------------------------------------------------------------------- */

static int size_limit(struct task *t, int64_t len, uint64_t old)
{
	if ((uint64_t)len > old && (uint64_t)len > task_rlimit(t, RLIMIT_FSIZE)) {
		signal_send(t, SEND_THREAD, SIGXFSZ, NULL);
		return -EFBIG;
	}
	return 0;
}

static int do_truncate(struct task *t, const struct path *p, int64_t len, struct file *f)
{
	struct iattr a = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW, .size = (uint64_t)len, .file = f};
	struct kstat st;
	int r = vfs_getattr(p, &st, 0);

	if (!r)
		r = size_limit(t, len, st.size);
	return r ? r : vfs_setattr(p, &a, t->cred);
}

int64_t sys_truncate(struct task *t, const struct sysargs *a)
{
	int64_t len = (int64_t)a->a[1];
	struct path p;

	if (len < 0)
		return -EINVAL;
	int r = fs_path(t, ARG_UADDR(0), true, &p);
	if (r)
		return r;
	struct inode *i = p.dentry->inode;
	if (S_ISDIR(i->mode))
		r = -EISDIR;
	else if (!S_ISREG(i->mode))
		r = -EINVAL;
	if (!r)
		r = inode_permission(i, W_OK, t->cred);
	if (!r) {
		/* A file that is being executed is not truncated. */
		if (__atomic_load_n(&i->write_count, __ATOMIC_RELAXED) < 0)
			r = -ETXTBSY;
		else
			r = do_truncate(t, &p, len, NULL);
	}
	path_put(&p);
	return r;
}

int64_t sys_ftruncate(struct task *t, const struct sysargs *a)
{
	int64_t len = (int64_t)a->a[1];

	if (len < 0)
		return -EINVAL;
	struct file *f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	int r = -EINVAL;
	if ((f->mode & FMODE_WRITE) && S_ISREG(f->inode->mode)) {
		/* The right was checked by open. */
		struct iattr at = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW, .size = (uint64_t)len,
				   .file = f};
		struct kstat st;
		r = vfs_getattr(&f->path, &st, 0);
		if (!r)
			r = size_limit(t, len, st.size);
		if (!r)
			r = vfs_setattr(&f->path, &at, NULL);
		if (!r)
			r = file_remove_privs(f);
	}
	file_put(f);
	return r;
}
