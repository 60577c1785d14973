/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <linux/openat2.h>

static int try(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .resolve = resolve};
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

int main(void)
{
	mkdir("root", 0755);
	mkdir("root/sub", 0755);
	close(open("root/file", O_CREAT | O_WRONLY, 0644));
	close(open("outside", O_CREAT | O_WRONLY, 0644));
	symlink("file", "root/in");
	symlink("../outside", "root/out");
	symlink("/file", "root/abs");
	symlink("/proc/self/exe", "root/magic");
	int d = open("root", O_PATH | O_DIRECTORY);
	SHOW(try(d, "file", O_RDONLY, 0));
	SHOW(try(d, "in", O_RDONLY, RESOLVE_BENEATH));
	SHOW(try(d, "out", O_RDONLY, 0));
	SHOW(try(d, "out", O_RDONLY, RESOLVE_BENEATH));
	SHOW(try(d, "../outside", O_RDONLY, RESOLVE_BENEATH));
	SHOW(try(d, "sub/../file", O_RDONLY, RESOLVE_BENEATH));
	SHOW(try(d, "abs", O_RDONLY, RESOLVE_BENEATH));
	SHOW(try(d, "/file", O_RDONLY, RESOLVE_BENEATH));
	SHOW(try(d, "abs", O_RDONLY, RESOLVE_IN_ROOT));
	SHOW(try(d, "/file", O_RDONLY, RESOLVE_IN_ROOT));
	SHOW(try(d, "../../../file", O_RDONLY, RESOLVE_IN_ROOT));
	SHOW(try(d, "out", O_RDONLY, RESOLVE_IN_ROOT));
	SHOW(try(d, "in", O_RDONLY, RESOLVE_NO_SYMLINKS));
	SHOW(try(d, "file", O_RDONLY, RESOLVE_NO_SYMLINKS));
	SHOW(try(d, "in", O_PATH | O_NOFOLLOW, RESOLVE_NO_SYMLINKS));
	SHOW(try(d, "magic", O_RDONLY, RESOLVE_NO_MAGICLINKS));
	SHOW(try(d, "magic", O_RDONLY, 0));
	SHOW(try(AT_FDCWD, "/proc/self/stat", O_RDONLY, RESOLVE_NO_XDEV));
	SHOW(try(d, "file", O_RDONLY, RESOLVE_NO_XDEV));
	SHOW(try(d, "file", O_RDONLY, 1ull << 40));
	SHOW(try(d, "file", 1ull << 40, 0));
	SHOW(try(d, "file", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	struct open_how how = {.flags = O_RDONLY, .mode = 0644};
	SHOW(syscall(SYS_openat2, d, "file", &how, sizeof(how)));
	how = (struct open_how){.flags = O_CREAT | O_WRONLY, .mode = 077777};
	SHOW(syscall(SYS_openat2, d, "new", &how, sizeof(how)));
	how.mode = 0604;
	SHOW(syscall(SYS_openat2, d, "new", &how, sizeof(how)));
	SHOW(syscall(SYS_openat2, d, "new", &how, 8));
	char big[64] = {0};
	SHOW(syscall(SYS_openat2, d, "file", big, sizeof(big)) >= 0);
	big[40] = 1;
	SHOW(syscall(SYS_openat2, d, "file", big, sizeof(big)));
	SHOW(syscall(SYS_openat2, d, "file", 8, sizeof(how)));
	DONE();
}
