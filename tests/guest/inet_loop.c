/* SPDX-License-Identifier: Apache-2.0 */
/* Loopback only; the sandbox needs no network for it. */
#include "guest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static struct sockaddr_in addr(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int main(void)
{
	char b[256];
	struct sockaddr_in a = addr(0), got;
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	SHOW(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	SHOW(bind(l, (void *)&a, sizeof(a)));
	SHOW(listen(l, 5));
	SHOW(getsockname(l, (void *)&a, &len));
	CHECK(a.sin_port != 0);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(connect(c, (void *)&a, sizeof(a)));
	len = sizeof(got);
	int s = accept(l, (void *)&got, &len);
	SHOW(s >= 0);
	printf("%u %x\n", len, ntohl(got.sin_addr.s_addr));
	SHOW(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	SHOW(send(c, "hello", 5, 0));
	SHOW(recv(s, b, 256, 0));
	SHOW(recv(s, b, 256, MSG_DONTWAIT));
	struct pollfd pf = {s, POLLIN | POLLOUT, 0};
	SHOW(poll(&pf, 1, 0));
	printf("%x\n", pf.revents);
	SHOW(shutdown(c, SHUT_WR));
	SHOW(recv(s, b, 256, 0));
	SHOW(send(s, "bye", 3, 0));
	SHOW(recv(c, b, 256, 0));
	close(s);
	SHOW(recv(c, b, 256, 0));
	close(c);
	/* nobody listens */
	close(l);
	c = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(connect(c, (void *)&a, sizeof(a)));
	close(c);
	/* bulk, with a forked server */
	l = socket(AF_INET, SOCK_STREAM, 0);
	a = addr(0);
	len = sizeof(a);
	bind(l, (void *)&a, sizeof(a));
	listen(l, 1);
	getsockname(l, (void *)&a, &len);
	fflush(stdout);
	if (fork() == 0) {
		s = accept(l, NULL, NULL);
		char *big = calloc(1, 1 << 20);
		for (int i = 0; i < 1 << 20; i++)
			big[i] = (char)(i * 7);
		for (int sent = 0, n; sent < 1 << 20; sent += n)
			n = (int)send(s, big + sent, (size_t)((1 << 20) - sent), 0);
		_exit(0);
	}
	c = socket(AF_INET, SOCK_STREAM, 0);
	connect(c, (void *)&a, sizeof(a));
	int total = 0, n, bad = 0;
	while ((n = (int)recv(c, b, sizeof(b), 0)) > 0)
		for (int i = 0; i < n; i++, total++)
			bad += b[i] != (char)(total * 7);
	printf("%d bad %d\n", total, bad);
	wait(NULL);
	/* datagrams */
	int u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET, SOCK_DGRAM, 0);
	a = addr(0);
	len = sizeof(a);
	SHOW(bind(u, (void *)&a, sizeof(a)));
	getsockname(u, (void *)&a, &len);
	SHOW(sendto(v, "one", 3, 0, (void *)&a, sizeof(a)));
	SHOW(sendto(v, "", 0, 0, (void *)&a, sizeof(a)));
	len = sizeof(got);
	SHOW(recvfrom(u, b, 2, 0, (void *)&got, &len));
	SHOW(recv(u, b, 10, 0));
	SHOW(recv(u, b, 10, MSG_DONTWAIT));
	SHOW(sendto(u, "back", 4, 0, (void *)&got, len));
	SHOW(recv(v, b, 10, 0));
	SHOW(send(v, "x", 1, 0));
	SHOW(connect(v, (void *)&a, sizeof(a)));
	SHOW(send(v, "x", 1, 0));
	int val = 0;
	len = sizeof(val);
	SHOW(getsockopt(v, SOL_SOCKET, SO_TYPE, &val, &len));
	printf("%d\n", val);
	SHOW(getsockopt(v, SOL_SOCKET, SO_DOMAIN, &val, &len));
	printf("%d\n", val);
	SHOW(bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, 3));
	SHOW(listen(99, 1));
	/* IPv6 loopback */
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	l = socket(AF_INET6, SOCK_STREAM, 0);
	SHOW(bind(l, (void *)&a6, sizeof(a6)));
	len = sizeof(a6);
	getsockname(l, (void *)&a6, &len);
	listen(l, 1);
	c = socket(AF_INET6, SOCK_STREAM, 0);
	SHOW(connect(c, (void *)&a6, sizeof(a6)));
	DONE();
}
