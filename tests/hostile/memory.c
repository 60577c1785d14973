/* SPDX-License-Identifier: Apache-2.0 */
/* Memory calls on what is ours and beyond the guest's part, and changes behind the kernel's back. */
#include "hostile.h"
#include <sys/uio.h>

static const uint64_t places[] = {0, 0x1000, 0x10000, CELL_TABLE, CELL_STUB_BASE, CELL_TRAMP,
				  CELL_OURS_END, CELL_MIN - 4096, CELL_MIN, CELL_TOP - 4096, CELL_TOP,
				  CELL_TOP + 4096, CELL_CTX_BASE, CELL_CTX_BASE + CELL_CTX_SIZE,
				  CELL_VDSO, 0x7ffffffff000, 0xffffffffff600000, 1ull << 63};
static const uint64_t lens[] = {0, 1, 4096, 8192, 65536, 1ull << 30, 1ull << 36, CELL_TOP,
				1ull << 47, ~0ull, ~0ull - 4095};

static uint64_t place(void)
{
	return places[rng() % (sizeof(places) / sizeof(places[0]))];
}

static uint64_t len(void)
{
	return lens[rng() % (sizeof(lens) / sizeof(lens[0]))];
}

static void by_call(uint64_t n)
{
	for (int i = 0; i < 30; i++) {
		void *p = (void *)place();
		size_t l = len();
		switch (rng() % 8) {
		case 0:
			mmap(p, l, 7, MAP_PRIVATE | MAP_ANONYMOUS | (rng() % 2 ? MAP_FIXED : 0), -1, 0);
			break;
		case 1:
			if (rng() % 4 == 0)
				munmap(p, l);
			break;
		case 2:
			mprotect(p, l, (int)(rng() % 8));
			break;
		case 3:
			madvise(p, l, (int)(rng() % 26));
			break;
		case 4:
			mremap(p, l, len(), MREMAP_MAYMOVE | MREMAP_FIXED, place());
			break;
		case 5: {
			/* the kernel must not carry data over ours */
			int fd = open("/dev/zero", O_RDONLY);
			read(fd, p, l > 65536 ? 65536 : l);
			struct iovec v[2] = {{p, 4096}, {(void *)place(), 64}};
			readv(fd, v, 2);
			close(fd);
			break;
		}
		case 6: {
			int fds[2];
			if (pipe(fds) == 0) {
				write(fds[1], p, 4096);
				close(fds[0]);
				close(fds[1]);
			}
			break;
		}
		default: {
			struct iovec v = {p, 8}, w = {(void *)place(), 8};
			process_vm_writev(getpid(), &v, 1, &w, 1, 0);
			brk(p);
		}
		}
	}
}

/* The host's call for anonymous memory, without the kernel's word. */
static void behind(uint64_t n)
{
	static char data[65536];
	for (int i = 0; i < 20; i++) {
		uint64_t a[6] = {rng() % 2 ? place() : (uint64_t)data & ~4095ull, len(), rng() % 8, 0x32,
				 ~0ull, 0};
		static const int nrs[] = {SYS_munmap, SYS_mprotect, SYS_madvise, SYS_mmap};
		pid_t pid = fork();
		if (pid == 0) {
			call_at(IP_ANON, nrs[rng() % 4], a);
			read(0, data, sizeof(data));
			fork();
			execl("/usr/bin/true", "true", NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

/* More rights to a mapped file than it was opened with. */
static void file_rights(uint64_t n)
{
	static const char *names[] = {"precious", "/usr/bin/env", "/etc/passwd"};
	int fd = open(names[n % 3], O_RDONLY);
	char *p = mmap(NULL, 4096, PROT_READ, rng() % 2 ? MAP_SHARED : MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return;
	uint64_t a[6] = {(uint64_t)p, 4096, 3, 0, 0, 0};
	if (fork() == 0) {
		call_at(IP_ANON, SYS_mprotect, a);
		*(volatile char *)p = 'X';
		_exit(0);
	}
	mprotect(p, 4096, 3);
	if (fork() == 0) {
		*(volatile char *)p = 'X';
		_exit(0);
	}
	mremap(p, 4096, 1 << 20, MREMAP_MAYMOVE);
	/* descriptors that the cell may still have */
	for (uint64_t k = 0; k < 80; k++) {
		if (fork() == 0) {
			uint64_t m[6] = {0x30000000, 65536, 3, MAP_SHARED | MAP_FIXED, k, 0};
			call_at(IP_PRIV, SYS_mmap, m);
			memset((void *)0x30000000, 'X', 65536);
			_exit(0);
		}
		wait(NULL);
	}
	wait(NULL);
	wait(NULL);
}

int main(void)
{
	void (*ways[])(uint64_t) = {by_call, behind, file_rights};
	struct batch b = {.n = 0};
	double end = now_s() + attack_seconds();
	for (uint64_t i = 0; now_s() < end; i++)
		in_child(&b, 1000, ways[i % 3], i / 3);
	batch_end(&b, 1000);
	return 0;
}
