/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/cred.h"
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"

static KCACHE(cred_cache, struct cred, 0);

struct cred *cred_get(struct cred *c)
{
	ref_get(&c->ref);
	return c;
}

void cred_put(struct cred *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	if (c->groups && ref_put(&c->groups->ref))
		kfree(c->groups);
	user_ns_put(c->user_ns);
	kc_free(&cred_cache, c);
}

struct cred *cred_create(struct user_ns *ns)
{
	struct cred *c = kc_alloc(&cred_cache);

	if (!c)
		return NULL;
	ref_init(&c->ref, 1);
	c->user_ns = user_ns_get(ns);
	return c;
}

struct cred *cred_copy(const struct cred *c)
{
	struct cred *n = kc_alloc(&cred_cache);

	if (!n)
		return NULL;
	*n = *c;
	ref_init(&n->ref, 1);
	if (n->groups)
		ref_get(&n->groups->ref);
	if (n->user_ns)
		user_ns_get(n->user_ns);
	return n;
}

static bool in_groups(const struct cred *c, uint32_t gid)
{
	const struct group_list *g = c->groups;
	uint32_t lo = 0, hi = g ? g->n : 0;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (g->gid[mid] == gid)
			return true;
		if (g->gid[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
	return c->fsgid == gid || in_groups(c, gid);
}

bool cred_in_egroup(const struct cred *c, uint32_t gid)
{
	return c->egid == gid || in_groups(c, gid);
}

/* user_namespaces(7): capabilities count in one's own namespace and its descendants; the creator
 * of a namespace, seen from the parent, has them all in it. */
bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap)
{
	for (;; ns = ns->parent) {
		if (ns == c->user_ns)
			return cap >= 0 && cap < 64 && c->cap_effective >> cap & 1;
		if (!ns->parent || ns->level <= c->user_ns->level)
			return false;
		if (ns->parent == c->user_ns && ns->owner == c->euid)
			return true;
	}
}

bool cred_capable(const struct cred *c, int cap)
{
	const struct user_ns *ns = c->user_ns;

	while (ns->parent)
		ns = ns->parent;
	return cred_ns_capable(c, ns, cap);
}
