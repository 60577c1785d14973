/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between mounttree.c, mountops.c and mountinfo.c. */
#include "sentry/vfs/vfs_int.h"

must_check int mount_create_root(struct super *sb, struct dentry *root, unsigned flags,
				 const char *source, struct mount **out);
must_check int mount_clone(struct mount *m, struct dentry *root, struct mount **out);
must_check int mount_tree_copy(struct mount *top, struct dentry *root, struct mount **out);
void mount_tree_put(struct mount *root);
struct mount *mount_next(struct mount *m, struct mount *root);
void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *d);
struct dentry *mount_unlink_locked(struct mount *m);
void mount_ns_add_locked(struct mnt_ns *ns, struct mount *m);
