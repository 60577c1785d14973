/* SPDX-License-Identifier: Apache-2.0 */
/* stat family, statx, access family, statfs, readlink */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/statmount.h"

#define S_IFMT_ 0170000u
#define IS(m, t) (((m) & S_IFMT_) == (t))
#define ST_VALID 0x20

#define STATX_MNT_ID_UNIQUE_BIT 0x4000u	/* newer than libc's header */

static void to_l_stat(const struct kstat *k, struct l_stat *s)
{
	*s = (struct l_stat){
		.dev = k->dev, .ino = k->ino, .nlink = k->nlink, .mode = k->mode, .uid = k->uid,
		.gid = k->gid, .rdev = k->rdev, .size = (int64_t)k->size, .blksize = (int64_t)k->blksize,
		.blocks = (int64_t)k->blocks, .atime = k->atime, .mtime = k->mtime, .ctime = k->ctime,
	};
}

static int64_t stat_out(struct task *t, struct path *p, uaddr_t out)
{
	struct kstat k;
	struct l_stat s;
	int r = vfs_getattr(p, &k, 0);

	path_put(p);
	if (r)
		return r;
	to_l_stat(&k, &s);
	return copy_out(t, out, &s, sizeof(s));
}

int64_t sys_stat(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = fs_path(t, ARG_UADDR(0), true, &p);

	return r ? r : stat_out(t, &p, ARG_UADDR(1));
}

int64_t sys_lstat(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = fs_path(t, ARG_UADDR(0), false, &p);

	return r ? r : stat_out(t, &p, ARG_UADDR(1));
}

int64_t sys_fstat(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_any(t, ARG_INT(0));
	struct kstat k;
	struct l_stat s;

	if (!f)
		return -EBADF;
	int r = vfs_getattr(&f->path, &k, 0);
	file_put(f);
	if (r)
		return r;
	to_l_stat(&k, &s);
	return copy_out(t, ARG_UADDR(1), &s, sizeof(s));
}

int64_t sys_newfstatat(struct task *t, const struct sysargs *a)
{
	struct path p;
	unsigned flags = ARG_U32(3);

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	int r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), flags, &p);
	return r ? r : stat_out(t, &p, ARG_UADDR(2));
}

/* --- statx ----------------------------------------------------------------------------------- */

static struct statx_timestamp xtime(const struct l_timespec *ts)
{
	return (struct statx_timestamp){.tv_sec = ts->sec, .tv_nsec = (uint32_t)ts->nsec};
}

static void to_statx(const struct kstat *k, const struct path *p, uint32_t want, struct statx *x)
{
	memset(x, 0, sizeof(*x));
	x->stx_mask = STATX_BASIC_STATS | (k->has_btime ? STATX_BTIME : 0) | (want & 0x5000);
	x->stx_blksize = (uint32_t)k->blksize;
	x->stx_attributes = k->attributes;
	x->stx_attributes_mask = STATX_ATTR_MOUNT_ROOT | STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
	if (p->mnt && p->dentry == p->mnt->root)
		x->stx_attributes |= STATX_ATTR_MOUNT_ROOT;
	x->stx_nlink = (uint32_t)k->nlink;
	x->stx_uid = k->uid;
	x->stx_gid = k->gid;
	x->stx_mode = (uint16_t)k->mode;
	x->stx_ino = k->ino;
	x->stx_size = k->size;
	x->stx_blocks = k->blocks;
	x->stx_atime = xtime(&k->atime);
	x->stx_mtime = xtime(&k->mtime);
	x->stx_ctime = xtime(&k->ctime);
	if (k->has_btime)
		x->stx_btime = xtime(&k->btime);
	x->stx_rdev_major = major(k->rdev);
	x->stx_rdev_minor = minor(k->rdev);
	x->stx_dev_major = major(k->dev);
	x->stx_dev_minor = minor(k->dev);
	x->stx_mnt_id = k->mnt_id;
	if (want & STATX_MNT_ID_UNIQUE_BIT) {
		x->stx_mnt_id += MNT_UNIQUE_BASE;
		x->stx_mask |= STATX_MNT_ID_UNIQUE_BIT;
		x->stx_mask &= ~(uint32_t)STATX_MNT_ID;
	}
}

int64_t sys_statx(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(2), mask = ARG_U32(3);
	struct path p;
	struct kstat k;
	struct statx x;

	if (mask & STATX__RESERVED)
		return -EINVAL;
	if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE))
		return -EINVAL;
	int r = fs_path_at(t, ARG_INT(0), ARG_UADDR(1), flags, &p);
	if (r)
		return r;
	r = vfs_getattr(&p, &k, 0);
	if (!r)
		to_statx(&k, &p, mask, &x);
	path_put(&p);
	return r ? r : copy_out(t, ARG_UADDR(4), &x, sizeof(x));
}

/* --- access ---------------------------------------------------------------------------------- */

/* Credentials with the real ids, for access(2); NULL when they are the task's own. */
static int access_cred(struct task *t, struct cred **out)
{
	struct cred *c = t->cred, *n;
	uint64_t eff = c->cap_effective;

	*out = NULL;
	if (!(c->securebits & SECBIT_NO_SETUID_FIXUP))
		eff = c->uid == 0 ? c->cap_permitted : 0;
	if (c->fsuid == c->uid && c->fsgid == c->gid && eff == c->cap_effective)
		return 0;
	n = cred_copy(c);
	if (!n)
		return -ENOMEM;
	n->fsuid = n->uid;
	n->fsgid = n->gid;
	n->cap_effective = eff;
	*out = n;
	return 0;
}

static int check_access(const struct path *p, int mode, const struct cred *cred)
{
	struct inode *i = p->dentry->inode;

	if ((mode & 1) && IS(i->mode, 0100000) && p->mnt && (p->mnt->flags & MS_NOEXEC))
		return -EACCES;
	int r = inode_permission(i, mode, cred);
	if (!r && (mode & 2) && !IS(i->mode, 0020000) && !IS(i->mode, 0060000) &&
	    !IS(i->mode, 0010000) && !IS(i->mode, 0140000) &&
	    ((p->mnt && (p->mnt->flags & MS_RDONLY)) || (i->sb->flags & MS_RDONLY)))
		r = -EROFS;
	return r;
}

static int64_t do_access(struct task *t, int dirfd, uaddr_t name, int mode, unsigned flags)
{
	struct cred *real = NULL;
	struct path p;
	int r = 0;

	if (mode & ~7)
		return -EINVAL;
	if (flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!(flags & AT_EACCESS))
		r = access_cred(t, &real);
	if (r)
		return r;
	const struct cred *cred = real ? real : t->cred;	/* for the walk, too */
	r = fs_path_cred(t, cred, dirfd, name, flags & ~(unsigned)AT_EACCESS, &p);
	if (!r) {
		r = check_access(&p, mode, cred);
		path_put(&p);
	}
	if (real)
		cred_put(real);
	return r;
}

int64_t sys_access(struct task *t, const struct sysargs *a)
{
	return do_access(t, AT_FDCWD, ARG_UADDR(0), ARG_INT(1), 0);
}

int64_t sys_faccessat(struct task *t, const struct sysargs *a)
{
	return do_access(t, ARG_INT(0), ARG_UADDR(1), ARG_INT(2), 0);
}

int64_t sys_faccessat2(struct task *t, const struct sysargs *a)
{
	return do_access(t, ARG_INT(0), ARG_UADDR(1), ARG_INT(2), ARG_U32(3));
}

/* --- statfs ---------------------------------------------------------------------------------- */

static int64_t statfs_out(struct task *t, struct path *p, uaddr_t out)
{
	struct super *sb = p->dentry->sb;
	struct l_statfs s = {.type = sb->magic, .bsize = (int64_t)PAGE_SIZE, .namelen = NAME_MAX_LEN};
	const struct super_ops *o = super_ops_table[sb->sops];
	int r = o && o->statfs ? o->statfs(sb, &s) : 0;

	s.type = sb->magic;
	s.fsid = sb->dev;
	if (!s.frsize)
		s.frsize = s.bsize;
	s.flags = ST_VALID | (sb->flags & MS_RDONLY);
	if (p->mnt) {
		unsigned m = p->mnt->flags;
		s.flags |= m & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME);
		s.flags |= m & MS_NOATIME ? 1024 : 0;
		if (!(m & (MS_NOATIME | MS_STRICTATIME)))
			s.flags |= 4096;	/* ST_RELATIME */
	}
	path_put(p);
	return r ? r : copy_out(t, out, &s, sizeof(s));
}

int64_t sys_statfs(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = fs_path(t, ARG_UADDR(0), true, &p);

	return r ? r : statfs_out(t, &p, ARG_UADDR(1));
}

int64_t sys_fstatfs(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = fs_fd_path(t, ARG_INT(0), true, &p);

	if (ARG_INT(0) < 0) {
		if (!r)
			path_put(&p);
		return -EBADF;
	}
	return r ? r : statfs_out(t, &p, ARG_UADDR(1));
}

/* --- readlink -------------------------------------------------------------------------------- */

/* The text of a magic link is the path it leads to. */
static int64_t link_text(struct task *t, const struct path *p, char *buf, size_t cap)
{
	struct inode *i = p->dentry->inode;

	if (inode_ops(i)->readlink && IS(i->mode, 0120000))
		return inode_ops(i)->readlink(i, buf, cap);
	return -EINVAL;
}

static int64_t do_readlink(struct task *t, int dirfd, uaddr_t name, uaddr_t out, int size)
{
	struct path p;
	char *buf, *n;
	int64_t r;

	if (size <= 0)
		return -EINVAL;
	r = copy_in_path(t, name, true, &n);
	if (r)
		return r;
	bool empty = !*n;
	r = path_lookup(t, dirfd, n, LOOKUP_EMPTY | LOOKUP_TELL, &p);
	bool link = !r && IS(p.dentry->inode->mode, 0120000);	/* most are none: realpath asks of each name */
	if (r == -ENOENT || (!r && !link))
		task_tell_path(t, n, r ? ENOENT : EINVAL);
	path_buf_free(n);
	if (r)
		return r;
	size_t cap = min((size_t)size, (size_t)PATH_MAX_LEN);
	buf = link ? kmalloc(cap) : NULL;
	r = !link ? -EINVAL : buf ? link_text(t, &p, buf, cap) : -ENOMEM;
	if (empty && r == -EINVAL)
		r = -ENOENT;
	if (r >= 0)
		path_accessed(&p);
	path_put(&p);
	if (r > 0) {
		int e = copy_out(t, out, buf, (size_t)r);
		r = e ? e : r;
	}
	kfree(buf);
	return r;
}

int64_t sys_readlink(struct task *t, const struct sysargs *a)
{
	return do_readlink(t, AT_FDCWD, ARG_UADDR(0), ARG_UADDR(1), ARG_INT(2));
}

int64_t sys_readlinkat(struct task *t, const struct sysargs *a)
{
	return do_readlink(t, ARG_INT(0), ARG_UADDR(1), ARG_UADDR(2), ARG_INT(3));
}
