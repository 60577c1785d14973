/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/net: the files of counters. What loopback cannot do counts zero. */
#include <string.h>
#include "lib/fmt.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net.h"
#include "sentry/net/sock.h"
#include "sentry/net/unix/unix.h"

/* Names of counters, separated by spaces; the values of those not listed are zero. */
static const char tcp_ext[] =
	" SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled"
	" RcvPruned OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled"
	" TWKilled PAWSActive PAWSEstab BeyondWindow TSEcrRejected PAWSOldAck"
	" PAWSTimewait DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows"
	" ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery"
	" TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo"
	" TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPRenoFailures"
	" TCPSackFailures TCPLossFailures TCPFastRetrans TCPSlowStartRetrans"
	" TCPTimeouts TCPLossProbes TCPLossProbeRecovery TCPRenoRecoveryFail"
	" TCPSackRecoveryFail TCPRcvCollapsed TCPBacklogCoalesce TCPDSACKOldSent"
	" TCPDSACKOfoSent TCPDSACKRecv TCPDSACKOfoRecv TCPAbortOnData TCPAbortOnClose"
	" TCPAbortOnMemory TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed"
	" TCPMemoryPressures TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld"
	" TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected"
	" TCPMD5Failure TCPSackShifted TCPSackMerged TCPSackShiftFallback"
	" TCPBacklogDrop PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop"
	" IPReversePathFilter TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop"
	" TCPRetransFail TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge"
	" TCPChallengeACK TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail"
	" TCPFastOpenPassive TCPFastOpenPassiveFail TCPFastOpenListenOverflow"
	" TCPFastOpenCookieReqd TCPFastOpenBlackhole TCPSpuriousRtxHostQueues"
	" BusyPollRxPackets TCPAutoCorking TCPFromZeroWindowAdv TCPToZeroWindowAdv"
	" TCPWantZeroWindowAdv TCPSynRetrans TCPOrigDataSent TCPHystartTrainDetect"
	" TCPHystartTrainCwnd TCPHystartDelayDetect TCPHystartDelayCwnd"
	" TCPACKSkippedSynRecv TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2"
	" TCPACKSkippedTimeWait TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive"
	" TCPMTUPFail TCPMTUPSuccess TCPDelivered TCPDeliveredCE TCPAckCompressed"
	" TCPZeroWindowDrop TCPRcvQDrop TCPWqueueTooBig TCPFastOpenPassiveAltKey"
	" TcpTimeoutRehash TcpDuplicateDataRehash TCPDSACKRecvSegs"
	" TCPDSACKIgnoredDubious TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash"
	" TCPAORequired TCPAOBad TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps";
static const char ip_ext[] =
	" InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts"
	" InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets"
	" InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps";
static const char snmp6[] =
	"Ip6InReceives Ip6InHdrErrors Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors"
	" Ip6InUnknownProtos Ip6InTruncatedPkts Ip6InDiscards Ip6InDelivers"
	" Ip6OutForwDatagrams Ip6OutRequests Ip6OutDiscards Ip6OutNoRoutes"
	" Ip6ReasmTimeout Ip6ReasmReqds Ip6ReasmOKs Ip6ReasmFails Ip6FragOKs"
	" Ip6FragFails Ip6FragCreates Ip6InMcastPkts Ip6OutMcastPkts Ip6InOctets"
	" Ip6OutOctets Ip6InMcastOctets Ip6OutMcastOctets Ip6InBcastOctets"
	" Ip6OutBcastOctets Ip6InNoECTPkts Ip6InECT1Pkts Ip6InECT0Pkts Ip6InCEPkts"
	" Ip6OutTransmits Icmp6InMsgs Icmp6InErrors Icmp6OutMsgs Icmp6OutErrors"
	" Icmp6InCsumErrors Icmp6OutRateLimitHost Icmp6InDestUnreachs Icmp6InPktTooBigs"
	" Icmp6InTimeExcds Icmp6InParmProblems Icmp6InEchos Icmp6InEchoReplies"
	" Icmp6InGroupMembQueries Icmp6InGroupMembResponses Icmp6InGroupMembReductions"
	" Icmp6InRouterSolicits Icmp6InRouterAdvertisements Icmp6InNeighborSolicits"
	" Icmp6InNeighborAdvertisements Icmp6InRedirects Icmp6InMLDv2Reports"
	" Icmp6OutDestUnreachs Icmp6OutPktTooBigs Icmp6OutTimeExcds"
	" Icmp6OutParmProblems Icmp6OutEchos Icmp6OutEchoReplies"
	" Icmp6OutGroupMembQueries Icmp6OutGroupMembResponses"
	" Icmp6OutGroupMembReductions Icmp6OutRouterSolicits"
	" Icmp6OutRouterAdvertisements Icmp6OutNeighborSolicits"
	" Icmp6OutNeighborAdvertisements Icmp6OutRedirects Icmp6OutMLDv2Reports"
	" Udp6InDatagrams Udp6NoPorts Udp6InErrors Udp6OutDatagrams Udp6RcvbufErrors"
	" Udp6SndbufErrors Udp6InCsumErrors Udp6IgnoredMulti Udp6MemErrors"
	" UdpLite6InDatagrams UdpLite6NoPorts UdpLite6InErrors UdpLite6OutDatagrams"
	" UdpLite6RcvbufErrors UdpLite6SndbufErrors UdpLite6InCsumErrors"
	" UdpLite6MemErrors";

static uint64_t get(const struct net *n, enum net_count what)
{
	return __atomic_load_n(&n->count[what], __ATOMIC_RELAXED);
}

static uint64_t packets(const struct net *n)
{
	return get(n, NC_TCP_SEGS) + get(n, NC_UDP_OUT) + 2 * get(n, NC_TCP_FAILS);
}

/* Sockets of a protocol: in the table of ports, and connected ones of them. */
static unsigned in_use(struct net *n, int proto, int family, unsigned *connected)
{
	struct inet_sock *is;
	unsigned k = 0;

	*connected = 0;
	mutex_lock(&n->lock);
	for (unsigned i = 0; i < PORT_BUCKETS; i++)
		list_for_each(is, &n->ports[proto][i], port_link) {
			if (family && is->sock->family != family)
				continue;
			k++;
			*connected += READ_ONCE(is->sock->state) == ST_CONNECTED;
		}
	mutex_unlock(&n->lock);
	return k;
}

static void show_snmp(struct net *n, struct buf *b)
{
	unsigned estab;

	(void)in_use(n, PROTO_TCP, 0, &estab);
	buf_fmt(b, "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos "
		   "InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs "
		   "ReasmFails FragOKs FragFails FragCreates OutTransmits\n"
		   "Ip: 2 64 %lu 0 0 0 0 0 %lu %lu 0 0 0 0 0 0 0 0 0 %lu\n",
		packets(n), packets(n), packets(n), packets(n));
	buf_fmt(b, "Icmp: InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs "
		   "InRedirects InEchos InEchoReps InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs "
		   "OutErrors OutRateLimitGlobal OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs "
		   "OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks "
		   "OutAddrMaskReps\n"
		   "Icmp: %lu 0 0 %lu 0 0 0 0 0 0 0 0 0 0 %lu 0 0 0 %lu 0 0 0 0 0 0 0 0 0 0\n",
		get(n, NC_UDP_NOPORT), get(n, NC_UDP_NOPORT), get(n, NC_UDP_NOPORT), get(n, NC_UDP_NOPORT));
	if (get(n, NC_UDP_NOPORT))
		buf_fmt(b, "IcmpMsg: InType3 OutType3\nIcmpMsg: %lu %lu\n", get(n, NC_UDP_NOPORT),
			get(n, NC_UDP_NOPORT));
	buf_fmt(b, "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets "
		   "CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors\n"
		   "Tcp: 1 200 120000 -1 %lu %lu %lu %lu %u %lu %lu 0 0 %lu 0\n",
		get(n, NC_TCP_ACTIVE) + get(n, NC_TCP_FAILS), get(n, NC_TCP_PASSIVE), get(n, NC_TCP_FAILS),
		get(n, NC_TCP_RESETS), estab, get(n, NC_TCP_SEGS) + 2 * get(n, NC_TCP_FAILS),
		get(n, NC_TCP_SEGS) + get(n, NC_TCP_FAILS), get(n, NC_TCP_RESETS) + get(n, NC_TCP_FAILS));
	buf_fmt(b, "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
		   "IgnoredMulti MemErrors\nUdp: %lu %lu %lu %lu %lu 0 0 0 0\n",
		get(n, NC_UDP_IN), get(n, NC_UDP_NOPORT), get(n, NC_UDP_FULL), get(n, NC_UDP_OUT),
		get(n, NC_UDP_FULL));
	buf_fmt(b, "UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
		   "IgnoredMulti MemErrors\nUdpLite: 0 0 0 0 0 0 0 0 0\n");
}

static void zeros(struct buf *b, const char *names)
{
	for (; *names; names++)
		if (*names == ' ')
			buf_fmt(b, " 0");
	buf_addc(b, '\n');
}

static void show_netstat(struct net *n, struct buf *b)
{
	buf_fmt(b, "TcpExt:%s\nTcpExt:", tcp_ext);
	zeros(b, tcp_ext);
	buf_fmt(b, "IpExt:%s\nIpExt: 0 0 0 0 0 0 %lu %lu 0 0 0 0 0 %lu 0 0 0 0\n", ip_ext, get(n, NC_BYTES),
		get(n, NC_BYTES), packets(n));
}

static void show_snmp6(struct buf *b)
{
	for (const char *p = snmp6; *p; p += *p == ' ') {
		size_t k = strcspn(p, " ");

		buf_fmt(b, "%-32.*s\t0\n", (int)k, p);
		p += k;
	}
}

static void show_sockstat(struct net *n, struct buf *b, bool v6)
{
	unsigned c, tcp = in_use(n, PROTO_TCP, v6 ? AF_INET6 : AF_INET, &c);
	unsigned udp = in_use(n, PROTO_UDP, v6 ? AF_INET6 : AF_INET, &c), all = 0;
	struct unix_sock *us;

	if (v6) {
		buf_fmt(b, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse 0\n"
			   "FRAG6: inuse 0 memory 0\n", tcp, udp);
		return;
	}
	mutex_lock(&n->lock);
	list_for_each(us, &n->unix_all, all_link)
		all++;
	mutex_unlock(&n->lock);
	all += in_use(n, PROTO_TCP, 0, &c);
	all += in_use(n, PROTO_UDP, 0, &c);
	buf_fmt(b, "sockets: used %u\nTCP: inuse %u orphan 0 tw 0 alloc %u mem 0\nUDP: inuse %u mem 0\n"
		   "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n", all, tcp, tcp, udp);
}

static void show_dev(struct net *n, struct buf *b)
{
	uint64_t bytes = get(n, NC_BYTES), k = packets(n);

	buf_fmt(b, "Inter-|   Receive                                                |  Transmit\n"
		   " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		   "packets errs drop fifo colls carrier compressed\n"
		   "    lo: %7lu %7lu    0    0    0     0          0         0 %8lu %7lu    0    0    0     0"
		   "       0          0\n", bytes, k, bytes, k);
}

bool net_show_stat(struct net *n, const char *name, struct buf *b)
{
	if (!strcmp(name, "snmp"))
		show_snmp(n, b);
	else if (!strcmp(name, "netstat"))
		show_netstat(n, b);
	else if (!strcmp(name, "snmp6") || !strcmp(name, "dev_snmp6/lo"))
		show_snmp6(b);
	else if (!strcmp(name, "sockstat") || !strcmp(name, "sockstat6"))
		show_sockstat(n, b, name[8] == '6');
	else if (!strcmp(name, "dev"))
		show_dev(n, b);
	else
		return false;
	return true;
}
