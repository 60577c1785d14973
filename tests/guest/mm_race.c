/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that map, unmap and protect while one forks and others fault: every thread finds what it
 * wrote, every child finds a consistent copy.
 */
#include "guest.h"
#include <pthread.h>

#define PG 4096ul
#define THREADS 8

static volatile int stop;
static unsigned long bad;

static void *mapper(void *arg)
{
	unsigned seed = (unsigned)(long)arg * 7919 + 1, i;

	while (!stop) {
		size_t n = 1 + rand_r(&seed) % 16;
		char *p = mmap(NULL, n * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED) {
			__atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
			continue;
		}
		for (i = 0; i < n; i++) {
			if (p[i * PG])
				__atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
			p[i * PG] = (char)(1 + (long)arg);
		}
		if (mprotect(p, PG, PROT_READ) || p[0] != (char)(1 + (long)arg))
			__atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
		if (n > 4 && mremap(p + 2 * PG, PG, PG, MREMAP_MAYMOVE) == MAP_FAILED)
			__atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
		if (munmap(p, n * PG))
			__atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int child(char *mine)
{
	char *p = mmap(NULL, 64 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || *mine != 'm')
		return 1;
	for (unsigned i = 0; i < 64; i++)
		if (p[i * PG])
			return 2;
	return munmap(p, 64 * PG) ? 3 : 0;
}

int main(int argc, char **argv)
{
	char *mine = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rounds = argc > 1 ? atoi(argv[1]) : 60, i, st;
	pthread_t t[THREADS];

	*mine = 'm';
	for (i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, mapper, (void *)(long)i);
	for (i = 0; i < rounds; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(child(mine));
		CHECK(pid > 0 && waitpid(pid, &st, 0) == pid && st == 0);
	}
	stop = 1;
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	CHECK(bad == 0);
	printf("%d forks\n", rounds);
	DONE();
}
