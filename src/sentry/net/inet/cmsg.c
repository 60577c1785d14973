/* SPDX-License-Identifier: Apache-2.0 */
/* Control messages of IP (ip(7), ipv6(7)): where a datagram was sent to, its TTL and TOS; and from
 * which address an answer shall come. */
#include <errno.h>
#include <time.h>	/* errqueue.h needs it */
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/net/scm.h"
#include "sentry/net/sock.h"

#define LO_INDEX 1

/* --- in ------------------------------------------------------------------------------------------ */

/* The source has to be ours. */
static int take_source(struct sock *s, const struct inet_addr *a, unsigned ifindex, struct ip_info *ip)
{
	if (ifindex > LO_INDEX)
		return -ENODEV;
	if (inet_is_any(a))
		return 0;
	if (!inet_is_loopback(a) || !net_lo_has(s->net, !inet_is_v4(a)))
		return inet_is_v4(a) ? -EINVAL : -EADDRNOTAVAIL;
	memcpy(ip->src, a->b, sizeof(ip->src));
	ip->has_src = true;
	return 0;
}

static int in_v4(struct sock *s, int type, const void *data, uint64_t n, struct ip_info *ip)
{
	struct inet_addr a = {.b = {[10] = 0xff, [11] = 0xff}};
	struct in_pktinfo pi;
	int v;

	switch (type) {
	case IP_PKTINFO:
		if (n != sizeof(pi))
			return -EINVAL;
		memcpy(&pi, data, sizeof(pi));
		memcpy(a.b + 12, &pi.ipi_spec_dst, 4);
		return take_source(s, &a, (unsigned)pi.ipi_ifindex, ip);
	case IP_TTL: case IP_TOS:
		if (n == sizeof(v))
			memcpy(&v, data, sizeof(v));
		else if (n == 1 && type == IP_TOS)
			v = *(const uint8_t *)data;
		else
			return -EINVAL;
		if (v > 255 || v < (type == IP_TTL ? 1 : 0))
			return -EINVAL;
		if (type == IP_TTL)
			ip->ttl = (int16_t)v, ip->has_ttl = true;
		else
			ip->tos = (uint8_t)v, ip->has_tos = true;
		return 0;
	case IP_RETOPTS:
		return 0;
	}
	return -EINVAL;
}

static int in_v6(struct sock *s, int type, const void *data, uint64_t n, struct ip_info *ip)
{
	struct in6_pktinfo pi;
	struct inet_addr a = {.port = 0};
	int v;

	switch (type) {
	case IPV6_PKTINFO:
		if (n < sizeof(pi))
			return -EINVAL;
		memcpy(&pi, data, sizeof(pi));
		memcpy(a.b, &pi.ipi6_addr, 16);
		return take_source(s, &a, pi.ipi6_ifindex, ip);
	case IPV6_HOPLIMIT: case IPV6_TCLASS:
		if (n != sizeof(v))
			return -EINVAL;
		memcpy(&v, data, sizeof(v));
		if (v < -1 || v > 255)
			return -EINVAL;
		if (v >= 0 && type == IPV6_HOPLIMIT)
			ip->ttl = (int16_t)v, ip->has_ttl = true;
		else if (v >= 0)
			ip->tos = (uint8_t)v, ip->has_tos = true;
		return 0;
	case IPV6_DONTFRAG:
		return 0;
	}
	return -EINVAL;
}

int inet_cmsg_in(struct sock *s, int level, int type, const void *data, uint64_t n, struct ip_info *ip)
{
	if (s->type != SOCK_DGRAM)
		return 0;
	if (level == IPPROTO_IP)
		return in_v4(s, type, data, n, ip);
	if (level == IPPROTO_IPV6 && s->family == AF_INET6)
		return in_v6(s, type, data, n, ip);
	return 0;
}

/* --- out ----------------------------------------------------------------------------------------- */

static bool wants(const struct sock *s, int level, int name)
{
	return inet_opt_value(s, level, name) != 0;
}

static int out_v4(struct sock *s, const struct ip_info *ip, struct cmsg_out *o)
{
	struct in_pktinfo pi = {.ipi_ifindex = LO_INDEX};
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(ip->dst_port)};
	int r = 0, ttl = ip->ttl;

	memcpy(&pi.ipi_addr, ip->dst + 12, 4);
	pi.ipi_spec_dst = pi.ipi_addr;
	memcpy(&sin.sin_addr, ip->dst + 12, 4);
	if (wants(s, IPPROTO_IP, IP_PKTINFO))
		r = scm_put_one(o, IPPROTO_IP, IP_PKTINFO, &pi, sizeof(pi));
	if (!r && wants(s, IPPROTO_IP, IP_RECVTTL))
		r = scm_put_one(o, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (!r && wants(s, IPPROTO_IP, IP_RECVTOS))
		r = scm_put_one(o, IPPROTO_IP, IP_TOS, &ip->tos, 1);
	if (!r && wants(s, IPPROTO_IP, IP_RECVORIGDSTADDR))
		r = scm_put_one(o, IPPROTO_IP, IP_ORIGDSTADDR, &sin, sizeof(sin));
	return r;
}

static int out_v6(struct sock *s, const struct ip_info *ip, struct cmsg_out *o)
{
	struct in6_pktinfo pi = {.ipi6_ifindex = LO_INDEX};
	int r = 0, v = ip->ttl;

	memcpy(&pi.ipi6_addr, ip->dst, 16);
	if (wants(s, IPPROTO_IPV6, IPV6_RECVPKTINFO))
		r = scm_put_one(o, IPPROTO_IPV6, IPV6_PKTINFO, &pi, sizeof(pi));
	if (inet_bytes_v4(ip->dst))
		return r;
	if (!r && wants(s, IPPROTO_IPV6, IPV6_RECVHOPLIMIT))
		r = scm_put_one(o, IPPROTO_IPV6, IPV6_HOPLIMIT, &v, sizeof(v));
	v = ip->tos;
	if (!r && wants(s, IPPROTO_IPV6, IPV6_RECVTCLASS))
		r = scm_put_one(o, IPPROTO_IPV6, IPV6_TCLASS, &v, sizeof(v));
	return r;
}

/* IP_RECVERR: what the ICMP message said, and who sent it: the destination itself. */
static int out_err(const struct ip_info *ip, struct cmsg_out *o)
{
	bool v4 = inet_bytes_v4(ip->dst);
	struct {
		struct sock_extended_err e;
		union {
			struct sockaddr_in v4;
			struct sockaddr_in6 v6;
		} from;
	} x = {.e = {.ee_errno = ip->err, .ee_origin = v4 ? SO_EE_ORIGIN_ICMP : SO_EE_ORIGIN_ICMP6,
		     .ee_type = v4 ? 3 : 1, .ee_code = v4 ? 3 : 4}};

	if (v4) {
		x.from.v4.sin_family = AF_INET;
		memcpy(&x.from.v4.sin_addr, ip->dst + 12, 4);
		return scm_put_one(o, IPPROTO_IP, IP_RECVERR, &x, sizeof(x.e) + sizeof(x.from.v4));
	}
	x.from.v6.sin6_family = AF_INET6;
	memcpy(&x.from.v6.sin6_addr, ip->dst, 16);
	return scm_put_one(o, IPPROTO_IPV6, IPV6_RECVERR, &x, sizeof(x.e) + sizeof(x.from.v6));
}

int inet_cmsg_out(struct sock *s, const struct ip_info *ip, struct cmsg_out *o)
{
	int r = 0;

	if (ip->err)
		return out_err(ip, o);
	if (!ip->valid || s->type != SOCK_DGRAM)
		return 0;
	if (s->family == AF_INET6)
		r = out_v6(s, ip, o);
	if (!r && inet_bytes_v4(ip->dst))
		r = out_v4(s, ip, o);
	return r;
}
