/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that never answer a stop: others of their process exec, exit, fork or are killed. */
#include "hostile.h"
#include <pthread.h>
#include <ucontext.h>

static void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

/* All signals masked by a frame of our own, then computing for ever. */
static void *deaf(void *arg)
{
	static __thread struct {
		ucontext_t uc;
		char more[8192];
	} f;
	memset(&f, 0, sizeof(f));
	greg_t *g = f.uc.uc_mcontext.gregs;
	g[REG_RIP] = (greg_t)spin;
	g[REG_RSP] = (greg_t)(f.more + 4096);
	g[REG_EFL] = 0x202;
	g[REG_CSGSFS] = (greg_t)0x002b000000000033;
	memset(&f.uc.uc_sigmask, 0xff, sizeof(f.uc.uc_sigmask));
	__asm__ volatile("mov %0, %%rsp; jmp *%1" ::"r"(&f), "r"(IP_SIGRET - 2ul), "a"(15));
	return arg;
}

static void on(int sig)
{
}

int main(void)
{
	for (int how = 0; how < 6; how++) {
		double start = now_s();
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t t;
			signal(SIGUSR1, on);
			pthread_create(&t, NULL, deaf, NULL);
			usleep(50000);
			if (how == 0)
				_exit(0);
			if (how == 1)
				execl("/usr/bin/true", "true", NULL);
			if (how == 2)
				pthread_kill(t, SIGUSR1);
			if (how == 3)
				pthread_kill(t, SIGTERM);
			if (how == 5 && fork() == 0)
				_exit(0);
			usleep(100000);
			pause();
		}
		usleep(400000);
		if (how == 4)
			kill(pid, SIGSTOP), usleep(100000);
		char path[64], b[4096];
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		int fd = open(path, O_RDONLY);
		read(fd, b, sizeof(b));
		close(fd);
		kill(pid, SIGKILL);
		int st;
		waitpid(pid, &st, 0);
		printf("%d ended %s\n", how, now_s() - start < 45 ? "in time" : "late");
		fflush(stdout);
	}
	return 0;
}
