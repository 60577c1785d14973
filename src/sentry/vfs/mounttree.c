/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount tree. The mount lock covers parents, children, the hash of mountpoints and the lists
 * of the namespaces. The tree holds one reference on each mount that is attached; paths hold the
 * others, so "busy" is more than the tree's and the caller's. A mount that left the tree (lazy
 * umount, end of its namespace) lives on until the last path is gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include "lib/bug.h"
#include "sentry/core/user_ns.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount_int.h"
#include "sentry/vfs/told.h"

#define MOUNT_BUCKETS 256u

struct mounts {
	struct mutex lock;		/* RANK_MOUNT */
	struct list hash[MOUNT_BUCKETS];	/* by parent and place */
	struct list places[MOUNT_BUCKETS];	/* by place alone */
	uint32_t next_id;		/* a */
};

static KCACHE(mounts_cache, struct mounts, 1);
static KCACHE(mount_cache, struct mount, 0);
static KCACHE(mnt_ns_cache, struct mnt_ns, 0);
static struct mounts *mounts;
struct mutex *mount_lock;
_Thread_local bool mount_expire_walk;
static uint32_t next_ns_inum = 0xf0000100;

int mounts_init(void)
{
	mounts = kc_alloc(&mounts_cache);
	if (!mounts)
		return -ENOMEM;
	mutex_init(&mounts->lock, RANK_MOUNT);
	for (unsigned i = 0; i < MOUNT_BUCKETS; i++) {
		list_init(&mounts->hash[i]);
		list_init(&mounts->places[i]);
	}
	mounts->next_id = 20;
	mount_lock = &mounts->lock;
	return 0;
}

static struct list *bucket(const struct mount *parent, const struct dentry *d)
{
	uint64_t h = ((uintptr_t)parent >> 4) * 31 + ((uintptr_t)d >> 4);

	return &mounts->hash[(h ^ h >> 12) % MOUNT_BUCKETS];
}

static struct list *place(const struct dentry *d)
{
	uint64_t h = (uintptr_t)d >> 4;

	return &mounts->places[(h ^ h >> 12) % MOUNT_BUCKETS];
}

struct mount *mount_find_locked(const struct mount *parent, const struct dentry *d)
{
	struct mount *m;

	list_for_each(m, bucket(parent, d), hash_link) {
		if (m->parent == parent && m->mountpoint == d)
			return m;
	}
	return NULL;
}

int mount_create_root(struct super *sb, struct dentry *root, unsigned flags, const char *source,
		      struct mount **out)
{
	struct mount *m = kc_alloc(&mount_cache);

	if (!m)
		return -ENOMEM;
	m->source = kstrdup(source ? source : "none");
	if (!m->source) {
		kc_free(&mount_cache, m);
		return -ENOMEM;
	}
	ref_init(&m->ref, 1);
	list_init(&m->children);
	list_init(&m->siblings);
	list_init(&m->hash_link);
	list_init(&m->ns_link);
	list_init(&m->place_link);
	list_init(&m->peer_link);
	list_init(&m->slave_link);
	list_init(&m->work_link);
	m->flags = flags;
	m->sb = sb;
	super_activate(sb);
	m->root = dentry_get(root);
	m->id = __atomic_fetch_add(&mounts->next_id, 1, __ATOMIC_RELAXED);
	*out = m;
	return 0;
}

int mount_create(struct super *sb, unsigned flags, const char *source, struct mount **out)
{
	return mount_create_root(sb, sb->root, flags, source, out);
}

struct mount *mount_get(struct mount *m)
{
	if (m)
		ref_get(&m->ref);
	return m;
}

void mount_put(struct mount *m)
{
	if (!m || !ref_put(&m->ref))
		return;
	dentry_put(m->root);
	dentry_put(m->mountpoint);
	super_deactivate(m->sb);
	kfree(m->source);
	kc_free(&mount_cache, m);
}

void path_get(const struct path *p)
{
	mount_get(p->mnt);
	dentry_get(p->dentry);
}

void path_put(struct path *p)
{
	struct mount *m = steal(p->mnt);
	struct dentry *d = steal(p->dentry);

	if (d)
		dentry_put(d);
	mount_put(m);
}

bool path_equal(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

int path_want_write(const struct path *p)
{
	if ((p->mnt && (READ_ONCE(p->mnt->flags) & MS_RDONLY)) || (p->dentry->sb->flags & ST_RDONLY))
		return -EROFS;
	return 0;
}

/* --- walking --------------------------------------------------------------------------------- */

bool mount_follow_down(struct path *p)
{
	bool moved = false;

	while (READ_ONCE(p->dentry->flags) & D_MOUNTED) {
		mutex_lock(mount_lock);
		struct mount *m = mount_get(mount_find_locked(p->mnt, p->dentry));
		mutex_unlock(mount_lock);
		if (!m)
			break;
		path_put(p);
		p->mnt = m;
		p->dentry = dentry_get(m->root);
		if (unlikely(READ_ONCE(m->expiring)) && !mount_expire_walk)
			WRITE_ONCE(m->expiring, false);
		moved = true;
	}
	return moved;
}

bool mount_follow_up(struct path *p)
{
	mutex_lock(mount_lock);
	struct mount *parent = mount_get(p->mnt->parent);
	struct dentry *d = parent ? dentry_get(p->mnt->mountpoint) : NULL;
	mutex_unlock(mount_lock);
	if (!parent)
		return false;
	path_put(p);
	p->mnt = parent;
	p->dentry = d;
	return true;
}

bool dentry_is_mountpoint(const struct path *dir, const struct dentry *d)
{
	if (!(READ_ONCE(d->flags) & D_MOUNTED))
		return false;
	/* Linux asks for the caller's namespace: any mount on it there makes it busy. */
	struct mount *m;
	bool found = false;
	mutex_lock(mount_lock);
	list_for_each(m, place(d), place_link) {
		if (m->mountpoint == d && m->ns && m->ns == dir->mnt->ns) {
			found = true;
			break;
		}
	}
	mutex_unlock(mount_lock);
	return found;
}

/* --- changing the tree ----------------------------------------------------------------------- */

static void ns_event(struct mnt_ns *ns)
{
	if (!ns)
		return;
	ns->event++;
	wq_wake_all(&ns->wq);
}

/* Hangs m below parent at d; both referenced by the tree from now on. */
void mount_link_locked(struct mount *m, struct mount *parent, struct dentry *d)
{
	told_change_begin();
	m->parent = parent;
	m->mountpoint = dentry_get(d);
	list_add_tail(&parent->children, &m->siblings);
	/* A later mount on the same place hides the earlier one: it is found first, and the tree
	 * never has two at once since walks go to the top. */
	list_add(bucket(parent, d), &m->hash_link);
	list_add(place(d), &m->place_link);
	mutex_lock(dcache_lock);
	d->flags |= D_MOUNTED;
	mutex_unlock(dcache_lock);
	told_change_end();
}

/* m, which hangs on something, hangs at d of parent from now on. Somebody else holds what it leaves. */
void mount_reparent_locked(struct mount *m, struct mount *parent, struct dentry *d)
{
	struct dentry *old = mount_unlink_locked(m);

	mount_link_locked(m, parent, d);
	if (old)
		dentry_put_not_last(old);
}

void mount_ns_add_locked(struct mnt_ns *ns, struct mount *m)
{
	m->ns = ns;
	list_add_tail(&ns->mounts, &m->ns_link);
	ns->nr++;
	ns_event(ns);
}

/* Is anything else mounted on d? Keeps D_MOUNTED right. */
static void clear_mounted_locked(struct dentry *d)
{
	struct mount *m;

	list_for_each(m, place(d), place_link) {
		if (m->mountpoint == d)
			return;
	}
	mutex_lock(dcache_lock);
	d->flags &= ~(uint32_t)D_MOUNTED;
	mutex_unlock(dcache_lock);
}

/* Off its place; the mountpoint's reference is handed to the caller. */
struct dentry *mount_unlink_locked(struct mount *m)
{
	struct dentry *d = steal(m->mountpoint);

	told_change_begin();
	list_del(&m->hash_link);
	list_del(&m->place_link);
	list_del(&m->siblings);
	m->parent = NULL;
	if (d)
		clear_mounted_locked(d);
	told_change_end();
	return d;
}

void mount_ns_del_locked(struct mount *m)
{
	if (!m->ns)
		return;
	list_del(&m->ns_link);
	m->ns->nr--;
	ns_event(m->ns);
	m->ns = NULL;
}

void mounts_forget_place(struct dentry *d)
{
	struct list dead = LIST_INIT(dead);
	struct mount *m;

	if (likely(!(READ_ONCE(d->flags) & D_MOUNTED)))
		return;
	mutex_lock(mount_lock);
	for (;;) {
		bool found = false;
		list_for_each(m, place(d), place_link) {
			found = m->mountpoint == d;
			if (found)
				break;
		}
		if (!found)
			break;
		mount_tree_detach_locked(m, &dead);
	}
	mutex_unlock(mount_lock);
	mounts_free(&dead);
}

struct mount *mount_next_skip(struct mount *m, struct mount *root)
{
	while (m != root) {
		struct mount *p = m->parent;
		if (m->siblings.next != &p->children)
			return list_entry(m->siblings.next, struct mount, siblings);
		m = p;
	}
	return NULL;
}

/* Depth-first successor inside the tree of root; NULL at the end. mount lock. */
struct mount *mount_next(struct mount *m, struct mount *root)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, siblings);
	return mount_next_skip(m, root);
}

/* m leaves the tree; its references go to `dead`, see mounts_free. */
void mount_detach_locked(struct mount *m, struct list *dead)
{
	mount_ns_del_locked(m);
	m->mountpoint = mount_unlink_locked(m);
	mount_set_private_locked(m);
	list_del(&m->work_link);
	list_add_tail(dead, &m->work_link);
}

void mount_tree_detach_locked(struct mount *root, struct list *dead)
{
	for (;;) {
		struct mount *m = root;
		while (!list_empty(&m->children))
			m = list_first(&m->children, struct mount, siblings);
		mount_detach_locked(m, dead);
		if (m == root)
			return;
	}
}

void mounts_free(struct list *dead)
{
	struct mount *m;

	while ((m = list_first(dead, struct mount, work_link))) {
		list_del(&m->work_link);
		mount_put(m);
	}
}

/* Takes a whole tree apart: nothing stays attached, every tree reference is dropped. */
void mount_tree_put(struct mount *root)
{
	struct list dead = LIST_INIT(dead);

	mutex_lock(mount_lock);
	mount_tree_detach_locked(root, &dead);
	mutex_unlock(mount_lock);
	mounts_free(&dead);
}

/* --- namespaces ------------------------------------------------------------------------------ */

struct mnt_ns *mnt_ns_alloc(void)
{
	struct mnt_ns *ns = kc_alloc(&mnt_ns_cache);

	if (!ns)
		return NULL;
	ref_init(&ns->ref, 1);
	list_init(&ns->mounts);
	wq_init(&ns->wq);
	ns->inum = __atomic_fetch_add(&next_ns_inum, 1, __ATOMIC_RELAXED);
	return ns;
}

int mnt_ns_create(struct mount *m, struct mnt_ns **out)
{
	struct mnt_ns *ns = mnt_ns_alloc();

	if (!ns) {
		mount_put(m);
		return -ENOMEM;
	}
	mutex_lock(mount_lock);
	ns->root = m;
	mount_ns_add_locked(ns, m);
	mutex_unlock(mount_lock);
	*out = ns;
	return 0;
}

int mnt_ns_create_anon(struct mount *tree)
{
	struct mnt_ns *ns = mnt_ns_alloc();

	if (!ns)
		return -ENOMEM;
	ns->anon = true;
	ns->root = tree;
	mutex_lock(mount_lock);
	for (struct mount *m = tree; m; m = mount_next(m, tree))
		mount_ns_add_locked(ns, m);
	mutex_unlock(mount_lock);
	return 0;
}

struct mnt_ns *mnt_ns_get(struct mnt_ns *ns)
{
	if (ns)
		ref_get(&ns->ref);
	return ns;
}

void mnt_ns_put(struct mnt_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	if (ns->root)
		mount_tree_put(ns->root);
	wq_destroy(&ns->wq);
	user_ns_put(ns->user_ns);
	kc_free(&mnt_ns_cache, ns);
}

void mnt_ns_root(struct mnt_ns *ns, struct path *out)
{
	mutex_lock(mount_lock);
	out->mnt = mount_get(ns->root);
	out->dentry = dentry_get(ns->root->root);
	mutex_unlock(mount_lock);
	mount_follow_down(out);
}

int mount_clone_alone(const struct path *p, struct mount **out)
{
	return mount_create_root(p->mnt->sb, p->dentry, p->mnt->flags, p->mnt->source, out);
}
