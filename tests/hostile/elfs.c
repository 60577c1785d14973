/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are broken on purpose, run by execve: this one with numbers of its headers changed,
 * cut short, or changed and truncated by another thread while it is loaded; scripts that name each other.
 */
#include "hostile.h"
#include <elf.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char image[4 << 20];
static size_t size;
static char name[64];

static uint64_t odd(void)
{
	static const uint64_t set[] = {0, 1, 7, 0xfff, 0x1000, 0x1001, 0x7fffffff, 0xffffffff, 1ull << 32, 1ull << 46,
				       (1ull << 47) - 4096, 1ull << 47, INT64_MAX, 1ull << 63, UINT64_MAX - 4095,
				       UINT64_MAX, 0x400000, 0x60000, CELL_STUB_BASE, CELL_CTX_BASE, CELL_TOP};
	uint64_t r = rng();
	return r % 3 ? set[rng() % (sizeof(set) / sizeof(set[0]))] : rng() >> rng() % 64;
}

static void break_it(char *p)
{
	Elf64_Ehdr *e = (void *)p;
	Elf64_Phdr *ph = (void *)(p + e->e_phoff);
	unsigned n = e->e_phnum, times = 1 + rng() % 3;
	while (times--) {
		Elf64_Phdr *h = &ph[rng() % n];
		uint64_t *field[] = {&h->p_offset, &h->p_vaddr, &h->p_filesz, &h->p_memsz, &h->p_align, &e->e_entry,
				     &e->e_phoff};
		switch (rng() % 6) {
		case 0:
			h->p_type = (uint32_t)(rng() % 8);
			break;
		case 1:
			h->p_flags = (uint32_t)(rng() % 8);
			break;
		case 2:
			((uint16_t *)&e->e_type)[rng() % 24] = (uint16_t)odd();
			break;
		case 3:
			p[rng() % 1024] ^= (char)(1 << rng() % 8);
			break;
		default:
			*field[rng() % 7] = odd();
		}
	}
}

static void write_out(const char *p, size_t n)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	if (write(fd, p, n) != (ssize_t)n)
		_exit(1);
	close(fd);
}

static void *spoil(void *arg)
{
	int fd = *(int *)arg;
	for (;;) {
		uint64_t v = odd();
		if (rng() % 4 == 0)
			(void)!ftruncate(fd, (off_t)(rng() % size));
		else
			(void)!pwrite(fd, &v, 8, (off_t)(rng() % 700));
		if (rng() % 16 == 0)
			(void)!pwrite(fd, image, size, 0);
	}
	return NULL;
}

static void run(void)
{
	char *argv[] = {name, "child", NULL}, *envp[] = {NULL};
	struct rlimit cpu = {1, 1};
	setrlimit(RLIMIT_CPU, &cpu);
	for (int fd = 0; fd < 3; fd++)
		dup2(open("/dev/null", O_RDWR), fd);
	execve(name, argv, envp);
	_exit(1);
}

static void mutated(uint64_t arg)
{
	snprintf(name, sizeof(name), "/tmp/elf-%d", getpid());
	break_it(image);
	write_out(image, arg % 4 ? size : rng() % size);
	run();
}

/* The file is open for writing elsewhere only while it is not run: the loader reads and maps it itself. */
static void raced(uint64_t arg)
{
	pthread_t t;
	snprintf(name, sizeof(name), "/tmp/elf-%d", getpid());
	write_out(image, size);
	pid_t pid = fork();
	if (pid == 0) {
		static int fd;
		fd = open(name, O_RDWR);
		pthread_create(&t, NULL, spoil, &fd);
		usleep(20000);
		_exit(0);
	}
	for (int i = 0; i < 10; i++) {
		pid_t c = fork();
		if (c == 0)
			run();
		waitpid(c, NULL, 0);
	}
	run();
}

static void scripts(uint64_t arg)
{
	char text[5000];
	int n = snprintf(text, sizeof(text), "#!%s%s%s\n", rng() % 2 ? "" : " ", arg % 3 ? "/tmp/elf-loop" : "/bin/sh",
			 rng() % 2 ? " -e" : "");
	snprintf(name, sizeof(name), "/tmp/elf-%s", arg % 2 ? "loop" : "other");
	if (rng() % 3 == 0) {
		memset(text + 2, 'x', 4000);
		n = (int)(rng() % 4000);
	}
	int fd = open(name, O_WRONLY | O_CREAT, 0777);
	(void)!write(fd, text, (size_t)n);
	close(fd);
	run();
}

int main(int argc, char **argv)
{
	static void (*const attacks[])(uint64_t) = {mutated, mutated, mutated, raced, scripts};
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	if (argc > 1)
		return 0;
	int fd = open("/proc/self/exe", O_RDONLY);
	size = (size_t)read(fd, image, sizeof(image));
	rng_state ^= (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
	for (uint64_t i = 0; now_s() < end; i++) {
		in_child(&b, 1000, attacks[i % 5], rng());
		if (i % 64 == 63 && system("rm -f /tmp/elf-*") != 0)
			printf("left-overs\n");
	}
	batch_end(&b, 1000);
	return 0;
}
