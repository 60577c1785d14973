/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <sys/uio.h>

static void content(const char *name)
{
	char b[128];
	int fd = open(name, O_RDONLY);
	ssize_t n = read(fd, b, sizeof(b));
	printf("%s: %zd:", name, n);
	for (ssize_t i = 0; i < n; i++)
		printf("%c", b[i] ? b[i] : '.');
	printf("\n");
	close(fd);
}

static void run(const char *name)
{
	char a[8] = "", b[8] = "", big[8192];
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	SHOW(write(fd, "hello world", 11));
	SHOW(pread(fd, a, 5, 6));
	printf("%.5s\n", a);
	SHOW(pwrite(fd, "W", 1, 6));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, -3, SEEK_END));
	SHOW(read(fd, a, 8));
	SHOW(read(fd, a, 8));
	SHOW(lseek(fd, 20, SEEK_SET));
	SHOW(write(fd, "end", 3));
	content(name);
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, 0, 99));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 23, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 23, SEEK_HOLE));
	struct iovec v[3] = {{(void *)"ab", 2}, {NULL, 0}, {(void *)"cde", 3}};
	SHOW(pwritev(fd, v, 3, 2));
	content(name);
	struct iovec r[2] = {{a, 3}, {b, 4}};
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(readv(fd, r, 2));
	printf("%.3s|%.4s\n", a, b);
	SHOW(readv(fd, r, -1));
	SHOW(readv(fd, r, 1025));
	SHOW(readv(fd, (struct iovec *)8, 2));
	r[0].iov_len = (size_t)-1;
	SHOW(readv(fd, r, 2));
	SHOW(preadv(fd, v, 1, -1));
	SHOW(pread(fd, a, 1, -1));
	SHOW(read(fd, (void *)16, 4));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(write(fd, (void *)16, 4));
	SHOW(read(fd, a, 0));
	SHOW(write(fd, a, 0));
	SHOW(ftruncate(fd, 5));
	content(name);
	SHOW(ftruncate(fd, 9));
	content(name);
	SHOW(ftruncate(fd, -1));
	SHOW(truncate(name, 2));
	content(name);
	SHOW(truncate("absent", 2));
	SHOW(truncate(".", 2));
	memset(big, 'x', sizeof(big));
	SHOW(pwrite(fd, big, sizeof(big), 100000));
	struct stat st;
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	SHOW(pread(fd, big, sizeof(big), 96000));
	int zeros = 0, xs = 0;
	for (size_t i = 0; i < sizeof(big); i++)
		zeros += big[i] == 0, xs += big[i] == 'x';
	printf("zeros %d x %d\n", zeros, xs);
	SHOW(fsync(fd));
	SHOW(fdatasync(fd));
	SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	close(fd);
	SHOW(read(fd, a, 1));
	fd = open(name, O_RDONLY);
	SHOW(write(fd, "x", 1));
	SHOW(ftruncate(fd, 0));
	close(fd);
	fd = open(".", O_RDONLY);
	SHOW(read(fd, a, 1));
	close(fd);
}

int main(void)
{
	run("file");
	char tmp[32];
	enter_tmp(tmp);
	run("other");
	unlink("other");
	rmdir(tmp);
	int p[2];
	pipe(p);
	SHOW(lseek(p[0], 0, SEEK_SET));
	SHOW(pread(p[0], p, 1, 0));
	SHOW(ftruncate(p[1], 0));
	SHOW(write(p[0], "x", 1));
	SHOW(read(p[1], p, 1));
	SHOW(fsync(p[0]));
	DONE();
}
