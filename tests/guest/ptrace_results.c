/* SPDX-License-Identifier: Apache-2.0 */
/* What a call has put into the tracee's memory is there at its exit stop, and when it is stopped. */
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include "guest.h"

static char buf[64];
static int fds[2];

static void tracee(void)
{
	struct utsname u;

	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (int i = 0; i < 3; i++) {
		memset(buf, 0, sizeof(buf));
		if (write(fds[1], &"pipes of"[i], 4) < 0 || read(fds[0], buf, 4) < 0)
			_exit(1);
		syscall(SYS_uname, &u);
	}
	syscall(SYS_getcwd, buf, sizeof(buf));
	syscall(SYS_kill, getpid(), SIGUSR1);
	_exit(0);
}

static void peek(pid_t p, uint64_t addr, size_t n)
{
	char got[65] = "";
	struct iovec l = {got, n}, r = {(void *)addr, n};

	if (process_vm_readv(p, &l, 1, &r, 1, 0) < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("%s\n", got);
}

int main(void)
{
	struct user_regs_struct r;
	bool out = false;
	int st;
	pid_t p;

	CHECK(pipe(fds) == 0 && chdir("/tmp") == 0);
	p = fork();
	if (p == 0)
		tracee();
	waitpid(p, &st, 0);
	ptrace(PTRACE_SETOPTIONS, p, 0, PTRACE_O_TRACESYSGOOD);
	while (ptrace(PTRACE_SYSCALL, p, 0, WSTOPSIG(st) == SIGUSR1 ? SIGUSR1 : 0) == 0) {
		waitpid(p, &st, 0);
		if (WIFEXITED(st) || WIFSIGNALED(st))
			break;
		if (WSTOPSIG(st) != (SIGTRAP | 0x80)) {
			printf("signal %d: ", WSTOPSIG(st));
			peek(p, (uint64_t)buf, 5);
			continue;
		}
		out = !out;
		ptrace(PTRACE_GETREGS, p, 0, &r);
		if (out)
			continue;
		if (r.orig_rax == SYS_read)
			peek(p, r.rsi, 4);
		else if (r.orig_rax == SYS_uname)
			peek(p, r.rdi, 5);
		else if (r.orig_rax == SYS_getcwd)
			peek(p, r.rdi, 5);
	}
	printf("%d %d\n", WIFSIGNALED(st), WTERMSIG(st));
	DONE();
}
