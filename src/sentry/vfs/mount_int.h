/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between the files about mounts. `_locked`: the mount lock is held. */
#include "sentry/vfs/vfs_int.h"

/* Those that see each other's mounts. Empty groups do not exist. */
struct peer_group {
	uint32_t id;
	struct list members;		/* struct mount.peer_link */
	struct list slave_mounts;	/* struct mount.slave_link: receive only */
	struct list slave_groups;	/* slave_link */
	struct peer_group *master;	/* what the group receives from, or NULL */
	struct list slave_link;
	struct mount *model;		/* while propagating: what its members' copies are made from */
};

/* --- mounttree.c --- */
extern _Thread_local bool mount_expire_walk;	/* this walk leads to umount2: not a use of the mount */
must_check int mount_create_root(struct super *sb, struct dentry *root, unsigned flags,
				 const char *source, struct mount **out);
void mount_tree_put(struct mount *root);
struct mount *mount_find_locked(const struct mount *parent, const struct dentry *d);
struct mount *mount_next(struct mount *m, struct mount *root);
struct mount *mount_next_skip(struct mount *m, struct mount *root);	/* not into m's children */
void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *d);
struct dentry *mount_unlink_locked(struct mount *m);
void mount_reparent_locked(struct mount *m, struct mount *parent, struct dentry *d);
void mount_ns_add_locked(struct mnt_ns *ns, struct mount *m);
void mount_ns_del_locked(struct mount *m);
void mount_detach_locked(struct mount *m, struct list *dead);
void mount_tree_detach_locked(struct mount *root, struct list *dead);
void mounts_free(struct list *dead);		/* no locks held */
struct mnt_ns *mnt_ns_alloc(void);
must_check int mnt_ns_create_anon(struct mount *tree);

/* --- mountcopy.c --- */
enum copy_kind {
	COPY_SAME,		/* a peer of the original, or a slave of the same master */
	COPY_SLAVE,		/* a slave of the original's peers */
	COPY_SLAVE_SHARED,	/* the same, with a peer group of its own */
	COPY_SHARED_TO_SLAVE,	/* slaves of the shared ones (a new user namespace) */
	COPY_PRIVATE,
};
/* The tree below top as seen from root; unattached. all: unbindable ones too. What could not be
 * finished goes to `dead`. */
must_check int mount_copy_locked(struct mount *top, struct dentry *root, enum copy_kind kind, bool rec,
				 bool all, struct list *dead, struct mount **out);
/* Hangs a tree (in no namespace) at p's top mount and at the places that receive from there. A tree
 * that stays unattached after an error is the caller's. */
must_check int mount_attach_locked(struct mount *m, const struct path *p, struct list *dead);
/* A place to mount on, on top of what is mounted there; the lock is held afterwards. */
void mount_lock_place(struct path *p);

/* --- propagate.c --- */
must_check int mount_set_shared_locked(struct mount *m);
void mount_set_slave_locked(struct mount *m);
void mount_set_private_locked(struct mount *m);
void mount_set_unbindable_locked(struct mount *m);
void mount_join_locked(struct mount *m, struct peer_group *g);
void mount_enslave_locked(struct mount *m, struct peer_group *master);
struct peer_group *mount_master(const struct mount *m);
/* Calls fn for each mount that receives what happens at d of `parent`, from the masters down. */
int mount_receivers_locked(struct mount *parent, struct dentry *d,
			   int (*fn)(void *arg, struct peer_group *g, struct mount *m), void *arg);
must_check int mount_propagate_locked(struct mount *dest, struct dentry *d, struct mount *src,
				      struct list *made, struct list *dead);
bool mount_is_busy_locked(struct mount *m, uint32_t refs);
/* m's tree, and what corresponds to it at the receivers, leaves. */
void mount_umount_locked(struct mount *m, struct list *dead);

/* --- mountinfo.c --- */
const struct peer_group *mount_dominating_locked(const struct mount *m, const struct peer_group *g);

/* --- mountops.c --- */
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#define MNT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME |      \
		   MS_RELATIME | MS_STRICTATIME | MS_NOSYMFOLLOW)
#define MNT_ATIME (MS_NOATIME | MS_RELATIME | MS_STRICTATIME)
#define MNT_PROPAGATION (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE)
bool mount_is_ours(struct task *t, const struct mount *m);
const struct fs_type *fs_type_find(const char *name);
must_check int mount_flags_check_locked(const struct mount *m, unsigned flags);	/* -EPERM: one is locked */
must_check int mount_flags_locked(struct mount *m, unsigned flags);
must_check int mount_propagation_locked(struct mount *m, unsigned type, bool rec);
/* The tree at p as a copy for a bind; the mount lock is taken inside. */
must_check int mount_copy_for_bind(struct task *t, const struct path *p, bool rec, struct mount **out);
must_check int mount_move(struct task *t, const struct path *from, const struct path *to,
			  bool beneath);
must_check int mount_remount(struct super *sb, uint64_t flags, const char *data);

/* --- mounttrees.c --- */
unsigned mount_attr_flags(unsigned attr);
must_check int mount_open_detached(struct task *t, struct mount *m /* consumed */, struct file **out);
