/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <setjmp.h>

static sigjmp_buf jb;
static int code;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
	code = si->si_code;
	siglongjmp(jb, sig);
}

static int touch(volatile char *p, int write)
{
	int sig = sigsetjmp(jb, 1);
	if (sig)
		return sig * 100 + code;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

static void run(const char *name)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	char b[16] = "";
	SHOW(ftruncate(fd, 10000));
	SHOW(pwrite(fd, "hello", 5, 4096));
	char *s = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(s != MAP_FAILED && p != MAP_FAILED);
	printf("%.5s %.5s\n", s + 4096, p + 4096);
	strcpy(s + 4100, "OWN");
	SHOW(pread(fd, b, 8, 4096));
	printf("%.8s\n", b);
	printf("private sees %.8s\n", p + 4096);
	p[4096] = 'J';
	strcpy(s + 4096, "again");
	printf("shared %.5s private %.5s\n", s + 4096, p + 4096);
	SHOW(pread(fd, b, 5, 4096));
	printf("%.5s\n", b);
	SHOW(pwrite(fd, "W", 1, 0));
	printf("%c %c\n", s[0], p[0]);
	SHOW(msync(s, 16384, MS_SYNC));
	SHOW(msync(s, 16384, MS_SYNC | MS_ASYNC));
	SHOW(msync(s + 1, 4096, MS_SYNC));
	/* zero behind the end within the page, SIGBUS behind that */
	printf("%d\n", s[10001]);
	SHOW(touch(s + 12288, 0));
	SHOW(touch(s + 12288, 1));
	SHOW(ftruncate(fd, 4096));
	SHOW(touch(s + 4096, 0));
	SHOW(touch(p + 8192, 0));
	SHOW(ftruncate(fd, 16384));
	SHOW(touch(s + 12288, 1));
	SHOW(s[4096]);
	SHOW(pread(fd, b, 1, 12288));
	printf("%d\n", b[0]);
	SHOW(mprotect(s, 4096, PROT_READ));
	SHOW(touch(s, 1));
	SHOW(touch(s, 0));
	SHOW(mprotect(s, 4096, PROT_NONE));
	SHOW(touch(s, 0));
	if (fork() == 0) {
		s[8192] = 'C';
		p[8192] = 'C';
		_exit(0);
	}
	wait(NULL);
	printf("%c %d\n", s[8192], p[8192]);
	SHOW(munmap(s, 16384));
	SHOW(touch(s + 8192, 0));
	close(fd);
	printf("after close %c\n", p[0]);
	fd = open(name, O_RDONLY);
	SHOW((long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	s = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	SHOW(mprotect(s, 4096, PROT_READ | PROT_WRITE));
	SHOW(touch(s, 1));
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 100));
	SHOW((long)mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0));
	SHOW((long)mmap(NULL, 4096, PROT_READ, 0, fd, 0));
	close(fd);
	fd = open(name, O_WRONLY);
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	close(fd);
	fd = open(".", O_RDONLY);
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0));
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 0));
	close(fd);
	unlink(name);
	printf("after unlink %c\n", s[0]);
}

int main(void)
{
	run("f");
	char tmp[32];
	enter_tmp(tmp);
	run("other");
	unlink("other");
	rmdir(tmp);
	DONE();
}
