/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* statmount(2) and listmount(2), Linux 6.18 (include/uapi/linux/mount.h). */
#include <stddef.h>
#include <stdint.h>

struct l_mnt_id_req {
	uint32_t size, spare;
	uint64_t mnt_id, param, mnt_ns_id;
};
#define L_MNT_ID_REQ_VER0 24u

enum {
	L_STATMOUNT_SB_BASIC = 0x1, L_STATMOUNT_MNT_BASIC = 0x2, L_STATMOUNT_PROPAGATE_FROM = 0x4,
	L_STATMOUNT_MNT_ROOT = 0x8, L_STATMOUNT_MNT_POINT = 0x10, L_STATMOUNT_FS_TYPE = 0x20,
	L_STATMOUNT_MNT_NS_ID = 0x40, L_STATMOUNT_MNT_OPTS = 0x80, L_STATMOUNT_SB_SOURCE = 0x200,
	L_STATMOUNT_SUPPORTED_MASK = 0x1000
};

/* Strings follow; the fields marked "string" are offsets into them. */
struct l_statmount {
	uint32_t size, mnt_opts /* string */;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type /* string */;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;	/* strings */
	uint64_t mnt_ns_id;
	uint32_t fs_subtype, sb_source;	/* strings */
	uint32_t opt_num, opt_array, opt_sec_num, opt_sec_array;
	uint64_t supported_mask;
	uint32_t mnt_uidmap_num, mnt_uidmap, mnt_gidmap_num, mnt_gidmap;
	uint64_t spare[43];
};
_Static_assert(sizeof(struct l_statmount) == 512, "statmount");
_Static_assert(offsetof(struct l_statmount, supported_mask) == 144, "statmount");
