/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files in the Sentry's memory. */
#include "sentry/vfs/vfs.h"

struct tmpfs_opts {
	uint64_t size;		/* bytes; 0: only the container's limit */
	uint64_t inodes;	/* 0: no limit of its own */
	uint32_t mode, uid, gid;	/* of the root */
	bool layer;		/* lies below an overlay: locks of rank RANK_INODE_LOWER */
};

/* At start, before isolation: the arena. */
must_check int tmpfs_init(void);
must_check int tmpfs_super_create(const struct tmpfs_opts *o, struct super **out);
/* An unnamed file with seals (memfd_create): mfd_flags MFD_ALLOW_SEALING, MFD_EXEC, MFD_NOEXEC_SEAL.
 * `name` without the "memfd:" prefix. */
must_check int tmpfs_memfd_create(const char *name, unsigned mfd_flags, const struct cred *cred,
				  struct file **out);
