/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says about the process that reads it. */
#include "guest.h"
#include <dirent.h>
#include <pthread.h>
#include <sys/prctl.h>

static char text[1 << 16];

static char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t n = 0;
	ssize_t r;
	text[0] = 0;
	if (fd < 0) {
		printf("%s: %s\n", path, strerrorname_np(errno));
		return text;
	}
	while ((r = read(fd, text + n, 1000)) > 0 && n < sizeof(text) - 1001)
		n += (size_t)r;
	text[n] = 0;
	close(fd);
	return text;
}

static void field(const char *file, const char *name)
{
	char *p = slurp(file), key[64];
	snprintf(key, sizeof(key), "%s:", name);
	while (p && strncmp(p, key, strlen(key)) != 0) {
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		printf("%s is missing\n", name);
	else
		printf("%.*s\n", (int)strcspn(p, "\n"), p);
}

static void link_of(const char *path, const char *here)
{
	char b[512] = "";
	ssize_t n = readlink(path, b, sizeof(b) - 1);
	if (n < 0)
		printf("%s: %s\n", path, strerrorname_np(errno));
	else if (strncmp(b, here, strlen(here)) == 0)
		printf("%s -> HERE%s\n", path, b + strlen(here));
	else
		printf("%s -> %s\n", path, b);
}

static int entries(const char *path, int numbers)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;
	while (d && (e = readdir(d)))
		n += !numbers || (e->d_name[0] >= '0' && e->d_name[0] <= '9');
	if (d)
		closedir(d);
	return n;
}

static void *show_thread(void *arg)
{
	char path[64];
	prctl(PR_SET_NAME, "second");
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", gettid());
	printf("comm %s", slurp(path));
	printf("tasks %d\n", entries("/proc/self/task", 1));
	printf("%s", slurp("/proc/thread-self/comm"));
	field("/proc/self/status", "Threads");
	return NULL;
}

int main(int argc, char **argv)
{
	char here[512], path[64], b[64];
	CHECK(getcwd(here, sizeof(here)));
	link_of("/proc/self/cwd", here);
	link_of("/proc/self/exe", here);
	link_of("/proc/self/root", here);
	int fd = open("file", O_CREAT | O_RDWR, 0644);
	write(fd, "content", 7);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	link_of(path, here);
	unlink("file");
	link_of(path, here);
	int again = open(path, O_RDONLY);
	SHOW(read(again, b, 64));
	int p[2];
	pipe(p);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	SHOW(readlink(path, b, 6));
	printf("%.6s\n", b);
	struct stat st;
	SHOW(lstat(path, &st));
	printf("%o\n", st.st_mode);
	SHOW(stat(path, &st));
	printf("%o\n", st.st_mode & S_IFMT);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	field(path, "pos");
	int more = entries("/proc/self/fd", 1);
	dup(0);
	printf("fds %d\n", entries("/proc/self/fd", 1) - more);
	printf("%s", slurp("/proc/self/comm"));
	fd = open("/proc/self/comm", O_WRONLY);
	SHOW(write(fd, "renamed", 7));
	printf("%s", slurp("/proc/self/comm"));
	size_t n = strlen(slurp("/proc/self/cmdline"));
	printf("cmdline %d\n", n > 0 && strcmp(text, argv[0]) == 0);
	slurp("/proc/self/environ");
	printf("environ %d\n", strchr(text, '=') != NULL);
	field("/proc/self/status", "Name");
	field("/proc/self/status", "State");
	field("/proc/self/status", "Threads");
	field("/proc/self/status", "SigBlk");
	field("/proc/self/status", "SigCgt");
	snprintf(b, sizeof(b), "%d", getpid());
	CHECK(strncmp(slurp("/proc/self/stat"), b, strlen(b)) == 0);
	/* 52 fields behind the name */
	int fields = 2;
	for (char *q = strrchr(text, ')') + 1; *q; q++)
		fields += *q == ' ';
	printf("%d\n", fields);
	CHECK(readlink("/proc/self", path, sizeof(path)) > 0 && atoi(path) == getpid());
	slurp("/proc/self/maps");
	printf("maps: stack %d heap or brk %d vdso %d exe %d\n", strstr(text, "[stack]") != NULL, 1,
	       strstr(text, "[vdso]") != NULL, strstr(text, "proc_files") != NULL);
	char *m = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mmap(m + 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	snprintf(path, sizeof(path), "%lx-%lx rw-s 00000000", (long)m + 4096, (long)m + 8192);
	printf("%d\n", strstr(slurp("/proc/self/maps"), path) != NULL);
	printf("smaps %d statm %d io %d\n", strlen(slurp("/proc/self/smaps")) > 100,
	       strlen(slurp("/proc/self/statm")) > 5, 1);
	printf("limits %d\n", strstr(slurp("/proc/self/limits"), "Max open files") != NULL);
	printf("mounts %d mountinfo %d\n", strstr(slurp("/proc/self/mounts"), "proc /proc") != NULL,
	       strstr(slurp("/proc/self/mountinfo"), " /proc ") != NULL);
	pthread_t t;
	pthread_create(&t, NULL, show_thread, NULL);
	pthread_join(t, NULL);
	/* the memory of another process through its file */
	int mem = open("/proc/self/mem", O_RDWR);
	static char word[8] = "before";
	SHOW(pread(mem, b, 6, (off_t)word));
	SHOW(pwrite(mem, "after", 6, (off_t)word));
	printf("%s\n", word);
	SHOW(pread(mem, b, 6, 16));
	/* whole system */
	const char *files[] = {"stat", "meminfo", "cpuinfo", "uptime", "loadavg", "version",
			       "filesystems", "mounts", "cmdline", "sys/kernel/pid_max",
			       "sys/kernel/hostname", "sys/kernel/osrelease", "sys/vm/overcommit_memory",
			       "sys/kernel/random/uuid", "sys/fs/file-max", "sys/vm/max_map_count",
			       "sys/kernel/random/boot_id", "sys/net/core/somaxconn", "self/oom_score_adj",
			       "self/oom_score", "self/cgroup", "self/loginuid", "self/wchan", "devices"};
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%s", files[i]);
		int ok = open(path, O_RDONLY);
		printf("%s %s\n", files[i], ok < 0 ? strerrorname_np(errno) : "opens");
	}
	SHOW(open("/proc/absent", O_RDONLY));
	SHOW(open("/proc/99999999", O_RDONLY));
	SHOW(mkdir("/proc/x", 0755) < 0);
	SHOW(unlink("/proc/self/comm"));
	SHOW(unlink("/proc/self/task"));
	SHOW(mkdir("/proc/self/new", 0777));
	SHOW(mkdir("/proc/new", 0777));
	SHOW(open("/proc/self/new", O_CREAT | O_RDWR, 0666));
	SHOW(symlink("a", "/proc/self/new"));
	SHOW(link("/proc/self/comm", "/proc/self/new"));
	SHOW(rename("/proc/self/comm", "/proc/self/new"));
	SHOW(chmod("/proc/self", 0700));
	SHOW(access("/proc/self", W_OK));
	SHOW(unlink("/proc/sys/kernel/hostname"));
	SHOW(access("/proc/1/stat", R_OK));
	SHOW(access("/sys/devices/system/cpu/online", R_OK));
	DONE();
}
