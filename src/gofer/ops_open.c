/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and opening objects: attach, walk, getfd, open, create. */
#include <errno.h>
#include <sys/sysmacros.h>
#include "gofer/gofer_int.h"
#include "host/file.h"

int op_attach(struct channel *ch, struct wire_r *r)
{
	uint32_t root = wire_get_u32(r);
	struct href h = {0};

	if (!wire_done(r))
		return -EPROTO;
	int rc = handle_pin_root(root, &h);
	return rc ? rc : reply_node(ch, &h, -1);
}

#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_DIRECTORY | O_DIRECT)

/* May this object be opened with these flags at all? Looks at type, root and, on public roots,
 * at the bits of others; the host judges the rest. */
static int may_open(const struct href *h, uint32_t flags)
{
	struct stat st;
	bool wants_read = (flags & O_ACCMODE) != O_WRONLY;
	bool wants_write = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
	int rc = h_fstat(h->hfd, &st);

	if (rc)
		return rc;
	if (flags & ~(uint32_t)OPEN_FLAGS || (flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (S_ISDIR(st.st_mode) && wants_write)
		return -EISDIR;
	if (!S_ISDIR(st.st_mode) && flags & O_DIRECTORY)
		return -ENOTDIR;
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !(h->root_flags & GOFER_ROOT_SPECIAL))
		return S_ISSOCK(st.st_mode) ? -ENXIO : -EACCES;
	if (wants_write && !(h->root_flags & GOFER_ROOT_RW))
		return -EROFS;
	return wants_read ? public_check(h, &st, S_IROTH) : 0;
}

/* What was found is about to be opened for reading: a description, or -1 (the open itself will
 * say why not). */
static int open_found(const struct href *h)
{
	if (!S_ISREG(h->mode) || may_open(h, O_RDONLY) || handles_make_room(1))
		return -1;
	int hfd = step_reopen(h->hfd, O_RDONLY);
	return hfd < 0 ? -1 : hfd;
}

/* May names be looked up in it? Only public roots need a look: openat says ENOTDIR itself. */
static int may_search(const struct href *dir)
{
	struct stat st;

	if (!(dir->root_flags & GOFER_ROOT_PUBLIC))
		return 0;
	int rc = h_fstat(dir->hfd, &st);
	if (!rc && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	return rc ? rc : public_check(dir, &st, S_IXOTH);
}

/* One component below dir, pinned. */
static int child_of(const struct href *dir, const char *name, struct href *child)
{
	int rc = handles_make_room(1);

	if (!rc)
		rc = step_open(dir->hfd, name);
	return rc < 0 ? rc : handle_add(dir, name, rc, child);
}

static int read_names(struct wire_r *r, const char **names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		size_t len;

		names[i] = wire_get_str(r, GOFER_NAME_MAX, &len);
		if (!r->bad && !name_ok(names[i], len))
			return -EINVAL;
	}
	return wire_done(r) ? 0 : -EPROTO;
}

int op_walk(struct channel *ch, struct wire_r *r)
{
	uint64_t dir = wire_get_u64(r);
	uint32_t open_last = wire_get_u32(r), n = wire_get_u32(r), got = 0;
	const char *names[GOFER_WALK_MAX];
	struct href at = {0};
	int stop = 0;

	if (n == 0 || n > GOFER_WALK_MAX || open_last > 1)
		return -EPROTO;
	int rc = read_names(r, names, n);
	if (!rc)
		rc = handle_pin(dir, &at);
	if (rc)
		return rc;
	uint8_t *counts = wire_reserve(&ch->rep.w, 8);
	while (got < n) {
		struct href child = {0}, next = {0};

		stop = may_search(&at);
		if (!stop)
			stop = child_of(&at, names[got], &child);
		if (stop)
			break;
		/* The reply keeps its own pin; go on with another one. */
		bool more = got + 1 < n && S_ISDIR(child.mode) && handle_pin(child.id, &next) == 0;
		int hfd = open_last && got + 1 == n ? open_found(&child) : -1;
		stop = reply_node(ch, &child, hfd);
		handle_unpin(&at);
		at = next;
		if (stop)
			break;
		got++;
		if (!more)
			break;
	}
	handle_unpin(&at);
	if (counts) {
		struct wire_w w = WIRE_W(counts, 8);

		wire_put_u32(&w, got);
		wire_put_u32(&w, (uint32_t)stop);
	}
	return got ? 0 : stop;
}

int op_siblings(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	uint32_t n = wire_get_u32(r);
	const char *names[GOFER_WALK_MAX];
	struct href dir = {0};

	if (n == 0 || n > GOFER_WALK_MAX)
		return -EPROTO;
	int rc = read_names(r, names, n);
	if (!rc)
		rc = handle_pin(id, &dir);
	if (rc)
		return rc;
	rc = may_search(&dir);
	for (uint32_t i = 0; i < n && !rc; i++) {
		struct href child = {0};
		int one = child_of(&dir, names[i], &child);

		wire_put_u32(&ch->rep.w, (uint32_t)one);
		if (!one)
			rc = reply_node(ch, &child, -1);
	}
	handle_unpin(&dir);
	return rc;
}

int op_getfd(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	struct href h = {0};

	if (!wire_done(r))
		return -EPROTO;
	int rc = handle_pin(id, &h);
	if (rc)
		return rc;
	rc = reply_fd(&ch->rep, h.hfd, false);
	if (rc)
		handle_unpin(&h);
	else
		ch->rep.pins[ch->rep.npins++] = h;	/* no node: stays when sending fails */
	return rc;
}

int op_peek(struct channel *ch, struct wire_r *r)
{
	uint64_t dir = wire_get_u64(r);
	size_t len;
	const char *name = wire_get_str(r, GOFER_NAME_MAX, &len);
	struct href h = {0};
	struct statx st;
	struct stat dst;

	if (!wire_done(r))
		return -EPROTO;
	if (!name_ok(name, len))
		return -EINVAL;
	int rc = handle_pin(dir, &h);
	if (rc)
		return rc;
	rc = h_fstat(h.hfd, &dst);
	if (!rc)
		rc = S_ISDIR(dst.st_mode) ? public_check(&h, &dst, S_IXOTH) : -ENOTDIR;
	if (!rc)
		rc = h_statx(h.hfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_INO | STATX_BTIME,
			     &st);
	handle_unpin(&h);
	if (rc)
		return rc;
	wire_put_u64(&ch->rep.w, gnu_dev_makedev(st.stx_dev_major, st.stx_dev_minor));
	wire_put_u64(&ch->rep.w, st.stx_ino);
	wire_put_u64(&ch->rep.w, gofer_born(st.stx_btime.tv_sec, st.stx_btime.tv_nsec));
	return 0;
}

int op_open(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	uint32_t flags = wire_get_u32(r);
	struct href h = {0};

	if (!wire_done(r))
		return -EPROTO;
	int rc = handle_pin(id, &h);
	if (rc)
		return rc;
	rc = may_open(&h, flags);
	if (!rc)
		rc = handles_make_room(1);
	if (!rc) {
		rc = step_reopen(h.hfd, (int)flags);
		if (rc >= 0)
			rc = reply_fd(&ch->rep, rc, true);
	}
	handle_unpin(&h);
	return rc;
}

/* A new object belongs to the guest's ids where the Gofer may say so (root with the capability);
 * else to the user who started it. */
static void give_to(const struct href *dir, int hfd, unsigned mode, uint32_t uid, uint32_t gid)
{
	struct stat st, dst;
	char path[FD_PATH_MAX];

	if (h_fstat(hfd, &st) || h_fstat(dir->hfd, &dst))
		return;
	if (dst.st_mode & S_ISGID)
		gid = st.st_gid;
	if (st.st_uid == uid && st.st_gid == gid)
		return;
	if (h_fchownat(hfd, "", uid, gid, AT_EMPTY_PATH))
		return;
	/* chown has taken these bits away. */
	if (mode & (S_ISUID | S_ISGID) && S_ISREG(st.st_mode))
		(void)!h_fchmodat(AT_FDCWD, fd_path(path, hfd), mode & 07777);
}

static int dir_for_change(uint64_t id, struct href *dir)
{
	struct stat st;
	int rc = handle_pin(id, dir);

	if (rc)
		return rc;
	rc = h_fstat(dir->hfd, &st);
	if (!rc && !S_ISDIR(st.st_mode))
		rc = -ENOTDIR;
	if (!rc && !(dir->root_flags & GOFER_ROOT_RW))
		rc = -EROFS;
	if (!rc)
		rc = handles_make_room(2);
	if (rc)
		handle_unpin(dir);
	return rc;
}

/* The node of a new object, held by O_PATH descriptor `hfd` or the error in it; open_hfd is an
 * open descriptor of it or -1. Both are consumed. */
static int new_node(struct channel *ch, const struct href *dir, const char *name, int hfd,
		    int open_hfd, unsigned mode, uint32_t uid, uint32_t gid)
{
	struct href node = {0};
	int rc = min(hfd, 0);

	if (!rc) {
		give_to(dir, hfd, mode, uid, gid);
		rc = handle_add(dir, name, hfd, &node);
	}
	if (rc) {
		if (open_hfd >= 0)
			(void)h_close(open_hfd);
		return rc;
	}
	const struct href made = node;
	rc = reply_node(ch, &node, open_hfd);
	if (!rc && *name)
		reply_stamp(ch, dir, name, &made);
	return rc;
}

int op_create(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	size_t len;
	const char *name = wire_get_str(r, GOFER_NAME_MAX, &len);
	uint32_t mode = wire_get_u32(r), flags = wire_get_u32(r);
	uint32_t uid = wire_get_u32(r), gid = wire_get_u32(r);
	struct href dir = {0};

	if (!wire_done(r))
		return -EPROTO;
	if (!name_ok(name, len) || flags & ~(uint32_t)(O_ACCMODE | O_DIRECT) ||
	    (flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	int rc = dir_for_change(id, &dir);
	if (rc)
		return rc;
	int hfd = step_create(dir.hfd, name, (int)flags, mode & 07777);
	if (hfd < 0)
		rc = hfd;
	else
		rc = new_node(ch, &dir, name, step_reopen(hfd, O_PATH), hfd, mode, uid, gid);
	handle_unpin(&dir);
	return rc;
}

int op_tmpfile(struct channel *ch, struct wire_r *r)
{
	uint64_t id = wire_get_u64(r);
	uint32_t mode = wire_get_u32(r), uid = wire_get_u32(r), gid = wire_get_u32(r);
	struct href dir = {0};

	if (!wire_done(r))
		return -EPROTO;
	int rc = dir_for_change(id, &dir);
	if (rc)
		return rc;
	int hfd = step_tmpfile(dir.hfd, mode & 07777);
	if (hfd < 0)
		rc = hfd;
	else
		rc = new_node(ch, &dir, "", step_reopen(hfd, O_PATH), hfd, mode, uid, gid);
	if (!rc)
		handle_keep(ch->rep.pins[ch->rep.npins - 1].id, true);
	handle_unpin(&dir);
	return rc;
}

/* mkdir, mknod and symlink differ in one call. */
static int make(struct channel *ch, struct wire_r *r, uint32_t op)
{
	uint64_t id = wire_get_u64(r);
	size_t len, target_len = 1;
	const char *name = wire_get_str(r, GOFER_NAME_MAX, &len), *target = "";
	uint32_t mode = 0;
	struct href dir = {0};

	if (op == GOFER_SYMLINK)
		target = wire_get_str(r, GOFER_TARGET_MAX, &target_len);
	else
		mode = wire_get_u32(r);
	uint32_t uid = wire_get_u32(r), gid = wire_get_u32(r), type = mode & S_IFMT;
	if (!wire_done(r))
		return -EPROTO;
	if (!name_ok(name, len))
		return -EINVAL;
	if (op == GOFER_MKNOD && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EPERM;
	if (!target_len)
		return -ENOENT;
	int rc = dir_for_change(id, &dir);
	if (rc)
		return rc;
	if (op == GOFER_MKDIR)
		rc = h_mkdirat(dir.hfd, name, mode & 07777);
	else if (op == GOFER_MKNOD)
		rc = h_mknodat(dir.hfd, name, type | (mode & 07777), 0);
	else
		rc = h_symlinkat(target, dir.hfd, name);
	if (!rc)
		rc = new_node(ch, &dir, name, step_open(dir.hfd, name), -1, mode, uid, gid);
	handle_unpin(&dir);
	return rc;
}

int op_mkdir(struct channel *ch, struct wire_r *r)
{
	return make(ch, r, GOFER_MKDIR);
}

int op_mknod(struct channel *ch, struct wire_r *r)
{
	return make(ch, r, GOFER_MKNOD);
}

int op_symlink(struct channel *ch, struct wire_r *r)
{
	return make(ch, r, GOFER_SYMLINK);
}
