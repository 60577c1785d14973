/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes: always the host's own, read on our descriptor; changed through the Gofer. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/xattr.h>
#include <unistd.h>
#include "host/file.h"
#include "host/time.h"
#include "sentry/fs/gofer/gofer_int.h"

static struct l_timespec l_time(struct timespec t)
{
	return (struct l_timespec){t.tv_sec, t.tv_nsec};
}

int gofer_getattr(struct inode *i, struct kstat *st, unsigned query)
{
	struct gofer_inode *g = to_gofer(i);
	struct stat hs;
	int rc = gofer_stat(g, &hs);

	if (rc)
		return rc;
	inode_fill_stat(i, st);
	st->dev = hs.st_dev;
	st->ino = hs.st_ino;
	st->mode = hs.st_mode;
	st->nlink = hs.st_nlink;
	st->rdev = hs.st_rdev;
	st->size = (uint64_t)hs.st_size;
	st->blocks = (uint64_t)hs.st_blocks;
	st->blksize = (uint64_t)hs.st_blksize;
	st->atime = l_time(hs.st_atim);
	st->mtime = l_time(hs.st_mtim);
	st->ctime = l_time(hs.st_ctim);
	st->btime = (struct l_timespec){(int64_t)(g->born / 1000000000u), (int64_t)(g->born % 1000000000u)};
	st->has_btime = g->born != 0;
	return 0;
}

/*
 * A walk asks for permission on a directory and then whether its cached entry holds: both need
 * the same fstat. It is used again once, in the same walk.
 */
static _Thread_local struct {
	const struct gofer_inode *g;
	uint64_t h;
	struct stamp s;
	uint64_t walk;
} last;

static int stat_dir(struct gofer_inode *dir)
{
	struct stat st;
	struct look l;

	last.g = NULL;
	if (believed_stamp(dir, &last.s))
		return 0;
	believe_begin(&l);
	int rc = gofer_stat(dir, &st);
	if (rc)
		return rc;
	last.g = dir, last.h = dir->h;
	last.s = (struct stamp){stamp_ns(st.st_mtim), stamp_ns(st.st_ctim)};
	last.walk = vfs_walks;
	believe(dir, &last.s, &l);
	return 0;
}

static void last_forget(const struct gofer_inode *dir)
{
	if (last.g == dir)
		last.g = NULL;
}

int gofer_stamp(struct gofer_inode *dir, struct stamp *s)
{
	if (last.g != dir || last.h != dir->h || last.walk != vfs_walks) {
		int rc = stat_dir(dir);
		if (rc)
			return rc;
	}
	*s = last.s;
	last.g = NULL;
	return 0;
}

/* Git's rule for its index: what changed in the same tick of the file system's clock leaves the
 * same stamp. A clock tick is at most 10 ms on Linux; some file systems keep coarser times. The
 * ctime decides: it moves with every change and nobody can set it. */
#define RACY_NS 20000000ll

bool stamp_is_recent(const struct stamp *s)
{
	uint64_t tick = s->b % NSEC_PER_SEC ? RACY_NS : 2 * NSEC_PER_SEC;

	return s->b + tick >= (uint64_t)h_clock_ns(CLOCK_REALTIME);
}

static bool is_fine(const struct gofer_super *gs, uint64_t dev)
{
	for (unsigned i = 0; i < array_size(gs->fine_dev); i++)
		if (READ_ONCE(gs->fine_dev[i]) == dev)
			return true;
	return false;
}

bool stamp_is_racy(const struct gofer_inode *dir, const struct stamp *s)
{
	return stamp_is_recent(s) && !is_fine(dir->inode.sb->priv, dir->dev);
}

/*
 * Linux's coarse clock moves in steps of 1 ms or more. Two stamps that differ by less come from a
 * file system that looks at the fine clock once a stamp has been read (ext4, xfs, btrfs, tmpfs
 * since Linux 6.13), or always: there a later change never leaves a stamp that was read before.
 */
#define COARSE_STEP_NS 900000

void stamp_own_change(struct gofer_inode *dir, const struct stamp *s)
{
	struct gofer_super *gs = dir->inode.sb->priv;
	uint64_t before = READ_ONCE(gs->last_change);
	uint64_t diff = s->b > before ? s->b - before : before - s->b;

	last_forget(dir);
	if (s->b && diff && diff < COARSE_STEP_NS && READ_ONCE(gs->last_dev) == dir->dev &&
	    !is_fine(gs, dir->dev)) {
		for (unsigned i = 0; i < array_size(gs->fine_dev); i++) {
			if (!gs->fine_dev[i]) {
				WRITE_ONCE(gs->fine_dev[i], dir->dev);
				break;
			}
		}
	}
	WRITE_ONCE(gs->last_dev, dir->dev);
	WRITE_ONCE(gs->last_change, s->b);
	bool holds = s->b && !stamp_is_racy(dir, s);
	dir->seen_a = holds ? s->a : 0;
	dir->seen_b = holds ? s->b : 0;
}

int gofer_permission(struct inode *i, int mask, const struct cred *cred)
{
	struct gofer_inode *g = to_gofer(i);
	struct stat st;
	int rc = S_ISDIR(i->mode) ? stat_dir(g) : gofer_stat(g, &st);

	return rc ? rc : inode_generic_permission(i, mask, cred);
}

static uint64_t time_nsec(const struct l_timespec *t, bool now)
{
	return now ? UTIME_NOW : (uint64_t)t->nsec;
}

static uint32_t killed_priv(uint32_t mode)
{
	mode &= ~(uint32_t)S_ISUID;
	return (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ? mode & ~(uint32_t)S_ISGID : mode;
}

/* ftruncate on a description of ours needs no Gofer. */
static int truncate_open(struct gofer_inode *g, uint64_t size)
{
	hh_t h = !hh_is_none(g->desc[DESC_RW].h) ? g->desc[DESC_RW].h : g->desc[DESC_WO].h;

	if (hh_is_none(h) || size > INT64_MAX)
		return -EINVAL;
	int rc = h_ftruncate(hh_fd(h), (int64_t)size);
	return rc == -EFBIG || rc == -ENOSPC || rc == -EPERM || rc == -EDQUOT || rc == -EINVAL ||
	       rc == -ETXTBSY || rc == 0 ? rc : -EIO;
}

int gofer_setattr(struct inode *i, const struct iattr *a)
{
	struct gofer_inode *g = to_gofer(i);
	uint32_t valid = a->valid, mode = a->mode, set = 0;
	struct gcall c;

	if (valid & (ATTR_KILL_PRIV | ATTR_KILL_CAPS) && READ_ONCE(i->has_fcaps))
		(void)gofer_caps_drop(g);
	if (valid & ATTR_KILL_PRIV && !(valid & ATTR_MODE)) {
		mode = killed_priv(i->mode);
		if (mode != i->mode)
			valid |= ATTR_MODE;
	}
	if (valid & ATTR_SIZE && a->file && a->file->inode == i && a->file->mode & FMODE_WRITE) {
		int rc = truncate_open(g, a->size);
		if (rc)
			return rc;
		valid &= ~(uint32_t)ATTR_SIZE;
		if (valid & ATTR_MTIME_NOW)	/* that was done along with it */
			valid &= ~(uint32_t)(ATTR_MTIME | ATTR_MTIME_NOW);
	}
	set |= valid & ATTR_MODE ? GOFER_SET_MODE : 0;
	set |= valid & ATTR_UID ? GOFER_SET_UID : 0;
	set |= valid & ATTR_GID ? GOFER_SET_GID : 0;
	set |= valid & ATTR_SIZE ? GOFER_SET_SIZE : 0;
	set |= valid & ATTR_ATIME ? GOFER_SET_ATIME : 0;
	set |= valid & ATTR_MTIME ? GOFER_SET_MTIME : 0;
	if (!set)
		return 0;
	gcall_begin(&c, GOFER_SETATTR);
	wire_put_u64(&c.w, g->h);
	wire_put_u32(&c.w, set);
	wire_put_u32(&c.w, mode & 07777);
	wire_put_u32(&c.w, gofer_to_host_uid(a->uid));
	wire_put_u32(&c.w, gofer_to_host_gid(a->gid));
	wire_put_u64(&c.w, a->size);
	wire_put_u64(&c.w, (uint64_t)a->atime.sec);
	wire_put_u64(&c.w, time_nsec(&a->atime, valid & ATTR_ATIME_NOW));
	wire_put_u64(&c.w, (uint64_t)a->mtime.sec);
	wire_put_u64(&c.w, time_nsec(&a->mtime, valid & ATTR_MTIME_NOW));
	int rc = gcall_send(&c);
	gcall_end(&c);
	return rc;
}

static bool xattr_ours(const char *name)
{
	return strncmp(name, "user.", 5) == 0 && strlen(name) <= GOFER_XATTR_NAME_MAX;
}

/* The bytes that follow a length in the reply. */
static int64_t take_bytes(struct gcall *c, void *buf, size_t cap)
{
	uint32_t n = wire_get_u32(&c->r);

	if (c->r.bad || n > GOFER_XATTR_MAX || (cap && n > cap))
		return -EIO;
	if (cap)
		wire_get(&c->r, buf, n);
	return wire_done(&c->r) ? (int64_t)n : -EIO;
}

int64_t gofer_getxattr(struct inode *i, const char *name, void *buf, size_t cap)
{
	struct gcall c;

	if (!strcmp(name, XATTR_NAME_CAPS))
		return gofer_caps_get(to_gofer(i), buf, cap);
	if (!xattr_ours(name))
		return -EOPNOTSUPP;
	gcall_begin(&c, GOFER_GETXATTR);
	wire_put_u64(&c.w, to_gofer(i)->h);
	wire_put_str(&c.w, name);
	wire_put_u32(&c.w, (uint32_t)min(cap, (size_t)GOFER_XATTR_MAX));
	int64_t rc = gcall_send(&c);
	if (!rc)
		rc = take_bytes(&c, buf, cap);
	gcall_end(&c);
	return rc;
}

int gofer_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags)
{
	struct gcall c;

	if (!strcmp(name, XATTR_NAME_CAPS))
		return gofer_caps_set(to_gofer(i), buf, n, flags);
	if (!xattr_ours(name))
		return -EOPNOTSUPP;
	if (n > GOFER_XATTR_MAX)
		return -E2BIG;
	gcall_begin(&c, GOFER_SETXATTR);
	wire_put_u64(&c.w, to_gofer(i)->h);
	wire_put_str(&c.w, name);
	wire_put_u32(&c.w, (uint32_t)flags);
	wire_put_u32(&c.w, (uint32_t)n);
	wire_put(&c.w, buf, n);
	int rc = gcall_send(&c);
	gcall_end(&c);
	return rc;
}

int64_t gofer_listxattr(struct inode *i, char *buf, size_t cap)
{
	struct gcall c;

	gcall_begin(&c, GOFER_LISTXATTR);
	wire_put_u64(&c.w, to_gofer(i)->h);
	wire_put_u32(&c.w, (uint32_t)min(cap, (size_t)GOFER_XATTR_MAX));
	int64_t rc = gcall_send(&c);
	if (!rc)
		rc = take_bytes(&c, buf, cap);
	gcall_end(&c);
	if (rc >= 0 && READ_ONCE(i->has_fcaps)) {
		const size_t n = sizeof(XATTR_NAME_CAPS);
		if (cap && (size_t)rc + n > cap)
			return -ERANGE;
		if (cap)
			memcpy(buf + rc, XATTR_NAME_CAPS, n);
		rc += (int64_t)n;
	}
	return rc;
}

int gofer_removexattr(struct inode *i, const char *name)
{
	struct gcall c;

	if (!strcmp(name, XATTR_NAME_CAPS))
		return gofer_caps_drop(to_gofer(i));
	if (!xattr_ours(name))
		return -EOPNOTSUPP;
	gcall_begin(&c, GOFER_REMOVEXATTR);
	wire_put_u64(&c.w, to_gofer(i)->h);
	wire_put_str(&c.w, name);
	int rc = gcall_send(&c);
	gcall_end(&c);
	return rc;
}
