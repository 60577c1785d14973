/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/pseudo/pseudo.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <dirent.h>

#include "sentry/core/kheap.h"

KCACHE(pseudo_inode_cache, struct pseudo_inode, 0);

static const struct pseudo_entry *pseudo_entry_of(const struct pseudo_inode *pi)
{
	const struct pseudo_table *t = pseudo_tables[pi->table];

	return pi->entry < t->n ? &t->e[pi->entry] : NULL;
}

int64_t pseudo_parse_nr(const char *name, size_t len)
{
	int64_t v = 0;

	if (len == 0 || len > 10 || (name[0] == '0' && len > 1))
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		v = v * 10 + (name[i] - '0');
	}
	return v <= INT_MAX ? v : -1;
}

int pseudo_index(enum pseudo_table_id table, const char *path)
{
	const struct pseudo_table *t = pseudo_tables[table];

	for (unsigned i = 0; i < t->n; i++)
		if (!strcmp(t->e[i].path, path))
			return (int)i;
	return -1;
}

/* --- inodes ---------------------------------------------------------------------------------- */

/* The owner of a process's files is its effective user, or root when it is not dumpable. */
static void pseudo_owner(struct pseudo_inode *pi, struct task *t)
{
	struct cred *c = task_cred_get(t);
	bool dumpable = S_ISDIR(pi->inode.mode) || !t->mm || t->mm->dumpable;

	pi->inode.uid = dumpable ? c->euid : 0;
	pi->inode.gid = dumpable ? c->egid : 0;
	cred_put(c);
}

static int pseudo_new(struct super *sb, enum pseudo_table_id table, uint32_t entry, uint16_t prefix,
		      uint32_t mode, struct pid *pid, bool thread, uint64_t arg, struct inode **out)
{
	const struct pseudo_entry *e = &pseudo_tables[table]->e[entry];
	struct pseudo_inode *pi = kc_alloc(&pseudo_inode_cache);
	enum file_ops_id fops = S_ISDIR(mode) ? FOPS_pseudo_dir : FOPS_pseudo;

	if (!pi)
		return -ENOMEM;
	if (S_ISREG(mode) && e->fops)
		fops = e->fops;
	inode_init(&pi->inode, sb, mode, S_ISLNK(mode) && e->follow ? IOPS_pseudo_magic : IOPS_pseudo,
		   fops);
	pi->inode.nlink = S_ISDIR(mode) ? 2 : 1;
	pi->table = (uint16_t)table;
	pi->entry = entry;
	pi->prefix = prefix;
	pi->thread = thread;
	pi->arg = arg;
	if (pid) {
		ref_get(&pid->ref);
		pi->pid = pid;
	}
	*out = &pi->inode;
	return 0;
}

int pseudo_root(struct super *sb, enum pseudo_table_id table, uint32_t mode, struct inode **out)
{
	return pseudo_new(sb, table, 0, 0, mode, NULL, false, 0, out);
}

int pseudo_make(struct super *sb, enum pseudo_table_id table, const char *path, struct pid *pid,
		bool thread, uint64_t arg, struct inode **out)
{
	int idx = *path ? pseudo_index(table, path) : 0;

	if (idx < 0)
		return -ENOENT;
	uint32_t mode = *path ? pseudo_tables[table]->e[idx].mode : (S_IFDIR | 0555);
	if (!mode)
		mode = S_IFREG | 0444;
	return pseudo_new(sb, table, (uint32_t)idx, (uint16_t)strlen(path), mode, pid, thread, arg, out);
}

static struct task *pseudo_task(const struct pseudo_inode *pi)
{
	struct task *t = NULL;

	mutex_lock(&tasks_lock);
	for (int type = PIDTYPE_PID; type <= PIDTYPE_TGID && !t; type++) {
		struct list *l = &pi->pid->tasks[type];
		if (!list_empty(l))
			t = task_get(list_entry(l->next, struct task, pid_links[type]));
	}
	mutex_unlock(&tasks_lock);
	return t;
}

int pseudo_ctx_get(struct inode *i, struct pseudo_ctx *c)
{
	struct pseudo_inode *pi = PSEUDO(i);

	*c = (struct pseudo_ctx){.pi = pi, .e = pseudo_entry_of(pi), .reader = current};
	if (!pi->pid)
		return 0;
	c->task = pseudo_task(pi);
	return c->task ? 0 : -ESRCH;
}

void pseudo_ctx_put(struct pseudo_ctx *c)
{
	if (c->task)
		task_put(steal(c->task));
}

static void pseudo_destroy(struct inode *i)
{
	struct pseudo_inode *pi = PSEUDO(i);

	if (pi->pid)
		pid_put(pi->pid);
	kc_free(&pseudo_inode_cache, pi);
}

/* --- directories ------------------------------------------------------------------------------ */

/*
 * The child of directory (table, prefix of dir) that entry e stands for: its name's length, or 0
 * when e does not lie below. *is_leaf says that e itself is that child.
 */
static size_t pseudo_child(const char *dir, size_t prefix, const char *path, const char **name,
			   bool *is_leaf)
{
	if (prefix) {
		if (strncmp(path, dir, prefix) || path[prefix] != '/')
			return 0;
		path += prefix + 1;
	}
	const char *slash = strchr(path, '/');
	*name = path;
	*is_leaf = !slash;
	return slash ? (size_t)(slash - path) : strlen(path);
}

static uint32_t pseudo_child_mode(const struct pseudo_entry *e, bool leaf)
{
	if (!leaf)
		return S_IFDIR | 0555;
	return e->mode ? e->mode : S_IFREG | 0444;
}

/* The computed children of a directory, or NULL. */
static const struct pseudo_dir_ops *pseudo_dir(const struct pseudo_inode *pi)
{
	const struct pseudo_entry *e = &pseudo_tables[pi->table]->e[pi->entry];

	return !pi->prefix || strlen(e->path) == pi->prefix ? e->dir : NULL;
}

static int pseudo_getattr(struct inode *i, struct kstat *st, unsigned query)
{
	const struct pseudo_dir_ops *ops = S_ISDIR(i->mode) ? pseudo_dir(PSEUDO(i)) : NULL;
	struct pseudo_ctx c;

	(void)query;
	inode_fill_stat(i, st);
	if (ops && ops->stat) {
		if (!pseudo_ctx_get(i, &c))
			ops->stat(&c, st);
		pseudo_ctx_put(&c);
	}
	return 0;
}

static int pseudo_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct pseudo_inode *pi = PSEUDO(dir);
	const struct pseudo_table *t = pseudo_tables[pi->table];
	const char *base = t->e[pi->entry].path, *child;
	bool leaf;
	int err = -ENOENT;

	for (unsigned k = 0; k < t->n; k++) {
		size_t n = pseudo_child(base, pi->prefix, t->e[k].path, &child, &leaf);
		if (n != len || memcmp(child, name, len) || (t->e[k].whole && pi->thread))
			continue;
		uint16_t prefix = (uint16_t)((size_t)(child - t->e[k].path) + n);
		err = pseudo_new(dir->sb, pi->table, k, prefix, pseudo_child_mode(&t->e[k], leaf),
				 pi->pid, pi->thread, pi->arg, out);
		break;
	}
	struct pseudo_ctx c;
	const struct pseudo_dir_ops *ops = pseudo_dir(pi);
	if (err == -ENOENT && ops) {
		err = pseudo_ctx_get(dir, &c);
		if (!err)
			err = ops->lookup(&c, name, len, out);
		else
			err = -ENOENT;
		pseudo_ctx_put(&c);
	}
	if (!err && PSEUDO(*out)->pid) {
		struct task *task = pseudo_task(PSEUDO(*out));
		if (task) {
			pseudo_owner(PSEUDO(*out), task);
			task_put(task);
		}
	}
	return err;
}

static int pseudo_revalidate(struct inode *dir, struct dentry *d)
{
	struct pseudo_inode *pi = PSEUDO(dir);

	if (!d->inode)			/* computed children may have appeared */
		return !pseudo_entry_of(pi)->dir;
	struct pseudo_inode *ci = PSEUDO(d->inode);
	if (!ci->pid)
		return pi->prefix == 0 || !pseudo_entry_of(pi)->dir;
	struct task *t = pseudo_task(ci);
	if (!t)
		return 0;
	pseudo_owner(ci, t);
	task_put(t);
	/* Descriptors come and go: look again. */
	return !(pseudo_entry_of(pi)->dir && pi->prefix && pi->pid);
}

static int pseudo_iterate(struct file *f, struct dir_emit *e)
{
	struct pseudo_inode *pi = PSEUDO(f->inode);
	const struct pseudo_table *t = pseudo_tables[pi->table];
	const char *base = t->e[pi->entry].path;

	if (!dir_emit_dots(f, e))
		return 0;
	for (unsigned k = (unsigned)(e->pos - 2); e->pos >= 2 && k < t->n; k++) {
		const char *child, *before;
		bool leaf, leaf2, dup = false;
		size_t n = pseudo_child(base, pi->prefix, t->e[k].path, &child, &leaf);
		if (!n || (t->e[k].whole && pi->thread))
			continue;
		for (unsigned j = 0; j < k && !leaf && !dup; j++)	/* a directory once */
			dup = pseudo_child(base, pi->prefix, t->e[j].path, &before, &leaf2) == n &&
			      !memcmp(before, child, n);
		if (dup)
			continue;
		unsigned type = IFTODT(pseudo_child_mode(&t->e[k], leaf));
		if (dir_emit(e, child, n, ((uint64_t)pi->table << 32 | k) + 1, type, (int64_t)k + 3))
			return 0;
		e->pos = (int64_t)k + 3;
	}
	int64_t first = (int64_t)t->n + 2;
	if (e->pos < first)
		e->pos = first;
	const struct pseudo_dir_ops *ops = pseudo_dir(pi);
	if (!ops)
		return 0;
	struct pseudo_ctx c;
	int err = pseudo_ctx_get(f->inode, &c);
	if (!err)
		err = ops->iterate(&c, f, e, first);
	pseudo_ctx_put(&c);
	return err;
}

/* --- links and files ----------------------------------------------------------------------------- */

static int64_t pseudo_readlink(struct inode *i, char *buf, size_t cap)
{
	struct pseudo_ctx c;
	int64_t r = pseudo_ctx_get(i, &c);

	if (!r)
		r = c.e->readlink ? c.e->readlink(&c, buf, cap) : -EINVAL;
	else
		r = -ENOENT;
	pseudo_ctx_put(&c);
	return r;
}

static int pseudo_follow(struct inode *i, struct task *t, struct path *out)
{
	struct pseudo_ctx c;
	int err = pseudo_ctx_get(i, &c);

	if (!err)
		err = c.e->follow(&c, out);
	else
		err = -ENOENT;
	pseudo_ctx_put(&c);
	return err;
}

struct pseudo_text {
	size_t n;
	char p[];
};

static int pseudo_produce(struct file *f)
{
	struct pseudo_ctx c;
	struct buf b = {0};
	int err = pseudo_ctx_get(f->inode, &c);

	if (!err)
		err = c.e->show ? c.e->show(&c, &b) : -EINVAL;
	pseudo_ctx_put(&c);
	if (!err && b.oom)
		err = -ENOMEM;
	if (!err) {
		struct pseudo_text *t = kmalloc(sizeof(*t) + b.len + 1);
		if (t) {
			t->n = b.len;
			if (b.len)
				memcpy(t->p, b.p, b.len);
			kfree(f->priv);
			f->priv = t;
		} else {
			err = -ENOMEM;
		}
	}
	buf_fini(&b);
	return err;
}

static int64_t pseudo_read(struct file *f, struct uio *u, int64_t *pos)
{
	if (!f->priv || *pos == 0) {
		int err = pseudo_produce(f);
		if (err)
			return err;
	}
	struct pseudo_text *t = f->priv;
	if (*pos < 0 || (uint64_t)*pos >= t->n)
		return 0;
	int64_t n = uio_put(u, t->p + *pos, min(t->n - (size_t)*pos, (size_t)u->left));
	if (n > 0)
		*pos += n;
	return n;
}

static int64_t pseudo_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct pseudo_ctx c;
	size_t n = min((size_t)u->left, PAGE_SIZE - 1);
	char *text = kmalloc(PAGE_SIZE);

	if (!text)
		return -ENOMEM;
	int64_t r = uio_get(u, text, n);
	if (r >= 0) {
		n = (size_t)r;
		text[n] = 0;
		r = pseudo_ctx_get(f->inode, &c);
		if (!r)
			r = c.e->store ? c.e->store(&c, text, n) : -EINVAL;
		pseudo_ctx_put(&c);
		if (r >= 0) {
			r = (int64_t)n;
			*pos += r;
		}
	}
	kfree(text);
	return r;
}

static int64_t pseudo_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence == SEEK_END) {
		int err = f->priv ? 0 : pseudo_produce(f);
		if (err)
			return err;
		off += (int64_t)((struct pseudo_text *)f->priv)->n;
	} else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

static int pseudo_open(struct inode *i, struct file *f)
{
	const struct pseudo_entry *e = pseudo_entry_of(PSEUDO(i));

	/* sysfs refuses; proc lets those who may override modes open, and refuses the write. */
	if ((f->mode & FMODE_WRITE) && !e->store && i->sb->magic != PROC_SUPER_MAGIC)
		return -EACCES;
	return 0;
}

static void pseudo_release(struct file *f)
{
	kfree(f->priv);
	f->priv = NULL;
}

static int pseudo_setattr(struct inode *i, const struct iattr *a)
{
	if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	return 0;	/* truncation by O_TRUNC and times: accepted, without effect */
}

/* As proc does: a process's own directory is immutable; below sys no capability overrides a mode. */
static int pseudo_permission(struct inode *i, int mask, const struct cred *cred)
{
	const struct pseudo_inode *pi = PSEUDO(i);
	uint32_t bits = i->mode;

	if (pi->table == PT_PROC_PID && !pi->prefix && S_ISDIR(i->mode) && (mask & W_OK))
		return -EPERM;
	if (pi->table != PT_PROC || strncmp(pseudo_entry_of(pi)->path, "sys/", 4) || pi->prefix == 0)
		return inode_generic_permission(i, mask, cred);
	if (cred->euid == i->uid)
		bits >>= 6;
	else if (cred_in_egroup(cred, i->gid))
		bits >>= 3;
	return (uint32_t)mask & ~bits & 7 ? -EACCES : 0;
}

const struct inode_ops pseudo_inode_ops = {
	.lookup = pseudo_lookup,
	.permission = pseudo_permission,
	.revalidate = pseudo_revalidate,
	.getattr = pseudo_getattr,
	.readlink = pseudo_readlink,
	.setattr = pseudo_setattr,
	.destroy = pseudo_destroy,
};

const struct inode_ops pseudo_magic_inode_ops = {
	.readlink = pseudo_readlink,
	.follow = pseudo_follow,
	.setattr = pseudo_setattr,
	.destroy = pseudo_destroy,
};

const struct file_ops pseudo_file_ops = {
	.open = pseudo_open,
	.release = pseudo_release,
	.read = pseudo_read,
	.write = pseudo_write,
	.llseek = pseudo_llseek,
};

const struct file_ops pseudo_dir_file_ops = {
	.llseek = dir_llseek,
	.iterate = pseudo_iterate,
};
