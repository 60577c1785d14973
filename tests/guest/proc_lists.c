/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/self/map_files, /proc/sysvipc, counters of /proc/net, link counts and sizes of directories. */
#include "guest.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>

static void maps(void)
{
	char dir[32], name[96], text[256];
	enter_tmp(dir);
	int fd = open("mapped", O_RDWR | O_CREAT, 0644);
	CHECK(ftruncate(fd, 8192) == 0);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	snprintf(name, sizeof(name), "/proc/self/map_files/%lx-%lx", (long)p, (long)p + 8192);
	ssize_t n = readlink(name, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n > 0 ? n : 0] = 0;
	printf("map_files %s\n", strrchr(text, '/'));
	struct stat st;
	SHOW(lstat(name, &st));
	printf("mode %o\n", st.st_mode);
	snprintf(name, sizeof(name), "/proc/self/map_files/%lx-%lx", (long)p, (long)p + 4096);
	SHOW(readlink(name, text, sizeof(text)));
	SHOW(readlink("/proc/self/map_files/x", text, sizeof(text)));
	bool found = false;
	DIR *d = opendir("/proc/self/map_files");
	snprintf(name, sizeof(name), "%lx-%lx", (long)p, (long)p + 8192);
	for (struct dirent *e; d && (e = readdir(d));)
		found |= !strcmp(e->d_name, name) && e->d_type == DT_LNK;
	CHECK(found);
	closedir(d);
	unlink("mapped");
	chdir("/");
	rmdir(dir);
}

static void line(const char *file, int id)
{
	char l[512];
	int a, b;
	unsigned mode;
	FILE *f = fopen(file, "r");
	for (int i = 0; f && fgets(l, sizeof(l), f); i++) {
		if (!i)
			printf("%s", l);
		else if (sscanf(l, "%d %d %o", &a, &b, &mode) == 3 && b == id)
			printf("%s: mode %o, %zu bytes\n", file, mode, strlen(l));
	}
	if (f)
		fclose(f);
}

static void ipc(void)
{
	int m = shmget(IPC_PRIVATE, 5000, 0640 | IPC_CREAT), s = semget(IPC_PRIVATE, 3, 0600 | IPC_CREAT),
	    q = msgget(IPC_PRIVATE, 0644 | IPC_CREAT);
	line("/proc/sysvipc/shm", m);
	line("/proc/sysvipc/sem", s);
	line("/proc/sysvipc/msg", q);
	shmctl(m, IPC_RMID, NULL);
	semctl(s, 0, IPC_RMID);
	msgctl(q, IPC_RMID, NULL);
}

static long udp_out(void)
{
	char l[1024];
	long in, no, err, out = -1;
	FILE *f = fopen("/proc/net/snmp", "r");
	while (f && fgets(l, sizeof(l), f))
		if (sscanf(l, "Udp: %ld %ld %ld %ld", &in, &no, &err, &out) == 4)
			break;
	if (f)
		fclose(f);
	return out;
}

static void net(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
	bind(r, (void *)&a, n);
	getsockname(r, (void *)&a, &n);
	long before = udp_out();
	for (int i = 0; i < 5; i++)
		sendto(s, "x", 1, 0, (void *)&a, n);
	CHECK(udp_out() >= before + 5);
	static const char *const files[] = {"snmp6", "netstat", "sockstat6", "psched", "igmp", "raw6", "stat/rt_cache"};
	for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char p[64];
		snprintf(p, sizeof(p), "/proc/net/%s", files[i]);
		SHOW(access(p, R_OK));
	}
}

static void *sleeper(void *arg)
{
	return read(*(int *)arg, &(char){0}, 1) < 0 ? arg : NULL;
}

/* What is of the process is not below a thread's directory; that has no end otherwise. */
static void of_threads(void)
{
	static const char *const names[] = {"task", "timers", "map_files", "mountstats", "coredump_filter",
					    "timerslack_ns", "timens_offsets", "status", "fd", "maps"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[100];
		snprintf(path, sizeof(path), "/proc/self/task/%d/%s", getpid(), names[i]);
		printf("%s %d\n", names[i], access(path, F_OK));
	}
}

int main(void)
{
	struct stat st;
	int p[2];
	maps();
	ipc();
	net();
	of_threads();
	closefrom(3);
	CHECK(pipe(p) == 0);
	stat("/proc/self/fd", &st);
	printf("fds %ld\n", (long)st.st_size);
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, sleeper, &p[0]);
	stat("/proc/self/task", &st);
	printf("task links %ld\n", (long)st.st_nlink);
	close(p[1]);
	DONE();
}
