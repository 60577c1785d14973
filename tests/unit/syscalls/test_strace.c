/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch and the trace decoder over a fake task whose memory is this process's own. */
#include "unit.h"
#include <errno.h>
#include <netinet/in.h>
#include <sys/uio.h>
#include <sys/un.h>
#include "sentry/syscalls/strace.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/task.h"
#include "sentry/mm/uaccess.h"

static int64_t result;

/* Handlers that only the test has; the Sentry's own are not linked. */
int64_t sys_openat(struct task *t, const struct sysargs *a)
{
	return result;
}
int64_t sys_read(struct task *t, const struct sysargs *a)
{
	memcpy((void *)a->a[1], "hello\nworld", 11);
	return 11;
}
int64_t sys_execve(struct task *t, const struct sysargs *a)
{
	return result;
}
int64_t sys_mmap(struct task *t, const struct sysargs *a)
{
	return 0x7f0000000000;
}
int64_t sys_connect(struct task *t, const struct sysargs *a)
{
	return -ECONNREFUSED;
}
int64_t sys_wait4(struct task *t, const struct sysargs *a)
{
	return -ERESTARTSYS;
}
int64_t sys_pipe2(struct task *t, const struct sysargs *a)
{
	int fds[2] = {3, 4};

	memcpy((void *)a->a[0], fds, sizeof(fds));
	return 0;
}
int64_t sys_exit_group(struct task *t, const struct sysargs *a)
{
	return 0;
}

int copy_in(struct task *t, void *dst, uaddr_t src, size_t n)
{
	struct iovec to = {dst, n}, from = {(void *)src.v, n};

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}
int64_t copy_in_partial(struct task *t, void *dst, uaddr_t src, size_t n)
{
	return copy_in(t, dst, src, n) ? -EFAULT : (int64_t)n;
}
int64_t copy_in_str(struct task *t, char *dst, uaddr_t src, size_t cap)
{
	for (size_t n = 0; n < cap; n++) {
		if (copy_in(t, dst + n, UADDR(src.v + n), 1))
			return -EFAULT;
		if (!dst[n])
			return (int64_t)n;
	}
	return -ENAMETOOLONG;
}
struct pid_ns *task_pid_ns(const struct task *t)
{
	return NULL;
}
int32_t task_pid_nr(const struct task *t, const struct pid_ns *ns)
{
	return 42;
}

static int out[2];

static const char *trace(uint32_t nr, struct sysargs a)
{
	static char text[8192];
	ssize_t n;

	(void)syscall_dispatch(NULL, nr, &a);
	n = read(out[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = 0;
	return text;
}

#define A(...) ((struct sysargs){{__VA_ARGS__}})
#define U(p) ((uint64_t)(uintptr_t)(p))

static void lines(void **state)
{
	char buf[64];
	const char *argv[] = {"ls", "-l", "a\"b", NULL};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	int fds[2];

	result = -ENOENT;
	in.sin_addr.s_addr = htonl(0x7f000001);
	assert_string_equal(
		trace(NR_openat, A((uint64_t)AT_FDCWD, U("/etc/passwd"), O_RDONLY | O_CLOEXEC, 0)),
		"[   42] openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC, 0) = "
		"-1 ENOENT (No such file or directory)\n");
	assert_string_equal(trace(NR_read, A(3, U(buf), 64)),
			    "[   42] read(3, \"hello\\nworld\", 64)      = 11\n");
	result = 0;
	assert_string_equal(trace(NR_execve, A(U("/bin/ls"), U(argv), 0)),
			    "[   42] execve(\"/bin/ls\", [\"ls\", \"-l\", \"a\\\"b\"], NULL) = 0\n");
	assert_string_equal(
		trace(NR_mmap, A(0, 8192, 3, 0x22, (uint64_t)-1, 0)),
		"[   42] mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = "
		"0x7f0000000000\n");
	assert_string_equal(trace(NR_connect, A(5, U(&in), sizeof(in))),
			    "[   42] connect(5, {sa_family=AF_INET, sin_port=htons(80), "
			    "sin_addr=127.0.0.1}, 16) = -1 ECONNREFUSED (Connection refused)\n");
	assert_string_equal(trace(NR_wait4, A((uint64_t)-1, 0, 0, 0)),
			    "[   42] wait4(-1, NULL, 0, NULL)         = ? ERESTARTSYS "
			    "(To be restarted if SA_RESTART is set)\n");
	assert_string_equal(trace(NR_pipe2, A(U(fds), O_CLOEXEC)),
			    "[   42] pipe2([3, 4], O_RDONLY|O_CLOEXEC) = 0\n");
	assert_string_equal(trace(NR_exit_group, A(7)), "[   42] exit_group(7) = ?\n");
	assert_string_equal(trace(NR_openat, A(3, 17, O_CREAT | O_RDWR, 0644)),
			    "[   42] openat(3, 0x11, O_RDWR|O_CREAT, 0644) = 0\n");
}

static void absent(void **state)
{
	uint64_t before = syscall_enosys_count(NR_bpf), unknown = syscall_enosys_count(NR_LAST);
	struct sysargs a = A(1, 2, 3);

	assert_int_equal(syscall_dispatch(NULL, NR_bpf, &a), -ENOSYS);
	assert_int_equal(syscall_dispatch(NULL, 400, &a), -ENOSYS);
	assert_int_equal(syscall_dispatch(NULL, 0x40000000, &a), -ENOSYS);
	assert_int_equal(syscall_dispatch(NULL, ~0u, &a), -ENOSYS);
	assert_int_equal(syscall_enosys_count(NR_bpf), before + 1);
	assert_int_equal(syscall_enosys_count(NR_LAST), unknown + 3);
	assert_string_equal(syscall_name(NR_file_setattr), "file_setattr");
	assert_string_equal(syscall_name(400), "?");
	assert_true(syscall_needs_regs(NR_clone3));
	assert_false(syscall_needs_regs(NR_read));
}

/* Whatever the arguments, a trace never stops the Sentry. */
static void any_arguments(void **state)
{
	static const uint64_t odd[] = {0, 1, 17, ~0ull, 1ull << 63, 0x80000000, 4095};
	int null = open("/dev/null", O_WRONLY);

	strace_open(null);
	for (uint32_t nr = 0; nr < NR_LAST; nr++)
		for (size_t i = 0; i < array_size(odd); i++) {
			struct sysargs a = A(odd[i], odd[i], odd[i], odd[i], odd[i], odd[i]);

			if (nr != NR_read && nr != NR_pipe2)
				(void)syscall_dispatch(NULL, nr, &a);
		}
	close(null);
}

static int setup(void **state)
{
	if (pipe2(out, O_NONBLOCK))
		return -1;
	strace_open(out[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(absent),
		cmocka_unit_test(any_arguments),
	};
	return cmocka_run_group_tests(t, setup, NULL);
}
