/* SPDX-License-Identifier: Apache-2.0 */
/* Private and shared futex calls go through one instruction of libc, hit by many threads. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/random.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static volatile int stop;
static long rounds[4];
static uint32_t word;
static int turn;

static void *timed(void *arg)
{
	long *n = arg;
	pthread_mutex_lock(&m);
	while (!stop) {
		struct timespec ts;
		clock_gettime(CLOCK_REALTIME, &ts);
		ts.tv_nsec += 2000000;
		if (ts.tv_nsec >= 1000000000)
			ts.tv_sec++, ts.tv_nsec -= 1000000000;
		pthread_cond_timedwait(&c, &m, &ts);
		++*n;
	}
	pthread_mutex_unlock(&m);
	return NULL;
}

static void *quick(void *arg)
{
	return arg;
}

/* Through syscall(), as Rust's library does it. */
static void *by_syscall(void *arg)
{
	int me = (int)(long)arg;
	for (int i = 0; i < 3000; i++) {
		for (;;) {
			uint32_t v = __atomic_load_n(&word, __ATOMIC_SEQ_CST);
			if (turn == me)
				break;
			syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0);
		}
		turn = !me;
		__atomic_add_fetch(&word, 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

int main(void)
{
	pthread_t t[4], u[2];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, timed, &rounds[i]);
	for (int i = 0; i < 1500; i++) {
		void *r;
		CHECK(pthread_create(&u[0], NULL, quick, (void *)(long)i) == 0);
		pthread_cond_signal(&c);
		CHECK(pthread_join(u[0], &r) == 0 && (long)r == i);
	}
	for (long i = 0; i < 2; i++)
		pthread_create(&u[i], NULL, by_syscall, (void *)i);
	for (int i = 0; i < 3000; i++) {
		char b[8];
		syscall(SYS_getrandom, b, sizeof(b), 0);
		syscall(SYS_getppid);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(u[i], NULL);
	stop = 1;
	pthread_cond_broadcast(&c);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], NULL);
		CHECK(rounds[i] > 10);
	}
	printf("done %d\n", turn);
	DONE();
}
