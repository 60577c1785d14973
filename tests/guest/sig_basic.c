/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"

static volatile int count, last, order[16], n_order;
static volatile siginfo_t info;

static void on(int sig)
{
	count++;
	last = sig;
}

static void on_info(int sig, siginfo_t *si, void *uc)
{
	info = *si;
	order[n_order++ % 16] = sig * 1000 + si->si_value.sival_int % 1000;
}

static void handle(int sig, void *fn, int flags)
{
	struct sigaction sa = {.sa_flags = flags};
	if (flags & SA_SIGINFO)
		sa.sa_sigaction = fn;
	else
		sa.sa_handler = fn;
	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void show_set(const sigset_t *s)
{
	printf("{");
	for (int i = 1; i <= 64; i++)
		if (sigismember(s, i) == 1)
			printf(" %d", i);
	printf(" }\n");
}

int main(void)
{
	sigset_t s, old;
	handle(SIGUSR1, on, 0);
	SHOW(kill(getpid(), SIGUSR1));
	SHOW(raise(SIGUSR1));
	printf("%d %d\n", count, last);
	SHOW(kill(getpid(), 0));
	SHOW(kill(getpid(), 65));
	SHOW(kill(getpid(), -1));
	SHOW(kill(99999999, SIGUSR1));
	SHOW(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
	SHOW(syscall(SYS_tgkill, getpid(), -1, SIGUSR1));
	SHOW(syscall(SYS_tgkill, 1 << 28, gettid(), SIGUSR1));
	SHOW(syscall(SYS_tkill, gettid(), SIGUSR1));
	printf("%d\n", count);
	/* a standard signal is pending once, a real-time signal as often as it was sent */
	sigfillset(&s);
	SHOW(sigprocmask(SIG_BLOCK, &s, &old));
	show_set(&old);
	handle(SIGUSR1, on_info, SA_SIGINFO);
	handle(SIGRTMIN, on_info, SA_SIGINFO);
	handle(SIGRTMIN + 3, on_info, SA_SIGINFO);
	handle(SIGTERM, on_info, SA_SIGINFO);
	for (int i = 0; i < 3; i++) {
		union sigval v = {.sival_int = i};
		SHOW(sigqueue(getpid(), SIGRTMIN + 3, v));
		SHOW(sigqueue(getpid(), SIGRTMIN, v));
		SHOW(sigqueue(getpid(), SIGUSR1, v));
	}
	SHOW(kill(getpid(), SIGTERM));
	sigpending(&s);
	show_set(&s);
	sigprocmask(SIG_SETMASK, &old, NULL);
	for (int i = 0; i < n_order; i++)
		printf(" %d", order[i]);
	printf("\n");
	printf("%d %d %d\n", info.si_signo, info.si_code, info.si_pid == getpid());
	/* SA_RESETHAND, SA_NODEFER, the mask of an action */
	handle(SIGUSR2, on, SA_RESETHAND);
	raise(SIGUSR2);
	struct sigaction sa;
	sigaction(SIGUSR2, NULL, &sa);
	SHOW(sa.sa_handler == SIG_DFL);
	SHOW(sigaction(SIGKILL, NULL, &sa));
	sa.sa_handler = on;
	SHOW(sigaction(SIGKILL, &sa, NULL));
	SHOW(sigaction(SIGSTOP, &sa, NULL));
	SHOW(sigaction(0, &sa, NULL));
	SHOW(sigaction(65, &sa, NULL));
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
	SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &s, 16));
	SHOW(syscall(SYS_rt_sigprocmask, 77, &s, NULL, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 77, NULL, NULL, 8));
	/* KILL and STOP cannot be blocked */
	sigfillset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	sigprocmask(SIG_SETMASK, &old, &s);
	SHOW(sigismember(&s, SIGKILL));
	SHOW(sigismember(&s, SIGSTOP));
	/* ignored signals do not stay pending */
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGUSR2);
	signal(SIGUSR2, SIG_IGN);
	signal(SIGUSR2, on);
	count = 0;
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	printf("%d\n", count);
	/* waiting for a signal */
	sigprocmask(SIG_BLOCK, &s, NULL);
	siginfo_t si;
	struct timespec zero = {0, 0}, bad = {0, 2000000000};
	SHOW(sigtimedwait(&s, &si, &zero));
	SHOW(sigtimedwait(&s, &si, &bad));
	union sigval v = {.sival_int = 42};
	sigqueue(getpid(), SIGUSR2, v);
	SHOW(sigwaitinfo(&s, &si));
	printf("%d %d %d\n", si.si_signo, si.si_code, si.si_value.sival_int);
	raise(SIGUSR2);
	sigemptyset(&s);
	SHOW(sigsuspend(&s));
	printf("%d\n", count);
	sigprocmask(SIG_BLOCK, NULL, &s);
	SHOW(sigismember(&s, SIGUSR2));
	DONE();
}
