/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

int main(void)
{
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	printf("%d\n", fd);
	SHOW(dup(fd));
	SHOW(dup2(fd, 10));
	SHOW(dup2(fd, fd));
	SHOW(dup2(99, 10));
	SHOW(dup2(99, 99));
	SHOW(dup2(fd, -1));
	SHOW(dup2(fd, 1 << 20));
	SHOW(dup3(fd, fd, 0));
	SHOW(dup3(fd, 11, O_CLOEXEC));
	SHOW(dup3(fd, 11, O_APPEND));
	SHOW(fcntl(11, F_GETFD));
	SHOW(fcntl(10, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, 20));
	SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 20));
	SHOW(fcntl(21, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, -1));
	SHOW(fcntl(fd, F_DUPFD, 1 << 30));
	SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(ioctl(fd, FIONCLEX));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, 9999));
	SHOW(fcntl(99, F_GETFD));
	/* duplicates share the offset and the flags, not the close-on-exec flag */
	SHOW(write(fd, "abcdef", 6));
	SHOW(lseek(10, 0, SEEK_CUR));
	SHOW(fcntl(10, F_SETFL, O_APPEND | O_NONBLOCK));
	SHOW((fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
	int other = open("f", O_RDONLY);
	SHOW(lseek(other, 0, SEEK_CUR));
	SHOW(close(99));
	SHOW(close(-1));
	SHOW(close(10));
	SHOW(close(10));
	SHOW(syscall(SYS_close_range, 20, 30, 0));
	SHOW(fcntl(20, F_GETFD));
	SHOW(fcntl(11, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, 40));
	SHOW(syscall(SYS_close_range, 40, ~0u, CLOSE_RANGE_CLOEXEC));
	SHOW(fcntl(40, F_GETFD));
	SHOW(syscall(SYS_close_range, 5, 4, 0));
	SHOW(syscall(SYS_close_range, 40, 41, 64));
	/* the lowest free number is taken */
	close(other);
	SHOW(open("f", O_RDONLY));
	struct rlimit rl = {50, 50};
	SHOW(setrlimit(RLIMIT_NOFILE, &rl));
	SHOW(fcntl(fd, F_DUPFD, 50));
	SHOW(dup2(fd, 50));
	int n = 0;
	while (dup(fd) >= 0)
		n++;
	printf("%d more: %s\n", n, strerrorname_np(errno));
	int p[2];
	SHOW(pipe(p));
	SHOW(close(49));
	SHOW(pipe(p));
	SHOW(open("f", O_RDONLY));
	SHOW(open("f", O_RDONLY));
	SHOW(syscall(SYS_close_range, 3, ~0u, 0));
	SHOW(open("f", O_RDONLY));
	int out = -1;
	SHOW(ioctl(3, FIONREAD, &out));
	printf("%d\n", out);
	SHOW(ioctl(3, 0x5401, &out));
	SHOW(ioctl(3, 0xdead, &out));
	SHOW(ioctl(99, FIONREAD, &out));
	SHOW(pipe((int *)1));
	SHOW(pipe2(p, 0x40000000));
	SHOW(pipe2(p, O_CLOEXEC | O_NONBLOCK));
	SHOW(fcntl(p[0], F_GETFD));
	SHOW((fcntl(p[0], F_GETFL) & O_NONBLOCK) != 0);
	DONE();
}
