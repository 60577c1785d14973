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
	if (mount("work", "/tmp", "tmpfs", 0, "mode=755") || mkdir("/tmp/w", 0755) || chdir("/tmp/w"))
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

#define SHOW_MOUNTS_MAX 200

/* By place; the same place in the order of mounting. */
static inline void sort_mounts(char **line, int n)
{
	for (int i = 1; i < n; i++) {
		for (int k = i; k > 0; k--) {
			size_t a = strcspn(line[k - 1], " "), b = strcspn(line[k], " ");
			int c = strncmp(line[k - 1], line[k], a < b ? a : b);
			if (c < 0 || (c == 0 && a <= b))
				break;
			char *t = line[k];
			line[k] = line[k - 1];
			line[k - 1] = t;
		}
	}
}

/* The mounts below /tmp/w in order of their places; peer groups are named by their first use. */
static inline void show_mounts(const char *title)
{
	static char text[200000];
	char *line[SHOW_MOUNTS_MAX], *save = NULL;
	long ids[100];
	int n = 0, nids = 0;
	int fd = open("/proc/self/mountinfo", O_RDONLY);
	ssize_t len = 0, got;

	while (fd >= 0 && (got = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += got;
	close(fd);
	text[len] = 0;
	for (char *l = strtok_r(text, "\n", &save); l && n < SHOW_MOUNTS_MAX; l = strtok_r(NULL, "\n", &save)) {
		char root[512], at[512], opts[256], rest[512], *out;
		if (sscanf(l, "%*d %*d %*s %511s %511s %255s %511[^\n]", root, at, opts, rest) != 4 ||
		    strncmp(at, "/tmp/w/", 7))
			continue;
		char *end = strstr(rest, "- ");
		if (end)
			*end = 0;
		if (asprintf(&out, "%s %s %s %s", at, root, opts, rest) > 0)
			line[n++] = out;
	}
	sort_mounts(line, n);
	printf("%s:\n", title);
	for (int i = 0; i < n; i++) {
		char *tag, *s2 = NULL;
		printf(" ");
		for (tag = strtok_r(line[i], " ", &s2); tag; tag = strtok_r(NULL, " ", &s2)) {
			char *colon = strchr(tag, ':');
			if (!colon || *tag == '/') {
				printf(" %s", tag);
				continue;
			}
			long id = atol(colon + 1);
			int k = 0;
			while (k < nids && ids[k] != id)
				k++;
			if (k == nids && nids < 100)
				ids[nids++] = id;
			printf(" %.*s:%c", (int)(colon - tag), tag, 'A' + k);
		}
		printf("\n");
		free(line[i]);
	}
	fflush(stdout);
}
