/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings in the second MiB, where valgrind puts position independent programs. */
#include "guest.h"

#define RW (PROT_READ | PROT_WRITE)
#define FIXED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

int main(void)
{
	char *a = mmap((void *)0x108000, 0x1000, RW, FIXED, -1, 0);
	char *b = mmap((void *)0x100000, 0x1000, RW, FIXED, -1, 0);
	char *c = mmap((void *)0x1ff000, 0x2000, RW, FIXED, -1, 0);

	CHECK(a == (void *)0x108000 && b == (void *)0x100000 && c == (void *)0x1ff000);
	a[5] = 1, b[0] = 2, c[0xfff] = 3, c[0x1000] = 4;
	int fd = open("/dev/zero", O_RDONLY);
	CHECK(read(fd, a, 4096) == 4096 && a[5] == 0);
	SHOW(mprotect(a, 4096, PROT_READ));
	SHOW(read(fd, a, 1));
	CHECK(mremap(a, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x120000) == (void *)0x120000);
	int exe = open("/proc/self/exe", O_RDONLY);
	char *e = mmap((void *)0x130000, 0x1000, PROT_READ, MAP_PRIVATE | MAP_FIXED, exe, 0);
	CHECK(e == (void *)0x130000 && !memcmp(e, "\177ELF", 4));
	pid_t p = fork();
	if (!p)
		_exit(b[0] + c[0xfff] + c[0x1000]);
	int st;
	waitpid(p, &st, 0);
	printf("child %d\n", WEXITSTATUS(st));
	SHOW(munmap((void *)0x100000, 0x101000));
	SHOW(munmap((void *)0, 0x200000));
	DONE();
}
