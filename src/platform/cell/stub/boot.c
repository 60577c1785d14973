/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first cell from exec to its filter. It runs no guest code, ever: blank cells are forked off
 * it. Everything above CELL_MIN but its contexts and the host's vdso is unmapped; the listener goes
 * to the Sentry from a second thread that has no filter, and is open in no cell afterwards.
 */
#include <asm/unistd.h>
#include <linux/auxvec.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include "platform/cell/stub/stub.h"

#define PAGE 4096ull
#define SYS(nr, ...) SYS_(nr, ##__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define SYS_(nr, a, b, c, d, e, f, ...)                                                            \
	boot_sys(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e),    \
		 (uint64_t)(f))

static int is_mapped(uint64_t addr)
{
	unsigned char vec;

	return SYS(__NR_mincore, addr, PAGE, &vec) == 0;
}

/* Moves the mappings of [lo, hi) to `to`, one by one: special ones cannot be split. */
static int move_maps(uint64_t lo, uint64_t hi, uint64_t to)
{
	while (lo < hi) {
		uint64_t n = PAGE;

		while (n <= hi - lo && SYS(__NR_mremap, lo, n, n, 3, to) != (int64_t)to)
			n += PAGE;
		if (n > hi - lo)
			return 0;
		lo += n;
		to += n;
	}
	return 1;
}

/* Unmaps [lo, hi) but for the contexts. */
static void drop(uint64_t lo, uint64_t hi)
{
	const uint64_t c = CELL_CTX_BASE, end = CELL_CTX_BASE + CELL_CTX_SPAN;

	if (lo < c)
		SYS(__NR_munmap, lo, (hi < c ? hi : c) - lo);
	if (hi > end)
		SYS(__NR_munmap, lo > end ? lo : end, hi - (lo > end ? lo : end));
}

/* Clears the address space; returns where the vdso image lies then. */
static uint64_t clear_space(uint64_t vdso, uint64_t stack_end)
{
	uint64_t lo = vdso, hi = vdso, at = 0;

	/* the stack first, so that it cannot be taken for a neighbour of the vdso */
	drop(vdso && vdso < stack_end ? vdso + 16 * PAGE : CELL_MIN, stack_end);
	if (vdso) {
		while (hi - vdso < 16 * PAGE && is_mapped(hi))
			hi += PAGE;
		while (vdso - lo < 64 * PAGE && is_mapped(lo - PAGE))
			lo -= PAGE;
		if (move_maps(lo, hi, CELL_VDSO))
			at = CELL_VDSO + (vdso - lo);
	}
	drop(CELL_MIN, CELL_VDSO);
	drop(CELL_VDSO + (at ? hi - lo : 0), 0x7ffffffff000);
	return at;
}

static void set_handlers(struct cell_ctx *c)
{
	static const unsigned char sigs[] = {31, 11, 7, 8, 4, 5, CELL_INTRSIG};
	struct {
		uint64_t handler, flags, restorer, mask;
	} sa;
	uint64_t ss[3] = {(uint64_t)c + CTX_ALTSTACK, 0, CTX_ALTSTACK_SIZE};
	uint64_t open = (1ull << 10) | (1ull << 6) | (1ull << 7) | (1ull << 3) | (1ull << 4);
	uint64_t all = ~(open | (1ull << 30));

	sa.handler = (uint64_t)stub_handler;
	sa.flags = 0x4 | 0x08000000 | 0x04000000 | 0x10000000 | 0x40000000;
	sa.restorer = (uint64_t)stub_die;
	sa.mask = ~open;
	for (unsigned i = 0; i < sizeof(sigs); i++)
		c->boot_err |= SYS(__NR_rt_sigaction, sigs[i], &sa, 0, 8) < 0;
	c->boot_err |= SYS(__NR_sigaltstack, ss, 0) < 0;
	c->boot_err |= SYS(__NR_rt_sigprocmask, 2, &all, 0, 8) < 0;
}

/* The second thread: hands the listener over and is gone before any guest code exists. */
void boot_helper(struct cell_ctx *c)
{
	int32_t l;
	struct {
		void *base;
		uint64_t len;
	} iov = {&l, sizeof(l)};
	struct {
		uint64_t len;
		int32_t level, type, fd, pad;
	} cm = {20, 1, 1, 0, 0};
	struct {
		void *name;
		uint64_t namelen;
		void *iov;
		uint64_t iovlen;
		void *control;
		uint64_t controllen;
		uint64_t flags;
	} msg = {0, 0, &iov, 1, &cm, sizeof(cm), 0};

	while (!(l = (int32_t)__atomic_load_n(&c->boot_listener, __ATOMIC_ACQUIRE)))
		SYS(__NR_futex, &c->boot_listener, 0, 0, 0);
	cm.fd = l - 1;
	if (l < 0)
		msg.controllen = 0;
	SYS(__NR_sendmsg, CELL_FD_BOOT, &msg, 0);
	if (l > 0)
		SYS(__NR_close, l - 1);
	SYS(__NR_close, CELL_FD_BOOT);
	SYS(__NR_exit, 0);
	__builtin_trap();
}

static void install_filter(struct cell_ctx *c)
{
	struct {
		uint16_t len;
		const void *p;
	} prog = {(uint16_t)(stub_filter_end - stub_filter), stub_filter};
	uint64_t flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	int64_t fd;

	if (SYS(__NR_prctl, 38 /* NO_NEW_PRIVS */, 1, 0, 0, 0) < 0)
		c->boot_err |= 2;
	/* the last call at a site of no name */
	fd = SYS(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (fd == -22)
		fd = SYS(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			 &prog);
	__atomic_store_n(&c->boot_listener, (uint32_t)(fd < 0 ? fd : fd + 1), __ATOMIC_SEQ_CST);
	uint64_t a[6] = {(uint64_t)&c->boot_listener, 1, 1, 0, 0, 0};

	site_stub(__NR_futex, a);
}

static void boot_on_context(struct cell_ctx *c, uint64_t arg)
{
	const uint64_t *v = (const uint64_t *)arg;
	uint64_t vdso = v[0], stack_end = v[1];
	uint32_t tid;

	/* 0 is free: stdio was closed */
	SYS(__NR_openat, -100, "/proc", 010200000 /* O_PATH | O_DIRECTORY */);
	if (SYS(__NR_dup2, 0, CELL_FD_PROC) != CELL_FD_PROC)
		c->boot_warn |= 1;
	SYS(__NR_close, 0);
	if (SYS(__NR_mmap, CELL_TABLE, 0x10000, 1, 0x11, CELL_FD_SITES, SITES_TABLE) != CELL_TABLE)
		c->boot_err |= 8;
	if (SYS(__NR_mmap, CELL_TRAMP, CELL_OURS_END - CELL_TRAMP, 5, 0x11, CELL_FD_SITES,
		SITES_TRAMP) != CELL_TRAMP)
		c->boot_warn |= 2;
	c->vdso = clear_space(vdso, stack_end);
	if (SYS(__NR_mmap, CELL_VVAR, PAGE, 1, 0x11, CELL_FD_SITES, SITES_VVAR) != CELL_VVAR ||
	    SYS(__NR_mmap, CELL_GUEST_VDSO, CELL_GUEST_VDSO_SIZE, 5, 0x12, CELL_FD_SITES,
		SITES_VDSO) != CELL_GUEST_VDSO)
		c->boot_warn |= 4;
	SYS(__NR_close, CELL_FD_SITES);
	set_handlers(c);
	__asm__ volatile("wrgsbase %0" ::"r"(c));
	c->boot_helper = 1;
	/* VM FS FILES SIGHAND THREAD SYSVSEM CHILD_CLEARTID */
	if (boot_spawn(0x250f00, (uint64_t)c + CTX_BOUNCE + CTX_BOUNCE_SIZE, &c->boot_helper, c) <
	    0) {
		c->boot_err |= 4;
		stub_born(c);
	}
	install_filter(c);
	while ((tid = __atomic_load_n(&c->boot_helper, __ATOMIC_ACQUIRE))) {
		uint64_t a[6] = {(uint64_t)&c->boot_helper, 0, tid, 0, 0, 0};

		site_stub(__NR_futex, a);
	}
	stub_born(c);
}

void boot_main(uint64_t *sp)
{
	struct cell_ctx *c = (struct cell_ctx *)CELL_CTX_BASE;
	uint64_t *p = sp + 1 + sp[0] + 1, execfn = 0;
	uint64_t *out = (uint64_t *)(CELL_CTX_BASE + CTX_BOUNCE);

	if (SYS(__NR_mmap, c, CELL_CTX_SPAN, 3, 0x11, CELL_FD_CTX, 0) != CELL_CTX_BASE ||
	    SYS(__NR_madvise, c, CELL_CTX_SPAN, 10) < 0) {
		SYS(__NR_exit_group, 98);
		__builtin_trap();
	}
	while (*p++)
		;
	out[0] = 0;
	for (; p[0]; p += 2) {
		if (p[0] == AT_SYSINFO_EHDR)
			out[0] = p[1];
		if (p[0] == AT_EXECFN)
			execfn = p[1];
	}
	while (*(char *)execfn)
		execfn++;
	out[1] = (execfn + 1 + 8 + PAGE - 1) & ~(PAGE - 1);
	boot_switch(c, (uint64_t)out, boot_on_context);
}
