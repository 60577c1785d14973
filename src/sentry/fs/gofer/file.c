/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files. Regular files are read and written at offsets of our own, so all opens of an inode
 * with the same access share one host description; the read-only one is kept after the last close
 * and makes the next open free of a request. A description has no more access than the opens it
 * serves (I1; a write-only open cannot be mapped and may use one for both). Open directories have a
 * description each, as the host keeps the place; one is kept after its close, in desc[DESC_RO].
 *
 * f->priv: regular files hold DESC_* + 1 in it, directories a struct gofer_dir.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "host/file.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer_int.h"
#include "sentry/task/task.h"
#include "sentry/vfs/told.h"

#define DIR_BUF 8192u
#define APPEND_MAX (1u << 20)	/* a write up to this is not torn by other appenders (R16) */

struct gofer_dir {
	hh_t h;			/* owned */
	int64_t host_pos;	/* of the host's description: behind what is in buf */
	int64_t next_pos;	/* position of the entry at `at` */
	uint32_t at, n;
	char *buf;		/* owned, made at first use */
};

static KCACHE(gofer_dir_cache, struct gofer_dir, 0);

static unsigned desc_kind(const struct file *f)
{
	return (unsigned)(uintptr_t)f->priv - 1;
}

static int desc_fd(const struct file *f)
{
	unsigned k = desc_kind(f);

	return k < DESC_KINDS ? hh_fd(to_gofer(f->inode)->desc[k].h) : -EBADF;
}

int desc_check(const struct gofer_inode *g, int hfd, uint32_t access)
{
	int fl = h_fcntl(hfd, F_GETFL, 0);
	struct stat st;

	if (fl < 0 || fl & O_PATH || ((uint32_t)fl & O_ACCMODE) != access)
		return -EIO;
	if (h_fstat(hfd, &st) || st.st_ino != g->inode.ino || st.st_dev != g->dev ||
	    (st.st_mode & S_IFMT) != (g->inode.mode & S_IFMT))
		return -EIO;
	return 0;
}

/* An open description from the Gofer. */
int gofer_ask_open(struct gofer_inode *g, uint32_t flags, hh_t *out)
{
	struct gcall c;

	gcall_begin(&c, GOFER_OPEN);
	wire_put_u64(&c.w, g->h);
	wire_put_u32(&c.w, flags);
	int rc = gcall_send(&c);
	int hfd = rc ? rc : gcall_take_fd(&c);
	gcall_end(&c);
	if (hfd < 0)
		return hfd;
	rc = desc_check(g, hfd, flags & O_ACCMODE);
	if (rc)
		(void)h_close(hfd);
	return rc ? rc : hh_add(hfd, out);
}

static int open_regular(struct gofer_inode *g, struct file *f)
{
	bool r = f->mode & FMODE_READ || !(f->mode & FMODE_WRITE), w = f->mode & FMODE_WRITE;
	unsigned k = !w ? DESC_RO : r ? DESC_RW : DESC_WO;
	int rc = 0;

	mutex_lock(&g->inode.lock);
	/* Write-only cannot be mapped: a description for both, if there is one, serves as well. */
	if (k == DESC_WO && !hh_is_none(g->desc[DESC_RW].h))
		k = DESC_RW;
	if (hh_is_none(g->desc[k].h))
		rc = gofer_ask_open(g, k, &g->desc[k].h);
	if (!rc) {
		g->desc[k].opens++;
		g->recent = true;
		f->priv = (void *)(uintptr_t)(k + 1);
	}
	mutex_unlock(&g->inode.lock);
	return rc;
}

int gofer_dir_take(struct gofer_inode *g, hh_t *out)
{
	*out = g->desc[DESC_RO].h;
	g->desc[DESC_RO].h = HH_NONE;
	g->recent = true;
	return hh_is_none(*out) ? gofer_ask_open(g, O_RDONLY | O_DIRECTORY, out) : 0;
}

hh_t gofer_dir_keep(struct gofer_inode *g, hh_t h)
{
	if (!hh_is_none(g->desc[DESC_RO].h))
		return h;
	g->desc[DESC_RO].h = h;
	return HH_NONE;
}

static int gofer_open(struct inode *i, struct file *f)
{
	struct gofer_inode *g = to_gofer(i);

	if (S_ISREG(i->mode))
		return open_regular(g, f);
	if (!S_ISDIR(i->mode))
		return S_ISLNK(i->mode) ? -ELOOP : -ENXIO;
	struct gofer_dir *d = kc_alloc(&gofer_dir_cache);
	if (!d)
		return -ENOMEM;
	mutex_lock(&i->lock);
	int rc = gofer_dir_take(g, &d->h);
	mutex_unlock(&i->lock);
	if (rc)
		kc_free(&gofer_dir_cache, d);
	else
		f->priv = d;
	return rc;
}

static void release_regular(struct gofer_inode *g, unsigned k)
{
	mutex_lock(&g->inode.lock);
	g->desc[k].opens--;
	/* The host must not see a file as open for writing that no guest has open (ETXTBSY there),
	 * also one that was created and then opened for less. */
	if (!g->desc[DESC_WO].opens && !g->desc[DESC_RW].opens) {
		for (k = DESC_WO; k <= DESC_RW; k++) {
			hh_close(g->desc[k].h);
			g->desc[k].h = HH_NONE;
		}
	}
	mutex_unlock(&g->inode.lock);
}

static void gofer_release(struct file *f)
{
	struct gofer_inode *g = to_gofer(f->inode);

	if (!f->priv)
		return;
	if (S_ISDIR(g->inode.mode)) {
		struct gofer_dir *d = f->priv;

		mutex_lock(&g->inode.lock);
		hh_t rest = gofer_dir_keep(g, d->h);
		mutex_unlock(&g->inode.lock);
		hh_close(rest);
		kfree(d->buf);
		kc_free(&gofer_dir_cache, d);
	} else if (desc_kind(f) < DESC_KINDS) {
		release_regular(g, desc_kind(f));
	}
	f->priv = NULL;
}

/* What the host says of a read or write, in the guest's terms. */
static int64_t io_result(int64_t r)
{
	switch (r) {
	case -EINTR:
		return 0;
	case -EIO: case -ENOSPC: case -EFBIG: case -EDQUOT: case -EINVAL: case -EISDIR: case -ESTALE:
	case -ENOMEM: case -EPERM: case -EAGAIN: case -EOPNOTSUPP: case -EOVERFLOW: case -ETXTBSY:
		return r;
	}
	return r < 0 ? -EIO : r;
}

/* Bytes of a file of others are news; one of the system's own has a stamp that says so. */
static void was_read(struct gofer_inode *g)
{
	struct stat st;

	if (!g->system || gofer_stat(g, &st))
		told_news();
}

static int64_t gofer_read(struct file *f, struct uio *u, int64_t *pos)
{
	int64_t done = 0, r = 0;
	int hfd = desc_fd(f);

	if (S_ISDIR(f->inode->mode))
		return -EISDIR;
	while (u->left) {
		size_t cap;
		void *win = uio_window(u, &cap);
		size_t n = min(cap, (size_t)u->left);

		r = io_result(h_pread(hfd, win, n, *pos));
		was_read(to_gofer(f->inode));
		if (r <= 0)
			break;
		bool last = (size_t)r < n;
		r = uio_put_window(u, (size_t)r);
		if (r <= 0)
			break;
		done += r, *pos += r;
		if (last)
			break;
	}
	return done ? done : r;
}

static int rw_flags(const struct file *f)
{
	uint32_t fl = READ_ONCE(f->flags);

	return ((fl & O_SYNC) == O_SYNC ? RWF_SYNC : fl & O_DSYNC ? RWF_DSYNC : 0) |
	       (fl & O_APPEND ? RWF_APPEND : 0);
}

/* One host write of n bytes at *pos, or at the end; *pos moves behind them. */
static int64_t write_once(struct file *f, const void *p, size_t n, int64_t *pos)
{
	struct iovec iov = {(void *)(uintptr_t)p, n};
	struct inode *i = f->inode;
	int hfd = desc_fd(f), flags = rw_flags(f);
	int64_t r;

	if (!(flags & RWF_APPEND)) {
		r = flags ? h_pwritev2(hfd, &iov, 1, *pos, flags) : h_pwrite(hfd, p, n, *pos);
		if (r > 0)
			*pos += r;
		return io_result(r);
	}
	/* Offset -1 uses and moves the description's own offset: it says where the end was. */
	mutex_lock(&i->lock);
	r = h_pwritev2(hfd, &iov, 1, -1, flags);
	if (r > 0) {
		int64_t end = h_lseek(hfd, 0, SEEK_CUR);
		if (end >= 0)
			*pos = end;
	}
	mutex_unlock(&i->lock);
	return io_result(r);
}

/* A large append in one piece: taken whole, then written in one call. */
static int64_t append_whole(struct file *f, struct uio *u, int64_t *pos)
{
	size_t n = (size_t)u->left;
	char *p = kmalloc(n);

	if (!p)
		return -ENOMEM;
	int64_t got = uio_get(u, p, n), done = 0, r = got;
	while (done < got) {
		r = write_once(f, p + done, (size_t)(got - done), pos);
		if (r <= 0)
			break;
		done += r;
	}
	kfree(p);
	return done ? done : r;
}

/* At most `left` bytes. */
static int64_t write_bytes(struct file *f, struct uio *u, int64_t *pos, uint64_t left)
{
	int64_t done = 0, r = 0;
	size_t cap;

	(void)uio_window(u, &cap);
	if (READ_ONCE(f->flags) & O_APPEND && left > cap && left <= APPEND_MAX && left == u->left) {
		r = append_whole(f, u, pos);
		if (r != -ENOMEM)
			return r;
	}
	while (left) {
		const void *win = uio_window(u, &cap);
		int64_t n = uio_get_window(u, min(cap, (size_t)left));

		r = n;
		if (n > 0)
			r = write_once(f, win, (size_t)n, pos);
		if (r <= 0)
			break;
		done += r;
		left -= (uint64_t)r;
		if (r < n)
			break;
	}
	return done ? done : r;
}

/* RLIMIT_FSIZE, which the host does not know of: cuts *left. */
static int write_limit(struct file *f, int64_t pos, uint64_t *left)
{
	struct stat st;

	if (!current || likely(task_rlimit(current, RLIMIT_FSIZE) == RLIM_INFINITY))
		return 0;
	if (READ_ONCE(f->flags) & O_APPEND) {
		int r = h_fstat(desc_fd(f), &st);

		if (r)
			return -EIO;
		pos = st.st_size;
	}
	return file_write_limit(f, pos, left);
}

/* The host takes set-id bits off a file that we write without rights of our own; a guest that has
 * CAP_FSETID keeps them. */
static int64_t gofer_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct inode *i = f->inode;
	uint32_t mode = READ_ONCE(i->mode);
	uint64_t left = u->left;
	int64_t r = write_limit(f, *pos, &left);

	if (!r && left && READ_ONCE(i->has_fcaps))
		(void)gofer_caps_drop(to_gofer(i));
	if (!r)
		r = write_bytes(f, u, pos, left);
	if (unlikely(mode & (S_ISUID | S_ISGID)) && r > 0 && S_ISREG(mode) &&
	    inode_capable(i, f->cred, CAP_FSETID)) {
		const struct iattr a = {.valid = ATTR_MODE, .mode = mode};
		mutex_lock(&i->lock);
		(void)!gofer_setattr(i, &a);
		mutex_unlock(&i->lock);
	}
	return r;
}

static int64_t gofer_llseek(struct file *f, int64_t off, int whence)
{
	struct stat st;
	int64_t base = 0;

	if (S_ISDIR(f->inode->mode))
		return dir_llseek(f, off, whence);
	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END: {
		int rc = gofer_stat(to_gofer(f->inode), &st);
		if (rc)
			return rc;
		base = st.st_size;
		break;
	}
	case SEEK_DATA:
	case SEEK_HOLE:
		/* Moves the shared description's offset, which only appends use, under the lock. */
		mutex_lock(&f->inode->lock);
		off = h_lseek(desc_fd(f), off, whence);
		mutex_unlock(&f->inode->lock);
		told_news();
		if (off < 0)
			return off == -ENXIO || off == -EINVAL || off == -EOVERFLOW ? off : -EIO;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &off))
		return -EOVERFLOW;
	if (off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

/* --- directories -------------------------------------------------------------------------------- */

struct host_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

/* Makes entries from e->pos on available in the buffer: 1, 0 at the end, or -errno. */
static int fill(struct gofer_dir *d, int64_t pos)
{
	int hfd = hh_fd(d->h);

	if (!d->buf) {
		d->buf = kmalloc(DIR_BUF);
		if (!d->buf)
			return -ENOMEM;
	}
	if (d->at < d->n && d->next_pos == pos)
		return 1;
	if (d->host_pos != pos || pos == 0) {
		int64_t at = h_lseek(hfd, pos, SEEK_SET);
		if (at < 0)
			return -EINVAL;
	}
	d->at = d->n = 0;
	int64_t n = h_getdents(hfd, d->buf, DIR_BUF);
	told_news();
	if (n <= 0) {
		d->host_pos = n ? -1 : pos;
		return n == 0 || n == -ENOENT ? (int)n : -EIO;
	}
	d->n = (uint32_t)n;
	d->next_pos = pos;
	d->host_pos = pos;	/* moves with the entries below */
	return 1;
}

/* The dots come from the host too: a position is the host's own cookie, 0 is the start. */
static int gofer_iterate(struct file *f, struct dir_emit *e)
{
	struct gofer_dir *d = f->priv;

	for (;;) {
		int rc = fill(d, e->pos);
		if (rc <= 0)
			return rc;
		while (d->at < d->n) {
			const struct host_dirent *h = (const void *)(d->buf + d->at);
			size_t len = strnlen(h->name, h->len - offsetof(struct host_dirent, name));

			if (dir_emit(e, h->name, len, h->ino, h->type, h->off))
				return 0;
			d->at += h->len;
			d->next_pos = d->host_pos = h->off;
			e->pos = h->off;
		}
	}
}

/* --- the rest ----------------------------------------------------------------------------------- */

static int gofer_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags,
		      struct file_map *out)
{
	if (!S_ISREG(f->inode->mode) || desc_kind(f) >= DESC_KINDS)
		return -ENODEV;
	if (flags & MAP_SHARED && !to_gofer(f->inode)->system)
		believe_nothing();
	*out = (struct file_map){.h = to_gofer(f->inode)->desc[desc_kind(f)].h, .off = off};
	return 0;
}

static int gofer_fsync(struct file *f, bool data_only)
{
	int hfd = S_ISDIR(f->inode->mode) ? hh_fd(((struct gofer_dir *)f->priv)->h) : desc_fd(f);
	int r = data_only ? h_fdatasync(hfd) : h_fsync(hfd);

	return r == -EINVAL || r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == 0 ? r : -EIO;
}

static int gofer_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	int64_t r;

	if (!S_ISREG(f->inode->mode))
		return -ENODEV;
	do
		r = h_fallocate(desc_fd(f), mode, off, len);
	while (r == -EINTR);
	return (int)io_result(r);
}

const struct file_ops gofer_file_ops = {
	.open = gofer_open,
	.release = gofer_release,
	.read = gofer_read,
	.write = gofer_write,
	.llseek = gofer_llseek,
	.iterate = gofer_iterate,
	.mmap = gofer_mmap,
	.fsync = gofer_fsync,
	.fallocate = gofer_fallocate,
};
