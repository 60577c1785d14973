/* SPDX-License-Identifier: Apache-2.0 */
/* Routes and rules for NETLINK_ROUTE: the ones of a loopback interface that is up, and no others. */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include "sentry/net/net.h"
#include "sentry/net/netlink_int.h"
#include "sentry/task/task.h"

struct route {
	uint8_t family, len, table, scope, type;
	uint8_t dst[16];
	uint32_t metric;	/* of IPv6 */
};

static const struct route routes[] = {
	{AF_INET, 8, RT_TABLE_LOCAL, RT_SCOPE_HOST, RTN_LOCAL, {127}, 0},
	{AF_INET, 32, RT_TABLE_LOCAL, RT_SCOPE_HOST, RTN_LOCAL, {127, 0, 0, 1}, 0},
	{AF_INET, 32, RT_TABLE_LOCAL, RT_SCOPE_LINK, RTN_BROADCAST, {127, 255, 255, 255}, 0},
	{AF_INET6, 128, RT_TABLE_LOCAL, RT_SCOPE_UNIVERSE, RTN_LOCAL, {[15] = 1}, 0},
};

static const struct {
	uint8_t family, table;
	uint32_t priority;
} rules[] = {
	{AF_INET, RT_TABLE_LOCAL, 0}, {AF_INET, RT_TABLE_MAIN, 32766}, {AF_INET, RT_TABLE_DEFAULT, 32767},
	{AF_INET6, RT_TABLE_LOCAL, 0}, {AF_INET6, RT_TABLE_MAIN, 32766},
};

static void add_route(struct nl_reply *r, const struct nlmsghdr *req, uint32_t port, const struct route *o)
{
	static const uint8_t lo4[4] = {127, 0, 0, 1};
	struct rtmsg m = {.rtm_family = o->family, .rtm_dst_len = o->len, .rtm_table = o->table,
			  .rtm_protocol = RTPROT_KERNEL, .rtm_scope = o->scope, .rtm_type = o->type};
	uint8_t pref = 0;

	nl_msg_begin(r, req, RTM_NEWROUTE, NLM_F_MULTI, port, &m, sizeof(m));
	nl_attr32(r, RTA_TABLE, o->table);
	nl_attr(r, RTA_DST, o->dst, o->family == AF_INET ? 4 : 16);
	if (o->family == AF_INET6)
		nl_attr32(r, RTA_PRIORITY, o->metric);
	else
		nl_attr(r, RTA_PREFSRC, lo4, 4);
	nl_attr32(r, RTA_OIF, 1);
	if (o->family == AF_INET6)
		nl_attr(r, RTA_PREF, &pref, 1);
	nl_msg_end(r);
}

static void add_rule(struct nl_reply *r, const struct nlmsghdr *req, uint32_t port, unsigned i)
{
	struct fib_rule_hdr h = {.family = rules[i].family, .table = rules[i].table, .action = FR_ACT_TO_TBL};
	uint8_t proto = RTPROT_KERNEL;

	nl_msg_begin(r, req, RTM_NEWRULE, NLM_F_MULTI, port, &h, sizeof(h));
	nl_attr32(r, FRA_TABLE, rules[i].table);
	nl_attr32(r, FRA_SUPPRESS_PREFIXLEN, ~0u);
	nl_attr(r, FRA_PROTOCOL, &proto, 1);
	if (rules[i].priority)
		nl_attr32(r, FRA_PRIORITY, rules[i].priority);
	nl_msg_end(r);
}

int netlink_route_dump(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n)
{
	struct nl_attrs at = {.body = body, .n = n, .at = NLMSG_ALIGN(sizeof(struct rtmsg))};
	uint32_t table = 0;
	struct rtmsg m = {0};
	struct rtattr a;
	struct nl_reply r;
	const char *p;
	int err = nl_reply_begin(s, &r);

	if (err)
		return err;
	memcpy(&m, body, min(n, (uint32_t)sizeof(m)));
	if (req->nlmsg_type == RTM_GETRULE) {
		for (unsigned i = 0; i < array_size(rules); i++)
			if (m.rtm_family == AF_UNSPEC || m.rtm_family == rules[i].family)
				add_rule(&r, req, s->nl->port, i);
	} else {
		table = n >= sizeof(m) ? m.rtm_table : 0;
		while ((p = nl_attr_next(&at, &a)))
			if (a.rta_type == RTA_TABLE && a.rta_len == RTA_LENGTH(4))
				memcpy(&table, p, 4);
		for (const struct route *o = routes; o < routes + array_size(routes); o++)
			if ((m.rtm_family == AF_UNSPEC || m.rtm_family == o->family) && (!table || table == o->table) &&
			    net_lo_has(s->net, true))	/* there are none while it is down */
				add_route(&r, req, s->nl->port, o);
	}
	nl_reply_send(s, &r);
	return nl_send_done(s, req);
}

int netlink_route_get(struct sock *s, const struct nlmsghdr *req, const char *body, uint32_t n)
{
	struct nl_attrs at = {.body = body, .n = n, .at = NLMSG_ALIGN(sizeof(struct rtmsg))};
	struct rtmsg m = {.rtm_family = AF_INET, .rtm_dst_len = 32, .rtm_table = RT_TABLE_MAIN,
			  .rtm_type = RTN_LOCAL, .rtm_flags = RTM_F_CLONED | 0x80000000u /* RTCF_LOCAL */};
	static const uint8_t lo4[4] = {127, 0, 0, 1};
	struct rta_cacheinfo ci = {0};
	uint8_t dst[4] = {0};
	struct rtattr a;
	struct nl_reply r;
	const char *p;
	int err;

	while ((p = nl_attr_next(&at, &a)))
		if (a.rta_type == RTA_DST && a.rta_len == RTA_LENGTH(4))
			memcpy(dst, p, 4);
	if (!n || body[0] != AF_INET || dst[0] != 127 || !net_lo_has(s->net, true))
		return -ENETUNREACH;
	err = nl_reply_begin(s, &r);
	if (err)
		return err;
	nl_msg_begin(&r, req, RTM_NEWROUTE, 0, s->nl->port, &m, sizeof(m));
	nl_attr32(&r, RTA_TABLE, RT_TABLE_MAIN);
	nl_attr(&r, RTA_DST, dst, 4);
	nl_attr32(&r, RTA_OIF, 1);
	nl_attr(&r, RTA_PREFSRC, lo4, 4);
	nl_attr32(&r, RTA_UID, current->cred->uid);
	nl_attr(&r, RTA_CACHEINFO, &ci, sizeof(ci));
	nl_msg_end(&r);
	nl_reply_send(s, &r);
	return 0;
}
