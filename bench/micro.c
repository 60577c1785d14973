/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations that bench/run measures, as one static program that runs natively and inside each
 * runtime. `micro NAME [--ms N] [--rounds N]` prints "NAME NS OPS": the median over rounds of the
 * time of one operation, and how many operations were made in all. `micro spawn N CMD...` does the
 * same for running a command. `micro idle N` makes N processes that block for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static const char *self;
static char buf[4096];
static int data_fd, ping[2], pong[2];
static _Atomic uint32_t turn;

static uint64_t now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(int ok, const char *what)
{
	if (!ok)
		fail(what);
}

/* A site of the shape that most programs have: the number, then syscall. */
static long call_getpid(void)
{
	long r;
	__asm__ volatile("mov $39, %%eax\n\tsyscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

static long call_getppid(void)
{
	long r;
	__asm__ volatile("mov $110, %%eax\n\tsyscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

static void do_getpid(void)
{
	must(call_getpid() > 0, "getpid");
}

static void do_getppid(void)
{
	must(call_getppid() >= 0, "getppid");
}

static void do_read_4k(void)
{
	must(pread(data_fd, buf, sizeof(buf), 0) == sizeof(buf), "pread");
}

static void do_open_close(void)
{
	int fd = open("data", O_RDONLY | O_CLOEXEC);
	must(fd >= 0 && close(fd) == 0, "open");
}

static void do_stat(void)
{
	struct stat st;
	must(stat("data", &st) == 0, "stat");
}

static void do_stat_absent(void)
{
	struct stat st;
	must(stat("absent", &st) == -1 && errno == ENOENT, "stat");
}

static void do_mmap_munmap(void)
{
	void *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(p != MAP_FAILED && munmap(p, 65536) == 0, "mmap");
}

static void do_touch_64m(void)
{
	size_t len = 64u << 20;
	volatile char *p =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(p != MAP_FAILED, "mmap");
	for (size_t i = 0; i < len; i += 4096)
		p[i] = 1;
	munmap((void *)p, len);
}

static void reap(pid_t pid)
{
	int status;
	must(waitpid(pid, &status, 0) == pid && status == 0, "wait");
}

static void do_fork_exit_wait(void)
{
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0)
		_exit(0);
	reap(pid);
}

static void spawn(char **argv)
{
	pid_t pid;
	errno = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	must(errno == 0, argv[0]);
	reap(pid);
}

static void do_vfork_exec_wait(void)
{
	char *argv[] = {(char *)self, (char *)"nothing", NULL};
	spawn(argv);
}

static void *thread_main(void *arg)
{
	return arg;
}

static void do_thread_create_join(void)
{
	pthread_t t;
	errno = pthread_create(&t, NULL, thread_main, NULL);
	must(errno == 0, "pthread_create");
	pthread_join(t, NULL);
}

static void do_pipe_pingpong(void)
{
	char c = 'x';
	must(write(ping[1], &c, 1) == 1 && read(pong[0], &c, 1) == 1, "pipe");
}

static void *pipe_peer(void *arg)
{
	char c;
	while (read(ping[0], &c, 1) == 1)
		if (write(pong[1], &c, 1) != 1)
			break;
	return arg;
}

static void hand_over(uint32_t from, uint32_t to)
{
	while (turn != from)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, to, NULL);
	turn = to;
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void do_futex_pingpong(void)
{
	hand_over(0, 1);
	while (turn != 0)
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, 1, NULL);
}

static void *futex_peer(void *arg)
{
	for (;;)
		hand_over(1, 0);
	return arg;
}

static const struct op {
	const char *name;
	void (*run)(void);
	int batch;
	void *(*peer)(void *);
} ops[] = {
	{"getpid", do_getpid, 1000, NULL},
	{"getppid", do_getppid, 100, NULL},
	{"read_4k", do_read_4k, 100, NULL},
	{"open_close", do_open_close, 50, NULL},
	{"stat", do_stat, 50, NULL},
	{"stat_absent", do_stat_absent, 50, NULL},
	{"mmap_munmap", do_mmap_munmap, 50, NULL},
	{"touch_64m", do_touch_64m, 1, NULL},
	{"fork_exit_wait", do_fork_exit_wait, 1, NULL},
	{"vfork_exec_wait", do_vfork_exec_wait, 1, NULL},
	{"thread_create_join", do_thread_create_join, 1, NULL},
	{"pipe_pingpong", do_pipe_pingpong, 10, pipe_peer},
	{"futex_pingpong", do_futex_pingpong, 10, futex_peer},
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void measure(const struct op *op, int rounds, uint64_t round_ns)
{
	double per_op[64];
	long total = 0;
	pthread_t t;
	if (op->peer)
		must(pthread_create(&t, NULL, op->peer, NULL) == 0, "pthread_create");
	for (int i = 0; i < op->batch; i++)
		op->run();
	for (int r = 0; r < rounds; r++) {
		uint64_t start = now(), end;
		long n = 0;
		do {
			for (int i = 0; i < op->batch; i++)
				op->run();
			n += op->batch;
			end = now();
		} while (end - start < round_ns);
		per_op[r] = (double)(end - start) / (double)n;
		total += n;
	}
	qsort(per_op, (size_t)rounds, sizeof(per_op[0]), by_value);
	printf("%s %.1f %ld\n", op->name, per_op[rounds / 2], total);
	fflush(stdout);
	_exit(0);
}

static int spawn_many(int n, char **argv)
{
	double *took = calloc((size_t)n, sizeof(*took));
	must(took != NULL && n > 0, "spawn");
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), out = dup(1);
	fcntl(out, F_SETFD, FD_CLOEXEC);
	dup2(null, 1);
	for (int i = 0; i < n; i++) {
		uint64_t start = now();
		spawn(argv);
		took[i] = (double)(now() - start);
	}
	dup2(out, 1);
	qsort(took, (size_t)n, sizeof(*took), by_value);
	printf("spawn %.1f %d\n", took[n / 2], n);
	return 0;
}

/* Four kinds of waiting, as in a sandbox of idle servers. */
static void block(int kind)
{
	static uint32_t word;
	struct epoll_event ev;
	int p[2];
	switch (kind) {
	case 0:
		epoll_wait(epoll_create1(0), &ev, 1, -1);
		break;
	case 1:
		syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
		break;
	case 2:
		must(pipe(p) == 0, "pipe");
		must(read(p[0], buf, 1) == 0, "read");
		break;
	default:
		if (fork() == 0)
			for (;;)
				pause();
		wait(NULL);
	}
}

static _Noreturn void idle(int n)
{
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			for (;;)
				block(i % 4);
	printf("idle\n");
	fflush(stdout);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int rounds = 5, ms = 60;
	self = argv[0];
	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "nothing") == 0)
		return 0;
	if (strcmp(argv[1], "idle") == 0)
		idle(argc > 2 ? atoi(argv[2]) : 20);
	if (strcmp(argv[1], "spawn") == 0 && argc > 3)
		return spawn_many(atoi(argv[2]), argv + 3);
	for (int i = 2; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--ms") == 0)
			ms = atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--rounds") == 0)
			rounds = atoi(argv[i + 1]) % 64;
	}
	data_fd = open("data", O_RDONLY | O_CLOEXEC);
	must(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (strcmp(ops[i].name, argv[1]) == 0)
			measure(&ops[i], rounds, (uint64_t)ms * 1000000u);
	fprintf(stderr, "micro: no operation %s\n", argv[1]);
	return 2;
}
