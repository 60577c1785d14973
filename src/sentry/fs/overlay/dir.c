/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the overlay. A change first makes the directory's attributes its own (which pins it)
 * and gives a name from below an entry of its own, marked `over`; then tmpfs does the change, and
 * what it removes under such a mark becomes a whiteout.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/overlay/overlay_int.h"

int overlay_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct tnode *d = to_tnode(dir);
	struct inode *lower[OVERLAY_LAYERS_MAX];
	uint32_t n = 0;

	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	struct tent *e = tdir_find(d, name, len);
	if (e && e->inode) {
		*out = inode_get(e->inode);
		return 0;
	}
	if (e || !d->low || d->dead)
		return -ENOENT;
	for (uint32_t k = 0; k < d->low->n; k++) {
		struct inode *ld = d->low->inode[k], *found;
		mutex_lock(&ld->lock);
		int r = inode_ops(ld)->lookup(ld, name, len, &found);
		mutex_unlock(&ld->lock);
		if (r == -ENOENT)
			continue;
		if (r) {
			while (n)
				inode_put(lower[--n]);
			return r;
		}
		if (n && !S_ISDIR(found->mode)) {
			inode_put(found);	/* hidden by the directory above */
			break;
		}
		lower[n++] = found;
		if (!S_ISDIR(found->mode))
			break;
	}
	return n ? overlay_node(dir->sb, lower, n, out) : -ENOENT;
}

static int prepare(struct inode *dir)
{
	struct tnode *d = to_tnode(dir);

	return d->low ? overlay_meta_up(d) : 0;
}

/* Gives a name that was found below an entry of its own. */
static int materialize(struct inode *dir, const char *name, size_t len, struct inode *i)
{
	struct tnode *d = to_tnode(dir);

	if (tdir_find(d, name, len))
		return 0;
	int r = overlay_meta_up(to_tnode(i));
	if (!r)
		r = tdir_insert(d, name, len, inode_get(i));
	else
		return r;
	if (r) {
		inode_put(i);
		return r;
	}
	tdir_find(d, name, len)->over = true;
	return 0;
}

int overlay_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		   const struct cred *cred, struct inode **out)
{
	int r = prepare(dir);

	if (!r)
		r = tmpfs_create(dir, name, len, mode, rdev, cred, out);
	if (!r && S_ISREG(mode) && !memmem(name, len, ".pyc", 4))
		overlay_count(to_tnode(*out));
	return r;
}

int overlay_mkdir(struct inode *dir, const char *name, size_t len, uint32_t mode,
		  const struct cred *cred, struct inode **out)
{
	int r = prepare(dir);

	return r ? r : tmpfs_mkdir(dir, name, len, mode, cred, out);
}

int overlay_symlink(struct inode *dir, const char *name, size_t len, const char *target,
		    const struct cred *cred, struct inode **out)
{
	int r = prepare(dir);

	if (!r)
		r = tmpfs_symlink(dir, name, len, target, cred, out);
	if (!r)
		overlay_count(to_tnode(*out));
	return r;
}

int overlay_link(struct inode *dir, const char *name, size_t len, struct inode *target)
{
	int r = prepare(dir);

	if (!r)
		r = overlay_meta_up(to_tnode(target));
	return r ? r : tmpfs_link(dir, name, len, target);
}

int overlay_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	int r = prepare(dir);

	if (!r)
		r = materialize(dir, name, len, victim);
	if (!r)
		r = tmpfs_unlink(dir, name, len, victim);
	if (!r && victim->nlink == 0)
		overlay_unpin(to_tnode(victim));
	return r;
}

static int check_empty(struct inode *victim)
{
	if (!to_tnode(victim)->low)
		return 0;	/* tmpfs sees for itself */
	int r = overlay_dir_has_entries(to_tnode(victim));
	return r > 0 ? -ENOTEMPTY : r;
}

int overlay_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim)
{
	int r = check_empty(victim);

	if (!r)
		r = prepare(dir);
	if (!r)
		r = materialize(dir, name, len, victim);
	if (!r)
		r = tmpfs_rmdir(dir, name, len, victim);
	if (!r)
		overlay_unpin(to_tnode(victim));
	return r;
}

int overlay_rename(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
		   struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
		   unsigned flags)
{
	int r = 0;

	if (victim && S_ISDIR(victim->mode) && !(flags & RENAME_EXCHANGE))
		r = check_empty(victim);
	if (!r)
		r = prepare(odir);
	if (!r)
		r = prepare(ndir);
	if (!r)
		r = materialize(odir, oname, olen, inode);
	if (!r && victim)
		r = materialize(ndir, nname, nlen, victim);
	if (!r)
		r = overlay_meta_up(to_tnode(inode));
	if (!r)
		r = tmpfs_rename(odir, oname, olen, inode, ndir, nname, nlen, victim, flags);
	if (!r && victim && victim->nlink == 0)
		overlay_unpin(to_tnode(victim));
	return r;
}
