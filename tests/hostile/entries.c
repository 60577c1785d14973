/* SPDX-License-Identifier: Apache-2.0 */
/* Other ways into a kernel, and odd states of the processor when calls are made. */
#include "hostile.h"

static long plain(long nr)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(0x3ffffff), "S"(0), "d"(0)
			 : "rcx", "r11", "memory");
	return r;
}

static long patched(void)
{
	long r;
	__asm__ volatile("mov $110, %%eax; syscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

static void int80(uint64_t n)
{
	long r;
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(n % 450), "b"(0x3ffffff), "c"(0), "d"(0) : "memory");
}

static void x32(uint64_t n)
{
	plain((long)(0x40000000 + n % 560));
	plain((long)(0x80000000ull | n % 460));
	plain((long)(n << 32 | 39));
	plain(-(long)n);
}

static void sysenter(uint64_t n)
{
	__asm__ volatile("mov %%rsp, %%rbp; sysenter" ::"a"(n % 450), "b"(0x3ffffff) : "memory");
}

static void vsyscall(uint64_t n)
{
	((long (*)(long, long))(0xffffffffff600000ul + n % 4 * 0x400))(0, 0);
}

/* 32-bit code: a far jump to a low page, then syscall, int 0x80 or sysenter there. */
static void compat(uint64_t n)
{
	static const unsigned char code[3][8] = {{0x0f, 0x05, 0xf4}, {0xcd, 0x80, 0xf4}, {0x0f, 0x34, 0xf4}};
	unsigned char *p = mmap((void *)0x20000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	memcpy(p, code[n % 3], 8);
	struct {
		uint32_t off;
		uint16_t cs;
	} __attribute__((packed)) far = {0x20000000, 0x23};
	__asm__ volatile("mov %1, %%rsp; ljmp *%0" ::"m"(far), "r"(0x20000f00ul), "a"(n % 450), "b"(0x3ffffff));
}

static void selectors(uint64_t n)
{
	uint16_t sel[] = {0, 0x23, 0x2b, 0x33, 3, 7, 0x7b};
	uint16_t s = sel[rng() % 7];
	switch (n % 5) {
	case 0:
		__asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(s));
		break;
	case 1:
		__asm__ volatile("mov %0, %%gs" ::"r"(s));
		break;
	case 2:
		__asm__ volatile("mov %0, %%fs" ::"r"(s));
		break;
	case 3:
		__asm__ volatile("wrgsbase %0" ::"r"(rng() & ((1ul << 47) - 1)));
		break;
	default:
		__asm__ volatile("wrgsbase %0" ::"r"(CELL_CTX_BASE + (rng() % 8) * CELL_CTX_SIZE));
	}
	for (int i = 0; i < 20; i++) {
		patched();
		plain(SYS_getppid);
		plain(SYS_sched_yield);
	}
}

static void flags(uint64_t n)
{
	uint64_t set = (n & 1 ? 0x400 : 0) | (n & 2 ? 0x40000 : 0) | (n & 4 ? 0x100 : 0) |
		       (n & 8 ? 0x200000 : 0) | (n & 16 ? 0x4000 : 0) | (n & 32 ? 0x3000 : 0);
	if (n & 64)
		signal(SIGTRAP, SIG_IGN);
	char b[64];
	for (int i = 0; i < 10; i++) {
		__asm__ volatile("pushf; orq %0, (%%rsp); popf; mov $110, %%eax; syscall; mov $39, %%eax; syscall;"
				 "pushf; andq $~0x40500, (%%rsp); popf" ::"r"(set)
				 : "rax", "rcx", "r11", "memory", "cc");
		__asm__ volatile("pushf; orq %0, (%%rsp); popf; xor %%eax, %%eax; syscall;"
				 "pushf; andq $~0x40500, (%%rsp); popf" ::"r"(set), "D"(0), "S"(b + 1), "d"(0)
				 : "rax", "rcx", "r11", "memory", "cc");
	}
}

static void mxcsr(uint64_t n)
{
	uint32_t v = (uint32_t)(n & 0xffc0);
	__asm__ volatile("ldmxcsr %0; fninit; fldcw %1" ::"m"(v), "m"(v));
	for (int i = 0; i < 10; i++)
		patched();
}

int main(void)
{
	void (*ways[])(uint64_t) = {int80, x32, sysenter, vsyscall, compat, selectors, flags, mxcsr};
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	for (uint64_t i = 0; now_s() < end; i++)
		in_child(&b, 100, ways[i % 8], i / 8);
	batch_end(&b, 100);
	return 0;
}
