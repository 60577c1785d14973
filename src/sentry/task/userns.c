/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces, the part that needs tasks: creation by unshare and clone, and the rules for
 * writing the id maps (user_namespaces(7)). All ids inside the kernel are those of the sandbox's
 * initial namespace.
 */
#include <errno.h>
#include <linux/capability.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"

#define INVALID_ID ID_INVALID

/* `c` is a private copy of the creator's credentials; it gets all capabilities in the new one. */
int cred_enter_new_user_ns(struct cred *c)
{
	struct user_ns *parent = c->user_ns, *u;
	int rc;

	if (user_ns_uid(parent, c->euid) == INVALID_ID || user_ns_gid(parent, c->egid) == INVALID_ID)
		return -EPERM;
	rc = user_ns_create(parent, c->euid, c->egid, &u);
	if (rc)
		return rc;
	u->creator_caps = c->cap_effective;
	u->setgroups_denied = parent->setgroups_denied;
	c->securebits = 0;
	c->cap_inheritable = 0;
	c->cap_permitted = c->cap_effective = c->cap_bset = CAP_FULL;
	c->cap_ambient = 0;
	user_ns_put(parent);
	c->user_ns = u;
	return 0;
}

uint32_t user_ns_kuid(const struct user_ns *u, uint32_t uid)
{
	return uid == INVALID_ID ? uid : id_to_kernel(&u->uid_map, uid);
}

uint32_t user_ns_kgid(const struct user_ns *u, uint32_t gid)
{
	return gid == INVALID_ID ? gid : id_to_kernel(&u->gid_map, gid);
}

uint32_t user_ns_uid(const struct user_ns *u, uint32_t kuid)
{
	return id_from_kernel(&u->uid_map, kuid);
}

uint32_t user_ns_gid(const struct user_ns *u, uint32_t kgid)
{
	return id_from_kernel(&u->gid_map, kgid);
}

uint32_t user_ns_uid_munged(const struct user_ns *u, uint32_t kuid)
{
	return id_from_kernel_munged(&u->uid_map, kuid);
}

uint32_t user_ns_gid_munged(const struct user_ns *u, uint32_t kgid)
{
	return id_from_kernel_munged(&u->gid_map, kgid);
}

bool user_ns_is_ancestor(const struct user_ns *anc, const struct user_ns *u)
{
	while (u && u != anc)
		u = u->parent;
	return u != NULL;
}

/* --- writing the maps ---------------------------------------------------------------------- */

static const char *parse_u32(const char *s, uint32_t *out)
{
	uint64_t v = 0;

	while (*s == ' ' || *s == '\t')
		s++;
	if (*s < '0' || *s > '9')
		return NULL;
	while (*s >= '0' && *s <= '9') {
		v = v * 10 + (uint64_t)(*s++ - '0');
		if (v > UINT32_MAX)
			return NULL;
	}
	*out = (uint32_t)v;
	return s;
}

static bool overlaps(const struct id_extent *e, uint32_t n, const struct id_extent *x)
{
	for (uint32_t i = 0; i < n; i++) {
		if (x->first < e[i].first + e[i].count && e[i].first < x->first + x->count)
			return true;
		if (x->lower_first < e[i].lower_first + e[i].count && e[i].lower_first < x->lower_first + x->count)
			return true;
	}
	return false;
}

static int parse_map(const char *s, struct id_extent *ext, uint32_t *out)
{
	uint32_t n = 0;

	while (*s) {
		struct id_extent e = {0};

		if (n == ID_EXTENTS_MAX)
			return -EINVAL;
		if (!(s = parse_u32(s, &e.first)) || !(s = parse_u32(s, &e.lower_first)) ||
		    !(s = parse_u32(s, &e.count)))
			return -EINVAL;
		while (*s == ' ' || *s == '\t')
			s++;
		if (*s == '\n')
			s++;
		else if (*s)
			return -EINVAL;
		if (!e.count || e.first == INVALID_ID || e.lower_first == INVALID_ID ||
		    e.first + e.count < e.first || e.lower_first + e.count < e.lower_first)
			return -EINVAL;
		if (overlaps(ext, n, &e))
			return -EINVAL;
		ext[n++] = e;
	}
	*out = n;
	return n ? 0 : -EINVAL;
}

static bool map_allowed(struct task *t, struct user_ns *u, bool gid, const struct id_extent *e,
			uint32_t n)
{
	int cap = gid ? CAP_SETGID : CAP_SETUID;
	const struct cred *c = t->cred;

	/* Without capabilities: exactly one's own id, by somebody inside the new namespace. */
	if (n == 1 && e->count == 1 && u->owner == c->euid) {
		if (!gid && user_ns_kuid(u->parent, e->lower_first) == c->euid)
			return true;
		if (gid && u->setgroups_denied && user_ns_kgid(u->parent, e->lower_first) == c->egid)
			return true;
	}
	return cred_ns_capable(c, u->parent, cap);
}

int user_ns_write_map(struct task *t, struct user_ns *u, bool gid, const char *text)
{
	struct id_map *m = gid ? &u->gid_map : &u->uid_map;
	struct id_extent *ext;
	uint32_t n = 0;
	int rc;

	if (!u->parent)
		return -EPERM;
	if (!cred_ns_capable(t->cred, u, CAP_SYS_ADMIN))
		return -EPERM;
	if (t->cred->user_ns != u && t->cred->user_ns != u->parent)
		return -EPERM;
	ext = kmalloc_array(ID_EXTENTS_MAX, sizeof(*ext));
	if (!ext)
		return -ENOMEM;
	rc = parse_map(text, ext, &n);
	if (!rc && !map_allowed(t, u, gid, ext, n))
		rc = -EPERM;
	for (uint32_t i = 0; i < n && !rc; i++) {
		uint32_t last = ext[i].lower_first + (ext[i].count - 1), low;
		uint32_t (*down)(const struct user_ns *, uint32_t) = gid ? user_ns_kgid : user_ns_kuid;

		low = down(u->parent, ext[i].lower_first);
		if (low == INVALID_ID || down(u->parent, last) - low != ext[i].count - 1)
			rc = -EPERM;
		ext[i].lower_first = low;
	}
	mutex_lock(&task_root->pidmap_lock);
	if (!rc && m->n)
		rc = -EPERM;	/* once only */
	if (!rc) {
		m->extents = steal(ext);
		__atomic_store_n(&m->n, n, __ATOMIC_RELEASE);
	}
	mutex_unlock(&task_root->pidmap_lock);
	kfree(ext);
	return rc;
}

int user_ns_write_setgroups(struct user_ns *u, const char *text)
{
	bool deny = !__builtin_strncmp(text, "deny", 4), allow = !__builtin_strncmp(text, "allow", 5);
	int rc = 0;

	if (!deny && !allow)
		return -EINVAL;
	mutex_lock(&task_root->pidmap_lock);
	if (allow && u->setgroups_denied)
		rc = -EPERM;
	else if (deny && !u->setgroups_denied && (u->gid_map.n || !u->parent))
		rc = -EPERM;
	else if (deny)
		u->setgroups_denied = true;
	mutex_unlock(&task_root->pidmap_lock);
	return rc;
}
