/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A writable memory layer over read-only file systems. */
#include "sentry/vfs/vfs.h"

#define OVERLAY_LAYERS_MAX 8u

/* lower: topmost first; references are taken. Their inodes have locks of rank RANK_INODE_LOWER.
 * size: limit of what is written, in bytes, 0 for none. */
must_check int overlay_super_create(struct super *const *lower, unsigned n, uint64_t size,
				    struct super **out);
/* A file of the lower layer gets this text instead, owners and mode stay; hidden_only: if it may not
 * be read. 0 also when nothing was to be done. */
must_check int overlay_stand_in(struct inode *i, bool hidden_only, const char *text, size_t len);
/* Files and links that exist in the memory layer only, or with other content than below; not what
 * Python caches for itself (*.pyc). */
uint64_t overlay_files_written(struct super *sb);
