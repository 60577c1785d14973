/* SPDX-License-Identifier: Apache-2.0 */
#include "core_fake.h"
#include <errno.h>
#include <sys/resource.h>
#include "sentry/core/cred.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/user_ns.h"

static unsigned evictions;

static void evict(unsigned wanted)
{
	evictions++;
}

static int setup(void **state)
{
	struct rlimit lim = {256, 256};

	setrlimit(RLIMIT_NOFILE, &lim);
	return kheap_init(FAKE_BASE, FAKE_RESERVE) || hh_init(evict);
}

static void stale_handles(void **state)
{
	int p[2];
	hh_t a, b, c;

	assert_int_equal(pipe(p), 0);
	assert_int_equal(hh_add(p[0], &a), 0);
	assert_int_equal(hh_add(p[1], &b), 0);
	assert_int_equal(hh_fd(a), p[0]);
	hh_close(a);
	assert_int_equal(hh_fd(a), -EBADF);
	assert_int_equal(fcntl(p[0], F_GETFD), -1);
	assert_int_equal(hh_add(dup(p[1]), &c), 0);
	assert_int_equal(hh_fd(a), -EBADF);
	hh_close(a);
	assert_true(hh_fd(c) >= 0);
	hh_close(b);
	hh_close(c);
	hh_close(HH_NONE);
	assert_int_equal(hh_fd(HH_NONE), -EBADF);
	assert_int_equal(hh_fd((hh_t){77}), -EBADF);
}

static void budget(void **state)
{
	hh_t h[256];
	int n = 0, rc;

	while ((rc = hh_add(dup(0), &h[n])) == 0)
		n++;
	assert_int_equal(rc, -ENFILE);
	assert_true(evictions > 0);
	assert_in_range(n, 150, 200);
	while (n > 0)
		hh_close(h[--n]);
}

static void capabilities(void **state)
{
	struct user_ns *init = user_ns_create_init(), *child = NULL;
	struct cred *c = cred_create(init), *d;

	assert_int_equal(user_ns_create(init, 1000, 1000, &child), 0);
	assert_int_equal(id_to_kernel(&init->uid_map, 5), 5);
	assert_int_equal(id_to_kernel(&child->uid_map, 5), ID_INVALID);
	assert_int_equal(id_from_kernel_munged(&child->uid_map, 5), ID_OVERFLOW);
	assert_false(cred_capable(c, 21));
	c->euid = 1000;
	assert_true(cred_ns_capable(c, child, 21));
	c->euid = 1001;
	assert_false(cred_ns_capable(c, child, 21));
	c->cap_effective = 1ull << 21;
	assert_true(cred_capable(c, 21));
	assert_true(cred_ns_capable(c, child, 21));
	d = cred_copy(c);
	user_ns_put(d->user_ns);
	d->user_ns = user_ns_get(child);
	assert_true(cred_ns_capable(d, child, 21));
	assert_false(cred_capable(d, 21));
	d->groups = kmalloc(sizeof(struct group_list) + 3 * sizeof(uint32_t));
	ref_init(&d->groups->ref, 1);
	d->groups->n = 3;
	for (uint32_t i = 0; i < 3; i++)
		d->groups->gid[i] = 10 * (i + 1);
	assert_true(cred_in_group(d, 20));
	assert_false(cred_in_group(d, 25));
	assert_true(cred_in_egroup(d, 0));
	cred_put(d);
	cred_put(c);
	user_ns_put(child);
	user_ns_put(init);
	assert_int_equal(charge_used(CHARGE_KERNEL), 0);
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(stale_handles),
		cmocka_unit_test(budget),
		cmocka_unit_test(capabilities),
	};
	return cmocka_run_group_tests(t, setup, NULL);
}
