/* SPDX-License-Identifier: Apache-2.0 */
/* mmap, munmap, mprotect, mremap, brk, madvise: results and errnos, and what memory holds. */
#include "guest.h"
#include <setjmp.h>

#define PG 4096
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static volatile int got_sig, got_code;

static sigjmp_buf buf;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
	got_sig = sig;
	got_code = si->si_code;
	siglongjmp(buf, 1);
}

/* 0: readable / writable; else the signal and its code. */
static int probe(volatile char *p, bool write)
{
	got_sig = got_code = 0;
	if (sigsetjmp(buf, 1) == 0) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return got_sig * 10 + got_code;
}

static void maps(void)
{
	char *p = mmap(NULL, 8 * PG, PROT_READ | PROT_WRITE, ANON, -1, 0), *q;

	CHECK(p != MAP_FAILED);
	memset(p, 'x', 8 * PG);
	SHOW(munmap(p + PG, PG));
	printf("hole: %d\n", probe(p + PG, false));
	SHOW(mprotect(p, PG, PROT_READ));
	printf("read-only: %d %d\n", probe(p, false), probe(p, true));
	SHOW(mprotect(p, PG, PROT_NONE));
	printf("none: %d\n", probe(p, false));
	SHOW(mprotect(p, 3 * PG, PROT_READ));
	q = mmap(p + 4 * PG, PG, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	printf("noreplace: %s\n", q == MAP_FAILED ? strerrorname_np(errno) : "mapped");
	q = mmap(p + 4 * PG, PG, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
	printf("fixed: %d, content %d %d\n", q == p + 4 * PG, p[4 * PG], p[5 * PG]);
	q = mmap(p + PG, PG, PROT_READ, ANON, -1, 0);
	printf("hint taken: %d\n", q == p + PG);
	SHOW(munmap(p, 8 * PG));
	SHOW(munmap(p, 8 * PG));
	SHOW(munmap(p + 1, PG));
	SHOW(munmap(p, 0));
	SHOW(mmap(NULL, 0, PROT_READ, ANON, -1, 0));
	SHOW(mmap(NULL, PG, PROT_READ, MAP_ANONYMOUS, -1, 0));
	SHOW(mmap(NULL, PG, PROT_READ, MAP_PRIVATE, -1, 0));
	SHOW(mmap((void *)(1ul << 48), PG, PROT_READ, ANON | MAP_FIXED, -1, 0));
	SHOW(syscall(SYS_mmap, NULL, PG, PROT_READ, ANON, -1, 17));
	SHOW(mprotect((void *)PG, PG, PROT_READ));
	SHOW(mprotect((void *)1, PG, PROT_READ));
	SHOW(syscall(SYS_mprotect, p, PG, 0x40));
}

static void remap(void)
{
	char *p = mmap(NULL, 16 * PG, PROT_READ | PROT_WRITE, ANON, -1, 0), *q;

	memset(p, 'a', 4 * PG);
	SHOW(munmap(p + 4 * PG, 12 * PG));
	q = mremap(p, 4 * PG, 8 * PG, 0);
	printf("grow in place: %d\n", q == p);
	printf("tail zero: %d, head %c\n", p[7 * PG], p[3 * PG]);
	q = mremap(p, 8 * PG, 2 * PG, 0);
	printf("shrink: %d, gone: %d\n", q == p, probe(p + 2 * PG, false));
	q = mmap(p + 2 * PG, PG, PROT_NONE, ANON | MAP_FIXED, -1, 0);
	q = mremap(p, 2 * PG, 64 * PG, 0);
	printf("no room: %s\n", q == MAP_FAILED ? strerrorname_np(errno) : "grew");
	q = mremap(p, 2 * PG, 64 * PG, MREMAP_MAYMOVE);
	printf("moved: %d content %c %d, old gone: %d\n", q != p, q[PG], q[2 * PG], probe(p, false));
	p = mmap(NULL, 8 * PG, PROT_READ | PROT_WRITE, ANON, -1, 0);
	q = mremap(q, 2 * PG, 2 * PG, MREMAP_MAYMOVE | MREMAP_FIXED, p);
	printf("fixed: %d content %c\n", q == p, p[0]);
	SHOW(mremap(p + 1, PG, PG, 0));
	SHOW(mremap(p, PG, 0, 0));
	SHOW(mremap(p, PG, PG, MREMAP_FIXED, p));
	SHOW(mremap(p, PG, PG, 64));
	SHOW(mremap((void *)(64 * PG), PG, 2 * PG, 0));
	q = mremap(p, PG, PG, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	printf("dontunmap: %d content %c, old %d\n", q != MAP_FAILED && q != p, q[0], p[0]);
}

static void advise(void)
{
	char *p = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, ANON, -1, 0);
	int st;

	memset(p, 'z', 4 * PG);
	SHOW(madvise(p, PG, MADV_DONTNEED));
	printf("dropped: %d, kept %c\n", p[0], p[PG]);
	SHOW(madvise(p, PG, 12345));
	SHOW(madvise(p + 1, PG, MADV_NORMAL));
	SHOW(madvise(p, 0, MADV_NORMAL));
	SHOW(madvise(p, PG, MADV_WILLNEED));
	SHOW(madvise(p, PG, MADV_SEQUENTIAL));
	SHOW(madvise(p, PG, MADV_FREE));
	SHOW(madvise(p + PG, PG, MADV_DONTFORK));
	SHOW(madvise(p + 2 * PG, PG, MADV_WIPEONFORK));
	if (fork() == 0) {
		printf("child: hole %d, wiped %d, kept %c\n", probe(p + PG, false), p[2 * PG], p[3 * PG]);
		exit(0);
	}
	wait(&st);
	printf("child %d, parent %c\n", st, p[2 * PG]);
	SHOW(madvise(p + PG, PG, MADV_DOFORK));
	SHOW(madvise(p + 2 * PG, PG, MADV_KEEPONFORK));
	munmap(p + PG, PG);
	SHOW(madvise(p, 4 * PG, MADV_DONTNEED));
	SHOW(mlock(p, PG));
	SHOW(munlock(p, PG));
	SHOW(mlock(p, 2 * PG));
	SHOW(mlockall(0));
	SHOW(msync(p, PG, MS_SYNC));
	SHOW(msync(p + PG, PG, MS_SYNC));
	SHOW(msync(p, PG, MS_SYNC | MS_ASYNC));
}

static void heap(void)
{
	char *b = sbrk(0);

	SHOW(brk(b + 10 * PG));
	memset(b, 1, 10 * PG);
	SHOW(brk(b));
	SHOW(brk(b + PG));
	printf("brk memory is zero again: %d\n", b[100]);
	SHOW(brk(b));
	SHOW(brk((void *)(1ul << 47)));
}

static void file_maps(void)
{
	char name[] = "/tmp/mm_basic_XXXXXX", *p, *q;
	int fd = mkstemp(name), st, ro;

	CHECK(fd >= 0);
	ro = open(name, O_RDONLY);
	unlink(name);
	CHECK(write(fd, "hello world", 11) == 11);
	p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	printf("%.11s %.11s\n", p, q);
	memcpy(p, "HELLO", 5);
	printf("shared seen by private: %.11s\n", q);
	q[0] = 'j';
	printf("private not seen: %c %c\n", p[0], q[0]);
	char b[12] = "";
	CHECK(pread(fd, b, 11, 0) == 11);
	printf("read sees the map: %s\n", b);
	CHECK(pwrite(fd, "12345", 5, 6) == 5);
	printf("map sees the write: %.11s\n", p);
	printf("beyond the end: %d\n", probe(p + PG, false));
	if (fork() == 0) {
		p[0] = 'C', q[1] = 'C';
		exit(0);
	}
	wait(&st);
	printf("after the child: %c %c\n", p[0], q[1]);
	SHOW(mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED ? -1 : 0);
	p = mmap(NULL, PG, PROT_READ, MAP_SHARED, ro, 0);
	SHOW(mprotect(p, PG, PROT_READ | PROT_WRITE));
	SHOW(mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0) == MAP_FAILED ? -1 : 0);
	SHOW(ftruncate(fd, 0));
	printf("truncated: %d\n", probe(p, false));
}

static void shared_anon(void)
{
	int *p = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), st;

	if (fork() == 0) {
		*p = 42;
		exit(7);
	}
	wait(&st);
	printf("shared: %d, status %d\n", *p, WEXITSTATUS(st));
	p = mmap(NULL, 1ul << 40, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	printf("1 TiB reserved: %d\n", p != MAP_FAILED);
	SHOW(munmap(p, 1ul << 40));
}

static void efaults(void)
{
	char *p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, ANON, -1, 0);
	int fds[2];

	munmap(p + PG, PG);
	CHECK(pipe(fds) == 0);
	SHOW(write(fds[1], p + PG, 4));
	mprotect(p, PG, PROT_READ);
	CHECK(write(fds[1], "abcd", 4) == 4);
	SHOW(read(fds[0], p, 4));
	mprotect(p, PG, PROT_READ | PROT_WRITE);
	SHOW(read(fds[0], p, 4));	/* nothing was lost */
	printf("%.4s\n", p);
	SHOW(stat((char *)16, (struct stat *)p));
	SHOW(open(p + PG, O_RDONLY));
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	maps();
	remap();
	advise();
	heap();
	file_maps();
	shared_anon();
	efaults();
	DONE();
}
