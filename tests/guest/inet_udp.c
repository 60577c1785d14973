/* SPDX-License-Identifier: Apache-2.0 */
/* UDP on loopback. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "guest.h"

int main(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET}, b, gone;
	socklen_t len = sizeof(a);
	int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0),
	    d = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	char buf[100];
	static char big[70000];

	setvbuf(stdout, NULL, _IONBF, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SHOW(bind(s, (void *)&a, sizeof(a)));
	getsockname(s, (void *)&a, &len);
	SHOW(send(c, "x", 1, 0));
	SHOW(sendto(c, "hello", 5, 0, (void *)&a, sizeof(a)));
	len = sizeof(b);
	SHOW(recvfrom(s, buf, 3, MSG_TRUNC, (void *)&b, &len));
	printf("%s %u\n", inet_ntoa(b.sin_addr), len);
	SHOW(sendto(s, "reply", 5, 0, (void *)&b, sizeof(b)));
	SHOW(recv(c, buf, 100, 0));
	SHOW(connect(c, (void *)&a, sizeof(a)));
	SHOW(send(c, "", 0, 0));
	SHOW(recv(s, buf, 100, 0));
	SHOW(recv(s, buf, 100, MSG_DONTWAIT));
	SHOW(send(c, big, sizeof(big), 0));
	SHOW(send(c, big, 60000, 0));
	SHOW(recv(s, big, sizeof(big), 0));
	/* A connected socket hears only its peer. */
	getsockname(c, (void *)&b, &len);
	SHOW(sendto(d, "other", 5, 0, (void *)&b, sizeof(b)));
	SHOW(recv(c, buf, 100, MSG_DONTWAIT));
	bind(d, (void *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(a));
	len = sizeof(gone);
	getsockname(d, (void *)&gone, &len);
	gone.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	close(d);
	SHOW(connect(c, (void *)&gone, sizeof(gone)));
	SHOW(send(c, "x", 1, 0));
	usleep(10000);
	SHOW(send(c, "x", 1, 0));
	struct pollfd p = {c, POLLIN, 0};
	usleep(10000);
	SHOW(poll(&p, 1, 0));
	printf("%x\n", p.revents);
	SHOW(recv(c, buf, 100, MSG_DONTWAIT));
	SHOW(recv(c, buf, 100, MSG_DONTWAIT));
	b = a, b.sin_port = 0;
	SHOW(sendto(c, "x", 1, 0, (void *)&b, sizeof(b)));
	b = a, b.sin_addr.s_addr = INADDR_BROADCAST;
	SHOW(sendto(s, "x", 1, 0, (void *)&b, sizeof(b)));
	SHOW(setsockopt(s, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)));
	SHOW(listen(s, 1));
	SHOW(shutdown(s, SHUT_RD));
	struct ifreq ifr = {.ifr_name = "lo"};
	SHOW(ioctl(s, SIOCGIFADDR, &ifr));
	printf("%s\n", inet_ntoa(((struct sockaddr_in *)&ifr.ifr_addr)->sin_addr));
	SHOW(ioctl(s, SIOCGIFMTU, &ifr));
	printf("%d %u\n", ifr.ifr_mtu, if_nametoindex("lo"));
	SHOW(ioctl(s, SIOCGIFINDEX, &(struct ifreq){.ifr_name = "nosuch"}));
	struct ifaddrs *list, *i;
	int lo = 0;
	CHECK(getifaddrs(&list) == 0);
	for (i = list; i; i = i->ifa_next)
		lo += i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !strcmp(i->ifa_name, "lo");
	printf("lo %d\n", lo);
	SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
	SHOW(socket(AF_INET, SOCK_SEQPACKET, 0));
	SHOW(socket(AF_INET, 99, 0));
	DONE();
}
