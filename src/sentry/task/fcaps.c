/* SPDX-License-Identifier: Apache-2.0 */
/* File capabilities: reading them at exec, and the forms they are stored and shown in
 * (security/commoncap.c of Linux is the reference for every errno here). */
#include "sentry/task/fcaps.h"

#include <errno.h>
#include <string.h>
#include <linux/capability.h>
#include <linux/xattr.h>

#include "sentry/task/ns.h"
#include "sentry/vfs/vfs.h"

static uint32_t word(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put_word(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

/* The revision, when length and revision fit; else 0. */
static uint32_t revision(const uint8_t *buf, uint64_t n)
{
	uint32_t magic = n >= 4 ? word(buf) & VFS_CAP_REVISION_MASK : 0;

	if (magic == VFS_CAP_REVISION_1)
		return n == XATTR_CAPS_SZ_1 ? magic : 0;
	if (magic == VFS_CAP_REVISION_2)
		return n == XATTR_CAPS_SZ_2 ? magic : 0;
	if (magic == VFS_CAP_REVISION_3)
		return n == XATTR_CAPS_SZ_3 ? magic : 0;
	return 0;
}

/* Is kroot the root of the namespace or of one above it? */
static bool root_owns(uint32_t kroot, const struct user_ns *ns)
{
	for (; ns; ns = ns->parent)
		if (user_ns_uid(ns, kroot) == 0)
			return true;
	return false;
}

bool file_caps_of(struct inode *i, const struct user_ns *ns, struct file_caps *out)
{
	uint8_t buf[FCAPS_SIZE];
	uint32_t rev, kroot = 0;

	if (!READ_ONCE(i->has_fcaps) || !inode_ops(i)->getxattr)
		return false;
	int64_t n = inode_ops(i)->getxattr(i, XATTR_NAME_CAPS, buf, sizeof(buf));
	rev = n > 0 ? revision(buf, (uint64_t)n) : 0;
	if (!rev)
		return false;
	if (rev == VFS_CAP_REVISION_3)
		kroot = word(buf + 20);
	if (!root_owns(kroot, ns))
		return false;
	out->effective = word(buf) & VFS_CAP_FLAGS_EFFECTIVE;
	out->permitted = word(buf + 4), out->inheritable = word(buf + 8);
	if (rev != VFS_CAP_REVISION_1) {
		out->permitted |= (uint64_t)word(buf + 12) << 32;
		out->inheritable |= (uint64_t)word(buf + 16) << 32;
	}
	out->permitted &= CAP_FULL;
	out->inheritable &= CAP_FULL;
	return true;
}

int file_caps_to_store(struct task *t, struct inode *i, uint8_t buf[FCAPS_SIZE], uint64_t *n)
{
	uint32_t rev = revision(buf, *n), kroot;

	if (rev != VFS_CAP_REVISION_2 && rev != VFS_CAP_REVISION_3)
		return -EINVAL;
	if (!inode_capable(i, t->cred, CAP_SETFCAP))
		return -EPERM;
	if (rev == VFS_CAP_REVISION_2 && cred_capable(t->cred, CAP_SETFCAP))
		return 0;	/* for everybody */
	kroot = uid_from_ns(t->cred->user_ns, rev == VFS_CAP_REVISION_3 ? word(buf + 20) : 0);
	if (kroot == ID_INVALID)
		return -EINVAL;
	put_word(buf, VFS_CAP_REVISION_3 | (word(buf) & VFS_CAP_FLAGS_EFFECTIVE));
	put_word(buf + 20, kroot);
	*n = XATTR_CAPS_SZ_3;
	return 0;
}

int64_t file_caps_to_show(struct task *t, uint8_t buf[FCAPS_SIZE], int64_t n)
{
	const struct user_ns *ns = t->cred->user_ns;
	uint32_t rev = n > 0 ? revision(buf, (uint64_t)n) : 0, kroot, root;

	if (rev != VFS_CAP_REVISION_2 && rev != VFS_CAP_REVISION_3)
		return n;
	kroot = rev == VFS_CAP_REVISION_3 ? word(buf + 20) : 0;
	root = user_ns_uid(ns, kroot);
	if (root != ID_INVALID && root != 0) {
		put_word(buf, VFS_CAP_REVISION_3 | (word(buf) & VFS_CAP_FLAGS_EFFECTIVE));
		put_word(buf + 20, root);
		return XATTR_CAPS_SZ_3;
	}
	if (root != 0 && !root_owns(kroot, ns))
		return -EOVERFLOW;
	put_word(buf, VFS_CAP_REVISION_2 | (word(buf) & VFS_CAP_FLAGS_EFFECTIVE));
	return XATTR_CAPS_SZ_2;
}
