/* SPDX-License-Identifier: Apache-2.0 */
/* pipe(7): sizes, atomicity, end of file, SIGPIPE, packets, FIONREAD, poll edges. */
#include <poll.h>
#include <sys/ioctl.h>
#include "guest.h"

static volatile int pipes_broken;

static void on_pipe(int sig)
{
	pipes_broken++;
}

static int bytes_in(int fd)
{
	int n = -1;

	ioctl(fd, FIONREAD, &n);
	return n;
}

static void sizes(void)
{
	static char big[1 << 20];
	int p[2];

	SHOW(pipe2(p, O_NONBLOCK));
	SHOW(fcntl(p[1], F_GETPIPE_SZ));
	SHOW(write(p[1], big, sizeof(big)));
	SHOW(write(p[1], big, 1));
	SHOW(bytes_in(p[0]));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 200000));
	SHOW(write(p[1], big, sizeof(big)));
	SHOW(read(p[0], big, sizeof(big)));
	SHOW(read(p[0], big, sizeof(big)));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 1));
	SHOW(fcntl(p[1], F_SETPIPE_SZ, 0));
	for (int i = 0; i < 5000; i++)
		if (write(p[1], "x", 1) != 1) {
			printf("full after %d\n", i);
			break;
		}
	SHOW(read(p[0], big, 100));
	SHOW(read(p[0], big, sizeof(big)));
	close(p[0]), close(p[1]);
}

static void ends(void)
{
	struct pollfd f;
	char c;
	int p[2];

	SHOW(pipe(p));
	signal(SIGPIPE, on_pipe);
	close(p[0]);
	SHOW(write(p[1], "x", 1));
	printf("SIGPIPE %d\n", pipes_broken);
	f = (struct pollfd){p[1], POLLOUT, 0};
	SHOW(poll(&f, 1, 0));
	printf("%x\n", f.revents);
	close(p[1]);
	SHOW(pipe(p));
	SHOW(write(p[1], "y", 1));
	close(p[1]);
	f = (struct pollfd){p[0], POLLIN, 0};
	SHOW(poll(&f, 1, 0));
	printf("%x\n", f.revents);
	SHOW(read(p[0], &c, 1));
	SHOW(read(p[0], &c, 1));
	SHOW(poll(&f, 1, 0));
	printf("%x\n", f.revents);
	SHOW(write(p[0], "x", 1));
	SHOW(lseek(p[0], 0, SEEK_SET));
	SHOW(pread(p[0], &c, 1, 0));
	close(p[0]);
	SHOW(pipe2(p, 0x40000000));
	SHOW(syscall(SYS_pipe2, (void *)8, 0));
}

static void packets(void)
{
	char buf[100];
	int p[2];

	SHOW(pipe2(p, O_DIRECT));
	SHOW(write(p[1], "one", 3));
	SHOW(write(p[1], "second", 6));
	SHOW(read(p[0], buf, sizeof(buf)));
	SHOW(read(p[0], buf, 2));
	SHOW(write(p[1], "z", 1));
	SHOW(read(p[0], buf, sizeof(buf)));
	close(p[0]), close(p[1]);
}

/* Writers of PIPE_BUF bytes never mix. */
static void atomicity(void)
{
	static char rec[4096], buf[4096];
	int p[2], torn = 0, n = 0;

	SHOW(pipe(p));
	for (int k = 0; k < 4; k++)
		if (fork() == 0) {
			memset(rec, 'a' + k, sizeof(rec));
			for (int i = 0; i < 100; i++)
				if (write(p[1], rec, sizeof(rec)) != sizeof(rec))
					_exit(1);
			_exit(0);
		}
	close(p[1]);
	for (;;) {
		size_t have = 0;

		while (have < sizeof(buf)) {
			ssize_t r = read(p[0], buf + have, sizeof(buf) - have);

			if (r <= 0)
				break;
			have += (size_t)r;
		}
		if (have < sizeof(buf))
			break;
		n++;
		torn += memchr(buf, buf[0], 1) == NULL;
		for (size_t i = 1; i < sizeof(buf); i++)
			if (buf[i] != buf[0]) {
				torn++;
				break;
			}
	}
	printf("%d records, %d torn\n", n, torn);
	while (wait(NULL) > 0)
		;
}

static void on_alarm(int sig)
{
}

/* A read that is interrupted loses nothing; a bad buffer neither. */
static void faults(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	char buf[16] = "";
	int p[2];

	sigaction(SIGALRM, &sa, NULL);
	SHOW(pipe(p));
	ualarm(30000, 0);
	SHOW(read(p[0], buf, sizeof(buf)));
	SHOW(write(p[1], "hello", 5));
	SHOW(read(p[0], (void *)8, 5));
	SHOW(read(p[0], buf, 5));
	printf("%s\n", buf);
	SHOW(write(p[1], (void *)8, 5));
	SHOW(bytes_in(p[0]));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	sizes();
	ends();
	packets();
	atomicity();
	faults();
	DONE();
}
