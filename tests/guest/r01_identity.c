/* SPDX-License-Identifier: Apache-2.0 */
/* A thread is known by itself, never by the fs base that it shares with its creator. */
#include "guest.h"
#include <asm/prctl.h>
#include <pthread.h>
#include <sched.h>

static long raw(long nr, long a, long b, long c)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return r;
}

static long raw_getpid(void)
{
	long r;
	__asm__ volatile("mov $39, %%eax; syscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

static long raw_gettid(void)
{
	long r;
	__asm__ volatile("mov $186, %%eax; syscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

struct seen {
	volatile long pid, tid, done;
};

/* Nothing here may touch thread-local storage: the child has its creator's. */
static int no_tls_child(void *arg)
{
	struct seen *s = arg;
	s->pid = raw_getpid();
	s->tid = raw_gettid();
	for (int i = 0; i < 1000; i++)
		if (raw_gettid() != s->tid)
			s->tid = -1;
	s->done = 1;
	raw(SYS_exit, 0, 0, 0);
	return 0;
}

static void *own_gs(void *arg)
{
	static char mem[4096];
	*(volatile int *)(mem + 8) = 77;
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_GS, mem));
	long gs = 0;
	SHOW(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs));
	printf("%d\n", gs == (long)mem);
	int v = 0, bad = 0;
	for (int i = 0; i < 1000; i++) {
		bad += raw_getpid() != getpid();
		raw(SYS_getppid, 0, 0, 0);
		__asm__ volatile("movl %%gs:8, %0" : "=r"(v));
		bad += v != 77;
	}
	printf("bad %d\n", bad);
	close(dup(1));
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
	SHOW(getpid() == raw_getpid());
	return arg;
}

static void on(int sig)
{
	raw(SYS_getppid, 0, 0, 0);
	raw_getpid();
}

int main(void)
{
	long me = raw_getpid();
	CHECK(me == getpid() && raw_gettid() == gettid());
	/* vfork children: other pids, from the same sites, in the same memory */
	for (int i = 0; i < 50; i++) {
		volatile long pid = 0, tid = 0, closed = 0;
		int fd = dup(1);
		pid_t c = vfork();
		if (c == 0) {
			pid = raw_getpid();
			tid = raw_gettid();
			closed = raw(SYS_close, fd, 0, 0);
			raw(SYS_exit, 0, 0, 0);
		}
		CHECK(pid == c && tid == c && closed == 0);
		CHECK(fcntl(fd, F_GETFD) == 0);
		CHECK(raw_getpid() == me);
		close(fd);
		int st;
		CHECK(waitpid(c, &st, 0) == c);
	}
	/* threads with no fs base of their own */
	static char stacks[8][16384] __attribute__((aligned(16)));
	static struct seen seen[8];
	for (int i = 0; i < 8; i++)
		CHECK(clone(no_tls_child, stacks[i] + 16384,
			    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				    CLONE_SYSVSEM,
			    &seen[i]) > 0);
	for (int i = 0; i < 8; i++) {
		while (!seen[i].done)
			sched_yield();
		CHECK(seen[i].pid == me && seen[i].tid > 0 && seen[i].tid != me);
		for (int k = 0; k < i; k++)
			CHECK(seen[i].tid != seen[k].tid);
	}
	/* a fork's child asks through the same sites */
	fflush(stdout);
	pid_t c = fork();
	if (c == 0)
		_exit(raw_getpid() == getpid() && raw_getpid() != me &&
			      raw_gettid() == raw_getpid()
		      ? 0
		      : 1);
	int st;
	waitpid(c, &st, 0);
	printf("%d\n", st);
	pthread_t t;
	pthread_create(&t, NULL, own_gs, NULL);
	pthread_join(t, NULL);
	/* a handler that runs with gs at zero */
	signal(SIGUSR1, on);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0);
	for (int i = 0; i < 100; i++)
		raise(SIGUSR1);
	SHOW(syscall(SYS_arch_prctl, 0x9999, 0));
	SHOW(syscall(SYS_arch_prctl, ARCH_SET_FS, 1ul << 63));
	DONE();
}
