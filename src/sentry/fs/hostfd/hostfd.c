/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file on a donated host descriptor. The description is shared with processes outside (the
 * user's shell, a pipe's other end): its flags are never changed, so "would it block?" is asked
 * per call (RWF_NOWAIT, MSG_DONTWAIT, or poll for a terminal), and a task that must wait sleeps on
 * the object's queue, which the hpoll thread wakes. Regular files never block and use the
 * description's own offset. The descriptor is only read, written and asked: never mapped.
 */
#include "sentry/fs/hostfd/hostfd.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <termios.h>
#include "host/event.h"
#include "host/file.h"
#include "host/sock.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/hostfd/hpoll.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"
#include "sentry/vfs/told.h"

enum host_kind { HK_REG, HK_PIPE, HK_SOCK, HK_TTY };

struct hostfd {
	struct inode inode;
	hh_t h;			/* I; owned */
	uint8_t kind;		/* I; enum host_kind */
	bool polled;		/* I: has a slot in hpoll */
	bool no_nowait;		/* a: RWF_NOWAIT is not supported */
	uint32_t slot;		/* I */
	bool append;		/* I: O_APPEND of the host description */
	uint32_t accmode;	/* I: and its access mode */
	struct waitq wq;
};

static KCACHE(hostfd_cache, struct hostfd, 64);

#define TTY_CHUNK 256u		/* what a terminal that polls writable takes without blocking */

static struct hostfd *to_hostfd(struct inode *i)
{
	return container_of(i, struct hostfd, inode);
}

static uint32_t host_ready(const struct hostfd *hf, uint32_t events)
{
	struct pollfd p = {.fd = hh_fd(hf->h), .events = (short)events};
	int n = h_poll(&p, 1, 0);

	told_news();
	return n > 0 ? (uint32_t)(uint16_t)p.revents : 0;
}

/* One attempt; -EAGAIN when it would block. */
static int64_t host_read_once(struct hostfd *hf, void *p, size_t n)
{
	struct iovec iov = {p, n};
	int hfd = hh_fd(hf->h);
	int64_t r;

	if (hf->kind == HK_REG)
		return h_read(hfd, p, n);
	if (hf->kind == HK_SOCK)
		return h_recvfrom(hfd, p, n, MSG_DONTWAIT, NULL, NULL);
	if (!READ_ONCE(hf->no_nowait)) {
		r = h_preadv2(hfd, &iov, 1, -1, RWF_NOWAIT);
		if (r != -EOPNOTSUPP)
			return r;
		WRITE_ONCE(hf->no_nowait, true);
	}
	if (!host_ready(hf, POLLIN))
		return -EAGAIN;
	return h_read(hfd, p, n);
}

static int64_t host_write_once(struct hostfd *hf, const void *p, size_t n)
{
	struct iovec iov = {(void *)(uintptr_t)p, n};
	int hfd = hh_fd(hf->h);
	int64_t r;

	if (hf->kind == HK_REG)
		return h_write(hfd, p, n);
	if (hf->kind == HK_SOCK)
		return h_sendto(hfd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
	if (!READ_ONCE(hf->no_nowait)) {
		r = h_pwritev2(hfd, &iov, 1, -1, RWF_NOWAIT);
		if (r != -EOPNOTSUPP)
			return r;
		WRITE_ONCE(hf->no_nowait, true);
	}
	if (!(host_ready(hf, POLLOUT) & (POLLOUT | POLLERR | POLLHUP)))
		return -EAGAIN;
	return h_write(hfd, p, min(n, (size_t)(hf->kind == HK_TTY ? TTY_CHUNK : PAGE_SIZE)));
}

/* What the host says in the guest's terms: errors of a stream pass, anything odd becomes EIO. */
static int64_t host_result(int64_t r)
{
	switch (r) {
	case -EINTR:
		return -ERESTARTSYS;
	case -EPIPE: case -EIO: case -ENOSPC: case -EFBIG: case -EDQUOT: case -ECONNRESET:
	case -EAGAIN: case -EINVAL: case -EISDIR: case -ENXIO: case -ENOTCONN: case -EBADF:
		return r;
	}
	return r < 0 ? -EIO : r;
}

static int hostfd_wait(struct hostfd *hf, uint32_t events)
{
	struct waiter w;
	int r = 0;

	if (!hf->polled)
		return -EAGAIN;
	wait_begin(&w, &hf->wq, current);
	while (!host_ready(hf, events)) {
		hpoll_arm(hf->slot, events);
		if (host_ready(hf, events))
			break;
		r = wait_sleep(current, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		if (r)
			break;
	}
	wait_end(&w);
	return r && host_ready(hf, events) ? 0 : r;
}

static int64_t hostfd_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct hostfd *hf = to_hostfd(f->inode);
	int64_t done = 0, r = 0;

	while (u->left) {
		size_t cap, n;
		void *win = uio_window(u, &cap);

		n = min(cap, (size_t)u->left);
		r = uio_check(u, n, true);
		if (r)
			break;
		r = host_result(host_read_once(hf, win, n));
		told_news();
		if (r == -EAGAIN && !done && !(f->flags & O_NONBLOCK)) {
			r = hostfd_wait(hf, EPOLLIN);
			if (r)
				break;
			continue;
		}
		if (r <= 0)
			break;
		r = uio_put_window(u, (size_t)r);
		if (r <= 0)
			break;
		done += r;
		if ((size_t)r < n)
			break;
	}
	return done ? done : r;
}

/* Writes n bytes of the window; the bytes written, or an error when there were none. */
static int64_t write_window(struct file *f, struct hostfd *hf, const char *win, size_t n)
{
	size_t off = 0;
	int64_t r = 0;

	while (off < n) {
		r = host_result(host_write_once(hf, win + off, n - off));
		told_news();
		if (r == -EAGAIN && !(f->flags & O_NONBLOCK)) {
			r = hostfd_wait(hf, EPOLLOUT);
			if (r)
				break;
			continue;
		}
		if (r <= 0)
			break;
		off += (size_t)r;
	}
	return off ? (int64_t)off : r;
}

static int64_t hostfd_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct hostfd *hf = to_hostfd(f->inode);
	int64_t done = 0, r = 0;

	while (u->left) {
		size_t cap;
		const char *win = uio_window(u, &cap);
		int64_t n = uio_get_window(u, min(cap, (size_t)u->left));

		r = n;
		if (n <= 0)
			break;
		r = write_window(f, hf, win, (size_t)n);
		if (r > 0)
			done += r;
		if (r < n)
			break;
	}
	if (r == -EPIPE)
		send_sigpipe(current);
	return done ? done : r;
}

static int64_t hostreg_llseek(struct file *f, int64_t off, int whence)
{
	int64_t r = h_lseek(hh_fd(to_hostfd(f->inode)->h), off, whence);

	told_news();
	return r == -EINVAL || r == -EOVERFLOW || r == -ENXIO || r >= 0 ? r : -EIO;
}

/* pread and pwrite give a position of their own; read and write use the description's. */
static int64_t hostreg_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct hostfd *hf = to_hostfd(f->inode);
	int64_t done = 0, r = 0;

	if (!pos || pos == &f->pos)
		return hostfd_read(f, u, NULL);
	while (u->left) {
		size_t cap, n;
		void *win = uio_window(u, &cap);

		n = min(cap, (size_t)u->left);
		r = host_result(h_pread(hh_fd(hf->h), win, n, *pos));
		told_news();
		if (r > 0)
			r = uio_put_window(u, (size_t)r);
		if (r <= 0)
			break;
		done += r, *pos += r;
		if ((size_t)r < n)
			break;
	}
	return done ? done : r;
}

static int64_t hostreg_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct hostfd *hf = to_hostfd(f->inode);
	int64_t done = 0, r = 0;

	if (!pos || pos == &f->pos)
		return hostfd_write(f, u, NULL);
	while (u->left) {
		size_t cap;
		const void *win = uio_window(u, &cap);
		int64_t n = uio_get_window(u, min(cap, (size_t)u->left));

		r = n;
		if (n > 0)
			r = host_result(h_pwrite(hh_fd(hf->h), win, (size_t)n, *pos));
		if (r <= 0)
			break;
		done += r, *pos += r;
		if (r < n)
			break;
	}
	return done ? done : r;
}

static uint32_t hostfd_poll(struct file *f, struct poll_table *pt)
{
	struct hostfd *hf = to_hostfd(f->inode);
	uint32_t want = (pt ? pt->events : (uint32_t)(EPOLLIN | EPOLLOUT)) &
			(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP);
	uint32_t ready;

	poll_wait(pt, f, &hf->wq);
	ready = host_ready(hf, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP);
	if (hf->polled && (want & ~ready) && wq_active(&hf->wq)) {
		hpoll_arm(hf->slot, want & ~ready);
		ready = host_ready(hf, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP);
	}
	if (ready & EPOLLIN)
		ready |= EPOLLRDNORM;
	if (ready & EPOLLOUT)
		ready |= EPOLLWRNORM;
	return ready;
}

struct l_termios {
	uint32_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[19];
};

static int64_t tty_ioctl(struct hostfd *hf, struct task *t, uint32_t cmd, uint64_t arg)
{
	int hfd = hh_fd(hf->h), r;
	struct l_termios tio;
	struct winsize ws;
	int v;

	switch (cmd) {
	case TCGETS:
		r = h_ioctl(hfd, cmd, (uint64_t)(uintptr_t)&tio);
		return r ? r : put_user(t, UADDR(arg), tio);
	case TCSETS: case TCSETSW: case TCSETSF:
		r = get_user(t, tio, UADDR(arg));
		return r ? r : h_ioctl(hfd, cmd, (uint64_t)(uintptr_t)&tio);
	case TIOCGWINSZ:
		r = h_ioctl(hfd, cmd, (uint64_t)(uintptr_t)&ws);
		return r ? r : put_user(t, UADDR(arg), ws);
	case TIOCOUTQ:
		r = h_ioctl(hfd, cmd, (uint64_t)(uintptr_t)&v);
		return r ? r : put_user(t, UADDR(arg), v);
	case TCFLSH:
		return h_ioctl(hfd, cmd, arg <= 2 ? arg : 3);
	}
	return -ENOTTY;
}

static int64_t hostfd_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct hostfd *hf = to_hostfd(f->inode);
	int64_t r = -ENOTTY;
	int v;

	if (cmd == FIONREAD && hf->kind != HK_REG) {
		r = h_ioctl(hh_fd(hf->h), cmd, (uint64_t)(uintptr_t)&v);
		r = r ? r : put_user(t, UADDR(arg), v);
	} else if (hf->kind == HK_TTY) {
		r = tty_ioctl(hf, t, cmd, arg);
	}
	told_news();
	return r;
}

static int hostfd_open(struct inode *i, struct file *f)
{
	struct hostfd *hf = to_hostfd(i);

	if (((f->mode & FMODE_READ) && hf->accmode == O_WRONLY) ||
	    ((f->mode & FMODE_WRITE) && hf->accmode == O_RDONLY))
		return -EACCES;
	if (hf->kind == HK_SOCK)
		return -ENXIO;
	if (i->fops != FOPS_hostreg)
		f->mode |= FMODE_STREAM;
	return 0;
}

static int hostreg_fsync(struct file *f, bool data_only)
{
	int hfd = hh_fd(to_hostfd(f->inode)->h);
	int r = data_only ? h_fdatasync(hfd) : h_fsync(hfd);

	return r == -EINVAL || r == -ENOSPC || r == 0 ? r : -EIO;
}

static int hostfd_getattr(struct inode *i, struct kstat *st, unsigned query)
{
	struct stat hs;
	int r = h_fstat(hh_fd(to_hostfd(i)->h), &hs);

	told_news();
	if (r)
		return -EIO;
	inode_fill_stat(i, st);
	st->dev = hs.st_dev, st->ino = hs.st_ino, st->nlink = hs.st_nlink;
	st->mode = hs.st_mode, st->uid = hs.st_uid, st->gid = hs.st_gid;
	st->rdev = hs.st_rdev, st->size = (uint64_t)hs.st_size;
	st->blksize = (uint64_t)hs.st_blksize, st->blocks = (uint64_t)hs.st_blocks;
	st->atime = (struct l_timespec){hs.st_atim.tv_sec, hs.st_atim.tv_nsec};
	st->mtime = (struct l_timespec){hs.st_mtim.tv_sec, hs.st_mtim.tv_nsec};
	st->ctime = (struct l_timespec){hs.st_ctim.tv_sec, hs.st_ctim.tv_nsec};
	return 0;
}

/* The user's own file, terminal or pipe: its mode, owner and times are not the guest's to change;
 * truncation is, where the description is writable. */
static int hostfd_setattr(struct inode *i, const struct iattr *a)
{
	struct hostfd *hf = to_hostfd(i);

	if (a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	if (!(a->valid & ATTR_SIZE))
		return 0;
	if (hf->kind != HK_REG || hf->accmode == O_RDONLY)
		return -EINVAL;
	return h_ftruncate(hh_fd(hf->h), (int64_t)a->size) ? -EIO : 0;
}

static void hostfd_destroy(struct inode *i)
{
	struct hostfd *hf = to_hostfd(i);

	if (hf->polled)
		hpoll_del(hf->slot);
	wq_destroy(&hf->wq);
	hh_close(hf->h);
	kc_free(&hostfd_cache, hf);
}

const struct inode_ops hostfd_inode_ops = {
	.getattr = hostfd_getattr,
	.setattr = hostfd_setattr,
	.destroy = hostfd_destroy,
};

const struct file_ops hostfd_file_ops = {
	.open = hostfd_open,
	.read = hostfd_read,
	.write = hostfd_write,
	.poll = hostfd_poll,
	.ioctl = hostfd_ioctl,
};

const struct file_ops hostreg_file_ops = {
	.open = hostfd_open,
	.read = hostreg_read,
	.write = hostreg_write,
	.llseek = hostreg_llseek,
	.ioctl = hostfd_ioctl,
	.fsync = hostreg_fsync,
};

static enum host_kind host_kind_of(int hfd, uint32_t mode)
{
	struct l_termios tio;

	if (S_ISFIFO(mode))
		return HK_PIPE;
	if (S_ISSOCK(mode))
		return HK_SOCK;
	if (S_ISREG(mode) || S_ISBLK(mode))
		return HK_REG;
	if (h_ioctl(hfd, TCGETS, (uint64_t)(uintptr_t)&tio) == 0)
		return HK_TTY;
	return HK_PIPE;		/* another character device: asked per call, like a pipe */
}

static const char *host_name(enum host_kind k)
{
	return k == HK_PIPE ? "pipe" : k == HK_SOCK ? "socket" : k == HK_TTY ? "tty" : "host";
}

static int hostfd_init(struct hostfd *hf, int hfd, const struct stat *st)
{
	int fl = h_fcntl(hfd, F_GETFL, 0), r;

	hf->kind = host_kind_of(hfd, st->st_mode);
	hf->accmode = fl < 0 ? O_RDWR : (unsigned)fl & O_ACCMODE;
	hf->append = fl >= 0 && (fl & O_APPEND);
	r = hh_add(hfd, &hf->h);
	if (r)
		return r;
	wq_init(&hf->wq);
	inode_init(&hf->inode, anon_super(), st->st_mode, IOPS_hostfd,
		   hf->kind == HK_REG ? FOPS_hostreg : FOPS_hostfd);
	hf->inode.rdev = st->st_rdev;
	if (hf->kind == HK_REG)
		return 0;
	r = hpoll_add(hf->h, &hf->wq, &hf->slot);
	hf->polled = r == 0;
	if (r == -EPERM) {		/* /dev/null: never blocks, epoll refuses it */
		hf->inode.fops = FOPS_hostreg;
		r = 0;
	}
	return r;
}

int hostfd_create(int hfd, unsigned flags, struct file **out)
{
	struct hostfd *hf;
	struct stat st;
	unsigned acc, mode;
	char name[48];
	int r;

	r = h_fstat(hfd, &st);
	if (r == 0 && (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)))
		r = -EISDIR;
	hf = r ? NULL : kc_alloc(&hostfd_cache);
	if (!hf) {
		h_close(hfd);
		return r ? r : -ENOMEM;
	}
	r = hostfd_init(hf, hfd, &st);
	if (r) {
		if (!hh_is_none(hf->h))
			hh_close(hf->h);
		kc_free(&hostfd_cache, hf);
		return r;
	}
	acc = hf->accmode == O_RDWR ? flags & O_ACCMODE : hf->accmode;
	mode = (acc != O_WRONLY ? FMODE_READ : 0) | (acc != O_RDONLY ? FMODE_WRITE : 0) |
	       (hf->inode.fops == FOPS_hostreg ? 0 : FMODE_STREAM);
	fmt_n(name, sizeof(name), "%s:[%lu]", host_name(hf->kind), (unsigned long)hf->inode.ino);
	return file_anon(name, &hf->inode, hf->inode.fops, mode,
			 acc | ((flags & O_NONBLOCK) | (hf->append ? O_APPEND : 0)),
			 current ? current->cred : NULL, out);
}
