/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include <stdio.h>
#include "lib/fmt.h"

#pragma GCC diagnostic ignored "-Wformat"

#define SAME(...)                                                                                  \
	do {                                                                                       \
		char a[128], b[128];                                                               \
		size_t na = fmt_n(a, sizeof(a), __VA_ARGS__);                                      \
		size_t nb = (size_t)snprintf(b, sizeof(b), __VA_ARGS__);                           \
		assert_string_equal(a, b);                                                         \
		assert_int_equal(na, nb);                                                          \
	} while (0)

static void same_as_libc(void **state)
{
	SAME("plain");
	SAME("%d %i %u", -5, 7, 4000000000u);
	SAME("%ld %lld %lu", INT64_MIN, INT64_MAX, UINT64_MAX);
	SAME("%x %X %o", 0xbeef, 0xBEEF, 0755);
	SAME("[%5d] [%-5d] [%05d] [%.3d] [%8.3d]", 42, 42, 42, 42, 42);
	SAME("[%05d] [%+d] [%.0d]", -42, 3, 0);
	SAME("[%s] [%10s] [%-10s] [%.2s] [%.*s]", "abc", "abc", "abc", "abc", 1, "abc");
	SAME("[%*d] [%*d]", 6, 1, -6, 1);
	SAME("%c%c%%", 'a', 'b');
	SAME("%zu %zd %hhu %hd", (size_t)1 << 40, (size_t)3, 300, 70000);
	SAME("%p", (void *)0x1234);
	SAME("%08lx-%016lx %c%c", 0x400000ul, 0x7fffffffful, 'r', '-');
}

static void truncates(void **state)
{
	char a[4] = "zzz";

	assert_int_equal(fmt_n(a, sizeof(a), "%s", "abcdef"), 6);
	assert_string_equal(a, "abc");
	assert_int_equal(fmt_n(NULL, 0, "%d", 12345), 5);
}

static void buffers(void **state)
{
	struct buf b = {.limit = 2000};
	char long_text[600];

	memset(long_text, 'x', sizeof(long_text));
	long_text[599] = 0;
	for (int i = 0; i < 100; i++)
		buf_fmt(&b, "%d,", i);
	assert_int_equal(b.len, 290);
	assert_int_equal(b.p[b.len], 0);
	buf_fmt(&b, "%s|", long_text);
	assert_int_equal(b.len, 290 + 600);
	assert_false(b.oom);
	for (int i = 0; i < 3; i++)
		buf_fmt(&b, "%s", long_text);
	assert_true(b.oom);
	assert_true(b.len <= 2000);
	buf_addc(&b, 'x');
	buf_fini(&b);
	assert_null(b.p);
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(same_as_libc),
		cmocka_unit_test(truncates),
		cmocka_unit_test(buffers),
	};
	return cmocka_run_group_tests(t, NULL, NULL);
}
