/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback interface of a new network namespace is down until somebody sets it up. */
#include "guest.h"
#include <arpa/inet.h>
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
