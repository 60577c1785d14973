/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <pthread.h>
#include <semaphore.h>

#define N 64
static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rw = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static sem_t sem;
static int counter, onces, dtors, rw_value, turn;
static __thread int tls = 5;

static void init_once(void)
{
	onces++;
}

static void dtor(void *p)
{
	__atomic_add_fetch(&dtors, 1, __ATOMIC_SEQ_CST);
}

static void *worker(void *arg)
{
	long id = (long)arg;
	pthread_once(&once, init_once);
	pthread_setspecific(key, arg ? arg : (void *)1);
	tls += (int)id;
	for (int i = 0; i < 200; i++) {
		pthread_mutex_lock(&m);
		counter++;
		pthread_mutex_unlock(&m);
		if (i % 50 == 0) {
			pthread_rwlock_wrlock(&rw);
			rw_value++;
			pthread_rwlock_unlock(&rw);
		} else {
			pthread_rwlock_rdlock(&rw);
			pthread_rwlock_unlock(&rw);
		}
	}
	pthread_barrier_wait(&barrier);
	/* in turn */
	pthread_mutex_lock(&m);
	while (turn != id)
		pthread_cond_wait(&c, &m);
	turn++;
	pthread_cond_broadcast(&c);
	pthread_mutex_unlock(&m);
	sem_post(&sem);
	return (void *)(long)tls;
}

static void *canceled(void *arg)
{
	if (arg)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	sem_post(&sem);
	if (arg)
		for (;;)
			;
	for (;;)
		pause();
}

static void *nothing(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t t[N];
	pthread_barrier_init(&barrier, NULL, N);
	pthread_key_create(&key, dtor);
	sem_init(&sem, 0, 0);
	for (long i = 0; i < N; i++)
		CHECK(pthread_create(&t[i], NULL, worker, (void *)i) == 0);
	for (int i = 0; i < N; i++)
		sem_wait(&sem);
	long sum = 0;
	for (int i = 0; i < N; i++) {
		void *r;
		pthread_join(t[i], &r);
		sum += (long)r;
	}
	printf("counter %d once %d dtors %d rw %d turn %d sum %ld tls %d\n", counter, onces, dtors,
	       rw_value, turn, sum, tls);
	/* cancellation */
	for (long k = 0; k < 2; k++) {
		void *r;
		pthread_create(&t[0], NULL, canceled, (void *)k);
		sem_wait(&sem);
		SHOW(pthread_cancel(t[0]));
		pthread_join(t[0], &r);
		printf("canceled %d\n", r == PTHREAD_CANCELED);
	}
	/* time-outs */
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 5000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	pthread_mutex_lock(&m);
	printf("%s\n", strerrorname_np(pthread_cond_timedwait(&c, &m, &ts)));
	pthread_mutex_unlock(&m);
	SHOW(sem_timedwait(&sem, &ts));
	/* many short-lived ones, some detached */
	for (int i = 0; i < 1000; i++) {
		void *r;
		CHECK(pthread_create(&t[0], NULL, nothing, (void *)(long)i) == 0);
		pthread_join(t[0], &r);
		CHECK((long)r == i);
	}
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	for (int i = 0; i < 100; i++)
		CHECK(pthread_create(&t[0], &a, nothing, NULL) == 0);
	/* names and ids */
	char name[32] = "";
	SHOW(pthread_setname_np(pthread_self(), "short"));
	SHOW(pthread_getname_np(pthread_self(), name, sizeof(name)));
	printf("%s\n", name);
	SHOW(pthread_setname_np(pthread_self(), "much too long a name"));
	CHECK(gettid() == getpid());
	DONE();
}
