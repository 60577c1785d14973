/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/bootspec.h"

static void fill(struct boot_spec *s)
{
	memset(s, 0, sizeof(*s));
	s->kheap_addr = 0x200000000000ull;
	memset(s->seed, 0x5a, sizeof(s->seed));
	s->flags = BOOT_F_STRACE | BOOT_F_TTY;
	s->ncpus = 2;
	s->cpuinfo = "processor\t: 0\n";
	s->uid = 1000, s->gid = 1001, s->umask = 022;
	s->tty_rows = 24, s->tty_cols = 80;
	s->limits.memory = 1 << 30, s->limits.pids = 77;
	s->limits.nofile_soft = 1024, s->limits.nofile_hard = 4096;
	s->fds = (struct boot_fds){.control = 4, .cell = 5, .log = -1, .strace = -1, .tty = -1,
				   .stdio = {0, 1, 2}, .empty_dir = -1, .n_channels = 2,
				   .channels = {6, 7}};
	s->n_groups = 2, s->groups[0] = 1, s->groups[1] = 2;
	s->cwd = "/work/x", s->hostname = "brig", s->program = "sh";
	s->argv = (struct boot_strs){3, sizeof("sh\0-c\0true"), "sh\0-c\0true"};
	s->envp = (struct boot_strs){2, sizeof("A=1\0EMPTY="), "A=1\0EMPTY="};
	s->n_mounts = 2;
	s->mounts[0] = (struct boot_mount){.kind = BOOT_MNT_TMPFS, .mode = 0755, .target = "/",
					   .source = "tmpfs"};
	s->mounts[1] = (struct boot_mount){.kind = BOOT_MNT_GOFER, .flags = BOOT_MNT_F_RO,
					   .root = 3, .target = "/usr/lib", .source = "/usr/lib"};
}

static size_t encode(const struct boot_spec *s, uint8_t *buf, size_t cap)
{
	size_t n = 0;
	assert_int_equal(boot_encode(s, buf, cap, &n), 0);
	return n;
}

static void test_round_trip(void **state)
{
	(void)state;
	static struct boot_spec a, b;
	static uint8_t buf[8192];
	fill(&a);
	size_t n = encode(&a, buf, sizeof(buf));
	assert_int_equal(boot_decode(buf, n, &b), 0);
	assert_int_equal(b.kheap_addr, a.kheap_addr);
	assert_memory_equal(b.seed, a.seed, sizeof(a.seed));
	assert_int_equal(b.flags, a.flags);
	assert_int_equal(b.fds.channels[1], 7);
	assert_int_equal(b.groups[1], 2);
	assert_string_equal(b.cwd, "/work/x");
	assert_int_equal(b.n_mounts, 2);
	assert_string_equal(b.mounts[1].target, "/usr/lib");
	assert_int_equal(b.mounts[1].root, 3);
	const char *arg = boot_strs_next(&b.argv, NULL);
	assert_string_equal(arg, "sh");
	arg = boot_strs_next(&b.argv, arg);
	assert_string_equal(arg, "-c");
	arg = boot_strs_next(&b.argv, arg);
	assert_string_equal(arg, "true");
	assert_null(boot_strs_next(&b.argv, arg));
}

/* Every truncation is refused, and so is a longer buffer. Exact-size copies let ASan look. */
static void test_truncated(void **state)
{
	(void)state;
	static struct boot_spec a, b;
	static uint8_t buf[8192];
	fill(&a);
	size_t n = encode(&a, buf, sizeof(buf));
	for (size_t i = 0; i < n; i++) {
		uint8_t *copy = malloc(i + 1);
		memcpy(copy, buf, i);
		if (i >= 12) {
			uint32_t len = (uint32_t)i;
			memcpy(copy + 8, &len, 4);
		}
		assert_int_equal(boot_decode(copy, i, &b), -EINVAL);
		free(copy);
	}
	assert_int_equal(boot_decode(buf, n + 1, &b), -EINVAL);
	size_t out;
	for (size_t cap = 0; cap < n; cap++)
		assert_int_equal(boot_encode(&a, buf, cap, &out), -E2BIG);
}

/* No single changed byte may crash; what decodes encodes to the same bytes. */
static void test_flipped(void **state)
{
	(void)state;
	static struct boot_spec a, b;
	static uint8_t buf[8192], again[8192];
	fill(&a);
	size_t n = encode(&a, buf, sizeof(buf));
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			buf[i] ^= (uint8_t)(1 << bit);
			if (boot_decode(buf, n, &b) == 0) {
				assert_int_equal(encode(&b, again, sizeof(again)), n);
				assert_memory_equal(again, buf, n);
			}
			buf[i] ^= (uint8_t)(1 << bit);
		}
	}
}

static void refuse(struct boot_spec *s)
{
	static uint8_t buf[8192];
	size_t n;
	assert_int_equal(boot_encode(s, buf, sizeof(buf), &n), -EINVAL);
	fill(s);
}

static void test_bad_fields(void **state)
{
	(void)state;
	static struct boot_spec s;
	fill(&s);
	s.kheap_addr = 0x200000001000ull;
	refuse(&s);
	s.flags = ~0ull;
	refuse(&s);
	s.ncpus = 0;
	refuse(&s);
	s.cwd = "relative";
	refuse(&s);
	s.mounts[1].target = "/a/../b";
	refuse(&s);
	s.mounts[1].target = "/a//b";
	refuse(&s);
	s.mounts[0].target = "/x";
	refuse(&s);
	s.n_mounts = 0;
	refuse(&s);
	s.argv = (struct boot_strs){0, 0, NULL};
	refuse(&s);
	s.argv = (struct boot_strs){2, 3, "abc"};
	refuse(&s);
	s.fds.control = -1;
	refuse(&s);
	s.n_mounts = BOOT_MAX_MOUNTS + 1;
	refuse(&s);
	s.limits.nofile_soft = 5000;
	refuse(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_bad_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
