/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Gofer takes away from itself before it reads a byte from the Sentry. The wall is the
 * system call filter, the descriptors it does not have, and Landlock on its roots; capabilities
 * and ids are dropped to what the roots need.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include "gofer/gofer_int.h"
#include "host/file.h"
#include "host/proc.h"
#include "gofer_filter.h"	/* generated from syscalls.list */

#define NOBODY 65534u
#define CAP_BIT(c) (1u << (c))
#define RW_CAPS                                                                                    \
	(CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) |           \
	 CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID))

/* Keeps `caps` (all below 32) where they are permitted now, nothing else. */
static int keep_caps(uint32_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	int rc = h_capget(&head, data);

	if (rc)
		return rc;
	(void)!h_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	data[0].permitted &= caps;
	data[0].effective = data[0].permitted;
	data[0].inheritable = 0;
	data[1] = (struct __user_cap_data_struct){0};
	return h_capset(&head, data);
}

/* Before ids change: it needs CAP_SETPCAP, and is of no use without it. */
static void bound_caps(uint32_t caps)
{
	for (unsigned c = 0; c <= 63; c++)
		if (c > 31 || !(caps & CAP_BIT(c)))
			(void)!h_prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
}

static int drop_ids(void)
{
	int rc = h_setgroups(0, NULL);

	if (!rc)
		rc = h_setresgid(NOBODY, NOBODY, NOBODY);
	if (!rc)
		rc = h_setresuid(NOBODY, NOBODY, NOBODY);
	return rc;
}

#define LL_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LL_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LL_TRUNCATE)
#define LL_TRUNCATE (1ull << 14)
#define LL_MAKE                                                                                    \
	(LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                          \
	 LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define LL_V1 ((1ull << 13) - 1)

static int landlock_roots(int ruleset, const struct root_spec *roots, unsigned n, uint64_t handled)
{
	for (unsigned i = 0; i < n; i++) {
		struct landlock_path_beneath_attr rule = {.parent_fd = roots[i].hfd};
		struct stat st;
		uint64_t access = LL_READ;

		if (roots[i].flags & GOFER_ROOT_RW)
			access |= LL_FILE | LL_MAKE | LANDLOCK_ACCESS_FS_REFER;
		int rc = h_fstat(roots[i].hfd, &st);
		if (!rc && !S_ISDIR(st.st_mode))
			access &= LL_FILE;
		rule.allowed_access = access & handled;
		if (!rc)
			rc = h_landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
		if (rc)
			return rc;
	}
	return 0;
}

/* True when in force. An old kernel (version 1) would refuse every rename between directories,
 * so writable roots go without it there. */
static bool use_landlock(const struct root_spec *roots, unsigned n)
{
	struct landlock_ruleset_attr attr = {0};
	int abi = h_landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	bool rw = false;

	for (unsigned i = 0; i < n; i++)
		rw |= (roots[i].flags & GOFER_ROOT_RW) != 0;
	if (abi < 1 || (abi < 2 && rw))
		return false;
	attr.handled_access_fs = LL_V1;
	if (abi >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= LL_TRUNCATE;
	int ruleset = h_landlock_create_ruleset(&attr, sizeof(attr.handled_access_fs), 0);
	if (ruleset < 0)
		return false;
	int rc = landlock_roots(ruleset, roots, n, attr.handled_access_fs);
	if (!rc)
		rc = h_landlock_restrict_self(ruleset, 0);
	(void)h_close(ruleset);
	return rc == 0;
}

static int limits(void)
{
	struct rlimit lim;
	int rc = h_prlimit(0, RLIMIT_NOFILE, NULL, &lim);

	if (rc)
		return rc;
	lim.rlim_cur = lim.rlim_max;
	rc = h_prlimit(0, RLIMIT_NOFILE, &lim, NULL);
	if (!rc)
		rc = h_no_cores();
	if (!rc)
		rc = h_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return rc;
}

int isolate_early(uint32_t boot_flags, const struct root_spec *roots, unsigned n, uint32_t *has)
{
	bool all_public = true, rw = false;
	int rc = limits();

	(void)h_umask(0);
	for (unsigned i = 0; i < n; i++) {
		all_public &= (roots[i].flags & GOFER_ROOT_PUBLIC) != 0;
		rw |= (roots[i].flags & GOFER_ROOT_RW) != 0;
	}
	if (!rc)
		rc = h_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (rc)
		return rc;
	uint32_t caps = rw ? RW_CAPS : h_geteuid() == 0 && !all_public ? CAP_BIT(CAP_DAC_READ_SEARCH) : 0;
	bound_caps(caps);
	/* Where everything to be served is public, the host may enforce that as well. */
	if (h_geteuid() == 0 && all_public && !(boot_flags & GOFER_BOOT_KEEP_IDS) && !drop_ids())
		*has |= GOFER_HAS_NOBODY;
	rc = keep_caps(caps);
	if (rc)
		return rc;
	if (!(boot_flags & GOFER_BOOT_NO_LANDLOCK) && use_landlock(roots, n))
		*has |= GOFER_HAS_LANDLOCK;

	const struct open_how how = {.flags = O_PATH | O_CLOEXEC};
	int hfd = h_openat2(AT_FDCWD, ".", &how, sizeof(how));
	gofer_no_openat2 = boot_flags & GOFER_BOOT_NO_OPENAT2 || hfd < 0;
	if (hfd >= 0)
		(void)h_close(hfd);
	if (!gofer_no_openat2)
		*has |= GOFER_HAS_OPENAT2;
	return 0;
}

int isolate_late(uint32_t *has)
{
	const struct sock_fprog prog = {array_size(gofer_filter),
					(struct sock_filter *)(uintptr_t)gofer_filter};
	int rc = h_seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);

	if (!rc)
		*has |= GOFER_HAS_SECCOMP;
	return rc > 0 ? -EBUSY : rc;
}
