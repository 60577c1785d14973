/* SPDX-License-Identifier: Apache-2.0 */
/* statmount(2), listmount(2): mountinfo by number (fs/namespace.c). */
#include "sentry/vfs/statmount.h"
#include <errno.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount_int.h"

#define SUPPORTED                                                                                  \
	(L_STATMOUNT_SB_BASIC | L_STATMOUNT_MNT_BASIC | L_STATMOUNT_PROPAGATE_FROM |               \
	 L_STATMOUNT_MNT_ROOT | L_STATMOUNT_MNT_POINT | L_STATMOUNT_FS_TYPE | L_STATMOUNT_MNT_NS_ID | \
	 L_STATMOUNT_MNT_OPTS | L_STATMOUNT_SB_SOURCE | L_STATMOUNT_SUPPORTED_MASK)

static uint64_t unique_id(const struct mount *m)
{
	return MNT_UNIQUE_BASE + m->id;
}

/* A reference, or NULL. */
static struct mount *find(struct mnt_ns *ns, uint64_t id)
{
	struct mount *m, *found = NULL;

	mutex_lock(mount_lock);
	list_for_each(m, &ns->mounts, ns_link) {
		if (unique_id(m) == id) {
			found = mount_get(m);
			break;
		}
	}
	mutex_unlock(mount_lock);
	return found;
}

/* Is m at or below root? The mount lock is held. */
static bool below_root(const struct mount *m, const struct path *root)
{
	const struct dentry *d = m->root;

	for (; m != root->mnt; m = m->parent) {
		if (!m->parent)
			return false;
		d = m->mountpoint;
	}
	return dentry_is_below(d, root->dentry);
}

static uint64_t attributes(unsigned flags)
{
	static const struct {
		unsigned flag;
		uint64_t attr;
	} map[] = {
		{MS_RDONLY, MOUNT_ATTR_RDONLY}, {MS_NOSUID, MOUNT_ATTR_NOSUID}, {MS_NODEV, MOUNT_ATTR_NODEV},
		{MS_NOEXEC, MOUNT_ATTR_NOEXEC}, {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
		{MS_NOSYMFOLLOW, 0x200000}, {MS_NOATIME, MOUNT_ATTR_NOATIME},
		{MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
	};
	uint64_t a = 0;

	for (size_t i = 0; i < array_size(map); i++)
		a |= flags & map[i].flag ? map[i].attr : 0;
	return a;
}

static void basics(struct mount *m, uint64_t mask, struct l_statmount *sm)
{
	const struct peer_group *g;

	if (mask & L_STATMOUNT_SB_BASIC) {
		sm->sb_dev_major = major(m->sb->dev);
		sm->sb_dev_minor = minor(m->sb->dev);
		sm->sb_magic = m->sb->magic;
		sm->sb_flags = m->sb->flags & MS_RDONLY;
	}
	mutex_lock(mount_lock);
	g = mount_master(m);
	if (mask & L_STATMOUNT_MNT_BASIC) {
		const struct mount *up = m->parent ? m->parent : m;
		sm->mnt_id = unique_id(m);
		sm->mnt_id_old = m->id;
		sm->mnt_parent_id = unique_id(up);
		sm->mnt_parent_id_old = up->id;
		sm->mnt_attr = attributes(m->flags);
		sm->mnt_propagation = (m->peers ? MS_SHARED : 0u) | (g ? MS_SLAVE : 0u) |
				      (m->flags & MS_UNBINDABLE);
		if (!sm->mnt_propagation)
			sm->mnt_propagation = MS_PRIVATE;
		sm->mnt_peer_group = m->peers ? m->peers->id : 0;
		sm->mnt_master = g ? g->id : 0;
	}
	if ((mask & L_STATMOUNT_PROPAGATE_FROM) && g) {
		const struct peer_group *dom = mount_dominating_locked(m, g);
		sm->propagate_from = dom ? dom->id : 0;
	}
	mutex_unlock(mount_lock);
	if (mask & L_STATMOUNT_MNT_NS_ID)
		sm->mnt_ns_id = m->ns ? m->ns->inum : 0;
}

/* One string behind the others; its offset. */
static uint32_t put(struct buf *b, const char *s)
{
	uint32_t at = (uint32_t)b->len;

	buf_add(b, s, strlen(s) + 1);
	return at;
}

static void options(struct mount *m, struct l_statmount *sm, struct buf *b)
{
	const struct super_ops *o = super_ops_table[m->sb->sops];
	struct buf text = {0};

	if (o && o->show_options)
		o->show_options(m->sb, &text);
	buf_addc(&text, 0);
	if (text.len > 1 && !text.oom) {
		sm->mnt_opts = put(b, text.p[0] == ',' ? text.p + 1 : text.p);
		sm->mask |= L_STATMOUNT_MNT_OPTS;
	}
	buf_fini(&text);
}

static int strings(struct mount *m, const struct path *root, uint64_t mask, struct l_statmount *sm,
		   struct buf *b)
{
	char *text = kmalloc(PATH_MAX_LEN);
	struct path p = {m, m->root};
	const char *s;

	if (!text)
		return -ENOMEM;
	if (mask & L_STATMOUNT_FS_TYPE)
		sm->fs_type = put(b, m->sb->type_name);
	if (mask & L_STATMOUNT_MNT_ROOT) {
		s = dentry_text(m->root, text, PATH_MAX_LEN);
		sm->mnt_root = put(b, s ? s : "/");
	}
	if (mask & L_STATMOUNT_MNT_POINT) {
		s = path_text(&p, root, text, PATH_MAX_LEN);
		sm->mnt_point = put(b, s ? s : "/");
	}
	if (mask & L_STATMOUNT_SB_SOURCE)
		sm->sb_source = put(b, m->source);
	if (mask & L_STATMOUNT_MNT_OPTS)
		options(m, sm, b);
	kfree(text);
	return b->oom ? -ENOMEM : 0;
}

int mount_stat(struct task *t, struct mnt_ns *ns, uint64_t id, uint64_t mask, struct l_statmount *sm,
	       struct buf *b)
{
	struct mount *m = find(ns, id);
	struct path root;

	if (!m)
		return -ENOENT;
	fsctx_paths(t->fs, &root, NULL);
	mutex_lock(mount_lock);
	bool seen = below_root(m, &root);
	mutex_unlock(mount_lock);
	int r = seen || task_may_mount(t) ? 0 : -EPERM;
	memset(sm, 0, sizeof(*sm));
	if (!r) {
		sm->mask = mask & SUPPORTED & ~(uint64_t)L_STATMOUNT_MNT_OPTS;
		basics(m, mask, sm);
		if (mask & L_STATMOUNT_SUPPORTED_MASK)
			sm->supported_mask = SUPPORTED;
		r = strings(m, &root, mask, sm, b);
	}
	path_put(&root);
	mount_put(m);
	return r;
}

/* --- listmount ------------------------------------------------------------------------------- */

/* Shell's sort: no recursion, and what is nearly in order is quick. */
static void sort(uint64_t *v, uint32_t n, bool reverse)
{
	static const uint32_t gaps[] = {29524, 9841, 3280, 1093, 364, 121, 40, 13, 4, 1};

	for (size_t g = 0; g < array_size(gaps); g++) {
		for (uint32_t i = gaps[g]; i < n; i++) {
			uint64_t x = v[i];
			uint32_t k = i;
			for (; k >= gaps[g] && (reverse ? v[k - gaps[g]] < x : v[k - gaps[g]] > x); k -= gaps[g])
				v[k] = v[k - gaps[g]];
			v[k] = x;
		}
	}
}

/* Those below top and beyond last; the mount lock is held. */
static uint32_t gather(struct mnt_ns *ns, const struct path *top, const struct mount *base, uint64_t last,
		       bool reverse, uint64_t *v, uint32_t cap)
{
	struct mount *m;
	uint32_t n = 0;

	list_for_each(m, &ns->mounts, ns_link) {
		uint64_t u = unique_id(m);
		if (m == base || (last && (reverse ? u >= last : u <= last)))
			continue;
		if (n < cap && below_root(m, top))
			v[n++] = u;
	}
	return n;
}

int64_t mount_list(struct task *t, struct mnt_ns *ns, uint64_t id, uint64_t last, bool reverse,
		   uint64_t **out)
{
	struct mount *base = id == LISTMOUNT_ROOT ? NULL : find(ns, id);
	struct path root, top;
	uint32_t n = 0;

	if (!base && id != LISTMOUNT_ROOT)
		return -ENOENT;
	mutex_lock(mount_lock);
	uint32_t cap = ns->nr + 8;
	mutex_unlock(mount_lock);
	uint64_t *v = kmalloc_array(cap, sizeof(*v));
	if (!v) {
		mount_put(base);
		return -ENOMEM;
	}
	fsctx_paths(t->fs, &root, NULL);
	top = base ? (struct path){base, base->root} : root;
	mutex_lock(mount_lock);
	bool ok = below_root(top.mnt, &root) || task_may_mount(t);
	if (ok)
		n = gather(ns, &top, base, last, reverse, v, cap);
	mutex_unlock(mount_lock);
	mount_put(base);
	path_put(&root);
	if (!ok) {
		kfree(v);
		return -EPERM;
	}
	sort(v, n, reverse);
	*out = v;
	return n;
}
