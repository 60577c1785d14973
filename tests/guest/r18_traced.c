/* SPDX-License-Identifier: Apache-2.0 */
/* A tracer joins a running storm on a mutex: it sees the futex calls, and the storm goes on. */
#include "guest.h"
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#define THREADS 4

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static struct shared {
	int tids[THREADS], ready, stop;
	long rounds;
} *sh;

static void *storm(void *arg)
{
	long me = (long)arg, n = 0;
	sh->tids[me] = (int)syscall(SYS_gettid);
	__atomic_fetch_add(&sh->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&sh->stop, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&m);
		counter++;
		if (n % 8 == 0)
			usleep(50);
		pthread_mutex_unlock(&m);
		n++;
		__atomic_fetch_add(&sh->rounds, 1, __ATOMIC_RELAXED);
	}
	return (void *)n;
}

static int child(void)
{
	pthread_t t[THREADS];
	long sum = 0;
	for (long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, storm, (void *)i);
	for (int i = 0; i < THREADS; i++) {
		void *r;
		pthread_join(t[i], &r);
		sum += (long)r;
	}
	return sum == counter ? 0 : 1;
}

int main(void)
{
	sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long futexes[2] = {0, 0}, bad = 0, before;
	int st, alive = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(child());
	while (sh->ready < THREADS)
		usleep(1000);
	usleep(20000);
	for (int i = 0; i < THREADS; i++) {
		CHECK(ptrace(PTRACE_SEIZE, sh->tids[i], 0, PTRACE_O_TRACESYSGOOD) == 0);
		CHECK(ptrace(PTRACE_INTERRUPT, sh->tids[i], 0, 0) == 0);
		alive++;
	}
	before = sh->rounds;
	for (int stops = 0; alive;) {
		struct __ptrace_syscall_info info;
		pid_t w = waitpid(-1, &st, __WALL);
		if (w < 0)
			break;
		if (!WIFSTOPPED(st)) {
			alive -= w != pid;
			continue;
		}
		if (WSTOPSIG(st) == (SIGTRAP | 0x80)) {
			memset(&info, 0, sizeof(info));
			if (ptrace(PTRACE_GET_SYSCALL_INFO, w, sizeof(info), &info) <= 0)
				bad++;
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
				futexes[0] += info.entry.nr == SYS_futex;
			if (info.op == PTRACE_SYSCALL_INFO_EXIT)
				futexes[1]++;
			/* a filter would not have seen more; enough */
			if (++stops == 4000)
				__atomic_store_n(&sh->stop, 1, __ATOMIC_RELEASE);
		}
		ptrace(PTRACE_SYSCALL, w, 0, WSTOPSIG(st) == (SIGTRAP | 0x80) || st >> 16 ? 0 : WSTOPSIG(st));
	}
	printf("seen %d %d bad %ld went on %d\n", futexes[0] > 100, futexes[1] > 100, bad,
	       sh->rounds > before + 100);
	while (waitpid(pid, &st, 0) == pid && WIFSTOPPED(st))
		;
	printf("status %x\n", st);
	DONE();
}
