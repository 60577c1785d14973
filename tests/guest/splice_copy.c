/* SPDX-License-Identifier: Apache-2.0 */
/* splice, tee, vmsplice, sendfile, copy_file_range between files, pipes and sockets. */
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include "guest.h"

static char buf[200000];

static int file(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0600);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void show(int fd)
{
	ssize_t n = read(fd, buf, sizeof(buf));

	printf("%zd %.*s\n", n, n > 0 ? (int)n : 0, buf);
}

int main(void)
{
	int a = file("a", "0123456789"), b = file("b", ""), p[2], q[2], s[2];
	struct iovec v = {"gifted", 6};
	off_t off = 2;
	loff_t off64 = 4;

	setvbuf(stdout, NULL, _IONBF, 0);
	CHECK(pipe2(p, O_NONBLOCK) == 0 && pipe2(q, O_NONBLOCK) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	SHOW(splice(a, NULL, p[1], NULL, 4, 0));
	SHOW(lseek(a, 0, SEEK_CUR));
	SHOW(splice(a, &off64, p[1], NULL, 100, 0));
	printf("%ld\n", (long)off64);
	SHOW(tee(p[0], q[1], 100, 0));
	show(q[0]);
	SHOW(splice(p[0], NULL, b, NULL, 100, 0));
	SHOW(splice(p[0], NULL, b, NULL, 100, SPLICE_F_NONBLOCK));
	lseek(b, 0, SEEK_SET);
	show(b);
	SHOW(vmsplice(p[1], &v, 1, 0));
	SHOW(splice(p[0], NULL, q[1], NULL, 4, 0));
	show(q[0]);
	SHOW(splice(p[0], NULL, s[0], NULL, 10, 0));
	show(s[1]);
	write(s[1], "from socket", 11);
	SHOW(splice(s[0], NULL, p[1], NULL, 100, 0));
	show(p[0]);
	SHOW(splice(a, NULL, b, NULL, 10, 0));
	SHOW(splice(p[0], &off64, b, NULL, 10, 0));
	SHOW(splice(p[0], NULL, p[1], NULL, 10, 0));
	SHOW(tee(a, p[1], 10, 0));
	SHOW(splice(a, NULL, p[1], NULL, 10, 0x100));
	lseek(a, 1, SEEK_SET);
	SHOW(sendfile(p[1], a, NULL, 3));
	SHOW(sendfile(s[0], a, &off, 100));
	printf("%ld %ld\n", (long)off, (long)lseek(a, 0, SEEK_CUR));
	show(p[0]);
	show(s[1]);
	SHOW(sendfile(b, a, NULL, 2));
	SHOW(sendfile(b, p[0], NULL, 2));
	SHOW(sendfile(p[1], a, NULL, 0));
	lseek(a, 0, SEEK_SET), ftruncate(b, 0), lseek(b, 0, SEEK_SET);
	SHOW(copy_file_range(a, NULL, b, NULL, 6, 0));
	off64 = 8;
	loff_t to = 1;
	SHOW(copy_file_range(a, &off64, b, &to, 100, 0));
	lseek(b, 0, SEEK_SET);
	show(b);
	SHOW(copy_file_range(a, NULL, p[1], NULL, 6, 0));
	SHOW(copy_file_range(a, NULL, b, NULL, 6, 1));
	SHOW(copy_file_range(a, &(loff_t){0}, a, &(loff_t){2}, 6, 0));
	/* A megabyte through a pipe. */
	int big = open("big", O_CREAT | O_RDWR, 0600), out = open("out", O_CREAT | O_RDWR, 0600);
	long moved = 0, n;
	memset(buf, 'z', sizeof(buf));
	for (int i = 0; i < 6; i++)
		write(big, buf, sizeof(buf));
	lseek(big, 0, SEEK_SET);
	while ((n = splice(big, NULL, p[1], NULL, 1 << 20, 0)) > 0)
		for (long w; n > 0; n -= w, moved += w)
			if ((w = splice(p[0], NULL, out, NULL, (size_t)n, 0)) <= 0)
				die("splice");
	printf("moved %ld\n", moved);
	struct stat st;
	fstat(out, &st);
	printf("%ld\n", (long)st.st_size);
	/* vmsplice gives what there is room for */
	int wide[2];
	struct iovec part = {buf, 131072};
	CHECK(!pipe(wide));
	SHOW(vmsplice(wide[1], &part, 1, 0));
	SHOW(vmsplice(wide[1], &part, 1, SPLICE_F_NONBLOCK));
	/* what cannot be spliced says so, and does not wait */
	int dir_fd = open(".", O_RDONLY), e = eventfd(1, 0), in = inotify_init();
	SHOW(splice(dir_fd, NULL, p[1], NULL, 10, 0));
	SHOW(splice(e, NULL, p[1], NULL, 8, 0));
	SHOW(splice(in, NULL, p[1], NULL, 10, 0));
	SHOW(write(p[1], "12345678", 8));
	SHOW(splice(p[0], NULL, e, NULL, 8, 0));
	SHOW(splice(p[0], NULL, dir_fd, NULL, 8, 0));
	DONE();
}
