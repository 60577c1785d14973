/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The calls that build mounts from descriptors: fsopen(2), fsmount(2), open_tree(2) and the rest. */
#include "sentry/vfs/mount.h"

struct sysargs;

#define MOUNT_PARAM_MAX 256		/* of fsconfig's strings */
#define MOUNT_DATA_MAX 65536u		/* all options of one context */

must_check int mount_ctx_open(struct task *t, const char *type, struct file **out);
must_check int mount_ctx_pick(struct task *t, const struct path *p, struct file **out);
/* One fsconfig(2): key and value are in the kernel, value NULL for a flag or what has no text. */
must_check int mount_ctx_config(struct task *t, struct file *f, unsigned cmd, const char *key,
				const char *value);
/* A detached mount of what was made; attr: MOUNT_ATTR_*. */
must_check int mount_ctx_mount(struct task *t, struct file *f, unsigned attr, struct file **out);

/* A detached copy of what is at p. */
must_check int mount_open_tree(struct task *t, const struct path *p, bool rec, struct file **out);
must_check int mount_move_to(struct task *t, const struct path *from, const struct path *to, unsigned flags);

struct mount_change {
	unsigned set, clear;		/* MOUNT_ATTR_* */
	unsigned propagation;		/* MS_SHARED, ... or 0 */
};
must_check int mount_change_attr(struct task *t, const struct path *p, const struct mount_change *c, bool rec);
/* A descriptor with FMODE_UNMOUNT was closed: its tree, if it is still detached, ends. */
void mount_dissolve(const struct path *p);
