/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process numbers. A struct pid holds one number per namespace level, all allocated cyclically
 * (R20: a number is not used again soon). The hash is under the pidmap lock; which tasks hang on a
 * pid is under the tasks lock. A number is free again when no task, group or session uses it; the
 * object itself lives as long as somebody refers to it (pidfds, F_SETOWN).
 */
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"

#define RESERVED_PIDS 300
#define PID_MAX_DEFAULT 32768

static KCACHE(pid_ns_cache, struct pid_ns, 4096);

static struct list *bucket(const struct pid_ns *ns, int32_t nr)
{
	return &task_root->pid_hash[((uint32_t)nr + ns->inum * 37u) % PID_BUCKETS];
}

static struct pid *find_locked(const struct pid_ns *ns, int32_t nr)
{
	struct upid *u;

	list_for_each(u, bucket(ns, nr), hash_link)
		if (u->nr == nr && u->ns == ns)
			return container_of(u - ns->level, struct pid, numbers);
	return NULL;
}

static int alloc_nr(struct pid_ns *ns, int32_t want, int32_t *out)
{
	int32_t first = ns->level == 0 || ns->last_pid >= RESERVED_PIDS ? RESERVED_PIDS : 1;
	int32_t nr = ns->last_pid;

	if (want > 0) {
		if (find_locked(ns, want))
			return -EEXIST;
		*out = want;
		return 0;
	}
	if (ns->nr + 1 >= (uint32_t)ns->pid_max)
		return -EAGAIN;
	for (int32_t tries = ns->pid_max; tries > 0; tries--) {
		if (++nr >= ns->pid_max)
			nr = first;
		if (!find_locked(ns, nr)) {
			ns->last_pid = nr;
			*out = nr;
			return 0;
		}
	}
	return -EAGAIN;
}

static void unhash(struct pid *p, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		if (list_empty(&p->numbers[i].hash_link))
			continue;
		list_del(&p->numbers[i].hash_link);
		p->numbers[i].ns->nr--;
	}
}

/* set[0] is the number in the innermost namespace, as in clone3's set_tid. */
int pid_alloc(struct pid_ns *ns, const int32_t *set, uint32_t nset, struct pid **out)
{
	struct pid *p = kmalloc(sizeof(*p) + (ns->level + 1) * sizeof(struct upid));
	int rc = 0;

	if (!p)
		return -ENOMEM;
	ref_init(&p->ref, 1);
	p->level = ns->level;
	for (int i = 0; i < PIDTYPE_MAX; i++)
		list_init(&p->tasks[i]);
	wq_init(&p->wq);
	p->ino = ns_new_inum();
	for (uint32_t i = 0; i <= ns->level; i++)
		list_init(&p->numbers[i].hash_link);
	mutex_lock(&task_root->pidmap_lock);
	if (ns->dying)
		rc = -ENOMEM;
	for (struct pid_ns *n = ns; n && !rc; n = n->parent) {
		uint32_t depth = ns->level - n->level;
		struct upid *u = &p->numbers[n->level];

		rc = alloc_nr(n, depth < nset ? set[depth] : 0, &u->nr);
		if (rc)
			break;
		u->ns = n;
		list_add(bucket(n, u->nr), &u->hash_link);
		n->nr++;
	}
	if (rc)
		unhash(p, 0, ns->level + 1);
	mutex_unlock(&task_root->pidmap_lock);
	if (rc) {
		kfree(p);
		return rc;
	}
	pid_ns_get(ns);
	*out = p;
	return 0;
}

struct pid *pid_get(struct pid *p)
{
	if (p)
		ref_get(&p->ref);
	return p;
}

void pid_put(struct pid *p)
{
	struct pid_ns *ns;

	if (!p || !ref_put(&p->ref))
		return;
	ns = p->numbers[p->level].ns;
	wq_destroy(&p->wq);
	mutex_lock(&task_root->pidmap_lock);
	unhash(p, 0, p->level + 1);
	mutex_unlock(&task_root->pidmap_lock);
	kfree(p);
	pid_ns_put(ns);
}

void pid_free_number(struct pid *p)
{
	mutex_lock(&task_root->pidmap_lock);
	unhash(p, 0, p->level + 1);
	mutex_unlock(&task_root->pidmap_lock);
}

struct pid *pid_lookup(struct pid_ns *ns, int32_t nr)
{
	struct pid *p;

	if (nr <= 0)
		return NULL;
	mutex_lock(&task_root->pidmap_lock);
	p = find_locked(ns, nr);
	if (p && !ref_get_unless_zero(&p->ref))
		p = NULL;
	mutex_unlock(&task_root->pidmap_lock);
	return p;
}

int32_t pid_nr(const struct pid *p, const struct pid_ns *ns)
{
	if (!p || ns->level > p->level || p->numbers[ns->level].ns != ns)
		return 0;
	return p->numbers[ns->level].nr;
}

bool pid_in_use(const struct pid *p)
{
	for (int i = 0; i < PIDTYPE_MAX; i++)
		if (!list_empty(&p->tasks[i]))
			return true;
	return false;
}

void pid_attach(struct task *t, enum pid_type type, struct pid *p)
{
	list_add_tail(&p->tasks[type], &t->pid_links[type]);
}

/* Takes the task off; frees the number when it was the last user of it. */
void pid_detach(struct task *t, enum pid_type type, struct pid *p)
{
	if (list_empty(&t->pid_links[type]))
		return;
	list_del(&t->pid_links[type]);
	if (!pid_in_use(p))
		pid_free_number(p);
}

struct task *pid_task(struct pid *p, enum pid_type type)
{
	struct list *l;

	if (!p || list_empty(&p->tasks[type]))
		return NULL;
	l = p->tasks[type].next;
	return container_of(l, struct task, pid_links[type]);
}

int pid_ns_create(struct pid_ns *parent, struct user_ns *u, struct pid_ns **out)
{
	struct pid_ns *ns;

	if (parent && parent->level + 1 >= PID_LEVELS)
		return -ENOSPC;
	ns = kc_alloc(&pid_ns_cache);
	if (!ns)
		return -ENOMEM;
	ref_init(&ns->ref, 1);
	ns->level = parent ? parent->level + 1 : 0;
	ns->inum = ns_new_inum();
	ns->parent = parent ? pid_ns_get(parent) : NULL;
	ns->user_ns = user_ns_get(u);
	ns->pid_max = PID_MAX_DEFAULT;
	*out = ns;
	return 0;
}

struct pid_ns *pid_ns_get(struct pid_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void pid_ns_put(struct pid_ns *ns)
{
	while (ns && ref_put(&ns->ref)) {
		struct pid_ns *up = ns->parent;

		user_ns_put(ns->user_ns);
		kc_free(&pid_ns_cache, ns);
		ns = up;
	}
}

struct pid_ns *task_pid_ns(const struct task *t)
{
	return t->pid->numbers[t->pid->level].ns;
}

int32_t task_pid_nr(const struct task *t, const struct pid_ns *ns)
{
	return pid_nr(t->pid, ns);
}

/* The leader may be replaced by exec; its number is kept by the new one. */
int32_t task_tgid_nr(const struct task *t, const struct pid_ns *ns)
{
	return pid_nr(t->proc->tgid, ns);
}

struct task *task_lookup(struct pid_ns *ns, int32_t nr)
{
	struct pid *p = pid_lookup(ns, nr);
	struct task *t;

	if (!p)
		return NULL;
	mutex_lock(&tasks_lock);
	t = pid_task(p, PIDTYPE_PID);
	if (t)
		task_get(t);
	mutex_unlock(&tasks_lock);
	pid_put(p);
	return t;
}

struct pid *pid_find_locked(struct pid_ns *ns, int32_t nr)
{
	struct pid *p;

	if (nr <= 0)
		return NULL;
	mutex_lock(&task_root->pidmap_lock);
	p = find_locked(ns, nr);
	mutex_unlock(&task_root->pidmap_lock);
	return p;
}

int32_t pid_ns_next_tgid(struct pid_ns *ns, int32_t from)
{
	int32_t best = 0, nr;
	struct process *p;

	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		nr = pid_nr(p->tgid, ns);
		if (nr >= from && (!best || nr < best))
			best = nr;
	}
	mutex_unlock(&tasks_lock);
	return best;
}
