/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* Threads change the layout while one forks: parent and child agree with what was asked for. */
#include "guest.h"
#include <pthread.h>

#define RW (PROT_READ | PROT_WRITE)
static volatile int stop;

static void *churn(void *arg)
{
	unsigned seed = (unsigned)(long)arg;
	char *mine[16] = {NULL};
	long bad = 0;
	while (!stop) {
		int k = rand_r(&seed) % 16;
		if (!mine[k]) {
			mine[k] = mmap(NULL, 4 * 4096, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (mine[k] == MAP_FAILED) {
				bad++;
				mine[k] = NULL;
				continue;
			}
			bad += mine[k][8192] != 0;
			memset(mine[k], (int)(long)arg, 4 * 4096);
		} else if (rand_r(&seed) % 3 == 0) {
			bad += mprotect(mine[k] + 4096, 4096, PROT_READ) != 0;
			bad += mprotect(mine[k] + 4096, 4096, RW) != 0;
			mine[k][4096]++;
			mine[k][4096]--;
		} else {
			for (int i = 0; i < 4; i++)
				bad += mine[k][i * 4096] != (char)(long)arg;
			bad += munmap(mine[k], 4 * 4096) != 0;
			mine[k] = NULL;
		}
	}
	return (void *)bad;
}

/* Each mapping that the list names as readable can be read. */
static int walk_maps(void)
{
	int fd = open("/proc/self/maps", O_RDONLY), p[2], n;
	static char text[1 << 18];
	size_t len = 0;
	while ((n = (int)read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = 0;
	if (pipe(p))
		return 1;
	int bad = 0;
	for (char *l = text; l && *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : NULL) {
		unsigned long from, to;
		char perm[8];
		if (sscanf(l, "%lx-%lx %7s", &from, &to, perm) != 3 || perm[0] != 'r' ||
		    strstr(l, "[v") == l)
			continue;
		char *name = strchr(l, '\n');
		if (strstr(l, "[vvar") && strstr(l, "[vvar") < name)
			continue;
		char c;
		bad += write(p[1], (char *)from, 1) != 1 || read(p[0], &c, 1) != 1;
		bad += write(p[1], (char *)to - 1, 1) != 1 || read(p[0], &c, 1) != 1;
	}
	return bad;
}

int main(void)
{
	pthread_t t[8];
	for (long i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, churn, (void *)(i + 1));
	int lost = 0;
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			char *p = mmap(NULL, 65536, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(p, 1, 65536);
			_exit(walk_maps() ? 1 : 0);
		}
		int st = -1;
		waitpid(pid, &st, 0);
		lost += st != 0;
	}
	stop = 1;
	long bad = 0;
	for (int i = 0; i < 8; i++) {
		void *r;
		pthread_join(t[i], &r);
		bad += (long)r;
	}
	printf("lost %d bad %ld\n", lost, bad);
	SHOW(walk_maps());
	DONE();
}
