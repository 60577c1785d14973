/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and control data: allocation, charging, release. */
#include "sentry/net/skb.h"
#include <errno.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/net/sock.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/task.h"

static KCACHE(skb_cache, struct skb, 0);

/* As Linux counts: the header, and the data with its tail in a power of two. */
uint32_t skb_truesize(uint32_t len)
{
	uint32_t n = 512;

	while (n < len + 320)
		n *= 2;
	return n + 256;
}

struct skb *skb_alloc(struct sock *owner, uint32_t len)
{
	struct skb *b = kc_alloc(&skb_cache);

	if (!b)
		return NULL;
	b->data = kmalloc(len ? len : 1);
	if (!b->data) {
		kc_free(&skb_cache, b);
		return NULL;
	}
	ref_init(&b->ref, 1);
	list_init(&b->link);
	b->len = len;
	b->truesize = skb_truesize(len);
	if (owner) {
		b->owner = sock_get(owner);
		__atomic_fetch_add(&owner->wmem, b->truesize, __ATOMIC_ACQ_REL);
	}
	return b;
}

struct skb *skb_get(struct skb *b)
{
	ref_get(&b->ref);
	return b;
}

static void uncharge_owner(struct skb *b)
{
	struct sock *s = b->owner;

	if (!s)
		return;
	__atomic_fetch_sub(&s->wmem, b->truesize, __ATOMIC_ACQ_REL);
	if (sock_writable(s))
		sock_wake(s, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	sock_put(s);
}

void skb_put(struct skb *b)
{
	if (!b || !ref_put(&b->ref))
		return;
	uncharge_owner(b);
	scm_free(b->scm);
	unix_addr_put(b->from_unix);
	kfree(b->data);
	kc_free(&skb_cache, b);
}

void skb_list_free(struct list *l)
{
	struct skb *b;

	while ((b = list_first(l, struct skb, link))) {
		list_del(&b->link);
		skb_put(b);
	}
}

struct scm *scm_alloc(uint32_t nfds)
{
	size_t bytes;

	if (!size_mul(nfds, sizeof(struct file *), &bytes) ||
	    !size_add(bytes, sizeof(struct scm), &bytes))
		return NULL;
	return kmalloc(bytes);
}

void scm_free(struct scm *scm)
{
	if (!scm)
		return;
	if (scm->inflight)
		unix_not_inflight(scm);
	for (uint32_t i = 0; i < scm->nfds; i++)
		if (scm->fds[i])
			file_put(scm->fds[i]);
	if (scm->pid)
		pid_put(scm->pid);
	kfree(scm);
}

struct scm *scm_dup(const struct scm *scm)
{
	struct scm *n = scm_alloc(scm->nfds);

	if (!n)
		return NULL;
	n->uid = scm->uid, n->gid = scm->gid, n->has_creds = scm->has_creds;
	n->pid = scm->pid ? pid_get(scm->pid) : NULL;
	n->nfds = scm->nfds;
	for (uint32_t i = 0; i < scm->nfds; i++)
		n->fds[i] = file_get(scm->fds[i]);
	return n;
}

int scm_add_creds(struct scm **scm, struct task *t)
{
	if (!*scm)
		*scm = scm_alloc(0);
	if (!*scm)
		return -ENOMEM;
	if ((*scm)->has_creds || !t)
		return 0;
	(*scm)->pid = pid_get(t->proc->tgid);
	(*scm)->uid = t->cred->uid;
	(*scm)->gid = t->cred->gid;
	(*scm)->has_creds = true;
	return 0;
}

bool scm_same_creds(const struct scm *a, const struct scm *b)
{
	if (!a || !b)
		return a == b;
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}
