/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes and extended attributes: the real object's, with the overlay's identity. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/fs/ovl/ovl.h"

int64_t ovl_readlink(struct inode *i, char *buf, size_t cap)
{
	struct inode *real = ovl_real(to_ovl(i))->inode;

	return inode_ops(real)->readlink ? inode_ops(real)->readlink(real, buf, cap) : -EINVAL;
}

int ovl_getattr(struct inode *i, struct kstat *st, unsigned query)
{
	struct ovl_node *n = to_ovl(i);
	struct inode *real = ovl_real(n)->inode;
	int r = 0;

	if (inode_ops(real)->getattr)
		r = inode_ops(real)->getattr(real, st, query);
	else
		inode_fill_stat(real, st);
	st->dev = i->sb->dev;
	st->ino = i->ino;
	if (ovl_is_merged(n) || n->gone)
		st->nlink = i->nlink;
	return r;
}

int ovl_setattr(struct inode *i, const struct iattr *a)
{
	struct ovl_node *n = to_ovl(i);
	int r = ovl_copy_up(n, a->valid & ATTR_SIZE ? a->size : UINT64_MAX);

	if (r)
		return r;
	struct inode *up = ovl_upper(n)->inode;
	struct iattr b = *a;
	b.file = NULL;
	mutex_lock(&up->lock);
	r = inode_ops(up)->setattr ? inode_ops(up)->setattr(up, &b) : inode_set_attr(up, &b);
	mutex_unlock(&up->lock);
	ovl_copy_attributes(n);
	return r;
}

/* The overlay's attributes decide; a file system below may know more. What lies below the upper one
 * is never written: it has to be readable for its copy. */
int ovl_permission(struct inode *i, int mask, const struct cred *cred)
{
	struct ovl_node *n = to_ovl(i);
	struct inode *real = ovl_real(n)->inode;
	int r = inode_generic_permission(i, mask, cred);

	if (r || !inode_ops(real)->permission)
		return r;
	if (!ovl_upper(n) && (mask & W_OK) && (S_ISREG(i->mode) || S_ISDIR(i->mode)))
		mask = (mask & ~W_OK) | R_OK;
	return inode_ops(real)->permission(real, mask, cred);
}

int64_t ovl_getxattr(struct inode *i, const char *name, void *buf, size_t cap)
{
	struct inode *real = ovl_real(to_ovl(i))->inode;

	if (!inode_ops(real)->getxattr || ovl_is_own_xattr(ovl_sb(i), name))
		return -EOPNOTSUPP;
	return inode_ops(real)->getxattr(real, name, buf, cap);
}

static int change_begin(struct inode *i, const char *name)
{
	return ovl_is_own_xattr(ovl_sb(i), name) ? -EOPNOTSUPP : ovl_copy_up(to_ovl(i), UINT64_MAX);
}

int ovl_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags)
{
	int r = change_begin(i, name);

	if (r)
		return r;
	struct inode *up = ovl_upper(to_ovl(i))->inode;
	r = inode_ops(up)->setxattr ? inode_ops(up)->setxattr(up, name, buf, n, flags) : -EOPNOTSUPP;
	ovl_copy_attributes(to_ovl(i));
	return r;
}

int ovl_removexattr(struct inode *i, const char *name)
{
	int r = change_begin(i, name);

	if (r)
		return r;
	struct inode *up = ovl_upper(to_ovl(i))->inode;
	r = inode_ops(up)->removexattr ? inode_ops(up)->removexattr(up, name) : -EOPNOTSUPP;
	ovl_copy_attributes(to_ovl(i));
	return r;
}

/* The overlay's own are not listed. With cap 0 the size may be too large, which is allowed. */
int64_t ovl_listxattr(struct inode *i, char *buf, size_t cap)
{
	struct inode *real = ovl_real(to_ovl(i))->inode;
	int64_t len = inode_ops(real)->listxattr ? inode_ops(real)->listxattr(real, buf, cap) : 0;

	if (len <= 0 || !cap)
		return len;
	char *to = buf, *end = buf + len;
	for (char *p = buf; p < end;) {
		size_t n = strnlen(p, (size_t)(end - p)) + 1;
		if (p + n > end)
			break;
		if (!ovl_is_own_xattr(ovl_sb(i), p)) {
			memmove(to, p, n);
			to += n;
		}
		p += n;
	}
	return to - buf;
}
