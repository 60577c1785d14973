/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX stream and seqpacket sockets: names, connections, data, shutdown, errors, credentials. */
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "guest.h"

static socklen_t name(struct sockaddr_un *a, const char *path, bool abstract)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	strcpy(a->sun_path + abstract, path);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract + strlen(path) + !abstract);
}

static short ready(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void show_name(int fd, bool peer)
{
	struct sockaddr_un a = {0};
	socklen_t len = sizeof(a);
	int r = peer ? getpeername(fd, (void *)&a, &len) : getsockname(fd, (void *)&a, &len);

	printf("%d len %u %s%s\n", r, len, a.sun_path[0] ? "" : "@", len > 2 ? a.sun_path + !a.sun_path[0] : "");
}

/* Last parts of a path under which nothing can be made. */
static void odd_names(void)
{
	static const char *const names[] = {"/", "//", ".", "..", "/../", "/tmp/", "/tmp/..", "none/", "./none/x"};

	mkdir("there", 0700);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct sockaddr_un a;
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		socklen_t len = name(&a, names[i], false);

		printf("%s: ", names[i]);
		SHOW(bind(s, (void *)&a, len));
		close(s);
	}
	rmdir("there");
}

static void connections(bool abstract)
{
	struct sockaddr_un a;
	socklen_t len = name(&a, "sock", abstract);
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s;
	struct ucred cr;
	char buf[100];

	SHOW(connect(c, (void *)&a, len));
	SHOW(listen(l, 5));
	SHOW(bind(l, (void *)&a, len));
	SHOW(bind(l, (void *)&a, len));
	SHOW(bind(c, (void *)&a, len));
	SHOW(connect(c, (void *)&a, len));
	SHOW(listen(l, 1));
	printf("%x %x\n", ready(l), ready(c));
	SHOW(connect(c, (void *)&a, len));
	SHOW(connect(c, (void *)&a, len));
	printf("%x %x\n", ready(l), ready(c));
	SHOW(write(c, "early", 5));
	s = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	printf("%x %x\n", ready(s), fcntl(s, F_GETFD));
	SHOW(read(s, buf, sizeof(buf)));
	show_name(l, false), show_name(c, false), show_name(c, true), show_name(s, false), show_name(s, true);
	len = sizeof(cr);
	SHOW(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cr, &len));
	printf("%d %d %d\n", cr.pid == getpid(), cr.uid == getuid(), cr.gid == getgid());
	SHOW(shutdown(c, SHUT_WR));
	printf("%x %x\n", ready(s), ready(c));
	SHOW(read(s, buf, sizeof(buf)));
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	SHOW(write(s, "back", 4));
	SHOW(close(s));
	printf("%x\n", ready(c));
	SHOW(read(c, buf, sizeof(buf)));
	SHOW(read(c, buf, sizeof(buf)));
	close(c);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	len = name(&a, "sock", abstract);
	SHOW(connect(c, (void *)&a, len));
	s = accept(l, NULL, NULL);
	SHOW(write(c, "unread", 6));
	SHOW(close(s));
	SHOW(read(c, buf, sizeof(buf)));
	SHOW(read(c, buf, sizeof(buf)));
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	close(c);
	int many[5];
	for (int i = 0; i < 5; i++) {
		many[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		SHOW(connect(many[i], (void *)&a, len));
	}
	close(l);
	printf("%x\n", ready(many[0]));
	SHOW(read(many[0], buf, 1));
	SHOW(connect(many[4], (void *)&a, len));
	for (int i = 0; i < 5; i++)
		close(many[i]);
	unlink("sock");
}

static void data(void)
{
	static char big[1 << 20];
	char buf[100];
	int s[2], n;
	struct timeval tv = {0, 30000};

	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	SHOW(send(s[0], "hello world", 11, 0));
	SHOW(recv(s[1], buf, 5, MSG_PEEK));
	SHOW(recv(s[1], buf, 100, MSG_PEEK | MSG_TRUNC));
	SHOW(ioctl(s[1], FIONREAD, &n));
	printf("%d\n", n);
	SHOW(recv(s[1], buf, 5, 0));
	SHOW(recv(s[1], buf, 100, MSG_DONTWAIT));
	SHOW(recv(s[1], buf, 100, MSG_DONTWAIT));
	SHOW(setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	SHOW(recv(s[1], buf, 100, 0));
	if (fork() == 0) {
		usleep(10000);
		write(s[0], "abc", 3);
		usleep(10000);
		write(s[0], "defg", 4);
		_exit(0);
	}
	tv.tv_sec = 5;
	setsockopt(s[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	SHOW(recv(s[1], buf, 7, MSG_WAITALL));
	wait(NULL);
	fcntl(s[0], F_SETFL, O_NONBLOCK);
	n = (int)write(s[0], big, sizeof(big));
	CHECK(n > 50000 && n < (int)sizeof(big));
	printf("%x\n", ready(s[0]) & POLLOUT);
	int got = 0, r;
	while ((r = (int)recv(s[1], big, sizeof(big), MSG_DONTWAIT)) > 0)
		got += r;
	CHECK(got == n);
	printf("%x\n", ready(s[0]) & POLLOUT);
	close(s[0]), close(s[1]);
	SHOW(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	SHOW(send(s[0], "first", 5, 0));
	SHOW(send(s[0], "second", 6, 0));
	SHOW(recv(s[1], buf, 3, 0));
	SHOW(recv(s[1], buf, 3, MSG_TRUNC));
	SHOW(send(s[0], big, 500000, 0));
	close(s[0]);
	SHOW(recv(s[1], buf, 3, 0));
	SHOW(socketpair(AF_INET, SOCK_STREAM, 0, s));
	SHOW(socket(AF_UNIX, 77, 0));
	SHOW(socket(AF_UNIX, SOCK_STREAM, 5));
	SHOW(socket(AF_UNIX, SOCK_RDM, 0));
	SHOW(socket(200, SOCK_STREAM, 0));
}

static void options(void)
{
	static const struct {
		const char *name;
		int opt;
	} o[] = {{"TYPE", SO_TYPE}, {"DOMAIN", SO_DOMAIN}, {"PROTOCOL", SO_PROTOCOL}, {"ERROR", SO_ERROR},
		 {"ACCEPTCONN", SO_ACCEPTCONN}, {"SNDBUF", SO_SNDBUF}, {"RCVBUF", SO_RCVBUF},
		 {"PASSCRED", SO_PASSCRED}, {"REUSEADDR", SO_REUSEADDR}, {"RCVLOWAT", SO_RCVLOWAT}, {"BAD", 7777}};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), v;
	socklen_t len;

	v = 100000;
	SHOW(setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v)));
	v = 1;
	SHOW(setsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, sizeof(v)));
	SHOW(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &v, sizeof(v)));
	SHOW(setsockopt(s, SOL_SOCKET, SO_PASSCRED, &v, 1));
	SHOW(setsockopt(s, SOL_SOCKET, SO_TYPE, &v, sizeof(v)));
	for (unsigned i = 0; i < sizeof(o) / sizeof(o[0]); i++) {
		len = sizeof(v);
		int r = getsockopt(s, SOL_SOCKET, o[i].opt, &v, &len);
		printf("%s %d %d\n", o[i].name, r, r ? errno : v);
	}
	SHOW(getsockopt(0, SOL_SOCKET, SO_TYPE, &v, &len));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	odd_names();
	connections(false);
	connections(true);
	data();
	options();
	DONE();
}
