/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Mount namespaces and the calls that change them. */
#include "sentry/vfs/vfs.h"

struct fsctx;

#define MNT_NS_MAX 100000u	/* mounts of one namespace, as fs.mount-max */

struct mnt_ns {
	refcount_t ref;
	uint32_t inum, nr;		/* nr: mounts; mount lock */
	uint32_t pending;		/* mount lock: about to be added */
	bool anon;			/* I; of a detached tree (open_tree, fsmount) */
	struct user_ns *user_ns;	/* owned; NULL: the initial one */
	struct mount *root;		/* owned by the tree */
	struct list mounts;		/* struct mount.ns_link, in order of mounting */
	uint64_t event;			/* bumped by each change: poll of /proc/mounts */
	struct waitq wq;
};

/* A namespace whose root is m (consumed). */
must_check int mnt_ns_create(struct mount *m, struct mnt_ns **out);
/* A copy of the tree (unshare, clone), owned by u; root and cwd of fs are moved to the copies. */
must_check int mnt_ns_copy(struct mnt_ns *old, struct user_ns *u, struct fsctx *fs, struct mnt_ns **out);
struct mnt_ns *mnt_ns_get(struct mnt_ns *ns);
void mnt_ns_put(struct mnt_ns *ns);
/* The top of the namespace: for chroot(".") of setns. */
void mnt_ns_root(struct mnt_ns *ns, struct path *out);

bool task_may_mount(struct task *t);
/* do_mount's decisions, arguments already in the kernel. */
must_check int vfs_mount(struct task *t, const char *source, const char *target, const char *type,
			 uint64_t flags, const char *data);
must_check int vfs_umount(struct task *t, const char *target, int flags);
must_check int vfs_pivot_root(struct task *t, const char *new_root, const char *put_old);
/* A mount of one directory for the kernel's own use, in no namespace. */
must_check int mount_clone_alone(const struct path *p, struct mount **out);
must_check int mount_bind(struct task *t, const struct path *from, const struct path *to, bool rec);

/* A file system type that mount(2) can make; registered at start. */
struct fs_type {
	const char *name;
	bool nodev;
	bool escapes;			/* "\," in its options is a comma of a value */
	const char *const *keys;	/* options for fsconfig(2), NULL at the end: "flag", "key=" */
	/* One of them, before the rest is known; NULL: anything. -EINVAL: a bad value */
	int (*check)(struct task *t, const char *key, const char *value);
	int (*create)(struct task *t, const char *source, unsigned flags, const char *data,
		      struct super **out);
};
void fs_type_register(const struct fs_type *ft);
void fs_types_show(struct buf *b);	/* /proc/filesystems */

enum mount_text { MOUNT_TEXT_MOUNTS, MOUNT_TEXT_INFO, MOUNT_TEXT_STATS };
/* /proc/PID/mounts, mountinfo, mountstats as seen from root. */
void mounts_show(struct mnt_ns *ns, const struct path *root, enum mount_text kind, struct buf *b);
