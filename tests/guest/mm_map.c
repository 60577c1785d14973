/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <setjmp.h>
#include <sys/resource.h>

static sigjmp_buf jb;

static void on(int sig)
{
	siglongjmp(jb, sig);
}

static int touch(volatile char *p, int write)
{
	int sig = sigsetjmp(jb, 1);
	if (sig)
		return sig;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

#define MAP(addr, len, prot, flags) (long)mmap((void *)(addr), len, prot, flags, -1, 0)
#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static void rights(const char *p, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		printf("%c", touch((char *)p + i * 4096, 0) ? '-' :
			     touch((char *)p + i * 4096, 1) ? 'r' :
							      'w');
	printf("\n");
}

int main(void)
{
	signal(SIGSEGV, on);
	char *p = mmap(NULL, 10 * 4096, RW, ANON, -1, 0);
	rights(p, 10);
	SHOW(mprotect(p + 4096, 4096, PROT_READ));
	SHOW(mprotect(p + 3 * 4096, 2 * 4096, PROT_NONE));
	rights(p, 10);
	SHOW(munmap(p + 6 * 4096, 4096));
	rights(p, 10);
	SHOW(mprotect(p, 10 * 4096, RW));
	rights(p, 10);
	SHOW(munmap(p, 10 * 4096));
	rights(p, 10);
	SHOW(munmap(p, 10 * 4096));
	SHOW(mprotect(p, 4096, RW));
	SHOW(munmap(p + 1, 4096));
	SHOW(munmap(p, 0));
	SHOW(mprotect(p + 1, 4096, RW));
	SHOW(mprotect(p, 4096, 0x1000));
	SHOW(mprotect(p, 0, RW));
	SHOW(mprotect(p, -4096, RW));
	SHOW(MAP(0, 0, RW, ANON));
	SHOW(MAP(0, -4096, RW, ANON));
	SHOW(MAP(0, 1ul << 47, RW, ANON | MAP_NORESERVE));
	SHOW(MAP(0, 4096, RW, MAP_ANONYMOUS));
	SHOW(MAP(0, 4096, RW, ANON | MAP_SHARED));
	SHOW(MAP(p + 5, 4096, RW, ANON | MAP_FIXED));
	SHOW(MAP(-4096, 4096, RW, ANON | MAP_FIXED));
	SHOW(MAP(1ul << 47, 4096, RW, ANON | MAP_FIXED));
	SHOW(munmap((void *)(1ul << 47), 4096));
	SHOW(munmap((void *)-4096, 4096));
	/* a hint is taken when it is free */
	SHOW(mmap(p, 4096, RW, ANON, -1, 0) == p);
	SHOW(mmap(p, 4096, RW, ANON, -1, 0) == p);
	SHOW(mmap(p, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p);
	SHOW(mmap(p + 4096, 4096, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 4096);
	strcpy(p, "here");
	SHOW(mmap(p, 8192, PROT_READ, ANON | MAP_FIXED, -1, 0) == p);
	printf("%d %d\n", p[0], touch(p, 1));
	/* write only is readable too on this machine, exec only as well */
	SHOW(mprotect(p, 4096, PROT_WRITE));
	rights(p, 1);
	/* code made at run time */
	static const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
	SHOW(mprotect(p, 4096, RW | PROT_EXEC));
	memcpy(p, code, sizeof(code));
	SHOW(((int (*)(void))p)());
	p[1] = 43;
	SHOW(((int (*)(void))p)());
	SHOW(mprotect(p, 4096, PROT_READ | PROT_EXEC));
	SHOW(((int (*)(void))p)());
	SHOW(mprotect(p, 4096, PROT_READ));
	int sig = sigsetjmp(jb, 1);
	if (sig == 0)
		((int (*)(void))p)();
	printf("signal %d\n", sig);
	/* shared anonymous memory is shared over fork, private is copied */
	char *s = mmap(NULL, 4096, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *c = mmap(NULL, 4096, RW, ANON, -1, 0);
	if (fork() == 0) {
		strcpy(s, "child");
		strcpy(c, "child");
		_exit(0);
	}
	wait(NULL);
	printf("shared %s private %s\n", s, c);
	/* many mappings; neighbours with equal rights */
	char *many = mmap(NULL, 2000 * 4096, PROT_NONE, ANON, -1, 0);
	for (int i = 0; i < 2000; i += 2)
		CHECK(mprotect(many + i * 4096, 4096, RW) == 0);
	for (int i = 0; i < 2000; i += 2)
		many[i * 4096] = (char)i;
	SHOW(mprotect(many, 2000 * 4096, RW));
	int sum = 0;
	for (int i = 0; i < 2000; i++)
		sum += many[i * 4096] != 0;
	printf("%d\n", sum);
	SHOW(munmap(many, 2000 * 4096));
	/* the limit on address space */
	struct rlimit rl = {1ul << 30, 1ul << 30};
	SHOW(setrlimit(RLIMIT_AS, &rl));
	SHOW(MAP(0, 2ul << 30, RW, ANON | MAP_NORESERVE));
	SHOW(MAP(0, 4096, RW, ANON) != -1);
	DONE();
}
