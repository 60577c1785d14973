/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"
#include <errno.h>
#include "host/event.h"
#include "host/file.h"
#include "host/mem.h"
#include "host/proc.h"
#include "host/sock.h"
#include "host/thread.h"
#include "host/time.h"

static void errors_are_negative(void **state)
{
	struct stat st;
	void *p = (void *)1;

	assert_int_equal(h_fstat(-1, &st), -EBADF);
	assert_int_equal(h_openat(AT_FDCWD, "/nonexistent", O_RDONLY, 0), -ENOENT);
	assert_int_equal(h_mmap(&p, NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 -EINVAL);
	assert_ptr_equal(p, (void *)1);
	assert_int_equal(h_getpid(), getpid());
}

static void memory(void **state)
{
	int hfd = h_memfd_create("t", MFD_CLOEXEC);
	void *p = NULL;

	assert_true(hfd >= 0);
	assert_int_equal(h_ftruncate(hfd, 4096), 0);
	assert_int_equal(h_mmap(&p, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, hfd, 0), 0);
	assert_int_equal(h_pwrite(hfd, "abc", 3, 5), 3);
	assert_memory_equal((char *)p + 5, "abc", 3);
	assert_int_equal(h_munmap(p, 4096), 0);
	h_close(hfd);
}

static void descriptors_cross(void **state)
{
	int sv[2], give[2], got[4];
	char text[8];
	unsigned n;

	assert_int_equal(h_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	assert_int_equal(h_pipe2(give, O_CLOEXEC), 0);
	assert_int_equal(h_send_fds(sv[0], "hi", 2, give, 2, 0), 2);
	assert_int_equal(h_recv_fds(sv[1], text, sizeof(text), got, 4, &n, 0), 2);
	assert_int_equal(n, 2);
	assert_int_equal(h_write(got[1], "x", 1), 1);
	assert_int_equal(h_read(give[0], text, 1), 1);
	assert_int_equal(h_fcntl(got[0], F_GETFD, 0), FD_CLOEXEC);
	/* One more than wanted: all are closed. */
	assert_int_equal(h_send_fds(sv[0], "hi", 2, give, 2, 0), 2);
	assert_int_equal(h_recv_fds(sv[1], text, sizeof(text), got, 1, &n, 0), -EPROTO);
	assert_int_equal(n, 0);
	h_close(sv[0]);
	assert_int_equal(h_recv_fds(sv[1], text, sizeof(text), got, 1, &n, 0), 0);
	h_close_range(3, ~0u, 0);
}

static uint32_t word;

static void waker(void *arg)
{
	uint64_t mask;

	(void)!h_sigprocmask(SIG_BLOCK, NULL, &mask);
	__atomic_store_n((uint64_t *)arg, mask, __ATOMIC_RELEASE);
	__atomic_store_n(&word, 1, __ATOMIC_RELEASE);
	h_futex_wake(&word, 1);
}

static void threads_block_signals(void **state)
{
	uint64_t mask = 0, mine;
	int64_t start = h_now();
	struct timespec ts = h_timespec(start + 20000000);

	word = 0;
	assert_int_equal(h_futex_wait_until(&word, 0, &ts), -ETIMEDOUT);
	assert_true(h_now() - start >= 20000000);
	assert_int_equal(h_thread_spawn(waker, &mask, 0), 0);
	while (!__atomic_load_n(&word, __ATOMIC_ACQUIRE))
		h_futex_wait(&word, 0, NULL);
	/* all but what cannot be (KILL, STOP, two of libc's) and what the CPU or a filter raises */
	const uint64_t never = 1ull << 8 | 1ull << 18 | 7ull << 31;
	const uint64_t open = 1ull << 3 | 1ull << 4 | 1ull << 6 | 1ull << 7 | 1ull << 10 | 1ull << 30;
	assert_true((mask | never) == ~open);
	(void)!h_sigprocmask(SIG_BLOCK, NULL, &mine);
	assert_int_equal(mine, 0);
}

int main(void)
{
	const struct CMUnitTest t[] = {
		cmocka_unit_test(errors_are_negative),
		cmocka_unit_test(memory),
		cmocka_unit_test(descriptors_cross),
		cmocka_unit_test(threads_block_signals),
	};
	return cmocka_run_group_tests(t, NULL, NULL);
}
