/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback interface of a new network namespace is down until somebody sets it up. */
#include "guest.h"
#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int flags(int s)
{
	struct ifreq r = {.ifr_name = "lo"};
	SHOW(ioctl(s, SIOCGIFFLAGS, &r));
	return r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING);
}

/* Asks for an address of lo; the answer's error. */
static int add_addr(int nl, unsigned flags)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg a;
		struct rtattr r;
		uint8_t v4[4];
	} m = {{sizeof(m), RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | flags, 7, 0},
	       {AF_INET, 8, IFA_F_PERMANENT, RT_SCOPE_HOST, 1}, {8, IFA_LOCAL}, {127, 0, 0, 1}};
	char b[4096];
	if (send(nl, &m, sizeof(m), 0) != (ssize_t)sizeof(m))
		return -1;
	ssize_t n = recv(nl, b, sizeof(b), 0);
	struct nlmsghdr *h = (void *)b;
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || h->nlmsg_type != NLMSG_ERROR)
		return -2;
	CHECK(h->nlmsg_seq == 7 && h->nlmsg_pid == (uint32_t)getpid());
	return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static uint32_t port(int nl)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK};
	socklen_t n = sizeof(a);
	CHECK(bind(nl, (void *)&a, n) == 0 && getsockname(nl, (void *)&a, &n) == 0);
	return a.nl_pid;
}

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9)};
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	printf("first %x\n", flags(s));
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		printf("no namespace\n");
		return 0;
	}
	s = socket(AF_INET, SOCK_DGRAM, 0);
	printf("new %x\n", flags(s));
	SHOW(ioctl(s, SIOCGIFADDR, &r));
	SHOW(bind(s, (void *)&a, sizeof(a)));
	SHOW(connect(s, (void *)&a, sizeof(a)));
	SHOW(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof(a)));
	int nl = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), nl2 = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	uint32_t first = port(nl), second = port(nl2);
	printf("own number %d, another %d\n", first == (uint32_t)getpid(), second > 0x80000000);
	struct sockaddr_nl na = {.nl_family = AF_NETLINK, .nl_pid = (uint32_t)getpid()};
	SHOW(bind(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), (void *)&na, sizeof(na)));
	printf("addr %d\n", add_addr(nl, NLM_F_CREATE | NLM_F_EXCL));
	printf("again %d\n", add_addr(nl, NLM_F_CREATE | NLM_F_EXCL));
	r.ifr_flags = IFF_UP;
	SHOW(ioctl(s, SIOCSIFFLAGS, &r));
	printf("up %x\n", flags(s));
	SHOW(ioctl(s, SIOCGIFADDR, &r));
	SHOW(connect(s, (void *)&a, sizeof(a)));
	SHOW(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&a, sizeof(a)));
	r.ifr_flags = 0;
	SHOW(ioctl(s, SIOCSIFFLAGS, &r));
	printf("down %x\n", flags(s));
	strcpy(r.ifr_name, "nosuch");
	SHOW(ioctl(s, SIOCSIFFLAGS, &r));
	DONE();
}
