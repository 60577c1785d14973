/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of the dead are nobody's for a while; the words of SETTID are there before anyone runs. */
#include "guest.h"
#include <pthread.h>
#include <sched.h>

static void *tid_of(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

static volatile int sets;
static pid_t parent_word, child_word;

static int child(void *arg)
{
	pid_t me = (pid_t)syscall(SYS_gettid);
	sets = parent_word == me && child_word == me;
	return 0;
}

int main(void)
{
	pid_t last = 0, tid;
	int reused = 0;
	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
		reused += pid == last;
		last = pid;
		CHECK(kill(pid, 0) == -1 && errno == ESRCH);
	}
	printf("reused %d\n", reused);
	for (int i = 0; i < 200; i++) {
		pthread_t t;
		pthread_create(&t, NULL, tid_of, &tid);
		pthread_join(t, NULL);
		CHECK(tid != getpid());
	}
	static char stack[65536] __attribute__((aligned(16)));
	for (int i = 0; i < 200; i++) {
		parent_word = child_word = 0;
		sets = 0;
		pid_t pid = clone(child, stack + sizeof(stack),
				  CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID |
					  SIGCHLD,
				  NULL, &parent_word, NULL, &child_word);
		CHECK(pid > 0 && parent_word == pid && sets);
		waitpid(pid, NULL, 0);
	}
	/* CLEARTID in a process of its own: stored and woken at exit */
	child_word = 1;
	pid_t pid = clone(child, stack + sizeof(stack),
			  CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &child_word);
	while (*(volatile pid_t *)&child_word)
		syscall(SYS_futex, &child_word, 0, 1, NULL);
	printf("cleared %d\n", child_word);
	waitpid(pid, NULL, 0);
	/* a thread of another process is no process */
	int p[2];
	pipe(p);
	pid = fork();
	if (pid == 0) {
		pthread_t t;
		pthread_create(&t, NULL, tid_of, &tid);
		pthread_join(t, NULL);
		write(p[1], &tid, sizeof(tid));
		pause();
	}
	read(p[0], &tid, sizeof(tid));
	CHECK(tid != pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	SHOW(syscall(SYS_tgkill, pid, pid, 0));
	DONE();
}
