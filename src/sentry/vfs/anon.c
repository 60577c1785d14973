/* SPDX-License-Identifier: Apache-2.0 */
/* The file system of nameless objects (anon_inodefs, pipefs, sockfs in one), and vfs_init. */
#include <errno.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/vfs/vfs_int.h"

static KCACHE(anon_inode_cache, struct inode, 0);

struct inode *anon_inode_alloc(void)
{
	return kc_alloc(&anon_inode_cache);
}

static void anon_destroy(struct inode *i)
{
	kc_free(&anon_inode_cache, i);
}

const struct inode_ops anon_inode_ops = {
	.destroy = anon_destroy,
};

const struct super_ops anon_super_ops = {
	.statfs = NULL,
};

int vfs_init(void)
{
	struct inode *root;
	int r = dcache_init();

	if (!r)
		r = mounts_init();
	if (!r)
		r = files_init();
	if (!r)
		r = notify_init();
	if (r)
		return r;
	anon_sb = super_alloc(SOPS_anon, ANON_INODE_FS_MAGIC, "anon_inodefs");
	if (!anon_sb)
		return -ENOMEM;
	r = inode_anon(S_IFDIR | 0500, NULL, &root);
	if (!r)
		r = super_set_root(anon_sb, root);
	return r ? r : mount_create(anon_sb, 0, "none", &anon_mnt);
}

struct super *anon_super(void)
{
	return anon_sb;
}
