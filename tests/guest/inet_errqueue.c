/* SPDX-License-Identifier: Apache-2.0 */
/* IP_RECVERR: a datagram to a port where nobody listens comes back through the error queue. */
#include <time.h>
#include <linux/errqueue.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include "guest.h"

static short ready(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	poll(&p, 1, 100);
	return p.revents & ~POLLOUT;
}

static void queue(int s, size_t room)
{
	char data[64] = "", control[200];
	struct sockaddr_storage from = {0};
	struct iovec v = {data, room};
	struct msghdr h = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1,
			   .msg_control = control, .msg_controllen = sizeof(control)};

	memset(&from, 0, sizeof(from));
	errno = 0;
	ssize_t n = recvmsg(s, &h, MSG_ERRQUEUE);
	printf("%zd %s '%s' flags %x name %d len %u\n", n, n < 0 ? strerrorname_np(errno) : "", data, h.msg_flags,
	       n < 0 ? 0 : from.ss_family, n < 0 ? 0 : h.msg_namelen);
	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		struct sock_extended_err *e = (void *)CMSG_DATA(c);
		struct sockaddr *o = SO_EE_OFFENDER(e);

		printf("%d %d len %zu: %u %u %u %u from %d\n", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len,
		       e->ee_errno, e->ee_origin, e->ee_type, e->ee_code, o->sa_family);
	}
}

static void unreachable(int family, int level, int option)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr *a = family == AF_INET ? (void *)&a4 : (void *)&a6;
	socklen_t len = family == AF_INET ? sizeof(a4) : sizeof(a6);
	int closed = socket(family, SOCK_DGRAM, 0), s = socket(family, SOCK_DGRAM, 0), one = 1;
	char buf[10];

	CHECK(!bind(closed, a, len) && !getsockname(closed, a, &len));
	close(closed);	/* a port that nobody has */
	SHOW(sendto(s, "quiet", 5, 0, a, len));
	printf("%x\n", ready(s));
	queue(s, 64);
	SHOW(setsockopt(s, level, option, &one, sizeof(one)));
	SHOW(sendto(s, "first", 5, 0, a, len));
	printf("%x\n", ready(s));
	SHOW(sendto(s, "second", 6, 0, a, len));	/* told of the first */
	SHOW(sendto(s, "second", 6, 0, a, len));
	queue(s, 64);
	printf("%x\n", ready(s));
	queue(s, 3);
	printf("%x\n", ready(s));
	queue(s, 64);
	SHOW(recv(s, buf, sizeof(buf), MSG_DONTWAIT));
	SHOW(connect(s, a, len));
	SHOW(send(s, "third", 5, 0));
	SHOW(recv(s, buf, sizeof(buf), MSG_DONTWAIT));
	queue(s, 64);
	close(s);
}

int main(void)
{
	unreachable(AF_INET, IPPROTO_IP, IP_RECVERR);
	unreachable(AF_INET6, IPPROTO_IPV6, IPV6_RECVERR);
	DONE();
}
