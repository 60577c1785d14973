/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Superblocks. References (inodes, mounts, layers) keep the object; `active` counts the mounts
 * that show it. When the last mount goes the root dentry is let go, with it the cached tree and so
 * the inodes, and with the last of those the superblock.
 */
#include <errno.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/vfs/vfs_int.h"

static KCACHE(super_cache, struct super, 0);
struct super *anon_sb;
struct mount *anon_mnt;
static uint32_t next_dev = 0x20;	/* minor of device 0, as Linux numbers its anonymous devices */

struct super *super_alloc(enum super_ops_id sops, uint32_t magic, const char *type)
{
	struct super *sb = kc_alloc(&super_cache);

	if (!sb)
		return NULL;
	sb->type_name = kstrdup(type);
	if (!sb->type_name) {
		kc_free(&super_cache, sb);
		return NULL;
	}
	ref_init(&sb->ref, 1);
	sb->sops = (uint16_t)sops;
	sb->magic = magic;
	uint32_t n = __atomic_fetch_add(&next_dev, 1, __ATOMIC_RELAXED);
	sb->dev = (n & 0xff) | (uint64_t)(n & 0xfff00) << 12;
	sb->inode_rank = RANK_INODE;
	mutex_init(&sb->rename_lock, RANK_RENAME);
	return sb;
}

int super_set_root(struct super *sb, struct inode *root)
{
	int r = dentry_detached(sb, "/", root, &sb->root);

	if (!r)
		sb->root->flags = D_ROOT;
	return r;
}

int super_create(enum super_ops_id sops, uint32_t magic, const char *type, struct inode *root,
		 struct super **out)
{
	struct super *sb = super_alloc(sops, magic, type);

	if (!sb) {
		inode_put(root);
		return -ENOMEM;
	}
	if (!root->sb) {
		root->sb = super_get(sb);
		root->ino = ++sb->next_ino;
	}
	int r = super_set_root(sb, root);
	if (r)
		super_put(sb);
	else
		*out = sb;
	return r;
}

struct super *super_get(struct super *sb)
{
	if (sb)
		ref_get(&sb->ref);
	return sb;
}

void super_put(struct super *sb)
{
	if (!sb || !ref_put(&sb->ref))
		return;
	if (super_ops_table[sb->sops] && super_ops_table[sb->sops]->destroy)
		super_ops_table[sb->sops]->destroy(sb);
	kfree((void *)(uintptr_t)sb->type_name);
	kc_free(&super_cache, sb);
}

void super_activate(struct super *sb)
{
	super_get(sb);
	__atomic_fetch_add(&sb->active, 1, __ATOMIC_RELAXED);
}

void super_deactivate(struct super *sb)
{
	if (__atomic_sub_fetch(&sb->active, 1, __ATOMIC_ACQ_REL) == 0) {
		struct dentry *root = steal(sb->root);
		if (super_ops_table[sb->sops] && super_ops_table[sb->sops]->kill)
			super_ops_table[sb->sops]->kill(sb);
		dcache_prune_super(sb);
		dentry_put(root);
		dcache_prune_super(sb);
	}
	super_put(sb);
}
