/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dentry cache: what names meant when they were last looked up.
 *
 * A dentry is *hashed* (found by name) or not, and *used* (ref > 0: paths, mounts, children) or
 * not. Unused hashed dentries wait on the LRU; unused unhashed ones are freed at once. All links,
 * names and the step from ref 1 to 0 and back belong to the dcache lock; a reference that is not
 * the last one is dropped without it. Dentries are added and renamed with the directory's inode
 * lock held, which is what keeps one name from having two.
 *
 * Inodes are let go outside the lock: their destruction may call the Gofer.
 */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "lib/bug.h"
#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"
#include "sentry/vfs/htab.h"
#include "sentry/vfs/told.h"
#include "sentry/vfs/vfs_int.h"

#define DCACHE_MAX_UNUSED 50000u
#define DCACHE_BATCH 32u

struct dcache {
	struct mutex lock;		/* RANK_DCACHE */
	struct htab hash;
	struct list lru;		/* oldest first */
	uint32_t nr_unused;
	uint32_t shrink_wanted;		/* atomic: set by the reclaimer */
	uint64_t rename_seq;		/* atomic */
};

static KCACHE(dcache_cache, struct dcache, 1);
static KCACHE(dentry_cache, struct dentry, 0);
static struct dcache *dc;
struct mutex *dcache_lock;
static _Thread_local bool trimming;

static uint64_t dcache_reclaim(uint64_t wanted)
{
	/* The caller may hold any lock: only ask; dcache_relieve does it at a safe place. */
	__atomic_store_n(&dc->shrink_wanted, 1, __ATOMIC_RELAXED);
	return 0;
}

int dcache_init(void)
{
	dc = kc_alloc(&dcache_cache);
	if (!dc)
		return -ENOMEM;
	if (htab_init(&dc->hash))
		return -ENOMEM;
	mutex_init(&dc->lock, RANK_DCACHE);
	list_init(&dc->lru);
	dcache_lock = &dc->lock;
	charge_add_reclaimer(dcache_reclaim);
	return 0;
}

uint64_t dcache_rename_seq(void)
{
	return __atomic_load_n(&dc->rename_seq, __ATOMIC_ACQUIRE);
}

static uint32_t name_hash(const struct dentry *dir, const char *name, size_t len)
{
	uint64_t h = (uintptr_t)dir * 0x9e3779b97f4a7c15ull;

	while (len >= 8) {
		uint64_t w;
		memcpy(&w, name, 8);
		h = (h ^ w) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
		name += 8, len -= 8;
	}
	uint64_t w = len;
	memcpy(&w, name, len);
	h = (h ^ w ^ (uint64_t)len << 56) * 0xff51afd7ed558ccdull;
	return (uint32_t)(h ^ h >> 29);
}

static uint32_t link_hash(const struct list *link)
{
	return container_of(link, struct dentry, hash_link)->hash;
}

/* Under its present name. */
static void hash_add_locked(struct dentry *d)
{
	htab_add(&dc->hash, &d->hash_link, link_hash, kc_live(&dentry_cache));
}

static uint32_t d_ref(const struct dentry *d)
{
	return __atomic_load_n(&d->ref.n, __ATOMIC_RELAXED);
}

/* From unused to used is legal here only. */
static void d_get_locked(struct dentry *d)
{
	if (__atomic_fetch_add(&d->ref.n, 1, __ATOMIC_RELAXED) == 0 && !list_empty(&d->lru)) {
		list_del(&d->lru);
		dc->nr_unused--;
	}
}

struct dentry *dentry_get(struct dentry *d)
{
	if (d)
		ref_get(&d->ref);
	return d;
}

static struct dentry *d_find_locked(struct dentry *dir, const char *name, size_t len, uint32_t hash)
{
	struct list *b = htab_bucket(&dc->hash, hash);
	struct dentry *d;

	list_for_each(d, b, hash_link) {
		if (d->hash == hash && d->parent == dir && d->name_len == len &&
		    memcmp(d->name, name, len) == 0)
			return d;
	}
	return NULL;
}

struct dentry *dentry_find(struct dentry *dir, const char *name, size_t len)
{
	uint32_t hash = name_hash(dir, name, len);

	mutex_lock(&dc->lock);
	struct dentry *d = d_find_locked(dir, name, len, hash);
	if (d)
		d_get_locked(d);
	mutex_unlock(&dc->lock);
	return d;
}

static struct dentry *d_alloc(struct super *sb, const char *name, size_t len)
{
	struct dentry *d = kc_alloc(&dentry_cache);

	if (!d)
		return NULL;
	d->name = d->iname;
	if (len >= DNAME_INLINE) {
		d->name = kmalloc(len + 1);
		if (!d->name) {
			kc_free(&dentry_cache, d);
			return NULL;
		}
	}
	memcpy(d->name, name, len);
	d->name_len = (uint16_t)len;
	ref_init(&d->ref, 1);
	d->sb = sb;
	list_init(&d->siblings);
	list_init(&d->children);
	list_init(&d->hash_link);
	list_init(&d->lru);
	d->parent = d;
	return d;
}

static void d_free(struct dentry *d)
{
	/* The last that held a removed object by this name (an open file, a working directory). */
	if (d->inode && unlikely(d->flags & D_UNLINKED) && (S_ISDIR(d->inode->mode) || !d->inode->nlink))
		notify_inode(d->inode, IN_DELETE_SELF);
	inode_put(d->inode);
	if (d->name != d->iname)
		kfree(d->name);
	kc_free(&dentry_cache, d);
}

/* Takes an unused dentry out of everything. The caller frees it and puts the parent. */
static struct dentry *d_kill_locked(struct dentry *d)
{
	DEBUG_ASSERT(d_ref(d) == 0 && list_empty(&d->children));
	htab_del(&dc->hash, &d->hash_link, link_hash, kc_live(&dentry_cache));
	list_del(&d->siblings);
	if (!list_empty(&d->lru)) {
		list_del(&d->lru);
		dc->nr_unused--;
	}
	return d->parent != d ? d->parent : NULL;
}

/* Drops one reference; returns a parent whose reference is to be dropped next. */
static struct dentry *d_put_one(struct dentry *d)
{
	uint32_t n = d_ref(d);

	while (n > 1) {
		if (__atomic_compare_exchange_n(&d->ref.n, &n, n - 1, true, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return NULL;
	}
	mutex_lock(&dc->lock);
	if (__atomic_sub_fetch(&d->ref.n, 1, __ATOMIC_ACQ_REL) > 0) {
		mutex_unlock(&dc->lock);
		return NULL;
	}
	if (!dentry_unhashed_locked(d)) {
		list_add_tail(&dc->lru, &d->lru);
		dc->nr_unused++;
		mutex_unlock(&dc->lock);
		return NULL;
	}
	struct dentry *parent = d_kill_locked(d);
	mutex_unlock(&dc->lock);
	d_free(d);
	return parent;
}

static void d_put_chain(struct dentry *d)
{
	while (d)
		d = d_put_one(d);
}

/* Frees up to n unused dentries (of sb only, if given), oldest first; returns how many. */
static unsigned dcache_free_some(unsigned n, struct super *sb)
{
	struct dentry *batch[DCACHE_BATCH], *parents[DCACHE_BATCH], *d, *tmp;
	unsigned got = 0;

	n = min(n, DCACHE_BATCH);
	mutex_lock(&dc->lock);
	list_for_each_safe(d, tmp, &dc->lru, lru) {
		if (got == n)
			break;
		if (sb && d->sb != sb)
			continue;
		parents[got] = d_kill_locked(d);
		batch[got++] = d;
	}
	mutex_unlock(&dc->lock);
	for (unsigned i = 0; i < got; i++) {
		d_free(batch[i]);
		d_put_chain(parents[i]);
	}
	return got;
}

uint64_t dcache_shrink(unsigned n)
{
	uint64_t done = 0;

	if (trimming)
		return 0;
	trimming = true;
	while (done < n) {
		unsigned got = dcache_free_some(n - (unsigned)done, NULL);
		if (!got)
			break;
		done += got;
	}
	trimming = false;
	return done;
}

uint64_t dcache_trim(uint32_t keep)
{
	uint64_t done = 0;

	for (;;) {
		uint32_t n = READ_ONCE(dc->nr_unused);
		uint64_t got = n > keep ? dcache_shrink(min(n - keep, 4096u)) : 0;
		if (!got)
			return done;
		done += got;
	}
}

void dcache_relieve(void)
{
	if (unlikely(__atomic_load_n(&dc->shrink_wanted, __ATOMIC_RELAXED)) &&
	    __atomic_exchange_n(&dc->shrink_wanted, 0, __ATOMIC_RELAXED))
		dcache_shrink(4096);
}

void dcache_prune_super(struct super *sb)
{
	while (dcache_free_some(DCACHE_BATCH, sb))
		;
}

void dentry_put(struct dentry *d)
{
	d_put_chain(d);
	if (unlikely(READ_ONCE(dc->nr_unused) > DCACHE_MAX_UNUSED))
		dcache_shrink(64);
}

void dentry_put_not_last(struct dentry *d)
{
	bool last = ref_put(&d->ref);

	BUG_ON(last);
}

/* Links a new dentry below dir. */
static void d_link(struct dentry *d, struct dentry *dir)
{
	d->hash = name_hash(dir, d->name, d->name_len);
	mutex_lock(&dc->lock);
	d->parent = dir;
	d_get_locked(dir);
	list_add_tail(&dir->children, &d->siblings);
	hash_add_locked(d);
	mutex_unlock(&dc->lock);
}

int dentry_detached(struct super *sb, const char *name, struct inode *inode, struct dentry **out)
{
	size_t len = strlen(name);
	struct dentry *d = d_alloc(sb, name, min(len, (size_t)NAME_MAX_LEN));

	if (!d) {
		inode_put(inode);
		return -ENOMEM;
	}
	d->inode = inode;
	d->flags = D_DISCONNECTED;
	*out = d;
	return 0;
}

int dentry_lookup_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct inode *i = dir->inode, *found = NULL;
	struct dentry *d = dentry_find(dir, name, len);

	if (d) {
		*out = d;
		return 0;
	}
	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (!inode_ops(i)->lookup)
		return -ENOTDIR;
	d = d_alloc(dir->sb, name, len);
	if (!d)
		return -ENOMEM;
	int r = inode_ops(i)->lookup(i, name, len, &found);
	if (r && r != -ENOENT) {
		d_free(d);
		return r;
	}
	d->inode = found;
	if (inode_ops(i)->cached)
		inode_ops(i)->cached(i, d);
	d_link(d, dir);
	*out = d;
	return 0;
}

int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct inode *i = dir->inode;

	for (;;) {
		struct dentry *d = dentry_find(dir, name, len);
		if (!d)
			break;
		if (!inode_ops(i)->revalidate || inode_ops(i)->revalidate(i, d) ||
		    (d->flags & D_MOUNTED)) {
			*out = d;
			return 0;
		}
		dentry_drop(d);
		dentry_put(d);
	}
	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	mutex_lock(&i->lock);
	int r = dentry_lookup_locked(dir, name, len, out);
	mutex_unlock(&i->lock);
	return r;
}

void dentry_instantiate(struct dentry *d, struct inode *inode)
{
	struct inode *dir = d->parent->inode;

	mutex_lock(&dc->lock);
	BUG_ON(d->inode);
	told_names_changed(d->sb);
	d->inode = inode;
	mutex_unlock(&dc->lock);
	if (inode_ops(dir)->cached)
		inode_ops(dir)->cached(dir, d);
}

void dentry_drop(struct dentry *d)
{
	mutex_lock(&dc->lock);
	told_names_changed(d->sb);
	list_del(&d->hash_link);
	mutex_unlock(&dc->lock);
}

/* What is cached below a removed directory (absent names) must not keep it. */
static void drop_unused_children(struct dentry *d)
{
	struct dentry *batch[DCACHE_BATCH], *c, *tmp;
	unsigned n;

	do {
		n = 0;
		mutex_lock(&dc->lock);
		list_for_each_safe(c, tmp, &d->children, siblings) {
			if (d_ref(c) == 0 && list_empty(&c->children) && n < DCACHE_BATCH) {
				(void)d_kill_locked(c);
				batch[n++] = c;
			}
		}
		mutex_unlock(&dc->lock);
		for (unsigned i = 0; i < n; i++) {
			d_free(batch[i]);
			d_put_chain(d);		/* the child's reference */
		}
	} while (n == DCACHE_BATCH);
}

bool dentry_deleted(struct dentry *d)
{
	struct inode *gone = NULL;
	bool free;

	if (d->inode && S_ISDIR(d->inode->mode))
		drop_unused_children(d);
	mutex_lock(&dc->lock);
	told_names_changed(d->sb);
	if (d_ref(d) == 1 && list_empty(&d->children)) {
		gone = steal(d->inode);
	} else {
		d->flags |= D_UNLINKED;
		list_del(&d->hash_link);
	}
	mutex_unlock(&dc->lock);
	if (gone) {
		struct inode *dir = d->parent->inode;
		if (inode_ops(dir)->cached)
			inode_ops(dir)->cached(dir, d);
	}
	free = gone != NULL;
	inode_put(gone);
	return free;
}

void dentry_invalidate(struct dentry *d)
{
	struct dentry *c, *tmp;

	mutex_lock(&dc->lock);
	told_names_changed(d->sb);
	list_for_each_safe(c, tmp, &d->children, siblings) {
		if (!(c->flags & D_MOUNTED))
			list_del(&c->hash_link);
		/* Unused ones stay on the LRU and are freed from there. */
	}
	mutex_unlock(&dc->lock);
}

struct dentry *dentry_parent(struct dentry *d)
{
	mutex_lock(&dc->lock);
	struct dentry *p = d->parent;
	d_get_locked(p);
	mutex_unlock(&dc->lock);
	return p;
}

bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor)
{
	bool below = false;

	mutex_lock(&dc->lock);
	for (;; d = d->parent) {
		if (d == ancestor) {
			below = true;
			break;
		}
		if (d->parent == d)
			break;
	}
	mutex_unlock(&dc->lock);
	return below;
}

/* Swaps names of two dentries; inline ones by value. */
static void d_swap_names(struct dentry *a, struct dentry *b)
{
	char tmp[DNAME_INLINE];
	char *an = a->name == a->iname ? NULL : a->name, *bn = b->name == b->iname ? NULL : b->name;
	uint16_t len = a->name_len;

	memcpy(tmp, a->iname, sizeof(tmp));
	memcpy(a->iname, b->iname, sizeof(tmp));
	memcpy(b->iname, tmp, sizeof(tmp));
	a->name = bn ? bn : a->iname;
	b->name = an ? an : b->iname;
	a->name_len = b->name_len;
	b->name_len = len;
}

static void d_swap_places(struct dentry *a, struct dentry *b)
{
	struct dentry *pa = a->parent, *pb = b->parent;

	list_del(&a->siblings);
	list_del(&b->siblings);
	a->parent = pb, b->parent = pa;
	list_add_tail(&pb->children, &a->siblings);
	list_add_tail(&pa->children, &b->siblings);
}

/*
 * d takes target's name and place. Without exchange, target (whose object, if any, was replaced)
 * gets d's old name and leaves the hash; d's old name is looked up afresh.
 */
int dentry_move(struct dentry *d, struct dentry *target, bool exchange)
{
	mutex_lock(&dc->lock);
	told_names_changed(d->sb);
	__atomic_fetch_add(&dc->rename_seq, 1, __ATOMIC_RELEASE);
	list_del(&d->hash_link);
	list_del(&target->hash_link);
	d_swap_names(d, target);
	d_swap_places(d, target);
	d->hash = name_hash(d->parent, d->name, d->name_len);
	hash_add_locked(d);
	target->hash = name_hash(target->parent, target->name, target->name_len);
	if (exchange)
		hash_add_locked(target);
	else
		target->flags |= D_UNLINKED;
	mutex_unlock(&dc->lock);
	struct inode *nd = d->parent->inode, *od = target->parent->inode;
	if (inode_ops(nd)->cached)
		inode_ops(nd)->cached(nd, d);
	if (exchange && inode_ops(od)->cached)
		inode_ops(od)->cached(od, target);
	return 0;
}

/* Prepends n bytes. */
static char *prepend(char *start, char *lo, const char *s, size_t n)
{
	if (!start || (size_t)(start - lo) < n)
		return NULL;
	start -= n;
	memcpy(start, s, n);
	return start;
}

char *path_text(const struct path *p, const struct path *root, char *buf, size_t cap)
{
	struct dentry *d = p->dentry;
	struct mount *m = p->mnt;
	char *s = buf + cap;

	s = prepend(s, buf, "", 1);
	if (d->flags & D_DISCONNECTED) {
		if (d->flags & D_UNLINKED)
			s = prepend(s, buf, " (deleted)", 10);
		s = prepend(s, buf, d->name, d->name_len);
		return s;
	}
	mutex_lock(mount_lock);
	mutex_lock(&dc->lock);
	if ((d->flags & D_UNLINKED) ||
	    (dentry_unhashed_locked(d) && d->parent != d && !(d->flags & D_ROOT)))
		s = prepend(s, buf, " (deleted)", 10);
	char *end = s;
	bool reached = false;
	while (s) {
		if (root && d == root->dentry && m == root->mnt) {
			reached = true;
			break;
		}
		if (d == m->root) {
			if (!m->parent) {
				reached = !root || !root->mnt || m->ns == NULL || m->ns->anon;
				break;
			}
			d = m->mountpoint;
			m = m->parent;
			continue;
		}
		if (d->parent == d)
			break;
		s = prepend(s, buf, d->name, d->name_len);
		s = prepend(s, buf, "/", 1);
		d = d->parent;
	}
	if (s == end)
		s = prepend(s, buf, "/", 1);
	if (!reached && root && s)
		s = prepend(s, buf, "(unreachable)", 13);
	mutex_unlock(&dc->lock);
	mutex_unlock(mount_lock);
	return s;
}

char *dentry_text(struct dentry *d, char *buf, size_t cap)
{
	char *s = prepend(buf + cap, buf, "", 1), *end = s;

	mutex_lock(&dc->lock);
	for (; s && d->parent != d; d = d->parent) {
		s = prepend(s, buf, d->name, d->name_len);
		s = prepend(s, buf, "/", 1);
	}
	mutex_unlock(&dc->lock);
	return s == end ? prepend(s, buf, "/", 1) : s;
}
