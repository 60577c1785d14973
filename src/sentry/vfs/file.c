/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: life, reading and writing through the ops, positions, directory listing.
 *
 * The last reference may come from anywhere and its release may drop more files (sockets with
 * descriptors in flight), so nested ends are queued like those of inodes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/mountctx.h"
#include "sentry/vfs/poll.h"
#include "sentry/vfs/vfs_int.h"

#define POS_QUEUES 16u

static KCACHE(file_cache, struct file, 0);
static _Thread_local struct file *dying;
static _Thread_local bool releasing;
static struct waitq *pos_queues;

uint64_t file_count(void)
{
	return kc_live(&file_cache);
}

int files_init(void)
{
	pos_queues = kmalloc_array(POS_QUEUES, sizeof(*pos_queues));
	if (!pos_queues)
		return -ENOMEM;
	for (unsigned i = 0; i < POS_QUEUES; i++)
		wq_init(&pos_queues[i]);
	return 0;
}

int file_alloc(const struct cred *cred, unsigned flags, struct file **out)
{
	struct file *f = kc_alloc(&file_cache);

	if (!f)
		return -ENFILE;
	ref_init(&f->ref, 1);
	f->flags = flags;
	f->cred = cred ? cred_get((struct cred *)(uintptr_t)cred) : NULL;
	list_init(&f->epitems);
	*out = f;
	return 0;
}

/* Frees a file that was never opened. */
void file_free_unopened(struct file *f)
{
	if (f->path.dentry)
		path_put(&f->path);
	if (f->cred)
		cred_put(f->cred);
	kc_free(&file_cache, f);
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

static void file_release(struct file *f)
{
	if (!(f->mode & FMODE_PATH)) {
		if (f->path.dentry && !(f->path.dentry->flags & D_DISCONNECTED))
			notify_child(f->path.dentry,
				     f->mode & FMODE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE, 0);
		locks_release_file(f);
		if (!list_empty(&f->epitems))
			epoll_file_gone(f);
		if (f->flags & FASYNC)
			fasync_file_gone(f);
		if (file_ops(f) && file_ops(f)->release)
			file_ops(f)->release(f);
		if (f->mode & FMODE_WRITE_COUNTED)
			inode_put_write(f->inode);
		if (f->mode & FMODE_EXEC)
			inode_allow_write(f->inode);
	}
	if (f->mode & FMODE_UNMOUNT)
		mount_dissolve(&f->path);
	path_put(&f->path);
	if (f->cred)
		cred_put(f->cred);
	kc_free(&file_cache, f);
}

void file_put(struct file *f)
{
	if (!f || !ref_put(&f->ref))
		return;
	if (releasing) {
		f->priv_next = dying;
		dying = f;
		return;
	}
	releasing = true;
	while (f) {
		file_release(f);
		f = dying;
		if (f)
			dying = f->priv_next;
	}
	releasing = false;
}

void file_close(struct file *f, struct files *owner, struct task *t)
{
	if (!(f->mode & FMODE_PATH)) {
		if (file_ops(f)->flush)
			file_ops(f)->flush(f, t);
		if (owner && f->inode->flocks)
			locks_remove_posix(f, owner);
	}
	file_put(f);
}

void file_allow_write(struct file *f)
{
	if (f->mode & FMODE_EXEC) {
		f->mode &= ~FMODE_EXEC;
		inode_allow_write(f->inode);
	}
}

int file_anon(const char *name, struct inode *inode, enum file_ops_id fops, unsigned mode,
	      unsigned flags, const struct cred *cred, struct file **out)
{
	struct file *f;
	struct dentry *d;
	int r = dentry_detached(inode->sb, name, inode, &d);

	if (r)
		return r;
	r = file_alloc(cred, flags, &f);
	if (r) {
		dentry_put(d);
		return r;
	}
	f->fops = (uint16_t)fops;
	f->mode = mode;
	f->inode = inode;
	f->path.mnt = mount_get(anon_mnt);
	f->path.dentry = d;
	*out = f;
	return 0;
}

int inode_anon(uint32_t mode, const struct cred *cred, struct inode **out)
{
	struct inode *i = anon_inode_alloc();

	if (!i)
		return -ENOMEM;
	inode_init(i, anon_sb, mode, IOPS_anon, FOPS_none);
	i->uid = cred ? cred->fsuid : 0;
	i->gid = cred ? cred->fsgid : 0;
	*out = i;
	return 0;
}

/* --- positions ------------------------------------------------------------------------------- */

static struct waitq *busy_queue(const uint32_t *word)
{
	return &pos_queues[((uintptr_t)word >> 6) % POS_QUEUES];
}

int busy_lock(uint32_t *word, struct task *t)
{
	struct waiter w;
	uint32_t free_ = 0;
	int r = 0;

	if (likely(__atomic_compare_exchange_n(word, &free_, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
		return 0;
	if (!t)
		return -EAGAIN;
	wait_begin(&w, busy_queue(word), t);
	while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0) {
		r = wait_sleep(t, WAIT_KILLABLE, WAIT_FOREVER);
		if (r)
			break;
	}
	wait_end(&w);
	return r ? -EINTR : 0;
}

void busy_unlock(uint32_t *word)
{
	if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
		wq_wake_all(busy_queue(word));
}

int file_pos_lock(struct file *f, struct task *t)
{
	return busy_lock(&f->pos_busy, t);
}

void file_pos_unlock(struct file *f)
{
	busy_unlock(&f->pos_busy);
}

/* --- data ------------------------------------------------------------------------------------ */

int64_t vfs_read(struct file *f, struct uio *u, int64_t *pos)
{
	const struct file_ops *o = file_ops(f);

	if (!(f->mode & FMODE_READ))
		return -EBADF;
	if (!o->read)
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	if (!(f->mode & FMODE_STREAM) && (*pos < 0 || (int64_t)u->left > INT64_MAX - *pos))
		return -EINVAL;
	int64_t r = o->read(f, u, pos);
	if (r > 0)
		notify_child(f->path.dentry, IN_ACCESS, 0);
	return r;
}

int64_t vfs_write(struct file *f, struct uio *u, int64_t *pos)
{
	const struct file_ops *o = file_ops(f);

	if (!(f->mode & FMODE_WRITE))
		return -EBADF;
	if (!o->write)
		return -EINVAL;
	if (!(f->mode & FMODE_STREAM) && (*pos < 0 || (int64_t)u->left > INT64_MAX - *pos))
		return *pos < 0 ? -EINVAL : -EFBIG;
	int64_t r = o->write(f, u, pos);
	if (r > 0)
		notify_child(f->path.dentry, IN_MODIFY, 0);
	return r;
}

int64_t vfs_pread(struct file *f, void *buf, size_t n, int64_t pos)
{
	struct uio u;
	int64_t done = 0;

	if (!file_ops(f)->read)
		return -EINVAL;
	uio_kernel(&u, buf, n);
	while (u.left) {
		int64_t r = file_ops(f)->read(f, &u, &pos);
		if (r < 0 && !done)
			return r;
		if (r <= 0)
			break;
		done += r;
	}
	return done;
}

int file_write_limit(struct file *f, int64_t pos, uint64_t *count)
{
	uint64_t limit;

	if (pos < 0 || !current)
		return pos < 0 ? -EINVAL : 0;
	limit = task_rlimit(current, RLIMIT_FSIZE);
	if ((uint64_t)pos >= limit) {
		if (!*count)
			return 0;
		signal_send(current, SEND_THREAD, SIGXFSZ, NULL);
		return -EFBIG;
	}
	*count = min(*count, limit - (uint64_t)pos);
	return 0;
}

uint32_t vfs_poll(struct file *f, struct poll_table *pt)
{
	if (!file_ops(f)->poll)
		return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
	return file_ops(f)->poll(f, pt);
}

/* --- directories ----------------------------------------------------------------------------- */

int dir_emit(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
	     int64_t next_pos)
{
	int r = e->fn(e, name, len, ino, type, next_pos);

	if (!r)
		e->pos = next_pos;
	return r;
}

int64_t dir_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

bool dir_emit_dots(struct file *f, struct dir_emit *e)
{
	if (e->pos == 0 && dir_emit(e, ".", 1, f->inode->ino, DT_DIR, 1))
		return false;
	if (e->pos == 1) {
		struct dentry *p = dentry_parent(f->path.dentry);
		uint64_t ino = p->inode ? p->inode->ino : f->inode->ino;
		dentry_put(p);
		if (dir_emit(e, "..", 2, ino, DT_DIR, 2))
			return false;
	}
	return true;
}
