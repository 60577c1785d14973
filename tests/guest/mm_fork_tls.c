/* SPDX-License-Identifier: Apache-2.0 */
/* A child of fork has the thread-local storage of the thread that called it, whichever threads of the
 * process forked before or fork at the same moment. */
#include <pthread.h>
#include "guest.h"

static __thread long mine;
static __thread int preset = 5;

static int round_of(long who)
{
	long *at = &mine;
	int st = -1;
	pid_t p = fork();

	if (!p)
		_exit(mine == who && &mine == at && preset == 5 && pthread_self() != 0 ? 7 : 1);
	return waitpid(p, &st, 0) == p ? st : -1;
}

static void *forker(void *arg)
{
	mine = (long)arg;
	for (int i = 0; i < 20; i++) {
		int st = round_of(mine);

		if (st != 7 << 8)
			return (void *)(long)(st | 1);
	}
	return NULL;
}

int main(void)
{
	pthread_t t[4];
	void *r;

	mine = 99;
	CHECK(round_of(99) == 7 << 8);
	for (long i = 1; i <= 3; i++) {		/* one after the other */
		pthread_create(&t[0], NULL, forker, (void *)i);
		pthread_join(t[0], &r);
		CHECK(!r);
	}
	for (long i = 0; i < 4; i++)		/* at once, beside the main thread */
		pthread_create(&t[i], NULL, forker, (void *)(i + 1));
	for (int i = 0; i < 10; i++)
		CHECK(round_of(99) == 7 << 8);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		CHECK(!r);
	}
	puts("done");
	DONE();
}
