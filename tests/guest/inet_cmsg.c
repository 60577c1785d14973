/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of UDP: destination address, TTL, TOS, and the source of an answer. */
#include "guest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void show(struct msghdr *m)
{
	char text[64];
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		printf("  %d %d len %zu", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *p = (void *)CMSG_DATA(c);
			printf(" if %d addr %s", p->ipi_ifindex, inet_ntoa(p->ipi_addr));
			printf(" spec %s", inet_ntoa(p->ipi_spec_dst));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *p = (void *)CMSG_DATA(c);
			inet_ntop(AF_INET6, &p->ipi6_addr, text, sizeof(text));
			printf(" if %d addr %s", p->ipi6_ifindex, text);
		} else if (c->cmsg_type == IP_ORIGDSTADDR && c->cmsg_level == IPPROTO_IP) {
			struct sockaddr_in *p = (void *)CMSG_DATA(c);
			printf(" %s", inet_ntoa(p->sin_addr));
		} else {
			printf(" value %d", CMSG_DATA(c)[0]);
		}
		printf("\n");
	}
}

static void recv_one(int r, size_t room)
{
	char buf[64], ctl[256], text[64];
	struct sockaddr_storage from;
	struct iovec v = {buf, sizeof(buf)};
	struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &v, .msg_iovlen = 1,
			   .msg_control = ctl, .msg_controllen = room};
	ssize_t n = recvmsg(r, &m, MSG_DONTWAIT);
	const void *a = from.ss_family == AF_INET ? (void *)&((struct sockaddr_in *)&from)->sin_addr
						  : (void *)&((struct sockaddr_in6 *)&from)->sin6_addr;
	printf("got %zd flags %x control %zu from %s\n", n, m.msg_flags, (size_t)m.msg_controllen,
	       inet_ntop(from.ss_family, a, text, sizeof(text)));
	show(&m);
}

static int send_with(int s, const struct sockaddr *to, socklen_t n, int level, int type, const void *d, size_t dn)
{
	char ctl[128] = {0};
	struct iovec v = {"hello", 5};
	struct msghdr m = {.msg_name = (void *)to, .msg_namelen = n, .msg_iov = &v, .msg_iovlen = 1,
			   .msg_control = ctl, .msg_controllen = CMSG_SPACE(dn)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = level, c->cmsg_type = type, c->cmsg_len = CMSG_LEN(dn);
	memcpy(CMSG_DATA(c), d, dn);
	return (int)sendmsg(s, &m, 0);
}

static void v4(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET}, to;
	socklen_t n = sizeof(a);
	int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), one = 1, ttl = 9, tos = 0x10;
	bind(r, (void *)&a, n);
	getsockname(r, (void *)&a, &n);
	to = a;
	to.sin_addr.s_addr = htonl(0x7f000002);
	SHOW(setsockopt(r, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one)));
	SHOW(setsockopt(r, IPPROTO_IP, IP_RECVTTL, &one, sizeof(one)));
	SHOW(setsockopt(r, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one)));
	SHOW(setsockopt(r, IPPROTO_IP, IP_RECVORIGDSTADDR, &one, sizeof(one)));
	SHOW(setsockopt(s, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)));
	SHOW(setsockopt(s, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)));
	sendto(s, "hi", 2, 0, (void *)&to, sizeof(to));
	recv_one(r, 256);
	sendto(s, "hi", 2, 0, (void *)&to, sizeof(to));
	recv_one(r, 40);
	sendto(s, "hi", 2, 0, (void *)&to, sizeof(to));
	recv_one(r, 0);
	struct in_pktinfo pi = {.ipi_spec_dst.s_addr = htonl(0x7f000003)};
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IP, IP_PKTINFO, &pi, sizeof(pi)));
	recv_one(r, 256);
	pi.ipi_ifindex = 9999;
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IP, IP_PKTINFO, &pi, sizeof(pi)));
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IP, IP_PKTINFO, &pi, 4));
	ttl = 33;
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)));
	recv_one(r, 256);
	ttl = 0;
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl)));
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IP, 999, &ttl, sizeof(ttl)));
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_TCP, 1, &ttl, sizeof(ttl)));
}

static void v6(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6}, to;
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int r = socket(AF_INET6, SOCK_DGRAM, 0), s = socket(AF_INET6, SOCK_DGRAM, 0), one = 1, hops = 12, tc = 8;
	if (bind(r, (void *)&a, n)) {
		printf("no IPv6\n");
		return;
	}
	getsockname(r, (void *)&a, &n);
	to = a;
	to.sin6_addr = in6addr_loopback;
	to4.sin_port = a.sin6_port;
	SHOW(setsockopt(r, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one)));
	SHOW(setsockopt(r, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &one, sizeof(one)));
	SHOW(setsockopt(r, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one)));
	SHOW(setsockopt(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops)));
	sendto(s, "hi", 2, 0, (void *)&to, sizeof(to));
	recv_one(r, 256);
	SHOW(send_with(s, (void *)&to, sizeof(to), IPPROTO_IPV6, IPV6_TCLASS, &tc, sizeof(tc)));
	recv_one(r, 256);
	sendto(socket(AF_INET, SOCK_DGRAM, 0), "hi", 2, 0, (void *)&to4, sizeof(to4));
	recv_one(r, 256);
}

int main(void)
{
	v4();
	v6();
	DONE();
}
