/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU that a thread runs on is one of those it may run on, by whatever way it asks. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>
#include <sys/sysinfo.h>

static volatile int flag;

static void *spins(void *arg)
{
	/* hands the core over while it waits */
	while (!flag)
		sched_yield();
	return NULL;
}

int main(void)
{
	cpu_set_t set;
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0);
	CHECK(get_nprocs() >= CPU_COUNT(&set));
	int bad = 0;
	for (int i = 0; i < 1000; i++) {
		unsigned a, b;
		bad += !CPU_ISSET(sched_getcpu(), &set);
		syscall(SYS_getcpu, &a, &b, NULL);
		bad += !CPU_ISSET(a, &set);
		__asm__ volatile("rdtscp" : "=c"(a) : : "rax", "rdx");
		bad += !CPU_ISSET(a & 0xfff, &set);
	}
	printf("bad %d\n", bad);
	int first = 0;
	while (!CPU_ISSET(first, &set))
		first++;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	SHOW(sched_setaffinity(0, sizeof(one), &one));
	CHECK(sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1);
	for (int i = 0; i < 1000; i++) {
		bad += sched_getcpu() != first;
		if (i % 100 == 0)
			usleep(100);
	}
	printf("bad %d\n", bad);
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, spins, NULL);
	usleep(20000);
	flag = 1;
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	/* inherited */
	if (fork() == 0) {
		sched_getaffinity(0, sizeof(set), &set);
		_exit(CPU_COUNT(&set) == 1 ? 0 : 1);
	}
	int st;
	wait(&st);
	printf("%d\n", st);
	DONE();
}
