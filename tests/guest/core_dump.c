/* SPDX-License-Identifier: Apache-2.0 */
/* Core files: when one is written, and what debuggers find in it. */
#include "guest.h"
#include <elf.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/procfs.h>
#include <sys/resource.h>

/* guest: libs=-lpthread */
static volatile int secret = 0x5eed1234;
static int *in_heap;

static void *sleeper(void *a)
{
	for (;;)
		pause();
	return a;
}

static void crash(uint64_t limit, int threads, bool dumpable, int sig)
{
	struct rlimit r = {limit, limit};
	pthread_t t;
	setrlimit(RLIMIT_CORE, &r);
	if (!dumpable)
		prctl(PR_SET_DUMPABLE, 0);
	in_heap = malloc(1 << 20);
	in_heap[77] = 0x77;
	while (threads--)
		pthread_create(&t, NULL, sleeper, NULL);
	usleep(20000);
	signal(sig, SIG_DFL);	/* a shell's background commands ignore SIGQUIT */
	raise(sig);
	_exit(0);
}

static int run(const char *what, uint64_t limit, int threads, bool dumpable, int sig)
{
	struct stat s;
	int st;
	unlink("core");
	fflush(stdout);
	pid_t p = fork();
	if (!p)
		crash(limit, threads, dumpable, sig);
	waitpid(p, &st, 0);
	int there = !stat("core", &s);
	printf("%s: signal %d dumped %d file %d", what, WTERMSIG(st), !!WCOREDUMP(st), there);
	if (there)
		printf(" mode %o within %d", s.st_mode, (uint64_t)s.st_size <= limit);
	printf("\n");
	return there;
}

static char *core;
static size_t core_n;

static void load(void)
{
	struct stat s;
	int fd = open("core", O_RDONLY);
	if (fd < 0 || fstat(fd, &s))
		die("core");
	core_n = (size_t)s.st_size;
	core = mmap(NULL, core_n, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
}

/* What the core has at an address of the dead process (a fork of this one). */
static const void *at(uint64_t addr, size_t n)
{
	const Elf64_Ehdr *eh = (void *)core;
	const Elf64_Phdr *ph = (void *)(core + eh->e_phoff);
	for (int i = 0; i < eh->e_phnum; i++)
		if (ph[i].p_type == PT_LOAD && addr >= ph[i].p_vaddr && addr + n <= ph[i].p_vaddr + ph[i].p_filesz)
			return core + ph[i].p_offset + (addr - ph[i].p_vaddr);
	return NULL;
}

static void notes(void)
{
	const Elf64_Ehdr *eh = (void *)core;
	const Elf64_Phdr *ph = (void *)(core + eh->e_phoff);
	printf("type %d machine %d first %d\n", eh->e_type, eh->e_machine, ph->p_type == PT_NOTE);
	int threads = 0, fp = 0, xstate = 0, self = 0;
	for (size_t o = ph->p_offset; o < ph->p_offset + ph->p_filesz;) {
		const Elf64_Nhdr *h = (void *)(core + o);
		const char *name = (const char *)(h + 1);
		const void *d = name + ((h->n_namesz + 3) & ~3u);
		o += sizeof(*h) + ((h->n_namesz + 3) & ~3u) + ((h->n_descsz + 3) & ~3u);
		switch (h->n_type) {
		case NT_PRSTATUS: {
			const struct elf_prstatus *s = d;
			if (!threads++)
				printf("prstatus %u: signal %d, rip mapped %d\n", h->n_descsz, s->pr_cursig,
				       s->pr_reg[16] != 0);
			break;
		}
		case NT_FPREGSET:
			fp++;
			break;
		case NT_X86_XSTATE:
			xstate++;
			break;
		case NT_PRPSINFO: {
			const struct elf_prpsinfo *s = d;
			printf("prpsinfo %u: %d\n", h->n_descsz, s->pr_fname[0] != 0);
			break;
		}
		case NT_SIGINFO:
			printf("siginfo %u: %d\n", h->n_descsz, *(const int *)d);
			break;
		case NT_AUXV:
			printf("auxv %d\n", h->n_descsz % 16);
			break;
		case NT_FILE:
			self = memmem(d, h->n_descsz, "core_dump", 9) != NULL;
			printf("file pages of %ld, program %d\n", ((const long *)d)[1], self);
			break;
		}
	}
	printf("threads %d fp %d xstate %d\n", threads, fp, xstate == threads);
}

int main(void)
{
	char dir[32], pattern[64] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	if (read(fd, pattern, sizeof(pattern) - 1) < 0 || strcmp(pattern, "core\n")) {
		printf("another pattern\n");
		return 0;
	}
	enter_tmp(dir);
	run("no limit", 0, 0, true, SIGABRT);
	run("below a page", 4095, 0, true, SIGABRT);
	run("not dumpable", RLIM_INFINITY, 0, false, SIGABRT);
	run("no core signal", RLIM_INFINITY, 0, true, SIGTERM);
	run("small", 16384, 0, true, SIGQUIT);
	in_heap = malloc(1 << 20);
	free(in_heap);
	if (run("whole", RLIM_INFINITY, 2, true, SIGSEGV)) {
		load();
		notes();
		const int *p = at((uint64_t)&secret, 4);
		printf("data %d\n", p && *p == 0x5eed1234);
		int *const *h = at((uint64_t)&in_heap, 8);
		p = h ? at((uint64_t)(*h + 77), 4) : NULL;
		printf("heap %d\n", p && *p == 0x77);
		printf("text header %d\n", core_n > 4096);
	}
	unlink("core");
	chdir("/");
	rmdir(dir);
	DONE();
}
