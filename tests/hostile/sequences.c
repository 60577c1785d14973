/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restartable sequences as a weapon: a section that covers the stub moves a thread out of our code
 * to where the guest wants, in the middle of a fork too; an area that is unmapped behind the
 * kernel's back is never unregistered and would be written to in the cell's next process.
 */
#include "hostile.h"
#include <linux/rseq.h>
#include <pthread.h>

#define SIG 0x53053053u

static struct rseq area __attribute__((aligned(32)));
static struct rseq_cs section __attribute__((aligned(32)));
static volatile int *reached;

__attribute__((used)) static void evil(void)
{
	/* outside our code at last; without a kernel, if this is a child that nobody knows yet */
	__atomic_add_fetch(reached, 1, __ATOMIC_RELAXED);
	for (volatile long i = 0; i < 20000000; i++)
		;
	syscall(SYS_exit_group, 0);
}

extern char abort_here[];
__asm__(".text\n.long 0x53053053\nabort_here: mov stack_top(%rip), %rsp\ncall evil\n");
static char stack[65536] __attribute__((aligned(64)));
__attribute__((used)) static char *stack_top = stack + sizeof(stack) - 64;

static void drop_libc_area(void)
{
	extern const long __rseq_offset;
	syscall(SYS_rseq, (char *)__builtin_thread_pointer() + __rseq_offset, 32, 1, SIG);
}

/* The kernel forgets the section at each signal: it is put back all the time. */
static void *hammer(void *arg)
{
	for (;;)
		*(volatile uint64_t *)&area.rseq_cs = (uint64_t)&section;
	return NULL;
}

static void over_the_stub(uint64_t arg)
{
	pthread_t t;
	drop_libc_area();
	pthread_create(&t, NULL, hammer, NULL);
	section.start_ip = arg % 2 ? CELL_STUB_BASE : CELL_SITES + 0x50;
	section.post_commit_offset = arg % 2 ? 0x8000 : 0x30;
	section.abort_ip = (uint64_t)abort_here;
	syscall(SYS_rseq, &area, 32, 0, SIG);
	for (int i = 0; i < 10; i++) {
		*(volatile uint64_t *)&area.rseq_cs = (uint64_t)&section;
		pid_t pid = fork();
		if (pid == 0) {
			*(volatile uint64_t *)&area.rseq_cs = (uint64_t)&section;
			_exit(0);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

static void unmapped(uint64_t arg)
{
	char *p = mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t a[6] = {(uint64_t)p, 4096, 0, 0, 0, 0};
	drop_libc_area();
	syscall(SYS_rseq, p, 32, 0, SIG);
	if (arg % 3 == 0 && fork() == 0)
		_exit(0);
	call_at(IP_ANON, SYS_munmap, a);
	if (arg % 3 == 1)
		syscall(SYS_rseq, p, 32, 1, SIG);
	if (arg % 3 == 2)
		syscall(SYS_rseq, &area, 32, 0, SIG);
}

static void unordered(uint64_t arg)
{
	uint64_t r[6] = {(uint64_t)&area, 32, 0, SIG, 0, 0};
	uint64_t f[6] = {1, 0, CELL_STRICT, 0, 0, 0};
	uint64_t w[6] = {(uint64_t)&area, 129, 1, 0, 0, 0};
	drop_libc_area();
	for (int i = 0; i < 20; i++) {
		if (arg % 4 == 0)
			call_at(IP_PRIV, SYS_rseq, r);
		else if (arg % 4 == 1)
			call_at(IP_PRIV, SYS_seccomp, f);
		else if (arg % 4 == 2)
			call_at(IP_STUB, SYS_rseq, r);
		else
			call_at(IP_NATIVE, SYS_futex, w);
	}
}

int main(void)
{
	static void (*const attacks[])(uint64_t) = {over_the_stub, unmapped, unordered};
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	reached = mmap(NULL, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (uint64_t i = 0; now_s() < end; i++)
		in_child(&b, 500, attacks[i % 3], rng());
	batch_end(&b, 500);
	printf("reached %d\n", *reached);
	return 0;
}
