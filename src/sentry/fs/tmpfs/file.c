/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading, writing and mapping. Guest bytes are in the window before the inode's lock is taken
 * (R16). A write of more than one window is one write for others: it holds the file's ticket,
 * which is no lock and is killable.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "host/file.h"
#include "sentry/core/hhandle.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"
#include "sentry/task/task.h"

#define F_WRITE_SEALS (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

int tmpfs_open(struct inode *i, struct file *f)
{
	struct tnode *n = to_tnode(i);

	if (!S_ISREG(i->mode))
		return 0;
	mutex_lock(&i->lock);
	tdata_opened(n);
	mutex_unlock(&i->lock);
	return 0;
}

void tmpfs_release(struct file *f)
{
	struct inode *i = f->inode;

	if (!S_ISREG(i->mode))
		return;
	mutex_lock(&i->lock);
	tdata_closed(to_tnode(i));
	mutex_unlock(&i->lock);
}

int64_t tmpfs_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct tnode *n = to_tnode(f->inode);
	int64_t done = 0, r = 0;

	while (u->left) {
		size_t cap;
		void *win = uio_window(u, &cap);
		mutex_lock(&n->inode.lock);
		r = tdata_read(n, (uint64_t)*pos, win, min(cap, (size_t)u->left));
		mutex_unlock(&n->inode.lock);
		if (r <= 0)
			break;
		int64_t got = r;
		r = uio_put_window(u, (size_t)got);
		if (r <= 0)
			break;
		done += r, *pos += r;
		if (r < got)
			break;
	}
	if (done)
		file_accessed(f);
	return done ? done : r;
}

/* What the seals let through, page by page as Linux does. */
static int check_write(struct tnode *n, uint64_t pos, uint64_t *len)
{
	if (n->seals & F_WRITE_SEALS)
		return -EPERM;
	if ((n->seals & F_SEAL_GROW) && pos + *len > n->inode.size) {
		uint64_t end = page_down(n->inode.size);
		if (end <= pos)
			return -EPERM;
		*len = end - pos;
	}
	return 0;
}

static int64_t write_all(struct file *f, struct uio *u, int64_t *pos, uint64_t len)
{
	struct tnode *n = to_tnode(f->inode);
	int64_t done = 0, r = 0;

	while (len) {
		size_t cap;
		void *win = uio_window(u, &cap);
		int64_t got = uio_get_window(u, min(cap, (size_t)len));
		if (got <= 0) {
			r = got;
			break;
		}
		mutex_lock(&n->inode.lock);
		uint64_t fits = (uint64_t)got;
		r = check_write(n, (uint64_t)*pos, &fits);
		if (!r)
			r = tdata_write(n, (uint64_t)*pos, win, (size_t)fits);
		if (r > 0)
			inode_touch(&n->inode, ATTR_MTIME);
		mutex_unlock(&n->inode.lock);
		if (r <= 0)
			break;
		done += r, *pos += r, len -= (uint64_t)r;
		if (r < got)
			break;
	}
	return done ? done : r;
}

int64_t tmpfs_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct tnode *n = to_tnode(f->inode);
	uint64_t len = u->left;
	int64_t r = busy_lock(&n->ticket, current);

	if (r)
		return r;
	if (READ_ONCE(f->flags) & O_APPEND)
		*pos = (int64_t)READ_ONCE(n->inode.size);
	r = file_write_limit(f, *pos, &len);
	if (!r && len)
		r = file_remove_privs(f);
	if (!r)
		r = write_all(f, u, pos, len);
	busy_unlock(&n->ticket);
	return r;
}

int64_t tmpfs_llseek(struct file *f, int64_t off, int whence)
{
	struct tnode *n = to_tnode(f->inode);

	mutex_lock(&n->inode.lock);
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		if (__builtin_add_overflow(off, f->pos, &off))
			off = -EOVERFLOW;
		break;
	case SEEK_END:
		if (__builtin_add_overflow(off, (int64_t)n->inode.size, &off))
			off = -EOVERFLOW;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		off = off < 0 ? -ENXIO : tdata_seek(n, (uint64_t)off, whence == SEEK_DATA);
		break;
	default:
		off = -EINVAL;
	}
	mutex_unlock(&n->inode.lock);
	if (off < 0)
		return off == -ENXIO || off == -EOVERFLOW ? off : -EINVAL;
	f->pos = off;
	return off;
}

/* A description without write access, for shared mappings that must never become writable. */
static int make_ro(struct tnode *n)
{
	int ro, r;

	if (!hh_is_none(n->memfd_ro))
		return 0;
	r = gofer_reopen_ro(hh_fd(n->memfd), &ro);
	return r ? r : hh_add(ro, &n->memfd_ro);
}

int tmpfs_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags, struct file_map *out)
{
	struct tnode *n = to_tnode(f->inode);
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	int r = 0;

	if (!S_ISREG(n->inode.mode))
		return -ENODEV;
	mutex_lock(&n->inode.lock);
	if (shared && (prot & PROT_WRITE) && (n->seals & F_WRITE_SEALS))
		r = -EPERM;
	if (!r)
		r = tdata_to_memfd(n);
	bool ro = shared && (!(f->mode & FMODE_WRITE) || (n->seals & F_WRITE_SEALS));
	if (!r && ro)
		r = make_ro(n);
	if (!r)
		*out = (struct file_map){.h = ro ? n->memfd_ro : n->memfd, .off = off,
					 .sealed = n->seals & F_WRITE_SEALS};
	mutex_unlock(&n->inode.lock);
	return r;
}

int tmpfs_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct tnode *n = to_tnode(f->inode);
	uint64_t end = (uint64_t)off + (uint64_t)len;
	int r = 0;

	if (!S_ISREG(n->inode.mode))
		return -ENODEV;
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	mutex_lock(&n->inode.lock);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (n->seals & F_WRITE_SEALS)
			r = -EPERM;
		else
			tdata_punch(n, (uint64_t)off, min(end, n->inode.size));
	} else {
		if ((n->seals & F_SEAL_GROW) && end > n->inode.size && !(mode & FALLOC_FL_KEEP_SIZE))
			r = -EPERM;
		if (!r)
			r = tdata_alloc(n, (uint64_t)off, end);
		if (!r && !(mode & FALLOC_FL_KEEP_SIZE) && end > n->inode.size)
			r = tdata_resize(n, end);
	}
	if (!r)
		inode_touch(&n->inode, ATTR_MTIME);
	mutex_unlock(&n->inode.lock);
	return r;
}

static int fsync_nothing(struct file *f, bool data_only)
{
	return 0;
}

const struct file_ops tmpfs_reg_file_ops = {
	.open = tmpfs_open,
	.release = tmpfs_release,
	.read = tmpfs_read,
	.write = tmpfs_write,
	.llseek = tmpfs_llseek,
	.mmap = tmpfs_mmap,
	.fsync = fsync_nothing,
	.fallocate = tmpfs_fallocate,
	.fcntl = tmpfs_fcntl,
};

const struct file_ops tmpfs_dir_file_ops = {
	.iterate = tmpfs_iterate,
	.llseek = dir_llseek,
	.fsync = fsync_nothing,
};
