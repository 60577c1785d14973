/* SPDX-License-Identifier: Apache-2.0 */
/* The main stack grows by touch and by the kernel's own copies, to its current limit. */
#include "guest.h"
#include <sys/resource.h>

static volatile char sink;

__attribute__((noinline)) static long down(long left)
{
	volatile char page[4096];

	page[0] = (char)left;
	if (left <= 4096)
		return page[0];
	return down(left - 4096) + page[0];
}

static void on_segv(int sig, siginfo_t *si, void *uc)
{
	static const char m[] = "overflow caught\n";

	(void)!write(1, m, sizeof(m) - 1);
	_exit(si->si_code == SEGV_MAPERR ? 0 : 3);
}

static void overflow(void)
{
	static char alt[65536];
	stack_t ss = {.ss_sp = alt, .ss_size = sizeof(alt)};
	struct sigaction sa = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};

	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	sink = (char)down(1l << 40);
}

int main(void)
{
	struct rlimit rl;
	int st, fds[2];
	char here;

	setvbuf(stdout, NULL, _IONBF, 0);
	sink = (char)down(4 << 20);
	printf("4 MiB deep\n");
	CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
	if (fork() == 0) {	/* a copy of the kernel into a page that nobody touched */
		char *p = (char *)(((uintptr_t)&here & ~4095ul) - 6 * 1024 * 1024);
		SHOW(read(fds[0], p, 1));
		exit(*p != 'x');
	}
	wait(&st);
	printf("status %d\n", st);
	if (fork() == 0)
		overflow();
	wait(&st);
	printf("status %d\n", st);
	CHECK(getrlimit(RLIMIT_STACK, &rl) == 0);
	if (rl.rlim_max == RLIM_INFINITY || rl.rlim_max > (48ul << 20)) {
		rl.rlim_cur = 48ul << 20;
		SHOW(setrlimit(RLIMIT_STACK, &rl));
		sink = (char)down(40 << 20);
	}
	printf("40 MiB deep\n");
	DONE();
}
