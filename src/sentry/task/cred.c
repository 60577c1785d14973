/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing credentials, and names. The owner replaces its own pointer under the tasks lock, so
 * that others may take a reference to it there. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/task/exec.h"
#include "sentry/task/task_i.h"

#define GROUPS_MAX 65536u

static void replace(struct task *t, struct cred *c)
{
	struct cred *old;

	if (c->uid != t->cred->uid && ucount_add(c->uid, 1, 0) == 0)
		(void)!ucount_add(t->cred->uid, -1, 0);
	mutex_lock(&tasks_lock);
	old = t->cred;
	t->cred = c;
	mutex_unlock(&tasks_lock);
	cred_put(old);
}

void task_commit_creds_exec(struct task *t, struct cred *c)
{
	replace(t, c);
	t->exec_nproc_check = false;
}

/* The creator of a user namespace has gained nothing by its capabilities inside. */
static bool gains_caps(const struct cred *old, const struct cred *c)
{
	if (old->user_ns == c->user_ns)
		return c->cap_permitted & ~old->cap_permitted;
	for (const struct user_ns *u = c->user_ns; u; u = u->parent)
		if (u->parent == old->user_ns && u->owner == old->euid)
			return false;
	return true;
}

void task_commit_creds(struct task *t, struct cred *c)
{
	const struct cred *old = t->cred;

	if (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid ||
	    old->fsgid != c->fsgid || gains_caps(old, c)) {
		if (t->mm) {
			t->mm->dumpable = false;
			t->mm->dumpable_mode = 0;
		}
		t->pdeath_signal = 0;
	}
	if (c->uid != old->uid)
		t->exec_nproc_check = ucount_nproc(c->uid) >= task_rlimit(t, RLIMIT_NPROC) && c->uid != 0;
	replace(t, c);
}

struct group_list *group_list_create(const uint32_t *gid, uint32_t n)
{
	struct group_list *g;

	if (n > GROUPS_MAX)
		return NULL;
	g = kmalloc(sizeof(*g) + n * sizeof(g->gid[0]));
	if (!g)
		return NULL;
	ref_init(&g->ref, 1);
	g->n = n;
	/* Insertion sort: lists are short, and mostly sorted already. */
	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = i;

		for (; k > 0 && g->gid[k - 1] > gid[i]; k--)
			g->gid[k] = g->gid[k - 1];
		g->gid[k] = gid[i];
	}
	return g;
}

void task_set_comm(struct task *t, const char *name)
{
	char buf[16] = {0};

	for (unsigned i = 0; i < sizeof(buf) - 1 && name[i]; i++)
		buf[i] = name[i];
	mutex_lock(&tasks_lock);
	__builtin_memcpy(t->comm, buf, sizeof(buf));
	mutex_unlock(&tasks_lock);
}
