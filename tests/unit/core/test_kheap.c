/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fake.h"
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

struct thing {
	uint64_t a, b[5];
};
struct other {
	uint64_t a[6];
};
static KCACHE(things, struct thing, 0);
static KCACHE(others, struct other, 0);
static KCACHE(few, struct { int x; }, 3);

static int setup(void **state)
{
	return kheap_init(FAKE_BASE, FAKE_RESERVE);
}

static void zeroed_and_isolated(void **state)
{
	struct thing *t[2000];
	struct other *o;
	uint64_t lo = UINT64_MAX, hi = 0;

	for (int i = 0; i < 2000; i++) {
		t[i] = kc_alloc(&things);
		assert_non_null(t[i]);
		assert_int_equal(t[i]->a | t[i]->b[4], 0);
		t[i]->a = t[i]->b[4] = (uint64_t)i + 1;
	}
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(t[i]->a, i + 1);
		lo = (uint64_t)t[i] < lo ? (uint64_t)t[i] : lo;
		hi = (uint64_t)t[i] > hi ? (uint64_t)t[i] : hi;
		kc_free(&things, t[i]);
	}
	assert_int_equal(kc_live(&things), 0);
	/* Memory of one type is never given to another, even of its size. */
	o = kc_alloc(&others);
	for (int i = 0; i < 2000; i++)
		assert_ptr_not_equal((void *)o, (void *)t[i]);
	kc_free(&others, o);
	assert_int_equal(charge_used(CHARGE_KERNEL), 0);
}

static void quarantined(void **state)
{
	struct thing *first = kc_alloc(&things), *again;
	uint32_t gen = kc_generation(&things, first);

	kc_free(&things, first);
	assert_int_equal(kc_generation(&things, first), gen + 1);
	for (int i = 0; i < 20; i++) {
		again = kc_alloc(&things);
		assert_ptr_not_equal(again, first);
		kc_free(&things, again);
	}
}

/* What is live stays as it is; what was free is zeroed memory again. */
static void trimmed(void **state)
{
	struct thing *t[4000];

	for (int i = 0; i < 4000; i++) {
		assert_non_null(t[i] = kc_alloc(&things));
		memset(t[i], 1 + i % 200, sizeof(*t[i]));
	}
	for (int i = 0; i < 4000; i++)
		if (i % 1000)
			kc_free(&things, t[i]);
	assert_true(kheap_trim() > 20);
	for (int i = 0; i < 4000; i += 1000) {
		uint64_t want = 0x0101010101010101u * (uint64_t)(1 + i % 200);

		assert_true(t[i]->a == want && t[i]->b[0] == want && t[i]->b[4] == want);
	}
	for (int i = 0; i < 4000; i++) {
		if (i % 1000) {
			assert_non_null(t[i] = kc_alloc(&things));
			assert_int_equal(t[i]->a | t[i]->b[0] | t[i]->b[4], 0);
		}
	}
	for (int i = 0; i < 4000; i++)
		kc_free(&things, t[i]);
	assert_int_equal(kc_live(&things), 0);
}

static void limits(void **state)
{
	void *p[3], *q;
	uint64_t used = charge_used(CHARGE_KERNEL);

	for (int i = 0; i < 3; i++)
		assert_non_null(p[i] = kc_alloc(&few));
	assert_null(kc_alloc(&few));
	kc_free(&few, p[1]);
	assert_non_null(p[1] = kc_alloc(&few));
	for (int i = 0; i < 3; i++)
		kc_free(&few, p[i]);
	assert_int_equal(charge_init(used + (1 << 20), 4096), 0);
	assert_null(kmalloc(2 << 20));
	assert_non_null(q = kmalloc(1000));
	kfree(q);
	assert_int_equal(charge(CHARGE_FILE, 4096), 0);
	assert_int_equal(charge(CHARGE_FILE, 1), -ENOMEM);
	uncharge(CHARGE_FILE, 4096);
	assert_int_equal(charge_init(0, 0), 0);
	assert_int_equal(charge_used(CHARGE_KERNEL), used);
	assert_null(kmalloc(KMALLOC_MAX + 1));
	assert_null(kmalloc_array(SIZE_MAX / 2, 3));
}

static void sizes(void **state)
{
	for (size_t n = 1; n <= KMALLOC_MAX; n = n * 3 + 1) {
		char *p = kmalloc(n);

		assert_non_null(p);
		p[0] = p[n - 1] = 1;
		kfree(p);
		p = kmalloc(n);
		assert_int_equal(p[0] | p[n - 1], 0);
		kfree(p);
	}
	void *pg = kpage_alloc();
	assert_int_equal((uintptr_t)pg % 4096, 0);
	kpage_free(pg);
	char *s = kstrdup("text");
	assert_string_equal(s, "text");
	assert_true(kheap_contains(s));
	assert_false(kheap_contains(state));
	kfree(s);
	kfree(NULL);
}

static void double_free(void *arg)
{
	void *p = kc_alloc(&things);

	kc_free(&things, p);
	kc_free(&things, p);
}

static void wrong_type(void *arg)
{
	kc_free(&others, kc_alloc(&things));
}

static void inner(void *arg)
{
	kfree((char *)kmalloc(100) + 16);
}

static void overrun(void *arg)
{
	volatile char *p = kmalloc(40000);	/* alone in its chunk, guard page behind */

	for (int i = 0; i < 65536 + 1; i++)
		p[i] = 1;
}

static void misuse_stops(void **state)
{
	assert_true(stops(double_free, NULL));
	assert_true(stops(wrong_type, NULL));
	assert_true(stops(inner, NULL));
	assert_true(stops(overrun, NULL));
}

static void *churn(void *arg)
{
	void *p[64] = {0};
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 1103515245 + 12345;
		unsigned k = (seed >> 8) % 64;

		if (p[k])
			kfree(p[k]), p[k] = NULL;
		else
			p[k] = kmalloc((seed >> 16) % 3000 + 1);
	}
	for (int k = 0; k < 64; k++)
		kfree(p[k]);
	return NULL;
}

static void threads(void **state)
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(i + 1));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(charge_used(CHARGE_KERNEL), 0);
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(zeroed_and_isolated), cmocka_unit_test(quarantined),
		cmocka_unit_test(limits),	       cmocka_unit_test(sizes),
		cmocka_unit_test(misuse_stops),	       cmocka_unit_test(threads),
		cmocka_unit_test(trimmed),
	};
	return cmocka_run_group_tests(t, setup, NULL);
}
