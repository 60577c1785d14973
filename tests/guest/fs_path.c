/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

static int exists(const char *p)
{
	struct stat st;
	return stat(p, &st);
}

int main(void)
{
	char here[PATH_MAX], cwd[PATH_MAX], name[300], *p;
	CHECK(getcwd(here, sizeof(here)));
	memset(name, 'n', sizeof(name));
	name[255] = 0;
	SHOW(mkdir(name, 0755));
	SHOW(exists(name));
	name[255] = 'n', name[256] = 0;
	SHOW(mkdir(name, 0755));
	SHOW(exists(name));
	char *longp = malloc(8192);
	memset(longp, '/', 4095);
	longp[4095] = 0;
	SHOW(exists(longp));
	longp[4094] = 0;
	SHOW(exists(longp));
	for (p = longp; p < longp + 4000; p += 2)
		memcpy(p, "./", 2);
	*p = 0;
	SHOW(exists(longp));
	SHOW(mkdir("a", 0755));
	SHOW(mkdir("a/b", 0755));
	SHOW(exists("a/./b/../b//"));
	SHOW(exists("a/absent/.."));
	SHOW(symlink("a/b", "link"));
	SHOW(exists("link/.."));
	SHOW(exists("link/../b"));
	SHOW(symlink("link", "link2"));
	SHOW(chdir("link2"));
	CHECK(getcwd(cwd, sizeof(cwd)));
	printf("%s\n", cwd + strlen(here));
	SHOW(chdir("../.."));
	CHECK(getcwd(cwd, sizeof(cwd)));
	SHOW(strcmp(here, cwd));
	SHOW(chdir("absent"));
	SHOW(syscall(SYS_getcwd, cwd, 2));
	SHOW(syscall(SYS_getcwd, cwd, sizeof(cwd)) == (long)strlen(cwd) + 1);
	SHOW(rename("a", "c"));
	SHOW(exists("link"));
	int fd = open("c/b", O_RDONLY | O_DIRECTORY);
	SHOW(fchdir(fd));
	CHECK(getcwd(cwd, sizeof(cwd)));
	printf("%s\n", cwd + strlen(here));
	SHOW(rename("../../c", "../../moved"));
	CHECK(getcwd(cwd, sizeof(cwd)));
	printf("%s\n", cwd + strlen(here));
	SHOW(chdir(here));
	SHOW(faccessat(fd, "..", F_OK, 0));
	SHOW(rmdir("moved/b"));
	SHOW(faccessat(fd, ".", F_OK, 0));
	SHOW(faccessat(fd, "x", F_OK, 0));
	/* a chain of 40 links works, 41 do not */
	symlink("moved", "s0");
	for (int i = 1; i < 45; i++) {
		char a[16], b[16];
		snprintf(a, sizeof(a), "s%d", i - 1);
		snprintf(b, sizeof(b), "s%d", i);
		symlink(a, b);
	}
	SHOW(exists("s39"));
	SHOW(exists("s40"));
	/* 1,200 directories down and up again, by relative steps */
	int depth = 0;
	for (; depth < 1200; depth++)
		if (mkdir("deep", 0755) || chdir("deep"))
			break;
	printf("depth %d\n", depth);
	SHOW(syscall(SYS_getcwd, longp, 8192) == (long)strlen(here) + 5 * 1200 + 1 ||
	     errno == ENAMETOOLONG);
	SHOW(syscall(SYS_getcwd, longp, 100));
	int up = 0;
	while (chdir("..") == 0 && rmdir("deep") == 0)
		up++;
	printf("up %d\n", up);
	DONE();
}
