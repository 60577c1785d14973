/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files of an overlay: the real file, one call further. A file that was opened for reading
 * before its copy-up reads the copy from then on; a mapping made before keeps what it has.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/ovl/ovl.h"

#define STATUS_FLAGS (O_APPEND | O_NONBLOCK | O_DSYNC | O_SYNC | O_DIRECT | O_NOATIME)

struct ovl_file {
	struct file *low;	/* owned; opened while there was no upper one */
	struct file *up;	/* owned; a: set once */
};

static int open_real(struct file *f, struct dentry *d, struct file **out)
{
	return file_open_inode(d->inode, READ_ONCE(f->flags) & (O_ACCMODE | O_LARGEFILE | STATUS_FLAGS),
			       f->cred, out);
}

static int ovl_open(struct inode *i, struct file *f)
{
	struct ovl_node *n = to_ovl(i);
	struct ovl_file *of;
	int r = 0;

	if (f->mode & FMODE_WRITE)
		r = ovl_copy_up(n, f->flags & O_TRUNC ? 0 : UINT64_MAX);
	if (r)
		return r;
	of = kmalloc(sizeof(*of));
	if (!of)
		return -ENOMEM;
	struct dentry *up = ovl_upper(n);
	r = open_real(f, up ? up : n->lower[0], up ? &of->up : &of->low);
	if (r)
		kfree(of);
	else
		f->priv = of;
	return r;
}

static void ovl_release(struct file *f)
{
	struct ovl_file *of = steal(f->priv);

	if (!of)
		return;
	file_put(of->low);
	file_put(of->up);
	kfree(of);
}

/* The real file as it is now, with the flags that fcntl changes. */
static int real_file(struct file *f, struct file **out)
{
	struct ovl_file *of = f->priv;
	struct file *up = __atomic_load_n(&of->up, __ATOMIC_ACQUIRE), *none = NULL;
	struct dentry *d = up ? NULL : ovl_upper(to_ovl(f->inode));

	if (d) {	/* copied up since */
		int r = open_real(f, d, &up);
		if (r)
			return r;
		if (!__atomic_compare_exchange_n(&of->up, &none, up, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE)) {
			file_put(up);
			up = none;
		}
	}
	struct file *real = up ? up : of->low;
	unsigned want = (READ_ONCE(real->flags) & ~(unsigned)STATUS_FLAGS) |
			(READ_ONCE(f->flags) & STATUS_FLAGS);
	if (READ_ONCE(real->flags) != want)
		WRITE_ONCE(real->flags, want);
	*out = real;
	return 0;
}

static int64_t ovl_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct file *real;
	int r = real_file(f, &real);

	if (r)
		return r;
	return file_ops(real)->read ? file_ops(real)->read(real, u, pos) : -EINVAL;
}

static int64_t ovl_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct file *real;
	int64_t r = real_file(f, &real);

	if (r)
		return r;
	r = file_ops(real)->write ? file_ops(real)->write(real, u, pos) : -EINVAL;
	if (r > 0)
		ovl_copy_attributes(to_ovl(f->inode));
	return r;
}

static int64_t ovl_llseek(struct file *f, int64_t off, int whence)
{
	struct file *real;
	int64_t r = real_file(f, &real);

	if (r)
		return r;
	real->pos = f->pos;
	r = file_ops(real)->llseek ? file_ops(real)->llseek(real, off, whence) : -ESPIPE;
	if (r >= 0)
		f->pos = r;
	return r;
}

static int ovl_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags, struct file_map *out)
{
	struct ovl_file *of = f->priv;
	struct file *real = of->low ? of->low : of->up;	/* as it was opened, like Linux */

	return file_ops(real)->mmap ? file_ops(real)->mmap(real, off, len, prot, flags, out) : -ENODEV;
}

static int ovl_fsync(struct file *f, bool data_only)
{
	struct file *real;
	int r = real_file(f, &real);

	return r || !file_ops(real)->fsync ? r : file_ops(real)->fsync(real, data_only);
}

static int ovl_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct file *real;
	int r = real_file(f, &real);

	if (r)
		return r;
	r = file_ops(real)->fallocate ? file_ops(real)->fallocate(real, mode, off, len) : -EOPNOTSUPP;
	ovl_copy_attributes(to_ovl(f->inode));
	return r;
}

static int dir_fsync(struct file *f, bool data_only)
{
	return 0;
}

const struct file_ops ovl_reg_file_ops = {
	.open = ovl_open,
	.release = ovl_release,
	.read = ovl_read,
	.write = ovl_write,
	.llseek = ovl_llseek,
	.mmap = ovl_mmap,
	.fsync = ovl_fsync,
	.fallocate = ovl_fallocate,
};

const struct file_ops ovl_dir_file_ops = {
	.release = ovl_dir_release,
	.iterate = ovl_iterate,
	.llseek = dir_llseek,
	.fsync = dir_fsync,
};
