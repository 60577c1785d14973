/* SPDX-License-Identifier: Apache-2.0 */
/* Interface ioctls (netdevice(7)): there is one interface, lo. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/if_arp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/net.h"
#include "sentry/net/sock.h"
#include "sentry/task/task.h"

#define LO_INDEX 1
#define LO_MTU 65536
#define LO_TXQ 1000

struct l_ifreq {
	char name[16];
	union {
		struct sockaddr_in addr;
		struct sockaddr hw;
		int16_t flags;
		int32_t ival;
		uint8_t raw[24];
	};
};
_Static_assert(sizeof(struct l_ifreq) == 40, "struct ifreq");

struct l_ifconf {
	int32_t len, pad;
	uint64_t buf;
};

static void put_addr(struct l_ifreq *r, const char quad[4])
{
	r->addr = (struct sockaddr_in){.sin_family = AF_INET};
	memcpy(&r->addr.sin_addr, quad, 4);
}

static int64_t if_conf(struct net_ns *ns, struct task *t, uint64_t arg)
{
	struct l_ifreq lo = {.name = "lo"};
	struct l_ifconf c;
	int r = get_user(t, c, UADDR(arg));

	if (r)
		return r;
	put_addr(&lo, "\x7f\x00\x00\x01");
	if (!net_lo_has(ns, false)) {	/* only interfaces with an address */
		c.len = 0;
	} else if (c.buf) {
		if (c.len >= (int)sizeof(lo)) {
			r = put_user(t, UADDR(c.buf), lo);
			if (r)
				return r;
			c.len = sizeof(lo);
		} else {
			c.len = 0;
		}
	} else {
		c.len = sizeof(lo);
	}
	return put_user(t, UADDR(arg), c);
}

static int if_get(struct net_ns *ns, uint32_t cmd, struct l_ifreq *r)
{
	memset(r->raw, 0, sizeof(r->raw));
	switch (cmd) {
	case SIOCGIFFLAGS:
		r->flags = (int16_t)net_lo_flags(ns);
		return 0;
	case SIOCGIFADDR: case SIOCGIFDSTADDR:
		if (!net_lo_has(ns, false))
			return -EADDRNOTAVAIL;
		put_addr(r, "\x7f\x00\x00\x01");
		return 0;
	case SIOCGIFBRDADDR:
		put_addr(r, "\x00\x00\x00\x00");
		return 0;
	case SIOCGIFNETMASK:
		put_addr(r, "\xff\x00\x00\x00");
		return 0;
	case SIOCGIFMTU:
		r->ival = LO_MTU;
		return 0;
	case SIOCGIFMETRIC:
		r->ival = 0;
		return 0;
	case SIOCGIFHWADDR:
		r->hw.sa_family = ARPHRD_LOOPBACK;
		return 0;
	case SIOCGIFINDEX:
		r->ival = LO_INDEX;
		return 0;
	case SIOCGIFTXQLEN:
		r->ival = LO_TXQ;
		return 0;
	case SIOCGIFMAP:
		return 0;
	}
	return -ENOTTY;
}

static bool is_setter(uint32_t cmd)
{
	switch (cmd) {
	case SIOCSIFADDR: case SIOCSIFDSTADDR: case SIOCSIFBRDADDR:
	case SIOCSIFNETMASK: case SIOCSIFMTU: case SIOCSIFMETRIC: case SIOCSIFHWADDR:
	case SIOCSIFTXQLEN: case SIOCSIFNAME: case SIOCADDRT: case SIOCDELRT: case SIOCSIFMAP:
		return true;
	}
	return false;
}

static int if_set_flags(struct sock *s, struct task *t, uint64_t arg)
{
	struct l_ifreq req;
	int r = get_user(t, req, UADDR(arg));

	if (r)
		return r;
	req.name[sizeof(req.name) - 1] = 0;
	return strcmp(req.name, "lo") ? -ENODEV : net_lo_set(s->net, t, req.flags & IFF_UP);
}

int64_t net_if_ioctl(struct sock *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct l_ifreq req;
	int r;

	if (cmd == SIOCGIFCONF)
		return if_conf(s->net, t, arg);
	if (cmd == SIOCSIFFLAGS)
		return if_set_flags(s, t, arg);
	if (is_setter(cmd))
		return -EPERM;		/* the sandbox's network is not the guest's to configure */
	if (cmd < SIOCGIFNAME || cmd > SIOCSIFMAP)
		return -ENOTTY;
	r = get_user(t, req, UADDR(arg));
	if (r)
		return r;
	req.name[sizeof(req.name) - 1] = 0;
	if (cmd == SIOCGIFNAME) {
		if (req.ival != LO_INDEX)
			return -ENODEV;
		memcpy(req.name, "lo", 3);
		return put_user(t, UADDR(arg), req);
	}
	if (strcmp(req.name, "lo"))
		return -ENODEV;
	r = if_get(s->net, cmd, &req);
	return r ? r : put_user(t, UADDR(arg), req);
}
