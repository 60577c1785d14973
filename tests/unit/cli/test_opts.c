/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli/opts.h"

static struct err e;

/* The launcher lives for one command: what its options allocate is never freed. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"1", 1},		  {"64k", 64 << 10},	{"512m", 512ull << 20},
		    {"2G", 2ull << 30},   {"1.5g", 3ull << 29}, {"3MB", 3 << 20},
		    {"3MiB", 3 << 20},	  {"7b", 7},		{"1t", 1ull << 40}};
	static const char *const bad[] = {"", "x", "-1", "1q", "1kk", "1 m", "99999999t", "m", "1mx"};
	uint64_t v;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(opt_size("-m", good[i].text, &v, &e), 0);
		assert_int_equal(v, good[i].bytes);
	}
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(opt_size("-m", bad[i], &v, &e), -1);
}

static void test_durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"1", 1000000000ull},    {"2s", 2000000000ull}, {"500ms", 500000000ull},
		    {"0.5", 500000000ull},   {"5m", 300000000000ull}, {"1h", 3600000000000ull}};
	static const char *const bad[] = {"", "0", "-1", "s", "1y", "1 s", "999999999d"};
	uint64_t v;
	for (size_t i = 0; i < array_size(good); i++) {
		assert_int_equal(opt_duration("--timeout", good[i].text, &v, &e), 0);
		assert_int_equal(v, good[i].ns);
	}
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(opt_duration("--timeout", bad[i], &v, &e), -1);
}

static void test_volumes(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "a", ":/b", "/a:", "/a:b", "/a:rw", "/a:ro:rw"};
	struct sb_config c = {0};
	assert_int_equal(opt_volume(&c, "/a:/b", &e), 0);
	assert_int_equal(opt_volume(&c, "x:y:/b:rw", &e), 0);
	assert_int_equal(c.n_volumes, 2);
	assert_string_equal(c.volumes[0].src, "/a");
	assert_string_equal(c.volumes[0].dst, "/b");
	assert_false(c.volumes[0].rw);
	assert_string_equal(c.volumes[1].src, "x:y");
	assert_true(c.volumes[1].rw);
	for (size_t i = 0; i < array_size(bad); i++)
		assert_int_equal(opt_volume(&c, bad[i], &e), -1);
	assert_int_equal(c.n_volumes, 2);
}

static void test_tmpfs(void **state)
{
	(void)state;
	struct sb_config c = {0};
	assert_int_equal(opt_tmpfs(&c, "/x", &e), 0);
	assert_int_equal(opt_tmpfs(&c, "/y:size=2m,mode=700", &e), 0);
	assert_int_equal(c.tmpfs[0].mode, 01777);
	assert_int_equal(c.tmpfs[1].mode, 0700);
	assert_int_equal(c.tmpfs[1].size, 2 << 20);
	assert_int_equal(opt_tmpfs(&c, "/z:", &e), -1);
	assert_int_equal(opt_tmpfs(&c, "/z:mode=8", &e), -1);
	assert_int_equal(opt_tmpfs(&c, "/z:mode=", &e), -1);
	assert_int_equal(opt_tmpfs(&c, "/z:size=1,ro", &e), -1);
}

static void test_environment(void **state)
{
	(void)state;
	struct strv env = {0};
	setenv("FROM_CALLER", "c", 1);
	unsetenv("NOT_THERE");
	assert_int_equal(opt_env(&env, "A=1", &e), 0);
	assert_int_equal(opt_env(&env, "A=2=3", &e), 0);
	assert_int_equal(opt_env(&env, "FROM_CALLER", &e), 0);
	assert_int_equal(opt_env(&env, "NOT_THERE", &e), 0);
	assert_int_equal(opt_env(&env, "=x", &e), -1);
	assert_int_equal(env.n, 2);
	assert_string_equal(strv_getenv(&env, "A"), "2=3");
	assert_string_equal(strv_getenv(&env, "FROM_CALLER"), "c");
	assert_null(strv_getenv(&env, "AA"));
	strv_free(&env);
}

static void test_users(void **state)
{
	(void)state;
	struct sb_config c = {0};
	char *home;
	assert_int_equal(opt_user(&c, "root", &home, &e), 0);
	assert_int_equal(c.uid, 0);
	assert_string_equal(home, "/root");
	assert_int_equal(opt_user(&c, "54321:77", &home, &e), 0);
	assert_int_equal(c.uid, 54321);
	assert_int_equal(c.gid, 77);
	assert_string_equal(home, "/");
	assert_int_equal(opt_user(&c, "nobody-of-that-name", &home, &e), -1);
	assert_int_equal(opt_user(&c, "root:nogroup-of-that-name", &home, &e), -1);
	assert_int_equal(opt_user(&c, "4294967295", &home, &e), -1);
}

static void test_features(void **state)
{
	(void)state;
	unsigned mask = 0;
	assert_int_equal(sb_feature_parse("landlock,cgroup", &mask, &e), 0);
	assert_int_equal(mask, SB_LANDLOCK | SB_CGROUP);
	assert_int_equal(sb_feature_parse("", &mask, &e), 0);
	assert_int_equal(sb_feature_parse("gravity", &mask, &e), -1);
	assert_int_equal(sb_feature_parse("a-name-that-is-longer-than-any-feature", &mask, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	    cmocka_unit_test(test_durations),
		cmocka_unit_test(test_volumes),	    cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_users),
		cmocka_unit_test(test_features),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
