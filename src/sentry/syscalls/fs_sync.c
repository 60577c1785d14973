/* SPDX-License-Identifier: Apache-2.0 */
/* sync, fsync, fdatasync, syncfs, sync_file_range, readahead, fadvise64, fallocate */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "sentry/syscalls/fs_util.h"

int64_t sys_sync(struct task *t, const struct sysargs *a)
{
	return 0;	/* what is in memory is as safe as it gets; host files are written through */
}

static int64_t do_fsync(struct task *t, int fd, bool data)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	int r = file_ops(f)->fsync ? file_ops(f)->fsync(f, data) : -EINVAL;
	file_put(f);
	return r;
}

int64_t sys_fsync(struct task *t, const struct sysargs *a)
{
	return do_fsync(t, ARG_INT(0), false);
}

int64_t sys_fdatasync(struct task *t, const struct sysargs *a)
{
	return do_fsync(t, ARG_INT(0), true);
}

int64_t sys_syncfs(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));

	if (!f)
		return -EBADF;
	struct super *sb = f->inode->sb;
	const struct super_ops *o = super_ops_table[sb->sops];
	int r = o && o->sync ? o->sync(sb) : 0;
	file_put(f);
	return r;
}

static int64_t range_call(struct task *t, int fd, int64_t off, int64_t len, bool regular_only)
{
	struct file *f = fd_get(t, fd);
	int64_t end, r = 0;

	if (!f)
		return -EBADF;
	if (off < 0 || len < 0 || __builtin_add_overflow(off, len, &end))
		r = -EINVAL;
	else if (f->mode & FMODE_STREAM)
		r = -ESPIPE;
	else if (regular_only && !S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode) &&
		 !S_ISBLK(f->inode->mode))
		r = -ESPIPE;
	file_put(f);
	return r;
}

int64_t sys_sync_file_range(struct task *t, const struct sysargs *a)
{
	if (ARG_U32(3) & ~7u)
		return -EINVAL;
	int64_t r = range_call(t, ARG_INT(0), (int64_t)a->a[1], (int64_t)a->a[2], true);
	if (r || !(ARG_U32(3) & SYNC_FILE_RANGE_WRITE))
		return r;
	r = do_fsync(t, ARG_INT(0), true);
	return r == -EINVAL ? 0 : r;
}

int64_t sys_readahead(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	int64_t r = 0;

	if (!f)
		return -EBADF;
	if (!(f->mode & FMODE_READ))
		r = -EBADF;
	else if (!S_ISREG(f->inode->mode))
		r = -EINVAL;
	file_put(f);
	return r;
}

int64_t sys_fadvise64(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));
	int64_t r = 0;

	if (!f)
		return -EBADF;
	if (f->mode & FMODE_STREAM)
		r = -ESPIPE;
	else if ((int64_t)a->a[2] < 0 || ARG_U32(3) > POSIX_FADV_NOREUSE)
		r = -EINVAL;
	file_put(f);
	return r;
}

static int fallocate_checked(struct task *t, struct file *f, int mode, int64_t off, int64_t len)
{
	int64_t end;
	uint64_t count;

	if (off < 0 || len <= 0)
		return -EINVAL;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
		     FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE))
		return -EOPNOTSUPP;
	if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) ==
	    (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!(f->mode & FMODE_WRITE))
		return -EBADF;
	if ((mode & ~FALLOC_FL_KEEP_SIZE) && (f->flags & O_APPEND))
		return -EPERM;
	uint32_t attr = READ_ONCE(f->inode->attr);
	if ((attr & FS_IMMUTABLE_FL) || ((attr & FS_APPEND_FL) && (mode & ~FALLOC_FL_KEEP_SIZE)))
		return -EPERM;
	if (f->mode & FMODE_STREAM)
		return -ESPIPE;
	if (S_ISDIR(f->inode->mode))
		return -EISDIR;
	if (!S_ISREG(f->inode->mode))
		return -ENODEV;
	if (__builtin_add_overflow(off, len, &end))
		return -EFBIG;
	count = (uint64_t)len;
	if (!(mode & (FALLOC_FL_KEEP_SIZE | FALLOC_FL_COLLAPSE_RANGE))) {
		int r = file_write_limit(f, end - 1, &count);
		if (r)
			return r;
	}
	if (!file_ops(f)->fallocate)
		return -EOPNOTSUPP;
	return file_ops(f)->fallocate(f, mode, off, len);
}

int64_t sys_fallocate(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get(t, ARG_INT(0));

	if (!f)
		return -EBADF;
	int r = fallocate_checked(t, f, ARG_INT(1), (int64_t)a->a[2], (int64_t)a->a[3]);
	if (!r)
		notify_child(f->path.dentry, IN_MODIFY, 0);
	file_put(f);
	return r;
}
