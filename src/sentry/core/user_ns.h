/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * User namespaces and their id maps. Ids inside the kernel (kuid, kgid) are those of the initial
 * namespace; a map translates extents. The initial namespace maps everything to itself.
 */
#include "lib/compiler.h"
#include "lib/refcount.h"

#define ID_INVALID (~0u)
#define ID_OVERFLOW 65534u
#define ID_EXTENTS_MAX 340
#define USER_NS_LEVELS 32

struct id_extent {
	uint32_t first, lower_first, count;	/* lower: kernel ids */
};

struct id_map {
	uint32_t n;			/* 0: nothing is mapped yet */
	struct id_extent *extents;	/* kmalloc'ed, immutable once n is set */
};

struct user_ns {
	refcount_t ref;
	uint32_t level, inum;
	struct user_ns *parent;		/* owned; NULL for the initial one */
	uint32_t owner, group;		/* kernel ids of the creator */
	uint64_t creator_caps;		/* effective in the parent when created */
	bool setgroups_denied;
	struct id_map uid_map, gid_map;
};

struct user_ns *user_ns_create_init(void) must_check;	/* identity maps */
/* A child with empty maps. -ENOSPC beyond 32 levels, -ENOMEM. */
must_check int user_ns_create(struct user_ns *parent, uint32_t owner, uint32_t group,
			      struct user_ns **out);
struct user_ns *user_ns_get(struct user_ns *ns);
void user_ns_put(struct user_ns *ns);
/* Translations; ID_INVALID if there is none. The _munged form gives the overflow id instead. */
uint32_t id_to_kernel(const struct id_map *m, uint32_t id);
uint32_t id_from_kernel(const struct id_map *m, uint32_t kid);
uint32_t id_from_kernel_munged(const struct id_map *m, uint32_t kid);
