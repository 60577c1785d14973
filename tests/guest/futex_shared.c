/* SPDX-License-Identifier: Apache-2.0 */
/* Shared futexes between processes, PI, robust lists, requeue; threads' join by clear-tid. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>

static long futex(uint32_t *w, int op, uint32_t val, const struct timespec *ts, uint32_t *w2, uint32_t v3)
{
	return syscall(SYS_futex, w, op, val, ts, w2, v3);
}

struct shared {
	uint32_t word, word2;
	sem_t ping, pong;
	pthread_mutex_t robust, pi, plain;
	pthread_cond_t cond;
	int turn;
};
static struct shared *s;

static void basics(void)
{
	struct timespec ms = {0, 20000000}, past = {1, 0}, bad = {0, 2000000000};
	uint32_t w = 5, w2 = 0;

	SHOW(futex(&w, FUTEX_WAIT, 4, NULL, NULL, 0));
	SHOW(futex(&w, FUTEX_WAIT, 5, &ms, NULL, 0));
	SHOW(futex(&w, FUTEX_WAIT, 5, &bad, NULL, 0));
	SHOW(futex(&w, FUTEX_WAIT_BITSET, 5, &past, NULL, 1));
	SHOW(futex(&w, FUTEX_WAIT_BITSET, 5, NULL, NULL, 0));
	SHOW(futex(&w, FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(futex(&w, FUTEX_CMP_REQUEUE, 1, (void *)1, &w2, 6));
	SHOW(futex(&w, FUTEX_CMP_REQUEUE, 1, (void *)1, &w2, 5));
	SHOW(futex((void *)((char *)&w + 1), FUTEX_WAKE, 1, NULL, NULL, 0));
	SHOW(futex((void *)64, FUTEX_WAIT, 1, NULL, NULL, 0));
	SHOW(futex(&w, 99, 1, NULL, NULL, 0));
	SHOW(futex(&w, FUTEX_WAKE_OP, 1, (void *)1, &w2, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0)));
	printf("wake_op: %u\n", w2);
	SHOW(futex(&w, FUTEX_WAIT_PRIVATE, 5, &ms, NULL, 0));
	SHOW(futex(&w, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
}

static void ping_pong(void)
{
	int i, st;

	if (fork() == 0) {
		for (i = 0; i < 2000; i++) {
			while (sem_wait(&s->ping))
				;
			sem_post(&s->pong);
		}
		exit(0);
	}
	for (i = 0; i < 2000; i++) {
		sem_post(&s->ping);
		while (sem_wait(&s->pong))
			;
	}
	wait(&st);
	printf("ping pong %d\n", st);
}

static void robust(void)
{
	int st, r;

	if (fork() == 0) {
		pthread_mutex_lock(&s->robust);
		raise(SIGKILL);
	}
	wait(&st);
	printf("killed by %d\n", WTERMSIG(st));
	r = pthread_mutex_lock(&s->robust);
	printf("lock: %s\n", r ? strerrorname_np(r) : "0");
	if (r == EOWNERDEAD)
		printf("consistent %d\n", pthread_mutex_consistent(&s->robust));
	printf("unlock %d\n", pthread_mutex_unlock(&s->robust));
	/* and while somebody waits */
	if (fork() == 0) {
		pthread_mutex_lock(&s->robust);
		s->turn = 1;
		usleep(50000);
		_exit(0);
	}
	while (!__atomic_load_n(&s->turn, __ATOMIC_ACQUIRE))
		usleep(1000);
	r = pthread_mutex_lock(&s->robust);
	printf("waiter: %s\n", r ? strerrorname_np(r) : "0");
	pthread_mutex_consistent(&s->robust);
	pthread_mutex_unlock(&s->robust);
	wait(&st);
}

static long pi_sum;

static void *pi_thread(void *arg)
{
	int i;

	for (i = 0; i < 500; i++) {
		pthread_mutex_lock(&s->pi);
		pi_sum++;
		pthread_mutex_unlock(&s->pi);
	}
	return NULL;
}

static void pi(void)
{
	struct timespec ts;
	pthread_t t[4];
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, pi_thread, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	printf("pi %ld\n", pi_sum);
	pthread_mutex_lock(&s->pi);
	if (fork() == 0) {
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 30000000;
		if (ts.tv_nsec >= 1000000000)
			ts.tv_sec++, ts.tv_nsec -= 1000000000;
		i = pthread_mutex_timedlock(&s->pi, &ts);
		printf("timedlock %s\n", strerrorname_np(i));
		exit(0);
	}
	wait(NULL);
	printf("unlock %d\n", pthread_mutex_unlock(&s->pi));
	SHOW(futex(&s->word2, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&s->word2, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&s->word2, FUTEX_LOCK_PI, 0, NULL, NULL, 0));
	SHOW(futex(&s->word2, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0));
	printf("word %u\n", s->word2);
}

static void cond(void)
{
	int i, st;

	s->turn = 0;
	for (i = 0; i < 3; i++)
		if (fork() == 0) {
			pthread_mutex_lock(&s->plain);
			while (s->turn != i + 1)
				pthread_cond_wait(&s->cond, &s->plain);
			s->turn++;
			pthread_cond_broadcast(&s->cond);
			pthread_mutex_unlock(&s->plain);
			exit(0);
		}
	usleep(20000);
	pthread_mutex_lock(&s->plain);
	s->turn = 1;
	pthread_cond_broadcast(&s->cond);
	pthread_mutex_unlock(&s->plain);
	for (i = 0; i < 3; i++)
		wait(&st);
	printf("turn %d\n", s->turn);
}

static void on_alarm(int sig)
{
}

static void interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct timespec sec = {5, 0};
	uint32_t w = 0;

	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 0);
	SHOW(futex(&w, FUTEX_WAIT, 0, NULL, NULL, 0));
	ualarm(20000, 0);
	SHOW(futex(&w, FUTEX_WAIT, 0, &sec, NULL, 0));
	ualarm(20000, 0);
	SHOW(futex(&w, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0));
}

static void *nothing(void *arg)
{
	return arg;
}

static void joins(void)
{
	pthread_t t[8];
	int i, k;
	void *r;

	for (k = 0; k < 50; k++) {
		for (i = 0; i < 8; i++)
			pthread_create(&t[i], NULL, nothing, (void *)(long)i);
		for (i = 0; i < 8; i++) {
			pthread_join(t[i], &r);
			CHECK(r == (void *)(long)i);
		}
	}
	printf("joined\n");
}

int main(void)
{
	pthread_mutexattr_t a;
	pthread_condattr_t c;

	setvbuf(stdout, NULL, _IONBF, 0);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(s != MAP_FAILED);
	sem_init(&s->ping, 1, 0);
	sem_init(&s->pong, 1, 0);
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&s->plain, &a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	pthread_mutex_init(&s->pi, &a);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_NONE);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->robust, &a);
	pthread_condattr_init(&c);
	pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&s->cond, &c);
	basics();
	joins();
	ping_pong();
	robust();
	pi();
	cond();
	interrupted();
	DONE();
}
