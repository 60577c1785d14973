/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of the namespace by NETLINK_SOCK_DIAG, as ss asks. */
#include "guest.h"
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

/* What a dump says of the socket with this local port. */
static void find(int proto, unsigned states, uint16_t port, const char *what)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} m = {{sizeof(m), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 5, 0},
	       {.sdiag_family = AF_INET, .sdiag_protocol = (uint8_t)proto, .idiag_states = states}};
	int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), found = 0;
	char b[32768];
	CHECK(nl >= 0 && send(nl, &m, sizeof(m), 0) == (ssize_t)sizeof(m));
	for (bool done = false; !done;) {
		ssize_t n = recv(nl, b, sizeof(b), 0);
		if (n <= 0)
			break;
		for (struct nlmsghdr *h = (void *)b; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			const struct inet_diag_msg *d = NLMSG_DATA(h);
			CHECK(h->nlmsg_seq == 5);
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
				done = true;
				break;
			}
			if (d->id.idiag_sport != port)
				continue;
			found++;
			printf("%s: family %d state %d rqueue %u wqueue %u uid %d inode %d\n", what, d->idiag_family,
			       d->idiag_state, d->idiag_rqueue, d->idiag_wqueue, d->idiag_uid == getuid(),
			       d->idiag_inode != 0);
		}
	}
	printf("%s: %d\n", what, found);
	close(nl);
}

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, u = a;
	socklen_t n = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
	int d = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(bind(l, (void *)&a, n) == 0 && listen(l, 9) == 0 && getsockname(l, (void *)&a, &n) == 0);
	find(IPPROTO_TCP, 1 << TCP_LISTEN, a.sin_port, "listener");
	CHECK(connect(c, (void *)&a, n) == 0);
	find(IPPROTO_TCP, 1 << TCP_LISTEN, a.sin_port, "with one waiting");
	int s = accept(l, NULL, NULL);
	CHECK(write(c, "abc", 3) == 3);
	find(IPPROTO_TCP, 1 << TCP_ESTABLISHED, a.sin_port, "connection");
	close(s);
	CHECK(bind(d, (void *)&u, n) == 0 && getsockname(d, (void *)&u, &n) == 0);
	find(IPPROTO_UDP, 0xfff, u.sin_port, "udp");
	find(IPPROTO_UDP, 1 << TCP_ESTABLISHED, u.sin_port, "udp not connected");
	DONE();
}
