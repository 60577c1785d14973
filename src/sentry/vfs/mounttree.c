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

#define MOUNT_BUCKETS 256u

struct mounts {
	struct mutex lock;		/* RANK_MOUNT */
	struct list hash[MOUNT_BUCKETS];
	uint32_t next_id;
};

static KCACHE(mounts_cache, struct mounts, 1);
static KCACHE(mount_cache, struct mount, 0);
static KCACHE(mnt_ns_cache, struct mnt_ns, 0);
static struct mounts *mounts;
struct mutex *mount_lock;
static uint32_t next_ns_inum = 0xf0000100;

int mounts_init(void)
{
	mounts = kc_alloc(&mounts_cache);
	if (!mounts)
		return -ENOMEM;
	mutex_init(&mounts->lock, RANK_MOUNT);
	for (unsigned i = 0; i < MOUNT_BUCKETS; i++)
		list_init(&mounts->hash[i]);
	mounts->next_id = 20;
	mount_lock = &mounts->lock;
	return 0;
}

static struct list *bucket(const struct mount *parent, const struct dentry *d)
{
	uint64_t h = ((uintptr_t)parent >> 4) * 31 + ((uintptr_t)d >> 4);

	return &mounts->hash[(h ^ h >> 12) % MOUNT_BUCKETS];
}

static struct mount *find_locked(const struct mount *parent, const struct dentry *d)
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
	m->flags = flags;
	m->sb = sb;
	super_activate(sb);
	m->root = dentry_get(root);
	mutex_lock(mount_lock);
	m->id = mounts->next_id++;
	mutex_unlock(mount_lock);
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
		struct mount *m = mount_get(find_locked(p->mnt, p->dentry));
		mutex_unlock(mount_lock);
		if (!m)
			break;
		path_put(p);
		p->mnt = m;
		p->dentry = dentry_get(m->root);
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
	if (dir->mnt->ns) {
		list_for_each(m, &dir->mnt->ns->mounts, ns_link) {
			if (m->mountpoint == d) {
				found = true;
				break;
			}
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
	m->parent = parent;
	m->mountpoint = dentry_get(d);
	list_add_tail(&parent->children, &m->siblings);
	/* A later mount on the same place hides the earlier one: it is found first, and the tree
	 * never has two at once since walks go to the top. */
	list_add(bucket(parent, d), &m->hash_link);
	mutex_lock(dcache_lock);
	d->flags |= D_MOUNTED;
	mutex_unlock(dcache_lock);
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

	for (unsigned i = 0; i < MOUNT_BUCKETS; i++) {
		list_for_each(m, &mounts->hash[i], hash_link) {
			if (m->mountpoint == d)
				return;
		}
	}
	mutex_lock(dcache_lock);
	d->flags &= ~(uint32_t)D_MOUNTED;
	mutex_unlock(dcache_lock);
}

/* Off its place; the mountpoint's reference is handed to the caller. */
struct dentry *mount_unlink_locked(struct mount *m)
{
	struct dentry *d = steal(m->mountpoint);

	list_del(&m->hash_link);
	list_del(&m->siblings);
	m->parent = NULL;
	if (d)
		clear_mounted_locked(d);
	return d;
}

int mount_attach(struct mount *m, const struct path *where)
{
	struct path p = *where;
	struct mnt_ns *ns;
	int r = 0;

	path_get(&p);
	for (;;) {
		mount_follow_down(&p);
		mutex_lock(mount_lock);
		if (!find_locked(p.mnt, p.dentry))
			break;
		mutex_unlock(mount_lock);
	}
	ns = p.mnt->ns;
	if (ns && ns->nr >= MNT_NS_MAX)
		r = -ENOSPC;
	else if (p.dentry->flags & D_UNLINKED)
		r = -ENOENT;
	if (!r) {
		mount_link_locked(m, p.mnt, p.dentry);
		if (ns)
			mount_ns_add_locked(ns, m);
		struct mount *c;
		for (c = mount_next(m, m); c && ns; c = mount_next(c, m))
			mount_ns_add_locked(ns, c);
		if (p.mnt->peer_group && !m->peer_group)
			m->peer_group = m->id;
	}
	mutex_unlock(mount_lock);
	path_put(&p);
	if (r)
		mount_tree_put(m);
	return r;
}

/* Depth-first successor inside the tree of root; NULL at the end. mount lock. */
struct mount *mount_next(struct mount *m, struct mount *root)
{
	if (!list_empty(&m->children))
		return list_first(&m->children, struct mount, siblings);
	while (m != root) {
		struct mount *p = m->parent;
		if (m->siblings.next != &p->children)
			return list_entry(m->siblings.next, struct mount, siblings);
		m = p;
	}
	return NULL;
}

/* Takes a whole tree apart: nothing stays attached, every tree reference is dropped. */
void mount_tree_put(struct mount *root)
{
	for (;;) {
		mutex_lock(mount_lock);
		struct mount *m = root;
		while (!list_empty(&m->children))
			m = list_first(&m->children, struct mount, siblings);
		struct dentry *d = mount_unlink_locked(m);
		if (m->ns) {
			list_del(&m->ns_link);
			m->ns->nr--;
			ns_event(m->ns);
			m->ns = NULL;
		}
		mutex_unlock(mount_lock);
		if (d)
			dentry_put(d);
		bool last = m == root;
		mount_put(m);
		if (last)
			return;
	}
}

/* --- namespaces ------------------------------------------------------------------------------ */

static struct mnt_ns *ns_alloc(void)
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
	struct mnt_ns *ns = ns_alloc();

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

/* A lone copy of m, same flags, showing `root` of it. */
int mount_clone(struct mount *m, struct dentry *root, struct mount **out)
{
	int r = mount_create_root(m->sb, root, m->flags, m->source, out);

	if (!r) {
		(*out)->peer_group = m->peer_group;
		(*out)->master_group = m->master_group;
	}
	return r;
}

int mount_clone_alone(const struct path *p, struct mount **out)
{
	return mount_create_root(p->mnt->sb, p->dentry, p->mnt->flags, p->mnt->source, out);
}

/* Copies the tree below `top` (seen from `root`); *out is unattached. Each copy remembers its
 * original in ->copy_of until the caller is done with it. Serialised by the caller (ns change). */
int mount_tree_copy(struct mount *top, struct dentry *root, struct mount **out)
{
	struct mount *m, *copy, *new_top = NULL;
	int r = mount_clone(top, root, &new_top);

	if (r)
		return r;
	new_top->copy_of = top;
	mutex_lock(mount_lock);
	for (m = mount_next(top, top); m; m = mount_next(m, top)) {
		/* A bind shows part of the file system: mounts outside of it are left out. */
		struct mount *up = m;
		while (up->parent != top)
			up = up->parent;
		if (root != top->root && !dentry_is_below(up->mountpoint, root))
			continue;
		mount_get(m);
		mutex_unlock(mount_lock);
		r = mount_clone(m, m->root, &copy);
		mutex_lock(mount_lock);
		if (!r && !m->parent)
			r = -EAGAIN;	/* umounted meanwhile */
		if (r) {
			mutex_unlock(mount_lock);
			mount_put(m);
			mount_tree_put(new_top);
			return r;
		}
		copy->copy_of = m;
		struct mount *c = new_top;
		while (c && c->copy_of != m->parent)
			c = mount_next(c, new_top);
		mount_link_locked(copy, c ? c : new_top, m->mountpoint);
		mount_put(m);	/* still in the tree: not the last */
	}
	mutex_unlock(mount_lock);
	*out = new_top;
	return 0;
}

static void fs_move(struct path *p, struct mount *new_top)
{
	struct mount *c;

	for (c = new_top; c; c = mount_next(c, new_top)) {
		if (c->copy_of == p->mnt) {
			p->mnt = mount_get(c);
			return;
		}
	}
	mount_get(p->mnt);	/* outside the tree: keeps what it has */
}

int mnt_ns_copy(struct mnt_ns *old, struct fsctx *fs, struct mnt_ns **out)
{
	struct mnt_ns *ns = ns_alloc();
	struct mount *top, *c, *drop[2] = {NULL, NULL};
	int r;

	if (!ns)
		return -ENOMEM;
	do
		r = mount_tree_copy(old->root, old->root->root, &top);
	while (r == -EAGAIN);
	if (r) {
		mnt_ns_put(ns);
		return r;
	}
	mutex_lock(mount_lock);
	ns->root = top;
	for (c = top; c; c = mount_next(c, top))
		mount_ns_add_locked(ns, c);
	if (fs) {
		struct path np[2] = {fs->root, fs->cwd};
		fs_move(&np[0], top);
		fs_move(&np[1], top);
		drop[0] = fs->root.mnt, drop[1] = fs->cwd.mnt;
		mutex_lock(&fs->lock);
		fs->root.mnt = np[0].mnt;
		fs->cwd.mnt = np[1].mnt;
		mutex_unlock(&fs->lock);
	}
	for (c = top; c; c = mount_next(c, top))
		c->copy_of = NULL;
	mutex_unlock(mount_lock);
	mount_put(drop[0]);
	mount_put(drop[1]);
	ns->user_ns = old->user_ns ? user_ns_get(old->user_ns) : NULL;
	*out = ns;
	return 0;
}
