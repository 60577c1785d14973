/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /proc/PID/mounts, mountinfo and mountstats. */
#include <string.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/vfs/mount_int.h"

static void escaped(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\')
			buf_fmt(b, "\\%03o", (unsigned)(unsigned char)*s);
		else
			buf_addc(b, *s);
	}
}

static void mount_options(const struct mount *m, struct buf *b)
{
	static const struct {
		unsigned flag;
		const char *text;
	} opts[] = {
		{MS_NOSUID, ",nosuid"}, {MS_NODEV, ",nodev"}, {MS_NOEXEC, ",noexec"},
		{MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"}, {256, ",nosymfollow"},
	};
	buf_fmt(b, "%s", m->flags & MS_RDONLY ? "ro" : "rw");
	for (size_t i = 0; i < array_size(opts); i++) {
		if (m->flags & opts[i].flag)
			buf_fmt(b, "%s", opts[i].text);
	}
	if (!(m->flags & (MS_NOATIME | MS_STRICTATIME)))
		buf_fmt(b, ",relatime");
}

/* The nearest master with a member in the same namespace. */
const struct peer_group *mount_dominating_locked(const struct mount *m, const struct peer_group *g)
{
	struct mount *p;

	for (; g; g = g->master) {
		list_for_each(p, &g->members, peer_link) {
			if (p->ns == m->ns)
				return g;
		}
	}
	return NULL;
}

static void show_propagation(const struct mount *m, struct buf *b)
{
	mutex_lock(mount_lock);
	const struct peer_group *g = mount_master(m), *dom = g ? mount_dominating_locked(m, g) : NULL;
	if (m->peers)
		buf_fmt(b, " shared:%u", m->peers->id);
	if (g)
		buf_fmt(b, " master:%u", g->id);
	if (dom && dom != g)
		buf_fmt(b, " propagate_from:%u", dom->id);
	if (m->flags & MS_UNBINDABLE)
		buf_fmt(b, " unbindable");
	mutex_unlock(mount_lock);
}

static void super_options(struct mount *m, struct buf *b)
{
	const struct super_ops *o = super_ops_table[m->sb->sops];

	if (o && o->show_options)
		o->show_options(m->sb, b);
}

static void show_one(struct mount *m, const char *where, enum mount_text fmt, char *text, struct buf *b)
{
	struct super *sb = m->sb;

	switch (fmt) {
	case MOUNT_TEXT_MOUNTS:
		escaped(b, m->source);
		buf_addc(b, ' ');
		escaped(b, where);
		buf_fmt(b, " %s ", sb->type_name);
		mount_options(m, b);
		super_options(m, b);
		buf_fmt(b, " 0 0\n");
		break;
	case MOUNT_TEXT_INFO:
		buf_fmt(b, "%u %u %u:%u ", m->id, m->parent ? m->parent->id : m->id, major(sb->dev),
			minor(sb->dev));
		char *root = dentry_text(m->root, text, PATH_MAX_LEN);
		escaped(b, root ? root : "/");
		buf_addc(b, ' ');
		escaped(b, where);
		buf_addc(b, ' ');
		mount_options(m, b);
		show_propagation(m, b);
		buf_fmt(b, " - %s ", sb->type_name);
		escaped(b, m->source);
		buf_fmt(b, " %s", sb->flags & MS_RDONLY ? "ro" : "rw");
		super_options(m, b);
		buf_addc(b, '\n');
		break;
	case MOUNT_TEXT_STATS:
		buf_fmt(b, "device ");
		escaped(b, m->source);
		buf_fmt(b, " mounted on ");
		escaped(b, where);
		buf_fmt(b, " with fstype %s\n", sb->type_name);
		break;
	}
}

/* References to every mount of ns; *n of them. */
static struct mount **collect(struct mnt_ns *ns, uint32_t *n)
{
	mutex_lock(mount_lock);
	uint32_t want = ns->nr;
	mutex_unlock(mount_lock);
	struct mount **v = kmalloc_array(want + 8, sizeof(*v)), *m;
	*n = 0;
	if (!v)
		return NULL;
	mutex_lock(mount_lock);
	list_for_each(m, &ns->mounts, ns_link) {
		if (*n < want + 8)
			v[(*n)++] = mount_get(m);
	}
	mutex_unlock(mount_lock);
	return v;
}

void mounts_show(struct mnt_ns *ns, const struct path *root, enum mount_text fmt, struct buf *b)
{
	uint32_t n;
	struct mount **v = collect(ns, &n);
	char *text = kmalloc(2 * PATH_MAX_LEN);

	for (uint32_t i = 0; v && i < n; i++) {
		struct path p = {v[i], v[i]->root};
		char *where = text ? path_text(&p, root, text, PATH_MAX_LEN) : NULL;
		if (where && *where == '/')
			show_one(v[i], where, fmt, text + PATH_MAX_LEN, b);
		mount_put(v[i]);
	}
	kfree(text);
	kfree(v);
}
