/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include "lib/bug.h"
#include "lib/checked.h"
#include "lib/log.h"

static void one_line(void **state)
{
	char got[2048];
	int p[2];
	ssize_t n;

	assert_int_equal(pipe(p), 0);
	log_open(p[1], LOG_INFO, "test");
	log_info("a\nb\033%d", 5);
	n = read(p[0], got, sizeof(got));
	assert_int_equal(n, (ssize_t)strlen("test: info: a?b?5\n"));
	assert_memory_equal(got, "test: info: a?b?5\n", (size_t)n);
	log_debug("dropped");
	memset(got, 'x', sizeof(got));
	log_error("%.2000s", got);
	n = read(p[0], got, sizeof(got));
	assert_true(n > 900 && n <= 1024);
	assert_int_equal(got[n - 1], '\n');
	log_open(-1, LOG_INFO, "test");
	log_error("dropped");
	close(p[0]);
	close(p[1]);
}

static void bug(void *arg)
{
	BUG_ON(arg == NULL);
}

static void bugs_stop(void **state)
{
	assert_true(stops(bug, NULL));
	assert_false(stops(bug, state));
}

static void checked(void **state)
{
	size_t s;
	uint64_t u;
	int64_t o;

	assert_true(size_add(1, 2, &s) && s == 3);
	assert_false(size_add(SIZE_MAX, 1, &s));
	assert_false(size_mul(SIZE_MAX / 2, 3, &s));
	assert_false(off_add(INT64_MAX, 1, &o));
	assert_true(page_up(1, &u) && u == 4096);
	assert_false(page_up(UINT64_MAX, &u));
	assert_true(range_within(10, 5, 10, 15));
	assert_false(range_within(10, 6, 10, 15));
	assert_false(range_within(12, UINT64_MAX, 10, 15));
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(bugs_stop),
		cmocka_unit_test(checked),
	};
	return cmocka_run_group_tests(t, NULL, NULL);
}
