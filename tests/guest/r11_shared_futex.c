/* SPDX-License-Identifier: Apache-2.0 */
/* guest: timeout=120 */
/* Waits on shared words lose no wake-up, also with stale values, also on private memory. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>

#define ROUNDS 3000
struct pair {
	sem_t a, b;
	uint32_t word, done;
};
static struct pair *s;

static long futex(uint32_t *a, int op, uint32_t v)
{
	return syscall(SYS_futex, a, op, v, NULL, NULL, 0);
}

static void peer(struct pair *p)
{
	for (int i = 0; i < ROUNDS; i++) {
		sem_wait(&p->a);
		sem_post(&p->b);
	}
	_exit(0);
}

/* Stale waiters must not eat the wake of a true one. */
static void stale(struct pair *p)
{
	while (!__atomic_load_n(&p->done, __ATOMIC_SEQ_CST))
		futex(&p->word, FUTEX_WAIT, 0xdead);
	_exit(0);
}

static uint32_t plain;
static int turn;

static void *shared_op_private_memory(void *arg)
{
	int me = (int)(long)arg;
	for (int i = 0; i < 3000; i++) {
		for (;;) {
			uint32_t v = __atomic_load_n(&plain, __ATOMIC_SEQ_CST);
			if (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) == me)
				break;
			futex(&plain, FUTEX_WAIT, v);
		}
		__atomic_store_n(&turn, !me, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&plain, 1, __ATOMIC_SEQ_CST);
		futex(&plain, FUTEX_WAKE, 1);
	}
	return NULL;
}

int main(void)
{
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t stales[4];
	for (int i = 0; i < 4; i++) {
		sem_init(&s[i].a, 1, 0);
		sem_init(&s[i].b, 1, 0);
	}
	for (int i = 0; i < 2; i++) {
		stales[i] = fork();
		if (stales[i] == 0)
			stale(&s[i]);
	}
	for (int i = 0; i < 2; i++) {
		if (fork() == 0)
			peer(&s[i]);
		if (fork() == 0) {
			for (int k = 0; k < ROUNDS; k++) {
				sem_post(&s[i].a);
				sem_wait(&s[i].b);
			}
			__atomic_store_n(&s[i].done, 1, __ATOMIC_SEQ_CST);
			_exit(0);
		}
	}
	int st, n = 0, bad = 0;
	while (wait(&st) > 0)
		n++, bad += st != 0;
	printf("%d children, bad %d\n", n, bad);
	pthread_t t[2];
	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, shared_op_private_memory, (void *)i);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	printf("turn %d word %u\n", turn, plain);
	/* after a fork the private word belongs to each alone */
	pid_t pid = fork();
	if (pid == 0) {
		struct timespec ts = {0, 50000000};
		long r = syscall(SYS_futex, &plain, FUTEX_WAIT, plain, &ts, NULL, 0);
		_exit(r == -1 && errno == ETIMEDOUT ? 0 : 1);
	}
	usleep(10000);
	SHOW(futex(&plain, FUTEX_WAKE, 100));
	waitpid(pid, &st, 0);
	printf("%d\n", st);
	DONE();
}
