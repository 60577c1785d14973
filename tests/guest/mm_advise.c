/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <sys/syscall.h>

#define RW (PROT_READ | PROT_WRITE)
#define PG 4096ul

static char *anon(size_t pages, int flags)
{
	char *p = mmap(NULL, pages * PG, RW, MAP_ANONYMOUS | flags, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

int main(void)
{
	char *p = anon(8, MAP_PRIVATE);
	memset(p, 'x', 8 * PG);
	SHOW(madvise(p, 2 * PG, MADV_DONTNEED));
	printf("%d %d\n", p[PG], p[2 * PG]);
	SHOW(madvise(p + 1, PG, MADV_DONTNEED));
	SHOW(madvise(p, 0, MADV_DONTNEED));
	SHOW(madvise(p, PG, 4711));
	SHOW(madvise(p, PG, MADV_NORMAL));
	SHOW(madvise(p, PG, MADV_WILLNEED));
	SHOW(madvise(p, PG, MADV_SEQUENTIAL));
	SHOW(madvise(p, PG, MADV_RANDOM));
	SHOW(madvise(p, PG, MADV_FREE));
	SHOW(madvise(p, PG, MADV_DONTDUMP));
	SHOW(madvise(p, PG, MADV_DODUMP));
	SHOW(madvise(p, -PG, MADV_DONTNEED));
	munmap(p + 4 * PG, PG);
	memset(p, 'y', 4 * PG);
	SHOW(madvise(p, 8 * PG, MADV_DONTNEED));
	printf("%d %d\n", p[0], p[5 * PG]);
	/* a private file page goes back to the file's content */
	int fd = open("f", O_RDWR | O_CREAT, 0644);
	write(fd, "file", 4);
	char *f = mmap(NULL, PG, RW, MAP_PRIVATE, fd, 0);
	f[0] = 'X';
	SHOW(madvise(f, PG, MADV_DONTNEED));
	printf("%.4s\n", f);
	SHOW(madvise(f, PG, MADV_FREE));
	/* a shared one keeps it, unless it is removed */
	char *s = anon(2, MAP_SHARED);
	strcpy(s, "shared");
	SHOW(madvise(s, PG, MADV_DONTNEED));
	printf("%s\n", s);
	SHOW(madvise(s, PG, MADV_REMOVE));
	printf("%d\n", s[0]);
	/* over fork */
	char *d = anon(1, MAP_PRIVATE), *w = anon(1, MAP_PRIVATE);
	strcpy(d, "parent's");
	strcpy(w, "wiped");
	SHOW(madvise(w, PG, MADV_WIPEONFORK));
	SHOW(madvise(d, PG, MADV_DONTFORK));
	SHOW(madvise(s, PG, MADV_WIPEONFORK));
	fflush(stdout);
	if (fork() == 0) {
		unsigned char v;
		printf("child: wiped %d, mincore %s\n", w[0],
		       mincore(d, PG, &v) ? strerrorname_np(errno) : "ok");
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	printf("%s %s\n", d, w);
	SHOW(madvise(d, PG, MADV_DOFORK));
	SHOW(madvise(w, PG, MADV_KEEPONFORK));
	/* mincore, mlock */
	unsigned char vec[4];
	char *m = anon(4, MAP_PRIVATE);
	m[0] = m[2 * PG] = 1;
	SHOW(mincore(m, 4 * PG, vec));
	printf("%d %d %d %d\n", vec[0] & 1, vec[1] & 1, vec[2] & 1, vec[3] & 1);
	SHOW(mincore(m + 1, PG, vec));
	SHOW(mincore(p + 4 * PG, PG, vec));
	SHOW(mincore(m, PG, (unsigned char *)8));
	SHOW(mlock(m, 2 * PG));
	SHOW(mincore(m, 4 * PG, vec));
	printf("%d %d %d %d\n", vec[0] & 1, vec[1] & 1, vec[2] & 1, vec[3] & 1);
	SHOW(munlock(m, 2 * PG));
	SHOW(madvise(m + 3 * PG, PG, MADV_POPULATE_WRITE));
	SHOW(mincore(m, 4 * PG, vec));
	printf("%d %d %d %d\n", vec[0] & 1, vec[1] & 1, vec[2] & 1, vec[3] & 1);
	SHOW(mlock(m, PG));
	SHOW(munlock(m, PG));
	SHOW(mlock(p + 4 * PG, PG));
	SHOW(syscall(SYS_mlock2, m, PG, 1));
	SHOW(syscall(SYS_mlock2, m, PG, 64));
	SHOW(munlockall());
	/* brk */
	char *b = sbrk(0);
	SHOW(sbrk(10000) == b);
	SHOW((char *)sbrk(0) == b + 10000);
	memset(b, 1, 10000);
	SHOW(brk(b));
	SHOW(sbrk(PG * 4) == b);
	printf("%d\n", b[PG * 2]);
	SHOW(syscall(SYS_brk, 0) == (long)(b + PG * 4));
	SHOW(syscall(SYS_brk, 1) == (long)(b + PG * 4));
	SHOW(syscall(SYS_brk, 1ul << 46) == (long)(b + PG * 4));
	DONE();
}
