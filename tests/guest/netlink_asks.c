/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink as ip, ss and sandboxes use it: rules, routes of lo, an address for a new lo, sockets. */
#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include "guest.h"

static char buf[65536];

/* Sends one message, and gives each answer to f until the end or an error, which is returned. */
static int ask(int family, uint16_t type, uint16_t flags, const void *body, size_t n,
	       void (*f)(struct nlmsghdr *h))
{
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, family);
	struct nlmsghdr h = {.nlmsg_len = (uint32_t)NLMSG_LENGTH(n), .nlmsg_type = type,
			     .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = 7};

	if (s < 0)
		die("socket");
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + NLMSG_HDRLEN, body, n);
	CHECK(send(s, buf, h.nlmsg_len, 0) == (ssize_t)h.nlmsg_len);
	for (;;) {
		ssize_t got = recv(s, buf, sizeof(buf), 0);

		if (got <= 0)
			die("recv");
		for (struct nlmsghdr *m = (void *)buf; NLMSG_OK(m, got); m = NLMSG_NEXT(m, got)) {
			if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) {
				int r = m->nlmsg_type == NLMSG_DONE ? 0 : ((struct nlmsgerr *)NLMSG_DATA(m))->error;

				close(s);
				return r;
			}
			CHECK(m->nlmsg_seq == 7);
			if (f)
				f(m);
		}
	}
}

static int rules, local;

static void on_rule(struct nlmsghdr *h)
{
	rules += ((struct fib_rule_hdr *)NLMSG_DATA(h))->action == FR_ACT_TO_TBL;
}

static void on_route(struct nlmsghdr *h)
{
	struct rtmsg *m = NLMSG_DATA(h);
	int left = (int)RTM_PAYLOAD(h);

	for (struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTA_DST && *(uint8_t *)RTA_DATA(a) == 127)
			local += m->rtm_table == RT_TABLE_LOCAL;
}

static uint16_t port;

static void on_sock(struct nlmsghdr *h)
{
	struct inet_diag_msg *m = NLMSG_DATA(h);

	if (m->id.idiag_sport == port)
		printf("state %d, %u of %u wait\n", m->idiag_state, m->idiag_rqueue, m->idiag_wqueue);
}

static void sockets(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct inet_diag_req_v2 q = {.sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 1 << 10};
	socklen_t n = sizeof(a);
	int s = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	SHOW(bind(s, (void *)&a, sizeof(a)));
	SHOW(listen(s, 5));
	getsockname(s, (void *)&a, &n);
	port = a.sin_port;
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &q, sizeof(q), on_sock));
	q.idiag_states = 1 << 1;
	SHOW(ask(NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &q, sizeof(q), NULL));
}

/* A link by number, or without one by its whole name. */
static void links(void)
{
	static const struct {
		int index, len;
		char name[8];
	} asks[] = {{1, 0, ""}, {0, 3, "lo"}, {0, 2, "lo"}, {0, 4, "lo0"}, {0, 5, "loop"}, {0, 1, "l"}, {77, 3, "lo"}};
	for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
		struct {
			struct ifinfomsg ifi;
			struct rtattr a;
			char name[8];
		} q = {{.ifi_index = asks[i].index}, {(uint16_t)RTA_LENGTH(asks[i].len), IFLA_IFNAME}, ""};
		memcpy(q.name, asks[i].name, 8);
		SHOW(ask(NETLINK_ROUTE, RTM_GETLINK, NLM_F_ACK, &q,
			 asks[i].len ? sizeof(q.ifi) + RTA_ALIGN(q.a.rta_len) : sizeof(q.ifi), NULL));
	}
}

int main(void)
{
	struct rtmsg rt = {.rtm_family = AF_INET};
	struct {
		struct ifaddrmsg ifa;
		struct rtattr a;
		uint8_t addr[4];
	} add = {{AF_INET, 8, IFA_F_PERMANENT, RT_SCOPE_HOST, 1}, {RTA_LENGTH(4), IFA_LOCAL}, {127, 0, 0, 1}};

	SHOW(ask(NETLINK_ROUTE, RTM_GETRULE, NLM_F_DUMP, &rt, sizeof(rt), on_rule));
	CHECK(rules >= 3);
	SHOW(ask(NETLINK_ROUTE, RTM_GETROUTE, NLM_F_DUMP, &rt, sizeof(rt), on_route));
	printf("%d routes of lo\n", local);
	links();
	sockets();
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		printf("no namespaces\n");
	} else {
		SHOW(ask(NETLINK_ROUTE, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &add, sizeof(add), NULL));
		SHOW(ask(NETLINK_ROUTE, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &add, sizeof(add), NULL));
		add.ifa.ifa_index = 77;
		SHOW(ask(NETLINK_ROUTE, RTM_NEWADDR, NLM_F_ACK, &add, sizeof(add), NULL));
	}
	DONE();
}
