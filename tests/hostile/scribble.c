/* SPDX-License-Identifier: Apache-2.0 */
/* A thread writes over everything that is shared with the kernel while others make calls. */
#include "hostile.h"
#include <pthread.h>

static volatile int stop;
static uint64_t how;

static void *scribbler(void *arg)
{
	volatile uint8_t *base = (volatile uint8_t *)CELL_CTX_BASE;
	static const uint64_t odd[] = {0, 1, 2, 3, 4, 0xff, 0xffffffff, ~0ull, CELL_TOP, CELL_STUB_BASE,
				       CELL_CTX_BASE, 1ull << 63, 0x7fffffffffff};
	while (!stop) {
		uint64_t ctx = rng() % 4 * CELL_CTX_SIZE, off, v = rng();
		if (how & 1)
			off = rng() % 0x400;
		else
			off = rng() % CELL_CTX_SIZE;
		if (how & 2)
			v = odd[rng() % (sizeof(odd) / sizeof(odd[0]))];
		if (how & 4)
			*(volatile uint32_t *)(base + ctx + (off & ~3ull)) = (uint32_t)v;
		else if (how & 8)
			base[ctx + off] ^= (uint8_t)(1u << (v & 7));
		else
			*(volatile uint64_t *)(base + ctx + (off & ~7ull)) = v;
		for (uint64_t i = 0; i < (how >> 4) * 200; i++)
			__asm__ volatile("pause");
	}
	return arg;
}

static void *nothing(void *arg)
{
	return arg;
}

static void calls(void)
{
	static char buf[65536];
	int p[2], zero = open("/dev/zero", O_RDONLY);
	pthread_t t;
	pipe(p);
	for (;;) {
		getppid();
		read(zero, buf, rng() % sizeof(buf));
		write(p[1], buf, 100);
		read(p[0], buf, 100);
		open("/usr/bin/true", O_RDONLY);
		close(7);
		void *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(m, 4096, PROT_READ);
		munmap(m, 65536);
		void *f = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, zero, 0);
		munmap(f, 4096);
		pid_t pid = how & 32 ? fork() : how & 64 ? vfork() : -1;
		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
		if (how & 128 && pthread_create(&t, NULL, nothing, NULL) == 0)
			pthread_join(t, NULL);
		if (rng() % 64 == 0 && how & 256)
			execl("/usr/bin/true", "true", NULL);
		if (how & 512)
			raise(SIGUSR1);
	}
}

static void on(int sig)
{
}

static void attack(uint64_t arg)
{
	pthread_t t;
	how = arg;
	signal(SIGUSR1, on);
	signal(SIGPIPE, SIG_IGN);
	pthread_create(&t, NULL, scribbler, NULL);
	calls();
}

int main(void)
{
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	while (now_s() < end)
		in_child(&b, 300, attack, rng() & 1023);
	batch_end(&b, 300);
	return 0;
}
