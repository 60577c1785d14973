/* SPDX-License-Identifier: Apache-2.0 */
/* A filter on one of four threads that share a mutex; the others are not touched. */
#include "guest.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t c = PTHREAD_COND_INITIALIZER;
static int counter, ready;

static int install(uint32_t nr, uint32_t action)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = {sizeof(f) / sizeof(f[0]), f};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p);
}

static volatile int sys_nr, sys_code;

static void on_sys(int sig, siginfo_t *si, void *uc)
{
	sys_nr = si->si_syscall;
	sys_code = si->si_code;
}

static void *worker(void *arg)
{
	long filtered = (long)arg == 2;
	if (filtered && install(SYS_getppid, SECCOMP_RET_ERRNO | 77))
		return (void *)-1;
	pthread_mutex_lock(&m);
	ready++;
	pthread_cond_broadcast(&c);
	while (ready < 4)
		pthread_cond_wait(&c, &m);
	pthread_mutex_unlock(&m);
	long bad = 0;
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&m);
		counter++;
		pthread_mutex_unlock(&m);
		if (i % 100 == 0) {
			errno = 0;
			long r = syscall(SYS_getppid);
			bad += filtered ? r != -1 || errno != 77 : r < 0;
			bad += syscall(SYS_getpid) != getpid();
		}
	}
	return (void *)bad;
}

static void in_child(uint32_t nr, uint32_t action)
{
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		struct sigaction sa = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};
		sigaction(SIGSYS, &sa, NULL);
		if (install(nr, action))
			_exit(99);
		errno = 0;
		long r = syscall((long)nr);
		if (action == SECCOMP_RET_TRAP)
			printf("trap nr %d code %d\n", sys_nr == (int)nr, sys_code);
		else
			printf("r %d errno %d\n", r > 0, errno);
		fflush(stdout);
		/* filters are inherited */
		if (fork() == 0) {
			errno = 0;
			syscall((long)nr);
			_exit(errno);
		}
		int st = 0;
		wait(&st);
		_exit(WEXITSTATUS(st) & 127);
	}
	int st;
	waitpid(pid, &st, 0);
	printf("status %x\n", st & ~0x80);
}

int main(void)
{
	pthread_t t[4];
	for (long i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, (void *)i);
	for (int i = 0; i < 4; i++) {
		void *r;
		pthread_join(t[i], &r);
		printf("bad %ld\n", (long)r);
	}
	printf("counter %d\n", counter);
	SHOW(prctl(PR_GET_SECCOMP));
	in_child(SYS_getppid, SECCOMP_RET_ERRNO | 5);
	in_child(SYS_getppid, SECCOMP_RET_TRAP);
	in_child(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	in_child(SYS_getppid, SECCOMP_RET_ALLOW);
	in_child(SYS_getpid, SECCOMP_RET_ERRNO | 6);
	SHOW(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8));
	SHOW(syscall(SYS_seccomp, 99, 0, NULL));
	uint32_t act = SECCOMP_RET_ERRNO;
	SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &act));
	DONE();
}
