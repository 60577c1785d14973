/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay that the guest mounts: what it shows, and what then lies in the upper directory. */
#include "mounts.h"
#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

static bool user;

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Names with type, mode and, where they mean something, links and content. */
static void list(const char *dir)
{
	struct dirent **e;
	int n = scandir(dir, &e, NULL, by_name);
	printf("%s:", dir);
	for (int i = 0; i < n; i++) {
		char path[512], v[8] = "";
		struct stat st;
		if (e[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e[i]->d_name);
		if (lstat(path, &st))
			printf(" %s?", e[i]->d_name);
		else if (S_ISCHR(st.st_mode))
			printf(" %s/%u:%u", e[i]->d_name, major(st.st_rdev), minor(st.st_rdev));
		else
			printf(" %s/%o", e[i]->d_name, st.st_mode);
		if (S_ISREG(st.st_mode))
			printf("/%d", (int)st.st_nlink);
		if (getxattr(path, user ? "user.overlay.opaque" : "trusted.overlay.opaque", v, 8) == 1)
			printf("/opaque=%c", v[0]);
	}
	printf("\n");
}

static int overlay(const char *lower, const char *upper, const char *work, const char *more)
{
	char o[512];
	int n = snprintf(o, sizeof(o), "lowerdir=%s%s", lower, user ? ",userxattr" : "");
	if (upper)
		n += snprintf(o + n, sizeof(o) - n, ",upperdir=%s", upper);
	if (work)
		n += snprintf(o + n, sizeof(o) - n, ",workdir=%s", work);
	snprintf(o + n, sizeof(o) - n, "%s", more);
	return mount("ovl", "mg", "overlay", 0, o);
}

static void layers(void)
{
	static const char *const dirs[] = {"lo", "lo2", "up", "wk", "mg", "lo/d", "lo2/d", "lo2/only", "lo/deep",
					   "lo/deep/er", "up2", "wk2", "mg2"};
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		CHECK(mkdir(dirs[i], 0755) == 0);
	put_text("lo/a", "a\n");
	put_text("lo/d/x", "x\n");
	put_text("lo/deep/er/f", "far\n");
	put_text("lo2/b", "b\n");
	put_text("lo2/a", "hidden\n");
	put_text("lo2/d/y", "y\n");
	put_text("lo2/only/z", "z\n");
	CHECK(symlink("a", "lo/l") == 0);
	CHECK(chmod("lo/a", 0640) == 0);
}

static void refused(void)
{
	SHOW(mount("ovl", "mg", "overlay", 0, "upperdir=up,workdir=wk"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=none:lo"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo/a:lo2"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo,upperdir=up"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo,upperdir=up,workdir=up"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo,upperdir=up,workdir=/proc"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo,upperdir=none,workdir=wk"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=lo,upperdir=up,workdir=wk,what=ever"));
	SHOW(mount("ovl", "mg", "overlay", 0, "lowerdir=up,upperdir=up,workdir=wk"));
	SHOW(mount("ovl", "mg", "overlay", 0, NULL));
}

static void open_across_copy(void)
{
	char b[16] = "";
	int r = open("mg/b", O_RDONLY), w = open("mg/b", O_WRONLY | O_APPEND);
	struct stat a, c;
	CHECK(r >= 0 && w >= 0);
	CHECK(fstat(r, &a) == 0 && fstat(w, &c) == 0);
	CHECK(a.st_ino == c.st_ino && a.st_dev == c.st_dev);
	SHOW(write(w, "more\n", 5));
	SHOW(pread(r, b, 15, 0));
	printf("%s", b);
	cat("lo2/b");
	cat("up/b");
	char *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, r, 0);
	CHECK(m != MAP_FAILED);
	printf("mapped: %s", m);	/* the descriptor's file as it was opened */
	munmap(m, 4096);
	SHOW(pwrite(w, "!", 1, 0));
	SHOW(lseek(r, 0, SEEK_END));
	close(r);
	close(w);
}

static void names(void)
{
	SHOW(unlink("mg/a"));
	SHOW(open("mg/a", O_RDONLY));
	SHOW(rmdir("mg/d"));
	SHOW(unlink("mg/d/x"));
	SHOW(unlink("mg/d/y"));
	SHOW(rmdir("mg/d"));
	list("mg");
	list("up");
	SHOW(mkdir("mg/d", 0700));
	list("mg/d");
	put_text("mg/a", "again\n");
	list("up");
	SHOW(rename("mg/only", "mg/moved"));
	SHOW(rename("mg/d", "mg/e"));
	SHOW(rename("mg/e", "mg/only"));
	SHOW(rename("mg/a", "mg/l"));
	SHOW(chmod("mg/deep/er/f", 0600));
	SHOW(link("mg/deep/er/f", "mg/hard"));
	SHOW(renameat2(AT_FDCWD, "mg/hard", AT_FDCWD, "mg/l", RENAME_EXCHANGE));
	SHOW(renameat2(AT_FDCWD, "mg/hard", AT_FDCWD, "mg/w", RENAME_WHITEOUT));
	SHOW(mknod("mg/null", S_IFCHR | 0600, makedev(0, 0)));
	SHOW(mkfifo("mg/fifo", 0600));
	cat("mg/l");
	cat("mg/hard");
	list("mg");
	list("mg/deep/er");
	list("up");
	list("up/deep/er");
	list("wk");
	int fd = open("mg/deep", O_TMPFILE | O_RDWR, 0600);
	SHOW(fd >= 0);
	SHOW(linkat(AT_FDCWD, "/proc/self/fd/9", AT_FDCWD, "mg/deep/t", AT_SYMLINK_FOLLOW));
	dup2(fd, 9);
	SHOW(linkat(AT_FDCWD, "/proc/self/fd/9", AT_FDCWD, "mg/deep/t", AT_SYMLINK_FOLLOW));
	list("up/deep");
	close(9);
	close(fd);
}

static void attributes(void)
{
	char v[32] = "", names_[256];
	struct statfs fs;
	SHOW(setxattr("mg/deep", "user.k", "v", 1, 0));
	SHOW(getxattr("mg/deep", "user.k", v, sizeof(v)));
	SHOW(getxattr("lo/deep", "user.k", v, sizeof(v)));
	SHOW(getxattr("up/deep", "user.k", v, sizeof(v)));
	ssize_t n = listxattr("mg/only", names_, sizeof(names_));
	CHECK(n >= 0 && !memmem(names_, n, "overlay.", 8));
	CHECK(statfs("mg", &fs) == 0);
	printf("type %lx\n", (long)fs.f_type);
	SHOW(truncate("mg/deep/er/f", 2));
	cat("mg/deep/er/f");
	cat("lo/deep/er/f");
	SHOW(access("mg/l", W_OK));
}

/* A directory of one lower layer becomes a merged one by what is done in it. */
static void one_layer(void)
{
	CHECK(mkdir("up3", 0755) == 0 && mkdir("wk3", 0755) == 0);
	SHOW(overlay("lo", "up3", "wk3", ""));
	SHOW(rename("mg/a", "mg/d/a"));
	SHOW(unlink("mg/d/x"));
	list("mg/d");
	SHOW(rename("mg/d", "mg/other"));
	SHOW(rename("mg/d/a", "mg/a"));
	SHOW(rmdir("mg/d"));
	SHOW(mkdir("mg/d", 0755));
	list("mg/d");
	list("up3");
	SHOW(rename("mg/d", "mg/other"));
	list("up3");
	/* A name removed below an open file: the descriptor's file goes on. */
	int fd = open("mg/deep/er/f", O_RDONLY);
	char b[8] = "";
	CHECK(fd >= 0);
	SHOW(unlink("mg/deep/er/f"));
	(void)!fchmod(fd, 0600);	/* EEXIST in Linux 6.18, whose copy wants the name; here it works */
	SHOW(pread(fd, b, 7, 0));
	close(fd);
	SHOW(rmdir("mg/deep/er"));
	SHOW(umount("mg"));
}

int main(void)
{
	user = own_mounts();
	layers();
	refused();
	SHOW(overlay("lo:lo2", "up", "wk", ""));
	list("mg");
	list("mg/d");
	cat("mg/a");
	open_across_copy();
	names();
	attributes();
	SHOW(umount("mg"));
	list("up");
	SHOW(overlay("lo:lo2", "up", "wk", ""));	/* what is in the upper directory counts */
	list("mg");
	list("mg/only");
	SHOW(umount2("mg", MNT_DETACH));
	SHOW(overlay("lo:lo2", NULL, NULL, ""));
	list("mg");
	SHOW(mkdir("mg/no", 0700));
	/* An overlay upon an overlay, and no third one. */
	char o[256];
	snprintf(o, sizeof(o), "lowerdir=mg,upperdir=up2,workdir=wk2%s", user ? ",userxattr" : "");
	SHOW(mount("ovl", "mg2", "overlay", 0, o));
	put_text("mg2/a", "upon\n");
	SHOW(rename("mg2/a", "mg2/aa"));
	list("mg2");
	list("up2");
	snprintf(o, sizeof(o), "lowerdir=mg2:lo%s", user ? ",userxattr" : "");
	SHOW(mount("ovl", "mg2", "overlay", 0, o));
	SHOW(umount("mg2"));
	SHOW(umount("mg"));
	one_layer();
	DONE();
}
