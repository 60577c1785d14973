/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <setjmp.h>
#include <ucontext.h>

static sigjmp_buf jb;
static volatile siginfo_t info;
static volatile long trapno, err, cr2;

static void on(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	info = *si;
	trapno = uc->uc_mcontext.gregs[REG_TRAPNO];
	err = uc->uc_mcontext.gregs[REG_ERR];
	cr2 = uc->uc_mcontext.gregs[REG_CR2];
	siglongjmp(jb, 1);
}

static char *page;
static volatile int zero;

#define FAULT(code)                                                                                \
	do {                                                                                       \
		if (sigsetjmp(jb, 1) == 0) {                                                       \
			code;                                                                      \
			printf("%s: no fault\n", #code);                                           \
		} else {                                                                           \
			printf("%s: sig %d code %d trap %ld err %lx", #code, info.si_signo,        \
			       info.si_code, trapno, err);                                         \
			if (trapno == 14)                                                          \
				printf(" addr %s%lx cr2 %s",                                       \
				       (char *)info.si_addr >= page &&                             \
						       (char *)info.si_addr < page + 8192          \
					       ? "page+"                                           \
					       : "",                                               \
				       (char *)info.si_addr >= page &&                             \
						       (char *)info.si_addr < page + 8192          \
					       ? (long)((char *)info.si_addr - page)               \
					       : (long)info.si_addr,                               \
				       cr2 == (long)info.si_addr ? "same" : "other");              \
			printf("\n");                                                              \
		}                                                                                  \
	} while (0)

int main(void)
{
	int sigs[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
	for (unsigned i = 0; i < 5; i++) {
		struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
		sigaction(sigs[i], &sa, NULL);
	}
	page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(page + 4096, 4096);
	FAULT(*(volatile int *)16);
	FAULT(*(volatile int *)16 = 1);
	FAULT(*(volatile char *)page);
	FAULT(*(volatile char *)(page + 5) = 1);
	FAULT(*(volatile char *)(page + 4100) = 1);
	FAULT(((void (*)(void))(page + 64))());
	FAULT(*(volatile int *)0x8000000000000000);
	FAULT(zero = 1 / zero);
	FAULT(__asm__ volatile("ud2"));
	FAULT(__asm__ volatile("int3"));
	FAULT(__asm__ volatile("hlt"));
	FAULT(__asm__ volatile("mov %%cr0, %%rax" ::: "rax"));
	FAULT(__asm__ volatile("int $0x42"));
	FAULT(__asm__ volatile("movaps 1(%0), %%xmm0" ::"r"(jb) : "xmm0"));
	/* without a handler the process dies by the signal */
	for (int how = 0; how < 4; how++) {
		pid_t pid = fork();
		if (pid == 0) {
			signal(SIGSEGV, how == 1 ? SIG_IGN : SIG_DFL);
			signal(SIGFPE, SIG_DFL);
			sigset_t s;
			sigfillset(&s);
			if (how == 2)
				sigprocmask(SIG_BLOCK, &s, NULL);
			if (how == 3)
				zero = 1 / zero;
			*(volatile int *)16 = 1;
			_exit(0);
		}
		int st;
		waitpid(pid, &st, 0);
		printf("%d: signaled %d by %d\n", how, WIFSIGNALED(st), WTERMSIG(st));
	}
	/* a signal sent with kill is no fault */
	FAULT(kill(getpid(), SIGSEGV));
	printf("pid %d\n", info.si_pid == getpid());
	DONE();
}
