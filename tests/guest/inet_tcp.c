/* SPDX-License-Identifier: Apache-2.0 */
/* TCP on loopback: refused and unreachable connects, names, half close, resets, options, poll. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "guest.h"

static short ready(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};

	poll(&p, 1, 50);
	return p.revents;
}

static struct sockaddr_in at(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

static int port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	getsockname(fd, (void *)&a, &len);
	return ntohs(a.sin_port);
}

static int listener(void)
{
	struct sockaddr_in a = at("127.0.0.1", 0);
	int l = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(l, (void *)&a, sizeof(a)) == 0 && listen(l, 8) == 0);
	return l;
}

static void pair(int l, int *c, int *s)
{
	struct sockaddr_in a = at("127.0.0.1", port_of(l));

	*c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(*c, (void *)&a, sizeof(a)) == 0);
	*s = accept(l, NULL, NULL);
	CHECK(*s >= 0);
}

static int so_error(int fd)
{
	int v = -1;
	socklen_t len = sizeof(v);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &len);
	return v;
}

static void basics(int l)
{
	struct sockaddr_in a, b;
	socklen_t len = sizeof(a);
	char buf[100];
	int c, s, n;

	pair(l, &c, &s);
	CHECK(getsockname(c, (void *)&a, &len) == 0 && getpeername(s, (void *)&b, &len) == 0);
	CHECK(a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr);
	printf("%s\n", inet_ntoa(b.sin_addr));
	printf("%x %x\n", ready(c), ready(s));
	SHOW(write(c, "hello", 5));
	printf("%x\n", ready(s));
	SHOW(ioctl(s, FIONREAD, &n));
	printf("%d\n", n);
	SHOW(recv(s, buf, 2, MSG_PEEK));
	SHOW(recv(s, buf, 100, 0));
	SHOW(recv(s, buf, 100, MSG_DONTWAIT));
	SHOW(shutdown(c, SHUT_WR));
	printf("%x %x\n", ready(s), ready(c));
	SHOW(read(s, buf, 100));
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	SHOW(write(s, "reply", 5));
	SHOW(close(s));
	usleep(20000);
	printf("%x\n", ready(c));
	SHOW(read(c, buf, 100));
	SHOW(read(c, buf, 100));
	close(c);
}

static void ends(int l)
{
	struct linger lin = {1, 0};
	char buf[100];
	int c, s;

	pair(l, &c, &s);
	close(s);
	usleep(20000);
	printf("%x\n", ready(c));
	SHOW(send(c, "1", 1, MSG_NOSIGNAL));
	usleep(20000);
	SHOW(send(c, "2", 1, MSG_NOSIGNAL));
	SHOW(read(c, buf, 1));
	close(c);

	pair(l, &c, &s);
	setsockopt(s, SOL_SOCKET, SO_LINGER, &lin, sizeof(lin));
	close(s);
	usleep(20000);
	printf("%x\n", ready(c));
	SHOW(read(c, buf, 1));
	SHOW(read(c, buf, 1));
	SHOW(send(c, "2", 1, MSG_NOSIGNAL));
	close(c);

	pair(l, &c, &s);
	write(c, "unread", 6);
	usleep(20000);
	close(s);
	usleep(20000);
	printf("%d\n", so_error(c) == ECONNRESET);
	close(c);
}

static void refusals(void)
{
	int c = socket(AF_INET, SOCK_STREAM, 0), l = listener(), port = port_of(l);
	struct sockaddr_in a;
	char buf[4];

	close(l);
	a = at("127.0.0.1", port);
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(read(c, buf, 1));
	SHOW(send(c, "x", 1, MSG_NOSIGNAL));
	SHOW(getpeername(c, (void *)&a, &(socklen_t){sizeof(a)}));
	SHOW(shutdown(c, SHUT_RDWR));
	SHOW(accept(c, NULL, NULL));
	close(c);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	a = at("127.0.0.1", port);
	SHOW(connect(c, (void *)&a, sizeof(a)));
	printf("%x %d\n", ready(c), so_error(c));
	close(c);
	l = listener();
	a = at("127.0.0.1", port_of(l));
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SHOW(connect(c, (void *)&a, sizeof(a)));
	printf("%x %d\n", ready(c), so_error(c));
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(connect(c, (void *)&a, sizeof(a)));
	close(c), close(l);
}

static void binds(void)
{
	int a = listener(), b = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in x = at("127.0.0.1", port_of(a)), y = at("8.8.8.8", 0), z = at("127.0.0.2", port_of(a));

	SHOW(bind(b, (void *)&x, sizeof(x)));
	setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	SHOW(bind(b, (void *)&x, sizeof(x)));
	SHOW(bind(b, (void *)&y, sizeof(y)));
	SHOW(bind(b, (void *)&z, sizeof(z)));
	SHOW(bind(b, (void *)&z, sizeof(z)));
	SHOW(bind(b, (void *)&z, 4));
	close(a), close(b);
	b = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	SHOW(bind(b, (void *)&six, sizeof(six)));
	SHOW(listen(b, 1));
	x = at("127.0.0.1", port_of(b));
	a = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(connect(a, (void *)&x, sizeof(x)));
	socklen_t len = sizeof(six);
	int s = accept(b, (void *)&six, &len);
	char text[64];
	printf("%s %u\n", inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text)), len);
	close(s), close(a), close(b);
}

static void options(int l)
{
	static const struct {
		const char *name;
		int level, opt;
	} o[] = {{"NODELAY", IPPROTO_TCP, TCP_NODELAY}, {"KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE},
		 {"KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL}, {"KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT},
		 {"TTL", IPPROTO_IP, IP_TTL}, {"TOS", IPPROTO_IP, IP_TOS}, {"KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
		 {"REUSEPORT", SOL_SOCKET, SO_REUSEPORT}, {"ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN},
		 {"PROTOCOL", SOL_SOCKET, SO_PROTOCOL}, {"BAD", IPPROTO_TCP, 7777}};
	struct tcp_info ti;
	socklen_t len;
	int c, s, v = 1;

	pair(l, &c, &s);
	SHOW(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)));
	SHOW(setsockopt(c, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof(v)));
	v = 0;
	SHOW(setsockopt(c, IPPROTO_TCP, TCP_KEEPIDLE, &v, sizeof(v)));
	for (unsigned i = 0; i < sizeof(o) / sizeof(o[0]); i++) {
		len = sizeof(v);
		int r = getsockopt(c, o[i].level, o[i].opt, &v, &len);
		printf("%s %d %d\n", o[i].name, r, r ? errno : v);
	}
	len = sizeof(ti);
	SHOW(getsockopt(c, IPPROTO_TCP, TCP_INFO, &ti, &len));
	printf("state %d\n", ti.tcpi_state);
	shutdown(s, SHUT_WR);
	usleep(10000);
	getsockopt(c, IPPROTO_TCP, TCP_INFO, &ti, &len);
	printf("state %d\n", ti.tcpi_state);
	close(c), close(s);
}

/* A megabyte each way through a child that sends it back. */
static void bulk(int l)
{
	static char out[1 << 20], in[1 << 20];
	int c, s, st;
	size_t got = 0;

	pair(l, &c, &s);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)(i * 31 >> 3);
	if (fork() == 0) {
		static char b[65536];
		ssize_t n;

		close(c);
		while ((n = read(s, b, sizeof(b))) > 0)
			for (ssize_t at = 0, w; at < n; at += w)
				if ((w = write(s, b + at, (size_t)(n - at))) <= 0)
					_exit(1);
		_exit(0);
	}
	close(s);
	if (fork() == 0) {
		_exit(write(c, out, sizeof(out)) == sizeof(out) && shutdown(c, SHUT_WR) == 0 ? 0 : 1);
	}
	while (got < sizeof(in)) {
		ssize_t n = read(c, in + got, sizeof(in) - got);

		if (n <= 0)
			break;
		got += (size_t)n;
	}
	printf("%zu %d\n", got, memcmp(in, out, sizeof(in)));
	while (wait(&st) > 0)
		printf("%d\n", WEXITSTATUS(st));
	close(c);
}

int main(void)
{
	int l = listener();

	setvbuf(stdout, NULL, _IONBF, 0);
	basics(l);
	ends(l);
	refusals();
	binds();
	options(l);
	bulk(l);
	DONE();
}
