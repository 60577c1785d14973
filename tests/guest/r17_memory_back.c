/* SPDX-License-Identifier: Apache-2.0 */
/* Children that use much memory, one after the other, and files in memory that go away. */
#include "guest.h"

int main(void)
{
	size_t size = 200ul << 20;
	for (int i = 0; i < 6; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			for (size_t k = 0; k < size; k += 4096)
				p[k] = 1;
			_exit(0);
		}
		int st;
		waitpid(pid, &st, 0);
		CHECK(st == 0);
	}
	for (int i = 0; i < 6; i++) {
		int fd = memfd_create("big", 0);
		CHECK(ftruncate(fd, 100l << 20) == 0);
		char *p = mmap(NULL, 100ul << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		for (size_t k = 0; k < 100ul << 20; k += 4096)
			p[k] = 1;
		munmap(p, 100ul << 20);
		close(fd);
	}
	printf("done\n");
	DONE();
}
