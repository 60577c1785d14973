/* SPDX-License-Identifier: Apache-2.0 */
/* What each real user id has: tasks (RLIMIT_NPROC) and queued signals (RLIMIT_SIGPENDING). An entry
 * exists while one of its counts is above zero. Under the pidmap lock. */
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"

static KCACHE(ucount_cache, struct ucount, 65536);

static struct ucount *find(uint32_t uid)
{
	struct ucount *u;

	list_for_each(u, &task_root->ucounts[uid % UCOUNT_BUCKETS], hash_link)
		if (u->uid == uid)
			return u;
	return NULL;
}

int ucount_add(uint32_t uid, int nproc, int sigpending)
{
	struct ucount *u;
	int rc = 0;

	mutex_lock(&task_root->pidmap_lock);
	u = find(uid);
	if (!u) {
		u = kc_alloc(&ucount_cache);
		if (!u) {
			rc = -EAGAIN;
			goto out;
		}
		u->uid = uid;
		list_add(&task_root->ucounts[uid % UCOUNT_BUCKETS], &u->hash_link);
	}
	u->nproc += (uint32_t)nproc;
	u->sigpending += (uint32_t)sigpending;
	if (!u->nproc && !u->sigpending) {
		list_del(&u->hash_link);
		kc_free(&ucount_cache, u);
	}
out:
	mutex_unlock(&task_root->pidmap_lock);
	return rc;
}

uint32_t ucount_nproc(uint32_t uid)
{
	struct ucount *u;
	uint32_t n;

	mutex_lock(&task_root->pidmap_lock);
	u = find(uid);
	n = u ? u->nproc : 0;
	mutex_unlock(&task_root->pidmap_lock);
	return n;
}

uint32_t ucount_sigpending(uint32_t uid)
{
	struct ucount *u;
	uint32_t n;

	mutex_lock(&task_root->pidmap_lock);
	u = find(uid);
	n = u ? u->sigpending : 0;
	mutex_unlock(&task_root->pidmap_lock);
	return n;
}
