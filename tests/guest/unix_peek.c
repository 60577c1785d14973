/* SPDX-License-Identifier: Apache-2.0 */
/* MSG_PEEK with SO_PEEK_OFF and MSG_WAITALL on stream sockets. */
#include <sys/resource.h>
#include <sys/socket.h>
#include "guest.h"

static int s[2];

static void look(size_t n, int flags)
{
	char buf[32] = "";
	int off = 0;
	socklen_t len = sizeof(off);

	errno = 0;
	ssize_t r = recv(s[0], buf, n, flags | MSG_DONTWAIT);
	getsockopt(s[0], SOL_SOCKET, SO_PEEK_OFF, &off, &len);
	printf("%zu %x: %zd %s '%.*s' off %d\n", n, (unsigned)flags, r, r < 0 ? strerrorname_np(errno) : "",
	       r > 0 ? (int)r : 0, buf, off);
}

static void set_off(int v)
{
	SHOW(setsockopt(s[0], SOL_SOCKET, SO_PEEK_OFF, &v, sizeof(v)));
}

int main(void)
{
	char buf[16] = "";
	struct rusage before, after;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK(write(s[1], "aaaabbbb", 8) == 8 && write(s[1], "cccc", 4) == 4);
	look(4, MSG_PEEK);
	look(4, MSG_PEEK);
	set_off(0);
	look(3, MSG_PEEK);
	look(3, MSG_PEEK);
	look(10, MSG_PEEK);
	look(10, MSG_PEEK);
	set_off(2);
	look(1, 0);
	look(2, MSG_PEEK);
	look(5, 0);
	look(3, MSG_PEEK);
	set_off(-1);
	look(20, MSG_PEEK);
	look(20, 0);
	/* does not wait for the whole, as TCP would */
	CHECK(write(s[1], "half", 4) == 4);
	if (fork() == 0) {
		usleep(200000);
		write(s[1], "rest", 4);
		_exit(0);
	}
	getrusage(RUSAGE_SELF, &before);
	SHOW(recv(s[0], buf, 8, MSG_PEEK | MSG_WAITALL));
	getrusage(RUSAGE_SELF, &after);
	printf("%s\n", buf);
	long us = (after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec) *
		  1000000 + after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec -
		  before.ru_stime.tv_usec;
	CHECK(us < 100000);
	wait(NULL);
	DONE();
}
