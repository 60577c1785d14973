/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "abi/mount.h"
#include "sentry/vfs/mount.h"

#define MNT_UNIQUE_BASE (1ull << 31)	/* unique ids are above it */
#define LISTMOUNT_MAX 1000000u
#define LISTMOUNT_ROOT UINT64_MAX

/* What is known of a mount of ns by its unique id: sm, and the strings behind it in b. */
must_check int mount_stat(struct task *t, struct mnt_ns *ns, uint64_t id, uint64_t mask,
			  struct l_statmount *sm, struct buf *b);
/* The unique ids of the mounts below `id`, in order, those beyond `last` (before it, if reverse).
 * How many there are in *out, which the caller frees. */
must_check int64_t mount_list(struct task *t, struct mnt_ns *ns, uint64_t id, uint64_t last, bool reverse,
			      uint64_t **out);
