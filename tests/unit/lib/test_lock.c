/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include <pthread.h>
#include "lib/lock.h"
#include "lib/refcount.h"

static struct mutex m = MUTEX_INIT(RANK_OBJECT);
static long counter;

static void *hammer(void *arg)
{
	for (int i = 0; i < 20000; i++) {
		mutex_lock(&m);
		counter++;
		mutex_unlock(&m);
	}
	return NULL;
}

static void excludes(void **state)
{
	pthread_t t[4];

	counter = 0;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, hammer, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(counter, 80000);
	assert_int_equal(m.word, 0);
	assert_true(mutex_trylock(&m));
	assert_false(mutex_trylock(&m));
	mutex_unlock(&m);
}

static void pairs(void **state)
{
	struct mutex a = MUTEX_INIT(RANK_SOCK), b = MUTEX_INIT(RANK_SOCK);

	mutex_lock2(&b, &a);
	mutex_assert_held(&a);
	mutex_assert_held(&b);
	mutex_unlock2(&b, &a);
	mutex_lock2(&a, &a);
	mutex_unlock2(&a, &a);
	assert_int_equal(a.word | b.word, 0);
	lock_assert_none_held();
}

#ifdef BRIG_DEBUG
static void invert(void *arg)
{
	struct mutex in = MUTEX_INIT(RANK_OBJECT), out = MUTEX_INIT(RANK_MM);

	mutex_lock(&in);
	mutex_lock(&out);
}

static void same_rank(void *arg)
{
	struct mutex a = MUTEX_INIT(RANK_OBJECT), b = MUTEX_INIT(RANK_OBJECT);

	mutex_lock(&a);
	mutex_lock(&b);
}

static void held(void *arg)
{
	mutex_lock(&m);
	lock_assert_none_held();
}

static void ranks_are_checked(void **state)
{
	assert_true(stops(invert, NULL));
	assert_true(stops(same_rank, NULL));
	assert_true(stops(held, NULL));
}
#endif

static void resurrect(void *arg)
{
	refcount_t r = {0};

	ref_get(&r);
}

static void references(void **state)
{
	refcount_t r;

	ref_init(&r, 1);
	ref_get(&r);
	assert_false(ref_put(&r));
	assert_true(ref_put(&r));
	assert_false(ref_get_unless_zero(&r));
	assert_true(stops(resurrect, NULL));
	ref_init(&r, REF_SATURATED);
	ref_get(&r);
	assert_false(ref_put(&r));
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(excludes),
		cmocka_unit_test(pairs),
		cmocka_unit_test(references),
#ifdef BRIG_DEBUG
		cmocka_unit_test(ranks_are_checked),
#endif
	};
	return cmocka_run_group_tests(t, NULL, NULL);
}
