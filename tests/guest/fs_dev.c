/* SPDX-License-Identifier: Apache-2.0 */
#include "guest.h"
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

/* guest: libs=-lutil */
static void node(const char *path)
{
	struct stat st;
	if (stat(path, &st))
		printf("%s: %s\n", path, strerrorname_np(errno));
	else
		printf("%s: %o %u:%u\n", path, st.st_mode & S_IFMT, major(st.st_rdev),
		       minor(st.st_rdev));
}

int main(void)
{
	char b[8192];
	node("/dev/null");
	node("/dev/zero");
	node("/dev/full");
	node("/dev/random");
	node("/dev/urandom");
	node("/dev/tty");
	node("/dev/shm");
	node("/dev/absent");
	int fd = open("/dev/null", O_RDWR);
	SHOW(write(fd, b, 8192));
	SHOW(read(fd, b, 8192));
	SHOW(lseek(fd, 100, SEEK_SET));
	SHOW((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	fd = open("/dev/zero", O_RDWR);
	memset(b, 1, sizeof(b));
	SHOW(read(fd, b, 8192));
	printf("%d %d\n", b[0], b[8191]);
	char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	SHOW(m != MAP_FAILED);
	m[5] = 3;
	printf("%d %d\n", m[4], m[5]);
	fd = open("/dev/full", O_RDWR);
	SHOW(write(fd, b, 1));
	SHOW(read(fd, b, 10));
	fd = open("/dev/urandom", O_RDONLY);
	SHOW(read(fd, b, 8192));
	int zeros = 0;
	for (int i = 0; i < 8192; i++)
		zeros += b[i] == 0;
	CHECK(zeros < 100);
	struct pollfd pf = {fd, POLLIN, 0};
	SHOW(poll(&pf, 1, 0));
	SHOW(open("/dev/stdin", O_RDONLY) >= 0);
	SHOW(readlink("/dev/fd", b, sizeof(b)));
	printf("%.13s\n", b);
	/* a pseudo-terminal */
	int master, slave;
	char name[64];
	SHOW(openpty(&master, &slave, name, NULL, NULL));
	printf("%d %d\n", strncmp(name, "/dev/pts/", 9), isatty(slave));
	struct winsize ws = {24, 80, 0, 0}, got;
	SHOW(ioctl(master, TIOCSWINSZ, &ws));
	SHOW(ioctl(slave, TIOCGWINSZ, &got));
	printf("%d %d\n", got.ws_row, got.ws_col);
	SHOW(write(master, "line\n", 5));
	SHOW(read(slave, b, 100));
	SHOW(read(master, b, 100));
	SHOW(write(slave, "out\n", 4));
	SHOW(read(master, b, 100));
	printf("%d\n", memcmp(b, "out\r\n", 5));
	struct termios t;
	SHOW(tcgetattr(slave, &t));
	cfmakeraw(&t);
	SHOW(tcsetattr(slave, TCSANOW, &t));
	SHOW(write(master, "x\r", 2));
	SHOW(read(slave, b, 100));
	printf("%d\n", b[1]);
	SHOW(ioctl(slave, FIONREAD, &zeros));
	SHOW(fcntl(master, F_SETFL, O_NONBLOCK));
	SHOW(read(master, b, 100));
	/* ^C to the foreground group of a session of its own */
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		setsid();
		signal(SIGINT, SIG_DFL);	/* a shell's background commands ignore it */
		tcgetattr(slave, &t);
		t.c_lflag |= ISIG;
		tcsetattr(slave, TCSANOW, &t);
		printf("ctty %d", ioctl(slave, TIOCSCTTY, 0));
		printf(" group %d", tcgetpgrp(slave) == getpgrp());
		printf(" tty %d\n", open("/dev/tty", O_RDWR) >= 0);
		fflush(stdout);
		write(slave, "r", 1);
		for (;;)
			pause();
	}
	fcntl(master, F_SETFL, 0);
	SHOW(read(master, b, 1));
	SHOW(write(master, "\003", 1));
	int st;
	waitpid(pid, &st, 0);
	printf("signal %d\n", WTERMSIG(st));
	close(slave);
	SHOW(read(master, b, 100));
	SHOW(isatty(fd));
	DONE();
}
