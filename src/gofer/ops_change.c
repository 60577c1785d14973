/* SPDX-License-Identifier: Apache-2.0 */
/* Changing names and attributes: link, unlink, rename, setattr, extended attributes. Every one
 * needs a writable root, whatever the Sentry believes. */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include "gofer/gofer_int.h"
#include "host/file.h"
#include "host/path.h"

static int pin_rw(uint64_t id, struct href *h)
{
	int rc = handle_pin(id, h);

	if (!rc && !(h->root_flags & GOFER_ROOT_RW)) {
		handle_unpin(h);
		rc = -EROFS;
	}
	return rc;
}

static int pin_dir_rw(uint64_t id, struct href *h)
{
	struct stat st;
	int rc = pin_rw(id, h);

	if (rc)
		return rc;
	rc = h_fstat(h->hfd, &st);
	if (!rc)
		rc = S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	if (rc)
		handle_unpin(h);
	return rc;
}

int op_link(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r), dir_id = wire_get_u64(r);
	size_t len;
	const char *name = wire_get_str(r, GOFER_NAME_MAX, &len);
	struct href h = {0}, dir = {0};
	char path[FD_PATH_MAX];

	if (!wire_done(r))
		return -EPROTO;
	if (!name_ok(name, len))
		return -EINVAL;
	int rc = pin_rw(id, &h);
	if (!rc)
		rc = pin_dir_rw(dir_id, &dir);
	/* Between roots a link would carry an object from one set of rules into another. */
	if (!rc && h.root != dir.root)
		rc = -EXDEV;
	if (!rc)
		rc = h_linkat(AT_FDCWD, fd_path(path, h.hfd), dir.hfd, name, AT_SYMLINK_FOLLOW);
	if (!rc)
		reply_stamp(ch, &dir, name, &h);
	handle_unpin(&dir);
	handle_unpin(&h);
	return rc;
}

int op_unlink(struct channel *ch, struct wire_r *r)
{
	uint64_t dir_id = wire_get_u64(r);
	size_t len;
	const char *name = wire_get_str(r, GOFER_NAME_MAX, &len);
	uint32_t is_dir = wire_get_u32(r);
	uint64_t id = wire_get_u64(r);
	struct href dir = {0};

	if (!wire_done(r) || is_dir > 1)
		return -EPROTO;
	if (!name_ok(name, len))
		return -EINVAL;
	int rc = pin_dir_rw(dir_id, &dir);
	if (rc)
		return rc;
	handle_keep(id, true);
	rc = h_unlinkat(dir.hfd, name, is_dir ? AT_REMOVEDIR : 0);
	if (rc)
		handle_keep(id, false);
	else
		reply_stamp(ch, &dir, name, NULL);
	handle_unpin(&dir);
	return rc;
}

int op_rename(struct channel *ch, struct wire_r *r)
{
	struct href odir = {0}, ndir = {0};
	size_t olen, nlen;
	uint64_t odir_id = wire_get_u64(r);
	const char *oname = wire_get_str(r, GOFER_NAME_MAX, &olen);
	uint64_t ndir_id = wire_get_u64(r);
	const char *nname = wire_get_str(r, GOFER_NAME_MAX, &nlen);
	uint32_t flags = wire_get_u32(r);
	uint64_t moved = wire_get_u64(r), replaced = wire_get_u64(r);

	if (!wire_done(r))
		return -EPROTO;
	if (!name_ok(oname, olen) || !name_ok(nname, nlen) ||
	    flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	int rc = pin_dir_rw(odir_id, &odir);
	if (!rc)
		rc = pin_dir_rw(ndir_id, &ndir);
	if (!rc && odir.root != ndir.root)
		rc = -EXDEV;
	if (!rc) {
		if (!(flags & RENAME_EXCHANGE))
			handle_keep(replaced, true);
		rc = h_renameat2(odir.hfd, oname, ndir.hfd, nname, flags);
		if (rc)
			handle_keep(replaced, false);
	}
	if (!rc) {
		handle_moved(moved, &ndir, nname);
		if (flags & RENAME_EXCHANGE)
			handle_moved(replaced, &odir, oname);
		struct href h = {0};
		if (handle_pin(moved, &h))
			h = (struct href){0};	/* matches nothing */
		reply_stamp(ch, &ndir, nname, &h);
		handle_unpin(&h);
	}
	handle_unpin(&ndir);
	handle_unpin(&odir);
	return rc;
}

static int set_size(const struct href *h, const struct stat *st, uint64_t size)
{
	if (!S_ISREG(st->st_mode))
		return S_ISDIR(st->st_mode) ? -EISDIR : -EINVAL;
	if (size > INT64_MAX)
		return -EFBIG;
	int rc = handles_make_room(1);
	int hfd = rc ? rc : step_reopen(h->hfd, O_WRONLY);
	if (hfd < 0)
		return hfd;
	rc = h_ftruncate(hfd, (int64_t)size);
	(void)h_close(hfd);
	return rc;
}

static int set_times(const struct href *h, uint32_t valid, const uint64_t *t)
{
	struct timespec ts[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
	char path[FD_PATH_MAX];

	if (valid & GOFER_SET_ATIME)
		ts[0] = (struct timespec){(int64_t)t[0], (int64_t)t[1]};
	if (valid & GOFER_SET_MTIME)
		ts[1] = (struct timespec){(int64_t)t[2], (int64_t)t[3]};
	int rc = h_utimensat(h->hfd, "", ts, AT_EMPTY_PATH);
	/* Before 5.8 there is no AT_EMPTY_PATH here. */
	if (rc == -EINVAL || rc == -ENOENT)
		rc = h_utimensat(AT_FDCWD, fd_path(path, h->hfd), ts, 0);
	return rc;
}

int op_setattr(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r), t[4];
	uint32_t valid = wire_get_u32(r), mode = wire_get_u32(r);
	uint32_t uid = wire_get_u32(r), gid = wire_get_u32(r);
	uint64_t size = wire_get_u64(r);
	struct href h = {0};
	struct stat st;
	char path[FD_PATH_MAX];

	for (unsigned i = 0; i < 4; i++)
		t[i] = wire_get_u64(r);
	if (!wire_done(r) || valid & ~63u)
		return -EPROTO;
	int rc = pin_rw(id, &h);
	if (rc)
		return rc;
	rc = h_fstat(h.hfd, &st);
	if (!rc && valid & (GOFER_SET_UID | GOFER_SET_GID))
		rc = h_fchownat(h.hfd, "", valid & GOFER_SET_UID ? uid : ~0u,
				valid & GOFER_SET_GID ? gid : ~0u, AT_EMPTY_PATH);
	if (!rc && valid & GOFER_SET_MODE)
		rc = S_ISLNK(st.st_mode) ? -EOPNOTSUPP
					 : h_fchmodat(AT_FDCWD, fd_path(path, h.hfd), mode & 07777);
	if (!rc && valid & GOFER_SET_SIZE)
		rc = set_size(&h, &st, size);
	if (!rc && valid & (GOFER_SET_ATIME | GOFER_SET_MTIME))
		rc = set_times(&h, valid, t);
	handle_unpin(&h);
	return rc;
}

/* Only user.* is the guest's: the other name spaces are the host's own policy. */
static bool xattr_allowed(const char *name)
{
	return strncmp(name, "user.", 5) == 0 && name[5];
}

/* Pins a file or directory whose user.* attributes may be read or written. */
static int pin_xattr(uint64_t id, bool write, struct href *h)
{
	struct stat st;
	int rc = write ? pin_rw(id, h) : handle_pin(id, h);

	if (rc)
		return rc;
	rc = h_fstat(h->hfd, &st);
	if (!rc && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		rc = write ? -EPERM : -ENODATA;
	if (!rc && !write)
		rc = public_check(h, &st, S_IROTH);
	if (rc)
		handle_unpin(h);
	return rc;
}

int op_getxattr(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	const char *name = wire_get_str(r, GOFER_XATTR_NAME_MAX, NULL);
	uint32_t cap = wire_get_u32(r);
	struct href h = {0};
	char path[FD_PATH_MAX];

	if (!wire_done(r))
		return -EPROTO;
	if (!xattr_allowed(name))
		return -EOPNOTSUPP;
	int rc = pin_xattr(id, false, &h);
	if (rc)
		return rc;
	int64_t n = h_getxattr(fd_path(path, h.hfd), name, ch->scratch, cap ? GOFER_XATTR_MAX : 0);
	handle_unpin(&h);
	if (n < 0)
		return (int)n;
	if (cap && n > cap)
		return -ERANGE;
	wire_put_u32(&ch->rep.w, (uint32_t)n);
	if (cap)
		wire_put(&ch->rep.w, ch->scratch, (size_t)n);
	return 0;
}

int op_setxattr(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	const char *name = wire_get_str(r, GOFER_XATTR_NAME_MAX, NULL);
	uint32_t flags = wire_get_u32(r), n = wire_get_u32(r);
	const uint8_t *value = n <= GOFER_XATTR_MAX ? wire_take(r, n) : NULL;
	struct href h = {0};
	char path[FD_PATH_MAX];

	if (!value || !wire_done(r) || flags > 2)
		return -EPROTO;
	if (!xattr_allowed(name))
		return -EOPNOTSUPP;
	int rc = pin_xattr(id, true, &h);
	if (rc)
		return rc;
	rc = h_setxattr(fd_path(path, h.hfd), name, value, n, (int)flags);
	handle_unpin(&h);
	return rc;
}

/* Keeps the names that the guest may see; returns the new length. */
static size_t filter_names(char *list, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n;) {
		size_t len = strnlen(list + i, n - i) + 1;

		if (i + len > n)
			break;
		if (xattr_allowed(list + i)) {
			memmove(list + out, list + i, len);
			out += len;
		}
		i += len;
	}
	return out;
}

int op_listxattr(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	uint32_t cap = wire_get_u32(r);
	struct href h = {0};
	char path[FD_PATH_MAX];

	if (!wire_done(r))
		return -EPROTO;
	int rc = pin_xattr(id, false, &h);
	if (rc && rc != -ENODATA)
		return rc;
	int64_t n = rc ? 0 : h_listxattr(fd_path(path, h.hfd), (char *)ch->scratch, GOFER_XATTR_MAX);
	handle_unpin(&h);
	if (n < 0)
		return (int)n;
	n = (int64_t)filter_names((char *)ch->scratch, (size_t)n);
	if (cap && n > cap)
		return -ERANGE;
	wire_put_u32(&ch->rep.w, (uint32_t)n);
	if (cap)
		wire_put(&ch->rep.w, ch->scratch, (size_t)n);
	return 0;
}

int op_removexattr(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	const char *name = wire_get_str(r, GOFER_XATTR_NAME_MAX, NULL);
	struct href h = {0};
	char path[FD_PATH_MAX];

	if (!wire_done(r))
		return -EPROTO;
	if (!xattr_allowed(name))
		return -EOPNOTSUPP;
	int rc = pin_xattr(id, true, &h);
	if (rc)
		return rc;
	rc = h_removexattr(fd_path(path, h.hfd), name);
	handle_unpin(&h);
	return rc;
}
