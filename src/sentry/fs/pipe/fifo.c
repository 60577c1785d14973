/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a pipe: creation, opening FIFOs (fifo(7): each side waits for the other), release,
 * and the limits of pipe(7). inode->pipe and pipe->files change under the inode's lock; the pipe
 * lives while a file is open on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/pipe/pipe_i.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"

static KCACHE(pipe_cache, struct pipe, 0);


struct pipe_user {
	struct list link;
	uint32_t uid;
	uint64_t pages;
};
static KCACHE(pipe_user_cache, struct pipe_user, 0);

struct pipe_quota {
	struct mutex lock;	/* RANK_FUTEX: a leaf */
	struct list users;	/* struct pipe_user.link */
};
static KCACHE(pipe_quota_cache, struct pipe_quota, 1);
static struct pipe_quota *quota;	/* made once, at start */

int pipe_start(void)
{
	quota = kc_alloc(&pipe_quota_cache);
	if (!quota)
		return -ENOMEM;
	mutex_init(&quota->lock, RANK_FUTEX);
	list_init(&quota->users);
	return 0;
}

static struct pipe_user *user_find_locked(uint32_t uid)
{
	struct pipe_user *pu;

	list_for_each(pu, &quota->users, link)
		if (pu->uid == uid)
			return pu;
	return NULL;
}

uint64_t pipe_user_pages(uint32_t uid)
{
	struct pipe_user *pu;
	uint64_t n;

	mutex_lock(&quota->lock);
	pu = user_find_locked(uid);
	n = pu ? pu->pages : 0;
	mutex_unlock(&quota->lock);
	return n;
}

/* A limit of 0 is none. */
static bool over(uint64_t pages, enum sysctl_var limit)
{
	int64_t max_pages = sysctl_get(limit);

	return max_pages && pages > (uint64_t)max_pages;
}

int pipe_account(uint32_t uid, int64_t pages, bool privileged)
{
	struct pipe_user *pu;
	uint64_t now;
	int r = 0;

	mutex_lock(&quota->lock);
	pu = user_find_locked(uid);
	if (!pu) {
		pu = kc_alloc(&pipe_user_cache);
		if (!pu) {
			mutex_unlock(&quota->lock);
			return -ENOMEM;
		}
		pu->uid = uid;
		list_add(&quota->users, &pu->link);
	}
	now = pu->pages + (uint64_t)pages;
	if (pages > 0 && !privileged &&
	    (over(now, SYSCTL_pipe_user_soft) || over(now, SYSCTL_pipe_user_hard)))
		r = -EPERM;
	else
		pu->pages = now;
	if (pu->pages == 0) {
		list_del(&pu->link);
		kc_free(&pipe_user_cache, pu);
	}
	mutex_unlock(&quota->lock);
	return r;
}

static void pipe_unaccount(uint32_t uid, int64_t pages)
{
	int r = pipe_account(uid, -pages, true);

	BUG_ON(r);	/* the user's entry exists as long as pages are counted */
}

static bool quota_exempt(const struct cred *c)
{
	return cred_capable(c, CAP_SYS_RESOURCE) || cred_capable(c, CAP_SYS_ADMIN);
}

/* A ring of the default size, or the smallest one for a user over the soft limit. */
static int pipe_alloc(const struct cred *cred, struct pipe **out)
{
	uint32_t slots = PIPE_DEF_SLOTS;
	struct pipe *p;
	int r;

	r = pipe_account(cred->uid, slots, quota_exempt(cred));
	if (r == -EPERM) {
		slots = PIPE_MIN_SLOTS;
		if (over(pipe_user_pages(cred->uid) + slots, SYSCTL_pipe_user_hard))
			return -ENFILE;
		r = pipe_account(cred->uid, slots, true);
	}
	if (r)
		return r;
	p = kc_alloc(&pipe_cache);
	if (p)
		p->bufs = kmalloc_array(slots, sizeof(*p->bufs));
	if (!p || !p->bufs) {
		kc_free(&pipe_cache, p);
		pipe_unaccount(cred->uid, slots);
		return -ENFILE;
	}
	mutex_init(&p->lock, RANK_OBJECT);
	wq_init(&p->rd);
	wq_init(&p->wr);
	p->slots = slots;
	p->uid = cred->uid;
	*out = p;
	return 0;
}

static void pipe_free(struct pipe *p)
{
	struct ppage *spare = steal(p->spare);

	while (pipe_used(p))
		ppage_put(NULL, pipe_buf(p, p->tail++)->pg);
	ppage_put(NULL, spare);
	wq_destroy(&p->rd);
	wq_destroy(&p->wr);
	pipe_unaccount(p->uid, p->slots);
	kfree(p->bufs);
	kc_free(&pipe_cache, p);
}

/* Drops one file's hold on the inode's pipe. */
static void pipe_put_file(struct inode *i, struct pipe *p)
{
	bool last;

	mutex_lock(&i->lock);
	last = --p->files == 0;
	if (last)
		i->pipe = NULL;
	mutex_unlock(&i->lock);
	if (last)
		pipe_free(p);
}

static void side_add_locked(struct pipe *p, unsigned mode)
{
	if (mode & FMODE_READ)
		p->readers++, p->r_counter++;
	if (mode & FMODE_WRITE)
		p->writers++, p->w_counter++;
}

static void side_drop(struct pipe *p, unsigned mode)
{
	bool wake;

	mutex_lock(&p->lock);
	if (mode & FMODE_READ)
		p->readers--;
	if (mode & FMODE_WRITE)
		p->writers--;
	wake = !p->readers != !p->writers;
	mutex_unlock(&p->lock);
	if (wake) {
		wq_wake(&p->rd, EPOLLIN | EPOLLRDNORM | EPOLLERR | EPOLLHUP, 0);
		wq_wake(&p->wr, EPOLLOUT | EPOLLWRNORM | EPOLLERR | EPOLLHUP, 0);
	}
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->priv;

	if (!p)
		return;
	f->priv = NULL;
	side_drop(p, f->mode);
	pipe_put_file(f->inode, p);
}

static bool counter_moved(struct pipe *p, const uint32_t *counter, uint32_t seen)
{
	bool moved;

	mutex_lock(&p->lock);
	moved = *counter != seen;
	mutex_unlock(&p->lock);
	return moved;
}

/* Until somebody has opened the other side, even if it is closed again since. */
static int wait_partner(struct pipe *p, const uint32_t *counter, uint32_t seen)
{
	struct waiter w;
	int r = 0;

	if (!current)
		return -EAGAIN;
	wait_begin(&w, &p->rd, current);
	while (!counter_moved(p, counter, seen)) {
		r = wait_sleep(current, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		if (r) {
			r = counter_moved(p, counter, seen) ? 0 : r;
			break;
		}
	}
	wait_end(&w);
	return r;
}

static int fifo_join(struct inode *i, struct file *f, struct pipe **out)
{
	struct pipe *p = NULL;
	int r = 0;

	mutex_lock(&i->lock);
	if (!i->pipe) {
		r = pipe_alloc(current ? current->cred : f->cred, &p);
		if (r == 0)
			i->pipe = p;
	}
	if (r == 0) {
		p = i->pipe;
		p->files++;
	}
	mutex_unlock(&i->lock);
	*out = p;
	return r;
}

static int fifo_open(struct inode *i, struct file *f)
{
	bool anon = i->sb == anon_super(), nonblock = f->flags & O_NONBLOCK;
	unsigned mode = f->mode & (FMODE_READ | FMODE_WRITE);
	uint32_t r_seen, w_seen, readers, writers;
	struct pipe *p;
	int r = fifo_join(i, f, &p);

	if (r)
		return r;
	mutex_lock(&p->lock);
	readers = p->readers, writers = p->writers;
	r_seen = p->r_counter, w_seen = p->w_counter;
	if (mode == FMODE_WRITE && nonblock && !readers)
		r = -ENXIO;
	else
		side_add_locked(p, mode);
	mutex_unlock(&p->lock);
	if (r) {
		pipe_put_file(i, p);
		return r;
	}
	f->mode |= FMODE_STREAM;
	wq_wake_all(&p->rd);
	wq_wake_all(&p->wr);
	if (mode == FMODE_READ && !writers && !anon) {
		if (nonblock)
			f->dir_cookie = w_seen;	/* no POLLHUP before the first writer */
		else
			r = wait_partner(p, &p->w_counter, w_seen);
	} else if (mode == FMODE_WRITE && !readers) {
		r = wait_partner(p, &p->r_counter, r_seen);
	}
	if (r) {
		side_drop(p, mode);
		pipe_put_file(i, p);
		return r;
	}
	f->priv = p;
	return 0;
}

static int pipe_resize(struct pipe *p, uint32_t slots)
{
	struct pbuf *bufs = kmalloc_array(slots, sizeof(*bufs)), *old = bufs;
	uint32_t n = 0, old_slots = 0;
	int r = 0;

	if (!bufs)
		return -ENOMEM;
	mutex_lock(&p->lock);
	if (pipe_used(p) > slots) {
		r = -EBUSY;
	} else {
		while (pipe_used(p))
			bufs[n++] = *pipe_buf(p, p->tail++);
		old = p->bufs, old_slots = p->slots;
		p->bufs = bufs, p->slots = slots;
		p->tail = 0, p->head = n;
	}
	mutex_unlock(&p->lock);
	kfree(old);
	if (slots > old_slots && !r)
		wq_wake(&p->wr, EPOLLOUT | EPOLLWRNORM, 0);
	return r;
}

static int64_t pipe_set_size(struct pipe *p, const struct cred *c, uint64_t arg)
{
	uint32_t slots = 1, old = p->slots;
	int r;

	if (arg > 1u << 31)
		return -EINVAL;
	while ((uint64_t)slots * PAGE_SIZE < arg)
		slots *= 2;
	if (slots > old && (int64_t)(slots * PAGE_SIZE) > sysctl_get(SYSCTL_pipe_max_size) &&
	    !cred_capable(c, CAP_SYS_RESOURCE))
		return -EPERM;
	r = pipe_account(p->uid, (int64_t)slots - old, slots <= old || quota_exempt(c));
	if (r)
		return r;
	r = pipe_resize(p, slots);
	if (r) {
		pipe_unaccount(p->uid, (int64_t)slots - old);
		return r;
	}
	return (int64_t)slots * (int64_t)PAGE_SIZE;
}

static int64_t pipe_fcntl(struct file *f, struct task *t, int cmd, uint64_t arg)
{
	struct pipe *p = f->priv;

	if (cmd == F_GETPIPE_SZ)
		return (int64_t)READ_ONCE(p->slots) * (int64_t)PAGE_SIZE;
	if (cmd == F_SETPIPE_SZ) {
		int64_t r;

		mutex_lock(&f->inode->lock);	/* one at a time, for the quota's sake */
		r = pipe_set_size(p, t->cred, (uint32_t)arg);
		mutex_unlock(&f->inode->lock);
		return r;
	}
	return -EINVAL;
}

const struct file_ops pipe_file_ops = {
	.open = fifo_open,
	.release = pipe_release,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
};

struct pipe *pipe_of(struct file *f)
{
	return f->fops == FOPS_pipe ? f->priv : NULL;
}

int pipe_create(unsigned flags, struct file **rd, struct file **wr)
{
	struct file *ends[2] = {NULL, NULL};
	const struct cred *cred = current->cred;
	struct inode *i;
	struct pipe *p;
	char name[40];
	int r;

	r = inode_anon(S_IFIFO | 0600, cred, &i);
	if (r)
		return r;
	r = pipe_alloc(cred, &p);
	if (r) {
		inode_put(i);
		return r;
	}
	i->pipe = p;
	fmt_n(name, sizeof(name), "pipe:[%lu]", (unsigned long)i->ino);
	for (int k = 0; k < 2 && !r; k++) {
		unsigned mode = (k ? FMODE_WRITE : FMODE_READ) | FMODE_STREAM;

		r = file_anon(name, inode_get(i), FOPS_pipe, mode,
			      (k ? O_WRONLY : O_RDONLY) | (flags & (O_NONBLOCK | O_DIRECT)), cred, &ends[k]);
		if (r)
			break;
		ends[k]->priv = p;
		p->files++;
		side_add_locked(p, mode);
	}
	if (r && !ends[0])
		pipe_free(p);
	inode_put(i);
	if (r) {
		if (ends[0])
			file_put(ends[0]);
		return r;
	}
	*rd = ends[0], *wr = ends[1];
	return 0;
}
