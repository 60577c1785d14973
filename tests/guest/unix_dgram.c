/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX datagrams: names, autobind, full queues, lost peers, sendmmsg and recvmmsg. */
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "guest.h"

int main(void)
{
	struct sockaddr_un a = {AF_UNIX, "server"}, from;
	socklen_t alen = offsetof(struct sockaddr_un, sun_path) + 7, len;
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), n;
	char buf[64];

	setvbuf(stdout, NULL, _IONBF, 0);
	SHOW(send(c, "x", 1, 0));
	SHOW(sendto(c, "x", 1, 0, (void *)&a, alen));
	SHOW(bind(s, (void *)&a, alen));
	SHOW(sendto(c, "one", 3, 0, (void *)&a, alen));
	len = sizeof(from);
	SHOW(recvfrom(s, buf, sizeof(buf), 0, (void *)&from, &len));
	printf("from len %u\n", len);
	SHOW(bind(c, (void *)&(sa_family_t){AF_UNIX}, sizeof(sa_family_t)));
	len = sizeof(from);
	SHOW(getsockname(c, (void *)&from, &len));
	printf("autobound len %u first %d\n", len, from.sun_path[0]);
	SHOW(connect(c, (void *)&a, alen));
	SHOW(send(c, "", 0, 0));
	SHOW(send(c, "long message", 12, 0));
	len = sizeof(from);
	SHOW(recvfrom(s, buf, sizeof(buf), 0, (void *)&from, &len));
	printf("from len %u\n", len);
	SHOW(recv(s, buf, 4, MSG_TRUNC));
	for (n = 0; n < 1000 && send(c, "fill", 4, 0) == 4; n++)
		;
	printf("queue %d %s\n", n, strerrorname_np(errno));
	struct pollfd p = {c, POLLOUT, 0};
	SHOW(poll(&p, 1, 0));
	SHOW(recv(s, buf, 64, 0));
	SHOW(poll(&p, 1, 100));
	while (recv(s, buf, 64, MSG_DONTWAIT) > 0)
		;
	struct iovec v[2] = {{"ab", 2}, {"cde", 3}};
	struct mmsghdr m[2] = {{.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = v, .msg_iovlen = 2}}};
	SHOW(sendmmsg(c, m, 2, 0));
	printf("%u %u\n", m[0].msg_len, m[1].msg_len);
	char b1[10], b2[10];
	struct iovec w[2] = {{b1, 10}, {b2, 10}};
	struct mmsghdr r[2] = {{.msg_hdr = {.msg_iov = w, .msg_iovlen = 1}},
			       {.msg_hdr = {.msg_iov = w + 1, .msg_iovlen = 1}}};
	SHOW(recvmmsg(s, r, 2, MSG_DONTWAIT, NULL));
	printf("%u %u\n", r[0].msg_len, r[1].msg_len);
	close(s);
	SHOW(send(c, "x", 1, 0));
	SHOW(send(c, "x", 1, 0));
	SHOW(sendto(c, "x", 1, 0, (void *)&a, alen));
	SHOW(listen(c, 1));
	SHOW(accept(c, NULL, NULL));
	SHOW(connect(c, (void *)&(sa_family_t){AF_UNSPEC}, sizeof(sa_family_t)));
	int pair[2];
	SHOW(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	SHOW(send(pair[0], "to you", 6, 0));
	SHOW(recv(pair[1], buf, 64, 0));
	SHOW(shutdown(pair[1], SHUT_RD));
	SHOW(send(pair[0], "x", 1, MSG_NOSIGNAL));
	DONE();
}
