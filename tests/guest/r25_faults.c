/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers repair faults, change the frame, jump out; masks of waiting calls are in the frame. */
#include "guest.h"
#include <poll.h>
#include <setjmp.h>
#include <ucontext.h>

static char *area;
static volatile long repaired, nested;
static sigjmp_buf jb[8];
static volatile int depth;

static void barrier(int sig, siginfo_t *si, void *p)
{
	char *page = (char *)((unsigned long)si->si_addr & ~4095ul);
	if (page < area || page >= area + 256 * 4096)
		_exit(44);
	repaired++;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void jumper(int sig, siginfo_t *si, void *p)
{
	int d = depth++;
	nested++;
	if (d < 5 && sigsetjmp(jb[d + 1], 1) == 0)
		*(volatile int *)8 = 1;
	depth = d;
	siglongjmp(jb[d], 1);
}

static volatile int in_usr, mask_in_frame, mask_in_handler;

static void on_usr(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	sigset_t now;
	sigprocmask(SIG_BLOCK, NULL, &now);
	in_usr++;
	mask_in_frame = sigismember(&uc->uc_sigmask, SIGUSR2) * 2 +
			sigismember(&uc->uc_sigmask, SIGUSR1);
	mask_in_handler = sigismember(&now, SIGUSR2) * 2 + sigismember(&now, SIGUSR1);
}

static void null_check(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	/* go on behind the load with a value of ours, as a virtual machine does */
	uc->uc_mcontext.gregs[REG_RIP] = uc->uc_mcontext.gregs[REG_RBX];
	uc->uc_mcontext.gregs[REG_RAX] = 4242;
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
	struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
	sigaction(sig, &sa, NULL);
}

static void coroutine(ucontext_t *back, ucontext_t *me)
{
	for (int i = 0; i < 3; i++) {
		nested++;
		swapcontext(me, back);
	}
}

int main(void)
{
	area = mmap(NULL, 256 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	handle(SIGSEGV, barrier, 0);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 256; i++)
			area[i * 4096 + round] = (char)i;
		mprotect(area, 256 * 4096, PROT_READ);
	}
	printf("repaired %ld\n", repaired);
	/* a system call into the barrier gives EFAULT, no signal */
	int fd = open("/dev/zero", O_RDONLY);
	repaired = 0;
	SHOW(read(fd, area, 10));
	printf("repaired %ld\n", repaired);
	handle(SIGSEGV, jumper, SA_NODEFER);
	for (int i = 0; i < 200; i++) {
		depth = 0;
		if (sigsetjmp(jb[0], 1) == 0)
			*(volatile int *)8 = 1;
	}
	printf("nested %ld\n", nested);
	handle(SIGSEGV, null_check, 0);
	long v = 0;
	for (int i = 0; i < 1000; i++) {
		long r;
		__asm__ volatile("lea 1f(%%rip), %%rbx; xor %%eax, %%eax; mov 16(%%rax), %%rax; 1:"
				 : "=a"(r)
				 :
				 : "rbx", "memory");
		v += r;
	}
	printf("%ld\n", v);
	/* masks */
	sigset_t none, both, old;
	sigemptyset(&none);
	sigemptyset(&both);
	sigaddset(&both, SIGUSR1);
	sigaddset(&both, SIGUSR2);
	handle(SIGUSR1, on_usr, 0);
	sigprocmask(SIG_BLOCK, &both, NULL);
	raise(SIGUSR1);
	SHOW(sigsuspend(&none));
	printf("%d frame %d handler %d\n", in_usr, mask_in_frame, mask_in_handler);
	raise(SIGUSR1);
	struct timespec ts = {1, 0};
	SHOW(ppoll(NULL, 0, &ts, &none));
	printf("%d frame %d handler %d\n", in_usr, mask_in_frame, mask_in_handler);
	sigprocmask(SIG_BLOCK, NULL, &old);
	printf("%d %d\n", sigismember(&old, SIGUSR1), sigismember(&old, SIGUSR2));
	sigprocmask(SIG_UNBLOCK, &both, NULL);
	raise(SIGUSR1);
	printf("%d frame %d handler %d\n", in_usr, mask_in_frame, mask_in_handler);
	/* contexts */
	static char stack[65536];
	static ucontext_t me, other;
	nested = 0;
	getcontext(&other);
	other.uc_stack.ss_sp = stack;
	other.uc_stack.ss_size = sizeof(stack);
	other.uc_link = &me;
	makecontext(&other, (void (*)(void))coroutine, 2, &me, &other);
	for (int i = 0; i < 3; i++)
		swapcontext(&me, &other);
	printf("switched %ld\n", nested);
	DONE();
}
