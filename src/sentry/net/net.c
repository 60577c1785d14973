/* SPDX-License-Identifier: Apache-2.0 */
/* Per-namespace state, made when its first socket needs it. */
#include "sentry/net/net.h"
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
		list_init(&n->unix_all);
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
