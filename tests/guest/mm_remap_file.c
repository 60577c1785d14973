/* SPDX-License-Identifier: Apache-2.0 */
/* remap_file_pages: pages of a shared file mapping in another order. */
#include "guest.h"

#define PG 4096

static int remap(void *at, size_t n, int prot, size_t page)
{
	return (int)syscall(SYS_remap_file_pages, at, n, prot, page, 0);
}

int main(void)
{
	char dir[32], *m, *priv;

	enter_tmp(dir);
	int fd = open("f", O_CREAT | O_RDWR, 0600);
	CHECK(!ftruncate(fd, 4 * PG));
	m = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	priv = mmap(NULL, 4 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	for (int i = 0; i < 4; i++)
		m[i * PG] = (char)('0' + i);
	for (int i = 0; i < 4; i++)
		SHOW(remap(m + i * PG, PG, 0, (size_t)(3 - i)));
	printf("%c%c%c%c\n", m[0], m[PG], m[2 * PG], m[3 * PG]);
	m[0] = 'x';
	char c = 0;
	CHECK(pread(fd, &c, 1, 3 * PG) == 1 && c == 'x');
	SHOW(remap(m + 1, PG + 5, 0, 0));	/* rounded down */
	printf("%c%c\n", m[0], m[PG]);
	SHOW(remap(m, 2 * PG, 0, 2));	/* over two mappings */
	printf("%c%c\n", m[0], m[PG]);
	SHOW(remap(m, 0, 0, 0));
	SHOW(remap(m, PG, PROT_READ, 0));
	SHOW(remap(priv, PG, 0, 0));
	SHOW(remap(m, (size_t)-PG, 0, 0));
	SHOW(remap(m, PG, 0, (size_t)-1));
	SHOW(remap((void *)PG, PG, 0, 0));
	DONE();
}
