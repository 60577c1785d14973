/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: finding them, their identity, the attributes they show. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/vfs/stack.h"

static uint32_t key_hash(const struct inode *key)
{
	return (uint32_t)(((uintptr_t)key >> 4) * 0x9e3779b97f4a7c15ull >> 32);
}

static uint32_t link_hash(const struct list *link)
{
	return key_hash(container_of(link, struct ovl_node, hash_link)->key);
}

static uint64_t live(struct ovl_super *os)
{
	return __atomic_load_n(&os->live, __ATOMIC_RELAXED);
}

/* A live node by what gives its attributes, referenced; os->lock held. */
static struct ovl_node *find_locked(struct ovl_super *os, const struct inode *key)
{
	struct ovl_node *n;

	list_for_each(n, htab_bucket(&os->hash, key_hash(key)), hash_link) {
		if (n->key == key && ref_get_unless_zero(&n->inode.ref))
			return n;
	}
	return NULL;
}

uint64_t ovl_ino(const struct ovl_super *os, uint64_t dev, uint64_t ino)
{
	if (dev == os->main_dev)
		return ino;
	return ino ^ ((dev * 0x9e3779b97f4a7c15ull) & 0x7fff000000000000ull);
}

/* Rights are checked on these; stat asks the real object. */
void ovl_copy_attributes(struct ovl_node *n)
{
	struct inode *i = &n->inode;
	struct kstat st;

	if (ovl_stat(ovl_real(n)->inode, &st))
		return;
	WRITE_ONCE(i->mode, st.mode);
	i->uid = st.uid;
	i->gid = st.gid;
	i->atime = st.atime;
	i->mtime = st.mtime;
	i->ctime = st.ctime;
	i->btime = st.btime;
	i->size = st.size;
	if (!n->gone)
		i->nlink = ovl_is_merged(n) ? 1 : (uint32_t)st.nlink;
	i->rdev = st.rdev;
	WRITE_ONCE(i->has_fcaps, READ_ONCE(ovl_real(n)->inode->has_fcaps));
}

static struct ovl_node *new_node(struct super *sb, struct dentry *upper, struct dentry **lower,
				 uint32_t n, struct ovl_node *parent)
{
	struct ovl_super *os = sb->priv;
	struct dentry *top = upper ? upper : lower[0];
	/* bounded: OVL_LAYERS_MAX */
	struct ovl_node *node = kmalloc(sizeof(*node) + n * sizeof(node->lower[0]));
	struct kstat st;

	if (!node)
		return NULL;
	bool dir = S_ISDIR(top->inode->mode);
	inode_init(&node->inode, sb, top->inode->mode, IOPS_ovl, dir ? FOPS_ovl_dir : FOPS_ovl_reg);
	if (!dir && !S_ISREG(top->inode->mode))
		node->inode.fops = FOPS_none;
	list_init(&node->hash_link);
	node->key = top->inode;
	node->upper = upper;
	node->n = (uint16_t)n;
	memcpy(node->lower, lower, n * sizeof(lower[0]));
	if (parent && !upper) {
		node->parent = parent;
		inode_get(&parent->inode);
	}
	__atomic_fetch_add(&os->live, 1, __ATOMIC_RELAXED);
	ovl_copy_attributes(node);
	if (!ovl_stat(top->inode, &st))
		node->inode.ino = ovl_ino(os, st.dev, st.ino);
	return node;
}

int ovl_node_get(struct super *sb, struct dentry *upper, struct dentry **lower, uint32_t n,
		 struct ovl_node *parent, struct inode **out)
{
	struct ovl_super *os = sb->priv;
	struct inode *key = upper ? upper->inode : lower[0]->inode;
	/* Of lower hard links each name is copied up alone: they are different files here. */
	bool hashed = upper || S_ISDIR(key->mode) || key->nlink == 1;
	struct ovl_node *node = NULL, *other = NULL;

	mutex_lock(&os->lock);
	if (hashed)
		node = find_locked(os, key);
	mutex_unlock(&os->lock);
	if (!node) {
		node = new_node(sb, upper, lower, n, parent);
		if (node) {
			upper = NULL, n = 0;
			mutex_lock(&os->lock);
			other = hashed ? find_locked(os, key) : NULL;
			if (!other && hashed)
				htab_add(&os->hash, &node->hash_link, link_hash, live(os));
			mutex_unlock(&os->lock);
		}
	}
	dentry_put(upper);
	for (uint32_t i = 0; i < n; i++)
		dentry_put(lower[i]);
	if (!node)
		return -ENOMEM;
	if (other) {
		inode_put(&node->inode);
		node = other;
	}
	*out = &node->inode;
	return 0;
}

void ovl_set_upper(struct ovl_node *n, struct dentry *d)
{
	struct ovl_super *os = ovl_sb(&n->inode);

	mutex_lock(&os->lock);
	htab_del(&os->hash, &n->hash_link, link_hash, live(os));
	n->key = d->inode;
	__atomic_store_n(&n->upper, d, __ATOMIC_RELEASE);
	htab_add(&os->hash, &n->hash_link, link_hash, live(os));
	mutex_unlock(&os->lock);
}

void ovl_destroy(struct inode *i)
{
	struct ovl_node *n = to_ovl(i);
	struct ovl_super *os = ovl_sb(i);

	mutex_lock(&os->lock);
	htab_del(&os->hash, &n->hash_link, link_hash, live(os));
	mutex_unlock(&os->lock);
	__atomic_fetch_sub(&os->live, 1, __ATOMIC_RELAXED);
	dentry_put(n->upper);
	for (uint32_t k = 0; k < n->n; k++)
		dentry_put(n->lower[k]);
	if (n->parent)
		inode_put(&n->parent->inode);
	kfree(n);
}

/* --- lookup ---------------------------------------------------------------------------------- */

struct found {
	struct dentry *upper, *lower[OVL_LAYERS_MAX];
	uint32_t n;
	bool stop;		/* a file, a whiteout or an opaque directory: nothing below counts */
};

static void found_drop(struct found *f)
{
	dentry_put(f->upper);
	while (f->n)
		dentry_put(f->lower[--f->n]);
}

static int look(struct ovl_super *os, struct dentry *dir, const char *name, size_t len, bool have,
		struct dentry **out, bool *stop)
{
	struct dentry *d;
	int r = dentry_lookup(dir, name, len, &d);

	*out = NULL;
	if (r)
		return r == -ENOENT ? 0 : r;
	struct inode *i = d->inode;
	if (!i) {
		dentry_put(d);
		return 0;
	}
	bool isdir = S_ISDIR(i->mode);
	*stop = !isdir || ovl_is_opaque(os, i);
	if (ovl_is_whiteout(i) || (have && !isdir))
		dentry_put(d);
	else
		*out = d;
	return 0;
}

static int look_all(struct ovl_node *dir, const char *name, size_t len, struct found *f)
{
	struct ovl_super *os = ovl_sb(&dir->inode);
	struct dentry *up = ovl_upper(dir), *d;
	int r = up ? look(os, up, name, len, false, &f->upper, &f->stop) : 0;

	for (uint32_t k = 0; k < dir->n && !r && !f->stop; k++) {
		r = look(os, dir->lower[k], name, len, f->upper || f->n, &d, &f->stop);
		if (!r && d)
			f->lower[f->n++] = d;
	}
	return r;
}

int ovl_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct found f = {.upper = NULL};

	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (to_ovl(dir)->gone)
		return -ENOENT;
	int r = look_all(to_ovl(dir), name, len, &f);
	if (!r && !f.upper && !f.n)
		r = -ENOENT;
	if (r) {
		found_drop(&f);
		return r;
	}
	return ovl_node_get(dir->sb, f.upper, f.lower, f.n, to_ovl(dir), out);
}

int ovl_name_below(struct ovl_node *dir, const char *name, size_t len)
{
	struct ovl_super *os = ovl_sb(&dir->inode);
	struct dentry *d;
	bool stop = false;
	int r = 0;

	for (uint32_t k = 0; k < dir->n && !r && !stop; k++) {
		r = look(os, dir->lower[k], name, len, false, &d, &stop);
		if (!r && d) {
			dentry_put(d);
			return 1;
		}
	}
	return r;
}
