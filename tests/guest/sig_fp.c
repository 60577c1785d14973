/* SPDX-License-Identifier: Apache-2.0 */
/* Vector and control state is kept across handlers, and a handler can change the frame. */
#include "guest.h"
#include <fenv.h>
#include <sys/time.h>
#include <ucontext.h>

typedef double v4 __attribute__((vector_size(16)));
static volatile int hits;

static void on(int sig)
{
	v4 x = {1e300, -1};
	for (int i = 0; i < 100; i++)
		x = x * x + 3.0;
	__asm__ volatile("movapd %0, %%xmm0; movapd %0, %%xmm7; movapd %0, %%xmm15" ::"x"(x)
			 : "xmm0", "xmm7", "xmm15");
	__asm__ volatile("fninit; fldpi; fldpi");
	fesetround(FE_DOWNWARD);
	hits++;
}

static void skip(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
	uc->uc_mcontext.gregs[REG_RAX] = 0x1234;
	uc->uc_mcontext.fpregs->_xmm[3].element[0] = 77;
	sigaddset(&uc->uc_sigmask, SIGUSR2);
}

static __attribute__((noipa)) double work(int n)
{
	double a = 1, b = 0;
	long double c = 1;
	for (int i = 1; i < n; i++) {
		a = a * 1.0000001 + 1.0 / i;
		b += a / 3;
		c = c * 1.0000001L + b;
	}
	return a + b + (double)c;
}

int main(void)
{
	double expected = work(3000000), again;
	signal(SIGALRM, on);
	struct itimerval it = {{0, 300}, {0, 300}};
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; i < 20; i++) {
		again = work(3000000);
		CHECK(again == expected);
	}
	memset(&it, 0, sizeof(it));
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK(hits > 10);
	printf("round %d\n", fegetround() == FE_TONEAREST);
	struct sigaction sa = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO};
	sigaction(SIGILL, &sa, NULL);
	long rax = 1;
	unsigned xmm = 1;
	__asm__ volatile("pxor %%xmm3, %%xmm3; ud2; movd %%xmm3, %1" : "=a"(rax), "=r"(xmm) : : "xmm3");
	printf("%lx %u\n", rax, xmm);
	sigset_t s;
	sigprocmask(SIG_BLOCK, NULL, &s);
	printf("%d\n", sigismember(&s, SIGUSR2));
	/* fork and threads keep the state, exec would not */
	fesetround(FE_UPWARD);
	if (fork() == 0)
		_exit(fegetround() == FE_UPWARD ? 0 : 1);
	int st;
	wait(&st);
	printf("%d\n", st);
	unsigned mxcsr;
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	printf("%x\n", mxcsr & 0xffc0);
	/* x87 and MXCSR exceptions */
	DONE();
}
