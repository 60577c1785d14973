/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd, timerfd, signalfd, memfd. */
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include "guest.h"

static short ready(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void events(void)
{
	uint64_t v = 5;
	int e = eventfd(3, EFD_NONBLOCK);

	printf("%x\n", ready(e));
	SHOW(read(e, &v, 8));
	printf("%lu\n", (unsigned long)v);
	SHOW(read(e, &v, 8));
	SHOW(read(e, &v, 4));
	v = UINT64_MAX;
	SHOW(write(e, &v, 8));
	v = UINT64_MAX - 1;
	SHOW(write(e, &v, 8));
	printf("%x\n", ready(e));
	v = 1;
	SHOW(write(e, &v, 8));
	close(e);
	e = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	SHOW(read(e, &v, 8));
	printf("%lu\n", (unsigned long)v);
	SHOW(read(e, &v, 8));
	SHOW(read(e, &v, 8));
	SHOW(eventfd(0, 12345));
	close(e);
	e = eventfd(0, 0);
	if (fork() == 0) {
		usleep(20000);
		v = 9;
		write(e, &v, 8);
		_exit(0);
	}
	SHOW(read(e, &v, 8));
	printf("%lu\n", (unsigned long)v);
	wait(NULL);
	close(e);
}

static void timers(void)
{
	struct itimerspec its = {.it_value.tv_nsec = 20000000}, old;
	int t = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t n;

	SHOW(timerfd_settime(t, 0, &its, NULL));
	printf("%x\n", ready(t));
	SHOW(read(t, &n, 8));
	printf("%lu\n", (unsigned long)n);
	SHOW(timerfd_gettime(t, &old));
	printf("%ld %ld\n", (long)old.it_value.tv_sec, (long)old.it_value.tv_nsec);
	its.it_interval.tv_nsec = 10000000;
	SHOW(timerfd_settime(t, 0, &its, &old));
	usleep(65000);
	SHOW(read(t, &n, 8));
	CHECK(n >= 5 && n < 100);
	SHOW(timerfd_gettime(t, &old));
	CHECK(old.it_interval.tv_nsec == 10000000 && old.it_value.tv_nsec <= 10000000);
	its = (struct itimerspec){0};
	SHOW(timerfd_settime(t, 0, &its, &old));
	CHECK(old.it_interval.tv_nsec == 10000000);
	fcntl(t, F_SETFL, O_NONBLOCK);
	SHOW(read(t, &n, 8));
	clock_gettime(CLOCK_MONOTONIC, &its.it_value);
	its.it_value.tv_sec -= 1;
	SHOW(timerfd_settime(t, TFD_TIMER_ABSTIME, &its, NULL));
	usleep(5000);
	SHOW(read(t, &n, 8));
	its.it_value.tv_nsec = 2000000000;
	SHOW(timerfd_settime(t, 0, &its, NULL));
	SHOW(timerfd_settime(0, 0, &its, NULL));
	SHOW(timerfd_create(77, 0));
	SHOW(timerfd_create(CLOCK_REALTIME, 77));
}

static void signals(void)
{
	struct signalfd_siginfo si;
	sigset_t m;
	int s, st;

	sigemptyset(&m), sigaddset(&m, SIGUSR1), sigaddset(&m, SIGCHLD), sigaddset(&m, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &m, NULL);
	s = signalfd(-1, &m, SFD_NONBLOCK);
	SHOW(read(s, &si, sizeof(si)));
	kill(getpid(), SIGUSR1);
	printf("%x\n", ready(s));
	SHOW(read(s, &si, sizeof(si)));
	printf("%u %d %d %d\n", si.ssi_signo, si.ssi_code, si.ssi_pid == (uint32_t)getpid(), si.ssi_uid == getuid());
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42});
	SHOW(read(s, &si, sizeof(si)));
	printf("%u %d %d\n", si.ssi_signo, si.ssi_code, si.ssi_int);
	fcntl(s, F_SETFL, 0);
	pid_t pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(7);
	}
	SHOW(read(s, &si, sizeof(si)));
	printf("%u %d %d %d\n", si.ssi_signo, si.ssi_code, si.ssi_status, si.ssi_pid == (uint32_t)pid);
	wait(&st);
	SHOW(read(s, &si, 10));
	SHOW(signalfd(0, &m, 0));
}

static void memory_files(void)
{
	char buf[8] = "";
	int m = memfd_create("name", MFD_ALLOW_SEALING);
	struct stat st;

	SHOW(write(m, "hello", 5));
	SHOW(lseek(m, 0, SEEK_SET));
	SHOW(read(m, buf, 8));
	SHOW(fstat(m, &st));
	printf("%o %ld\n", st.st_mode & S_IFMT, (long)st.st_size);
	SHOW(fcntl(m, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
	SHOW(fcntl(m, F_GET_SEALS));
	SHOW(ftruncate(m, 2));
	SHOW(ftruncate(m, 20));
	SHOW(pwrite(m, "J", 1, 0));
	SHOW(memfd_create("x", 0x4000));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	events();
	timers();
	signals();
	memory_files();
	DONE();
}
