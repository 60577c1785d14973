/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts by descriptor: contexts and their messages, detached trees, attributes. */
#include "mounts.h"
#include <linux/mount.h>

static bool user;

/* By number: older libcs lack the names. */
static int fsopen_(const char *type, unsigned flags)
{
	return syscall(430, type, flags);
}

static int config(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
	return syscall(431, fd, cmd, key, value, aux);
}

static int fsmount_(int fd, unsigned flags, unsigned attr)
{
	return syscall(432, fd, flags, attr);
}

static int pick(const char *path, unsigned flags)
{
	return syscall(433, AT_FDCWD, path, flags);
}

static int tree(const char *path, unsigned flags)
{
	return syscall(428, AT_FDCWD, path, flags);
}

static int move(int from, const char *name, const char *to, unsigned flags)
{
	return syscall(429, from, name, AT_FDCWD, to, flags);
}

static int attr(int fd, const char *path, unsigned flags, uint64_t set, uint64_t clr, uint64_t prop)
{
	struct mount_attr a = {.attr_set = set, .attr_clr = clr, .propagation = prop};
	return syscall(442, fd, path, flags, &a, sizeof(a));
}

static void messages(int fd)
{
	char b[512];
	ssize_t n;
	while ((n = read(fd, b, sizeof(b) - 1)) >= 0) {
		b[n] = 0;
		printf("  message %zd: %s", n, b);
	}
	printf("  %s\n", strerrorname_np(errno));
}

static void context(void)
{
	int f = fsopen_("tmpfs", 0), m;
	char b[4];
	CHECK(f >= 0);
	messages(f);
	SHOW(config(f, 1, "size", "bogus", 0));
	SHOW(read(f, b, sizeof(b)));
	SHOW(config(f, 1, "foo", "bar", 0));
	SHOW(config(f, 0, "foo", NULL, 0));
	messages(f);
	SHOW(config(f, 1, "source", "a", 0));
	SHOW(config(f, 1, "source", "b", 0));
	SHOW(config(f, 0, "ro", NULL, 0));
	SHOW(config(f, 0, "nosuid", NULL, 0));
	SHOW(config(f, 0, "size", NULL, 0));
	SHOW(config(f, 3, "size", "/", AT_FDCWD));
	SHOW(config(f, 2, "size", "ab", 2));
	messages(f);
	SHOW(config(f, 1, "size", "1m", 0));
	SHOW(config(f, 1, "mode", "700", 0));
	SHOW(config(f, 99, NULL, NULL, 0));
	SHOW(config(f, 7, NULL, NULL, 0));
	SHOW(config(f, 6, "x", NULL, 0));
	SHOW(fsmount_(f, 0, 0));
	SHOW(config(f, 6, NULL, NULL, 0));
	SHOW(config(f, 6, NULL, NULL, 0));
	SHOW(config(f, 1, "size", "2m", 0));
	SHOW(fsmount_(f, 2, 0));
	SHOW(fsmount_(f, 0, 0x70));
	SHOW(fsmount_(f, 0, 0x400));
	SHOW(fsmount_(0, 0, 0));
	m = fsmount_(f, 1, MOUNT_ATTR_NOSUID);
	CHECK(m >= 0);
	SHOW(fsmount_(f, 0, 0));
	SHOW(move(m, "", "d", 0));
	SHOW(move(m, "", "file", MOVE_MOUNT_F_EMPTY_PATH));
	SHOW(move(m, "", "d", MOVE_MOUNT_F_EMPTY_PATH));
	SHOW(move(m, "", "d", MOVE_MOUNT_F_EMPTY_PATH));
	show_mounts("by context");
	cat("/proc/self/fd/9");
	SHOW(mkdir("d/x", 0700));
	SHOW(config(f, 1, "size", "2m", 0));
	SHOW(config(f, 7, NULL, NULL, 0));
	SHOW(mkdir("d/x", 0700));
	SHOW(config(f, 6, NULL, NULL, 0));
	close(m);
	close(f);
	f = pick("d", 0);
	CHECK(f >= 0);
	SHOW(config(f, 0, "ro", NULL, 0));
	SHOW(config(f, 6, NULL, NULL, 0));
	SHOW(config(f, 7, NULL, NULL, 0));
	SHOW(mkdir("d/y", 0700));
	SHOW(fsmount_(f, 0, 0));
	SHOW(pick("e", 0));
	SHOW(pick("d", 16));
	SHOW(fsopen_("nofs", 0));
	SHOW(fsopen_("tmpfs", 2));
	SHOW(fsopen_(NULL, 0));
	close(f);
}

static void others(void)
{
	int f = fsopen_("overlay", 1), m;
	SHOW(config(f, 1, "lowerdir+", "lo", 0));
	SHOW(config(f, 1, "lowerdir+", "lo2", 0));
	SHOW(config(f, 1, "upperdir", "none", 0));
	SHOW(config(f, 1, "bogus", "x", 0));
	messages(f);
	SHOW(config(f, 6, NULL, NULL, 0));
	m = fsmount_(f, 0, 0);
	SHOW(move(m, "", "d", MOVE_MOUNT_F_EMPTY_PATH));
	SHOW(access("d/in_lo", F_OK));
	SHOW(access("d/in_lo2", F_OK));
	close(m);
	close(f);
	f = fsopen_("overlay", 1);
	SHOW(config(f, 1, "lowerdir", "lo", 0));
	SHOW(config(f, 6, NULL, NULL, 0));
	SHOW(config(f, 6, NULL, NULL, 0));
	SHOW(config(f, 1, "lowerdir", "lo", 0));
	close(f);
	f = fsopen_("proc", 1);
	SHOW(config(f, 6, NULL, NULL, 0));
	m = fsmount_(f, 0, 0);
	if (!user) {	/* a namespace of user ids needs one of processes, too */
		CHECK(m >= 0);
		SHOW(openat(m, "self/status", O_RDONLY) >= 0);
	}
	close(m);
	close(f);
}

static void trees(void)
{
	int t = tree("e", OPEN_TREE_CLONE | AT_RECURSIVE), plain = tree("e", 0);
	CHECK(t >= 0 && plain >= 0);
	SHOW(fcntl(t, F_GETFL) & O_PATH);
	SHOW(tree("e", 2));
	SHOW(tree("e", AT_RECURSIVE));
	SHOW(tree("none", OPEN_TREE_CLONE));
	SHOW(mkdirat(t, "new", 0700));
	SHOW(access("e/new", F_OK));
	SHOW(faccessat(t, "sub/deep", F_OK, 0));
	SHOW(attr(t, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0));
	SHOW(mkdirat(t, "new2", 0700));
	SHOW(mkdirat(t, "sub/new2", 0700));
	SHOW(mkdir("e/new2", 0700));
	SHOW(attr(t, "", AT_EMPTY_PATH, 0, MOUNT_ATTR_RDONLY, 0));
	SHOW(attr(t, "", AT_EMPTY_PATH, 0, MOUNT_ATTR_NOATIME, 0));
	SHOW(attr(t, "", AT_EMPTY_PATH, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, 0));
	SHOW(attr(t, "", AT_EMPTY_PATH, MOUNT_ATTR_STRICTATIME, 0, 0));
	SHOW(attr(t, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_NODEV, 0, MS_SHARED));
	SHOW(attr(t, "", AT_EMPTY_PATH, 0, 0, MS_SHARED | MS_SLAVE));
	SHOW(attr(t, "", AT_EMPTY_PATH, 1ull << 40, 0, 0));
	SHOW(attr(t, "", 1, 1, 0, 0));
	SHOW(attr(AT_FDCWD, "lo", 0, MOUNT_ATTR_RDONLY, 0, 0));
	SHOW(syscall(442, t, "", AT_EMPTY_PATH, NULL, 16));
	SHOW(syscall(442, t, "", AT_EMPTY_PATH, NULL, 5000));
	SHOW(syscall(442, t, "", AT_EMPTY_PATH, NULL, 32));
	SHOW(move(t, "", "lo2", MOVE_MOUNT_F_EMPTY_PATH));
	show_mounts("tree attached");
	close(t);
	show_mounts("and closed");
	SHOW(move(AT_FDCWD, "lo2", "lo", 0x800));
	SHOW(move(AT_FDCWD, "lo2", "lo2/new", 0));
	SHOW(move(AT_FDCWD, "lo2/new", "lo", 0));
	SHOW(move(AT_FDCWD, "lo2", "lo", 0));
	SHOW(move(AT_FDCWD, "d", "lo", 0x200));		/* beneath */
	show_mounts("beneath");
	SHOW(umount("lo"));
	SHOW(umount("lo/sub"));
	SHOW(umount("lo"));
	SHOW(access("lo/in_lo", F_OK));
	close(plain);
	t = tree("e", OPEN_TREE_CLONE);
	SHOW(faccessat(t, "sub/deep", F_OK, 0));
	close(t);
	SHOW(umount("e/sub"));
	SHOW(umount("e"));
}

int main(void)
{
	static const char *const dirs[] = {"d", "e", "lo", "lo2"};

	user = own_mounts();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		CHECK(mkdir(dirs[i], 0755) == 0);
	put_text("file", "x");
	put_text("lo/in_lo", "x");
	put_text("lo2/in_lo2", "x");
	context();
	SHOW(umount("d"));
	CHECK(mount("e", "e", "tmpfs", 0, NULL) == 0 && mkdir("e/sub", 0755) == 0);
	CHECK(mount("s", "e/sub", "tmpfs", 0, NULL) == 0 && mkdir("e/sub/deep", 0755) == 0);
	others();
	trees();
	DONE();
}
