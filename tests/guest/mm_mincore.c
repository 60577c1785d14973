/* SPDX-License-Identifier: Apache-2.0 */
/* mincore: pages that were touched, and those that were not. */
#include "guest.h"

#define PG 4096
#define N 64

static unsigned char v[20000];

static void show(const char *what, void *p, size_t n)
{
	memset(v, 0xee, sizeof(v));
	int r = mincore(p, n * PG, v);
	printf("%s: %s ", what, r ? strerrorname_np(errno) : "");
	size_t set = 0;
	for (size_t i = 0; i < n; i++)
		set += v[i] & 1;
	printf("%zu of %zu, behind %x:", set, n, v[n]);
	for (size_t i = 0; i < n && i < 16; i++)
		printf(" %d", v[i] & 1);
	printf("\n");
}

int main(void)
{
	char dir[32];
	char *a = mmap(NULL, N * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(a, N * PG, MADV_NOHUGEPAGE);
	show("fresh", a, N);
	a[0] = 1, a[3 * PG] = 1, a[(N - 1) * PG] = 1;
	show("touched", a, N);
	madvise(a, PG, MADV_DONTNEED);
	show("dropped", a, N);
	mprotect(a + 3 * PG, PG, PROT_NONE);
	show("no access", a, N);
	char *big = mmap(NULL, 15000 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	madvise(big, 15000 * PG, MADV_NOHUGEPAGE);
	big[14000 * PG] = 1;
	show("large", big, 15000);
	CHECK(v[14000] & 1);
	char *s = mmap(NULL, N * PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s[5 * PG] = 1;
	show("shared", s, N);
	pid_t p = fork();
	if (!p) {
		s[7 * PG] = 1;
		_exit(0);
	}
	waitpid(p, NULL, 0);
	show("by a child", s, N);
	enter_tmp(dir);
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	for (int i = 0; i < 8; i++)
		CHECK(write(fd, v, PG) == PG);
	char *f = mmap(NULL, 8 * PG, PROT_READ, MAP_SHARED, fd, 0);
	show("written file", f, 8);
	munmap(a + 2 * PG, PG);
	show("hole", a, 4);
	SHOW(mincore(a + 1, PG, v));
	SHOW(mincore(a, 0, v));
	SHOW(mincore(a, PG, (void *)8));
	SHOW(mincore(a, (size_t)-1, v));
	unlink("f");
	chdir("/");
	rmdir(dir);
	DONE();
}
