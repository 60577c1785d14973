/* SPDX-License-Identifier: Apache-2.0 */
/* Code that is run, copied, made and changed while calls are made from it. */
#include "guest.h"
#include <pthread.h>

/* mov $110, %eax; syscall; ret */
static const unsigned char site[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
/* mov $imm, %r8d, whose tail looks like the above; mov %r8d, %eax; ret */
static const unsigned char tricky[] = {0x41, 0xb8, 110, 0, 0, 0, 0x44, 0x89, 0xc0, 0xc3};

static __attribute__((noinline)) long shared_site(void)
{
	long r;
	__asm__ volatile("mov $110, %%eax; syscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

static void *hammer(void *arg)
{
	long want = shared_site(), bad = 0;
	for (int i = 0; i < 5000; i++)
		bad += shared_site() != want;
	return (void *)bad;
}

static void many_threads(void)
{
	pthread_t t[8];
	long bad = 0;
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, hammer, NULL);
	for (int i = 0; i < 8; i++) {
		void *r;
		pthread_join(t[i], &r);
		bad += (long)r;
	}
	CHECK(bad == 0);
}

/* A jump to the syscall instruction itself, with another number in rax. */
static long middle(long nr)
{
	long r;
	__asm__ volatile("jmp 2f\n\t1: mov $110, %%eax\n\t2: syscall" : "=a"(r) : "a"(nr)
			 : "rcx", "r11", "memory");
	return r;
}

int main(void)
{
	long parent = getppid();
	for (int k = 0; k < 40; k++) {
		pid_t pid = fork();
		if (pid == 0) {
			many_threads();
			_exit(guest_failures);
		}
		int st;
		waitpid(pid, &st, 0);
		CHECK(st == 0);
	}
	/* made at run time, in memory that is writable and executable */
	unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long (*f)(void) = (long (*)(void))p;
	for (int i = 0; i < 100; i++) {
		memcpy(p, site, sizeof(site));
		p[1] = i & 1 ? 110 : 39;
		CHECK(f() == (i & 1 ? parent : getpid()));
		CHECK(memcmp(p + 5, site + 5, 3) == 0);
	}
	memcpy(p, tricky, sizeof(tricky));
	CHECK(f() == 110);
	/* the same bytes from a file, mapped, called often, made writable, changed */
	int fd = open("code", O_CREAT | O_RDWR, 0755);
	unsigned char page[8192];
	memset(page, 0x90, sizeof(page));
	memcpy(page + 100, site, sizeof(site));
	memcpy(page + 4096 - 4, site, sizeof(site));
	memcpy(page + 200, tricky, sizeof(tricky));
	write(fd, page, sizeof(page));
	p = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	for (int i = 0; i < 100; i++) {
		CHECK(((long (*)(void))(p + 100))() == parent);
		CHECK(((long (*)(void))(p + 4096 - 4))() == parent);
		CHECK(((long (*)(void))(p + 200))() == 110);
	}
	/* write(2) of the text gives the file's bytes */
	int out = open("out", O_CREAT | O_RDWR, 0644);
	CHECK(write(out, p, 8192) == 8192);
	unsigned char back[8192];
	CHECK(pread(out, back, 8192, 0) == 8192 && memcmp(back, page, 8192) == 0);
	CHECK(mprotect(p, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
	CHECK(memcmp(p, page, 8192) == 0);
	p[101] = 39;
	CHECK(((long (*)(void))(p + 100))() == getpid());
	/* another file at the same address */
	page[101] = 39;
	int fd2 = open("code2", O_CREAT | O_RDWR, 0755);
	write(fd2, page, sizeof(page));
	for (int i = 0; i < 20; i++) {
		p = mmap(p, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, i & 1 ? fd : fd2, 0);
		for (int k = 0; k < 10; k++)
			CHECK(((long (*)(void))(p + 100))() == (i & 1 ? parent : getpid()));
	}
	/* a file that is changed under a mapping is seen until the page is private */
	CHECK(middle(39) == getpid() && middle(110) == parent);
	printf("done\n");
	DONE();
}
