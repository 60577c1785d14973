/* SPDX-License-Identifier: Apache-2.0 */
/* open, openat, openat2, creat, close, close_range, dup, dup2, dup3 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include "sentry/core/kheap.h"
#include "sentry/syscalls/fs_util.h"

#define OPEN_HOW_MAX 4096u
#define O_LARGEFILE_K 0100000u	/* libc's O_LARGEFILE is 0 on x86-64 */
#define VALID_OPEN_FLAGS                                                                           \
	(unsigned)(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NDELAY | O_NONBLOCK |    \
	 O_SYNC | O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE_K | O_DIRECTORY | O_NOFOLLOW |         \
	 O_NOATIME | O_CLOEXEC | O_PATH | O_TMPFILE_BIT)
#define O_PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)

static int open_fd(struct task *t, int dirfd, uaddr_t name, const struct open_how_k *how)
{
	struct file *f;
	char *p;
	int fd, r = copy_in_path(t, name, false, &p);

	if (r)
		return r;
	fd = fd_reserve(t, 0, how->flags & O_CLOEXEC);
	if (fd < 0) {
		path_buf_free(p);
		return fd;
	}
	struct open_how_k h = *how;
	h.flags &= ~(uint64_t)O_CLOEXEC;
	r = vfs_open(t, dirfd, p, &h, &f);
	path_buf_free(p);
	if (r) {
		fd_abandon(t, fd);
		return r;
	}
	fd_install(t, fd, f);
	return fd;
}

/* What open and openat make of their flags: unknown ones are ignored. */
static int open_legacy(struct task *t, int dirfd, uaddr_t name, unsigned flags, unsigned mode)
{
	struct open_how_k how = {.flags = (flags | O_LARGEFILE_K) & VALID_OPEN_FLAGS, .mode = mode & 07777};

	if (how.flags & O_PATH)
		how.flags &= O_PATH_FLAGS;
	if (!(how.flags & (O_CREAT | O_TMPFILE_BIT)))
		how.mode = 0;
	if ((how.flags & O_TMPFILE_BIT) &&
	    ((how.flags & O_TMPFILE) != O_TMPFILE || !(how.flags & (O_WRONLY | O_RDWR)) ||
	     (how.flags & O_CREAT)))
		return -EINVAL;
	if ((how.flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return -EINVAL;
	return open_fd(t, dirfd, name, &how);
}

int64_t sys_open(struct task *t, const struct sysargs *a)
{
	return open_legacy(t, AT_FDCWD, ARG_UADDR(0), ARG_U32(1), ARG_U32(2));
}

int64_t sys_openat(struct task *t, const struct sysargs *a)
{
	return open_legacy(t, ARG_INT(0), ARG_UADDR(1), ARG_U32(2), ARG_U32(3));
}

int64_t sys_creat(struct task *t, const struct sysargs *a)
{
	return open_legacy(t, AT_FDCWD, ARG_UADDR(0), O_CREAT | O_WRONLY | O_TRUNC, ARG_U32(1));
}

/* copy_struct_from_user: what lies beyond our size must be zero. */
static int get_how(struct task *t, uaddr_t u, uint64_t size, struct open_how *how)
{
	uint8_t extra[64];

	memset(how, 0, sizeof(*how));
	if (size < sizeof(*how))
		return -EINVAL;
	if (size > OPEN_HOW_MAX)
		return -E2BIG;
	int r = copy_in(t, how, u, sizeof(*how));
	for (uint64_t at = sizeof(*how); !r && at < size;) {
		size_t n = min(sizeof(extra), (size_t)(size - at));
		r = copy_in(t, extra, UADDR(u.v + at), n);
		for (size_t i = 0; !r && i < n; i++)
			r = extra[i] ? -E2BIG : 0;
		at += n;
	}
	return r;
}

static unsigned resolve_bits(uint64_t resolve)
{
	return (resolve & RESOLVE_NO_XDEV ? LOOKUP_NO_XDEV : 0) |
	       (resolve & RESOLVE_NO_MAGICLINKS ? LOOKUP_NO_MAGICLINKS : 0) |
	       (resolve & RESOLVE_NO_SYMLINKS ? LOOKUP_NO_SYMLINKS | LOOKUP_NO_MAGICLINKS : 0) |
	       (resolve & RESOLVE_BENEATH ? LOOKUP_BENEATH : 0) |
	       (resolve & RESOLVE_IN_ROOT ? LOOKUP_IN_ROOT : 0) |
	       (resolve & RESOLVE_CACHED ? LOOKUP_CACHED : 0);
}

int64_t sys_openat2(struct task *t, const struct sysargs *a)
{
	const uint64_t all = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
			     RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED;
	struct open_how u;
	int r = get_how(t, ARG_UADDR(2), a->a[3], &u);

	if (r)
		return r;
	if (u.flags & ~(uint64_t)VALID_OPEN_FLAGS)
		return -EINVAL;
	if (u.resolve & ~all)
		return -EINVAL;
	if ((u.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return -EINVAL;
	if (u.flags & (O_CREAT | O_TMPFILE_BIT)) {
		if (u.mode & ~07777ull)
			return -EINVAL;
	} else if (u.mode) {
		return -EINVAL;
	}
	if ((u.flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return -EINVAL;
	if ((u.flags & O_TMPFILE_BIT) &&
	    ((u.flags & O_TMPFILE) != O_TMPFILE || !(u.flags & (O_WRONLY | O_RDWR))))
		return -EINVAL;
	if ((u.flags & O_PATH) && (u.flags & ~(uint64_t)O_PATH_FLAGS))
		return -EINVAL;
	if ((u.resolve & RESOLVE_CACHED) && (u.flags & (O_TRUNC | O_CREAT | O_TMPFILE_BIT)))
		return -EAGAIN;
	struct open_how_k how = {.flags = u.flags, .mode = (uint32_t)u.mode,
				 .resolve = resolve_bits(u.resolve)};
	return open_fd(t, ARG_INT(0), ARG_UADDR(1), &how);
}

int64_t sys_close(struct task *t, const struct sysargs *a)
{
	return fd_close(t, ARG_INT(0));
}

int64_t sys_close_range(struct task *t, const struct sysargs *a)
{
	unsigned first = ARG_U32(0), last = ARG_U32(1), flags = ARG_U32(2);

	if (flags & ~6u)	/* CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC */
		return -EINVAL;
	if (first > last)
		return -EINVAL;
	if ((flags & 2) && ref_read(&t->files->ref) > 1) {
		struct files *mine = files_copy(t->files), *old = t->files;
		if (!mine)
			return -ENOMEM;
		mutex_lock(&tasks_lock);
		t->files = mine;
		mutex_unlock(&tasks_lock);
		files_put(t, old);
	}
	return fd_close_range(t, first, last, flags & 4);
}

int64_t sys_dup(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_any(t, ARG_INT(0));

	return f ? fd_add(t, f, false) : -EBADF;
}

int64_t sys_dup2(struct task *t, const struct sysargs *a)
{
	int from = ARG_INT(0), to = ARG_INT(1);

	if (from == to) {
		struct file *f = fd_get_any(t, from);
		if (!f)
			return -EBADF;
		file_put(f);
		return to;
	}
	return fd_dup_to(t, from, to, false);
}

int64_t sys_dup3(struct task *t, const struct sysargs *a)
{
	if (ARG_U32(2) & ~(unsigned)O_CLOEXEC)
		return -EINVAL;
	if (ARG_INT(0) == ARG_INT(1))
		return -EINVAL;
	return fd_dup_to(t, ARG_INT(0), ARG_INT(1), ARG_U32(2) & O_CLOEXEC);
}
