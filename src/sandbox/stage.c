/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/proc.h"

#define NOBODY 65534u

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

int stage_map_ids(unsigned uid, unsigned gid)
{
	char line[64];
	(void)put("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1\n", uid, uid);
	int rc = put("/proc/self/uid_map", line);
	if (rc)
		return rc;
	snprintf(line, sizeof(line), "%u %u 1\n", gid, gid);
	return put("/proc/self/gid_map", line);
}

int stage_empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") != 0)
		return -errno;
	if (chdir("/tmp") != 0 || mkdir("proc", 0555) != 0 ||
	    mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) != 0 ||
	    h_pivot_root(".", ".") != 0 || umount2(".", MNT_DETACH) != 0 ||
	    chdir("/") != 0)
		return -errno;
	(void)mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV |
		    MS_NOEXEC, NULL);
	return 0;
}

/* --- Landlock: layouts of our own, since the host's headers may be older than the host --------- */

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

#define LL_FS_V1 ((1ull << 13) - 1)
#define LL_FS_REFER (1ull << 13)
#define LL_FS_TRUNCATE (1ull << 14)
#define LL_FS_IOCTL_DEV (1ull << 15)
#define LL_NET_ALL 3ull
#define LL_SCOPE_ALL 3ull

int landlock_abi(void)
{
	int v = h_landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return v < 0 ? 0 : v;
}

static int ll_allow(int ruleset, int hfd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = hfd};
	if (hfd < 0)
		return 0;
	return h_landlock_add_rule(ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

int stage_landlock(int exe_hfd, int cell_hfd)
{
	int abi = landlock_abi();
	if (abi < 1)
		return -EOPNOTSUPP;
	struct ll_ruleset attr = {.fs = LL_FS_V1};
	attr.fs |= abi >= 2 ? LL_FS_REFER : 0;
	attr.fs |= abi >= 3 ? LL_FS_TRUNCATE : 0;
	attr.fs |= abi >= 5 ? LL_FS_IOCTL_DEV : 0;
	attr.net = abi >= 4 ? LL_NET_ALL : 0;
	attr.scoped = abi >= 6 ? LL_SCOPE_ALL : 0;
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	int ruleset = h_landlock_create_ruleset(&attr, size, 0);
	if (ruleset < 0)
		return ruleset;
	const uint64_t exec = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
	const uint64_t proc = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			      LANDLOCK_ACCESS_FS_READ_DIR;
	int procfd = open("/proc", O_PATH | O_CLOEXEC);
	int rc = ll_allow(ruleset, exe_hfd, exec);
	if (!rc)
		rc = ll_allow(ruleset, cell_hfd, exec);
	if (!rc)
		rc = ll_allow(ruleset, procfd, proc);
	if (!rc)
		rc = h_landlock_restrict_self(ruleset, 0);
	close(ruleset);
	if (procfd >= 0)
		close(procfd);
	return rc;
}

/* --- identity and limits ----------------------------------------------------------------------- */

static int drop_caps(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}, {0}};
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return h_capset(&head, none);
}

int stage_drop_ids(bool *is_nobody)
{
	*is_nobody = false;
	for (unsigned long cap = 0; cap < 64; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	(void)prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED |
			    SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED,
		    0, 0, 0);
	if (geteuid() == 0) {
		(void)setgroups(0, NULL);
		*is_nobody = setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
			     setresuid(NOBODY, NOBODY, NOBODY) == 0;
	}
	return drop_caps();
}

void stage_limits(void)
{
	struct rlimit r = {1, 1};
	(void)setrlimit(RLIMIT_CORE, &r);
	(void)put("/proc/self/coredump_filter", "0");
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &r);
	}
	r = (struct rlimit){RLIM_INFINITY, RLIM_INFINITY};
	/* A limit on file size or CPU of the launcher's shell is the guest's, not ours. */
	if (setrlimit(RLIMIT_FSIZE, &r) != 0 && getrlimit(RLIMIT_FSIZE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_FSIZE, &r);
	}
	if (getrlimit(RLIMIT_CPU, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		(void)setrlimit(RLIMIT_CPU, &r);
	}
}
