/* SPDX-License-Identifier: Apache-2.0 */
/* io_setup and its kin: files, vectors, pipes, an eventfd told, errors, fork, a waiter. */
#include <linux/aio_abi.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include "guest.h"

static aio_context_t ctx;

static long setup(unsigned nr, aio_context_t *c)
{
	return syscall(SYS_io_setup, nr, c);
}

static long submit(aio_context_t c, long nr, struct iocb **cb)
{
	return syscall(SYS_io_submit, c, nr, cb);
}

static long events(aio_context_t c, long least, long nr, struct io_event *ev, struct timespec *ts)
{
	return syscall(SYS_io_getevents, c, least, nr, ev, ts);
}

static struct iocb request(int fd, int op, void *buf, size_t n, long long off)
{
	return (struct iocb){.aio_fildes = (uint32_t)fd, .aio_lio_opcode = (uint16_t)op, .aio_buf = (uintptr_t)buf,
			     .aio_nbytes = n, .aio_offset = off, .aio_data = (uint64_t)op + 100};
}

static long one(struct iocb cb)
{
	struct iocb *p = &cb;
	struct io_event ev = {0};
	long r = submit(ctx, 1, &p);

	if (r != 1) {
		printf("submit: %s\n", strerrorname_np(errno));
		return -1;
	}
	CHECK(events(ctx, 1, 1, &ev, NULL) == 1);
	CHECK(ev.obj == (uintptr_t)p && ev.data == cb.aio_data);
	return (long)ev.res;
}

static void setups(void)
{
	aio_context_t c = 0, bad = 1;

	SHOW(setup(0, &c));
	SHOW(setup(8, &bad));
	SHOW(setup(8, NULL));
	SHOW(setup(0x7fffffff, &c));
	SHOW(setup(8, &c));
	CHECK(c && c % 4096 == 0);
	SHOW(syscall(SYS_io_destroy, c));
	SHOW(syscall(SYS_io_destroy, c));
	SHOW(events(c, 0, 1, NULL, NULL));
	SHOW(submit(c, 1, NULL));
}

static void files(void)
{
	char buf[32] = "0123456789", *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("file", O_RDWR | O_CREAT, 0600), ro = open("file", O_RDONLY), e = eventfd(0, EFD_NONBLOCK);
	struct iovec v[2] = {{buf, 3}, {buf + 16, 4}};
	struct iocb cb;
	uint64_t n;

	SHOW(one(request(fd, IOCB_CMD_PWRITE, buf, 10, 5)));
	memset(buf, 'x', sizeof(buf));
	SHOW(one(request(fd, IOCB_CMD_PREAD, buf, 20, 6)));
	printf("%.9s|\n", buf);
	SHOW(one(request(fd, IOCB_CMD_PREADV, v, 2, 5)));
	printf("%.3s %.4s\n", buf, buf + 16);
	SHOW(one(request(fd, IOCB_CMD_PWRITEV, v, 2, 0)));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(one(request(fd, IOCB_CMD_FSYNC, NULL, 0, 0)));
	SHOW(one(request(fd, IOCB_CMD_FDSYNC, NULL, 0, 0)));
	SHOW(one(request(fd, IOCB_CMD_FSYNC, buf, 1, 0)));
	SHOW(one(request(fd, IOCB_CMD_NOOP, NULL, 0, 0)));
	SHOW(one(request(fd, 77, NULL, 0, 0)));
	SHOW(one(request(fd, IOCB_CMD_PREAD, page, 8, 0)));
	SHOW(one(request(fd, IOCB_CMD_PREAD, buf, 8, -1)));
	SHOW(one(request(fd, IOCB_CMD_PREAD, buf, (size_t)-1, 0)));
	SHOW(one(request(ro, IOCB_CMD_PWRITE, buf, 8, 0)));
	SHOW(one(request(99, IOCB_CMD_PWRITE, buf, 8, 0)));
	cb = request(fd, IOCB_CMD_PREAD, buf, 8, 0);
	cb.aio_flags = IOCB_FLAG_RESFD;
	cb.aio_resfd = (uint32_t)e;
	SHOW(one(cb));
	SHOW(read(e, &n, 8));
	printf("%lu\n", (unsigned long)n);
	cb.aio_resfd = (uint32_t)fd;
	SHOW(one(cb));
	cb.aio_resfd = 99;
	SHOW(one(cb));
	close(fd), close(ro), close(e);
}

static void many(void)
{
	struct iocb cb[4], *p[4] = {&cb[0], &cb[1], &cb[2], &cb[3]};
	struct timespec zero = {0}, soon = {.tv_nsec = 10000000}, wrong = {.tv_nsec = 2000000000};
	struct io_event ev[8];
	char buf[64];
	int fd = open("file", O_RDWR);

	for (int i = 0; i < 4; i++)
		cb[i] = request(i == 2 ? 99 : fd, IOCB_CMD_PREAD, buf + 8 * i, 8, i);
	SHOW(submit(ctx, 4, p));
	SHOW(submit(ctx, -1, p));
	SHOW(submit(ctx, 0, p));
	SHOW(submit(ctx, 1, (struct iocb **)8));
	SHOW(events(ctx, 2, 1, ev, NULL));
	SHOW(events(ctx, -1, 1, ev, NULL));
	SHOW(events(ctx, 0, 1, ev, &wrong));
	SHOW(events(ctx, 1, 8, ev, &zero));
	SHOW(events(ctx, 1, 8, ev, &zero));
	SHOW(events(ctx, 1, 8, ev, &soon));
	SHOW(syscall(SYS_io_pgetevents, ctx, 1L, 8L, ev, &soon, NULL));
	SHOW(syscall(SYS_io_cancel, ctx, &cb[0], ev));
	SHOW(syscall(SYS_io_cancel, ctx, NULL, ev));
	close(fd);
}

static void *late(void *arg)
{
	struct iocb cb, *p = &cb;
	int *fds = arg;

	usleep(20000);
	cb = request(fds[1], IOCB_CMD_PWRITE, (char[]){"late"}, 5, 0);
	CHECK(submit(ctx, 1, &p) == 1);
	return NULL;
}

static void handler(int sig)
{
}

static void waiting(void)
{
	struct io_event ev = {0};
	char buf[8] = "";
	pthread_t th;
	int fds[2];

	CHECK(!pipe(fds));
	pthread_create(&th, NULL, late, fds);
	SHOW(events(ctx, 1, 1, &ev, NULL));
	printf("%ld\n", (long)ev.res);
	pthread_join(th, NULL);
	SHOW(one(request(fds[0], IOCB_CMD_PREAD, buf, 8, 0)));
	printf("%s\n", buf);
	sigaction(SIGALRM, &(struct sigaction){.sa_handler = handler}, NULL);
	ualarm(10000, 0);
	SHOW(events(ctx, 1, 1, &ev, NULL));
	fflush(stdout);
	if (fork() == 0) {	/* a child has no contexts */
		SHOW(events(ctx, 0, 1, &ev, NULL));
		SHOW(syscall(SYS_io_destroy, ctx));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	SHOW(syscall(SYS_io_destroy, ctx));
}

int main(void)
{
	char dir[32];

	enter_tmp(dir);
	setups();
	SHOW(setup(16, &ctx));
	files();
	many();
	waiting();
	DONE();
}
