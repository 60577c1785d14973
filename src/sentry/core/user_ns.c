/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/user_ns.h"
#include <errno.h>
#include "sentry/core/kheap.h"

static KCACHE(user_ns_cache, struct user_ns, 0);
static uint32_t next_inum = 0xf0000100;	/* after the fixed numbers of the initial namespaces */

static bool map_identity(struct id_map *m)
{
	m->extents = kmalloc(sizeof(*m->extents));
	if (!m->extents)
		return false;
	*m->extents = (struct id_extent){0, 0, ID_INVALID};
	m->n = 1;
	return true;
}

struct user_ns *user_ns_create_init(void)
{
	struct user_ns *ns = kc_alloc(&user_ns_cache);

	if (!ns)
		return NULL;
	ref_init(&ns->ref, 1);
	ns->inum = 0xeffffffd;		/* PROC_USER_INIT_INO */
	ns->creator_caps = ~0ull;
	if (!map_identity(&ns->uid_map) || !map_identity(&ns->gid_map)) {
		user_ns_put(ns);
		return NULL;
	}
	return ns;
}

int user_ns_create(struct user_ns *parent, uint32_t owner, uint32_t group, struct user_ns **out)
{
	struct user_ns *ns;

	if (parent->level >= USER_NS_LEVELS)
		return -ENOSPC;
	ns = kc_alloc(&user_ns_cache);
	if (!ns)
		return -ENOMEM;
	ref_init(&ns->ref, 1);
	ns->level = parent->level + 1;
	ns->inum = __atomic_fetch_add(&next_inum, 1, __ATOMIC_RELAXED);
	ns->parent = user_ns_get(parent);
	ns->owner = owner;
	ns->group = group;
	ns->setgroups_denied = parent->setgroups_denied;
	*out = ns;
	return 0;
}

struct user_ns *user_ns_get(struct user_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void user_ns_put(struct user_ns *ns)
{
	while (ns && ref_put(&ns->ref)) {
		struct user_ns *parent = ns->parent;

		kfree(ns->uid_map.extents);
		kfree(ns->gid_map.extents);
		kc_free(&user_ns_cache, ns);
		ns = parent;
	}
}

uint32_t id_to_kernel(const struct id_map *m, uint32_t id)
{
	uint32_t n = __atomic_load_n(&m->n, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n; i++) {
		const struct id_extent *e = &m->extents[i];

		if (id >= e->first && id - e->first < e->count)
			return e->lower_first + (id - e->first);
	}
	return ID_INVALID;
}

uint32_t id_from_kernel(const struct id_map *m, uint32_t kid)
{
	uint32_t n = __atomic_load_n(&m->n, __ATOMIC_ACQUIRE);

	for (uint32_t i = 0; i < n; i++) {
		const struct id_extent *e = &m->extents[i];

		if (kid >= e->lower_first && kid - e->lower_first < e->count)
			return e->first + (kid - e->lower_first);
	}
	return ID_INVALID;
}

uint32_t id_from_kernel_munged(const struct id_map *m, uint32_t kid)
{
	uint32_t id = id_from_kernel(m, kid);

	return id == ID_INVALID ? ID_OVERFLOW : id;
}
