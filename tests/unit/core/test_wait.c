/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fake.h"
#include <errno.h>
#include <pthread.h>
#include "sentry/core/restart.h"

static struct waitq wq;
static int tokens, taken;
static struct mutex lock = MUTEX_INIT(RANK_OBJECT);

static int take_token(void)
{
	int got;

	mutex_lock(&lock);
	got = tokens > 0;
	tokens -= got;
	taken += got;
	mutex_unlock(&lock);
	return got;
}

static void *taker(void *arg)
{
	struct task t = {0};

	for (int i = 0; i < 500; i++) {
		struct waiter w;

		wait_begin_exclusive(&w, &wq, &t);
		while (!take_token())
			if (wait_sleep(&t, WAIT_INTERRUPTIBLE, WAIT_FOREVER))
				abort();
		wait_end(&w);
	}
	return NULL;
}

static void no_wakeup_is_lost(void **state)
{
	pthread_t t[4];

	wq_init(&wq);
	tokens = taken = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, taker, NULL);
	for (int i = 0; i < 2000; i++) {
		mutex_lock(&lock);
		tokens++;
		mutex_unlock(&lock);
		wq_wake(&wq, ~0u, 1);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(taken, 2000);
	assert_false(wq_active(&wq));
}

static void timeouts_and_signals(void **state)
{
	struct task t = {0};
	uint64_t start = now_mono();

	assert_int_equal(wait_sleep(&t, WAIT_INTERRUPTIBLE, start + 10000000), -ETIMEDOUT);
	assert_true(now_mono() - start >= 10000000);
	task_wake(&t);
	assert_int_equal(wait_sleep(&t, WAIT_INTERRUPTIBLE, WAIT_FOREVER), 0);
	t.pending = 1;
	assert_int_equal(wait_sleep(&t, WAIT_INTERRUPTIBLE, WAIT_FOREVER), -ERESTARTSYS);
	/* Only a kill ends this one; a remembered wake-up is looked at before a signal. */
	assert_int_equal(wait_sleep(&t, WAIT_KILLABLE, now_mono() + 1000000), -ETIMEDOUT);
	task_wake(&t);
	assert_int_equal(wait_sleep(&t, WAIT_INTERRUPTIBLE, WAIT_FOREVER), 0);
	t.pending = 2;
	assert_int_equal(wait_sleep(&t, WAIT_KILLABLE, WAIT_FOREVER), -ERESTARTSYS);
}

static uint32_t seen;

static void on_epoll(struct waiter *w, uint32_t events)
{
	seen |= events;
	wq_wake_all((struct waitq *)w->owner);	/* a queue within a queue */
}

static void kinds_and_masks(void **state)
{
	struct task a = {0};
	struct waitq outer;
	struct waiter w, e;

	wq_init(&wq);
	wq_init(&outer);
	wait_set_handler(WAIT_EPOLL, on_epoll);
	wait_begin(&w, &outer, &a);
	wait_add(&e, &wq, WAIT_EPOLL, &outer, 4);
	wq_wake(&wq, 1, 0);
	assert_false(e.fired);
	wq_wake(&wq, 5, 0);
	assert_int_equal(seen, 5);
	assert_true(w.fired);
	assert_int_equal(a.word, 1);
	wq_destroy(&wq);
	wait_end(&e);
	wait_end(&e);
	wait_end(&w);
	assert_false(wq_active(&outer));
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(no_wakeup_is_lost),
		cmocka_unit_test(timeouts_and_signals),
		cmocka_unit_test(kinds_and_masks),
	};
	return cmocka_run_group_tests(t, NULL, NULL);
}
