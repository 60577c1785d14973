/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/oom.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_CELLS 4096

/* Text of a file of /proc; false when it is gone. */
static bool read_proc(const char *path, char *text, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, len = 0;
	if (fd < 0)
		return false;
	while ((size_t)len < cap - 1 && (n = read(fd, text + len, cap - 1 - (size_t)len)) > 0)
		len += n;
	close(fd);
	text[len] = 0;
	return len > 0;
}

/* "Name:   123 kB" in bytes; 0 when there is none. */
static uint64_t field(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	return p ? strtoull(p + strlen(name), NULL, 10) << 10 : 0;
}

/* Pages of its own and shared memory, counted whole. */
static uint64_t resident(pid_t pid)
{
	char path[64], text[1900];
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!read_proc(path, text, sizeof(text)))
		return 0;
	return field(text, "RssAnon:") + field(text, "RssShmem:");
}

/* The same, pages that several processes have counted once in all. */
static uint64_t proportional(pid_t pid)
{
	char path[64], text[1900];
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	if (!read_proc(path, text, sizeof(text)) || !strstr(text, "Pss_Anon:"))
		return resident(pid);
	return field(text, "Pss_Anon:") + field(text, "Pss_Shmem:");
}

static size_t children_of(pid_t pid, pid_t tid, pid_t *out, size_t cap)
{
	static char text[MAX_CELLS * 8];
	char path[80], *p = text, *end;
	size_t n = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	if (!read_proc(path, text, sizeof(text)))
		return 0;
	while (n < cap) {
		long child = strtol(p, &end, 10);
		if (end == p)
			break;
		out[n++] = (pid_t)child;
		p = end;
	}
	return n;
}

/* All cells are children of one thread of the Sentry (they are cloned with CLONE_PARENT). */
static size_t list_cells(struct oom *o, pid_t *out, size_t cap)
{
	char path[64];
	struct dirent *d;
	size_t n = o->parent_tid ? children_of(o->sentry, o->parent_tid, out, cap) : 0;
	if (n)
		return n;
	snprintf(path, sizeof(path), "/proc/%d/task", o->sentry);
	DIR *dir = opendir(path);
	while (dir && !n && (d = readdir(dir)) != NULL) {
		pid_t tid = (pid_t)strtol(d->d_name, NULL, 10);
		n = tid > 0 ? children_of(o->sentry, tid, out, cap) : 0;
		if (n)
			o->parent_tid = tid;
	}
	if (dir)
		closedir(dir);
	return n;
}

static uint64_t sum(const struct oom *o, const pid_t *cells, size_t n, uint64_t (*measure)(pid_t),
		    pid_t *largest)
{
	uint64_t total = measure(o->sentry), most = 0;
	*largest = 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t one = measure(cells[i]);
		total += one;
		if (one > most) {
			most = one;
			*largest = cells[i];
		}
	}
	return total;
}

int oom_wait_ms(const struct oom *o, int64_t now_ns)
{
	if (!o->limit)
		return -1;
	return now_ns >= o->next_ns ? 0 : (int)((o->next_ns - now_ns) / 1000000 + 1);
}

void oom_look(struct oom *o, int64_t now_ns)
{
	static pid_t cells[MAX_CELLS];
	pid_t largest;
	if (!o->limit || now_ns < o->next_ns)
		return;
	size_t n = list_cells(o, cells, MAX_CELLS);
	uint64_t total = sum(o, cells, n, resident, &largest);
	if (total > o->limit)
		total = sum(o, cells, n, proportional, &largest);
	if (total > o->limit && largest > 0) {
		/* Still a child of the Sentry a moment ago; the Sentry reaps it, so that its number
		 * may be anybody's only after that. The limit is far above what a race can do. */
		(void)kill(largest, SIGKILL);
		o->kills++;
	}
	o->next_ns = now_ns + (total > o->limit / 4 ? OOM_FAST_MS : OOM_SLOW_MS) * 1000000ll;
}
