/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces as files. */
#include "sentry/task/nsfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <linux/capability.h>
#include <linux/nsfs.h>

#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/pidfd/pidfd.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/told.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

const char *nsfile_type_name(int type)
{
	switch (type) {
	case CLONE_NEWUTS: return "uts";
	case CLONE_NEWIPC: return "ipc";
	case CLONE_NEWNS: return "mnt";
	case CLONE_NEWNET: return "net";
	case CLONE_NEWPID: return "pid";
	case CLONE_NEWTIME: return "time";
	case CLONE_NEWUSER: return "user";
	default: return "cgroup";
	}
}

uint32_t task_ns_inum(struct task *t, int type, bool for_children)
{
	struct nsproxy *n = task_ns_get(t);
	uint32_t inum = 0;

	if (!n)
		return 0;
	switch (type) {
	case CLONE_NEWUTS: inum = n->uts->inum; break;
	case CLONE_NEWIPC: inum = n->ipc->inum; break;
	case CLONE_NEWNS: inum = n->mnt->inum; break;
	case CLONE_NEWNET: inum = n->net->inum; break;
	case CLONE_NEWPID: inum = for_children ? n->pid_for_children->inum : task_pid_ns(t)->inum; break;
	case CLONE_NEWTIME: inum = for_children ? n->time_for_children->inum : n->time->inum; break;
	case CLONE_NEWCGROUP: inum = n->cgroup->inum; break;
	case CLONE_NEWUSER: {
		struct cred *c = task_cred_get(t);
		inum = c->user_ns->inum;
		cred_put(c);
		break;
	}
	}
	nsproxy_put(n);
	return inum;
}

/* --- the files -------------------------------------------------------------------------------- */

struct nsref {
	struct inode inode;
	int type;			/* CLONE_NEW* */
	void *ns;			/* owned: the namespace object of that type */
};

static KCACHE(nsref_cache, struct nsref, 65536);

static struct nsref *to_nsref(struct inode *i)
{
	return container_of(i, struct nsref, inode);
}

static void *ns_take(struct task *t, int type, bool for_children)
{
	struct nsproxy *n = task_ns_get(t);
	void *ns = NULL;

	if (!n)
		return NULL;
	switch (type) {
	case CLONE_NEWUTS: ns = uts_ns_get(n->uts); break;
	case CLONE_NEWIPC: ns = ipc_ns_get(n->ipc); break;
	case CLONE_NEWNS: ns = mnt_ns_get(n->mnt); break;
	case CLONE_NEWNET: ns = net_ns_get(n->net); break;
	case CLONE_NEWPID: ns = pid_ns_get(for_children ? n->pid_for_children : task_pid_ns(t)); break;
	case CLONE_NEWTIME: ns = time_ns_get(for_children ? n->time_for_children : n->time); break;
	case CLONE_NEWCGROUP: ns = cgroup_ns_get(n->cgroup); break;
	case CLONE_NEWUSER: {
		struct cred *c = task_cred_get(t);
		ns = user_ns_get(c->user_ns);
		cred_put(c);
		break;
	}
	}
	nsproxy_put(n);
	return ns;
}

static void ns_drop(int type, void *ns)
{
	switch (type) {
	case CLONE_NEWUTS: uts_ns_put(ns); return;
	case CLONE_NEWIPC: ipc_ns_put(ns); return;
	case CLONE_NEWNS: mnt_ns_put(ns); return;
	case CLONE_NEWNET: net_ns_put(ns); return;
	case CLONE_NEWPID: pid_ns_put(ns); return;
	case CLONE_NEWTIME: time_ns_put(ns); return;
	case CLONE_NEWCGROUP: cgroup_ns_put(ns); return;
	case CLONE_NEWUSER: user_ns_put(ns); return;
	}
}

static void nsfs_destroy(struct inode *i)
{
	struct nsref *r = to_nsref(i);

	ns_drop(r->type, r->ns);
	kc_free(&nsref_cache, r);
}

const struct inode_ops nsfs_inode_ops = {.destroy = nsfs_destroy};

static struct user_ns *ns_owner(const struct nsref *r)
{
	switch (r->type) {
	case CLONE_NEWUTS: return ((struct uts_ns *)r->ns)->user_ns;
	case CLONE_NEWIPC: return ((struct ipc_ns *)r->ns)->user_ns;
	case CLONE_NEWNS: return ((struct mnt_ns *)r->ns)->user_ns;
	case CLONE_NEWNET: return ((struct net_ns *)r->ns)->user_ns;
	case CLONE_NEWPID: return ((struct pid_ns *)r->ns)->user_ns;
	case CLONE_NEWTIME: return ((struct time_ns *)r->ns)->user_ns;
	case CLONE_NEWCGROUP: return ((struct cgroup_ns *)r->ns)->user_ns;
	default: return ((struct user_ns *)r->ns)->parent;
	}
}

static int ns_file(struct task *t, int type, void *ns /* consumed */, uint32_t inum, struct file **out)
{
	struct nsref *r = kc_alloc(&nsref_cache);
	char name[32];

	if (!r) {
		ns_drop(type, ns);
		return -ENOMEM;
	}
	inode_init(&r->inode, anon_super(), S_IFREG | 0444, IOPS_nsfs, FOPS_nsfs);
	r->inode.ino = inum;
	r->type = type;
	r->ns = ns;
	fmt_n(name, sizeof(name), "%s:[%u]", nsfile_type_name(type), inum);
	return file_anon(name, &r->inode, FOPS_nsfs, FMODE_READ, O_RDONLY, t->cred, out);
}

/* NS_GET_USERNS and NS_GET_PARENT (ioctl_ns(2)). */
static int64_t ns_relative(struct task *t, const struct nsref *r, bool parent)
{
	struct file *f;
	int err;

	if (parent && r->type == CLONE_NEWPID) {
		struct pid_ns *up = ((struct pid_ns *)r->ns)->parent;
		if (!up || up->level < task_pid_ns(t)->level)
			return -EPERM;
		err = ns_file(t, CLONE_NEWPID, pid_ns_get(up), up->inum, &f);
	} else if (parent && r->type != CLONE_NEWUSER) {
		return -EINVAL;
	} else {
		struct user_ns *u = ns_owner(r);
		if (!u || u->level < t->cred->user_ns->level)
			return -EPERM;
		err = ns_file(t, CLONE_NEWUSER, user_ns_get(u), u->inum, &f);
	}
	return err ? err : fd_add(t, f, true);
}

static int64_t nsfs_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct nsref *r = to_nsref(f->inode);

	switch (cmd) {
	case NS_GET_NSTYPE:
		return r->type;
	case NS_GET_USERNS:
		return ns_relative(t, r, false);
	case NS_GET_PARENT:
		return ns_relative(t, r, true);
	case NS_GET_OWNER_UID: {
		if (r->type != CLONE_NEWUSER)
			return -EINVAL;
		uint32_t uid = uid_to_ns(t->cred->user_ns, ((struct user_ns *)r->ns)->owner);
		return put_user(t, UADDR(arg), uid);
	}
	}
	return -ENOTTY;
}

const struct file_ops nsfs_file_ops = {.ioctl = nsfs_ioctl};

int ns_open(struct task *t, struct task *target, uint64_t type, struct file **out)
{
	void *ns = ns_take(target, (int)type, false);

	return ns ? ns_file(t, (int)type, ns, task_ns_inum(target, (int)type, false), out) : -ENOENT;
}

int nsfile_path(struct task *t, int type, bool for_children, struct path *out)
{
	struct file *f;
	void *ns = ns_take(t, type, for_children);
	int err = ns ? ns_file(current, type, ns, task_ns_inum(t, type, for_children), &f) : -ENOENT;

	if (err)
		return err;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

/* --- setns(2) -------------------------------------------------------------------------------- */

static int enter_user(struct task *t, struct user_ns *u)
{
	if (u == t->cred->user_ns || t->proc->nr_threads > 1 || ref_read(&t->fs->ref) > 1)
		return -EINVAL;
	if (!cred_ns_capable(t->cred, u, CAP_SYS_ADMIN))
		return -EPERM;
	struct cred *c = cred_copy(t->cred);
	if (!c)
		return -ENOMEM;
	user_ns_put(c->user_ns);
	c->user_ns = user_ns_get(u);
	c->cap_permitted = c->cap_effective = c->cap_bset = (1ull << 41) - 1;
	c->cap_inheritable = c->cap_ambient = 0;
	c->securebits = 0;
	task_commit_creds(t, c);
	return 0;
}

static int enter_mnt(struct task *t, struct mnt_ns *m)
{
	struct path top, old_root, old_cwd;

	if (ref_read(&t->fs->ref) > 1)
		return -EINVAL;
	if (!cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_CHROOT))
		return -EPERM;
	mnt_ns_root(m, &top);
	path_get(&top);
	told_change_begin();
	mutex_lock(&t->fs->lock);
	old_root = t->fs->root, old_cwd = t->fs->cwd;
	t->fs->root = t->fs->cwd = top;
	mutex_unlock(&t->fs->lock);
	told_change_end();
	path_put(&old_root);
	path_put(&old_cwd);
	return 0;
}

/* What the flag's member of the proxy becomes. */
static void swap_ns(struct nsproxy *n, int type, void *ns)
{
	switch (type) {
	case CLONE_NEWUTS: uts_ns_put(n->uts); n->uts = uts_ns_get(ns); return;
	case CLONE_NEWIPC: ipc_ns_put(n->ipc); n->ipc = ipc_ns_get(ns); return;
	case CLONE_NEWNS: mnt_ns_put(n->mnt); n->mnt = mnt_ns_get(ns); return;
	case CLONE_NEWNET: net_ns_put(n->net); n->net = net_ns_get(ns); return;
	case CLONE_NEWPID: pid_ns_put(n->pid_for_children); n->pid_for_children = pid_ns_get(ns); return;
	case CLONE_NEWCGROUP: cgroup_ns_put(n->cgroup); n->cgroup = cgroup_ns_get(ns); return;
	case CLONE_NEWTIME:
		time_ns_put(n->time_for_children);
		n->time_for_children = time_ns_get(ns);
		nsproxy_join_time(n);
		return;
	}
}

static int enter(struct task *t, int type, void *ns, struct user_ns *owner)
{
	struct nsproxy *n;
	int err;

	if (type == CLONE_NEWUSER)
		return enter_user(t, ns);
	if (!cred_ns_capable(t->cred, owner, CAP_SYS_ADMIN) ||
	    !cred_ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (type == CLONE_NEWPID) {
		struct pid_ns *p = ns;
		while (p && p != task_pid_ns(t))
			p = p->parent;
		if (!p)
			return -EINVAL;
	}
	if (type == CLONE_NEWTIME && t->proc->nr_threads > 1)
		return -EUSERS;
	err = nsproxy_copy(t, 0, t->cred->user_ns, t->fs, &n);
	if (!err && type == CLONE_NEWNS) {
		err = enter_mnt(t, ns);
		if (err)
			nsproxy_put(n);
	}
	if (err)
		return err;
	swap_ns(n, type, ns);
	task_set_ns(t, n);
	return 0;
}

/* By pidfd: every namespace of `flags` that the process has. */
static int enter_process(struct task *t, struct task *target, uint64_t flags)
{
	static const int order[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID,
				    CLONE_NEWCGROUP, CLONE_NEWNET, CLONE_NEWTIME};
	int err = task_may_ptrace(t, target, 17);

	for (unsigned i = 0; i < array_size(order) && !err; i++) {
		if (!(flags & (uint64_t)order[i]))
			continue;
		struct nsref r = {.type = order[i], .ns = ns_take(target, order[i], false)};
		if (!r.ns)
			return -ESRCH;
		err = enter(t, r.type, r.ns, ns_owner(&r));
		ns_drop(r.type, r.ns);
	}
	return err;
}

static int enter_by_pidfd(struct task *t, struct file *f, uint64_t flags)
{
	const uint64_t all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID |
			     CLONE_NEWCGROUP | CLONE_NEWNET | CLONE_NEWTIME;
	struct pid *pid = pidfd_pid(f);
	struct task *target;

	if (!pid)
		return -EINVAL;
	mutex_lock(&tasks_lock);
	target = pid_task(pid, PIDTYPE_TGID);
	if (target)
		task_get(target);
	mutex_unlock(&tasks_lock);
	if (!target)
		return -ESRCH;
	int err = !flags || (flags & ~all) ? -EINVAL : enter_process(t, target, flags);
	task_put(target);
	return err;
}

int task_setns(struct task *t, struct file *f, uint64_t flags)
{
	if (f->fops != FOPS_nsfs)
		return enter_by_pidfd(t, f, flags);
	struct nsref *r = to_nsref(f->inode);
	if (flags && flags != (uint64_t)r->type)
		return -EINVAL;
	return enter(t, r->type, r->ns, ns_owner(r));
}
