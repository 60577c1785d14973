/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* For tests of mounts: a mount namespace of one's own, with a fresh tmpfs to work in. */
#include "guest.h"
#include <sched.h>
#include <sys/mount.h>

static inline void put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

/* Returns whether it took a user namespace, as it does without privilege. */
static inline bool own_mounts(void)
{
	bool user = geteuid() != 0;
	char map[64];
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)))
		die("unshare");
	if (user) {
		put_text("/proc/self/setgroups", "deny");
		snprintf(map, sizeof(map), "0 %u 1", uid);
		put_text("/proc/self/uid_map", map);
		snprintf(map, sizeof(map), "0 %u 1", gid);
		put_text("/proc/self/gid_map", map);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("private");
	if (mount("work", "/tmp", "tmpfs", 0, "mode=755") || chdir("/tmp"))
		die("tmpfs");
	return user;
}

static inline void cat(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n < 0) {
		printf("%s: %s\n", path, strerrorname_np(errno));
	} else {
		buf[n] = 0;
		printf("%s: %s%s", path, buf, n && buf[n - 1] == '\n' ? "" : "\n");
	}
	if (fd >= 0)
		close(fd);
}
