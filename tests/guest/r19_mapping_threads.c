/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* Many threads map files at once, and memory comes back after munmap and close. */
#include "guest.h"
#include <pthread.h>

#define THREADS 300
static int files[8];
static pthread_barrier_t b;

static void *maps(void *arg)
{
	int me = (int)(long)arg;
	long bad = 0;
	pthread_barrier_wait(&b);
	for (int i = 0; i < 10; i++) {
		int k = (me + i) % 8;
		char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, files[k], 0);
		if (p == MAP_FAILED) {
			bad++;
			continue;
		}
		bad += p[0] != 'a' + k || p[8191] != 'a' + k;
		munmap(p, 8192);
	}
	return (void *)bad;
}

int main(void)
{
	char buf[8192];
	for (int k = 0; k < 8; k++) {
		char name[16];
		snprintf(name, sizeof(name), "f%d", k);
		files[k] = open(name, O_CREAT | O_RDWR, 0644);
		memset(buf, 'a' + k, sizeof(buf));
		CHECK(write(files[k], buf, sizeof(buf)) == sizeof(buf));
	}
	static pthread_t t[THREADS];
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	pthread_barrier_init(&b, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], &a, maps, (void *)i))
			die("pthread_create");
	long bad = 0;
	for (int i = 0; i < THREADS; i++) {
		void *r;
		pthread_join(t[i], &r);
		bad += (long)r;
	}
	printf("bad %ld\n", bad);
	/* many open and mapped files in one process, each closed after its mapping */
	static char *p[400];
	for (int i = 0; i < 400; i++) {
		char name[16];
		snprintf(name, sizeof(name), "m%d", i);
		int fd = open(name, O_CREAT | O_RDWR, 0644);
		ftruncate(fd, 4096);
		pwrite(fd, &i, sizeof(i), 0);
		p[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		CHECK(p[i] != MAP_FAILED);
		close(fd);
	}
	for (int i = 0; i < 400; i++)
		CHECK(*(int *)p[i] == i);
	/* a child has them all, and can map anew */
	if (fork() == 0) {
		for (int i = 0; i < 400; i++)
			*(int *)p[i] += 1000;
		char *q = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, files[3], 4096);
		_exit(q[0] != 'd');
	}
	int st;
	wait(&st);
	printf("%x\n", st);
	for (int i = 0; i < 400; i++)
		CHECK(*(int *)p[i] == i + 1000);
	DONE();
}
