/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static int poll1(int fd, int ev)
{
	struct pollfd p = {fd, (short)ev, 0};
	int r = poll(&p, 1, 0);
	return r < 0 ? -1 : p.revents;
}

int main(void)
{
	int p[2], q[2], n;
	char b[70000];
	signal(SIGPIPE, SIG_IGN);
	pipe2(p, O_NONBLOCK);
	SHOW(read(p[0], b, 1));
	SHOW(fcntl(p[0], F_GETPIPE_SZ));
	SHOW(poll1(p[0], POLLIN | POLLOUT));
	SHOW(poll1(p[1], POLLIN | POLLOUT));
	memset(b, 'a', sizeof(b));
	SHOW(write(p[1], b, 65536));
	SHOW(write(p[1], b, 1));
	SHOW(poll1(p[1], POLLOUT));
	SHOW(ioctl(p[0], FIONREAD, &n));
	printf("%d\n", n);
	SHOW(read(p[0], b, 4095));
	SHOW(write(p[1], b, 4096));
	SHOW(read(p[0], b, 1));
	SHOW(write(p[1], b, 4096));
	SHOW(write(p[1], b, 65536) > 0 || errno == EAGAIN);
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 131072));
	SHOW(fcntl(p[0], F_GETPIPE_SZ));
	SHOW(fcntl(p[0], F_SETPIPE_SZ, 1u << 31) < 0);
	while ((n = (int)read(p[0], b, sizeof(b))) > 0)
		;
	SHOW(fcntl(p[0], F_SETPIPE_SZ, 5000));
	SHOW(fcntl(0, F_GETPIPE_SZ) < 0);
	SHOW(write(p[1], "x", 1));
	SHOW(close(p[1]));
	SHOW(poll1(p[0], POLLIN));
	SHOW(read(p[0], b, 10));
	SHOW(read(p[0], b, 10));
	SHOW(poll1(p[0], POLLIN));
	close(p[0]);
	pipe(p);
	close(p[0]);
	SHOW(poll1(p[1], POLLOUT));
	SHOW(write(p[1], "x", 1));
	close(p[1]);
	/* SIGPIPE kills */
	pipe(p);
	close(p[0]);
	if (fork() == 0) {
		signal(SIGPIPE, SIG_DFL);
		write(p[1], "x", 1);
		_exit(0);
	}
	int st;
	wait(&st);
	printf("signal %d\n", WTERMSIG(st));
	close(p[1]);
	/* writes up to PIPE_BUF are not mixed */
	pipe(p);
	for (int k = 0; k < 4; k++)
		if (fork() == 0) {
			memset(b, 'a' + k, 4096);
			for (int i = 0; i < 50; i++)
				write(p[1], b, 4096);
			_exit(0);
		}
	close(p[1]);
	int mixed = 0, total = 0;
	for (;;) {
		int got = 0;
		while (got < 4096 && (n = (int)read(p[0], b + got, (size_t)(4096 - got))) > 0)
			got += n;
		if (!got)
			break;
		for (int i = 1; i < 4096; i++)
			mixed += b[i] != b[0];
		total += got;
	}
	printf("mixed %d total %d\n", mixed, total);
	while (wait(NULL) > 0)
		;
	close(p[0]);
	/* splice, tee, vmsplice, sendfile */
	pipe(p);
	pipe(q);
	int fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644);
	write(fd, "0123456789", 10);
	loff_t off = 2;
	SHOW(splice(fd, &off, p[1], NULL, 5, 0));
	printf("%ld\n", (long)off);
	SHOW(tee(p[0], q[1], 3, 0));
	SHOW(read(q[0], b, 10));
	printf("%.3s\n", b);
	SHOW(splice(p[0], NULL, q[1], NULL, 2, 0));
	off = 20;
	SHOW(splice(p[0], NULL, fd, &off, 100, 0));
	SHOW(pread(fd, b, 30, 18));
	struct iovec v = {(void *)"vm", 2};
	SHOW(vmsplice(p[1], &v, 1, 0));
	SHOW(read(p[0], b, 10));
	SHOW(splice(fd, NULL, fd, NULL, 3, 0));
	SHOW(splice(p[0], &off, q[1], NULL, 3, 0));
	SHOW(splice(p[0], NULL, p[1], NULL, 3, 0));
	SHOW(tee(fd, q[1], 3, 0));
	off_t so = 0;
	SHOW(sendfile(q[1], fd, &so, 4));
	printf("%ld\n", (long)so);
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(sendfile(q[1], fd, NULL, 4));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(read(q[0], b, 100));
	SHOW(sendfile(q[1], p[0], NULL, 4));
	int out = open("g", O_RDWR | O_CREAT | O_TRUNC, 0644);
	loff_t in = 1, to = 0;
	SHOW(copy_file_range(fd, &in, out, &to, 5, 0));
	printf("%ld %ld\n", (long)in, (long)to);
	SHOW(pread(out, b, 10, 0));
	printf("%.5s\n", b);
	SHOW(copy_file_range(fd, &in, fd, &in, 5, 0));
	SHOW(copy_file_range(p[0], NULL, out, NULL, 5, 0));
	/* a FIFO */
	SHOW(mkfifo("fifo", 0600));
	SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
	int r = open("fifo", O_RDONLY | O_NONBLOCK);
	SHOW(r >= 0);
	SHOW(read(r, b, 1));
	SHOW(poll1(r, POLLIN));
	int w = open("fifo", O_WRONLY);
	SHOW(w >= 0);
	SHOW(write(w, "abc", 3));
	SHOW(read(r, b, 5));
	close(w);
	SHOW(poll1(r, POLLIN));
	close(r);
	fflush(stdout);
	if (fork() == 0) {
		w = open("fifo", O_WRONLY);
		write(w, "through", 7);
		_exit(0);
	}
	r = open("fifo", O_RDONLY);
	SHOW(read(r, b, 10));
	SHOW(read(r, b, 10));
	DONE();
}
