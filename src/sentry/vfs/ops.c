/* SPDX-License-Identifier: Apache-2.0 */
/* The op tables by id: what kheap objects hold instead of code pointers. */
#include "sentry/vfs/vfs.h"

static const struct file_ops none_file_ops;

#define FILE_OPS(name) extern const struct file_ops name##_file_ops;
#define INODE_OPS(name) extern const struct inode_ops name##_inode_ops;
#define SUPER_OPS(name) extern const struct super_ops name##_super_ops;
#include "sentry/vfs/ops.def"
#undef FILE_OPS
#undef INODE_OPS
#undef SUPER_OPS

const struct file_ops *const file_ops_table[] = {
	[FOPS_none] = &none_file_ops,
#define FILE_OPS(name) [FOPS_##name] = &name##_file_ops,
#include "sentry/vfs/ops.def"
#undef FILE_OPS
};

const struct inode_ops *const inode_ops_table[] = {
	[IOPS_none] = NULL,
#define INODE_OPS(name) [IOPS_##name] = &name##_inode_ops,
#include "sentry/vfs/ops.def"
#undef INODE_OPS
};

const struct super_ops *const super_ops_table[] = {
	[SOPS_none] = NULL,
#define SUPER_OPS(name) [SOPS_##name] = &name##_super_ops,
#include "sentry/vfs/ops.def"
#undef SUPER_OPS
};
