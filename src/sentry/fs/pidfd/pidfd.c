/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2): a file that holds a struct pid; readable when the process is a zombie or gone. */
#include "sentry/fs/pidfd/pidfd.h"
#include <errno.h>
#include <fcntl.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
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

static void pidfd_release(struct file *f)
{
	pid_put(f->priv);
}

const struct file_ops pidfd_file_ops = {
	.release = pidfd_release,
	.poll = pidfd_poll,
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
