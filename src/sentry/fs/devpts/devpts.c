/* SPDX-License-Identifier: Apache-2.0 */
/* devpts: one node per living pseudo terminal, and ptmx. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <linux/magic.h>

#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/tty/tty.h"

#define DEVPTS_MAX 4096u		/* kernel.pty.max */
#define PTS_MAJOR 136u

struct devpts {
	refcount_t ref;
	struct mutex lock;		/* RANK_OBJECT */
	struct tty *ttys[DEVPTS_MAX];	/* weak: devpts_forget clears */
	struct l_timespec born[DEVPTS_MAX];
	uint32_t uid[DEVPTS_MAX], gid[DEVPTS_MAX];
	uint32_t mode, ptmxmode;
	bool set_uid, set_gid;		/* by mount option; else the opener's */
	uint32_t opt_uid, opt_gid, max;
};

struct devpts_inode {
	struct inode inode;
	struct tty *tty;		/* owned; NULL: the root or ptmx */
};

KCACHE(devpts_inode_cache, struct devpts_inode, 0);

/* The instance that /dev/ptmx of this sandbox leads to: the first one mounted. */
static struct devpts *main_devpts;
static struct super *main_devpts_super;

static struct devpts *devpts_get(struct devpts *d)
{
	ref_get(&d->ref);
	return d;
}

static void devpts_put(struct devpts *d)
{
	if (ref_put(&d->ref))
		kfree(d);
}

static int make_inode(struct super *sb, uint32_t mode, uint64_t rdev, struct tty *t, struct inode **out)
{
	struct devpts_inode *di = kc_alloc(&devpts_inode_cache);

	if (!di)
		return -ENOMEM;
	inode_init(&di->inode, sb, mode, S_ISDIR(mode) ? IOPS_devpts_dir : IOPS_devpts,
		   S_ISDIR(mode) ? FOPS_devpts_dir : t ? FOPS_tty : FOPS_ptmx);
	di->inode.rdev = rdev;
	di->inode.nlink = S_ISDIR(mode) ? 2 : 1;
	if (t) {
		di->tty = tty_get(t);
		di->inode.ino = t->index + 3;
	}
	*out = &di->inode;
	return 0;
}

static void devpts_inode_destroy(struct inode *i)
{
	struct devpts_inode *di = container_of(i, struct devpts_inode, inode);

	if (di->tty)
		tty_put(steal(di->tty));
	kc_free(&devpts_inode_cache, di);
}

static int devpts_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct devpts *d = dir->sb->priv;
	uint64_t nr = 0;

	if (len == 4 && !memcmp(name, "ptmx", 4)) {
		int err = make_inode(dir->sb, S_IFCHR | d->ptmxmode, 5u << 8 | 2, NULL, out);
		if (!err)
			(*out)->ino = 2;
		return err;
	}
	if (len == 0 || len > 4 || (len > 1 && name[0] == '0'))
		return -ENOENT;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		nr = nr * 10 + (uint64_t)(name[i] - '0');
	}
	if (nr >= DEVPTS_MAX)
		return -ENOENT;
	mutex_lock(&d->lock);
	struct tty *t = d->ttys[nr];
	if (t && !ref_get_unless_zero(&t->ref))
		t = NULL;
	struct l_timespec born = d->born[nr];
	uint32_t uid = d->uid[nr], gid = d->gid[nr];
	mutex_unlock(&d->lock);
	if (!t)
		return -ENOENT;
	int err = make_inode(dir->sb, S_IFCHR | d->mode, (uint64_t)PTS_MAJOR << 8 | nr, t, out);
	if (!err) {
		(*out)->uid = uid;
		(*out)->gid = gid;
		(*out)->atime = (*out)->mtime = (*out)->ctime = born;
	}
	tty_put(t);
	return err;
}

static int devpts_revalidate(struct inode *dir, struct dentry *dentry)
{
	struct devpts *d = dir->sb->priv;

	if (!dentry->inode)
		return 0;
	struct tty *t = container_of(dentry->inode, struct devpts_inode, inode)->tty;
	if (!t)
		return 1;
	mutex_lock(&d->lock);
	bool alive = t->index < DEVPTS_MAX && d->ttys[t->index] == t;
	mutex_unlock(&d->lock);
	return alive;
}

static int devpts_iterate(struct file *f, struct dir_emit *e)
{
	struct devpts *d = f->inode->sb->priv;

	if (!dir_emit_dots(f, e))
		return 0;
	if (e->pos == 2) {
		if (dir_emit(e, "ptmx", 4, 2, DT_CHR, 3))
			return 0;
		e->pos = 3;
	}
	for (uint64_t i = (uint64_t)e->pos - 3; i < DEVPTS_MAX; i++) {
		mutex_lock(&d->lock);
		bool there = d->ttys[i] != NULL;
		mutex_unlock(&d->lock);
		if (!there)
			continue;
		char name[24];
		size_t n = fmt_n(name, sizeof(name), "%u", (unsigned)i);
		if (dir_emit(e, name, n, i + 3, DT_CHR, (int64_t)i + 4))
			return 0;
		e->pos = (int64_t)i + 4;
	}
	return 0;
}

const struct inode_ops devpts_dir_inode_ops = {
	.lookup = devpts_lookup,
	.revalidate = devpts_revalidate,
	.destroy = devpts_inode_destroy,
};
const struct inode_ops devpts_inode_ops = {.destroy = devpts_inode_destroy};
const struct file_ops devpts_dir_file_ops = {.iterate = devpts_iterate, .llseek = dir_llseek};

/* --- pairs ------------------------------------------------------------------------------------------ */

int devpts_new(struct inode *ptmx, struct tty **out)
{
	struct devpts *d = ptmx && ptmx->sb && ptmx->iops == IOPS_devpts ? ptmx->sb->priv : main_devpts;
	struct tty *t;

	if (!d)
		return -ENODEV;
	int err = tty_create(&t);
	if (err)
		return err;
	mutex_lock(&d->lock);
	uint32_t i = 0;
	while (i < d->max && d->ttys[i])
		i++;
	bool full = i >= d->max;
	if (!full) {
		t->index = i;
		t->devpts = devpts_get(d);
		d->ttys[i] = t;
		d->born[i] = now_real();
		d->uid[i] = d->set_uid ? d->opt_uid : current ? current->cred->fsuid : 0;
		d->gid[i] = d->set_gid ? d->opt_gid : current ? current->cred->fsgid : 0;
	}
	mutex_unlock(&d->lock);
	if (full) {
		tty_put(t);
		return -ENOSPC;
	}
	*out = t;
	return 0;
}

void devpts_forget(struct tty *t)
{
	struct devpts *d = steal(t->devpts);

	if (!d)
		return;
	mutex_lock(&d->lock);
	if (d->ttys[t->index] == t)
		d->ttys[t->index] = NULL;
	mutex_unlock(&d->lock);
	devpts_put(d);
}

int devpts_slave_open(struct inode *i, struct file *f)
{
	if (i->iops != IOPS_devpts)	/* a node made elsewhere with mknod */
		return -EIO;
	struct tty *t = container_of(i, struct devpts_inode, inode)->tty;
	return t ? tty_slave_attach(t, f) : -EIO;
}

int tty_open_slave(struct tty *t, struct file **out)
{
	struct inode *i;
	struct super *sb = main_devpts_super;
	int err = make_inode(sb, S_IFCHR | main_devpts->mode, (uint64_t)PTS_MAJOR << 8 | t->index, t, &i);

	if (err)
		return err;
	char name[24];
	fmt_n(name, sizeof(name), "/dev/pts/%u", t->index);
	err = file_anon(name, i, FOPS_tty, FMODE_READ | FMODE_WRITE, O_RDWR, current ? current->cred : NULL, out);
	if (err)
		return err;
	(*out)->flags |= O_NOCTTY;
	err = tty_slave_attach(t, *out);
	(*out)->flags &= ~(uint32_t)O_NOCTTY;
	if (err)
		file_put(steal(*out));
	return err;
}

/* --- superblock -------------------------------------------------------------------------------------- */

static void devpts_destroy(struct super *sb)
{
	devpts_put(steal(sb->priv));
}

static void devpts_options(struct super *sb, struct buf *b)
{
	struct devpts *d = sb->priv;

	if (d->set_uid)
		buf_fmt(b, ",uid=%u", d->opt_uid);
	if (d->set_gid)
		buf_fmt(b, ",gid=%u", d->opt_gid);
	buf_fmt(b, ",mode=%03o,ptmxmode=%03o", d->mode, d->ptmxmode);
	if (d->max < DEVPTS_MAX)
		buf_fmt(b, ",max=%u", d->max);
}

/* The digits at s up to the next comma, or -1. */
static int64_t option_number(const char *s, unsigned base)
{
	int64_t v = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s && *s != ','; s++) {
		if (*s < '0' || *s >= (char)('0' + base) || v > UINT32_MAX / 16)
			return -1;
		v = v * base + (*s - '0');
	}
	return v;
}

static int parse_one(struct devpts *d, const char *s, size_t n)
{
	const char *eq = memchr(s, '=', n);
	size_t k = eq ? (size_t)(eq - s) : n;
	int64_t v;

	if (!eq)
		return n == 0 || (n == 11 && !memcmp(s, "newinstance", n)) ? 0 : -EINVAL;
	bool octal = (k == 4 && !memcmp(s, "mode", k)) || (k == 8 && !memcmp(s, "ptmxmode", k));
	v = option_number(eq + 1, octal ? 8 : 10);
	if (v < 0)
		return -EINVAL;
	if (octal) {
		*(k == 4 ? &d->mode : &d->ptmxmode) = (uint32_t)v & 0777;
	} else if (k == 3 && !memcmp(s, "uid", k)) {
		d->opt_uid = (uint32_t)v;
		d->set_uid = true;
	} else if (k == 3 && !memcmp(s, "gid", k)) {
		d->opt_gid = (uint32_t)v;
		d->set_gid = true;
	} else if (k == 3 && !memcmp(s, "max", k) && v <= DEVPTS_MAX) {
		d->max = (uint32_t)v;
	} else {
		return -EINVAL;
	}
	return 0;
}

/* devpts(5) */
static int parse_options(struct devpts *d, const char *data)
{
	int err = 0;

	while (data && *data && !err) {
		const char *end = strchrnul(data, ',');
		err = parse_one(d, data, (size_t)(end - data));
		data = *end ? end + 1 : end;
	}
	return err;
}

static int devpts_remount(struct super *sb, unsigned flags, const char *data)
{
	(void)flags;
	return parse_options(sb->priv, data);
}

const struct super_ops devpts_super_ops = {
	.destroy = devpts_destroy, .show_options = devpts_options, .remount = devpts_remount,
};

int devpts_create(const char *data, struct super **out)
{
	struct super *sb = super_alloc(SOPS_devpts, DEVPTS_SUPER_MAGIC, "devpts");
	struct devpts *d = sb ? kmalloc(sizeof(*d)) : NULL;
	struct inode *root;

	if (!d) {
		if (sb)
			super_put(sb);
		return -ENOMEM;
	}
	ref_init(&d->ref, 1);
	mutex_init(&d->lock, RANK_OBJECT);
	d->mode = 0600;
	d->max = DEVPTS_MAX;
	sb->priv = d;
	int err = parse_options(d, data);
	if (!err)
		err = make_inode(sb, S_IFDIR | 0755, 0, NULL, &root);
	if (!err)
		err = super_set_root(sb, root);
	if (err) {
		super_put(sb);
		return err;
	}
	if (!main_devpts) {
		main_devpts = devpts_get(d);
		main_devpts_super = super_get(sb);
	}
	*out = sb;
	return 0;
}
