/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cached names over a tree that others change. A name with an entry of our own is always true; an
 * answer that came from below is true as long as the lower directory says so. With several layers
 * cached answers are always believed: they are read-only images.
 */
#include "sentry/fs/overlay/overlay_int.h"

#define SEEN_OWN UINT64_MAX

/* The lower directory that answered, or NULL. */
static struct inode *asked(struct inode *dir)
{
	struct tnode *n = to_tnode(dir);

	return n->low && n->low->n == 1 && !n->dead ? n->low->inode[0] : NULL;
}

/* The name as the lower file system has it in its hands. */
static struct dentry below(const struct dentry *d, struct inode *lower_dir)
{
	struct dentry b = {.name = d->name, .name_len = d->name_len, .sb = lower_dir->sb};

	b.seen_a = READ_ONCE(d->seen_a);
	b.seen_b = READ_ONCE(d->seen_b);
	if (d->inode && to_tnode(d->inode)->low)
		b.inode = to_tnode(d->inode)->low->inode[0];
	return b;
}

void overlay_cached(struct inode *dir, struct dentry *d)
{
	struct inode *low = asked(dir);

	d->seen_a = SEEN_OWN;
	if (!low || !inode_ops(low)->cached || tdir_find(to_tnode(dir), d->name, d->name_len))
		return;
	struct dentry b = below(d, low);
	inode_ops(low)->cached(low, &b);
	d->seen_a = b.seen_a;
	d->seen_b = b.seen_b;
}

int overlay_revalidate(struct inode *dir, struct dentry *d)
{
	struct inode *low = asked(dir);

	if (!low || READ_ONCE(d->seen_a) == SEEN_OWN || !inode_ops(low)->revalidate)
		return 1;
	struct dentry b = below(d, low);
	if (d->inode && !b.inode)
		return 1;
	int same = inode_ops(low)->revalidate(low, &b);
	d->seen_a = b.seen_a;
	d->seen_b = b.seen_b;
	return same;
}

bool overlay_settled(struct inode *dir)
{
	struct inode *low = asked(dir);

	return !low || (inode_ops(low)->settled && inode_ops(low)->settled(low));
}
