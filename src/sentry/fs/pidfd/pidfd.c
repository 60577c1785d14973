/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2): a file that holds a struct pid; readable when the process is a zombie or gone. */
#include "sentry/fs/pidfd/pidfd.h"
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"

#define PIDFD_THREAD_FLAG O_EXCL

struct pid *pidfd_pid(struct file *f)
{
	return f->fops == FOPS_pidfd ? f->priv : NULL;
}

bool pidfd_is_thread(const struct file *f)
{
	return f->flags & PIDFD_THREAD_FLAG;
}

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
	struct pid *pid = f->priv;
	uint32_t mask = 0;
	struct task *t;

	poll_wait(pt, f, &pid->wq);
	mutex_lock(&tasks_lock);
	t = pid_task(pid, pidfd_is_thread(f) ? PIDTYPE_PID : PIDTYPE_TGID);
	if (!t)
		mask = EPOLLIN | EPOLLRDNORM | EPOLLHUP;
	else if (pidfd_is_thread(f) ? READ_ONCE(t->state) >= TASK_ZOMBIE : t->proc->zombie)
		mask = EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&tasks_lock);
	return mask;
}

static void pidfd_show_fdinfo(struct file *f, struct buf *b)
{
	struct pid *pid = f->priv;
	struct pid_ns *ns = current ? task_pid_ns(current) : pid->numbers[0].ns;
	int32_t nr;

	mutex_lock(&tasks_lock);
	nr = pid_in_use(pid) ? pid_nr(pid, ns) : -1;
	mutex_unlock(&tasks_lock);
	buf_fmt(b, "Pid:\t%d\nNSpid:\t%d", nr, nr);
	for (uint32_t l = ns->level + 1; nr > 0 && l <= pid->level; l++)
		buf_fmt(b, "\t%d", pid->numbers[l].nr);
	buf_addc(b, '\n');
}

/* --- PIDFD_GET_INFO: struct pidfd_info of Linux 6.13, and later fields if there is room ----------- */

#define GET_INFO_NR 11u
enum { INFO_PID = 1, INFO_CREDS = 2, INFO_CGROUPID = 4, INFO_EXIT = 8 };

struct info {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid;
	uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
	uint64_t later;
};
static_assert(offsetof(struct info, later) == 64, "the first version's size");

static void fill_creds(struct info *o, const struct cred *c, const struct user_ns *ns)
{
	const struct id_map *u = &ns->uid_map, *g = &ns->gid_map;

	o->ruid = id_from_kernel_munged(u, c->uid), o->euid = id_from_kernel_munged(u, c->euid);
	o->suid = id_from_kernel_munged(u, c->suid), o->fsuid = id_from_kernel_munged(u, c->fsuid);
	o->rgid = id_from_kernel_munged(g, c->gid), o->egid = id_from_kernel_munged(g, c->egid);
	o->sgid = id_from_kernel_munged(g, c->sgid), o->fsgid = id_from_kernel_munged(g, c->fsgid);
	o->mask |= INFO_CREDS;
}

static int fill_info(struct task *t, struct pid *pid, struct info *o)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct task *k;

	mutex_lock(&tasks_lock);
	if (o->mask & INFO_EXIT && pid->has_exit) {
		o->exit_code = pid->exit_code;
		o->cgroupid = 1;
		o->mask = INFO_EXIT | INFO_CGROUPID;
	} else {
		o->mask = 0;
	}
	k = pid_task(pid, PIDTYPE_PID);
	if (k) {
		struct process *parent = k->proc->parent;

		fill_creds(o, k->cred, t->cred->user_ns);
		o->cgroupid = 1;
		o->pid = (uint32_t)task_pid_nr(k, ns);
		o->tgid = (uint32_t)task_tgid_nr(k, ns);
		o->ppid = parent ? (uint32_t)pid_nr(parent->tgid, ns) : 0;
		o->mask |= INFO_PID | INFO_CGROUPID;
	}
	mutex_unlock(&tasks_lock);
	return (k && o->pid) || (!k && o->mask) ? 0 : -ESRCH;
}

static int64_t pidfd_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	uint32_t size = _IOC_SIZE(cmd);
	struct info o = {.mask = 0};
	int r;

	if (_IOC_TYPE(cmd) != 0xff || _IOC_NR(cmd) != GET_INFO_NR || _IOC_DIR(cmd) != (_IOC_READ | _IOC_WRITE))
		return -ENOTTY;
	if (size < offsetof(struct info, later))
		return -ENOTTY;
	if (!arg)
		return -EINVAL;
	r = get_user(t, o.mask, UADDR(arg));
	if (!r)
		r = fill_info(t, f->priv, &o);
	return r ? r : copy_out(t, UADDR(arg), &o, min((size_t)size, sizeof(o)));
}

static void pidfd_release(struct file *f)
{
	pid_put(f->priv);
}

const struct file_ops pidfd_file_ops = {
	.release = pidfd_release,
	.poll = pidfd_poll,
	.ioctl = pidfd_ioctl,
	.show_fdinfo = pidfd_show_fdinfo,
};

int pidfd_create(struct pid *pid, unsigned flags, struct file **out)
{
	struct inode *i;
	int r = inode_anon(0600, current->cred, &i);

	if (r == 0)
		r = file_anon("anon_inode:[pidfd]", i, FOPS_pidfd, FMODE_READ | FMODE_WRITE | FMODE_STREAM,
			      O_RDWR | (flags & (O_NONBLOCK | PIDFD_THREAD_FLAG)), current->cred, out);
	if (r == 0)
		(*out)->priv = pid_get(pid);
	return r;
}
