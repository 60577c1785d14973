/* SPDX-License-Identifier: Apache-2.0 */
/* The flags of chattr: immutable and append-only files and directories. */
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include "guest.h"

#define OURS (FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL)

static int change(const char *path, int set, int clear)
{
	int fd = open(path, O_RDONLY), v = 0, r;

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &v))
		die(path);
	v = (v | set) & ~clear;
	r = ioctl(fd, FS_IOC_SETFLAGS, &v);
	int e = errno;
	close(fd);
	errno = e;
	return r;
}

static void show(const char *path)
{
	struct statx x;
	int fd = open(path, O_RDONLY), v = 0;

	SHOW(ioctl(fd, FS_IOC_GETFLAGS, &v));
	close(fd);
	statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &x);
	printf("%s %x %x\n", path, v & OURS, (unsigned)x.stx_attributes & 0x70);
}

static void tries(const char *path)
{
	char other[40];

	snprintf(other, sizeof(other), "%s-2", path);
	SHOW_OK(open(path, O_RDONLY));
	SHOW_OK(open(path, O_WRONLY));
	SHOW_OK(open(path, O_WRONLY | O_APPEND));
	SHOW_OK(open(path, O_WRONLY | O_APPEND | O_TRUNC));
	SHOW(truncate(path, 1));
	SHOW(chmod(path, 0640));
	SHOW(chown(path, 0, 0));
	SHOW(utimensat(AT_FDCWD, path, NULL, 0));
	SHOW(utimensat(AT_FDCWD, path, (struct timespec[2]){{5, 0}, {5, 0}}, 0));
	SHOW(setxattr(path, "user.x", "1", 1, 0));
	SHOW(link(path, other));
	SHOW(rename(path, other));
	SHOW(unlink(path));
}

static void directory(void)
{
	mkdir("d", 0755);
	close(open("d/f", O_CREAT | O_RDWR, 0600));
	SHOW(change("d", FS_APPEND_FL, 0));
	SHOW_OK(open("d/g", O_CREAT | O_RDWR, 0600));
	SHOW(unlink("d/f"));
	SHOW(rename("d/f", "d/h"));
	SHOW(change("d", FS_IMMUTABLE_FL, FS_APPEND_FL));
	SHOW_OK(open("d/i", O_CREAT | O_RDWR, 0600));
	SHOW_OK(open("d/f", O_RDWR));
	SHOW(mkdir("d/j", 0700));
	SHOW(unlink("d/f"));
	SHOW(rmdir("d"));
	SHOW(change("d", 0, FS_IMMUTABLE_FL));
	SHOW(unlink("d/f"));
}

int main(void)
{
	char dir[32];

	enter_tmp(dir);
	int fd = open("f", O_CREAT | O_RDWR, 0644), ap;
	CHECK(write(fd, "text", 4) == 4);
	show("f");
	SHOW(change("f", FS_NODUMP_FL | FS_NOATIME_FL, 0));
	show("f");
	SHOW(change("f", FS_IMMUTABLE_FL, FS_NOATIME_FL));
	if (getuid()) {
		puts("not root");
		DONE();
	}
	show("f");
	tries("f");
	SHOW(fallocate(fd, 0, 0, 100));
	SHOW(change("f", FS_APPEND_FL, FS_IMMUTABLE_FL));
	show("f");
	tries("f");
	ap = open("f", O_WRONLY | O_APPEND);
	SHOW(write(ap, "more", 4));
	SHOW(fcntl(ap, F_SETFL, 0));
	SHOW(ftruncate(fd, 0));
	SHOW(change("f", 0, FS_APPEND_FL));
	SHOW(unlink("f"));
	directory();
	DONE();
}
