/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names. On a shared superblock a cached name, present or absent, is believed while the
 * directory's mtime and ctime are those from before its last lookup, unless that lookup was made
 * in the same clock tick as the last change. Otherwise the Gofer is asked what the name is now: a
 * name that still means the same object keeps its dentry.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include "sentry/fs/gofer/gofer_int.h"

static bool shared(const struct inode *i)
{
	return gofer_sb(i)->flags & GOFER_SB_SHARED;
}

/* Before a lookup in dir (locked): what its answer will be based on. */
static int note_stamp(struct gofer_inode *dir)
{
	struct stamp s = {1, 1};
	int rc = 0;

	if (shared(&dir->inode)) {
		rc = gofer_stamp(dir, &s);
		if (!rc && stamp_is_racy(dir, &s))
			s = (struct stamp){0, 0};
	}
	dir->seen_a = rc ? 0 : s.a;
	dir->seen_b = rc ? 0 : s.b;
	return rc;
}

static int gofer_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct gofer_inode *g = to_gofer(dir);
	struct gcall c;

	if (len > GOFER_NAME_MAX)
		return -ENAMETOOLONG;
	int rc = note_stamp(g);
	if (rc)
		return rc;
	if (prefetch_lookup(g, name, len, out))
		return 0;
	gcall_begin(&c, GOFER_WALK);
	wire_put_u64(&c.w, g->h);
	wire_put_u32(&c.w, vfs_open_intent == 1 + O_RDONLY);
	wire_put_u32(&c.w, 1);
	wire_put_strn(&c.w, name, len);
	rc = gcall_send(&c);
	if (!rc && wire_get_u32(&c.r) != 1)
		rc = -EIO;
	if (!rc) {
		(void)wire_get_u32(&c.r);
		rc = gofer_node(&c, dir->sb, out);
	}
	gcall_end(&c);
	return rc;
}

static void gofer_cached(struct inode *dir, struct dentry *d)
{
	d->seen_a = to_gofer(dir)->seen_a;
	d->seen_b = to_gofer(dir)->seen_b;
}

/* Asks what the name is now; 1 when it is what d says. */
static int peek(struct gofer_inode *dir, struct dentry *d)
{
	struct gofer_inode *g = d->inode ? to_gofer(d->inode) : NULL;
	struct gcall c;
	int same = 0;

	gcall_begin(&c, GOFER_PEEK);
	wire_put_u64(&c.w, dir->h);
	wire_put_strn(&c.w, d->name, d->name_len);
	int rc = gcall_send(&c);
	uint64_t dev = wire_get_u64(&c.r), ino = wire_get_u64(&c.r), born = wire_get_u64(&c.r);
	if (rc == -ENOENT)
		same = !g;
	else if (!rc && wire_done(&c.r))
		same = g && g->dev == dev && g->inode.ino == ino && g->born == born;
	gcall_end(&c);
	return same;
}

static int gofer_revalidate(struct inode *dir, struct dentry *d)
{
	struct gofer_inode *g = to_gofer(dir);
	struct stamp s;

	if (!shared(dir))
		return 1;
	if (gofer_stamp(g, &s))
		return 0;
	if (READ_ONCE(d->seen_a) == s.a && READ_ONCE(d->seen_b) == s.b)
		return 1;
	/* A layer is not changed itself: there the overlay's own answer counts. */
	if (!(gofer_sb(dir)->flags & GOFER_SB_LOWER) &&
	    (d->inode ? vfs_name_intent == NAME_TO_REMOVE : vfs_name_intent == NAME_TO_CREATE))
		return 1;
	mutex_lock(&dir->lock);
	int same = 0;
	if (!note_stamp(g)) {
		same = peek(g, d);
		if (same)
			gofer_cached(dir, d);
	}
	mutex_unlock(&dir->lock);
	return same;
}

/* Before a change of ours: the names of the directory are looked at again, but for the one that
 * changes, if the stamp that comes back with the answer can say so. */
static void changing(struct inode *dir)
{
	struct gofer_inode *g = to_gofer(dir);

	g->seen_a = g->seen_b = shared(dir) ? 0 : 1;
}

/* The stamp at the end of the reply. */
static int changed(struct gcall *c, struct inode *dir)
{
	struct stamp s = {.a = wire_get_u64(&c->r)};

	s.b = wire_get_u64(&c->r);
	if (!wire_done(&c->r))
		return -EIO;
	if (shared(dir))
		stamp_own_change(to_gofer(dir), &s);
	return 0;
}

static void put_ids(struct gcall *c, const struct cred *cred)
{
	wire_put_u32(&c->w, gofer_to_host_uid(cred ? cred->fsuid : 0));
	wire_put_u32(&c->w, gofer_to_host_gid(cred ? cred->fsgid : 0));
}

static int make_begin(struct gcall *c, enum gofer_op op, struct inode *dir, const char *name,
		      size_t len)
{
	if (len > GOFER_NAME_MAX)
		return -ENAMETOOLONG;
	changing(dir);
	gcall_begin(c, op);
	wire_put_u64(&c->w, to_gofer(dir)->h);
	wire_put_strn(&c->w, name, len);
	return 0;
}

static int make_end(struct gcall *c, struct inode *dir, bool named, struct inode **out)
{
	int rc = gcall_send(c);

	if (!rc)
		rc = gofer_node(c, dir->sb, out);
	if (!rc && named)
		(void)changed(c, dir);
	gcall_end(c);
	return rc;
}

/* A new file that is opened at once is created open: its creator may, whatever its mode says. */
static int create_open(struct inode *dir, const char *name, size_t len, uint32_t mode,
		       const struct cred *cred, struct inode **out)
{
	struct gcall c;
	int rc = make_begin(&c, GOFER_CREATE, dir, name, len);

	if (rc)
		return rc;
	wire_put_u32(&c.w, mode & 07777);
	wire_put_u32(&c.w, min(vfs_open_intent - 1, (unsigned)O_RDWR));
	put_ids(&c, cred);
	return make_end(&c, dir, true, out);
}

static int gofer_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
			const struct cred *cred, struct inode **out)
{
	struct gcall c;

	if (S_ISREG(mode) && vfs_open_intent)
		return create_open(dir, name, len, mode, cred, out);
	if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EPERM;
	int rc = make_begin(&c, GOFER_MKNOD, dir, name, len);
	if (rc)
		return rc;
	wire_put_u32(&c.w, mode & (S_IFMT | 07777));
	put_ids(&c, cred);
	return make_end(&c, dir, true, out);
}

static int gofer_mkdir(struct inode *dir, const char *name, size_t len, uint32_t mode,
		       const struct cred *cred, struct inode **out)
{
	struct gcall c;
	int rc = make_begin(&c, GOFER_MKDIR, dir, name, len);

	if (rc)
		return rc;
	wire_put_u32(&c.w, mode & 07777);
	put_ids(&c, cred);
	return make_end(&c, dir, true, out);
}

static int gofer_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out)
{
	struct gcall c;

	gcall_begin(&c, GOFER_TMPFILE);
	wire_put_u64(&c.w, to_gofer(dir)->h);
	wire_put_u32(&c.w, mode & 07777);
	put_ids(&c, cred);
	return make_end(&c, dir, false, out);
}

static int gofer_symlink(struct inode *dir, const char *name, size_t len, const char *target,
			 const struct cred *cred, struct inode **out)
{
	struct gcall c;

	if (strlen(target) > GOFER_TARGET_MAX)
		return -ENAMETOOLONG;
	int rc = make_begin(&c, GOFER_SYMLINK, dir, name, len);
	if (rc)
		return rc;
	wire_put_str(&c.w, target);
	put_ids(&c, cred);
	return make_end(&c, dir, true, out);
}

static int gofer_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	struct gcall c;

	if (len > GOFER_NAME_MAX)
		return -ENAMETOOLONG;
	if (dir->sb != target->sb)
		return -EXDEV;
	changing(dir);
	gcall_begin(&c, GOFER_LINK);
	wire_put_u64(&c.w, to_gofer(target)->h);
	wire_put_u64(&c.w, to_gofer(dir)->h);
	wire_put_strn(&c.w, name, len);
	int rc = gcall_send(&c);
	if (!rc)
		(void)changed(&c, dir);
	gcall_end(&c);
	return rc;
}

static int remove_name(struct inode *dir, const char *name, size_t len, struct inode *victim,
		       bool is_dir)
{
	struct gcall c;

	if (len > GOFER_NAME_MAX)
		return -ENAMETOOLONG;
	changing(dir);
	gcall_begin(&c, GOFER_UNLINK);
	wire_put_u64(&c.w, to_gofer(dir)->h);
	wire_put_strn(&c.w, name, len);
	wire_put_u32(&c.w, is_dir);
	wire_put_u64(&c.w, victim ? to_gofer(victim)->h : 0);
	int rc = gcall_send(&c);
	if (!rc)
		(void)changed(&c, dir);
	if (!rc && victim)
		WRITE_ONCE(to_gofer(victim)->unnamed, true);
	gcall_end(&c);
	return rc;
}

static int gofer_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return remove_name(dir, name, len, victim, false);
}

static int gofer_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	return remove_name(dir, name, len, victim, true);
}

static int gofer_rename(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
			struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
			unsigned flags)
{
	struct gcall c;

	if (olen > GOFER_NAME_MAX || nlen > GOFER_NAME_MAX)
		return -ENAMETOOLONG;
	if (odir->sb != ndir->sb)
		return -EXDEV;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	changing(odir);
	changing(ndir);
	gcall_begin(&c, GOFER_RENAME);
	wire_put_u64(&c.w, to_gofer(odir)->h);
	wire_put_strn(&c.w, oname, olen);
	wire_put_u64(&c.w, to_gofer(ndir)->h);
	wire_put_strn(&c.w, nname, nlen);
	wire_put_u32(&c.w, flags);
	wire_put_u64(&c.w, to_gofer(inode)->h);
	wire_put_u64(&c.w, victim ? to_gofer(victim)->h : 0);
	int rc = gcall_send(&c);
	if (!rc)
		(void)changed(&c, ndir);
	if (!rc && victim)
		WRITE_ONCE(to_gofer(victim)->unnamed, true);
	gcall_end(&c);
	return rc;
}

static int64_t gofer_readlink(struct inode *i, char *buf, size_t cap)
{
	struct gofer_inode *g = to_gofer(i);

	if (!g->target)
		return -EINVAL;
	size_t n = min(strlen(g->target), cap);
	memcpy(buf, g->target, n);
	return (int64_t)n;
}

const struct inode_ops gofer_inode_ops = {
	.lookup = gofer_lookup,
	.revalidate = gofer_revalidate,
	.cached = gofer_cached,
	.settled = is_settled,
	.create = gofer_create,
	.mkdir = gofer_mkdir,
	.symlink = gofer_symlink,
	.link = gofer_link,
	.unlink = gofer_unlink,
	.rmdir = gofer_rmdir,
	.rename = gofer_rename,
	.tmpfile = gofer_tmpfile,
	.readlink = gofer_readlink,
	.getattr = gofer_getattr,
	.setattr = gofer_setattr,
	.permission = gofer_permission,
	.getxattr = gofer_getxattr,
	.setxattr = gofer_setxattr,
	.listxattr = gofer_listxattr,
	.removexattr = gofer_removexattr,
	.destroy = gofer_destroy,
};
