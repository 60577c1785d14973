/* SPDX-License-Identifier: Apache-2.0 */
/* Filters see private futexes too; threads with and without one share their queues. */
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#define WAKE (FUTEX_WAKE | FUTEX_PRIVATE_FLAG)
#define WAIT (FUTEX_WAIT | FUTEX_PRIVATE_FLAG)
#define MARK 0x5a5aul		/* of our own calls: libc must not be refused its */

static int install(uint32_t nr, uint32_t action, unsigned flags)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {sizeof(f) / sizeof(f[0]), f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

static long futex(uint32_t *w, int op, uint32_t val, const struct timespec *ts)
{
	return syscall(SYS_futex, w, op, val, ts, MARK, ~0u);
}

/* --- one of four may make no futex call at all ---------------------------------------------- */

static uint32_t word;
static int go;

static void *forbidden(void *arg)
{
	long me = (long)arg, denied = 0, ok = 0;
	if (me == 2 && install(SYS_futex, SECCOMP_RET_ERRNO | 77, 0))
		return (void *)-1;
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		;
	for (int i = 0; i < 500; i++) {
		errno = 0;
		long r = futex(&word, WAKE, 1, NULL);
		denied += r == -1 && errno == 77;
		ok += r == 0;
	}
	return (void *)(denied * 1000 + ok);
}

/* --- a queue of both kinds ------------------------------------------------------------------ */

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int turn, counter;

static void *turns(void *arg)
{
	long me = (long)arg;
	if (me % 2 && install(SYS_getppid, me == 1 ? SECCOMP_RET_LOG : SECCOMP_RET_ERRNO | 5, 0))
		return (void *)-1;
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&m);
		while (turn % 4 != me)
			pthread_cond_wait(&c, &m);
		turn++;
		counter++;
		pthread_cond_broadcast(&c);
		pthread_mutex_unlock(&m);
	}
	return NULL;
}

/* --- signals and deadlines in a filtered thread's wait -------------------------------------- */

static volatile int handled;

static void on_sig(int sig)
{
	handled++;
}

static long ms_since(const struct timespec *a)
{
	struct timespec b;
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (b.tv_sec - a->tv_sec) * 1000 + (b.tv_nsec - a->tv_nsec) / 1000000;
}

static void *interrupts(void *arg)
{
	pthread_t to = *(pthread_t *)arg;
	for (int i = 0; i < 2; i++) {
		usleep(100000);
		pthread_kill(to, SIGUSR1);
	}
	usleep(100000);
	word = 1;
	futex(&word, WAKE, 1, NULL);
	return NULL;
}

static void *waits(void *arg)
{
	struct timespec rel = {0, 150000000}, a, bad = {0, 2000000000};
	pthread_t self = pthread_self(), t;
	long ms;
	SHOW(install(SYS_getppid, SECCOMP_RET_ERRNO | 5, 0));
	word = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	SHOW(futex(&word, WAIT, 0, &rel));
	ms = ms_since(&a);
	CHECK(ms >= 149 && ms < 3000);
	SHOW(futex(&word, WAIT, 1, &rel));
	SHOW(futex(&word, WAIT, 0, &bad));
	SHOW(futex(&word, WAIT, 0, (void *)8));
	SHOW(futex((void *)3, WAIT, 0, NULL));
	SHOW(futex((void *)4096, WAIT, 0, NULL));
	SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME, 0, &rel));
	SHOW(futex(&word, WAKE, 1, NULL));
	for (int restart = 0; restart < 2; restart++) {
		struct sigaction sa = {.sa_handler = on_sig, .sa_flags = restart ? SA_RESTART : 0};
		struct timespec long_ = {5, 0};
		sigaction(SIGUSR1, &sa, NULL);
		for (int timed = 0; timed < 2; timed++) {
			word = 0;
			handled = 0;
			pthread_create(&t, NULL, interrupts, &self);
			do {
				errno = 0;
				long r = futex(&word, WAIT, 0, timed ? &long_ : NULL);
				printf("restart %d timed %d: %ld %s\n", restart, timed, r,
				       strerrorname_np(errno));
			} while (!word);
			pthread_join(t, NULL);
			printf("handled %d\n", handled);
		}
	}
	return NULL;
}

/* --- TSYNC: when it returns, nobody goes on without the filter ------------------------------- */

static int synced, stop;
static long after[4];

static void *loops(void *arg)
{
	long late = 0, kind = (long)arg, n = 0;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		int before = __atomic_load_n(&synced, __ATOMIC_ACQUIRE);
		errno = 0;
		long r = kind == 0 ? futex(&word, WAKE, 1, NULL) : kind == 1 ? syscall(SYS_getpid)
			: syscall(SYS_sched_yield);
		late += before && !(r == -1 && errno == 66);
		n += before;
		__atomic_store_n(&after[kind], n, __ATOMIC_RELEASE);
	}
	return (void *)late;
}

static void *sleeps(void *arg)
{
	uint32_t w = 0;
	struct timespec ts = {1, 0};
	errno = 0;
	long r = futex(&w, WAIT, 0, &ts);
	/* it began without the filter: interrupted or timed out, or taken up again and refused */
	bool fine = r == 0 || errno == ETIMEDOUT || errno == 66;
	return (void *)(long)!fine;
}

static void tsync(void)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpid, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_yield, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[4])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 66),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {sizeof(f) / sizeof(f[0]), f};
	pthread_t t[4];
	void *r[4];
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i == 3 ? sleeps : loops, (void *)i);
	usleep(50000);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &p));
	__atomic_store_n(&synced, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 3; i++)
		while (!__atomic_load_n(&after[i], __ATOMIC_ACQUIRE))
			usleep(1000);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], &r[i]);
	printf("tsync %ld %ld %ld %ld\n", (long)r[0], (long)r[1], (long)r[2], (long)r[3]);
}

int main(void)
{
	pthread_t t[4];
	void *r;
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, forbidden, (void *)i);
	usleep(20000);
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		printf("%d: %ld\n", i, (long)r);
	}
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, turns, (void *)i);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		CHECK(r == NULL);
	}
	printf("counter %d turn %d\n", counter, turn);
	pthread_create(&t[0], NULL, waits, NULL);
	pthread_join(t[0], NULL);
	fflush(stdout);
	tsync();
	fflush(stdout);
	/* a child has the filter, and a program that it becomes */
	int st = 0;
	pid_t pid = fork();
	if (pid == 0) {
		errno = 0;
		futex(&word, WAKE, 1, NULL);
		_exit(errno);
	}
	waitpid(pid, &st, 0);
	printf("child %d\n", WEXITSTATUS(st));
	DONE();
}
