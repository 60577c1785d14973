/* SPDX-License-Identifier: Apache-2.0 */
/* Superblocks of tmpfs: limits, options, mount(2). */
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "lib/fmt.h"
#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount.h"

static KCACHE(tmpfs_super_cache, struct tmpfs_super, 0);

int tmpfs_super_init(struct tmpfs_super *ts, const struct tmpfs_opts *o)
{
	mutex_init(&ts->lock, RANK_OBJECT);
	ts->max_pages = (o->size + PAGE_SIZE - 1) / PAGE_SIZE;
	ts->max_inodes = o->inodes;
	ts->mode = o->mode & 07777;
	ts->uid = o->uid;
	ts->gid = o->gid;
	ts->iops = IOPS_tmpfs;
	ts->fops_reg = FOPS_tmpfs_reg;
	ts->fops_dir = FOPS_tmpfs_dir;
	return 0;
}

int tmpfs_super_create(const struct tmpfs_opts *o, struct super **out)
{
	struct super *sb = super_alloc(SOPS_tmpfs, TMPFS_MAGIC, "tmpfs");
	struct tmpfs_super *ts = kc_alloc(&tmpfs_super_cache);
	struct tnode *root;
	int r = -ENOMEM;

	if (!sb || !ts)
		goto fail;
	r = tmpfs_super_init(ts, o);
	sb->priv = ts;
	sb->acls = true;
	if (o->layer)
		sb->inode_rank = RANK_INODE_LOWER;
	if (!r)
		r = tnode_create(sb, NULL, S_IFDIR | ts->mode, 0, NULL, &root);
	if (r)
		goto fail_sb;
	root->inode.nlink = 2;
	root->inode.uid = o->uid;
	root->inode.gid = o->gid;
	r = super_set_root(sb, &root->inode);
	if (r)
		goto fail_sb;
	*out = sb;
	return 0;
fail_sb:
	super_put(sb);
	return r;
fail:
	kc_free(&tmpfs_super_cache, ts);
	super_put(sb);
	return r;
}

static void tmpfs_super_destroy(struct super *sb)
{
	kc_free(&tmpfs_super_cache, sb->priv);
}

int tmpfs_statfs(struct super *sb, struct l_statfs *st)
{
	struct tmpfs_super *ts = sb->priv;
	uint64_t used = __atomic_load_n(&ts->used_pages, __ATOMIC_RELAXED), total = ts->max_pages;

	/* what all files in memory may take together, if this one has no size of its own */
	uint64_t most = (charge_file_limit() ? charge_file_limit() : arena_size()) / PAGE_SIZE;
	uint64_t others = charge_used(CHARGE_FILE) / PAGE_SIZE, left = others < most ? most - others : 0;
	if (!total)
		total = used + left;
	uint64_t files = ts->max_inodes ? ts->max_inodes : 1u << 20;
	st->bsize = st->frsize = (int64_t)PAGE_SIZE;
	st->blocks = total;
	st->bfree = st->bavail = used < total ? min(total - used, left) : 0;
	st->files = files;
	st->ffree = files - min(files, __atomic_load_n(&ts->used_inodes, __ATOMIC_RELAXED));
	st->namelen = NAME_MAX_LEN;
	return 0;
}

void tmpfs_show_options(struct super *sb, struct buf *b)
{
	struct tmpfs_super *ts = sb->priv;

	if (ts->max_pages)
		buf_fmt(b, ",size=%lluk", (unsigned long long)(ts->max_pages * (PAGE_SIZE / 1024)));
	if (ts->max_inodes)
		buf_fmt(b, ",nr_inodes=%llu", (unsigned long long)ts->max_inodes);
	if (ts->mode != 01777)
		buf_fmt(b, ",mode=%03o", ts->mode);
	if (ts->uid)
		buf_fmt(b, ",uid=%u", ts->uid);
	if (ts->gid)
		buf_fmt(b, ",gid=%u", ts->gid);
}

/* --- options --------------------------------------------------------------------------------- */

static const char *number(const char *s, unsigned base, uint64_t *out)
{
	uint64_t v = 0;
	const char *p = s;

	for (; *p >= '0' && *p < (char)('0' + base); p++) {
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			return NULL;
	}
	*out = v;
	return p == s ? NULL : p;
}

static const char *size_number(const char *s, uint64_t *out)
{
	static const char unit[] = "kmgt";
	const char *p = number(s, 10, out), *u;

	if (!p)
		return NULL;
	if (*p == '%') {
		uint64_t total = charge_limit() ? charge_limit() : arena_size();
		*out = total / 100 * min(*out, (uint64_t)100);
		return p + 1;
	}
	u = *p ? strchr(unit, *p | 0x20) : NULL;
	if (u && *p) {
		unsigned shift = (unsigned)(u - unit + 1) * 10;
		if (*out > UINT64_MAX >> shift)
			return NULL;
		*out <<= shift;
		p++;
	}
	return p;
}

static bool is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(s, word, len) == 0;
}

/* One "key[=value]"; false when it makes no sense. */
static bool option(struct tmpfs_opts *o, const char *s, const char *end)
{
	const char *eq = memchr(s, '=', (size_t)(end - s)), *p = NULL;
	size_t n = (size_t)((eq ? eq : end) - s);
	uint64_t v = 0;

	if (!eq)
		return is(s, n, "inode64") || is(s, n, "inode32") || is(s, n, "noswap") ||
		       is(s, n, "rw") || is(s, n, "ro") || n == 0;
	if (is(s, n, "size")) {
		p = size_number(eq + 1, &o->size);
	} else if (is(s, n, "nr_blocks")) {
		p = size_number(eq + 1, &v);
		o->size = v > UINT64_MAX / PAGE_SIZE ? 0 : v * PAGE_SIZE;
	} else if (is(s, n, "nr_inodes")) {
		p = size_number(eq + 1, &o->inodes);
	} else if (is(s, n, "mode")) {
		p = number(eq + 1, 8, &v);
		o->mode = (uint32_t)v & 07777;
	} else if (is(s, n, "uid") || is(s, n, "gid")) {
		p = number(eq + 1, 10, &v);
		*(s[0] == 'u' ? &o->uid : &o->gid) = (uint32_t)v;
	} else {
		return is(s, n, "huge") || is(s, n, "mpol");
	}
	return p == end;
}

static bool parse_options(struct tmpfs_opts *o, const char *data)
{
	while (data && *data) {
		const char *end = strchrnul(data, ',');
		if (!option(o, data, end))
			return false;
		data = *end ? end + 1 : end;
	}
	return true;
}

static int tmpfs_mount(struct task *t, const char *source, unsigned flags, const char *data,
		       struct super **out)
{
	struct tmpfs_opts o = {.mode = 01777};

	if (t) {
		o.uid = t->cred->fsuid;
		o.gid = t->cred->fsgid;
	}
	return parse_options(&o, data) ? tmpfs_super_create(&o, out) : -EINVAL;
}

static int tmpfs_remount(struct super *sb, unsigned flags, const char *data)
{
	struct tmpfs_super *ts = sb->priv;
	struct tmpfs_opts o = {.size = ts->max_pages * PAGE_SIZE, .inodes = ts->max_inodes,
			       .mode = ts->mode, .uid = ts->uid, .gid = ts->gid};

	if (!parse_options(&o, data))
		return -EINVAL;
	uint64_t pages = (o.size + PAGE_SIZE - 1) / PAGE_SIZE;
	if ((pages && pages < ts->used_pages) || (o.inodes && o.inodes < ts->used_inodes))
		return -EINVAL;
	ts->max_pages = pages;
	ts->max_inodes = o.inodes;
	return 0;
}

const struct super_ops tmpfs_super_ops = {
	.statfs = tmpfs_statfs,
	.show_options = tmpfs_show_options,
	.remount = tmpfs_remount,
	.destroy = tmpfs_super_destroy,
};

static int tmpfs_check(struct task *t, const char *key, const char *value)
{
	struct tmpfs_opts o = {0};
	char one[320];

	fmt_n(one, sizeof(one), "%s%s%s", key, value ? "=" : "", value ? value : "");
	return option(&o, one, one + strlen(one)) ? 0 : -EINVAL;
}

static const char *const tmpfs_keys[] = {"size=", "nr_blocks=", "nr_inodes=", "mode=", "uid=", "gid=",
					 "huge=", "mpol=", "inode64", "inode32", "noswap", NULL};
static const struct fs_type tmpfs_type = {.name = "tmpfs", .nodev = true, .create = tmpfs_mount,
					  .keys = tmpfs_keys, .check = tmpfs_check};
static const struct fs_type ramfs_type = {.name = "ramfs", .nodev = true, .create = tmpfs_mount,
					  .keys = tmpfs_keys, .check = tmpfs_check};

int tmpfs_init(void)
{
	fs_type_register(&tmpfs_type);
	fs_type_register(&ramfs_type);
	return arena_init();
}
