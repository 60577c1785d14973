/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: life, attributes, links' texts, extended attributes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"
#include "sentry/fs/overlay/overlay_int.h"
#include "sentry/vfs/acl.h"

#define XATTR_NODE_MAX (256u << 10)	/* names and values of one node */

static KCACHE(tnode_cache, struct tnode, 0);

uint64_t tnode_live(void)
{
	return kc_live(&tnode_cache);
}

int tnode_create(struct super *sb, const struct inode *dir, uint32_t mode, uint64_t rdev,
		 const struct cred *cred, struct tnode **out)
{
	struct tmpfs_super *ts = sb->priv;
	struct tnode *n;

	if (ts) {
		uint64_t used = __atomic_add_fetch(&ts->used_inodes, 1, __ATOMIC_RELAXED);
		n = ts->max_inodes && used > ts->max_inodes ? NULL : kc_alloc(&tnode_cache);
		if (!n)
			__atomic_fetch_sub(&ts->used_inodes, 1, __ATOMIC_RELAXED);
	} else {
		n = kc_alloc(&tnode_cache);
	}
	if (!n)
		return -ENOSPC;
	enum file_ops_id fops = S_ISREG(mode) ? FOPS_tmpfs_reg : FOPS_tmpfs_dir;
	if (ts && S_ISREG(mode))
		fops = (enum file_ops_id)ts->fops_reg;
	else if (ts)
		fops = (enum file_ops_id)ts->fops_dir;
	inode_init(&n->inode, sb, mode, ts ? (enum inode_ops_id)ts->iops : IOPS_tmpfs, fops);
	inode_init_owner(&n->inode, dir, mode, cred);
	n->inode.rdev = rdev;
	n->seals = F_SEAL_SEAL;
	list_init(&n->idle);
	list_init(&n->xattrs);
	if (dir && acl_inherit(&n->inode, dir)) {
		inode_put(&n->inode);
		return -ENOSPC;
	}
	*out = n;
	return 0;
}

static void xattrs_free(struct tnode *n)
{
	struct txattr *x;

	while ((x = list_first(&n->xattrs, struct txattr, link))) {
		list_del(&x->link);
		kfree(x->name);
		kfree(x);
	}
}

void tmpfs_destroy(struct inode *i)
{
	struct tnode *n = to_tnode(i);
	struct tmpfs_super *ts = tmpfs_sb(i);

	overlay_uncount(n);
	if (n->low)
		overlay_node_gone(n);
	if (S_ISDIR(i->mode))
		tdir_clear(n);
	else if (S_ISREG(i->mode))
		tdata_free(n);
	xattrs_free(n);
	kfree(n->target);
	if (ts)
		__atomic_fetch_sub(&ts->used_inodes, 1, __ATOMIC_RELAXED);
	kc_free(&tnode_cache, n);
}

int64_t tmpfs_readlink(struct inode *i, char *buf, size_t cap)
{
	struct tnode *n = to_tnode(i);

	if (!n->target)
		return -EINVAL;
	size_t len = min((size_t)i->size, cap);
	memcpy(buf, n->target, len);
	return (int64_t)len;
}

static struct txattr *xattr_find(struct tnode *n, const char *name)
{
	struct txattr *x;

	list_for_each(x, &n->xattrs, link) {
		if (strcmp(x->name, name) == 0)
			return x;
	}
	return NULL;
}

int tmpfs_getattr(struct inode *i, struct kstat *st, unsigned query)
{
	struct tnode *n = to_tnode(i);

	/* The caller may hold the lock (sticky directories): only a mapped file's count needs it. */
	if (S_ISREG(i->mode) && !hh_is_none(n->memfd) && mutex_trylock(&i->lock)) {
		tdata_sync_blocks(n);
		mutex_unlock(&i->lock);
	}
	inode_fill_stat(i, st);
	st->blocks = n->blocks * (PAGE_SIZE / 512);
	if (S_ISDIR(i->mode))
		st->size = 40 + (uint64_t)n->nr_live * 20;
	return 0;
}

/* A write or a change of owner: the file's capabilities go. Inode locked. */
static void drop_caps(struct tnode *n)
{
	struct txattr *x = xattr_find(n, XATTR_NAME_CAPS);

	WRITE_ONCE(n->inode.has_fcaps, false);
	if (!x)
		return;
	list_del(&x->link);
	n->xattr_bytes -= (uint32_t)(x->size + strlen(x->name));
	kfree(x->name);
	kfree(x);
}

int tmpfs_setattr(struct inode *i, const struct iattr *a)
{
	struct tnode *n = to_tnode(i);
	struct iattr b = *a;
	int r = 0;

	if (a->valid & ATTR_SIZE) {
		if ((n->seals & F_SEAL_SHRINK) && a->size < i->size)
			return -EPERM;
		if ((n->seals & F_SEAL_GROW) && a->size > i->size)
			return -EPERM;
		if (a->size > INT64_MAX - PAGE_SIZE)
			return -EFBIG;
		r = tdata_resize(n, a->size);
		if (!(b.valid & ATTR_MTIME))
			b.valid |= ATTR_MTIME | ATTR_MTIME_NOW;
	}
	if ((a->valid & ATTR_MODE) && (n->seals & F_SEAL_EXEC) && ((i->mode ^ a->mode) & 0111))
		r = -EPERM;
	if (!r && (a->valid & (ATTR_KILL_PRIV | ATTR_KILL_CAPS)) && READ_ONCE(i->has_fcaps))
		drop_caps(n);
	return r ? r : inode_set_attr(i, &b);
}

/* --- extended attributes --------------------------------------------------------------------- */

/* What tmpfs stores; access control lists lie in the inode (vfs/acl.c). */
static bool supported(const char *name)
{
	return strncmp(name, "user.", 5) == 0 || strncmp(name, "trusted.", 8) == 0 ||
	       strncmp(name, "security.", 9) == 0;
}

int64_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t cap)
{
	struct tnode *n = to_tnode(i);
	int64_t r = -ENODATA;

	if (!supported(name))
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	struct txattr *x = xattr_find(n, name);
	if (x) {
		r = x->size;
		if (cap && cap < x->size)
			r = -ERANGE;
		else if (cap)
			memcpy(buf, x->value, x->size);
	}
	mutex_unlock(&i->lock);
	return r;
}

int tmpfs_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	struct tnode *n = to_tnode(i);
	struct txattr *x, *old;
	int r = 0;

	if (!supported(name))
		return -EOPNOTSUPP;
	x = kmalloc(sizeof(*x) + size);
	if (!x)
		return -ENOSPC;
	x->name = kstrdup(name);
	x->size = (uint32_t)size;
	if (!x->name) {
		kfree(x);
		return -ENOSPC;
	}
	memcpy(x->value, buf, size);
	mutex_lock(&i->lock);
	old = xattr_find(n, name);
	uint32_t cost = (uint32_t)(size + strlen(name));
	if (old && (flags & XATTR_CREATE))
		r = -EEXIST;
	else if (!old && (flags & XATTR_REPLACE))
		r = -ENODATA;
	else if (n->xattr_bytes + cost > XATTR_NODE_MAX)
		r = -ENOSPC;
	if (!r) {
		if (old) {
			list_del(&old->link);
			n->xattr_bytes -= (uint32_t)(old->size + strlen(name));
		}
		list_add_tail(&n->xattrs, &x->link);
		n->xattr_bytes += cost;
		if (!strcmp(name, XATTR_NAME_CAPS))
			WRITE_ONCE(i->has_fcaps, true);
		i->ctime = now_real();
		x = NULL;
	}
	mutex_unlock(&i->lock);
	struct txattr *drop = r ? x : old;
	if (drop) {
		kfree(drop->name);
		kfree(drop);
	}
	return r;
}

int64_t tmpfs_listxattr(struct inode *i, char *buf, size_t cap)
{
	struct tnode *n = to_tnode(i);
	struct txattr *x;
	size_t len = 0;

	mutex_lock(&i->lock);
	list_for_each(x, &n->xattrs, link) {
		size_t one = strlen(x->name) + 1;
		if (cap && len + one <= cap)
			memcpy(buf + len, x->name, one);
		len += one;
	}
	mutex_unlock(&i->lock);
	return cap && len > cap ? -ERANGE : (int64_t)len;
}

int tmpfs_removexattr(struct inode *i, const char *name)
{
	struct tnode *n = to_tnode(i);

	if (!supported(name))
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	struct txattr *x = xattr_find(n, name);
	if (x) {
		list_del(&x->link);
		n->xattr_bytes -= (uint32_t)(x->size + strlen(name));
		i->ctime = now_real();
		if (!strcmp(name, XATTR_NAME_CAPS))
			WRITE_ONCE(i->has_fcaps, false);
	}
	mutex_unlock(&i->lock);
	if (!x)
		return -ENODATA;
	kfree(x->name);
	kfree(x);
	return 0;
}

/* Nobody but this kernel changes it. */
static bool tmpfs_settled(struct inode *dir)
{
	return true;
}

const struct inode_ops tmpfs_inode_ops = {
	.settled = tmpfs_settled,
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.mkdir = tmpfs_mkdir,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.readlink = tmpfs_readlink,
	.getattr = tmpfs_getattr,
	.setattr = tmpfs_setattr,
	.getxattr = tmpfs_getxattr,
	.setxattr = tmpfs_setxattr,
	.listxattr = tmpfs_listxattr,
	.removexattr = tmpfs_removexattr,
	.destroy = tmpfs_destroy,
};
