/* SPDX-License-Identifier: Apache-2.0 */
/* Jumps to every byte of the stub, the jump table and the trampolines, with odd registers. */
#include "hostile.h"

static void jump(uint64_t to)
{
	uint64_t v[4] = {rng(), CELL_CTX_BASE + rng() % CELL_CTX_SIZE, rng() % 500, CELL_STUB_BASE};
	uint64_t rax = rng() % 500, rdi = v[rng() % 4], rsi = v[rng() % 4], rdx = v[rng() % 4];
	/* never a call that reached the host's processes, should there be a hole */
	if (rdi < 2 || (int32_t)rdi <= 0)
		rdi = 0x3ffffff;
	if (rng() % 3 == 0)
		__asm__ volatile("wrgsbase %0" ::"r"(rng() % 2 ? CELL_CTX_BASE : v[rng() % 4] & ((1ull << 47) - 1)));
	if (rng() % 4 == 0)
		__asm__ volatile("mov %4, %%rsp; jmp *%3" ::"a"(rax), "D"(rdi), "S"(rsi), "b"(to),
				 "c"(CELL_CTX_BASE + 8 * (rng() % 0x2000)), "d"(rdx));
	__asm__ volatile("jmp *%3" ::"a"(rax), "D"(rdi), "S"(rsi), "b"(to), "d"(rdx), "c"(v[rng() % 4]));
}

int main(void)
{
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	uint64_t step = 0;
	while (now_s() < end) {
		/* the stub first, then at random */
		uint64_t to = CELL_STUB_BASE + step++;
		if (step > 0x2000)
			to = rng() % 4 ? CELL_STUB_BASE + rng() % 0x2000 :
			     rng() % 2 ? CELL_TRAMP + rng() % 0x400 :
					 CELL_TABLE + rng() % 0x10000;
		in_child(&b, 30, jump, to);
	}
	batch_end(&b, 30);
	return 0;
}
