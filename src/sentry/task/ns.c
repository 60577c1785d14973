/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The namespaces of a task (struct nsproxy) and the calls that change them: clone flags, unshare,
 * setns. A task sees only its own nsproxy pointer; others read it under the tasks lock.
 */
#include <errno.h>
#include <sched.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"
#include "sentry/vfs/mount.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define SWAP_UNDER_TASKS(a, b)                                                                     \
	do {                                                                                       \
		mutex_lock(&tasks_lock);                                                           \
		__typeof__(a) swap_ = (a);                                                         \
		(a) = (b);                                                                         \
		(b) = swap_;                                                                       \
		mutex_unlock(&tasks_lock);                                                         \
	} while (0)

static KCACHE(nsproxy_cache, struct nsproxy, 0);

void (*ipc_ns_fini)(struct ipc_ns *ns);
void (*net_ns_fini)(struct net_ns *ns);
int (*net_ns_init)(struct net_ns *ns);

#define NS_INUM_BASE 0xf0000100u

uint32_t ns_new_inum(void)
{
	return NS_INUM_BASE + __atomic_fetch_add(&task_root->next_inum, 1, __ATOMIC_RELAXED);
}

/*
 * What namespaces have in common: TYPE_get and TYPE_put of ns.h, and TYPE_new, a namespace with
 * one reference that belongs to u. `fini` ends what only this kind has; it may be NULL.
 */
#define NS_KIND(type, fini)                                                                        \
	static KCACHE(type##_cache, struct type, 4096);                                            \
	struct type *type##_get(struct type *n)                                                    \
	{                                                                                          \
		ref_get(&n->ref);                                                                  \
		return n;                                                                          \
	}                                                                                          \
	void type##_put(struct type *n)                                                            \
	{                                                                                          \
		if (!n || !ref_put(&n->ref))                                                       \
			return;                                                                    \
		if (fini)                                                                          \
			fini(n);                                                                   \
		user_ns_put(n->user_ns);                                                           \
		kc_free(&type##_cache, n);                                                         \
	}                                                                                          \
	static struct type *type##_new(struct user_ns *u)                                          \
	{                                                                                          \
		struct type *n = kc_alloc(&type##_cache);                                          \
                                                                                                   \
		if (!n)                                                                            \
			return NULL;                                                               \
		ref_init(&n->ref, 1);                                                              \
		n->inum = ns_new_inum();                                                           \
		n->user_ns = user_ns_get(u);                                                       \
		return n;                                                                          \
	}

static void (*const no_fini)(void *) = NULL;

NS_KIND(uts_ns, no_fini)
NS_KIND(ipc_ns, ipc_ns_fini)
NS_KIND(net_ns, net_ns_fini)
NS_KIND(time_ns, no_fini)
NS_KIND(cgroup_ns, no_fini)

static struct uts_ns *uts_create(struct user_ns *u, struct uts_ns *from)
{
	struct uts_ns *n = uts_ns_new(u);

	if (!n)
		return NULL;
	mutex_init(&n->lock, RANK_PIDMAP);
	if (from) {
		mutex_lock(&from->lock);
		__builtin_memcpy(n->nodename, from->nodename, sizeof(n->nodename));
		__builtin_memcpy(n->domainname, from->domainname, sizeof(n->domainname));
		mutex_unlock(&from->lock);
	}
	return n;
}

static struct net_ns *net_create(struct user_ns *u)
{
	struct net_ns *n = net_ns_new(u);

	if (n && net_ns_init && net_ns_init(n)) {
		net_ns_put(n);
		return NULL;
	}
	return n;
}

static struct time_ns *time_create(struct user_ns *u, const struct time_ns *from)
{
	struct time_ns *n = time_ns_new(u);

	if (n && from) {
		n->mono_offset = from->mono_offset;
		n->boot_offset = from->boot_offset;
	}
	return n;
}

struct nsproxy *nsproxy_get(struct nsproxy *n)
{
	ref_get(&n->ref);
	return n;
}

void nsproxy_put(struct nsproxy *n)
{
	if (!n || !ref_put(&n->ref))
		return;
	uts_ns_put(n->uts);
	ipc_ns_put(n->ipc);
	if (n->mnt)
		mnt_ns_put(n->mnt);
	net_ns_put(n->net);
	pid_ns_put(n->pid_for_children);
	time_ns_put(n->time);
	time_ns_put(n->time_for_children);
	cgroup_ns_put(n->cgroup);
	kc_free(&nsproxy_cache, n);
}

/* Shares everything with `old`; the caller replaces what it wants while it owns the only copy. */
static struct nsproxy *nsproxy_dup(struct nsproxy *old)
{
	struct nsproxy *n = kc_alloc(&nsproxy_cache);

	if (!n)
		return NULL;
	ref_init(&n->ref, 1);
	n->uts = uts_ns_get(old->uts);
	n->ipc = ipc_ns_get(old->ipc);
	n->mnt = mnt_ns_get(old->mnt);
	n->net = net_ns_get(old->net);
	n->pid_for_children = pid_ns_get(old->pid_for_children);
	n->time = time_ns_get(old->time);
	n->time_for_children = time_ns_get(old->time_for_children);
	n->cgroup = cgroup_ns_get(old->cgroup);
	return n;
}

/* What was made for children is the process's own: after fork, exec and setns. */
void nsproxy_join_time(struct nsproxy *n)
{
	if (n->time == n->time_for_children)
		return;
	time_ns_put(n->time);
	n->time = time_ns_get(n->time_for_children);
	n->time->frozen = true;
}

#define REPLACE(field, put, made)                                                                  \
	do {                                                                                       \
		__typeof__(n->field) new_ = (made);                                                \
		if (!new_)                                                                         \
			goto nomem;                                                                \
		put(n->field);                                                                     \
		n->field = new_;                                                                   \
	} while (0)

int nsproxy_copy(struct task *t, uint64_t flags, struct user_ns *u, struct fsctx *fs,
		 struct nsproxy **out)
{
	struct nsproxy *n = nsproxy_dup(t->ns);
	int rc = -ENOMEM;

	if (!n)
		return -ENOMEM;
	if (flags & CLONE_NEWUTS)
		REPLACE(uts, uts_ns_put, uts_create(u, n->uts));
	if (flags & CLONE_NEWIPC)
		REPLACE(ipc, ipc_ns_put, ipc_ns_new(u));
	if (flags & CLONE_NEWNET)
		REPLACE(net, net_ns_put, net_create(u));
	if (flags & CLONE_NEWCGROUP)
		REPLACE(cgroup, cgroup_ns_put, cgroup_ns_new(u));
	if (flags & CLONE_NEWTIME)
		REPLACE(time_for_children, time_ns_put, time_create(u, n->time_for_children));
	if (flags & CLONE_NEWPID) {
		struct pid_ns *p;

		rc = pid_ns_create(n->pid_for_children, u, &p);
		if (rc)
			goto fail;
		pid_ns_put(n->pid_for_children);
		n->pid_for_children = p;
	}
	if (flags & CLONE_NEWNS) {
		struct mnt_ns *m;

		rc = mnt_ns_copy(n->mnt, u, fs, &m);
		if (rc)
			goto fail;
		mnt_ns_put(n->mnt);
		n->mnt = m;
	}
	*out = n;
	return 0;
nomem:
	rc = -ENOMEM;
fail:
	nsproxy_put(n);
	return rc;
}

struct user_ns *init_user_ns;

int task_early_init(void)
{
	if (!init_user_ns)
		init_user_ns = user_ns_create_init();
	return init_user_ns ? 0 : -ENOMEM;
}

int ns_init_root(const char *hostname, struct mnt_ns *mnt)
{
	struct nsproxy *n = kc_alloc(&nsproxy_cache);
	struct user_ns *u;

	if (!n || task_early_init())
		return -ENOMEM;
	u = user_ns_get(init_user_ns);
	task_root->user_ns = u;
	if (pid_ns_create(NULL, u, &task_root->pid_ns))
		return -ENOMEM;
	ref_init(&n->ref, 1);
	n->uts = uts_create(u, NULL);
	n->ipc = ipc_ns_new(u);
	n->net = net_create(u);
	n->time = time_create(u, NULL);
	n->time_for_children = n->time ? time_ns_get(n->time) : NULL;
	n->cgroup = cgroup_ns_new(u);
	if (!n->uts || !n->ipc || !n->net || !n->time || !n->cgroup)
		return -ENOMEM;
	n->pid_for_children = pid_ns_get(task_root->pid_ns);
	n->mnt = mnt ? mnt_ns_get(mnt) : NULL;
	fmt_n(n->uts->nodename, sizeof(n->uts->nodename), "%s", hostname ? hostname : "brig");
	fmt_n(n->uts->domainname, sizeof(n->uts->domainname), "(none)");
	task_root->ns = n;
	return 0;
}

/* Replaces the task's own proxy; consumes n. */
void task_set_ns(struct task *t, struct nsproxy *n)
{
	struct nsproxy *old;

	mutex_lock(&tasks_lock);
	old = t->ns;
	t->ns = n;
	mutex_unlock(&tasks_lock);
	nsproxy_put(old);
}

#define NS_FLAGS (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWPID | \
		  CLONE_NEWCGROUP | CLONE_NEWTIME)

static int unshare_parts(struct task *t, uint64_t flags, struct fsctx **fs, struct files **files)
{
	if ((flags & (CLONE_FS | CLONE_NEWNS)) && ref_read(&t->fs->ref) > 1) {
		*fs = fsctx_copy(t->fs);
		if (!*fs)
			return -ENOMEM;
	}
	if ((flags & CLONE_FILES) && ref_read(&t->files->ref) > 1) {
		*files = files_copy(t->files);
		if (!*files)
			return -ENOMEM;
	}
	return 0;
}

int task_unshare(struct task *t, uint64_t flags)
{
	struct nsproxy *ns = NULL;
	struct fsctx *fs = NULL;
	struct files *files = NULL;
	struct cred *cred = NULL;
	struct user_ns *u;
	int rc;

	if (flags & ~(uint64_t)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND |
				CLONE_VM | CLONE_NEWUSER | NS_FLAGS))
		return -EINVAL;
	if (flags & CLONE_NEWUSER)
		flags |= CLONE_THREAD | CLONE_FS;
	if (flags & CLONE_VM)
		flags |= CLONE_SIGHAND;
	if (flags & CLONE_SIGHAND)
		flags |= CLONE_THREAD;
	if (flags & CLONE_NEWNS)
		flags |= CLONE_FS;
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && t->proc->nr_threads > 1)
		return -EINVAL;
	if ((flags & CLONE_SIGHAND) && ref_read(&t->proc->sighand->ref) > 1)
		return -EINVAL;
	if ((flags & CLONE_VM) && ref_read(&t->mm->users) > 1)
		return -EINVAL;
	if (flags & CLONE_NEWUSER) {
		cred = cred_copy(t->cred);
		rc = cred ? cred_enter_new_user_ns(cred) : -ENOMEM;
		if (rc)
			goto out;
	}
	u = cred ? cred->user_ns : t->cred->user_ns;
	rc = -EPERM;
	if ((flags & NS_FLAGS) && !cred && !cred_ns_capable(t->cred, u, CAP_SYS_ADMIN))
		goto out;
	rc = unshare_parts(t, flags, &fs, &files);
	if (!rc && (flags & NS_FLAGS))
		rc = nsproxy_copy(t, flags & NS_FLAGS, u, fs ? fs : t->fs, &ns);
	if (rc)
		goto out;
	if (fs)
		SWAP_UNDER_TASKS(t->fs, fs);
	if (files)
		SWAP_UNDER_TASKS(t->files, files);
	if (ns)
		task_set_ns(t, steal(ns));
	if (cred)
		task_commit_creds(t, steal(cred));
out:
	fsctx_put(fs);
	files_put(t, files);
	nsproxy_put(ns);
	cred_put(cred);
	return rc;
}

bool task_has_time_offset(const struct task *t)
{
	const struct time_ns *tn = t->ns ? t->ns->time : NULL;

	return tn && (tn->mono_offset || tn->boot_offset);
}
