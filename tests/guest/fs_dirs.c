/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <dirent.h>

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list(const char *path)
{
	struct dirent **e;
	int n = scandir(path, &e, NULL, by_name);
	printf("%s:", path);
	for (int i = 0; i < n; i++)
		printf(" %s/%d", e[i]->d_name, e[i]->d_type);
	printf(" (%d)\n", n);
}

static long links(const char *path)
{
	struct stat st;
	return stat(path, &st) ? -1 : (long)st.st_nlink;
}

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);
	CHECK(fd >= 0);
	CHECK(write(fd, path, strlen(path)) > 0);
	close(fd);
}

static void run(void)
{
	SHOW(mkdir("d", 0755));
	SHOW(mkdir("d", 0755));
	SHOW(mkdir("x/y", 0755));
	SHOW(mkdir("d/sub/", 0700));
	touch("d/f");
	SHOW(mkdir("d/f/x", 0755));
	SHOW(symlink("f", "d/l"));
	SHOW(link("d/f", "d/hard"));
	SHOW(mkfifo("d/p", 0600));
	list("d");
	SHOW(links("d/f"));
	SHOW(link("d", "d2"));
	SHOW(link("d/l", "d/l2"));
	SHOW(rmdir("d"));
	SHOW(rmdir("d/f"));
	SHOW(rmdir("d/sub/."));
	SHOW(rmdir("d/sub/.."));
	SHOW(unlink("d/sub"));
	SHOW(unlink("d/absent"));
	SHOW(unlink("d/l/"));
	SHOW(unlinkat(AT_FDCWD, "d/sub", AT_REMOVEDIR));
	SHOW(unlinkat(AT_FDCWD, "d/f", 1));
	SHOW(rename("d/f", "d/g"));
	SHOW(rename("d/g", "d/hard"));
	list("d");
	SHOW(mkdir("e", 0755));
	SHOW(rename("d", "e"));
	list(".");
	SHOW(mkdir("e/in", 0755));
	SHOW(rename("e", "e/in/e"));
	SHOW(rename("e/p", "e/in"));
	SHOW(rename("e/in", "e/p"));
	SHOW(rename("e/in", "."));
	SHOW(rename("e/absent", "x"));
	SHOW(mkdir("full", 0755));
	touch("full/a");
	SHOW(rename("e/in", "full"));
	SHOW(renameat2(AT_FDCWD, "e/p", AT_FDCWD, "full/a", RENAME_NOREPLACE));
	SHOW(renameat2(AT_FDCWD, "e", AT_FDCWD, "full", RENAME_EXCHANGE));
	list("e");
	list("full");
	SHOW(renameat2(AT_FDCWD, "e", AT_FDCWD, "nowhere", RENAME_EXCHANGE));
	SHOW(renameat2(AT_FDCWD, "e", AT_FDCWD, "n", RENAME_EXCHANGE | RENAME_NOREPLACE));
	/* a directory that is gone */
	SHOW(mkdir("gone", 0755));
	int fd = open("gone", O_RDONLY | O_DIRECTORY);
	SHOW(rmdir("gone"));
	SHOW(openat(fd, "f", O_CREAT | O_WRONLY, 0644));
	SHOW(mkdirat(fd, "f", 0755));
	SHOW(fchdir(fd));
	char cwd[256];
	SHOW(syscall(SYS_getcwd, cwd, sizeof(cwd)) > 0);
	SHOW(access("..", F_OK) == 0 || errno == ENOENT);
	close(fd);
}

int main(void)
{
	char here[512];
	umask(022);
	CHECK(getcwd(here, sizeof(here)));
	mkdir("w", 0755);
	CHECK(chdir("w") == 0);
	run();
	char tmp[32], rm[64];
	enter_tmp(tmp);
	run();
	CHECK(chdir(here) == 0);
	snprintf(rm, sizeof(rm), "rm -rf %s", tmp);
	CHECK(system(rm) == 0);
	/* many entries, read with lseek in between */
	CHECK(mkdir("many", 0755) == 0);
	for (int i = 0; i < 500; i++) {
		char n[64];
		snprintf(n, sizeof(n), "many/entry-with-a-longer-name-%03d", i);
		touch(n);
	}
	DIR *d = opendir("many");
	int n = 0, again = 0;
	while (readdir(d))
		n++;
	rewinddir(d);
	while (readdir(d))
		again++;
	printf("%d %d\n", n, again);
	rewinddir(d);
	for (int i = 0; i < 100; i++)
		readdir(d);
	long pos = telldir(d);
	char third[256];
	strcpy(third, readdir(d)->d_name);
	for (int i = 0; i < 100; i++)
		readdir(d);
	seekdir(d, pos);
	CHECK(strcmp(third, readdir(d)->d_name) == 0);
	/* entries removed while reading do not hide others */
	rewinddir(d);
	struct dirent *e;
	n = 0;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			n += unlinkat(dirfd(d), e->d_name, 0) == 0;
	printf("removed %d\n", n);
	SHOW(rmdir("many"));
	char small[8];
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(syscall(SYS_getdents64, fd, small, sizeof(small)));
	DONE();
}
