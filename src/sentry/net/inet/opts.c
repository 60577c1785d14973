/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of IPPROTO_TCP, IPPROTO_IP and IPPROTO_IPV6: integers that are kept and given back, with
 * Linux's defaults and ranges. They have no other effect on a local transport, apart from
 * IPV6_V6ONLY and what cmsg.c tells of; what would need a network is refused as on a machine that has only loopback.
 */
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include "sentry/mm/uaccess.h"
#include "sentry/net/inet/inet.h"
#include "sentry/task/task.h"

#define MSS_LO 65483
#define CA_NAME "cubic"

struct int_opt {
	int level, name;
	int32_t def, least, most;
};

static const struct int_opt opts[] = {
	{IPPROTO_IPV6, IPV6_V6ONLY, 0, 0, 1},	/* first: inet_v6only */
	{IPPROTO_TCP, TCP_NODELAY, 0, 0, 1},
	{IPPROTO_TCP, TCP_CORK, 0, 0, 1},
	{IPPROTO_TCP, TCP_KEEPIDLE, 7200, 1, 32767},
	{IPPROTO_TCP, TCP_KEEPINTVL, 75, 1, 32767},
	{IPPROTO_TCP, TCP_KEEPCNT, 9, 1, 127},
	{IPPROTO_TCP, TCP_SYNCNT, 6, 1, 127},
	{IPPROTO_TCP, TCP_LINGER2, 60, INT32_MIN, INT32_MAX},
	{IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 0, INT32_MAX},
	{IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 0, INT32_MAX},
	{IPPROTO_TCP, TCP_QUICKACK, 1, INT32_MIN, INT32_MAX},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 0, INT32_MAX},
	{IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_TCP, TCP_FASTOPEN, 0, 0, INT32_MAX},
	{IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 0, 0, 1},
	{IPPROTO_TCP, TCP_MAXSEG, 536, 0, 32767},
	{IPPROTO_IP, IP_TOS, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_TTL, 64, -1, 255},
	{IPPROTO_IP, IP_MTU_DISCOVER, 1, 0, 5},
	{IPPROTO_IP, IP_RECVERR, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_PKTINFO, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_RECVTTL, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_RECVTOS, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_RECVOPTS, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_RECVORIGDSTADDR, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_FREEBIND, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_MULTICAST_TTL, 1, -1, 255},
	{IPPROTO_IP, IP_MULTICAST_LOOP, 1, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_MULTICAST_ALL, 1, 0, 1},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IP, IP_MINTTL, 0, 0, 255},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, -1, 255},
	{IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1, -1, 255},
	{IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 1},
	{IPPROTO_IPV6, IPV6_MULTICAST_IF, 0, 0, 1},
	{IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IPV6, IPV6_RECVTCLASS, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IPV6, IPV6_RECVERR, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IPV6, IPV6_TCLASS, 0, -1, 255},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER, 1, 0, 5},
	{IPPROTO_IPV6, IPV6_DONTFRAG, 0, INT32_MIN, INT32_MAX},
	{IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 1, INT32_MIN, INT32_MAX},
};
_Static_assert(array_size(opts) <= INET_OPTS, "room for all options");

void inet_opts_init(struct inet_sock *is)
{
	for (unsigned i = 0; i < array_size(opts); i++)
		is->opt[i] = opts[i].def;
}

bool inet_v6only(const struct sock *s)
{
	return s->family == AF_INET6 && READ_ONCE(s->inet->opt[0]);
}

static int opt_find(int level, int name)
{
	for (unsigned i = 0; i < array_size(opts); i++)
		if (opts[i].level == level && opts[i].name == name)
			return (int)i;
	return -1;
}

int32_t inet_opt_value(const struct sock *s, int level, int name)
{
	int i = opt_find(level, name);

	return i < 0 ? 0 : READ_ONCE(s->inet->opt[i]);
}

static bool level_fits(const struct sock *s, int level)
{
	return level == IPPROTO_IP || (level == IPPROTO_IPV6 && s->family == AF_INET6) ||
	       (level == IPPROTO_TCP && s->type == SOCK_STREAM);
}

static int set_special(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len)
{
	char ca[16] = {0};
	int r;

	if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		if (len < 1)
			return -EINVAL;
		r = copy_in(t, ca, UADDR(arg), min(len, (uint32_t)sizeof(ca) - 1));
		return r ? r : !strcmp(ca, CA_NAME) || !strcmp(ca, "reno") ? 0 : -ENOENT;
	}
	if (level == IPPROTO_IP)
		switch (name) {
		case IP_ADD_MEMBERSHIP: case IP_ADD_SOURCE_MEMBERSHIP: case IP_MULTICAST_IF:
			return -ENODEV;
		case IP_DROP_MEMBERSHIP:
			return -EADDRNOTAVAIL;
		case IP_TRANSPARENT: case IP_HDRINCL:
			return name == IP_TRANSPARENT && !task_capable(t, CAP_NET_ADMIN) ? -EPERM : -ENOPROTOOPT;
		}
	if (level == IPPROTO_IPV6 && (name == IPV6_JOIN_GROUP || name == IPV6_JOIN_ANYCAST))
		return -ENODEV;
	return -ENOPROTOOPT;
}

int inet_setsockopt(struct sock *s, struct task *t, int level, int name, uint64_t arg, uint32_t len)
{
	int i = opt_find(level, name), val = 0, r = 0;
	uint8_t byte = 0;

	if (!level_fits(s, level))
		return -ENOPROTOOPT;
	if (i < 0)
		return set_special(s, t, level, name, arg, len);
	if (len >= sizeof(val)) {
		r = get_user(t, val, UADDR(arg));
	} else if (level == IPPROTO_IP && len >= 1) {	/* IP takes a byte, too */
		r = get_user(t, byte, UADDR(arg));
		val = byte;
	} else {
		return -EINVAL;
	}
	if (r)
		return r;
	if (opts[i].most == 1 && opts[i].least == 0)
		val = !!val;
	if (val < opts[i].least || val > opts[i].most)
		return -EINVAL;
	if (i == 0 && READ_ONCE(s->inet->bound))
		return -EINVAL;
	if (val == -1 && opts[i].least == -1)
		val = opts[i].def;
	WRITE_ONCE(s->inet->opt[i], val);
	return 0;
}

static void fill_tcp_info(struct sock *s, struct tcp_info *ti)
{
	memset(ti, 0, sizeof(*ti));
	mutex_lock(&s->lock);
	ti->tcpi_state = (uint8_t)tcp_state(s);
	ti->tcpi_unacked = s->state == ST_LISTEN ? s->acceptq_len : 0;
	ti->tcpi_sacked = s->state == ST_LISTEN ? s->backlog : 0;
	mutex_unlock(&s->lock);
	ti->tcpi_options = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	ti->tcpi_snd_wscale = ti->tcpi_rcv_wscale = 7;
	ti->tcpi_rto = 201000, ti->tcpi_ato = 40000;
	ti->tcpi_snd_mss = ti->tcpi_advmss = MSS_LO, ti->tcpi_rcv_mss = 536;
	ti->tcpi_pmtu = 65535;
	ti->tcpi_rtt = 20, ti->tcpi_rttvar = 10;
	ti->tcpi_snd_ssthresh = INT32_MAX, ti->tcpi_snd_cwnd = 10;
	ti->tcpi_reordering = 3;
	ti->tcpi_rcv_space = 65483;
}

static int get_special(struct sock *s, int level, int name, void *buf, uint32_t *len)
{
	struct tcp_info ti;
	int val;

	if (level == IPPROTO_TCP && name == TCP_INFO) {
		fill_tcp_info(s, &ti);
		*len = min(*len, (uint32_t)sizeof(ti));
		memcpy(buf, &ti, *len);
		return 0;
	}
	if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		*len = min(*len, 16u);
		memcpy(buf, CA_NAME, min(*len, (uint32_t)sizeof(CA_NAME)));
		return 0;
	}
	if ((level == IPPROTO_IP && name == IP_MTU) || (level == IPPROTO_IPV6 && name == IPV6_MTU)) {
		if (READ_ONCE(s->state) != ST_CONNECTED)
			return -ENOTCONN;
		val = 65536;
		*len = min(*len, (uint32_t)sizeof(val));
		memcpy(buf, &val, *len);
		return 0;
	}
	return -ENOPROTOOPT;
}

int inet_getsockopt(struct sock *s, struct task *t, int level, int name, void *buf, uint32_t *len)
{
	int i = opt_find(level, name), val;

	if (!level_fits(s, level))
		return level == SOL_SOCKET ? -ENOPROTOOPT : -EOPNOTSUPP;
	if (i < 0)
		return get_special(s, level, name, buf, len);
	val = READ_ONCE(s->inet->opt[i]);
	if (level == IPPROTO_TCP && name == TCP_MAXSEG && READ_ONCE(s->state) == ST_CONNECTED)
		val = MSS_LO;
	if (level == IPPROTO_IP && *len < sizeof(val) && *len > 0 && val >= 0 && val <= 255) {
		*(uint8_t *)buf = (uint8_t)val;
		*len = 1;
		return 0;
	}
	*len = min(*len, (uint32_t)sizeof(val));
	memcpy(buf, &val, *len);
	return 0;
}
