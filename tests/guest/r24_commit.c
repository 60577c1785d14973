/* SPDX-License-Identifier: Apache-2.0 */
/* Reserve much, commit in small steps with mprotect, as Java, Go and V8 do it. */
#include "guest.h"

#define MB (1ul << 20)

int main(void)
{
	size_t total = 512 * MB;
	char *p = mmap(NULL, 64ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	SHOW(p != MAP_FAILED);
	for (size_t i = 0; i < total; i += MB) {
		CHECK(mprotect(p + i, MB, PROT_READ | PROT_WRITE) == 0);
		p[i] = 1;
		p[i + MB - 1] = 2;
	}
	long sum = 0;
	for (size_t i = 0; i < total; i += MB)
		sum += p[i] + p[i + MB - 1];
	printf("%ld\n", sum);
	/* give back and commit again */
	for (size_t i = 0; i < total; i += 2 * MB) {
		CHECK(madvise(p + i, MB, MADV_DONTNEED) == 0);
		CHECK(mprotect(p + i, MB, PROT_NONE) == 0);
	}
	for (size_t i = 0; i < total; i += 2 * MB) {
		CHECK(mprotect(p + i, MB, PROT_READ | PROT_WRITE) == 0);
		CHECK(p[i] == 0);
	}
	/* a shadow as sanitizers want it */
	char *shadow = mmap(NULL, 8ul << 40, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	SHOW(shadow != MAP_FAILED);
	for (size_t i = 0; i < 1000; i++)
		shadow[i << 32] = (char)i;
	sum = 0;
	for (size_t i = 0; i < 1000; i++)
		sum += shadow[i << 32];
	printf("%ld\n", sum);
	SHOW(munmap(p, 64ul << 30));
	SHOW(munmap(shadow, 8ul << 40));
	/* small blocks in plenty, as an allocator makes them */
	static char *block[3000];
	for (int i = 0; i < 3000; i++) {
		block[i] = malloc(200000);
		block[i][0] = block[i][199999] = (char)i;
	}
	for (int i = 0; i < 3000; i++)
		CHECK(block[i][0] == (char)i && block[i][199999] == (char)i);
	for (int i = 0; i < 3000; i++)
		free(block[i]);
	DONE();
}
