/* SPDX-License-Identifier: Apache-2.0 */
/* Forged, truncated and misplaced signal frames, given to the kernel and to the host's. */
#include "hostile.h"
#include <ucontext.h>

struct frame {
	ucontext_t uc;
	siginfo_t si;
	uint8_t fp[4096] __attribute__((aligned(64)));
};

static void spin(void)
{
	for (;;)
		__asm__ volatile("pause");
}

static void plausible(struct frame *f)
{
	memset(f, 0, sizeof(*f));
	greg_t *g = f->uc.uc_mcontext.gregs;
	g[REG_RIP] = (greg_t)spin;
	g[REG_RSP] = (greg_t)(f->fp + 2048);
	g[REG_EFL] = 0x202;
	g[REG_CSGSFS] = (greg_t)0x002b000000000033;
	f->uc.uc_flags = rng() % 8;
}

static void disturb(struct frame *f)
{
	greg_t *g = f->uc.uc_mcontext.gregs;
	static const uint64_t odd[] = {0, 1, 0x8000000000000000, 0x7fffffffffff, 0x800000000000, ~0ull,
				       CELL_STUB_BASE, CELL_CTX_BASE, CELL_CTX_BASE + 0x1000, CELL_TOP};
	for (uint64_t n = rng() % 4 + 1; n; n--) {
		uint64_t v = odd[rng() % 10];
		switch (rng() % 10) {
		case 0:
			g[REG_RIP] = (greg_t)v;
			break;
		case 1:
			g[REG_CSGSFS] = (greg_t)rng();
			break;
		case 2:
			g[REG_CSGSFS] = 0x23;
			break;
		case 3:
			g[REG_EFL] = (greg_t)rng();
			break;
		case 4:
			f->uc.uc_mcontext.fpregs = (fpregset_t)v;
			break;
		case 5:
			f->uc.uc_mcontext.fpregs = (fpregset_t)(f->fp + rng() % 128);
			for (size_t i = 0; i < sizeof(f->fp); i++)
				f->fp[i] = (uint8_t)rng();
			break;
		case 6:
			f->uc.uc_mcontext.fpregs = (fpregset_t)f->fp;
			*(uint32_t *)(f->fp + 464) = 0x46505853;
			*(uint32_t *)(f->fp + 468) = (uint32_t)odd[rng() % 10];
			*(uint64_t *)(f->fp + 472) = rng();
			*(uint32_t *)(f->fp + 480) = (uint32_t)rng();
			*(uint32_t *)(f->fp + 24) = (uint32_t)rng();
			break;
		case 7:
			f->uc.uc_stack.ss_sp = (void *)v;
			f->uc.uc_stack.ss_size = rng();
			f->uc.uc_stack.ss_flags = (int)rng();
			break;
		case 8:
			memset(&f->uc.uc_sigmask, 0xff, sizeof(f->uc.uc_sigmask));
			break;
		default:
			g[rng() % NGREG] = (greg_t)v;
		}
	}
}

static void attempt(uint64_t n)
{
	char *m = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct frame *f = (struct frame *)m;
	plausible(f);
	disturb(f);
	uint64_t sp = (uint64_t)f;
	if (n % 7 == 3) {
		/* cut off by the end of the mapping */
		munmap(m + 4096, 28672);
		uint64_t keep = 8 * (rng() % 60 + 1);
		memmove(m + 4096 - keep, m, keep);
		sp = (uint64_t)m + 4096 - keep;
	}
	if (n % 11 == 4)
		sp = rng() % 2 ? CELL_CTX_BASE + (rng() % 0x8000 & ~7ull) : rng();
	if (n % 5 == 2 || n % 5 == 3)
		/* at the host's own call */
		__asm__ volatile("mov %0, %%rsp; jmp *%1" ::"r"(sp), "r"(IP_SIGRET - 2ul), "a"(15));
	__asm__ volatile("mov %0, %%rsp; syscall" ::"r"(sp), "a"(15));
}

/* Everything masked, an alternate stack in guest memory and a trap at each instruction. */
static void masked(uint64_t n)
{
	struct frame *f = mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	plausible(f);
	memset(&f->uc.uc_sigmask, 0xff, sizeof(f->uc.uc_sigmask));
	f->uc.uc_stack.ss_sp = (char *)f + 16384;
	f->uc.uc_stack.ss_size = 16384;
	if (n & 1)
		f->uc.uc_mcontext.gregs[REG_EFL] |= 0x100;
	if (n & 2)
		f->uc.uc_mcontext.gregs[REG_RIP] = (greg_t)(stub_sites[n / 4 % N_SITES] - 2);
	f->uc.uc_mcontext.gregs[REG_RAX] = 56;
	f->uc.uc_mcontext.gregs[REG_RDI] = 0x8011;
	__asm__ volatile("mov %0, %%rsp; jmp *%1" ::"r"(f), "r"(IP_SIGRET - 2ul), "a"(15));
}

int main(void)
{
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	for (uint64_t i = 0; now_s() < end; i++)
		in_child(&b, 20, i % 8 == 5 ? masked : attempt, i);
	batch_end(&b, 20);
	return 0;
}
