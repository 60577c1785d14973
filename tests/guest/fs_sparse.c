/* SPDX-License-Identifier: Apache-2.0 */
/* A file in memory that is nearly all hole, however large, is looked through and mapped at once. */
#include "guest.h"

static void look(int fd, off_t size)
{
	SHOW(ftruncate(fd, size));
	SHOW(pwrite(fd, "x", 1, 0));
	SHOW(pwrite(fd, "y", 1, 1 << 30));
	SHOW(lseek(fd, 4096, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, (1 << 30) + 4096, SEEK_DATA));
	SHOW(lseek(fd, (1 << 30) + 4096, SEEK_HOLE));
	SHOW(lseek(fd, size, SEEK_DATA));
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	printf("mapped %d: %c %d\n", p != MAP_FAILED, p[0], p[4096]);
	SHOW(lseek(fd, 4096, SEEK_DATA) > 0);
	munmap(p, 8192);
	SHOW(ftruncate(fd, 0));
}

/* What is only allocated reads as zeros after it was mapped, and what was written stays. */
static void allocated(int fd)
{
	size_t n = 256 << 20, odd = 0;
	SHOW(ftruncate(fd, 0));
	SHOW(fallocate(fd, 0, 0, (off_t)n));
	for (size_t at = 0; at < n; at += 9 << 20)
		if (pwrite(fd, "z", 1, (off_t)at + 5) != 1)
			die("pwrite");
	unsigned char *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
	for (size_t at = 0; at < n; at += 1 << 20) {
		odd += p[at] != 0;
		odd += p[at + 5] != (at % (9 << 20) ? 0 : 'z');
	}
	printf("odd %zu\n", odd);
	munmap(p, n);
}

int main(void)
{
	for (int shift = 40; shift <= 62; shift += 11) {
		int fd = (int)syscall(SYS_memfd_create, "m", 0);
		look(fd, 1ll << shift);
		close(fd);
	}
	char name[64];
	snprintf(name, sizeof(name), "/dev/shm/brig-sparse-%d", getpid());
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	unlink(name);
	look(fd, 1ll << 50);
	allocated(fd);
	return 0;
}
