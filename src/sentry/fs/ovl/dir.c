/* SPDX-License-Identifier: Apache-2.0 */
/* Names of an overlay (fs/overlayfs/dir.c). The directory's overlay lock is held by the caller, so
 * the steps of one change are seen together by everybody who looks through the overlay. */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/fs/ovl/ovl.h"
#include "sentry/vfs/stack.h"

/* The directory's upper part, made if need be. */
static int upper_dir(struct inode *dir, struct dentry **out)
{
	int r = ovl_copy_up(to_ovl(dir), UINT64_MAX);

	if (!r)
		*out = ovl_upper(to_ovl(dir));
	return r;
}

static void dir_changed(struct inode *dir)
{
	ovl_copy_attributes(to_ovl(dir));
	dir->change++;
}

/* Takes a whiteout off the name. *was: there was one. */
static int uncover(struct dentry *up, const char *name, size_t len, bool *was)
{
	struct dentry *d;
	int r = dentry_lookup(up, name, len, &d);

	*was = false;
	if (r)
		return r == -ENOENT ? 0 : r;
	if (d->inode && ovl_is_whiteout(d->inode)) {
		*was = true;
		r = ovl_remove(up, d);
	}
	dentry_put(d);
	return r;
}

/* A new directory must hide what lies below; where nothing does the mark is a convenience. */
static int mark_new_dir(struct ovl_super *os, struct inode *dir, struct dentry *d, bool was_white)
{
	int r = 0;

	if (was_white || ovl_is_merged(to_ovl(dir)))
		r = ovl_set_opaque(os, d);
	return r && was_white ? -EIO : 0;
}

static int make(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		const char *target, const struct cred *cred, struct inode **out)
{
	struct ovl_super *os = ovl_sb(dir);
	struct dentry *up, *d = NULL;
	bool white = false;
	int r = upper_dir(dir, &up);

	if (!r && S_ISCHR(mode) && rdev == 0)
		r = -EPERM;	/* a whiteout is not a file here */
	if (!r)
		r = uncover(up, name, len, &white);
	if (r)
		return r;
	r = ovl_make(up, name, len, mode, rdev, target, cred, &d);
	if (!r && S_ISDIR(mode)) {
		r = mark_new_dir(os, dir, d, white);
		if (r) {
			(void)!ovl_remove(up, d);
			dentry_put(d);
		}
	}
	if (r) {
		if (white)
			(void)!ovl_whiteout(os, up, name, len);
		return r;
	}
	r = ovl_node_get(dir->sb, d, NULL, 0, to_ovl(dir), out);
	dir_changed(dir);
	return r;
}

static int ovl_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		      const struct cred *cred, struct inode **out)
{
	return make(dir, name, len, mode, rdev, NULL, cred, out);
}

static int ovl_mkdir(struct inode *dir, const char *name, size_t len, uint32_t mode,
		     const struct cred *cred, struct inode **out)
{
	return make(dir, name, len, mode, 0, NULL, cred, out);
}

static int ovl_symlink(struct inode *dir, const char *name, size_t len, const char *target,
		       const struct cred *cred, struct inode **out)
{
	return make(dir, name, len, S_IFLNK | 0777, 0, target, cred, out);
}

static int ovl_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out)
{
	struct dentry *up, *d;
	struct inode *ui, *made;
	int r = upper_dir(dir, &up);

	if (r)
		return r;
	ui = up->inode;
	if (!inode_ops(ui)->tmpfile)
		return -EOPNOTSUPP;
	mutex_lock(&ui->lock);
	r = inode_ops(ui)->tmpfile(ui, mode, cred, &made);
	mutex_unlock(&ui->lock);
	if (!r)
		r = dentry_detached(ui->sb, "#tmpfile", made, &d);
	return r ? r : ovl_node_get(dir->sb, d, NULL, 0, to_ovl(dir), out);
}

static int link_upper(struct dentry *up, const char *name, size_t len, struct inode *real)
{
	struct inode *ui = up->inode;
	struct dentry *d;

	if (!inode_ops(ui)->link)
		return -EPERM;
	mutex_lock(&ui->lock);
	int r = dentry_lookup_locked(up, name, len, &d);
	if (!r) {
		r = d->inode ? -EEXIST : inode_ops(ui)->link(ui, name, len, real);
		if (!r)
			dentry_instantiate(d, inode_get(real));
		dentry_put(d);
	}
	mutex_unlock(&ui->lock);
	return r;
}

static int ovl_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	struct ovl_super *os = ovl_sb(dir);
	struct dentry *up;
	bool white = false;
	int r = ovl_copy_up(to_ovl(target), UINT64_MAX);

	if (!r)
		r = upper_dir(dir, &up);
	if (!r)
		r = uncover(up, name, len, &white);
	if (r)
		return r;
	r = link_upper(up, name, len, ovl_upper(to_ovl(target))->inode);
	if (r && white)
		(void)!ovl_whiteout(os, up, name, len);
	ovl_copy_attributes(to_ovl(target));
	dir_changed(dir);
	return r;
}

/* --- removal --------------------------------------------------------------------------------- */

static int remove_name(struct inode *dir, const char *name, size_t len, struct ovl_node *v)
{
	struct dentry *up, *d;
	int r = upper_dir(dir, &up);
	int below = r ? r : ovl_name_below(to_ovl(dir), name, len);

	if (below < 0)
		return below;
	if (below) {
		r = ovl_whiteout(ovl_sb(dir), up, name, len);
	} else {
		r = dentry_lookup(up, name, len, &d);
		if (!r) {
			r = d->inode && ovl_upper(v) && d->inode == ovl_upper(v)->inode ? ovl_remove(up, d)
											: -ESTALE;
			dentry_put(d);
		}
	}
	return r;
}

static void no_name(struct ovl_node *v)
{
	struct kstat st;

	if (!ovl_upper(v) || S_ISDIR(v->inode.mode) || ovl_stat(ovl_upper(v)->inode, &st) || !st.nlink) {
		v->gone = true;
		v->inode.nlink = 0;
	} else {
		ovl_copy_attributes(v);
	}
}

static int ovl_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	int r = remove_name(dir, name, len, to_ovl(victim));

	if (!r) {
		no_name(to_ovl(victim));
		dir_changed(dir);
	}
	return r;
}

/* A directory that shows nothing is made really empty; from then on it is opaque. */
static int make_bare(struct ovl_node *v)
{
	int r = ovl_check_empty(v);

	if (r || !ovl_upper(v) || !ovl_is_merged(v))
		return r;
	(void)!ovl_set_opaque(ovl_sb(&v->inode), ovl_upper(v));
	return ovl_clear_whiteouts(v);
}

static int ovl_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	struct ovl_node *v = to_ovl(victim);
	int r = ovl_sb(dir)->upper_mnt ? make_bare(v) : -EROFS;

	if (!r)
		r = remove_name(dir, name, len, v);
	if (!r) {
		no_name(v);
		dir_changed(dir);
	}
	return r;
}

/* --- rename ---------------------------------------------------------------------------------- */

struct ovl_rename {
	struct inode *odir, *ndir;
	const char *oname, *nname;
	size_t olen, nlen;
	struct ovl_node *n, *v;		/* v: NULL if there is none */
	unsigned flags;
};

static bool tied_to_its_place(const struct ovl_node *n)
{
	return S_ISDIR(n->inode.mode) && n->n > 0;
}

static int rename_prepare(struct ovl_rename *m)
{
	bool exchange = m->flags & RENAME_EXCHANGE;

	if (m->flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (tied_to_its_place(m->n) || (exchange && tied_to_its_place(m->v)))
		return -EXDEV;
	int r = ovl_copy_up(m->n, UINT64_MAX);
	if (!r)
		r = ovl_copy_up(to_ovl(m->odir), UINT64_MAX);
	if (!r)
		r = ovl_copy_up(to_ovl(m->ndir), UINT64_MAX);
	if (!r && exchange)
		r = ovl_copy_up(m->v, UINT64_MAX);
	if (!r && m->v && !exchange && S_ISDIR(m->v->inode.mode))
		r = make_bare(m->v);
	/* A directory must hide what is below its new name. */
	if (!r && S_ISDIR(m->n->inode.mode) && ovl_is_merged(to_ovl(m->ndir)))
		r = ovl_set_opaque(ovl_sb(m->odir), ovl_upper(m->n)) ? -EXDEV : 0;
	if (!r && exchange && S_ISDIR(m->v->inode.mode) && ovl_is_merged(to_ovl(m->odir)))
		r = ovl_set_opaque(ovl_sb(m->odir), ovl_upper(m->v)) ? -EXDEV : 0;
	return r;
}

static int rename_upper(struct ovl_rename *m)
{
	struct dentry *oup = ovl_upper(to_ovl(m->odir)), *nup = ovl_upper(to_ovl(m->ndir)), *od;
	bool exchange = m->flags & RENAME_EXCHANGE, white = false;
	int below = exchange ? 0 : ovl_name_below(to_ovl(m->odir), m->oname, m->olen);
	int r = below < 0 ? below : dentry_lookup(oup, m->oname, m->olen, &od);

	if (r)
		return r;
	r = od->inode != ovl_upper(m->n)->inode ? -ESTALE : 0;
	if (!r && !exchange)
		r = uncover(nup, m->nname, m->nlen, &white);
	if (!r)
		r = ovl_move(oup, od, nup, m->nname, m->nlen,
			     exchange ? RENAME_EXCHANGE : below ? RENAME_WHITEOUT : 0);
	if (r && white)
		(void)!ovl_whiteout(ovl_sb(m->odir), nup, m->nname, m->nlen);
	dentry_put(od);
	return r;
}

static int ovl_rename(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
		      struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
		      unsigned flags)
{
	struct ovl_rename m = {.odir = odir, .ndir = ndir, .oname = oname, .nname = nname, .olen = olen,
			       .nlen = nlen, .n = to_ovl(inode), .v = victim ? to_ovl(victim) : NULL,
			       .flags = flags};
	int r = rename_prepare(&m);

	if (!r)
		r = rename_upper(&m);
	if (r)
		return r;
	if (victim && !(flags & RENAME_EXCHANGE))
		no_name(m.v);
	ovl_copy_attributes(m.n);
	dir_changed(odir);
	dir_changed(ndir);
	return 0;
}

const struct inode_ops ovl_inode_ops = {
	.lookup = ovl_lookup,
	.create = ovl_create,
	.mkdir = ovl_mkdir,
	.symlink = ovl_symlink,
	.link = ovl_link,
	.unlink = ovl_unlink,
	.rmdir = ovl_rmdir,
	.rename = ovl_rename,
	.tmpfile = ovl_tmpfile,
	.readlink = ovl_readlink,
	.getattr = ovl_getattr,
	.setattr = ovl_setattr,
	.permission = ovl_permission,
	.getxattr = ovl_getxattr,
	.setxattr = ovl_setxattr,
	.listxattr = ovl_listxattr,
	.removexattr = ovl_removexattr,
	.destroy = ovl_destroy,
};
