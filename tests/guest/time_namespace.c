/* SPDX-License-Identifier: Apache-2.0 */
/* A time namespace with offsets: by vDSO, by call, across fork, exec and setns, and in a futex. */
#include "guest.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static int64_t host_mono, host_boot;
static int initial, made;

static int64_t now(clockid_t c, bool call)
{
	struct timespec t;
	if ((call ? syscall(SYS_clock_gettime, c, &t) : clock_gettime(c, &t)))
		return -1;
	return t.tv_sec;
}

static void look(const char *who)
{
	int64_t m = now(CLOCK_MONOTONIC, false) - host_mono, b = now(CLOCK_BOOTTIME, false) - host_boot;
	int64_t mc = now(CLOCK_MONOTONIC, true) - host_mono, bc = now(CLOCK_BOOTTIME, true) - host_boot;
	int64_t r = now(CLOCK_MONOTONIC_RAW, false) - now(CLOCK_MONOTONIC_RAW, true);
	printf("%s: %d %d, calls agree %d %d %d\n", who, (int)((m + 50) / 100), (int)((b + 50) / 100),
	       llabs(m - mc) <= 1, llabs(b - bc) <= 1, llabs(r) <= 1);
	fflush(stdout);
}

static uint32_t word;

/* An absolute deadline of the namespace's clock, in a private futex: rule R27. */
static void futex_until(void)
{
	struct timespec at, was, is;
	clock_gettime(CLOCK_MONOTONIC, &was);
	at = was;
	at.tv_nsec += 150000000;
	if (at.tv_nsec >= 1000000000)
		at.tv_nsec -= 1000000000, at.tv_sec++;
	errno = 0;
	long r = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, &at, NULL, ~0u);
	int e = errno;
	clock_gettime(CLOCK_MONOTONIC, &is);
	int64_t ms = (is.tv_sec - was.tv_sec) * 1000 + (is.tv_nsec - was.tv_nsec) / 1000000;
	printf("futex %ld %s %d\n", r, strerrorname_np(e), ms >= 149 && ms < 2000);
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t c;
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&c, &a);
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec++;
	pthread_mutex_lock(&m);
	r = pthread_cond_timedwait(&c, &m, &at);
	clock_gettime(CLOCK_MONOTONIC, &is);
	printf("cond %s %d\n", strerrorname_np((int)r), is.tv_sec - at.tv_sec >= 0 && is.tv_sec - at.tv_sec < 3);
	fflush(stdout);
}

static int in_child(void (*f)(void))
{
	int st;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		f();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &st, 0);
	return st;
}

static void forked(void)
{
	look("forked");
	futex_until();
}

static void back(void)
{
	SHOW_OK(setns(initial, CLONE_NEWTIME));
	SHOW_OK(setns(made, CLONE_NEWTIME));
	look("setns");
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		host_mono = atoll(argv[1]);
		host_boot = atoll(argv[2]);
		look("exec");
		futex_until();
		return 0;
	}
	host_mono = now(CLOCK_MONOTONIC, false);
	host_boot = now(CLOCK_BOOTTIME, false);
	look("start");
	initial = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	SHOW(unshare(CLONE_NEWUSER | CLONE_NEWTIME));
	int fd = open("/proc/self/timens_offsets", O_WRONLY);
	const char text[] = "monotonic 3000 500000000\nboottime -1000 0\n";
	SHOW(write(fd, "monotonic 1 1000000000\n", 23));
	SHOW(write(fd, "monotonic -1000000000 0\n", 24));
	SHOW(write(fd, "monotonic 1\n", 12));
	SHOW(write(fd, "realtime 1 0\n", 13));
	SHOW(write(fd, text, sizeof(text) - 1));
	char buf[128] = "";
	int rd = open("/proc/self/timens_offsets", O_RDONLY);
	SHOW(read(rd, buf, sizeof(buf) - 1));
	close(rd);
	printf("%s", buf);
	look("parent");
	made = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	SHOW(in_child(forked));
	SHOW(write(fd, text, sizeof(text) - 1));
	SHOW(in_child(back));
	char m[32], b[32];
	snprintf(m, sizeof(m), "%lld", (long long)host_mono);
	snprintf(b, sizeof(b), "%lld", (long long)host_boot);
	pid_t pid = vfork();
	if (pid == 0) {
		execl("/proc/self/exe", argv[0], m, b, NULL);
		_exit(99);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("%x\n", st);
	fflush(stdout);
	execl("/proc/self/exe", argv[0], m, b, NULL);
	return 1;
}
