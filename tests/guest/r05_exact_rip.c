/* SPDX-License-Identifier: Apache-2.0 */
/* A signal frame shows the program's own code; calls use nothing of the guest's stack. */
#include "guest.h"
#include <sys/time.h>
#include <ucontext.h>

static volatile long hits, foreign, bad_call;
static struct range {
	unsigned long from, to;
} maps[256];
static int n_maps;

static void load_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512], perm[8];
	while (fgets(line, sizeof(line), f) && n_maps < 256)
		if (sscanf(line, "%lx-%lx %7s", &maps[n_maps].from, &maps[n_maps].to, perm) == 3 &&
		    perm[2] == 'x')
			n_maps++;
	fclose(f);
}

static void on(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;
	unsigned long rip = (unsigned long)uc->uc_mcontext.gregs[REG_RIP];
	hits++;
	int found = 0;
	for (int i = 0; i < n_maps; i++)
		found |= rip >= maps[i].from && rip < maps[i].to;
	foreign += !found;
	/* at the instruction: the number is in rax; behind it: rcx is rip */
	if (found && *(unsigned short *)rip == 0x050f &&
	    uc->uc_mcontext.gregs[REG_RAX] > 1000)
		bad_call++;
}

static long getppid_site(void)
{
	long r;
	__asm__ volatile("mov $110, %%eax; syscall" : "=a"(r) : : "rcx", "r11", "memory");
	return r;
}

/* Writes below the stack pointer, calls, and reads it again. */
static long red_zone(void)
{
	long bad;
	__asm__ volatile("xor %%ebx, %%ebx\n\t"
			 "mov $0x1122334455667788, %%r12\n\t"
			 "mov %%r12, -8(%%rsp)\n\t"
			 "mov %%r12, -64(%%rsp)\n\t"
			 "mov %%r12, -128(%%rsp)\n\t"
			 "mov $110, %%eax\n\t"
			 "syscall\n\t"
			 "cmp %%r12, -8(%%rsp)\n\tsetne %%bl\n\t"
			 "cmp %%r12, -64(%%rsp)\n\tsetne %%al\n\tor %%al, %%bl\n\t"
			 "cmp %%r12, -128(%%rsp)\n\tsetne %%al\n\tor %%al, %%bl\n\t"
			 : "=b"(bad)
			 :
			 : "rax", "rcx", "r11", "r12", "memory");
	return bad;
}

/* rsp may point to nothing at all. */
static long no_stack(void)
{
	long r;
	__asm__ volatile("mov %%rsp, %%r12\n\tmov $16, %%esp\n\t"
			 "mov $39, %%eax\n\tsyscall\n\t"
			 "mov $110, %%eax\n\tsyscall\n\t"
			 "mov %%r12, %%rsp"
			 : "=a"(r)
			 :
			 : "rcx", "r11", "r12", "memory");
	return r;
}

/* All registers but rax, rcx and r11 are kept. */
static long registers(void)
{
	long bad;
	__asm__ volatile("mov $1, %%rdi; mov $2, %%rsi; mov $3, %%rdx; mov $4, %%r10\n\t"
			 "mov $5, %%r8; mov $6, %%r9; mov $7, %%r12; mov $8, %%r13\n\t"
			 "mov $9, %%r14; mov $10, %%r15\n\t"
			 "mov $110, %%eax; syscall\n\t"
			 "xor $1, %%rdi; xor $2, %%rsi; xor $3, %%rdx; xor $4, %%r10\n\t"
			 "xor $5, %%r8; xor $6, %%r9; xor $7, %%r12; xor $8, %%r13\n\t"
			 "xor $9, %%r14; xor $10, %%r15\n\t"
			 "or %%rdi, %%rsi; or %%rdx, %%rsi; or %%r10, %%rsi; or %%r8, %%rsi\n\t"
			 "or %%r9, %%rsi; or %%r12, %%rsi; or %%r13, %%rsi; or %%r14, %%rsi\n\t"
			 "or %%r15, %%rsi; mov %%rsi, %%rax"
			 : "=a"(bad)
			 :
			 : "rdi", "rsi", "rdx", "r10", "r8", "r9", "r12", "r13", "r14", "r15", "rcx",
			   "r11", "memory");
	return bad;
}

int main(void)
{
	load_maps();
	CHECK(n_maps > 0);
	struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigaction(SIGALRM, &sa, NULL);
	struct itimerval it = {{0, 100}, {0, 100}};
	setitimer(ITIMER_REAL, &it, NULL);
	char b[64];
	int fd = open("/dev/zero", O_RDONLY);
	struct timespec ts;
	long bad = 0;
	for (int i = 0; i < 20000; i++) {
		bad += getppid_site() < 0;
		bad += read(fd, b, sizeof(b)) != sizeof(b);
		bad += clock_gettime(CLOCK_MONOTONIC, &ts) != 0;
		bad += getpid() <= 0;
		bad += red_zone();
	}
	it = (struct itimerval){{0, 0}, {0, 0}};
	setitimer(ITIMER_REAL, &it, NULL);
	printf("bad %ld foreign %ld wrong %ld signals %d\n", bad, foreign, bad_call, hits > 20);
	for (int i = 0; i < 100; i++)
		bad += no_stack() < 0, bad += registers() != 0;
	printf("bad %ld\n", bad);
	/* rcx and r11 as the instruction leaves them */
	long rcx, r11, at;
	__asm__ volatile("lea 1f(%%rip), %2; mov $110, %%eax; syscall; 1: mov %%rcx, %0; mov %%r11, %1"
			 : "=&r"(rcx), "=&r"(r11), "=&r"(at)
			 :
			 : "rax", "rcx", "r11", "memory");
	printf("rcx %d r11 %d\n", rcx == at, (r11 & 0x202) == 0x202);
	DONE();
}
