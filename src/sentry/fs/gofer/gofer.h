/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host directories as a file system, through brig-gofer (proto/gofer.h). */
#include "sentry/vfs/vfs.h"

/* At start: our ends of the channels (owned from now on). */
must_check int gofer_client_init(const int *hfds, unsigned n);
/* In a user namespace of its own the Sentry sees all ids but its own as the overflow id: they are
 * shown as root, which most of them are. */
void gofer_map_overflow(void);
/* Host files of host_uid are shown as the guest's uid, and the other way round; the same for
 * groups. All other ids are the same inside and outside. Default: identity. */
void gofer_map_ids(uint32_t host_uid, uint32_t uid, uint32_t host_gid, uint32_t gid);

#define GOFER_SB_SHARED 1u	/* others write there too: cached names are checked */
#define GOFER_SB_RO 2u
#define GOFER_SB_LOWER 4u	/* a layer of an overlay: locks of rank RANK_INODE_LOWER */

/* The file system of the Gofer's root number `root`, a directory or a single file. */
must_check int gofer_super_create(unsigned root, unsigned flags, struct super **out);
/* For hh_init: closes idle host descriptors, which are asked for again when needed. */
void gofer_evict(unsigned wanted);
/* A read-only description of a memfd (a shared mapping that must never become writable). */
must_check int gofer_reopen_ro(int memfd, int *out);
