/* SPDX-License-Identifier: Apache-2.0 */
/* Access control lists; see acl.h. */
#include "sentry/vfs/acl.h"
#include <endian.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/stat.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/vfs/told.h"
#include "sentry/vfs/vfs_int.h"

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;		/* kernel's */
};

struct posix_acl {
	uint32_t n;
	struct acl_entry e[];
};

/* Which list an inode has, and its contents: held for a look, never across anything else. */
static struct mutex acl_lock = MUTEX_INIT(RANK_OBJECT);

bool acl_is_name(const char *name, bool *def)
{
	*def = !strcmp(name, XATTR_NAME_POSIX_ACL_DEFAULT);
	return *def || !strcmp(name, XATTR_NAME_POSIX_ACL_ACCESS);
}

static struct posix_acl *acl_alloc(uint32_t n)
{
	struct posix_acl *acl;
	size_t bytes;

	if (!size_mul(n, sizeof(acl->e[0]), &bytes) || !size_add(bytes, sizeof(*acl), &bytes))
		return NULL;
	acl = kmalloc(bytes);
	if (acl)
		acl->n = n;
	return acl;
}

/* --- as an attribute ------------------------------------------------------------------------------ */

static bool tag_has_id(unsigned tag)
{
	return tag == ACL_USER || tag == ACL_GROUP;
}

static int parse_entry(const struct posix_acl_xattr_entry *x, const struct user_ns *ns, struct acl_entry *e)
{
	e->tag = le16toh(x->e_tag);
	e->perm = le16toh(x->e_perm);
	e->id = ID_INVALID;
	if (e->perm & ~7u)
		return -EINVAL;
	if (!tag_has_id(e->tag))
		return 0;
	e->id = id_to_kernel(e->tag == ACL_USER ? &ns->uid_map : &ns->gid_map, le32toh(x->e_id));
	return e->id == ID_INVALID ? -EINVAL : 0;
}

/* Owner, users, owning group, groups, mask, others; the mask must be there if somebody is named. */
static bool in_order(const struct posix_acl *acl)
{
	static const uint16_t order[] = {ACL_USER_OBJ, ACL_USER, ACL_GROUP_OBJ, ACL_GROUP, ACL_MASK, ACL_OTHER};
	unsigned at = 0, count[array_size(order)] = {0};

	for (uint32_t i = 0; i < acl->n; i++) {
		while (at < array_size(order) && acl->e[i].tag != order[at])
			at++;
		if (at == array_size(order) || (count[at]++ && !tag_has_id(order[at])))
			return false;
	}
	return count[0] && count[2] && count[5] && (count[4] || (!count[1] && !count[3]));
}

/* NULL for an empty list. */
static int parse(const char *buf, size_t n, const struct user_ns *ns, struct posix_acl **out)
{
	struct posix_acl_xattr_header h;
	struct posix_acl_xattr_entry x;
	struct posix_acl *acl;
	int r = 0;

	*out = NULL;
	if (n == 0)
		return 0;
	if (n < sizeof(h))
		return -EINVAL;
	memcpy(&h, buf, sizeof(h));
	if (le32toh(h.a_version) != POSIX_ACL_XATTR_VERSION)
		return -EOPNOTSUPP;
	if ((n - sizeof(h)) % sizeof(x))
		return -EINVAL;
	if (n == sizeof(h))
		return 0;
	acl = acl_alloc((uint32_t)((n - sizeof(h)) / sizeof(x)));
	if (!acl)
		return -ENOMEM;
	for (uint32_t i = 0; i < acl->n && !r; i++) {
		memcpy(&x, buf + sizeof(h) + i * sizeof(x), sizeof(x));
		r = parse_entry(&x, ns, &acl->e[i]);
	}
	if (!r && !in_order(acl))
		r = -EINVAL;
	if (r)
		kfree(acl);
	else
		*out = acl;
	return r;
}

int64_t acl_get(struct inode *i, bool def, const struct user_ns *ns, void *buf, size_t cap)
{
	struct posix_acl_xattr_header h = {.a_version = htole32(POSIX_ACL_XATTR_VERSION)};
	const struct posix_acl *acl;
	int64_t r = -ENODATA;

	if (!i->sb->acls || S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	mutex_lock(&acl_lock);
	acl = def ? i->default_acl : i->acl;
	if (acl)
		r = (int64_t)(sizeof(h) + acl->n * sizeof(struct posix_acl_xattr_entry));
	if (acl && cap && r > (int64_t)cap)
		r = -ERANGE;
	for (uint32_t k = 0; acl && cap && r > 0 && k < acl->n; k++) {
		const struct acl_entry *e = &acl->e[k];
		uint32_t id = !tag_has_id(e->tag) ? ID_INVALID
			: id_from_kernel_munged(e->tag == ACL_USER ? &ns->uid_map : &ns->gid_map, e->id);
		struct posix_acl_xattr_entry x = {htole16(e->tag), htole16(e->perm), htole32(id)};

		if (!k)
			memcpy(buf, &h, sizeof(h));
		memcpy((char *)buf + sizeof(h) + k * sizeof(x), &x, sizeof(x));
	}
	mutex_unlock(&acl_lock);
	return r;
}

size_t acl_list(struct inode *i, char *buf)
{
	size_t n = 0;

	if (READ_ONCE(i->acl)) {
		memcpy(buf, XATTR_NAME_POSIX_ACL_ACCESS, sizeof(XATTR_NAME_POSIX_ACL_ACCESS));
		n = sizeof(XATTR_NAME_POSIX_ACL_ACCESS);
	}
	if (READ_ONCE(i->default_acl)) {
		memcpy(buf + n, XATTR_NAME_POSIX_ACL_DEFAULT, sizeof(XATTR_NAME_POSIX_ACL_DEFAULT));
		n += sizeof(XATTR_NAME_POSIX_ACL_DEFAULT);
	}
	return n;
}

/* --- mode bits ------------------------------------------------------------------------------------ */

/* The mode bits that a list means; true if they say it all. */
static bool mode_of(const struct posix_acl *acl, uint32_t *mode)
{
	uint32_t m = 0;
	bool all = true;

	for (uint32_t i = 0; i < acl->n; i++) {
		const struct acl_entry *e = &acl->e[i];

		switch (e->tag) {
		case ACL_USER_OBJ:
			m |= e->perm * 0100u;
			break;
		case ACL_GROUP_OBJ:
			m |= e->perm * 010u;
			break;
		case ACL_OTHER:
			m |= e->perm;
			break;
		case ACL_MASK:
			m = (m & ~070u) | e->perm * 010u;
			/* fall through */
		default:
			all = false;
		}
	}
	*mode = (*mode & ~0777u) | m;
	return all;
}

/* The entries that mode bits stand for: owner, others, and the mask or else the group. */
static void each_bit_entry(struct posix_acl *acl, void (*fn)(struct acl_entry *e, unsigned shift, uint32_t *mode),
			   uint32_t *mode)
{
	struct acl_entry *group = NULL;

	for (uint32_t i = 0; i < acl->n; i++) {
		struct acl_entry *e = &acl->e[i];

		if (e->tag == ACL_USER_OBJ)
			fn(e, 6, mode);
		else if (e->tag == ACL_OTHER)
			fn(e, 0, mode);
		else if (e->tag == ACL_MASK || e->tag == ACL_GROUP_OBJ)
			group = e;
	}
	if (group)
		fn(group, 3, mode);
}

static void entry_from_mode(struct acl_entry *e, unsigned shift, uint32_t *mode)
{
	e->perm = (uint16_t)(*mode >> shift & 7);
}

static void entry_and_mode(struct acl_entry *e, unsigned shift, uint32_t *mode)
{
	e->perm &= (uint16_t)(*mode >> shift & 7);
	*mode = (*mode & ~(7u << shift)) | (uint32_t)e->perm << shift;
}

void acl_chmod(struct inode *i)
{
	uint32_t mode = i->mode;

	if (!READ_ONCE(i->acl))
		return;
	mutex_lock(&acl_lock);
	if (i->acl)
		each_bit_entry(i->acl, entry_from_mode, &mode);
	mutex_unlock(&acl_lock);
}

void acl_free(struct inode *i)
{
	kfree(i->acl);
	kfree(i->default_acl);
}

/* --- setting -------------------------------------------------------------------------------------- */

static int set_checks(const struct path *p, bool def, const struct posix_acl *acl, const struct cred *cred,
		      uint32_t *mode)
{
	struct inode *i = p->dentry->inode;
	struct kstat st;
	int r = vfs_getattr(p, &st, 0);

	if (r)
		return r;
	if (cred->fsuid != st.uid && !inode_capable(i, cred, CAP_FOWNER))
		return -EPERM;
	if (def && acl && !S_ISDIR(st.mode))
		return -EACCES;
	*mode = st.mode;
	if (def || !acl)
		return 0;
	(void)mode_of(acl, mode);
	if (!cred_in_group(cred, st.gid) && !inode_capable(i, cred, CAP_FSETID))
		*mode &= ~(uint32_t)S_ISGID;
	return 0;
}

int acl_set(const struct path *p, bool def, const void *buf, size_t n, const struct cred *cred)
{
	struct inode *i = p->dentry->inode;
	struct iattr a = {.valid = ATTR_MODE};
	struct posix_acl *acl, *old;
	int r;

	if (!i->sb->acls || S_ISLNK(i->mode))
		return -EOPNOTSUPP;
	r = parse(buf, n, cred->user_ns, &acl);
	if (r)
		return r;
	r = set_checks(p, def, acl, cred, &a.mode);
	if (!r) {
		uint32_t mode = 0;

		if (acl && !def && mode_of(acl, &mode)) {	/* the bits say it all */
			kfree(acl);
			acl = NULL;
		}
		/* the file system's own change of mode: an overlay makes the node its own first */
		told_change_begin();
		mutex_lock(&i->lock);
		r = inode_ops(i)->setattr ? inode_ops(i)->setattr(i, &a) : inode_set_attr(i, &a);
		if (!r) {
			struct posix_acl **at = def ? &i->default_acl : &i->acl;

			mutex_lock(&acl_lock);
			old = *at;
			WRITE_ONCE(*at, acl);
			mutex_unlock(&acl_lock);
			acl = old;
		}
		mutex_unlock(&i->lock);
		told_change_end();
	}
	kfree(acl);
	return r;
}

/* --- new nodes ------------------------------------------------------------------------------------ */

uint32_t acl_umask(const struct inode *dir, uint32_t umask)
{
	return READ_ONCE(dir->default_acl) ? 0 : umask;
}

static struct posix_acl *acl_dup(const struct posix_acl *acl)
{
	struct posix_acl *n = acl_alloc(acl->n);

	if (n)
		memcpy(n->e, acl->e, acl->n * sizeof(acl->e[0]));
	return n;
}

int acl_inherit(struct inode *i, const struct inode *dir)
{
	uint32_t mode = i->mode, ignored = 0;
	int r = 0;

	if (!READ_ONCE(dir->default_acl) || S_ISLNK(mode))
		return 0;
	mutex_lock(&acl_lock);
	if (dir->default_acl) {
		i->acl = acl_dup(dir->default_acl);
		i->default_acl = S_ISDIR(mode) ? acl_dup(dir->default_acl) : NULL;
		if (!i->acl || (S_ISDIR(mode) && !i->default_acl))
			r = -ENOMEM;
	}
	if (!r && i->acl) {
		each_bit_entry(i->acl, entry_and_mode, &mode);
		i->mode = mode;
		if (mode_of(i->acl, &ignored)) {
			kfree(i->acl);
			i->acl = NULL;
		}
	}
	mutex_unlock(&acl_lock);
	return r;
}

/* --- permission ----------------------------------------------------------------------------------- */

static int masked(const struct posix_acl *acl, uint32_t from, unsigned want)
{
	unsigned perm = acl->e[from].perm;

	for (uint32_t i = from + 1; i < acl->n; i++)
		if (acl->e[i].tag == ACL_MASK)
			perm &= acl->e[i].perm;
	return (perm & want) == want ? 0 : -EACCES;
}

static int check_locked(const struct posix_acl *acl, const struct inode *i, unsigned want, const struct cred *cred)
{
	bool group = false;

	for (uint32_t k = 0; k < acl->n; k++) {
		const struct acl_entry *e = &acl->e[k];
		bool mine = false;

		switch (e->tag) {
		case ACL_USER:
			if (e->id == cred->fsuid)
				return masked(acl, k, want);
			break;
		case ACL_GROUP_OBJ:
			mine = cred_in_group(cred, i->gid);
			break;
		case ACL_GROUP:
			mine = cred_in_group(cred, e->id);
			break;
		case ACL_OTHER:
			return !group && (e->perm & want) == want ? 0 : -EACCES;
		}
		group |= mine;
		if (mine && (e->perm & want) == want)
			return masked(acl, k, want);
	}
	return -EACCES;
}

int acl_check(struct inode *i, unsigned want, const struct cred *cred)
{
	int r = -EAGAIN;

	mutex_lock(&acl_lock);
	if (i->acl)
		r = check_locked(i->acl, i, want, cred);
	mutex_unlock(&acl_lock);
	return r;
}
