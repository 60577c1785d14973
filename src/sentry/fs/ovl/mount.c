/* SPDX-License-Identifier: Apache-2.0 */
/* Superblocks: the layers of a mount(2), and what is asked of them (fs/overlayfs/super.c). */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "abi/stat.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/stack.h"

static KCACHE(ovl_super_cache, struct ovl_super, 0);

static struct dentry *top_layer(const struct ovl_super *os)
{
	return os->upper_mnt ? os->upper_mnt->root : os->lower_mnt[0]->root;
}

static int ovl_statfs(struct super *sb, struct l_statfs *st)
{
	struct super *real = top_layer(sb->priv)->sb;
	const struct super_ops *o = super_ops_table[real->sops];

	return o && o->statfs ? o->statfs(real, st) : 0;
}

static int ovl_sync(struct super *sb)
{
	struct ovl_super *os = sb->priv;
	struct super *real = os->upper_mnt ? os->upper_mnt->sb : NULL;

	if (!real || os->c.is_volatile || !super_ops_table[real->sops]->sync)
		return 0;
	return super_ops_table[real->sops]->sync(real);
}

/* Paths keep their colons and backslashes; commas and blanks are escaped as in all options. */
static void show_path(struct buf *b, const char *key, const char *s)
{
	buf_fmt(b, ",%s=", key);
	for (; *s; s++) {
		if (strchr(", \t\n", *s))
			buf_fmt(b, "\\%03o", (unsigned)(unsigned char)*s);
		else
			buf_addc(b, *s);
	}
}

static void ovl_show_options(struct super *sb, struct buf *b)
{
	const struct ovl_super *os = sb->priv;

	show_path(b, "lowerdir", os->c.lower);
	if (os->upper_mnt) {
		show_path(b, "upperdir", os->c.upper);
		show_path(b, "workdir", os->c.work);
	}
	if (os->upper_mnt)
		buf_fmt(b, ",uuid=on");
	if (os->c.is_volatile)
		buf_fmt(b, ",volatile");
	if (os->c.userxattr)
		buf_fmt(b, ",userxattr");
}

static void ovl_super_free(struct super *sb)
{
	struct ovl_super *os = sb->priv;

	if (!os)
		return;
	dentry_put(os->work);
	mount_put(os->upper_mnt);
	for (uint32_t i = 0; i < os->n_lower; i++)
		mount_put(os->lower_mnt[i]);
	ovl_config_fini(&os->c);
	htab_fini(&os->hash);
	kc_free(&ovl_super_cache, os);
}

const struct super_ops ovl_super_ops = {
	.statfs = ovl_statfs,
	.sync = ovl_sync,
	.show_options = ovl_show_options,
	.destroy = ovl_super_free,
};

/* --- making one ------------------------------------------------------------------------------ */

static int find_dir(struct task *t, const char *name, struct path *out)
{
	int r = path_lookup(t, AT_FDCWD, name, LOOKUP_FOLLOW, out);

	if (r || S_ISDIR(out->dentry->inode->mode))
		return r;
	path_put(out);
	return -EINVAL;
}

/* Neither of the two may lie in the other. */
static bool overlap(const struct dentry *a, const struct dentry *b)
{
	return a->sb == b->sb && (dentry_is_below(a, b) || dentry_is_below(b, a));
}

/* A private mount of each layer keeps its file system alive. */
static int open_lower(struct task *t, struct ovl_super *os, char *buf)
{
	const char *s = os->c.lower;
	struct path p;
	int r = 0;

	while (!r && (s = ovl_next_layer(s, buf, PATH_MAX_LEN))) {
		if (os->n_lower == OVL_LAYERS_MAX || !*buf)	/* "::" (data only) is not built */
			return -EINVAL;
		r = find_dir(t, buf, &p);
		if (r)
			return r;
		r = mount_clone_alone(&p, &os->lower_mnt[os->n_lower]);
		path_put(&p);
		if (!r)
			os->n_lower++;
	}
	if (!r && !os->c.upper && os->n_lower < 2)
		r = -EINVAL;
	return r;
}

/* workdir/work, where copies are made. */
static int open_work(struct ovl_super *os, struct dentry *workdir)
{
	int r = ovl_make(workdir, "work", 4, S_IFDIR, 0, NULL, NULL, &os->work);

	if (r == -EEXIST) {
		r = dentry_lookup(workdir, "work", 4, &os->work);
		if (!r && !os->work->inode)
			r = -ENOENT;
		if (!r && !S_ISDIR(os->work->inode->mode))
			r = -EINVAL;
	}
	return r;
}

static int open_upper(struct task *t, struct ovl_super *os)
{
	struct path up, work;
	int r = find_dir(t, os->c.upper, &up);

	if (r)
		return r;
	r = find_dir(t, os->c.work, &work);
	if (r) {
		path_put(&up);
		return r;
	}
	if (up.mnt != work.mnt || overlap(up.dentry, work.dentry) ||
	    path_want_write(&up))
		r = -EINVAL;
	if (!r)
		r = mount_clone_alone(&up, &os->upper_mnt);
	if (!r)
		r = open_work(os, work.dentry);
	path_put(&work);
	path_put(&up);
	return r;
}

/* Layers must not lie in each other, nor more than two overlays upon each other. */
static int check_layers(struct super *sb, struct ovl_super *os)
{
	unsigned depth = os->upper_mnt ? os->upper_mnt->sb->depth : 0;

	for (uint32_t i = 0; i < os->n_lower; i++) {
		struct dentry *d = os->lower_mnt[i]->root;
		if (os->upper_mnt && (overlap(d, os->upper_mnt->root) || overlap(d, os->work)))
			return -ELOOP;
		for (uint32_t k = 0; k < i; k++) {
			if (overlap(d, os->lower_mnt[k]->root))
				return -ELOOP;
		}
		depth = max(depth, os->lower_mnt[i]->sb->depth);
	}
	if (depth >= OVL_DEPTH_MAX)
		return -EINVAL;
	sb->depth = depth + 1;
	return 0;
}

static void set_ranks(struct super *sb, struct ovl_super *os)
{
	bool second = sb->depth > 1;

	sb->inode_rank = second ? RANK_OVL2_INODE : RANK_OVL1_INODE;
	mutex_init(&sb->rename_lock, second ? RANK_OVL2_RENAME : RANK_OVL1_RENAME);
	mutex_init(&os->copy_lock, second ? RANK_OVL2_COPY : RANK_OVL1_COPY);
}

static int make_root(struct super *sb, struct ovl_super *os)
{
	struct dentry *lower[OVL_LAYERS_MAX];
	struct inode *root;
	struct kstat st;
	int r = ovl_stat(top_layer(os)->inode, &st);

	if (r)
		return r;
	os->main_dev = st.dev;
	for (uint32_t i = 0; i < os->n_lower; i++)
		lower[i] = dentry_get(os->lower_mnt[i]->root);
	struct dentry *up = os->upper_mnt ? dentry_get(os->upper_mnt->root) : NULL;
	r = ovl_node_get(sb, up, lower, os->n_lower, NULL, &root);
	return r ? r : super_set_root(sb, root);
}

static int fill(struct task *t, struct super *sb, struct ovl_super *os, const char *data)
{
	char *buf = kmalloc(PATH_MAX_LEN);
	int r = buf ? ovl_parse(data, &os->c) : -ENOMEM;

	/* Marks of the trusted kind are not for a user namespace's root. */
	os->noxattr = !os->c.userxattr && t && !task_capable(t, CAP_SYS_ADMIN);
	if (!r)
		r = open_lower(t, os, buf);
	if (!r && os->c.upper)
		r = open_upper(t, os);
	kfree(buf);
	if (!r)
		r = check_layers(sb, os);
	if (r)
		return r;
	set_ranks(sb, os);
	if (!os->upper_mnt)
		sb->flags |= ST_RDONLY;
	return make_root(sb, os);
}

static int ovl_mount(struct task *t, const char *source, unsigned flags, const char *data,
		     struct super **out)
{
	struct super *sb = super_alloc(SOPS_ovl, OVERLAYFS_SUPER_MAGIC, "overlay");
	struct ovl_super *os = sb ? kc_alloc(&ovl_super_cache) : NULL;

	if (!os) {
		super_put(sb);
		return -ENOMEM;
	}
	mutex_init(&os->lock, RANK_OBJECT);
	mutex_init(&os->copy_lock, RANK_OVL1_COPY);
	sb->priv = os;
	int r = htab_init(&os->hash);
	if (!r)
		r = fill(t, sb, os, data);
	if (r)
		super_put(sb);
	else
		*out = sb;
	return r;
}

/* Directories are looked for at once. */
static int ovl_check(struct task *t, const char *key, const char *value)
{
	struct path p;

	if (strcmp(key, "upperdir") && strcmp(key, "workdir") && strcmp(key, "lowerdir+"))
		return 0;
	int r = find_dir(t, value, &p);
	if (!r)
		path_put(&p);
	return r;
}

int ovl_init(void)
{
	static const char *const keys[] = {
		"lowerdir=", "lowerdir+=", "upperdir=", "workdir=", "redirect_dir=", "index=", "uuid=",
		"nfs_export=", "xino=", "metacopy=", "verity=", "fsync=", "userxattr", "volatile",
		"default_permissions", NULL,
	};
	static const struct fs_type type = {.name = "overlay", .nodev = true, .create = ovl_mount,
					    .escapes = true, .keys = keys, .check = ovl_check};

	fs_type_register(&type);
	return 0;
}
