/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/strv.h"

static bool read_text(const char *dir, const char *name, char *text, size_t cap)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, cap - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return n >= 0;
}

static int write_text(const char *dir, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
	free(path);
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);
	for (const char *p = text; (p = strstr(p, word)) != NULL; p += n)
		if ((p == text || strchr(" ,", p[-1])) && strchr(" ,\n", p[n]))
			return true;
	return false;
}

/* The own group's path within the hierarchy that has the memory controller, or NULL. */
static char *own_path(bool v2)
{
	char *line = NULL, *path = NULL;
	size_t cap = 0;
	FILE *f = fopen("/proc/self/cgroup", "re");
	if (!f)
		return NULL;
	while (!path && getline(&line, &cap, f) > 0) {
		char *names = strchr(line, ':'), *p = names ? strchr(names + 1, ':') : NULL;
		if (!p)
			continue;
		*p++ = 0;
		p[strcspn(p, "\n")] = 0;
		names++;
		if (v2 ? *names == 0 : has_word(names, "memory"))
			path = xstrdup(p);
	}
	free(line);
	fclose(f);
	return path;
}

/* Where the hierarchy is mounted, and which of its groups is the root of that mount. */
static bool find_mount(bool v2, char **point, char **root)
{
	char *line = NULL;
	size_t cap = 0;
	bool found = false;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return false;
	while (!found && getline(&line, &cap, f) > 0) {
		char *r = NULL, *p = NULL, *type = NULL, *opts = NULL;
		const char *tail = strstr(line, " - ");
		if (tail && sscanf(line, "%*s %*s %*s %ms %ms", &r, &p) == 2 &&
		    sscanf(tail, " - %ms %*s %ms", &type, &opts) == 2)
			found = v2 ? strcmp(type, "cgroup2") == 0
				   : strcmp(type, "cgroup") == 0 && has_word(opts, "memory");
		if (found) {
			*point = steal(p);
			*root = steal(r);
		}
		free(r);
		free(p);
		free(type);
		free(opts);
	}
	free(line);
	fclose(f);
	return found;
}

/* The directory of the own group (owned), if it lies under the mount. */
static char *own_dir(bool v2, bool *is_top)
{
	char *point = NULL, *root = NULL, *dir = NULL, *path = own_path(v2);
	struct stat st;
	if (path && find_mount(v2, &point, &root)) {
		const char *rel = path;
		size_t n = strlen(root);
		if (n > 1 && strncmp(path, root, n) == 0)
			rel = path + n;
		*is_top = strcmp(rel, "/") == 0 || *rel == 0;
		dir = xasprintf("%s%s", point, *is_top ? "" : rel);
		if (stat(dir, &st) != 0) {
			free(dir);
			dir = NULL;
		}
	}
	free(path);
	free(point);
	free(root);
	return dir;
}

/* A directory (owned) in which a group with a memory controller can be made, or NULL. */
static char *find_parent(bool *v2)
{
	char text[1024], *dir;
	bool top = false;
	*v2 = true;
	dir = own_dir(true, &top);
	if (dir) {
		char *slash = strrchr(dir, '/');
		if (!top && slash)	/* beside the own group: one with processes has no children */
			*slash = 0;
		else if (read_text(dir, "cgroup.subtree_control", text, sizeof(text)) &&
			 !has_word(text, "memory"))
			(void)write_text(dir, "cgroup.subtree_control", "+memory");
		if (read_text(dir, "cgroup.subtree_control", text, sizeof(text)) &&
		    has_word(text, "memory") && access(dir, W_OK) == 0)
			return dir;
		free(dir);
	}
	*v2 = false;
	dir = own_dir(false, &top);
	if (dir && access(dir, W_OK) == 0)
		return dir;
	free(dir);
	return NULL;
}

bool cgroup_available(int *version)
{
	struct cgroup g;
	*version = 0;
	if (cgroup_create(&g, 1ull << 30) < 0)
		return false;
	*version = g.v2 ? 2 : 1;
	cgroup_destroy(&g);
	return true;
}

static int set_limits(const struct cgroup *g, uint64_t bytes)
{
	char text[32];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	if (g->v2) {
		int rc = write_text(g->dir, "memory.max", text);
		(void)write_text(g->dir, "memory.swap.max", "0");
		return rc;
	}
	int rc = write_text(g->dir, "memory.limit_in_bytes", text);
	(void)write_text(g->dir, "memory.memsw.limit_in_bytes", text);
	return rc;
}

/* Empty groups that launchers left when they were killed, a minute ago or longer. */
static void remove_stale(const char *parent)
{
	DIR *dir = opendir(parent);
	struct dirent *d;
	struct stat st;
	while (dir && (d = readdir(dir)) != NULL) {
		long pid = strncmp(d->d_name, "brig-", 5) == 0 ? strtol(d->d_name + 5, NULL, 10) : 0;
		if (pid <= 0 || (kill((pid_t)pid, 0) == 0 || errno != ESRCH))
			continue;
		if (fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && time(NULL) - st.st_mtime > 60)
			(void)unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

int cgroup_create(struct cgroup *g, uint64_t bytes)
{
	*g = (struct cgroup){.procs_hfd = -1};
	char *parent = find_parent(&g->v2);
	if (!parent)
		return -EOPNOTSUPP;
	remove_stale(parent);
	g->dir = xasprintf("%s/brig-%d", parent, (int)getpid());
	free(parent);
	if (mkdir(g->dir, 0755) != 0) {
		int err = errno;
		free(g->dir);
		g->dir = NULL;
		return -err;
	}
	int rc = set_limits(g, bytes);
	if (rc == 0) {
		char *path = xasprintf("%s/cgroup.procs", g->dir);
		g->procs_hfd = open(path, O_WRONLY | O_CLOEXEC);
		rc = g->procs_hfd < 0 ? -errno : 0;
		free(path);
	}
	if (rc)
		cgroup_destroy(g);
	return rc;
}

uint64_t cgroup_oom_kills(const struct cgroup *g)
{
	char text[1024];
	if (!g->dir ||
	    !read_text(g->dir, g->v2 ? "memory.events" : "memory.oom_control", text, sizeof(text)))
		return 0;
	const char *p = strstr(text, "oom_kill ");
	return p ? strtoull(p + 9, NULL, 10) : 0;
}

void cgroup_destroy(struct cgroup *g)
{
	if (g->procs_hfd >= 0)
		close(g->procs_hfd);
	/* A killed process leaves its group a moment after it was waited for. */
	for (int i = 0; g->dir && i < 200 && rmdir(g->dir) != 0 && errno == EBUSY; i++)
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	free(g->dir);
	g->dir = NULL;
	g->procs_hfd = -1;
}
