/* SPDX-License-Identifier: Apache-2.0 */
/* Restartable sequences: registration, what the kernel keeps in the area, and aborts. */
#include "guest.h"
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/time.h>

#define SIG 0x53053053u
#define THREADS 6

extern const ptrdiff_t __rseq_offset;
extern const unsigned int __rseq_size;

static struct rseq *libc_area(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static long reg(volatile void *area, unsigned len, unsigned flags, unsigned sig)
{
	return syscall(SYS_rseq, area, len, flags, sig);
}

/* Adds 1 to *v as a critical section of area; 0, or 1 when it was aborted. */
static int add(struct rseq *area, volatile long *v, volatile int *spin)
{
	__asm__ goto(
		".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n"
		"3:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"
		"lea 3b(%%rip), %%rax\n\tmov %%rax, 8(%[area])\n"
		"1:\tcmpl $0, (%[spin])\n\tjne 1b\n\t"
		"mov (%[v]), %%rax\n\tinc %%rax\n\tmov %%rax, (%[v])\n"
		"2:\n\t"
		".pushsection __rseq_abort, \"ax\"\n\t.byte 0x0f, 0xb9, 0x3d\n\t.long %c[sig]\n"
		"4:\tjmp %l[aborted]\n\t.popsection"
		: : [area] "r"(area), [v] "r"(v), [spin] "r"(spin), [sig] "i"(SIG)
		: "rax", "memory", "cc" : aborted);
	return 0;
aborted:
	return 1;
}

static volatile int zero, one = 1;
static long counts[CPU_SETSIZE][16];
static long per_thread = 200000;

/* Per-CPU counters without a lock: right only if preemption and migration abort. */
static void *counting(void *arg)
{
	struct rseq *a = libc_area();
	for (long i = 0; i < per_thread; i++) {
		unsigned cpu;
		do {
			cpu = *(volatile uint32_t *)&a->cpu_id_start;
			/* the section reads the number itself */
			__asm__ goto(
				".pushsection __rseq_cs, \"aw\"\n\t.balign 32\n"
				"3:\t.long 0, 0\n\t.quad 1f, 2f - 1f, 4f\n\t.popsection\n\t"
				"lea 3b(%%rip), %%rax\n\tmov %%rax, 8(%[area])\n"
				"1:\tcmp %[cpu], 4(%[area])\n\tjne %l[again]\n\tincq (%[v])\n"
				"2:\n\t"
				".pushsection __rseq_abort, \"ax\"\n\t.byte 0x0f, 0xb9, 0x3d\n"
				"\t.long %c[sig]\n4:\tjmp %l[again]\n\t.popsection"
				: : [area] "r"(a), [v] "r"(&counts[cpu][0]), [cpu] "r"(cpu), [sig] "i"(SIG)
				: "rax", "memory", "cc" : again);
			break;
again:
			;
		} while (1);
		if (i % 5000 == 0)
			sched_yield();
	}
	return NULL;
}

static int in_mask(uint32_t cpu)
{
	cpu_set_t set;
	sched_getaffinity(0, sizeof(set), &set);
	return cpu < CPU_SETSIZE && CPU_ISSET(cpu, &set);
}

/* The number may come a moment later than the registration, but without any further call. */
static int known(const struct rseq *a)
{
	for (long i = 0; i < 2000000000 && *(volatile int32_t *)&a->cpu_id == -1; i++)
		;
	return in_mask(*(volatile uint32_t *)&a->cpu_id);
}

static volatile int handled;

static void on_alarm(int sig)
{
	/* the section was left before the handler began */
	handled = 1 + (libc_area()->rseq_cs != 0);
}

static void aborted_by_signal(void)
{
	struct itimerval it = {{0, 0}, {0, 20000}};
	volatile long v = 0;
	signal(SIGALRM, on_alarm);
	printf("plain %d %ld\n", add(libc_area(), &v, &zero), v);
	int aborts = 0;
	for (int i = 0; i < 5; i++) {
		handled = 0;
		setitimer(ITIMER_REAL, &it, NULL);
		aborts += add(libc_area(), &v, &one);
		while (!handled)
			aborts += add(libc_area(), &v, &one);
	}
	printf("aborted %d handled %d value %ld\n", aborts >= 5, handled, v);
}

static char stacks[2][65536] __attribute__((aligned(64)));

static int raw_child(void *arg)
{
	/* a new thread has none, whatever its maker has */
	struct rseq *a = arg;
	long r = reg(a, 32, 0, SIG);
	long again = reg(a, 32, 0, SIG) == -1 ? errno : 0;
	int fine = in_mask(*(volatile uint32_t *)&a->cpu_id);
	long un = reg(a, 32, RSEQ_FLAG_UNREGISTER, SIG);
	_exit(r == 0 && again == EBUSY && fine && un == 0 && a->cpu_id == (uint32_t)-1 ? 7 : 9);
}

static void *nothing(void *arg)
{
	return (void *)(long)!in_mask(*(volatile uint32_t *)&libc_area()->cpu_id);
}

static int wait_status(pid_t pid)
{
	int st = -1;
	waitpid(pid, &st, 0);
	return st & ~0x80;
}

int main(int argc, char **argv)
{
	static struct rseq own __attribute__((aligned(32)));
	struct rseq *a = libc_area();
	if (argc > 1)
		return known(a) ? 5 : 6;
	printf("size %d align %d libc %u\n", getauxval(27) != 0, getauxval(28) != 0, __rseq_size);
	CHECK(known(a) && a->cpu_id == a->cpu_id_start);
	/* what is registered, and what is not */
	SHOW(reg(a, 32, 0, SIG));
	SHOW(reg(a, 32, 0, 1));
	SHOW(reg(&own, 32, 0, SIG));
	SHOW(reg(a, 64, 0, SIG));
	SHOW(reg(a, 32, 4, SIG));
	SHOW(reg(a, 32, 3, SIG));
	SHOW(reg(&own, 32, RSEQ_FLAG_UNREGISTER, SIG));
	SHOW(reg(a, 64, RSEQ_FLAG_UNREGISTER, SIG));
	SHOW(reg(a, 32, RSEQ_FLAG_UNREGISTER, 1));
	aborted_by_signal();
	SHOW(reg(a, 32, RSEQ_FLAG_UNREGISTER, SIG));
	printf("cpu %d\n", (int)a->cpu_id);
	SHOW(reg(a, 32, RSEQ_FLAG_UNREGISTER, SIG));
	SHOW(reg((char *)&own + 8, 32, 0, SIG));
	SHOW(reg(&own, 16, 0, SIG));
	SHOW(reg((void *)0xffff800000000000, 32, 0, SIG));
	SHOW(reg(&own, 32, 0, SIG));
	CHECK(in_mask(*(volatile uint32_t *)&own.cpu_id));
	SHOW(reg(&own, 32, RSEQ_FLAG_UNREGISTER, SIG));
	SHOW(reg(a, 32, 0, SIG));
	/* it follows the thread from CPU to CPU */
	cpu_set_t all, set;
	sched_getaffinity(0, sizeof(all), &all);
	int wrong = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
		wrong += *(volatile uint32_t *)&a->cpu_id != (unsigned)cpu || sched_getcpu() != cpu;
	}
	sched_setaffinity(0, sizeof(all), &all);
	printf("wrong %d\n", wrong);
	/* the sum is right */
	pthread_t t[THREADS];
	long sum = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, counting, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < CPU_SETSIZE; i++)
		sum += counts[i][0];
	printf("sum %d\n", sum == THREADS * per_thread);
	/* stacks and areas are used again (R10) */
	long bad = 0;
	for (int i = 0; i < 500; i++) {
		void *r;
		pthread_create(&t[0], NULL, nothing, NULL);
		pthread_join(t[0], &r);
		bad += (long)r;
	}
	printf("reused %ld\n", bad);
	fflush(stdout);
	/* a child has its parent's; one that shares the memory has none; a program starts anew */
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			CPU_ZERO(&set);
			CPU_SET(sched_getcpu(), &set);
			int r = reg(a, 32, 0, SIG) == -1 ? errno : 0;
			volatile long v = 0;
			int there = known(a), ab = add(a, &v, &zero);
			if (i == 1 && fork() == 0)
				_exit(known(a) ? 0 : 1);
			int st = 0;
			if (i == 1)
				wait(&st);
			_exit(r == EBUSY && there && v + ab == 1 && !st ? 3 : 4);
		}
		printf("fork %x\n", wait_status(pid));
	}
	memset(&own, 0, sizeof(own));
	pid_t pid = clone(raw_child, stacks[0] + sizeof(stacks[0]), CLONE_VM | SIGCHLD, &own);
	printf("clone %x\n", wait_status(pid));
	pid = vfork();
	if (pid == 0) {
		execl("/proc/self/exe", argv[0], "x", NULL);
		_exit(99);
	}
	printf("exec %x\n", wait_status(pid));
	fflush(stdout);
	/* an area that is gone is the end of the thread's process */
	pid = fork();
	if (pid == 0) {
		void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		reg(a, 32, RSEQ_FLAG_UNREGISTER, SIG);
		reg(p, 32, 0, SIG);
		munmap(p, 4096);
		for (int i = 0; i < 200; i++) {
			usleep(1000);
			sched_yield();
		}
		_exit(0);
	}
	int st = 0;
	waitpid(pid, &st, 0);
	printf("gone: killed %d\n", WIFSIGNALED(st));
	DONE();
}
