/* SPDX-License-Identifier: Apache-2.0 */
/* Every call number at every place of the stub that asks the host. */
#include "hostile.h"

static char page[4096];

static void attempt(uint64_t what)
{
	uint64_t site = stub_sites[what % N_SITES], nr = what / N_SITES % 470;
	uint64_t v[] = {0, 1, 3, 0xfff, (uint64_t)page, CELL_CTX_BASE, CELL_MIN, CELL_STUB_BASE,
			CELL_TOP - 4096, 0x100, rng()};
	uint64_t a[6];
	for (int i = 0; i < 6; i++)
		a[i] = v[rng() % (sizeof(v) / sizeof(v[0]))];
	/* what would hurt the host if it got there */
	if (nr == SYS_kill || nr == SYS_tkill || nr == SYS_tgkill || nr == SYS_reboot ||
	    nr == SYS_rt_sigqueueinfo || nr == SYS_rt_tgsigqueueinfo)
		a[0] = 0x3ffffff;
	strcpy(page, "/etc/passwd");
	call_at(site, (long)nr, a);
}

/* The calls that the filter admits somewhere, with arguments beyond what they may have. */
static void chosen(uint64_t what)
{
	static const int nrs[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mremap, SYS_clone,
				  SYS_close, SYS_exit_group, SYS_openat, SYS_sendmsg, SYS_prlimit64,
				  SYS_futex, SYS_rt_sigreturn, SYS_prctl, SYS_close_range, SYS_clone3,
				  SYS_fork, SYS_vfork, SYS_execve, SYS_ioctl, SYS_seccomp};
	uint64_t v[] = {0, 3, 4, 16, 64, CELL_CTX_BASE, CELL_STUB_BASE, CELL_MIN, CELL_TOP, CELL_TOP - 4096,
			0x32, 0x11, 7, 5, 1ull << 40, ~0ull, (uint64_t)page, CELL_STR_MEM, 0x8011, 0x10d00};
	uint64_t a[6];
	for (int i = 0; i < 6; i++)
		a[i] = v[rng() % (sizeof(v) / sizeof(v[0]))];
	call_at(stub_sites[rng() % N_SITES], nrs[rng() % (sizeof(nrs) / sizeof(nrs[0]))], a);
}

int main(void)
{
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	for (uint64_t i = 0; now_s() < end; i++)
		in_child(&b, 30, i % 2 ? attempt : chosen, i / 2);
	batch_end(&b, 30);
	return 0;
}
