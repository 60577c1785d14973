/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of the overlay. A file that is only read is the lower file itself, one call further; an
 * open for writing copies it up first. A reader that was there before sees the new content from
 * then on; a mapping made before keeps the old one, as in Linux.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/fs/overlay/overlay_int.h"

/* The lower file to use, or NULL when the content is ours. */
static struct file *below(struct file *f)
{
	return f->priv && lower_data(to_tnode(f->inode)) ? f->priv : NULL;
}

static int overlay_reg_open(struct inode *i, struct file *f)
{
	struct tnode *n = to_tnode(i);
	struct inode *low = lower_data(n);

	if (low && !(f->mode & FMODE_WRITE)) {
		struct file *lf;
		int r = file_open_inode(low, f->flags & (O_ACCMODE | O_NOATIME | O_LARGEFILE), f->cred, &lf);
		if (r)
			return r;
		f->priv = lf;
		return 0;
	}
	mutex_lock(&i->lock);
	int r = 0;
	if (low)
		r = overlay_data_up(n, f->flags & O_TRUNC ? 0 : UINT64_MAX);
	if (!r)
		tdata_opened(n);
	mutex_unlock(&i->lock);
	if (!r)
		f->dir_cookie = 1;	/* counted */
	return r;
}

static void overlay_reg_release(struct file *f)
{
	if (f->dir_cookie)
		tmpfs_release(f);
	if (f->priv)
		file_put(steal(f->priv));
}

static int64_t overlay_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct file *lf = below(f);

	return lf ? file_ops(lf)->read(lf, u, pos) : tmpfs_read(f, u, pos);
}

static int64_t overlay_llseek(struct file *f, int64_t off, int whence)
{
	struct file *lf = below(f);

	if (!lf)
		return tmpfs_llseek(f, off, whence);
	lf->pos = f->pos;
	int64_t r = file_ops(lf)->llseek(lf, off, whence);
	if (r >= 0)
		f->pos = r;
	return r;
}

static int overlay_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags,
			struct file_map *out)
{
	struct file *lf = below(f);

	if (lf)
		return file_ops(lf)->mmap ? file_ops(lf)->mmap(lf, off, len, prot, flags, out) : -ENODEV;
	if (!f->dir_cookie) {	/* opened below: from now on it counts as an open of ours */
		mutex_lock(&f->inode->lock);
		if (!f->dir_cookie) {
			tdata_opened(to_tnode(f->inode));
			f->dir_cookie = 1;
		}
		mutex_unlock(&f->inode->lock);
	}
	return tmpfs_mmap(f, off, len, prot, flags, out);
}

int overlay_stand_in(struct inode *i, bool hidden_only, const char *text, size_t len)
{
	struct tnode *n = to_tnode(i);
	struct file *lf = NULL;
	char byte;

	if (i->iops != IOPS_overlay || !S_ISREG(i->mode) || !lower_data(n))
		return 0;
	int r = hidden_only ? file_open_inode(lower_data(n), O_RDONLY, NULL, &lf) : -EACCES;
	if (!r)
		r = (int)vfs_pread(lf, &byte, 1, 0);
	file_put(lf);
	if (r != -EACCES)
		return r < 0 ? r : 0;
	mutex_lock(&i->lock);
	r = overlay_data_up(n, 0);
	int64_t w = r || !len ? 0 : tdata_write(n, 0, text, len);
	if (!r && w != (int64_t)len)
		r = w < 0 ? (int)w : -ENOSPC;
	overlay_uncount(n);
	mutex_unlock(&i->lock);
	return r;
}

static int fsync_nothing(struct file *f, bool data_only)
{
	return 0;
}

const struct file_ops overlay_reg_file_ops = {
	.open = overlay_reg_open,
	.release = overlay_reg_release,
	.read = overlay_read,
	.write = tmpfs_write,
	.llseek = overlay_llseek,
	.mmap = overlay_mmap,
	.fsync = fsync_nothing,
	.fallocate = tmpfs_fallocate,
	.fcntl = tmpfs_fcntl,
};

const struct file_ops overlay_dir_file_ops = {
	.release = overlay_dir_release,
	.iterate = overlay_iterate,
	.llseek = overlay_dir_llseek,
	.fsync = fsync_nothing,
};
