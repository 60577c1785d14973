/* SPDX-License-Identifier: Apache-2.0 */
/* Resident memory as /proc and getrusage tell it: it follows what is touched and given back. */
#include "guest.h"
#include <sys/resource.h>

#define MB (1l << 20)

static long field(const char *file, const char *name)
{
	char l[256];
	long v = -1;
	FILE *f = fopen(file, "r");
	while (f && fgets(l, sizeof(l), f))
		if (!strncmp(l, name, strlen(name)))
			v = atol(l + strlen(name));
	if (f)
		fclose(f);
	return v;
}

static long statm(void)
{
	long size, rss = -1;
	FILE *f = fopen("/proc/self/statm", "r");
	if (fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = -1;
	fclose(f);
	return rss * 4;
}

static long maxrss(int who)
{
	struct rusage r;
	getrusage(who, &r);
	return r.ru_maxrss;
}

static int about(long kb, long mb)
{
	return kb > mb * 1024 - 4096 && kb < mb * 1024 + 8192;
}

int main(void)
{
	long a = statm(), s = field("/proc/self/status", "VmRSS:");
	printf("small %d %d\n", a < 8192 && a > 0, s < 8192 && s > 0);
	char *p = mmap(NULL, 200 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(p, 200 * MB, MADV_NOHUGEPAGE);
	printf("mapped %d\n", about(statm() - a, 0));
	memset(p, 1, 90 * MB);
	printf("touched %d %d anon %d max %d\n", about(statm() - a, 90),
	       about(field("/proc/self/status", "VmRSS:") - s, 90),
	       about(field("/proc/self/status", "RssAnon:"), 90), maxrss(RUSAGE_SELF) > 90 * 1024);
	printf("rollup %d\n", about(field("/proc/self/smaps_rollup", "Rss:") - a, 90));
	madvise(p, 60 * MB, MADV_DONTNEED);
	printf("given back %d high %d\n", about(statm() - a, 30), about(field("/proc/self/status", "VmHWM:") - s, 90));
	fflush(stdout);
	pid_t c = fork();
	if (!c) {
		char *q = mmap(NULL, 150 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		memset(q, 1, 150 * MB);
		_exit(0);
	}
	waitpid(c, NULL, 0);
	printf("children %d\n", maxrss(RUSAGE_CHILDREN) > 150 * 1024 && maxrss(RUSAGE_CHILDREN) < 260 * 1024);
	DONE();
}
