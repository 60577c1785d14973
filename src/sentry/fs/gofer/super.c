/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/statvfs.h>
#include "host/file.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer_int.h"

static KCACHE(gofer_super_cache, struct gofer_super, GOFER_ROOTS_MAX);

static int gofer_statfs(struct super *sb, struct l_statfs *st)
{
	struct gofer_inode *g = to_gofer(sb->root->inode);
	struct statfs hs;
	int hfd = attr_begin(g);

	if (hfd < 0)
		return hfd;
	int rc = h_fstatfs(hfd, &hs);
	attr_end(g);
	if (rc)
		return -EIO;
	*st = (struct l_statfs){
		.type = hs.f_type, .bsize = hs.f_bsize, .blocks = hs.f_blocks, .bfree = hs.f_bfree,
		.bavail = hs.f_bavail, .files = hs.f_files, .ffree = hs.f_ffree,
		.namelen = hs.f_namelen, .frsize = hs.f_frsize,
	};
	return 0;
}

static void gofer_show_options(struct super *sb, struct buf *b)
{
	const struct gofer_super *gs = sb->priv;

	buf_fmt(b, ",root=%u%s", gs->root, gs->flags & GOFER_SB_SHARED ? ",shared" : "");
}

static void gofer_super_destroy(struct super *sb)
{
	struct gofer_super *gs = sb->priv;

	gofer_unregister_super(sb);
	gofer_caps_fini(gs);
	htab_fini(&gs->table);
	kc_free(&gofer_super_cache, gs);
}

const struct super_ops gofer_super_ops = {
	.statfs = gofer_statfs,
	.show_options = gofer_show_options,
	.destroy = gofer_super_destroy,
};

static int attach(struct super *sb, unsigned root, struct inode **out)
{
	struct gcall c;

	gcall_begin(&c, GOFER_ATTACH);
	wire_put_u32(&c.w, root);
	int rc = gcall_send(&c);
	if (!rc)
		rc = gofer_node(&c, sb, out);
	gcall_end(&c);
	return rc;
}

int gofer_super_create(unsigned root, unsigned flags, struct super **out)
{
	struct gofer_super *gs = kc_alloc(&gofer_super_cache);
	struct inode *i;

	if (!gs)
		return -ENOMEM;
	bool ok = !htab_init(&gs->table);
	struct super *sb = ok ? super_alloc(SOPS_gofer, 0x01021997 /* V9FS */, "gofer") : NULL;
	if (!sb) {
		htab_fini(&gs->table);
		kc_free(&gofer_super_cache, gs);
		return -ENOMEM;
	}
	mutex_init(&gs->lock, RANK_GOFER_TABLE);
	gs->root = root;
	gs->flags = flags;
	sb->priv = gs;
	if (flags & GOFER_SB_RO)
		sb->flags |= ST_RDONLY;
	if (flags & GOFER_SB_LOWER)
		sb->inode_rank = RANK_INODE_LOWER;
	int rc = gofer_register_super(sb);
	if (!rc)
		rc = attach(sb, root, &i);
	if (!rc)
		rc = super_set_root(sb, i);
	if (rc)
		super_put(sb);
	else
		*out = sb;
	return rc;
}
