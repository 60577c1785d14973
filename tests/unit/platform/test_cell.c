/* SPDX-License-Identifier: Apache-2.0 */
/* The cell platform with tiny guests loaded by hand; this file plays the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "host/thread.h"
#include "lib/log.h"
#include "platform/platform.h"

#define CODE 0x400000ull
#define STACK 0x7f0000000000ull
#define BLOB(n)                                                                                    \
	extern const char guest_##n[], guest_##n##_end[]
BLOB(hello);
BLOB(loop);
BLOB(spin);
BLOB(sites);
BLOB(calls);
BLOB(segv);
BLOB(fork);
BLOB(evil);

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static void map(pl_thread_t t, uint64_t addr, uint64_t len, int prot)
{
	struct pl_op op = {.kind = PL_OP_MAP_ANON, .addr = addr, .len = len, .prot = prot};

	assert_int_equal(pl_op(t, &op), 0);
}

static void load(pl_space_t *s, pl_thread_t *t, const char *lo, const char *hi, uint64_t arg)
{
	struct l_regs r = {.rip = CODE, .rsp = STACK + 0x8000, .rdi = arg, .eflags = 0x202};

	assert_int_equal(pl_space_create(s, t), 0);
	map(*t, CODE, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC);
	map(*t, STACK, 0x10000, PROT_READ | PROT_WRITE);
	assert_int_equal(pl_copy_out(*t, CODE, lo, (size_t)(hi - lo)), hi - lo);
	pl_set_regs(*t, &r);
}
#define LOAD(s, t, n, arg) load(s, t, guest_##n, guest_##n##_end, arg)

static void test_hello(void **state)
{
	struct pl_event ev;
	pl_space_t s;
	pl_thread_t t;
	char text[64];

	LOAD(&s, &t, hello, 0);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.kind, PL_EV_SYSCALL);
	assert_int_equal(ev.nr, SYS_write);
	assert_int_equal(ev.args[2], 6);
	assert_int_equal(pl_copy_in(t, text, ev.args[1], 6), 6);
	assert_memory_equal(text, "hello\n", 6);
	assert_int_equal(pl_copy_in(t, text, 0x300000, 6), 0);
	pl_set_result(t, 6);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.nr, SYS_exit);
	assert_int_equal(ev.args[0], 6);
	pl_thread_put(t, true, true);
}

static void test_memory(void **state)
{
	struct pl_op op = {.kind = PL_OP_MAP_FILE, .addr = 0x500000, .len = 0x2000,
			   .prot = PROT_READ, .flags = MAP_PRIVATE};
	static char buf[40000], back[40000];
	pl_space_t s;
	pl_thread_t t;
	uint32_t seen;

	LOAD(&s, &t, hello, 0);
	op.hfd = memfd_create("x", 0);
	assert_int_equal(ftruncate(op.hfd, 0x2000), 0);
	assert_int_equal(pwrite(op.hfd, "file", 5, 0x1000), 5);
	assert_int_equal(pl_op(t, &op), 0);
	assert_int_equal(pl_copy_in_str(t, back, 0x501000, 64), 5);
	assert_string_equal(back, "file");
	assert_int_equal(pl_copy_out(t, 0x501000, "x", 1), 1);
	assert_int_equal(pl_copy_out(t, STACK, "y", 1), 1);
	assert_int_equal(pl_flush(t), -EFAULT);
	assert_int_equal(pl_copy_in(t, back, STACK, 1), 1);
	assert_int_equal(back[0], 'y');
	op = (struct pl_op){.kind = PL_OP_MREMAP, .old_addr = 0x500000, .old_len = 0x2000,
			    .addr = 0x600000, .len = 0x2000};
	assert_int_equal(pl_op(t, &op), 0);
	assert_int_equal(pl_copy_in_str(t, back, 0x501000, 64), 0);
	assert_int_equal(pl_copy_in_str(t, back, 0x601000, 64), 5);
	op = (struct pl_op){.kind = PL_OP_UNMAP, .addr = 0x600000, .len = 0x2000};
	assert_int_equal(pl_op(t, &op), 0);
	assert_int_equal(pl_copy_in_str(t, back, 0x601000, 64), 0);
	/* copies across a bounce area; a short one stops at the fault */
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7);
	map(t, 0x700000, 40960, PROT_READ | PROT_WRITE);
	assert_int_equal(pl_copy_out(t, 0x700000, buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(pl_copy_in(t, back, 0x700000, sizeof(back)), sizeof(back));
	assert_memory_equal(buf, back, sizeof(buf));
	assert_int_equal(pl_copy_in(t, back, 0x700000 + 40000, 4000), 960);
	assert_int_equal(pl_atomic32(t, PL_CMPXCHG, 0x700000, 0, 1, &seen), 0);
	assert_int_equal(pl_atomic32(t, PL_LOAD, 0x300000, 0, 0, &seen), -EFAULT);
	/* longer than GUARD: by order */
	map(t, 0x10000000000, 0x20000000000, PROT_NONE);
	op = (struct pl_op){.kind = PL_OP_UNMAP, .addr = 0x10000000000, .len = 0x20000000000};
	assert_int_equal(pl_op(t, &op), 0);
	pl_thread_put(t, true, true);
}

static void test_fault(void **state)
{
	struct pl_event ev;
	struct l_regs r;
	pl_space_t s;
	pl_thread_t t;

	LOAD(&s, &t, segv, 0);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.kind, PL_EV_FAULT);
	assert_int_equal(ev.fault.signo, SIGSEGV);
	assert_int_equal(ev.fault.code, SEGV_MAPERR);
	assert_int_equal(ev.fault.addr, 0x1234000);
	pl_get_regs(t, &r);
	assert_int_equal(r.rip, CODE + 5);
	r.rip += 2;
	pl_set_regs(t, &r);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.kind, PL_EV_FAULT);
	assert_int_equal(ev.fault.signo, SIGSEGV);
	pl_get_regs(t, &r);
	assert_int_equal(r.rip, CODE + 7);
	pl_space_kill(s);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.kind, PL_EV_GONE);
	pl_thread_put(t, true, true);
}

static pl_thread_t kick_me;
static void kicker(void *arg)
{
	usleep(50000);
	pl_kick(kick_me);
}

static void test_kick(void **state)
{
	struct pl_event ev;
	pl_space_t s;
	pl_thread_t t;

	LOAD(&s, &t, spin, 0);
	kick_me = t;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(h_thread_spawn(kicker, NULL, 0), 0);
		assert_int_equal(pl_run(t, &ev), 0);
		assert_int_equal(ev.kind, PL_EV_INTR);
	}
	pl_kick(t);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.kind, PL_EV_INTR);
	pl_thread_put(t, true, true);
}

static void test_fork(void **state)
{
	struct pl_event ev;
	struct l_regs r;
	pl_space_t s, s2;
	pl_thread_t t, t2;

	LOAD(&s, &t, fork, 0);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.nr, SYS_fork);
	pl_get_regs(t, &r);
	r.rax = 0;
	assert_int_equal(pl_space_fork(t, &r, &s2, &t2), 0);
	pl_set_result(t, 7);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.nr, SYS_exit);
	assert_int_equal(ev.args[0], 7);
	pl_thread_put(t, true, true);
	assert_int_equal(pl_run(t2, &ev), 0);
	assert_int_equal(ev.nr, SYS_exit);
	assert_int_equal(ev.args[0], 0);
	pl_thread_put(t2, true, true);
}

/* Threads run one after the other here; each has registers, a base and an end of its own. */
static void test_threads(void **state)
{
	enum { N = 300 };
	static pl_thread_t th[N];
	struct pl_event ev;
	struct l_regs r, got;
	pl_space_t s;
	pl_thread_t t;

	LOAD(&s, &t, loop, 1);
	assert_int_equal(pl_run(t, &ev), 0);
	for (int round = 0; round < 3; round++) {
		pl_get_regs(t, &r);
		r.rip = CODE;
		for (int i = 0; i < N; i++) {
			r.rdi = 1;
			r.rsp = STACK + 0x4000;
			r.rbx = (uint64_t)i;
			r.fs_base = STACK + 8ull * (uint64_t)i;
			assert_int_equal(pl_thread_create(t, &r, &th[i]), 0);
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(pl_run(th[i], &ev), 0);
			assert_int_equal(ev.kind, PL_EV_SYSCALL);
			assert_int_equal(ev.nr, SYS_getpid);
			pl_get_regs(th[i], &got);
			assert_int_equal(got.rbx, i);
			assert_int_equal(got.fs_base, STACK + 8ull * (uint64_t)i);
			assert_int_equal(got.gs_base, 0);
			pl_set_result(th[i], 5);
			assert_int_equal(pl_run(th[i], &ev), 0);
			assert_int_equal(ev.nr, SYS_exit);
		}
		for (int i = 0; i < N; i++)
			pl_thread_put(th[i], false, false);
	}
	/* a fork from a thread that is not the first one */
	assert_int_equal(pl_thread_create(t, &r, &th[0]), 0);
	assert_int_equal(pl_run(th[0], &ev), 0);
	pl_thread_put(t, false, false);
	pl_space_t s2;
	pl_get_regs(th[0], &r);
	assert_int_equal(pl_space_fork(th[0], &r, &s2, &t), 0);
	pl_thread_put(th[0], true, true);
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.nr, SYS_exit);
	pl_thread_put(t, true, true);
}

static void test_recycle(void **state)
{
	struct pl_event ev;
	struct l_regs r;
	pl_space_t s;
	pl_thread_t t, t2;
	char c;

	for (int i = 0; i < 50; i++) {
		LOAD(&s, &t, hello, 0);
		assert_int_equal(pl_copy_in(t, &c, 0x900000, 1), 0);
		map(t, 0x900000, 0x1000, PROT_READ);
		assert_int_equal(pl_run(t, &ev), 0);
		pl_get_regs(t, &r);
		assert_int_equal(r.rbx, 0);
		assert_int_equal(r.fs_base, 0);
		r.rbx = r.fs_base = 0x1234;
		pl_set_regs(t, &r);
		assert_int_equal(pl_run(t, &ev), 0);
		if (i % 3 == 0) {
			assert_int_equal(pl_thread_create(t, &r, &t2), 0);
			pl_thread_put(t, false, false);
			t = t2;
		}
		pl_thread_put(t, true, i % 2);
	}
}

static void test_mem(void **state)
{
	struct pl_event ev;
	pl_space_t s;
	pl_thread_t t;
	char text[16];

	for (int i = 0; i < 20; i++) {
		LOAD(&s, &t, hello, 0);
		assert_int_equal(pl_space_read(s, text, CODE, 5), -ENXIO);
		assert_int_equal(pl_mem_open(t), 0);
		assert_int_equal(pl_space_read(s, text, CODE, 5), 5);
		assert_memory_equal(text, guest_hello, 5);
		assert_int_equal(pl_space_write(s, STACK, "abc", 4), 4);
		assert_int_equal(pl_copy_in_str(t, text, STACK, 16), 4);
		assert_string_equal(text, "abc");
		assert_int_equal(pl_space_read(s, text, 0x70000, 5), -EFAULT);
		assert_int_equal(pl_space_read(s, text, 0x300000, 5), -EFAULT);
		assert_int_equal(pl_run(t, &ev), 0);
		assert_true(pl_space_cputime(s) > 0);
		assert_true(pl_space_cputime(s) < 1000000000);
		pl_thread_put(t, true, true);
	}
}

static void test_evil(void **state)
{
	struct pl_event ev;
	pl_space_t s;
	pl_thread_t t;

	LOAD(&s, &t, evil, 0);
	/* numbers outside the site's list come as system calls, the rest as EPERM */
	for (;;) {
		assert_int_equal(pl_run(t, &ev), 0);
		assert_int_equal(ev.kind, PL_EV_SYSCALL);
		if (ev.nr == SYS_exit && ev.args[0] != 1)
			break;
		pl_set_result(t, -EPERM);
	}
	assert_int_equal(ev.args[0], 0);
	pl_thread_put(t, true, true);
}

static int may_patch(pl_thread_t t, uint64_t page)
{
	return page == CODE ? PROT_READ | PROT_EXEC : -EPERM;
}

/* Maps the guest as text, so that its sites are patched. */
static void load_text(pl_space_t *s, pl_thread_t *t, const char *lo, const char *hi, uint64_t arg)
{
	struct pl_op op = {.kind = PL_OP_PROTECT, .addr = CODE, .len = 0x1000,
			   .prot = PROT_READ | PROT_EXEC};

	load(s, t, lo, hi, arg);
	assert_int_equal(pl_op(*t, &op), 0);
}

static void test_sites(void **state)
{
	const struct pl_ids ids = {.pid = 1234};
	const int n = 2000;
	unsigned traps = 0;
	struct pl_event ev;
	struct l_regs r;
	pl_space_t s, s2;
	pl_thread_t t, t2;

	load_text(&s, &t, guest_sites, guest_sites_end, (uint64_t)n);
	for (int i = 0; i < n; i++) {
		for (unsigned nr = 110; nr;) {
			assert_int_equal(pl_run(t, &ev), 0);
			assert_int_equal(ev.kind, PL_EV_SYSCALL);
			traps += pl_has_full_state(t);
			if (ev.nr == SYS_getpid) {
				pl_set_result(t, 1234);
				pl_set_ids(t, &ids);
				continue;
			}
			if (ev.nr != nr)
				print_message("round %d nr %u want %u arg %lu\n", i, ev.nr, nr,
					      ev.args[0]);
			assert_int_equal(ev.nr, nr);
			assert_int_equal(ev.args[1], 2);
			pl_set_result(t, nr == 110 ? 77 : nr == 96 ? 78 : -5);
			if (i % 7 == 3 && nr == 96) {
				pl_get_regs(t, &r);
				assert_int_equal(r.rbx, 0x1111);
				assert_int_equal(r.rax, 78);
				assert_int_equal(r.orig_rax, 96);
				assert_int_equal(r.rcx, r.rip);
				if (i % 2)
					pl_set_regs(t, &r);
			}
			if (i == 1000 && nr == 110) {
				pl_get_regs(t, &r);
				assert_int_equal(pl_space_fork(t, &r, &s2, &t2), 0);
			}
			nr = nr == 110 ? 96 : nr == 96 ? 97 : 0;
		}
	}
	assert_int_equal(pl_run(t, &ev), 0);
	assert_int_equal(ev.nr, SYS_exit);
	assert_int_equal(ev.args[0], 1234);
	assert_true(traps < 20);
	pl_thread_put(t, true, true);
	/* the child has inherited patched text; unpatched, it goes on */
	assert_int_equal(pl_run(t2, &ev), 0);
	assert_int_equal(ev.nr, 96);
	assert_false(pl_has_full_state(t2));
	struct pl_op op = {.kind = PL_OP_PROTECT, .addr = CODE, .len = 0x1000,
			   .prot = PROT_READ | PROT_EXEC | PROT_WRITE};
	static char text[4096];

	pl_set_result(t2, 78);
	assert_int_equal(pl_op(t2, &op), 0);
	assert_int_equal(pl_unpatch(t2, CODE, 0x1000), 0);
	assert_int_equal(pl_copy_in(t2, text, CODE, (size_t)(guest_sites_end - guest_sites)),
			 guest_sites_end - guest_sites);
	assert_memory_equal(text, guest_sites, guest_sites_end - guest_sites);
	pl_get_regs(t2, &r);
	pl_thread_put(t2, true, true);
}

static volatile bool storm;
static void kick_storm(void *arg)
{
	while (storm) {
		pl_kick(kick_me);
		usleep(20);
	}
	storm = true;
}

/* Interrupts against patched and in-cell calls: what is shown is always the guest's own code. */
static void test_storm(void **state)
{
	const struct pl_ids ids = {.pid = 1234};
	unsigned intr = 0, calls = 0, mid = 0;
	struct pl_event ev;
	struct l_regs r;
	pl_space_t s;
	pl_thread_t t;

	load_text(&s, &t, guest_calls, guest_calls_end, 0);
	pl_set_ids(t, &ids);
	kick_me = t;
	storm = true;
	assert_int_equal(h_thread_spawn(kick_storm, NULL, 0), 0);
	while (intr < 3000) {
		assert_int_equal(pl_run(t, &ev), 0);
		if (ev.kind == PL_EV_SYSCALL) {
			calls++;
			assert_true(ev.nr == 110 || ev.nr == 39);
			pl_set_result(t, ev.nr == 110 ? 110 : 1234);
			continue;
		}
		assert_int_equal(ev.kind, PL_EV_INTR);
		intr++;
		pl_get_regs(t, &r);
		assert_true(r.rip >= CODE && r.rip < CODE + 16);
		assert_false(r.eflags & 0x100);
		if (r.rip == CODE + 7)
			assert_true(r.rax == 110 || r.rax == 39);
		if (r.rip == CODE + 14)
			assert_int_equal(r.rax, 1234);
		mid += r.rip != CODE + 7;
		if (intr % 3 == 0)
			pl_set_regs(t, &r);
	}
	storm = false;
	while (!storm)
		usleep(100);
	print_message("%u interrupts (%u not behind a call), %u calls\n", intr, mid, calls);
	pl_thread_put(t, true, true);
}

static void test_speed(void **state)
{
	const uint64_t n = 20000;
	struct pl_event ev;
	pl_space_t s;
	pl_thread_t t;
	int64_t t0, t1;

	LOAD(&s, &t, loop, n);
	t0 = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		assert_int_equal(pl_run(t, &ev), 0);
		pl_set_result(t, 1);
	}
	t1 = now_ns();
	print_message("system call round trip: %ld ns\n", (long)((t1 - t0) / (int64_t)n));
	pl_thread_put(t, true, true);
	load_text(&s, &t, guest_calls, guest_calls_end, 0);
	t0 = now_ns();
	for (uint64_t i = 0; i < 10 * n; i++) {
		assert_int_equal(pl_run(t, &ev), 0);
		pl_set_result(t, 1);
	}
	t1 = now_ns();
	print_message("patched round trip: %ld ns\n", (long)((t1 - t0) / (int64_t)n / 10));
	pl_thread_put(t, true, true);
	t0 = now_ns();
	for (int i = 0; i < 200; i++) {
		assert_int_equal(pl_space_create(&s, &t), 0);
		pl_thread_put(t, true, true);
	}
	print_message("blank space, made and ended: %ld us\n",
		      (long)((now_ns() - t0) / 200000));
}

static int setup(void **state)
{
	static char path[512];
	struct pl_boot boot = {.ncpus = 2, .may_patch = may_patch, .debug = getenv("PL_DEBUG") != NULL};
	ssize_t n = readlink("/proc/self/exe", path, 400);

	if (n < 0)
		return -1;
	strcpy(strstr(path, "/tests/"), "/src/platform/cell/stub/brig-cell");
	log_open(2, boot.debug ? LOG_DEBUG : LOG_WARN, "test");
	boot.cell_hfd = open(path, O_RDONLY | O_CLOEXEC);
	n = pl_init(&boot);
	if (n)
		print_error("pl_init: %d\n", (int)n);
	return n ? -1 : 0;
}

static int teardown(void **state)
{
	pl_shutdown();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello), cmocka_unit_test(test_memory),
		cmocka_unit_test(test_fault), cmocka_unit_test(test_kick),
		cmocka_unit_test(test_threads), cmocka_unit_test(test_recycle),
		cmocka_unit_test(test_mem),
		cmocka_unit_test(test_fork),  cmocka_unit_test(test_evil),
		cmocka_unit_test(test_sites), cmocka_unit_test(test_storm),
		cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
