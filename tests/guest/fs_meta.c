/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <sys/statfs.h>
#include <sys/sysmacros.h>

static void meta(const char *path)
{
	struct stat st;
	if (lstat(path, &st)) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return;
	}
	printf("%s: mode %o uid %d gid %d nlink %ld mtime %ld.%09ld atime %ld.%09ld\n", path,
	       st.st_mode, st.st_uid == getuid(), st.st_gid == getgid(), (long)st.st_nlink,
	       (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long)st.st_atim.tv_sec,
	       st.st_atim.tv_nsec);
}

static void run(void)
{
	struct timespec old[2] = {{1000000, 123456789}, {2000000, 987654321}};
	int fd = open("f", O_CREAT | O_RDWR, 0666);
	SHOW(symlink("f", "l"));
	SHOW(futimens(fd, old));
	meta("f");
	SHOW(fchmod(fd, 04751));
	meta("f");
	SHOW(chmod("l", 0600));
	meta("f");
	SHOW(fchmodat(AT_FDCWD, "f", 0644, 0));
	SHOW(chmod("absent", 0600));
	struct timespec omit[2] = {{5, UTIME_OMIT}, {7, 8}};
	SHOW(utimensat(AT_FDCWD, "f", omit, 0));
	meta("f");
	SHOW(utimensat(AT_FDCWD, "l", old, AT_SYMLINK_NOFOLLOW));
	struct timespec bad[2] = {{5, 1000000000}, {7, 8}};
	SHOW(utimensat(AT_FDCWD, "f", bad, 0));
	SHOW(utimensat(AT_FDCWD, "absent", old, 0));
	SHOW(utimensat(AT_FDCWD, "f", old, 0x4000));
	struct stat before, after;
	fstat(fd, &before);
	SHOW(utimensat(AT_FDCWD, "f", NULL, 0));
	fstat(fd, &after);
	CHECK(after.st_mtim.tv_sec > before.st_mtim.tv_sec + 1000000);
	CHECK(llabs((long long)(after.st_mtim.tv_sec - time(NULL))) < 5);
	futimens(fd, old);
	SHOW(write(fd, "x", 1));
	fstat(fd, &after);
	CHECK(after.st_mtim.tv_sec > 3000000);
	SHOW(chown("f", getuid(), getgid()));
	SHOW(fchown(fd, (uid_t)-1, (gid_t)-1));
	SHOW(lchown("l", getuid(), (gid_t)-1));
	SHOW(fchownat(AT_FDCWD, "absent", 0, 0, 0));
	SHOW(fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH));
	SHOW(access("f", F_OK));
	SHOW(access("f", R_OK | W_OK));
	SHOW(access("f", 8));
	SHOW(access("absent", F_OK));
	SHOW(chmod("f", 0));
	SHOW(access("f", X_OK));
	SHOW(chmod("f", 0100));
	SHOW(access("f", X_OK));
	SHOW(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	SHOW(stat("f/x", &after));
	SHOW(stat((char *)3, &after));
	SHOW(stat("f", (struct stat *)3));
	SHOW(fstat(999, &after));
	SHOW(fstatat(fd, "", &after, AT_EMPTY_PATH));
	SHOW(fstatat(fd, "", &after, 0));
	SHOW(fstatat(AT_FDCWD, "f", &after, 0x8000));

	struct statx sx;
	memset(&sx, 0xff, sizeof(sx));
	SHOW(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &sx));
	printf("%o %u %llu\n", sx.stx_mode, sx.stx_nlink, (unsigned long long)sx.stx_size);
	CHECK((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	SHOW(statx(AT_FDCWD, "f", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, 1, &sx));
	SHOW(statx(AT_FDCWD, "f", 0, 0x80000000u, &sx));
	SHOW(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &sx));
	CHECK(sx.stx_size == 1);
	fstat(fd, &after);
	CHECK(makedev(sx.stx_dev_major, sx.stx_dev_minor) == after.st_dev);
	CHECK(sx.stx_ino == after.st_ino);
	CHECK(after.st_blksize >= 512 && after.st_ino != 0);
	close(fd);

	struct statfs sf;
	SHOW(statfs(".", &sf));
	CHECK(sf.f_bsize > 0 && sf.f_namelen == 255);
	SHOW(statfs("absent", &sf));
	SHOW(umask(077));
	SHOW(mkdir("private", 0777));
	SHOW(umask(022));
	struct stat st;
	stat("private", &st);
	printf("%o\n", st.st_mode);
	char link[8];
	SHOW(readlink("l", link, sizeof(link)));
	SHOW(readlink("l", link, 0));
	SHOW(readlink("f", link, sizeof(link)));
	SHOW(symlink("long-target", "l3"));
	SHOW(readlink("l3", link, 4));
	SHOW(symlink("", "l4"));
}

int main(void)
{
	umask(022);
	run();
	char tmp[32], rm[64];
	enter_tmp(tmp);
	run();
	snprintf(rm, sizeof(rm), "rm -rf %s", tmp);
	CHECK(system(rm) == 0);
	DONE();
}
