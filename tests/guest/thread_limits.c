/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* 2,000 threads in one process, then 500 processes at once. */
#include "guest.h"
#include <pthread.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int waiting, go;

static void *wait_for_all(void *arg)
{
	pthread_mutex_lock(&m);
	waiting++;
	pthread_cond_broadcast(&c);
	while (!go)
		pthread_cond_wait(&c, &m);
	pthread_mutex_unlock(&m);
	return arg;
}

int main(void)
{
	static pthread_t t[2000];
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	int made = 0;
	for (long i = 0; i < 2000; i++, made++)
		if (pthread_create(&t[i], &a, wait_for_all, (void *)i))
			break;
	printf("threads %d\n", made);
	pthread_mutex_lock(&m);
	while (waiting < made)
		pthread_cond_wait(&c, &m);
	go = 1;
	pthread_cond_broadcast(&c);
	pthread_mutex_unlock(&m);
	long ok = 0;
	for (long i = 0; i < made; i++) {
		void *r;
		pthread_join(t[i], &r);
		ok += (long)r == i;
	}
	printf("joined %ld\n", ok);
	int p[2], q[2];
	pipe(p);
	pipe(q);
	made = 0;
	for (int i = 0; i < 500; i++) {
		pid_t pid = fork();
		if (pid < 0)
			break;
		if (pid == 0) {
			char ch;
			close(q[1]);
			write(p[1], "x", 1);
			read(q[0], &ch, 1);
			_exit(i % 50);
		}
		made++;
	}
	printf("processes %d\n", made);
	char ch;
	for (int i = 0; i < made; i++)
		read(p[0], &ch, 1);
	close(q[1]);
	int st, sum = 0;
	while (wait(&st) > 0)
		sum += WEXITSTATUS(st);
	printf("sum %d\n", sum);
	DONE();
}
