/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Propagation (Documentation/filesystems/sharedsubtree.rst). Peers form a group; a group or a single
 * mount may be the slave of a group. What is mounted on a member, or taken off it, happens at the
 * same place of the other members and of all that receive from them, masters first.
 *
 * Linux links slaves to one mount of the master group; here they hang on the group, and when its
 * last member leaves they fall to the group's own master. The mount lock covers everything.
 */
#include <errno.h>
#include <sys/mount.h>
#include "sentry/core/kheap.h"
#include "sentry/vfs/mount_int.h"

static KCACHE(peer_group_cache, struct peer_group, 0);
static uint32_t next_group = 1;

/* --- states of a mount ----------------------------------------------------------------------- */

static void group_set_master(struct peer_group *g, struct peer_group *master)
{
	list_del(&g->slave_link);
	g->master = master;
	if (master)
		list_add_tail(&master->slave_groups, &g->slave_link);
}

void mount_enslave_locked(struct mount *m, struct peer_group *master)
{
	list_del(&m->slave_link);
	m->master = master;
	if (master)
		list_add_tail(&master->slave_mounts, &m->slave_link);
}

struct peer_group *mount_master(const struct mount *m)
{
	return m->peers ? m->peers->master : m->master;
}

static void group_end(struct peer_group *g)
{
	struct mount *m;
	struct peer_group *s;

	while ((m = list_first(&g->slave_mounts, struct mount, slave_link)))
		mount_enslave_locked(m, g->master);
	while ((s = list_first(&g->slave_groups, struct peer_group, slave_link)))
		group_set_master(s, g->master);
	list_del(&g->slave_link);
	kc_free(&peer_group_cache, g);
}

/* Out of its group; what it may receive from afterwards: the group, or the group's master. */
static struct peer_group *leave(struct mount *m)
{
	struct peer_group *g = m->peers, *from = g;

	m->peers = NULL;
	list_del(&m->peer_link);
	if (list_empty(&g->members)) {
		from = g->master;
		group_end(g);
	}
	return from;
}

void mount_join_locked(struct mount *m, struct peer_group *g)
{
	m->peers = g;
	list_add_tail(&g->members, &m->peer_link);
}

int mount_set_shared_locked(struct mount *m)
{
	struct peer_group *g;

	if (!m->peers) {
		g = kc_alloc(&peer_group_cache);
		if (!g)
			return -ENOMEM;
		g->id = next_group++;
		list_init(&g->members);
		list_init(&g->slave_mounts);
		list_init(&g->slave_groups);
		list_init(&g->slave_link);
		group_set_master(g, m->master);
		mount_enslave_locked(m, NULL);
		mount_join_locked(m, g);
	}
	m->flags &= ~(unsigned)MS_UNBINDABLE;
	return 0;
}

void mount_set_slave_locked(struct mount *m)
{
	if (m->peers)
		mount_enslave_locked(m, leave(m));
}

void mount_set_private_locked(struct mount *m)
{
	if (m->peers)
		(void)leave(m);
	mount_enslave_locked(m, NULL);
	m->flags &= ~(unsigned)MS_UNBINDABLE;
}

void mount_set_unbindable_locked(struct mount *m)
{
	mount_set_private_locked(m);
	m->flags |= MS_UNBINDABLE;
}

/* --- who receives ---------------------------------------------------------------------------- */

static struct peer_group *group_next(struct peer_group *g, struct peer_group *top)
{
	if (!list_empty(&g->slave_groups))
		return list_first(&g->slave_groups, struct peer_group, slave_link);
	for (; g != top; g = g->master) {
		if (g->slave_link.next != &g->master->slave_groups)
			return list_entry(g->slave_link.next, struct peer_group, slave_link);
	}
	return NULL;
}

static bool receives(const struct mount *m, const struct mount *dest, const struct dentry *d)
{
	return m != dest && m->ns && m->sb == dest->sb && dentry_is_below(d, m->root);
}

int mount_receivers_locked(struct mount *parent, struct dentry *d,
			   int (*fn)(void *arg, struct peer_group *g, struct mount *m), void *arg)
{
	struct peer_group *top = parent->peers, *g;
	struct mount *m;
	int r = 0;

	for (g = top; g; g = group_next(g, top)) {
		r = fn(arg, g, NULL);
		if (r)
			return r;
		list_for_each(m, &g->members, peer_link) {
			if (receives(m, parent, d))
				r = fn(arg, g, m);
			if (r)
				return r;
		}
		list_for_each(m, &g->slave_mounts, slave_link) {
			if (receives(m, parent, d))
				r = fn(arg, g, m);
			if (r)
				return r;
		}
	}
	return 0;
}

/* --- mounting -------------------------------------------------------------------------------- */

struct spread {
	struct peer_group *top;
	struct mount *src;
	struct dentry *d;
	struct list *made, *dead;
};

/* A copy for m. The first one of a slave group is the model of its other members'. */
static int copy_to(void *arg, struct peer_group *g, struct mount *m)
{
	struct spread *s = arg;
	enum copy_kind kind = COPY_SAME;
	struct mount *copy, *c;
	uint32_t n = 0;

	if (!m) {
		g->model = g == s->top ? s->src : g->master->model;
		return 0;
	}
	bool own = g == s->top || g->model != g->master->model;
	if (m->peers != g)
		kind = COPY_SLAVE;
	else if (!own)
		kind = COPY_SLAVE_SHARED;
	int r = mount_copy_locked(g->model, g->model->root, kind, true, false, s->dead,
				  &copy);
	if (r)
		return r;
	for (c = copy; c; c = mount_next(c, copy))
		n++;
	copy->parent = m;	/* only noted: see mount_attach_locked */
	copy->mountpoint = dentry_get(s->d);
	list_add_tail(s->made, &copy->work_link);
	if (m->ns->nr + m->ns->pending + n > MNT_NS_MAX)
		return -ENOSPC;
	m->ns->pending += n;
	if (m->peers == g)
		g->model = copy;
	return 0;
}

int mount_propagate_locked(struct mount *dest, struct dentry *d, struct mount *src, struct list *made,
			   struct list *dead)
{
	struct spread s = {.top = dest->peers, .src = src, .d = d, .made = made, .dead = dead};

	return mount_receivers_locked(dest, d, copy_to, &s);
}

/* --- umounting ------------------------------------------------------------------------------- */

/* The one mount on c, if it hides c wholly. */
static struct mount *topper(struct mount *c)
{
	struct mount *t = list_first(&c->children, struct mount, siblings);

	return t && t->siblings.next == &c->children && t->mountpoint == c->root ? t : NULL;
}

struct umount {
	struct mount *m;
	struct list *set;	/* work_link */
};

static int busy_there(void *arg, struct peer_group *g, struct mount *p)
{
	const struct umount *u = arg;
	struct mount *c = p ? mount_find_locked(p, u->m->mountpoint) : NULL;
	uint32_t refs = 1;

	if (!c)
		return 0;
	if (!list_empty(&c->children)) {
		if (!topper(c))
			return 0;	/* it will stay */
	}
	return ref_read(&c->ref) > refs;
}

bool mount_is_busy_locked(struct mount *m, uint32_t refs)
{
	struct umount u = {.m = m};

	if (!list_empty(&m->children) || ref_read(&m->ref) > refs)
		return true;
	return mount_receivers_locked(m->parent, m->mountpoint, busy_there, &u) != 0;
}

/* What corresponds to u->m at p is to go too. */
static int goes_there(void *arg, struct peer_group *g, struct mount *p)
{
	struct umount *u = arg;
	struct mount *c = p ? mount_find_locked(p, u->m->mountpoint) : NULL;

	if (c && !c->going && !c->locked) {
		c->going = true;
		list_add_tail(u->set, &c->work_link);
	}
	return 0;
}

/* Something is mounted on c that stays and would be uncovered. */
static bool holds_another(const struct mount *c)
{
	struct mount *k;

	list_for_each(k, &c->children, siblings) {
		if (!k->going && k->mountpoint != c->root)
			return true;
	}
	return false;
}

/* What hides a going mount wholly goes down to where that one is. */
static void lower_topper(struct mount *c)
{
	struct mount *k, *p = c;
	struct dentry *d;

	list_for_each(k, &c->children, siblings) {
		if (!k->going)
			break;
	}
	if (&k->siblings == &c->children)
		return;
	do {
		d = p->mountpoint;
		p = p->parent;
	} while (p->going);
	mount_reparent_locked(k, p, d);
}

/*
 * All that corresponds to a mount of m's tree is a candidate; one that holds another mount stays, and
 * then those it is mounted on stay, too.
 */
void mount_umount_locked(struct mount *m, struct list *dead)
{
	struct list order = LIST_INIT(order), also = LIST_INIT(also);
	struct mount *x;

	for (x = m; x; x = mount_next(x, m)) {
		x->going = true;
		list_add(&order, &x->work_link);
	}
	list_for_each(x, &order, work_link) {
		struct umount u = {.m = x, .set = &also};
		if (x->parent)
			(void)mount_receivers_locked(x->parent, x->mountpoint, goes_there, &u);
	}
	while ((x = list_first(&also, struct mount, work_link))) {
		list_del(&x->work_link);
		list_add_tail(&order, &x->work_link);
		for (; x && x->going && holds_another(x); x = x->parent) {
			x->going = false;
			list_del(&x->work_link);
		}
	}
	list_for_each(x, &order, work_link)
		lower_topper(x);
	while ((x = list_first(&order, struct mount, work_link))) {
		x->going = false;
		mount_detach_locked(x, dead);
	}
}
