/* SPDX-License-Identifier: Apache-2.0 */
#include "host/thread.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include "host/proc.h"

/* What the CPU or a filter raises is never blocked: blocked, it would end the process unheard. */
#define SIG_BIT(n) (1ull << ((n) - 1))
#define ASYNC_SIGNALS                                                                              \
	(~(SIG_BIT(SIGSEGV) | SIG_BIT(SIGBUS) | SIG_BIT(SIGILL) | SIG_BIT(SIGFPE) |                \
	   SIG_BIT(SIGTRAP) | SIG_BIT(SIGSYS)))

struct start {
	void (*fn)(void *arg);
	void *arg;
};

static void *thread_main(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	s.fn(s.arg);
	return NULL;
}

void h_block_signals(void)
{
	uint64_t all = ASYNC_SIGNALS;

	(void)!h_sigprocmask(SIG_SETMASK, &all, NULL);
}

int h_thread_spawn(void (*fn)(void *arg), void *arg, size_t stack)
{
	static bool one_arena;
	struct start *s;
	uint64_t all = ASYNC_SIGNALS, old;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	/* An arena of 64 MiB address space for each thread would serve nothing. */
	if (!__atomic_exchange_n(&one_arena, true, __ATOMIC_RELAXED))
		(void)mallopt(M_ARENA_MAX, 1);
	s = malloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	*s = (struct start){fn, arg};
	if (pthread_attr_init(&attr)) {
		free(s);
		return -ENOMEM;
	}
	(void)pthread_attr_setstacksize(&attr, stack ? stack : H_STACK_SIZE);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Inherited by the new thread, so that no signal can hit it before it has run a line. */
	(void)!h_sigprocmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, &attr, thread_main, s);
	(void)!h_sigprocmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	if (rc)
		free(s);
	return -rc;
}

int h_pin_self(unsigned cpu)
{
	uint64_t mask[16] = {0};

	if (cpu >= sizeof(mask) * 8)
		return -EINVAL;
	mask[cpu / 64] = 1ull << (cpu % 64);
	return h_sched_setaffinity(0, sizeof(mask), mask);
}
