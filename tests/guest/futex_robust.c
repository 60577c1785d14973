/* SPDX-License-Identifier: Apache-2.0 */
/* Robust and priority-inheriting mutexes whose owner dies, in threads and processes. */
#include "guest.h"
#include <pthread.h>

struct shared {
	pthread_mutex_t m, pi, plain;
	pthread_cond_t c;
	int value;
};
static struct shared *s;

static void make(pthread_mutex_t *m, int robust, int protocol)
{
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setprotocol(&a, protocol);
	int r = pthread_mutex_init(m, &a);
	if (r)
		printf("init %s\n", strerrorname_np(r));
}

static void *dies_holding(void *m)
{
	pthread_mutex_lock(m);
	return NULL;
}

static void take(pthread_mutex_t *m)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 3;
	int r = pthread_mutex_timedlock(m, &ts);
	printf("lock: %s\n", r ? strerrorname_np(r) : "ok");
	if (r == EOWNERDEAD)
		printf("consistent: %d\n", pthread_mutex_consistent(m));
	if (r == 0 || r == EOWNERDEAD)
		printf("unlock: %d\n", pthread_mutex_unlock(m));
}

static void process_dies(pthread_mutex_t *m, int how)
{
	int p[2];
	pipe(p);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		pthread_mutex_lock(m);
		write(p[1], "x", 1);
		if (how == 0)
			_exit(0);
		if (how == 1)
			raise(SIGKILL);
		if (how == 2)
			execlp("true", "true", NULL);
		pause();
	}
	char c;
	read(p[0], &c, 1);
	if (how == 3)
		kill(pid, SIGKILL);
	take(m);
	wait(NULL);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	make(&s->m, 1, PTHREAD_PRIO_NONE);
	make(&s->pi, 1, PTHREAD_PRIO_INHERIT);
	make(&s->plain, 0, PTHREAD_PRIO_INHERIT);
	pthread_t t;
	for (int i = 0; i < 2; i++) {
		pthread_mutex_t *m = i ? &s->pi : &s->m;
		printf("%s\n", i ? "priority inheritance" : "robust");
		pthread_create(&t, NULL, dies_holding, m);
		pthread_join(t, NULL);
		take(m);
		take(m);
		for (int how = 0; how < 4; how++)
			process_dies(m, how);
		/* not made consistent: useless from then on */
		pthread_create(&t, NULL, dies_holding, m);
		pthread_join(t, NULL);
		int r = pthread_mutex_lock(m);
		printf("%s\n", strerrorname_np(r));
		pthread_mutex_unlock(m);
		r = pthread_mutex_lock(m);
		printf("%s\n", strerrorname_np(r));
	}
	/* a PI mutex that is fought over by four processes */
	for (int k = 0; k < 4; k++)
		if (fork() == 0) {
			for (int i = 0; i < 500; i++) {
				pthread_mutex_lock(&s->plain);
				int v = s->value;
				if (i % 16 == 0)
					usleep(1);
				s->value = v + 1;
				pthread_mutex_unlock(&s->plain);
			}
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	printf("%d\n", s->value);
	take(&s->plain);
	pthread_mutex_lock(&s->plain);
	struct timespec past = {1, 0};
	int r = pthread_mutex_timedlock(&s->plain, &past);
	printf("%s\n", strerrorname_np(r));
	void *head;
	size_t len;
	SHOW(syscall(SYS_get_robust_list, 0, &head, &len));
	printf("%zu\n", len);
	SHOW(syscall(SYS_set_robust_list, head, 5));
	SHOW(syscall(SYS_get_robust_list, 1 << 22, &head, &len));
	DONE();
}
