/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <setjmp.h>

#define RW (PROT_READ | PROT_WRITE)
#define PG 4096ul
static sigjmp_buf jb;

static void on(int sig)
{
	siglongjmp(jb, sig);
}

static int mapped(volatile char *p)
{
	int sig = sigsetjmp(jb, 1);
	if (sig)
		return 0;
	(void)*p;
	return 1;
}

static char *anon(size_t pages)
{
	char *p = mmap(NULL, pages * PG, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

int main(void)
{
	signal(SIGSEGV, on);
	signal(SIGBUS, on);
	char *area = anon(64), *p = area;
	munmap(area + 8 * PG, 56 * PG);
	strcpy(p, "first");
	strcpy(p + 7 * PG, "last");
	SHOW(mremap(p, 8 * PG, 16 * PG, 0) == p);
	printf("%s %s %d\n", p, p + 7 * PG, p[15 * PG]);
	SHOW(mremap(p, 16 * PG, 4 * PG, 0) == p);
	SHOW(mapped(p + 4 * PG));
	/* in the way: it must move */
	char *block = mmap(p + 4 * PG, PG, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	SHOW(block == p + 4 * PG);
	SHOW((long)mremap(p, 4 * PG, 8 * PG, 0));
	char *q = mremap(p, 4 * PG, 8 * PG, MREMAP_MAYMOVE);
	SHOW(q != MAP_FAILED && q != p);
	printf("%s\n", q);
	SHOW(mapped(p));
	/* to a fixed place, over something */
	char *target = anon(16);
	strcpy(target, "old");
	strcpy(target + 12 * PG, "stays");
	SHOW(mremap(q, 8 * PG, 8 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, target) == target);
	printf("%s %s\n", target, target + 12 * PG);
	SHOW(mapped(q));
	SHOW((long)mremap(target, 8 * PG, 8 * PG, MREMAP_FIXED, q));
	SHOW((long)mremap(target, 8 * PG, 8 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, target + 2 * PG));
	SHOW((long)mremap(target + 1, PG, 2 * PG, MREMAP_MAYMOVE));
	SHOW((long)mremap(target, PG, 0, MREMAP_MAYMOVE));
	SHOW((long)mremap(target, PG, PG, 0x100));
	SHOW((long)mremap(q, PG, 2 * PG, MREMAP_MAYMOVE));
	SHOW((long)mremap(target, PG, 1ul << 47, MREMAP_MAYMOVE));
	/* over two mappings: not allowed */
	mprotect(target + PG, PG, PROT_READ);
	SHOW((long)mremap(target, 2 * PG, 4 * PG, MREMAP_MAYMOVE));
	/* leaving the old one in place, empty */
	char *d = anon(2);
	strcpy(d, "moved");
	char *e = mremap(d, 2 * PG, 2 * PG, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	SHOW(e != MAP_FAILED && e != d);
	printf("%s %d\n", e, d[0]);
	/* a shared mapping, its second view by old size 0, and a file that grows */
	char *s = mmap(NULL, 2 * PG, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	strcpy(s, "one");
	char *s2 = mremap(s, 0, 2 * PG, MREMAP_MAYMOVE);
	SHOW(s2 != MAP_FAILED);
	strcpy(s, "two");
	printf("%s\n", s2);
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	ftruncate(fd, 4 * PG);
	pwrite(fd, "third page", 10, 2 * PG);
	char *f = mmap(NULL, PG, RW, MAP_SHARED, fd, PG);
	f = mremap(f, PG, 2 * PG, MREMAP_MAYMOVE);
	SHOW(f != MAP_FAILED);
	printf("%.10s\n", f + PG);
	strcpy(f + PG, "written");
	char b[8];
	pread(fd, b, 7, 2 * PG);
	printf("%.7s\n", b);
	f = mremap(f, 2 * PG, 5 * PG, MREMAP_MAYMOVE);
	SHOW(f != MAP_FAILED);
	SHOW(mapped(f + 2 * PG));
	SHOW(mapped(f + 3 * PG));
	/* a large block keeps its content through many moves, as realloc does it */
	size_t n = 64 * PG;
	char *r = anon(64);
	for (size_t i = 0; i < 64; i++)
		r[i * PG] = (char)i;
	for (int i = 0; i < 50; i++) {
		r = mremap(r, n, n + 16 * PG, MREMAP_MAYMOVE);
		CHECK(r != MAP_FAILED);
		n += 16 * PG;
		anon(1);
	}
	for (size_t i = 0; i < 64; i++)
		CHECK(r[i * PG] == (char)i);
	CHECK(r[n - 1] == 0);
	DONE();
}
