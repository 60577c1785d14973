/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks without a guest: scripts, ELF headers, BPF, process numbers, signals. */
#include "unit.h"
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include "sentry/core/charge.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/task/bpf.h"
#include "sentry/task/elf.h"
#include "sentry/task/exec.h"
#include "sentry/task/task_i.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/names.h"

static struct task *me;

static void evict(unsigned n)
{
	(void)n;
}

/* Where the sanitizers keep nothing of theirs. */
#ifdef __SANITIZE_THREAD__
#define FAKE_BASE 0x4000000000ull
#else
#define FAKE_BASE 0x200000000000ull
#endif

static int setup(void **state)
{
	struct init_params p = {.umask = 022, .asroot = true, .nofile_soft = 64, .nofile_hard = 128};
	struct super *sb;
	struct mount *m;

	(void)state;
	assert_int_equal(kheap_init(FAKE_BASE, 8ull << 30), 0);
	assert_int_equal(charge_init(0, 0), 0);
	assert_int_equal(hh_init(evict), 0);
	assert_int_equal(vfs_init(), 0);
	assert_int_equal(tmpfs_init(), 0);
	assert_int_equal(task_root_init(1, 0, "test"), 0);
	assert_int_equal(tmpfs_super_create(&(struct tmpfs_opts){.mode = 0755}, &sb), 0);
	assert_int_equal(mount_create(sb, 0, "test", &m), 0);
	super_put(sb);
	assert_int_equal(mnt_ns_create(m, &p.mnt), 0);
	mnt_ns_root(p.mnt, &p.root);
	p.cwd = p.root;
	assert_int_equal(task_create_init(&p, &me), 0);
	current = me;
	return 0;
}

static void test_script(void **state)
{
	char a[] = "#!/bin/sh\nrest", b[] = "#!  /usr/bin/env  python3 -u \n", c[] = "#!\n", d[] = "#!/no/newline";
	char *interp, *arg;

	(void)state;
	assert_int_equal(script_parse(a, sizeof(a) - 1, &interp, &arg), 0);
	assert_string_equal(interp, "/bin/sh");
	assert_null(arg);
	assert_int_equal(script_parse(b, sizeof(b) - 1, &interp, &arg), 0);
	assert_string_equal(interp, "/usr/bin/env");
	assert_string_equal(arg, "python3 -u");
	assert_int_equal(script_parse(c, sizeof(c) - 1, &interp, &arg), -ENOEXEC);
	assert_int_equal(script_parse(d, sizeof(d) - 1, &interp, &arg), -ENOEXEC);
	assert_int_equal(script_parse(d, sizeof(d), &interp, &arg), 0);
	assert_string_equal(interp, "/no/newline");
}

static void test_elf(void **state)
{
	struct l_ehdr eh = {.ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB}, .type = ET_DYN,
			    .machine = EM_X86_64, .phentsize = sizeof(struct l_phdr), .phnum = 2};
	struct l_phdr ph[2] = {{.type = PT_LOAD, .filesz = 0x1000, .memsz = 0x2000},
			       {.type = PT_LOAD, .vaddr = 0x3000, .offset = 0x3000, .filesz = 16, .memsz = 16}};
	struct elf_image im = {.eh = eh, .ph = ph};

	(void)state;
	assert_int_equal(elf_check_header(&eh), 0);
	eh.ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(elf_check_header(&eh), -ENOEXEC);
	assert_int_equal(elf_check_phdrs(&im, 1ull << 46), 0);
	assert_int_equal(im.lo, 0);
	assert_int_equal(im.hi, 0x4000);
	ph[1].vaddr = UINT64_MAX - 8;
	assert_int_not_equal(elf_check_phdrs(&(struct elf_image){.eh = im.eh, .ph = ph}, 1ull << 46), 0);
	ph[1].vaddr = 0x3000, ph[1].memsz = UINT64_MAX;
	assert_int_not_equal(elf_check_phdrs(&(struct elf_image){.eh = im.eh, .ph = ph}, 1ull << 46), 0);
	ph[1].memsz = 8;	/* more in the file than in memory */
	assert_int_not_equal(elf_check_phdrs(&(struct elf_image){.eh = im.eh, .ph = ph}, 1ull << 46), 0);
	ph[1].memsz = 16, ph[1].offset = 0x3001;
	assert_int_not_equal(elf_check_phdrs(&(struct elf_image){.eh = im.eh, .ph = ph}, 1ull << 46), 0);
}

static void test_bpf(void **state)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 39, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 5),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct seccomp_data d = {.nr = 39};

	(void)state;
	assert_int_equal(bpf_check(f, 4), 0);
	assert_int_equal(bpf_run(f, &d), SECCOMP_RET_ERRNO | 5);
	d.nr = 1;
	assert_int_equal(bpf_run(f, &d), SECCOMP_RET_ALLOW);
	assert_int_equal(bpf_check(f, 2), -EINVAL);	/* does not return */
	f[1].jt = 2;
	assert_int_equal(bpf_check(f, 4), -EINVAL);	/* leaves the program */
	f[1].jt = 0, f[0].k = 64;
	assert_int_equal(bpf_check(f, 4), -EINVAL);	/* reads beyond the data */
}

static void test_pids(void **state)
{
	struct pid_ns *ns = task_root->pid_ns, *inner;
	struct pid *a, *b, *c;
	int32_t want[1] = {777};

	(void)state;
	assert_int_equal(task_pid_nr(me, ns), 2);
	assert_int_equal(pid_alloc(ns, NULL, 0, &a), 0);
	assert_int_equal(pid_nr(a, ns), 3);
	pid_put(a);
	assert_int_equal(pid_alloc(ns, NULL, 0, &b), 0);
	assert_int_equal(pid_nr(b, ns), 4);	/* cyclic, not lowest free */
	pid_put(b);
	assert_int_equal(pid_ns_create(ns, task_root->user_ns, &inner), 0);
	assert_int_equal(pid_alloc(inner, want, 1, &c), 0);
	assert_int_equal(pid_nr(c, inner), 777);
	assert_int_equal(pid_nr(c, ns), 5);
	assert_int_equal(pid_alloc(inner, want, 1, &b), -EEXIST);
	assert_null(pid_lookup(inner, 5));
	a = pid_lookup(ns, 5);
	assert_ptr_equal(a, c);
	pid_put(a);
	pid_put(c);
	assert_null(pid_lookup(ns, 5));
	inner->dying = true;
	assert_int_equal(pid_alloc(inner, NULL, 0, &c), -ENOMEM);
	pid_ns_put(inner);
}

static void test_signals(void **state)
{
	struct l_siginfo info = {.code = SI_QUEUE}, got;

	(void)state;
	signal_set_mask(me, ~0ull);
	assert_false(me->blocked & SIGBIT(SIGKILL));
	/* ordinary signals are kept once, real-time ones in order */
	for (int i = 0; i < 3; i++) {
		info.rt.value = (uint64_t)i;
		assert_int_equal(signal_send(me, SEND_PROCESS, SIGUSR1, &info), 0);
		assert_int_equal(signal_send(me, SEND_PROCESS, 40, &info), 0);
	}
	assert_false(signal_pending(me));
	assert_int_equal(signal_pending_set(me), SIGBIT(SIGUSR1) | SIGBIT(40));
	assert_int_equal(signal_take(me, ~0ull, &got), SIGUSR1);
	assert_int_equal(got.rt.value, 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(signal_take(me, ~0ull, &got), 40);
		assert_int_equal(got.rt.value, i);
	}
	assert_int_equal(signal_take(me, ~0ull, &got), 0);
	/* a stop signal and SIGCONT drop each other */
	assert_int_equal(signal_send(me, SEND_PROCESS, SIGTSTP, NULL), 0);
	assert_int_equal(signal_send(me, SEND_PROCESS, SIGCONT, NULL), 0);
	assert_int_equal(signal_pending_set(me), SIGBIT(SIGCONT));
	assert_int_equal(signal_take(me, ~0ull, &got), SIGCONT);
	/* unblocking shows what waits; ignored ones are not even queued */
	assert_int_equal(signal_send(me, SEND_THREAD, SIGUSR2, NULL), 0);
	signal_set_mask(me, 0);
	assert_true(signal_pending(me));
	assert_int_equal(signal_take(me, ~0ull, &got), SIGUSR2);
	assert_false(signal_pending(me));
	assert_int_equal(signal_send(me, SEND_PROCESS, SIGCHLD, NULL), 0);
	assert_int_equal(signal_pending_set(me), 0);
	/* the queue's limit: real-time signals fail, others lose their details */
	me->proc->rlim[RLIMIT_SIGPENDING].cur = 1;
	signal_set_mask(me, ~0ull);
	assert_int_equal(signal_send(me, SEND_PROCESS, 41, &info), 0);
	assert_int_equal(signal_send(me, SEND_PROCESS, 41, &info), -EAGAIN);
	assert_int_equal(signal_take(me, ~0ull, &got), 41);
	assert_int_equal(ucount_sigpending(0), 0);
}

static void test_files(void **state)
{
	int a, b;

	(void)state;
	a = fd_reserve(me, 0, false);
	b = fd_reserve(me, 10, true);
	assert_int_equal(a, 0);
	assert_int_equal(b, 10);
	assert_int_equal(fd_reserve(me, 64, false), -EMFILE);
	assert_int_equal(fd_close(me, a), -EBADF);	/* reserved is not open */
	fd_abandon(me, a);
	assert_int_equal(fd_reserve(me, 0, false), 0);
	fd_abandon(me, 0);
	fd_abandon(me, b);
	assert_int_equal(fd_dup_to(me, 3, 4, false), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script), cmocka_unit_test(test_elf),   cmocka_unit_test(test_bpf),
		cmocka_unit_test(test_pids),   cmocka_unit_test(test_signals), cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
