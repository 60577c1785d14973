/* SPDX-License-Identifier: Apache-2.0 */
/* Actions that are asked for often, and changed by whoever may change them. */
#include "guest.h"
#include <pthread.h>

struct action {
	unsigned long handler, flags, restorer, mask;
};

static long query(int sig, struct action *old)
{
	return syscall(SYS_rt_sigaction, sig, NULL, old, 8);
}

static void on(int sig)
{
}

static void set(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};

	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void show(const char *what)
{
	struct action a;
	unsigned long sum = 0;

	for (int i = 1; i <= 64; i++) {
		memset(&a, 0x55, sizeof(a));
		CHECK(query(i, &a) == 0);
		if (a.handler | a.mask)
			printf("%s: %d %s\n", what, i, a.handler == 1 ? "ignored" : "handled");
		sum += a.handler > 1 ? 1 : a.handler;
	}
	printf("%s: %lu not default\n", what, sum);
}

static void *thread(void *arg)
{
	set(SIGUSR2, on, 0);
	show("thread");
	return arg;
}

static void many(void)
{
	struct action a;

	for (int n = 0; n < 20; n++)
		for (int i = 1; i <= 64; i++)
			CHECK(query(i, &a) == 0);
}

static void set_all(const char *what, unsigned long mask)
{
	struct sigaction sa = {.sa_handler = SIG_DFL};
	struct action a;
	int bad = 0, flags = 0, masks = 0;

	sa.sa_mask.__val[0] = mask;
	for (int i = 1; i <= 64; i++) {
		errno = 0;
		bad += sigaction(i, &sa, NULL) != 0 || sigaction(i, &sa, NULL) != 0;
	}
	for (int i = 1; i <= 64; i++) {
		CHECK(query(i, &a) == 0);
		flags += a.flags == 0x4000000;
		masks += a.mask == mask;
	}
	printf("%s: %d refused, %d flags, %d masks\n", what, bad, flags, masks);
}

static void pending_goes(void)
{
	sigset_t one, now;

	sigemptyset(&one);
	sigaddset(&one, SIGCHLD);
	sigaddset(&one, SIGTERM);
	CHECK(sigprocmask(SIG_BLOCK, &one, NULL) == 0);
	raise(SIGCHLD);
	raise(SIGTERM);
	set(SIGCHLD, SIG_DFL, 0);
	set(SIGTERM, SIG_DFL, 0);
	CHECK(sigpending(&now) == 0);
	printf("pending: %d %d\n", sigismember(&now, SIGCHLD), sigismember(&now, SIGTERM));
	set(SIGTERM, SIG_IGN, 0);
	set(SIGTERM, SIG_DFL, 0);
	CHECK(sigprocmask(SIG_UNBLOCK, &one, NULL) == 0);
}

int main(void)
{
	char *none = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pthread_t t;

	/* what the shell has us ignore */
	for (int i = 1; i <= 64; i++)
		if (i != SIGKILL && i != SIGSTOP)
			CHECK(syscall(SYS_rt_sigaction, i, &(struct action){0}, NULL, 8) == 0);
	many();
	show("fresh");
	pid_t first = fork();
	if (first == 0) {
		for (int n = 0; n < 6; n++)
			show("child");
		pending_goes();
		set_all("no mask", 0);
		set_all("again", 0);
		set_all("mask", 0x400);
		show("all set");
		set(SIGUSR1, on, 0);
		set_all("handled", 0);
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(first, &status, 0) == first && status == 0);
	show("parent");
	set(SIGUSR1, on, 0);
	show("set");
	set(SIGPIPE, SIG_IGN, 0);
	show("ignored");
	set(SIGUSR1, SIG_DFL, 0);
	show("reset");
	set(SIGHUP, on, SA_RESETHAND);
	raise(SIGHUP);
	show("one shot");
	/* addresses that are no good, in whole and in part */
	CHECK(munmap(none + 4096, 4096) == 0);
	for (int n = 0; n < 10; n++) {
		CHECK(query(SIGTERM, (void *)8) == -1 && errno == EFAULT);
		CHECK(query(SIGTERM, (void *)(none + 4096)) == -1 && errno == EFAULT);
		CHECK(query(SIGTERM, (void *)(none + 4096 - 16)) == -1 && errno == EFAULT);
		CHECK(query(SIGTERM, (void *)-8ul) == -1 && errno == EFAULT);
		CHECK(query(SIGTERM, NULL) == 0);
		CHECK(syscall(SYS_rt_sigaction, SIGTERM, (void *)8, NULL, 8) == -1 && errno == EFAULT);
		CHECK(syscall(SYS_rt_sigaction, SIGTERM, none + 4096 - 16, NULL, 8) == -1 &&
		      errno == EFAULT);
		CHECK(query(0, NULL) == -1 && errno == EINVAL);
		CHECK(query(65, (void *)none) == -1 && errno == EINVAL);
		CHECK(query(-1, (void *)none) == -1 && errno == EINVAL);
		CHECK(syscall(SYS_rt_sigaction, SIGTERM, NULL, none, 4) == -1 && errno == EINVAL);
	}
	CHECK(pthread_create(&t, NULL, thread, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
	show("after the thread");
	many();
	pid_t p = vfork();
	if (p == 0) {
		set(SIGUSR1, SIG_IGN, 0);
		show("vfork's child");
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	show("vfork's parent");
	fflush(stdout);
	p = fork();
	if (p == 0) {
		many();
		set(SIGTERM, on, 0);
		show("fork's child");
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	show("fork's parent");
	return 0;
}
