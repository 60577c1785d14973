/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of /proc/net. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/pseudo/pseudo.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

static void show_addr(struct buf *b, const struct inet_addr *a, bool v6)
{
	uint32_t w[4];

	memcpy(w, a->b, sizeof(w));
	if (v6)
		buf_fmt(b, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3], a->port);
	else
		buf_fmt(b, "%08X:%04X", w[3], a->port);
}

static uint32_t rx_bytes(struct sock *s)
{
	struct skb *k;
	uint32_t n = s->state == ST_LISTEN ? s->acceptq_len : 0;

	list_for_each(k, &s->rxq, link)
		n += k->len - k->off;
	return n;
}

static void show_inet_sock(struct buf *b, unsigned nr, struct sock *s, bool v6)
{
	unsigned state;

	mutex_lock(&s->lock);
	state = s->type == SOCK_STREAM     ? (unsigned)tcp_state(s)
		: s->state == ST_CONNECTED ? TCP_ESTABLISHED
					   : TCP_CLOSE;
	buf_fmt(b, s->type == SOCK_STREAM ? "%4u: " : "%5u: ", nr);
	show_addr(b, &s->inet->local, v6);
	buf_addc(b, ' ');
	show_addr(b, &s->inet->remote, v6);
	buf_fmt(b, " %02X %08X:%08X 00:00000000 00000000 %5u        0 %lu %u 0000000000000000", state, 0u, rx_bytes(s),
		uid_to_ns(current->cred->user_ns, s->uid), (unsigned long)s->ino, ref_read(&s->ref));
	if (s->type == SOCK_STREAM)
		buf_fmt(b, " %u 0 0 10 %d\n", 100u, state == TCP_LISTEN ? 0 : -1);
	else
		buf_fmt(b, " 0\n");
	mutex_unlock(&s->lock);
}

/* Sockets are collected first: their locks are outside the table's. */
static void show_inet(struct net *n, struct buf *b, int proto, bool v6)
{
	struct inet_sock *is;
	unsigned nr = 0;

	if (proto == PROTO_TCP && !v6)
		buf_fmt(b, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
			   "retrnsmt   uid  timeout inode\n");
	else if (v6)
		buf_fmt(b,
			"  sl  local_address                         remote_address                "
			"        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n");
	else
		buf_fmt(b, "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
			   "retrnsmt   uid  timeout inode ref pointer drops\n");
	for (unsigned i = 0; i < PORT_BUCKETS; i++) {
		struct sock *found[32];
		unsigned k = 0;

		mutex_lock(&n->lock);
		list_for_each(is, &n->ports[proto][i], port_link)
			if (k < array_size(found) && (is->sock->family == AF_INET6) == v6 &&
			    ref_get_unless_zero(&is->sock->ref))
				found[k++] = is->sock;
		mutex_unlock(&n->lock);
		for (unsigned j = 0; j < k; j++) {
			show_inet_sock(b, nr++, found[j], v6);
			sock_put(found[j]);
		}
	}
}

static void show_unix_name(struct buf *b, const struct unix_addr *a)
{
	if (!a)
		return;
	buf_addc(b, ' ');
	if (a->name[0]) {
		buf_fmt(b, "%s", a->name);
		return;
	}
	for (uint32_t i = 0; i < a->len; i++)
		buf_addc(b, a->name[i] ? a->name[i] : '@');
}

static void show_unix_sock(struct buf *b, struct sock *s)
{
	mutex_lock(&s->lock);
	buf_fmt(b, "0000000000000000: %08X 00000000 %08X %04X %02X %5lu", ref_read(&s->ref),
		s->state == ST_LISTEN ? 0x10000u : 0u, s->type, s->state == ST_CONNECTED ? 3u : 1u,
		(unsigned long)s->ino);
	show_unix_name(b, s->unix_->addr);
	mutex_unlock(&s->lock);
	buf_addc(b, '\n');
}

/* At most so many are shown. */
#define UNIX_SHOWN 1024u

static void show_unix(struct net *n, struct buf *b)
{
	struct sock **found = kmalloc_array(UNIX_SHOWN, sizeof(*found));
	struct unix_sock *us;
	unsigned k = 0;

	buf_fmt(b, "Num       RefCount Protocol Flags    Type St Inode Path\n");
	if (!found)
		return;
	mutex_lock(&n->lock);
	list_for_each(us, &n->unix_all, all_link)
		if (k < UNIX_SHOWN && ref_get_unless_zero(&us->sock->ref))
			found[k++] = us->sock;
	mutex_unlock(&n->lock);
	for (unsigned j = 0; j < k; j++) {
		show_unix_sock(b, found[j]);
		sock_put(found[j]);
	}
	kfree(found);
}

#define ADDRS4 "local_address rem_address   st "
#define ADDRS6 "local_address                         remote_address                        st "
#define QUEUES "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops"

static const struct {
	const char *name, *text;
} fixed[] = {
	{"route",
	 "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT      "
	 "                                                 \n"},
	{"arp", "IP address       HW type     Flags       HW address            Mask     Device\n"},
	{"packet", "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"},
	{"raw", "  sl  " ADDRS4 QUEUES "\n"},
	{"netlink", "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
		    "Drops    Inode\n"},
	{"protocols", "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io "
		      "in de sh ss gs se re bi br ha uh gp em\n"},
	{"ipv6_route", ""},
	{"raw6", "  sl  " ADDRS6 QUEUES "\n"},
	{"icmp", "  sl  " ADDRS4 QUEUES "             \n"},
	{"icmp6", "  sl  " ADDRS6 QUEUES "\n"},
	{"udplite", "   sl  " ADDRS4 QUEUES "            \n"},
	{"udplite6", "  sl  " ADDRS6 QUEUES "\n"},
	{"anycast6", ""},
	{"dev_mcast", ""},
	{"mcfilter", "Idx Device        MCA        SRC    INC    EXC\n"},
	{"mcfilter6", "Idx Device                Multicast Address                   Source Address    INC    EXC\n"},
	{"igmp", "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n"
		 "1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"},
	{"igmp6", "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
		  "1    lo              ff010000000000000000000000000001     1 00000008 0\n"},
	{"psched", "000003e8 00000040 000f4240 3b9aca00\n"},
	{"ptype", "Type Device      Function\n0800          ip_rcv\n86dd          ipv6_rcv\n"},
	{"rt6_stats", "0000 0000 0000 0000 0000 0000 0000\n"},
	{"rt_cache", "Iface\tDestination\tGateway \tFlags\t\tRefCnt\tUse\tMetric\tSource\t\tMTU\tWindow\t"
		     "IRTT\tTOS\tHHRef\tHHUptod\tSpecDst                          \n"},
	{"stat/rt_cache", "entries  in_hit   in_slow_tot in_slow_mc in_no_route in_brd   in_martian_dst "
			  "in_martian_src out_hit  out_slow_tot out_slow_mc gc_total gc_ignored gc_goal_miss "
			  "gc_dst_overflow in_hlist_search out_hlist_search\n"},
	{"softnet_stat", "00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
			 "00000000 00000000 00000000 00000000 00000000 00000000\n"},
	{"wireless",
	 "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n face "
	 "| tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n"},
};

bool net_show(struct net_ns *ns, const char *name, struct buf *b)
{
	struct net *n = net_of(ns);

	if (!n)
		return false;
	if (!strcmp(name, "tcp"))
		show_inet(n, b, PROTO_TCP, false);
	else if (!strcmp(name, "tcp6"))
		show_inet(n, b, PROTO_TCP, true);
	else if (!strcmp(name, "udp"))
		show_inet(n, b, PROTO_UDP, false);
	else if (!strcmp(name, "udp6"))
		show_inet(n, b, PROTO_UDP, true);
	else if (!strcmp(name, "unix"))
		show_unix(n, b);
	else if (!strcmp(name, "if_inet6"))
		buf_fmt(b, "%s", net_lo_has(ns, true) ? "00000000000000000000000000000001 01 80 10 80       lo\n" : "");
	else if (!net_show_stat(n, name, b)) {
		for (unsigned i = 0; i < array_size(fixed); i++)
			if (!strcmp(name, fixed[i].name)) {
				buf_fmt(b, "%s", fixed[i].text);
				return true;
			}
		return false;
	}
	return true;
}

int proc_net_show(const struct pseudo_ctx *c, struct buf *b)
{
	struct nsproxy *ns = c->task ? task_ns_get(c->task) : NULL;
	bool known;

	if (!ns)
		return -ESRCH;
	known = net_show(ns->net, c->e->path + sizeof("net/") - 1, b);
	nsproxy_put(ns);
	return known ? 0 : -ENOENT;
}
