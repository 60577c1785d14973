/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes: life, generic attributes, permission. An inode is embedded in its file system's own
 * object, which iops->destroy frees. Destruction may free more inodes (a tree that goes away), so
 * nested last references are queued and worked off by the outermost one: the stack is small.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include "host/time.h"
#include "sentry/core/user_ns.h"
#include "sentry/core/kheap.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/vfs_int.h"

static _Thread_local struct inode *dying;	/* queued through dying_next */
static _Thread_local bool destroying;

struct l_timespec now_real(void)
{
	int64_t ns = h_clock_ns(CLOCK_REALTIME_COARSE);

	return (struct l_timespec){ns / NSEC_PER_SEC, ns % NSEC_PER_SEC};
}

void inode_init(struct inode *i, struct super *sb, uint32_t mode, enum inode_ops_id iops,
		enum file_ops_id fops)
{
	ref_init(&i->ref, 1);
	i->iops = (uint16_t)iops;
	i->fops = (uint16_t)fops;
	i->sb = super_get(sb);
	mutex_init(&i->lock, sb ? sb->inode_rank : RANK_INODE);
	if (sb)
		i->ino = __atomic_add_fetch(&sb->next_ino, 1, __ATOMIC_RELAXED);
	i->mode = mode;
	i->nlink = 1;
	i->atime = i->mtime = i->ctime = i->btime = now_real();
	list_init(&i->watches);
}

struct inode *inode_get(struct inode *i)
{
	if (i)
		ref_get(&i->ref);
	return i;
}

static void inode_destroy(struct inode *i)
{
	struct super *sb = i->sb;

	inode_locks_free(i);
	acl_free(i);
	inode_ops(i)->destroy(i);
	super_put(sb);
}

void inode_put(struct inode *i)
{
	if (!i || !ref_put(&i->ref))
		return;
	if (destroying) {
		i->dying_next = dying;
		dying = i;
		return;
	}
	destroying = true;
	while (i) {
		inode_destroy(i);
		i = dying;
		if (i)
			dying = i->dying_next;
	}
	destroying = false;
}

void inode_fill_stat(const struct inode *i, struct kstat *st)
{
	st->dev = i->sb->dev;
	st->ino = i->ino;
	st->nlink = i->nlink;
	st->rdev = i->rdev;
	st->size = i->size;
	st->blocks = (i->size + 511) / 512;
	st->blksize = PAGE_SIZE;
	st->mode = i->mode;
	st->uid = i->uid;
	st->gid = i->gid;
	st->atime = i->atime;
	st->mtime = i->mtime;
	st->ctime = i->ctime;
	st->btime = i->btime;
	st->has_btime = true;
}

/* --- permission ------------------------------------------------------------------------------ */

bool inode_capable(const struct inode *i, const struct cred *cred, int cap)
{
	if (!cred)
		return true;
	if (cred_capable(cred, cap))
		return true;
	/* In a user namespace: over files whose owner and group it knows. */
	return cred->user_ns && cred_ns_capable(cred, cred->user_ns, cap) &&
	       id_from_kernel(&cred->user_ns->uid_map, i->uid) != ID_INVALID &&
	       id_from_kernel(&cred->user_ns->gid_map, i->gid) != ID_INVALID;
}

bool inode_owner_or_capable(const struct inode *i, const struct cred *cred)
{
	return !cred || cred->fsuid == i->uid || inode_capable(i, cred, CAP_FOWNER);
}

/* The rights that mode bits or a list give to cred, in the lowest three bits. */
static uint32_t rights_of(struct inode *i, uint32_t mode, int mask, const struct cred *cred)
{
	if (cred->fsuid == i->uid)
		return mode >> 6;
	if (unlikely(READ_ONCE(i->acl) != NULL) && (mode & 070)) {
		int r = acl_check(i, (unsigned)mask & 7, cred);

		if (r != -EAGAIN)
			return r ? 0 : 7;
	}
	return ((mode >> 3) ^ mode) & 7 && cred_in_group(cred, i->gid) ? mode >> 3 : mode;
}

static int generic_permission(struct inode *i, int mask, const struct cred *cred)
{
	uint32_t mode = READ_ONCE(i->mode), bits = rights_of(i, mode, mask, cred);

	if (!((uint32_t)mask & ~bits & 7))
		return 0;
	if (S_ISDIR(mode)) {
		if (!(mask & W_OK) && inode_capable(i, cred, CAP_DAC_READ_SEARCH))
			return 0;
		return inode_capable(i, cred, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == R_OK && inode_capable(i, cred, CAP_DAC_READ_SEARCH))
		return 0;
	if ((!(mask & X_OK) || (mode & 0111)) && inode_capable(i, cred, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_permission(struct inode *i, int mask, const struct cred *cred)
{
	mask &= R_OK | W_OK | X_OK;
	if (!mask || !cred)
		return 0;
	if ((mask & W_OK) && unlikely(READ_ONCE(i->attr) & FS_IMMUTABLE_FL))
		return -EPERM;
	if (inode_ops(i)->permission)
		return inode_ops(i)->permission(i, mask, cred);
	return generic_permission(i, mask, cred);
}

int inode_generic_permission(struct inode *i, int mask, const struct cred *cred)
{
	return cred ? generic_permission(i, mask, cred) : 0;
}

void inode_init_owner(struct inode *i, const struct inode *dir, uint32_t mode, const struct cred *cred)
{
	i->uid = cred ? cred->fsuid : 0;
	i->gid = cred ? cred->fsgid : 0;
	if (dir && (dir->mode & S_ISGID)) {
		i->gid = dir->gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
		else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && cred &&
			 !cred_in_group(cred, i->gid) && !inode_capable(dir, cred, CAP_FSETID))
			mode &= ~(uint32_t)S_ISGID;
	}
	i->mode = mode;
}

/* --- changing attributes --------------------------------------------------------------------- */

int inode_set_attr(struct inode *i, const struct iattr *a)
{
	struct l_timespec now = now_real();

	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_MODE)
		WRITE_ONCE(i->mode, (i->mode & S_IFMT) | (a->mode & 07777));
	if (a->valid & ATTR_MODE)
		acl_chmod(i);
	if (a->valid & ATTR_KILL_PRIV) {
		uint32_t kill = S_ISUID;
		if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			kill |= S_ISGID;
		WRITE_ONCE(i->mode, i->mode & ~kill);
	}
	if (a->valid & ATTR_ATIME)
		i->atime = a->valid & ATTR_ATIME_NOW ? now : a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->valid & ATTR_MTIME_NOW ? now : a->mtime;
	if (a->valid & ~(uint32_t)ATTR_KILL_CAPS)
		i->ctime = now;
	i->change++;
	return 0;
}

void inode_touch(struct inode *i, unsigned what)
{
	struct l_timespec now = now_real();

	if (what & ATTR_ATIME)
		i->atime = now;
	if (what & ATTR_MTIME) {
		i->mtime = i->ctime = now;
		i->change++;
	}
}

static bool time_before(const struct l_timespec *a, const struct l_timespec *b)
{
	return a->sec != b->sec ? a->sec < b->sec : a->nsec <= b->nsec;
}

/* relatime: when not after mtime or ctime, or a day old. */
void path_accessed(const struct path *p)
{
	struct inode *i = p->dentry->inode;
	uint32_t fl = p->mnt ? p->mnt->flags : MS_NOATIME;

	if ((fl & (MS_NOATIME | MS_RDONLY)) || (i->sb->flags & ST_RDONLY) || (READ_ONCE(i->attr) & FS_NOATIME_FL))
		return;
	if ((fl & MS_NODIRATIME) && S_ISDIR(i->mode))
		return;
	struct l_timespec now = now_real();
	if (!(fl & MS_STRICTATIME) && !time_before(&i->atime, &i->mtime) &&
	    !time_before(&i->atime, &i->ctime) && now.sec - i->atime.sec < 86400)
		return;
	i->atime = now;
}

void file_accessed(struct file *f)
{
	if (!(READ_ONCE(f->flags) & O_NOATIME))
		path_accessed(&f->path);
}

int file_remove_privs(struct file *f)
{
	struct inode *i = f->inode;
	uint32_t mode = READ_ONCE(i->mode);
	struct iattr a = {.valid = READ_ONCE(i->has_fcaps) ? ATTR_KILL_CAPS : 0u, .file = f};

	if (!S_ISREG(mode))
		return 0;
	if (((mode & S_ISUID) || (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) &&
	    !inode_capable(i, f->cred, CAP_FSETID))
		a.valid |= ATTR_KILL_PRIV;
	if (!a.valid)
		return 0;
	mutex_lock(&i->lock);
	int r = inode_ops(i)->setattr ? inode_ops(i)->setattr(i, &a) : inode_set_attr(i, &a);
	mutex_unlock(&i->lock);
	return r;
}

/* --- ETXTBSY --------------------------------------------------------------------------------- */

int inode_deny_write(struct inode *i)
{
	int32_t n = __atomic_load_n(&i->write_count, __ATOMIC_RELAXED);

	do {
		if (n > 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&i->write_count, &n, n - 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return 0;
}

void inode_allow_write(struct inode *i)
{
	__atomic_fetch_add(&i->write_count, 1, __ATOMIC_RELEASE);
}

int inode_get_write(struct inode *i)
{
	int32_t n = __atomic_load_n(&i->write_count, __ATOMIC_RELAXED);

	do {
		if (n < 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&i->write_count, &n, n + 1, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	return 0;
}

void inode_put_write(struct inode *i)
{
	__atomic_fetch_sub(&i->write_count, 1, __ATOMIC_RELEASE);
}
