/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening: from flags and a name to a struct file, in Linux's order of checks (fs/namei.c
 * path_openat, do_open, may_open; fs/open.c do_dentry_open).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/acl.h"
#include "sentry/vfs/vfs_int.h"

_Thread_local unsigned vfs_open_intent;
_Thread_local enum vfs_name_intent vfs_name_intent;
int (*vfs_chrdev_fops)(uint64_t rdev, enum file_ops_id *out);
enum file_ops_id vfs_fifo_fops;

static unsigned mode_of_flags(unsigned flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return FMODE_READ;
	case O_WRONLY:
		return FMODE_WRITE;
	default:
		return FMODE_READ | FMODE_WRITE;	/* 3: neither, but for ioctl; treated as both */
	}
}

static int special_fops(struct file *f, struct inode *i)
{
	enum file_ops_id id = (enum file_ops_id)i->fops;
	int r;

	if (i->sb == anon_super() && id != FOPS_none) {	/* a donated host descriptor, opened again */
		f->fops = (uint16_t)id;
		return 0;
	}
	switch (i->mode & S_IFMT) {
	case S_IFCHR:
		if (!vfs_chrdev_fops)
			return -ENXIO;
		r = vfs_chrdev_fops(i->rdev, &id);
		if (r)
			return r;
		break;
	case S_IFBLK:
	case S_IFSOCK:
		return -ENXIO;
	case S_IFIFO:
		id = vfs_fifo_fops;
		if (id == FOPS_none)
			return -ENXIO;
		f->mode |= FMODE_STREAM;
		break;
	}
	f->fops = (uint16_t)id;
	return 0;
}

int file_open_on(struct file *f, const struct path *p)
{
	struct inode *i = p->dentry->inode;
	int r;

	f->path = *p;
	path_get(&f->path);
	f->inode = i;
	if (f->flags & O_PATH) {
		f->mode = FMODE_PATH;
		f->flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH;
		return 0;
	}
	f->mode = mode_of_flags(f->flags);
	r = special_fops(f, i);
	if (r)
		return r;
	if ((f->mode & FMODE_WRITE) && S_ISREG(i->mode)) {
		r = inode_get_write(i);
		if (r)
			return r;
		f->mode |= FMODE_WRITE_COUNTED;
	}
	if (file_ops(f)->open)
		r = file_ops(f)->open(i, f);
	if (r && (f->mode & FMODE_WRITE_COUNTED))
		inode_put_write(i);
	f->flags &= ~(unsigned)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC);
	return r;
}

int file_open_inode(struct inode *i, unsigned flags, const struct cred *cred, struct file **out)
{
	struct file *f;
	struct path p = {NULL, NULL};
	int r = file_alloc(cred, flags, &f);

	if (r)
		return r;
	r = dentry_detached(i->sb, "layer", inode_get(i), &p.dentry);
	if (r) {
		file_free_unopened(f);
		return r;
	}
	r = file_open_on(f, &p);
	path_put(&p);
	if (r)
		file_free_unopened(f);
	else
		*out = f;
	return r;
}

/* may_open and handle_truncate: p exists. acc: R_OK... for the permission check. */
static int check_open(const struct path *p, unsigned flags, int acc, bool created,
		      const struct cred *cred)
{
	struct inode *i = p->dentry->inode;
	uint32_t mode = i->mode;
	int r;

	switch (mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		if (acc & W_OK)
			return -EISDIR;
		if (acc & 8)
			return -EACCES;
		break;
	case S_IFCHR:
	case S_IFBLK:
		if (p->mnt && (p->mnt->flags & MS_NODEV))
			return -EACCES;
		break;
	case S_IFREG:
		if ((acc & 8) && p->mnt && (p->mnt->flags & MS_NOEXEC))
			return -EACCES;
		break;
	default:
		if (acc & 8)
			return -EACCES;
	}
	if ((acc & W_OK) && (S_ISREG(mode) || S_ISDIR(mode))) {
		r = path_want_write(p);
		if (r)
			return r;
	}
	if (!created) {
		r = inode_permission(i, acc & 7, cred);
		if (r)
			return r;
	}
	if ((flags & O_NOATIME) && !inode_owner_or_capable(i, cred))
		return -EPERM;
	if (unlikely(READ_ONCE(i->attr) & FS_APPEND_FL) &&
	    ((flags & O_TRUNC) || ((flags & O_ACCMODE) != O_RDONLY && !(flags & O_APPEND))))
		return -EPERM;
	return 0;
}

static int acc_of_flags(unsigned flags)
{
	static const int acc[4] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};
	int a = acc[flags & O_ACCMODE];

	return flags & O_TRUNC ? a | W_OK : a;
}

static int truncate_opened(struct file *f)
{
	struct iattr a = {.valid = ATTR_SIZE | ATTR_MTIME | ATTR_MTIME_NOW | ATTR_KILL_PRIV, .file = f};
	struct inode *i = f->inode;

	if (!S_ISREG(i->mode))
		return 0;
	mutex_lock(&i->lock);
	int r = inode_ops(i)->setattr ? inode_ops(i)->setattr(i, &a) : inode_set_attr(i, &a);
	mutex_unlock(&i->lock);
	if (!r)
		notify_child(f->path.dentry, IN_MODIFY, 0);
	return r;
}

/* The object is found (or made): checks, opens it, truncates. */
static int finish_open(const struct path *p, unsigned flags, int acc, bool created,
		       const struct cred *cred, struct file **out)
{
	struct file *f;
	int r;

	if (!(flags & O_PATH)) {
		r = check_open(p, flags, acc, created, cred);
		if (r)
			return r;
	}
	r = file_alloc(cred, flags, &f);
	if (r)
		return r;
	r = file_open_on(f, p);
	if (r) {
		file_free_unopened(f);
		return r;
	}
	if (!(flags & O_PATH))
		notify_child(p->dentry, IN_OPEN, 0);
	if ((flags & O_TRUNC) && !created && !(flags & O_PATH)) {
		r = truncate_opened(f);
		if (r) {
			file_put(f);
			return r;
		}
	}
	*out = f;
	return 0;
}

/* The last component with O_CREAT: looks up or makes it, under the directory's lock. */
static int create_last(struct walk *w, const struct open_how_k *how, bool *created)
{
	struct dentry *dir = w->cur.dentry, *d;
	struct inode *di = dir->inode, *made;
	int ro = path_want_write(&w->cur), r, tries = 0;

	*created = false;
again:
	vfs_name_intent = how->flags & O_EXCL && !ro ? NAME_TO_CREATE : NAME_ANY;
	r = dentry_lookup(dir, w->last, w->last_len, &d);
	vfs_name_intent = NAME_ANY;
	if (r)
		return r;
	if (d->inode)
		goto found;
	mutex_lock(&di->lock);
	dentry_put(d);
	r = dentry_lookup_locked(dir, w->last, w->last_len, &d);
	if (r) {
		mutex_unlock(&di->lock);
		return r;
	}
	if (!d->inode) {
		uint32_t mode = S_IFREG | (how->mode & 07777 & ~acl_umask(di, task_umask(w->t)));
		r = ro ? ro : may_create(&w->cur, w->cred);
		if (!r && !inode_ops(di)->create)
			r = -EACCES;
		if (!r)
			r = inode_ops(di)->create(di, w->last, w->last_len, mode, 0, w->cred, &made);
		if (!r) {
			dentry_instantiate(d, made);
			*created = true;
		}
	}
	mutex_unlock(&di->lock);
	if (r) {
		/* Somebody on the host made it just now. */
		bool retry = r == -EEXIST && !(how->flags & O_EXCL) && tries++ < 3;
		if (retry)
			dentry_drop(d);
		dentry_put(d);
		if (retry)
			goto again;
		return r;
	}
	if (*created)
		notify_child(d, IN_CREATE, 0);
found:
	if (!*created && (how->flags & O_EXCL)) {
		dentry_put(d);
		return -EEXIST;
	}
	return walk_into(w, d, !(how->flags & O_NOFOLLOW));
}

static int open_walk(struct walk *w, const struct open_how_k *how, struct file **out)
{
	unsigned flags = (unsigned)how->flags;
	bool created = false;
	int r;

	for (;;) {
		r = walk_parent(w);
		if (r)
			return r;
		if (!(flags & O_CREAT)) {
			vfs_open_intent = flags & (O_PATH | O_DIRECTORY) ? 0 : 1 + (flags & O_ACCMODE);
			r = walk_last(w, !(flags & O_NOFOLLOW));
			vfs_open_intent = 0;
		} else {
			if (w->type != LAST_NORM) {
				r = walk_last(w, true);	/* exists: EEXIST or EISDIR */
				if (!r && (flags & O_EXCL))
					r = -EEXIST;
				if (r)
					return r;
				break;
			}
			if (w->trailing)
				return -EISDIR;
			vfs_open_intent = 1 + (flags & O_ACCMODE);
			r = create_last(w, how, &created);
			vfs_open_intent = 0;
		}
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	struct inode *i = w->cur.dentry->inode;
	if (!i)
		return -ENOENT;
	if ((flags & O_CREAT) && S_ISDIR(i->mode))
		return -EISDIR;
	if ((w->trailing || (flags & O_DIRECTORY)) && !S_ISDIR(i->mode))
		return -ENOTDIR;
	return finish_open(&w->cur, flags, acc_of_flags(flags), created, w->cred, out);
}

static int open_tmpfile(struct walk *w, const struct open_how_k *how, struct file **out)
{
	struct path p;
	struct inode *di, *made;
	char name[24];
	int r;

	do {
		r = walk_parent(w);
		if (!r)
			r = walk_last(w, true);
	} while (r == 1);
	if (r)
		return r;
	di = w->cur.dentry->inode;
	if (!di)
		return -ENOENT;
	if (!S_ISDIR(di->mode))
		return -ENOTDIR;
	r = path_want_write(&w->cur);
	if (!r)
		r = may_create(&w->cur, w->cred);
	if (r)
		return r;
	if (!inode_ops(di)->tmpfile)
		return -EOPNOTSUPP;
	uint32_t mode = S_IFREG | (how->mode & 07777 & ~acl_umask(di, task_umask(w->t)));
	mutex_lock(&di->lock);
	r = inode_ops(di)->tmpfile(di, mode, w->cred, &made);
	mutex_unlock(&di->lock);
	if (r)
		return r;
	fmt_n(name, sizeof(name), "/#%llu", (unsigned long long)made->ino);
	p.mnt = w->cur.mnt;
	r = dentry_detached(di->sb, name, made, &p.dentry);
	if (r)
		return r;
	p.dentry->flags |= D_UNLINKED;
	made->no_link = how->flags & O_EXCL;
	unsigned flags = (unsigned)how->flags & ~(unsigned)(O_EXCL | O_TMPFILE_BIT | O_DIRECTORY);
	r = finish_open(&p, flags, acc_of_flags(flags), true, w->cred, out);
	if (!r)
		(*out)->flags |= O_TMPFILE & ~(unsigned)O_DIRECTORY;
	dentry_put(p.dentry);
	return r;
}

static int open_once(struct task *t, int dirfd, const char *name, const struct open_how_k *how,
		     struct file **out)
{
	struct walk w;
	unsigned flags = how->resolve;

	if (how->flags & O_DIRECTORY)
		flags |= LOOKUP_DIRECTORY;
	int r = walk_begin(&w, t, dirfd, name, flags);
	if (r)
		return r;
	if ((how->flags & O_TMPFILE_BIT) && !(how->flags & O_PATH))
		r = open_tmpfile(&w, how, out);
	else
		r = open_walk(&w, how, out);
	walk_end(&w);
	return r;
}

int vfs_open(struct task *t, int dirfd, const char *name, const struct open_how_k *how,
	     struct file **out)
{
	int r = open_once(t, dirfd, name, how, out);

	if (r == -ENOMEM && dcache_shrink(8192))
		r = open_once(t, dirfd, name, how, out);
	return r;
}

int vfs_open_path(struct task *t, const struct path *p, unsigned flags, struct file **out)
{
	return finish_open(p, flags, acc_of_flags(flags), false, walk_cred(t), out);
}

int vfs_open_exec(struct task *t, int dirfd, const char *name, unsigned lookup, struct file **out)
{
	struct path p;
	struct file *f;
	vfs_open_intent = 1 + O_RDONLY;
	int r = path_lookup(t, dirfd, name, lookup, &p);
	vfs_open_intent = 0;

	if (r)
		return r;
	struct inode *i = p.dentry->inode;
	r = check_open(&p, O_RDONLY, X_OK | 8, false, t->cred);
	if (!r && !S_ISREG(i->mode))
		r = -EACCES;
	if (!r)
		r = inode_deny_write(i);
	if (r) {
		path_put(&p);
		return r;
	}
	r = file_alloc(t->cred, O_RDONLY, &f);
	if (!r) {
		r = file_open_on(f, &p);
		if (r)
			file_free_unopened(f);
	}
	path_put(&p);
	if (r) {
		inode_allow_write(i);
		return r;
	}
	f->mode |= FMODE_EXEC;
	notify_child(f->path.dentry, IN_OPEN, 0);
	*out = f;
	return 0;
}
