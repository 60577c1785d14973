/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <setjmp.h>
#include <sys/resource.h>

static char stack[65536];
static sigjmp_buf jb;
static volatile int depth, on_alt, flags_seen;

static void on(int sig)
{
	char here;
	stack_t ss;
	on_alt = &here >= stack && &here < stack + sizeof(stack);
	sigaltstack(NULL, &ss);
	flags_seen = ss.ss_flags;
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
	printf("change in handler: %s\n",
	       sigaltstack(&other, NULL) ? strerrorname_np(errno) : "ok");
}

static void on_overflow(int sig, siginfo_t *si, void *uc)
{
	char here;
	on_alt = &here >= stack && &here < stack + sizeof(stack);
	flags_seen = si->si_code;
	siglongjmp(jb, 1);
}

static int recurse(int n)
{
	volatile char b[4096];
	memset((char *)b, n, sizeof(b));
	depth = n;
	return recurse(n + 1) + b[17];
}

int main(void)
{
	stack_t ss, small = {.ss_sp = stack, .ss_size = 100};
	SHOW(sigaltstack(NULL, &ss));
	SHOW(ss.ss_flags);
	SHOW(sigaltstack(&small, NULL));
	stack_t bad = {.ss_sp = stack, .ss_size = sizeof(stack), .ss_flags = 77};
	SHOW(sigaltstack(&bad, NULL));
	stack_t good = {.ss_sp = stack, .ss_size = sizeof(stack)};
	SHOW(sigaltstack(&good, &ss));
	SHOW(ss.ss_flags);
	struct sigaction sa = {.sa_handler = on, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	printf("alt %d flags %d\n", on_alt, flags_seen);
	sa.sa_flags = 0;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	printf("alt %d flags %d\n", on_alt, flags_seen);
	good.ss_flags = (int)(1u << 31) /* SS_AUTODISARM */;
	SHOW(sigaltstack(&good, NULL));
	sa.sa_flags = SA_ONSTACK;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	printf("alt %d flags %d\n", on_alt, flags_seen);
	good.ss_flags = 0;
	SHOW(sigaltstack(&good, NULL));
	/* endless recursion ends on the alternate stack, twice */
	struct rlimit rl = {1 << 20, RLIM_INFINITY};
	SHOW(setrlimit(RLIMIT_STACK, &rl));
	struct sigaction so = {.sa_sigaction = on_overflow, .sa_flags = SA_ONSTACK | SA_SIGINFO};
	sigaction(SIGSEGV, &so, NULL);
	for (int i = 0; i < 2; i++) {
		if (sigsetjmp(jb, 1) == 0)
			recurse(0);
		printf("alt %d code %d depth %s\n", on_alt, flags_seen,
		       depth > 200 && depth < 260 ? "as the limit says" : "wrong");
	}
	/* without one the process dies */
	pid_t pid = fork();
	if (pid == 0) {
		so.sa_flags = SA_SIGINFO;
		sigaction(SIGSEGV, &so, NULL);
		recurse(0);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("signaled %d by %d\n", WIFSIGNALED(st), WTERMSIG(st));
	stack_t off = {.ss_flags = SS_DISABLE};
	SHOW(sigaltstack(&off, &ss));
	SHOW(sigaltstack(NULL, &ss));
	SHOW(ss.ss_flags);
	DONE();
}
