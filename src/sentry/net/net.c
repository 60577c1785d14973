/* SPDX-License-Identifier: Apache-2.0 */
/* Per-namespace state, made when its first socket needs it. */
#include "sentry/net/net.h"
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/net/sock.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

static KCACHE(net_cache, struct net, 4096);
static struct mutex net_make_lock = MUTEX_INIT(RANK_OBJECT);

struct net *net_of(struct net_ns *ns)
{
	struct net *n = __atomic_load_n(&ns->net, __ATOMIC_ACQUIRE);

	if (n)
		return n;
	mutex_lock(&net_make_lock);
	n = ns->net;
	if (!n && (n = kc_alloc(&net_cache))) {
		mutex_init(&n->lock, RANK_OBJECT);
		n->lo_up = n->lo_addr = ns == task_root->ns->net;
		list_init(&n->unix_all);
		list_init(&n->netlinks);
		for (unsigned i = 0; i < UNIX_BUCKETS; i++)
			list_init(&n->abstract[i]);
		for (unsigned i = 0; i < PORT_BUCKETS; i++) {
			list_init(&n->ports[0][i]);
			list_init(&n->ports[1][i]);
		}
		__atomic_store_n(&ns->net, n, __ATOMIC_RELEASE);
	}
	mutex_unlock(&net_make_lock);
	return n;
}

uint32_t net_lo_flags(struct net_ns *ns)
{
	struct net *n = net_of(ns);

	return IFF_LOOPBACK | (n && READ_ONCE(n->lo_up) ? IFF_UP | IFF_RUNNING : 0u);
}

/* An IPv6 address goes with the interface, an IPv4 one stays. */
bool net_lo_has(struct net_ns *ns, bool v6)
{
	struct net *n = net_of(ns);

	return n && (v6 ? READ_ONCE(n->lo_up) : READ_ONCE(n->lo_addr));
}

/* Whoever changes lo: 0 and its namespace's state, -EPERM, -ENOMEM. */
static int may_change(struct net_ns *ns, struct task *t, struct net **n)
{
	if (!cred_ns_capable(t->cred, ns->user_ns ? ns->user_ns : task_root->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	*n = net_of(ns);
	return *n ? 0 : -ENOMEM;
}

int net_lo_addr(struct net_ns *ns, struct task *t, bool v6)
{
	struct net *n;
	int r = may_change(ns, t, &n);

	if (r)
		return r;
	if (net_lo_has(ns, v6))
		return -EEXIST;
	if (!v6)
		WRITE_ONCE(n->lo_addr, true);
	return v6 ? -EACCES : 0;	/* the interface is down: no IPv6 on it yet */
}

int net_lo_set(struct net_ns *ns, struct task *t, bool up)
{
	struct net *n;
	int r = may_change(ns, t, &n);

	if (r)
		return r;
	WRITE_ONCE(n->lo_up, up);
	if (up)
		WRITE_ONCE(n->lo_addr, true);
	return 0;
}

static void net_fini(struct net_ns *ns)
{
	struct net *n = steal(ns->net);

	kc_free(&net_cache, n);
}

int net_init(void)
{
	net_ns_fini = net_fini;
	return unix_gc_start();
}
