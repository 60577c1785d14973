/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names changed without a guest's rights: for vfs/ itself and for file systems that lie upon others. */
#include "sentry/vfs/vfs.h"

/* As dentry_lookup, with dir's inode lock held by the caller. */
must_check int dentry_lookup_locked(struct dentry *dir, const char *name, size_t len,
				    struct dentry **out);
/* A negative dentry becomes the new object (reference consumed). */
void dentry_instantiate(struct dentry *d, struct inode *inode);
/* The name is gone: negative if nobody else holds it (true), else unhashed, and IN_DELETE_SELF is
 * sent when the last lets go of it. */
bool dentry_deleted(struct dentry *d);
must_check int dentry_move(struct dentry *d, struct dentry *target, bool exchange);
bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor);
must_check int path_want_write(const struct path *p);
