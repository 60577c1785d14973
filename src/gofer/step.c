/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single steps on the host. A walk takes one component at a time from an O_PATH descriptor to an
 * O_PATH descriptor, so that nothing is opened before its type has been looked at, no link is
 * followed, and nothing above a root is reachable. Objects are opened for use through "N" in
 * /proc/self/fd: the same object, whatever has happened to its name.
 */
#include <errno.h>
#include <string.h>
#include "gofer/gofer_int.h"
#include "host/file.h"
#include "lib/fmt.h"

/* Never waits for a FIFO's other end or a lease, never takes a terminal. */
#define OPEN_ALWAYS (O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

bool gofer_no_openat2;

int step_open(int dirfd, const char *name)
{
	const struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	/* Without openat2: the name is one component and not "..", so this stays beneath too. */
	if (gofer_no_openat2)
		return h_openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
	return h_openat2(dirfd, name, &how, sizeof(how));
}

int step_create(int dirfd, const char *name, int flags, unsigned mode)
{
	const struct open_how how = {
		.flags = (unsigned)(flags | O_CREAT | O_EXCL | O_NOFOLLOW | OPEN_ALWAYS),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	if (gofer_no_openat2)
		return h_openat(dirfd, name, (int)how.flags, mode);
	return h_openat2(dirfd, name, &how, sizeof(how));
}

int step_tmpfile(int dirfd, unsigned mode)
{
	return h_openat(dirfd, ".", O_TMPFILE | O_RDWR | OPEN_ALWAYS, mode);
}

const char *fd_path(char *buf, int hfd)
{
	fmt_n(buf, FD_PATH_MAX, "%d", hfd);
	return buf;
}

int step_reopen(int hfd, int flags)
{
	char path[FD_PATH_MAX];

	if (flags & O_PATH)
		return h_openat(AT_FDCWD, fd_path(path, hfd), O_PATH | O_CLOEXEC, 0);
	return h_openat(AT_FDCWD, fd_path(path, hfd), flags | OPEN_ALWAYS, 0);
}

bool name_ok(const char *name, size_t len)
{
	if (len == 0 || len > GOFER_NAME_MAX || memchr(name, '/', len))
		return false;
	return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/*
 * Looks at the bits of "others" only: they hold for everybody who is neither the owner, nor in
 * the group, nor named in an ACL, and that is who "another ordinary user" is.
 */
int public_check(const struct href *r, const struct stat *st, unsigned bit)
{
	if (!(r->root_flags & GOFER_ROOT_PUBLIC) || (st->st_mode & bit) == bit)
		return 0;
	return -EACCES;
}
