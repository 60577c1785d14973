/* SPDX-License-Identifier: Apache-2.0 */
/* The main stack grows as far as its present limit. */
#include "guest.h"
#include <pthread.h>
#include <setjmp.h>
#include <sys/resource.h>

static sigjmp_buf jb;
static char alt[65536];
static volatile int code;

static void on(int sig, siginfo_t *si, void *uc)
{
	code = si->si_code;
	siglongjmp(jb, sig);
}

static long recurse(long n)
{
	volatile char b[16384];
	b[0] = b[16383] = (char)n;
	if (n == 0)
		return 0;
	return recurse(n - 1) + b[0] - (char)n + 1;
}

static int fd;

/* A read into a page of the stack that was never touched. */
static __attribute__((noinline)) long read_below(void)
{
	volatile char here = 0;
	char *p = (char *)&here - 300 * 1024;
	long n = read(fd, p, 4096);
	return n + p[4095];
}

static unsigned long stack_lines(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned long from, to, size = 0;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &from, &to) == 2)
			size = to - from;
	fclose(f);
	return size;
}

int main(void)
{
	fd = open("/dev/zero", O_RDONLY);
	SHOW(read_below());
	unsigned long before = stack_lines();
	SHOW(recurse(100));
	unsigned long after = stack_lines();
	CHECK(after > before && after >= 100 * 16384);
	struct rlimit rl;
	getrlimit(RLIMIT_STACK, &rl);
	rl.rlim_cur = 64ul << 20;
	SHOW(setrlimit(RLIMIT_STACK, &rl));
	SHOW(recurse(40 * 64));
	CHECK(stack_lines() >= 40ul << 20);
	pthread_attr_t a;
	void *addr;
	size_t size;
	SHOW(pthread_getattr_np(pthread_self(), &a));
	SHOW(pthread_attr_getstack(&a, &addr, &size));
	CHECK((char *)&a > (char *)addr && (char *)&a < (char *)addr + size);
	CHECK(size >= 60ul << 20);
	/* the arguments and the environment lie at its top */
	stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};
	sigaltstack(&ss, NULL);
	struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigaction(SIGSEGV, &sa, NULL);
	int sig = sigsetjmp(jb, 1);
	if (!sig)
		recurse(1 << 20);
	printf("signal %d code %d\n", sig, code);
	sig = sigsetjmp(jb, 1);
	if (!sig)
		recurse(1 << 20);
	printf("signal %d code %d\n", sig, code);
	/* in a child too */
	fflush(stdout);
	if (fork() == 0) {
		SHOW(recurse(50 * 64));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	/* a mapping that grows down */
	char *g = mmap(NULL, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(g, 16 * 4096);
	g = mmap(g + 15 * 4096, 4096, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	SHOW(g != MAP_FAILED);
	g[0] = 1;
	DONE();
}
