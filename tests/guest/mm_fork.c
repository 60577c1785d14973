/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of an address space: each process keeps its own pages, through generations. */
#include "guest.h"

#define PAGES 2000
static char data[4096 * 4];
static int generation(int depth, char *heap)
{
	int st = 0;
	for (int i = 0; i < PAGES; i += 7)
		if (heap[i * 4096] != (char)(i + depth))
			return 1;
	if (depth == 5)
		return 0;
	pid_t pids[2];
	for (int k = 0; k < 2; k++) {
		pids[k] = fork();
		if (pids[k] < 0)
			return 2;
		if (pids[k] == 0) {
			for (int i = 0; i < PAGES; i++)
				heap[i * 4096]++;
			data[depth] = (char)(k + 1);
			_exit(generation(depth + 1, heap));
		}
	}
	int bad = 0;
	for (int k = 0; k < 2; k++) {
		if (waitpid(pids[k], &st, 0) != pids[k] || st)
			bad = 3;
	}
	for (int i = 0; i < PAGES; i += 7)
		if (heap[i * 4096] != (char)(i + depth))
			return 4;
	return bad ? bad : data[depth] != 0;
}

int main(void)
{
	char *heap = malloc(PAGES * 4096);
	for (int i = 0; i < PAGES; i++)
		heap[i * 4096] = (char)i;
	SHOW(generation(0, heap));
	/* a copy made while the rights of half the pages differ */
	char *p = mmap(NULL, 100 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(p, 1, 100 * 4096);
	for (int i = 0; i < 100; i += 2)
		mprotect(p + i * 4096, 4096, PROT_READ);
	munmap(p + 50 * 4096, 4096);
	pid_t pid = fork();
	if (pid == 0) {
		int sum = 0;
		for (int i = 0; i < 100; i++)
			if (i != 50)
				sum += p[i * 4096];
		for (int i = 1; i < 100; i += 2)
			p[i * 4096] = 2;
		SHOW(mprotect(p, 50 * 4096, PROT_READ | PROT_WRITE));
		p[0] = 9;
		printf("%d\n", sum);
		fflush(stdout);
		*(volatile char *)(p + 52 * 4096) = 1;
		_exit(0);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("%d %d %d\n", WIFSIGNALED(st), WTERMSIG(st), p[0]);
	/* children that outlive their parent keep their memory */
	int fds[2];
	pipe(fds);
	if (fork() == 0) {
		strcpy(data, "grandchild's");
		if (fork() == 0) {
			usleep(20000);
			write(fds[1], data, 13);
			_exit(0);
		}
		_exit(0);
	}
	wait(NULL);
	char b[16];
	SHOW(read(fds[0], b, 13));
	printf("%s %s\n", b, data);
	/* 300 children one after the other, and 60 at once */
	for (int i = 0; i < 300; i++) {
		pid = fork();
		if (pid == 0)
			_exit(i % 100);
		waitpid(pid, &st, 0);
		CHECK(WEXITSTATUS(st) == i % 100);
	}
	for (int i = 0; i < 60; i++)
		if (fork() == 0) {
			usleep(1000);
			_exit(1);
		}
	int n = 0;
	while (wait(&st) > 0)
		n += WEXITSTATUS(st);
	printf("%d\n", n);
	DONE();
}
