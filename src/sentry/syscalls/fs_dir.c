/* SPDX-License-Identifier: Apache-2.0 */
/* getdents, getdents64, getcwd, chdir, fchdir, chroot, umask */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"

struct dirbuf {
	struct dir_emit e;	/* first */
	char *p;
	size_t used, cap;
	size_t last;		/* where the last record lies, for its d_off */
	bool any, old;
	int err;
};

/* linux_dirent64: ino off reclen type name. linux_dirent: ino off reclen name ... type */
static int fill(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
		int64_t next_pos)
{
	struct dirbuf *b = container_of(e, struct dirbuf, e);
	size_t head = b->old ? 18 : 19, need = (head + len + (b->old ? 2 : 1) + 7) & ~(size_t)7;

	if (b->used + need > b->cap) {
		if (!b->any)
			b->err = -EINVAL;
		return -1;
	}
	char *r = b->p + b->used;
	uint16_t reclen = (uint16_t)need;
	memset(r, 0, need);
	memcpy(r, &ino, 8);
	memcpy(r + 8, &next_pos, 8);
	memcpy(r + 16, &reclen, 2);
	if (b->old) {
		memcpy(r + 18, name, len);
		r[need - 1] = (char)type;
	} else {
		r[18] = (char)type;
		memcpy(r + 19, name, len);
	}
	b->used += need;
	b->any = true;
	return 0;
}

/* The entries are made in the window, which is written only. */
static int64_t read_dir(struct task *t, struct file *f, struct uio *u, struct dirbuf *b)
{
	int64_t r = file_pos_lock(f, t);

	if (r)
		return r;
	b->e.pos = f->pos;
	r = f->path.dentry->flags & D_UNLINKED && f->inode->nlink == 0 ? -ENOENT : 0;
	if (!r)
		r = file_ops(f)->iterate(f, &b->e);
	if (!b->any && b->err)
		r = b->err;
	if (b->any) {
		r = uio_put_window(u, b->used);
		if (r >= 0 && r != (int64_t)b->used)
			r = -EFAULT;
	}
	if (r >= 0)
		f->pos = b->e.pos;
	file_pos_unlock(f);
	if (r >= 0)
		file_accessed(f);
	return r;
}

static int64_t do_getdents(struct task *t, const struct sysargs *a, bool old)
{
	struct file *f = fd_get(t, ARG_INT(0));
	struct dirbuf b = {.e.fn = fill, .old = old};
	struct uio u;
	int64_t r;

	if (!f)
		return -EBADF;
	if (!file_ops(f)->iterate || !S_ISDIR(f->inode->mode)) {
		file_put(f);
		return -ENOTDIR;
	}
	uio_user(&u, t, a->a[1], ARG_U32(2));
	b.p = uio_window(&u, &b.cap);
	b.cap = min(b.cap, (size_t)ARG_U32(2));
	r = read_dir(t, f, &u, &b);
	file_put(f);
	return r;
}

int64_t sys_getdents(struct task *t, const struct sysargs *a)
{
	return do_getdents(t, a, true);
}

int64_t sys_getdents64(struct task *t, const struct sysargs *a)
{
	return do_getdents(t, a, false);
}

int64_t sys_getcwd(struct task *t, const struct sysargs *a)
{
	struct path root, cwd;
	char *buf = kmalloc(PATH_MAX_LEN);
	int64_t r = -ENAMETOOLONG;

	if (!buf)
		return -ENOMEM;
	fsctx_paths(t->fs, &root, &cwd);
	char *s = path_text(&cwd, &root, buf, PATH_MAX_LEN);
	if (s) {
		size_t n = strlen(s) + 1;
		if (cwd.dentry->flags & D_UNLINKED)
			r = -ENOENT;
		else if (n > a->a[1])
			r = -ERANGE;
		else
			r = copy_out(t, ARG_UADDR(0), s, n);
		if (!r)
			r = (int64_t)n;
	}
	path_put(&root);
	path_put(&cwd);
	kfree(buf);
	return r;
}

static int enter(struct task *t, struct path *p)
{
	int r = inode_permission(p->dentry->inode, X_OK, t->cred);

	if (!r)
		fsctx_set_cwd(t->fs, p);
	path_put(p);
	return r;
}

static int dir_path(struct task *t, uaddr_t name, struct path *p)
{
	int r = fs_path(t, name, true, p);

	if (!r && !S_ISDIR(p->dentry->inode->mode)) {
		path_put(p);
		r = -ENOTDIR;
	}
	return r;
}

int64_t sys_chdir(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = dir_path(t, ARG_UADDR(0), &p);

	return r ? r : enter(t, &p);
}

int64_t sys_fchdir(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = -EBADF;

	if (ARG_INT(0) >= 0)
		r = fs_fd_path(t, ARG_INT(0), true, &p);
	if (r)
		return r;
	if (!S_ISDIR(p.dentry->inode->mode)) {
		path_put(&p);
		return -ENOTDIR;
	}
	return enter(t, &p);
}

int64_t sys_chroot(struct task *t, const struct sysargs *a)
{
	struct path p;
	int r = dir_path(t, ARG_UADDR(0), &p);

	if (r)
		return r;
	r = inode_permission(p.dentry->inode, X_OK, t->cred);
	if (!r && !(t->cred->user_ns ? cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_CHROOT)
				     : task_capable(t, CAP_SYS_CHROOT)))
		r = -EPERM;
	if (!r)
		fsctx_set_root(t->fs, &p);
	path_put(&p);
	return r;
}

int64_t sys_umask(struct task *t, const struct sysargs *a)
{
	return __atomic_exchange_n(&t->fs->umask, ARG_U32(0) & 0777, __ATOMIC_RELAXED);
}
