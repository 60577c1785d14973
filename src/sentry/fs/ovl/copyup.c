/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy-up (fs/overlayfs/copy_up.c): the copy is made in the work directory with content, extended
 * attributes, owner, mode and times, then moved to its name. Directories above come first.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/vfs/stack.h"

#define COPY_CHUNK (128u << 10)
#define XATTR_CAP 65536u

static int write_all(struct file *to, char *buf, size_t n, int64_t pos)
{
	struct uio u;

	uio_kernel(&u, buf, n);
	while (u.left) {
		int64_t w = file_ops(to)->write ? file_ops(to)->write(to, &u, &pos) : -EINVAL;
		if (w <= 0)
			return w ? (int)w : -ENOSPC;
	}
	return 0;
}

/* Where data goes on behind pos; holes are not copied. */
static int64_t next_data(struct file *f, int64_t pos, int64_t end)
{
	if (!file_ops(f)->llseek)
		return pos;
	int64_t r = file_ops(f)->llseek(f, pos, SEEK_DATA);
	return r == -ENXIO ? end : r < 0 ? pos : r;
}

static int copy_data(struct inode *from, struct inode *to, uint64_t keep)
{
	struct file *in = NULL, *out = NULL;
	struct kstat st;
	char *buf = kmalloc(COPY_CHUNK);
	int r = buf ? ovl_stat(from, &st) : -ENOMEM;
	int64_t pos = 0;

	if (!r)
		r = file_open_inode(from, O_RDONLY | O_LARGEFILE, NULL, &in);
	if (!r)
		r = file_open_inode(to, O_WRONLY | O_LARGEFILE, NULL, &out);
	keep = r ? 0 : min(keep, st.size);
	while (!r && (uint64_t)(pos = next_data(in, pos, (int64_t)keep)) < keep) {
		int64_t got = vfs_pread(in, buf, min((uint64_t)COPY_CHUNK, keep - (uint64_t)pos), pos);
		if (got <= 0) {
			r = (int)got;
			break;
		}
		r = write_all(out, buf, (size_t)got, pos);
		pos += got;
	}
	file_put(in);
	file_put(out);
	kfree(buf);
	return r;
}

static int copy_xattrs(struct ovl_super *os, struct inode *from, struct inode *to)
{
	const struct inode_ops *o = inode_ops(from);
	char *names = kmalloc(XATTR_CAP), *value = kmalloc(XATTR_CAP);
	int r = names && value ? 0 : -ENOMEM;
	int64_t len = !r && o->listxattr ? o->listxattr(from, names, XATTR_CAP) : 0;

	for (char *p = names; !r && len > 0 && p < names + len; p += strlen(p) + 1) {
		if (ovl_is_own_xattr(os, p))
			continue;
		int64_t n = o->getxattr(from, p, value, XATTR_CAP);
		if (n < 0)
			continue;
		r = inode_ops(to)->setxattr ? inode_ops(to)->setxattr(to, p, value, (size_t)n, 0)
					    : -EOPNOTSUPP;
		if (r == -EOPNOTSUPP || r == -EPERM)
			r = 0;	/* as Linux: what the upper one cannot have is left */
	}
	kfree(names);
	kfree(value);
	return r;
}

static int copy_attributes(struct inode *to, const struct kstat *st, uint64_t size)
{
	struct iattr a = {
		.valid = ATTR_UID | ATTR_GID | ATTR_MODE | ATTR_ATIME | ATTR_MTIME | ATTR_TIMES_SET,
		.uid = st->uid, .gid = st->gid, .mode = st->mode & 07777,
		.atime = st->atime, .mtime = st->mtime,
	};
	int r = 0;

	mutex_lock(&to->lock);
	if (S_ISREG(st->mode) && size) {
		struct iattr s = {.valid = ATTR_SIZE, .size = size};
		r = inode_ops(to)->setattr ? inode_ops(to)->setattr(to, &s) : inode_set_attr(to, &s);
	}
	if (!r && S_ISLNK(st->mode))
		a.valid &= ~(uint32_t)ATTR_MODE;
	if (!r)
		r = inode_ops(to)->setattr ? inode_ops(to)->setattr(to, &a) : inode_set_attr(to, &a);
	mutex_unlock(&to->lock);
	return r;
}

static int fill(struct ovl_super *os, struct inode *from, struct inode *to, const struct kstat *st,
		uint64_t keep)
{
	int r = S_ISREG(st->mode) && keep ? copy_data(from, to, keep) : 0;

	if (!r)
		r = copy_xattrs(os, from, to);
	return r ? r : copy_attributes(to, st, min(keep, st->size));
}

/* n's parent has an upper object (or n has no name any more). */
static int copy_one(struct ovl_node *n, uint64_t keep)
{
	struct ovl_super *os = ovl_sb(&n->inode);
	struct dentry *low = n->lower[0], *d;
	struct inode *from = low->inode;
	char *target = NULL;
	struct kstat st;
	int r = ovl_stat(from, &st);

	if (!r && S_ISLNK(st.mode)) {
		target = kmalloc(PATH_MAX_LEN);
		int64_t len = target && inode_ops(from)->readlink
				      ? inode_ops(from)->readlink(from, target, PATH_MAX_LEN - 1) : -ENOMEM;
		r = len < 0 ? (int)len : 0;
	}
	if (!r)
		r = ovl_make_work(os, (st.mode & S_IFMT) | (S_ISDIR(st.mode) ? 0700u : 0600u),
				  st.rdev, target, &d);
	kfree(target);
	if (r)
		return r;
	r = fill(os, from, d->inode, &st, keep);
	dentry_get(d);	/* removed while it is held it keeps its inode */
	if (!r && n->gone)
		r = S_ISDIR(st.mode) ? -ENOENT : ovl_remove(os->work, d);
	else if (!r)
		r = ovl_move(os->work, d, ovl_upper(n->parent), low->name, low->name_len, 0);
	if (r)
		(void)!ovl_remove(os->work, d);
	dentry_put(d);
	if (r) {
		dentry_put(d);
		return r;
	}
	ovl_set_upper(n, d);
	ovl_copy_attributes(n);
	return 0;
}

/* The node next to be copied: the highest one above n without an upper object. */
static struct ovl_node *highest(struct ovl_node *n)
{
	while (n->parent && !n->gone && !ovl_upper(n->parent))
		n = n->parent;
	return n;
}

int ovl_copy_up(struct ovl_node *n, uint64_t keep)
{
	struct ovl_super *os = ovl_sb(&n->inode);
	int r = 0;

	if (likely(ovl_upper(n)))
		return 0;
	if (!os->upper_mnt)
		return -EROFS;
	mutex_lock(&os->copy_lock);
	while (!r && !ovl_upper(n)) {
		struct ovl_node *next = highest(n);
		r = copy_one(next, next == n ? keep : UINT64_MAX);
	}
	mutex_unlock(&os->copy_lock);
	return r;
}
