/* SPDX-License-Identifier: Apache-2.0 */
/* SECCOMP_RET_USER_NOTIF: calls that another guest process decides (seccomp_unotify(2)). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_i.h"
#include "sentry/vfs/poll.h"

enum req_state { REQ_INIT, REQ_SENT, REQ_REPLIED };

struct notif_req {
	struct list link;		/* listener->reqs */
	struct task *task;		/* borrowed: it waits for the answer */
	uint64_t id;
	enum req_state state;
	struct seccomp_data data;
	int64_t val;
	int32_t error;
	uint32_t flags;
};

struct seccomp_listener {
	refcount_t ref;			/* the filter and the file */
	struct mutex lock;		/* RANK_OBJECT */
	struct list reqs;		/* in order of arrival */
	uint64_t next_id;
	bool killable;			/* I: who is being answered waits for fatal signals only */
	bool closed;			/* no supervisor any more: ENOSYS */
	bool orphaned;			/* no filter any more: EPOLLHUP */
	struct waitq wq;		/* supervisors: a request is there */
	struct waitq done_wq;		/* waiting tasks: an answer is there */
};

static struct notif_req *find(struct seccomp_listener *l, uint64_t id)
{
	struct notif_req *r;

	list_for_each(r, &l->reqs, link)
		if (r->id == id)
			return r;
	return NULL;
}

static void unref(struct seccomp_listener *l)
{
	if (!ref_put(&l->ref))
		return;
	wq_destroy(&l->wq);
	wq_destroy(&l->done_wq);
	kfree(l);
}

/* The filter goes. */
void seccomp_listener_put(struct seccomp_listener *l)
{
	mutex_lock(&l->lock);
	l->orphaned = true;
	mutex_unlock(&l->lock);
	wq_wake_all(&l->wq);
	unref(l);
}

int seccomp_notify(struct task *t, struct seccomp_listener *l, const struct seccomp_data *d, int64_t *ret)
{
	struct notif_req *r = kmalloc(sizeof(*r));
	struct waiter w;
	int go_on = 0, err = 0;

	*ret = -ENOSYS;
	if (!r)
		return 1;
	r->task = t;
	r->data = *d;
	mutex_lock(&l->lock);
	if (l->closed) {
		mutex_unlock(&l->lock);
		kfree(r);
		return 1;
	}
	r->id = ++l->next_id;
	list_add_tail(&l->reqs, &r->link);
	mutex_unlock(&l->lock);
	wq_wake(&l->wq, EPOLLIN | EPOLLRDNORM, 0);
	wait_begin(&w, &l->done_wq, t);
	for (;;) {
		mutex_lock(&l->lock);
		bool over = r->state == REQ_REPLIED || l->closed, fatal = l->killable && r->state == REQ_SENT;
		mutex_unlock(&l->lock);
		if (over || err)
			break;
		err = wait_sleep(t, fatal ? WAIT_KILLABLE : WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	}
	wait_end(&w);
	mutex_lock(&l->lock);
	list_del(&r->link);
	if (r->state == REQ_REPLIED) {
		go_on = r->flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		*ret = r->error ? r->error : r->val;
	} else if (err) {
		*ret = err;
	}
	mutex_unlock(&l->lock);
	kfree(r);
	return go_on ? 0 : 1;
}

/* --- the listener file -------------------------------------------------------------------------- */

static int64_t notif_recv(struct seccomp_listener *l, struct file *f, struct task *t, uint64_t arg)
{
	struct seccomp_notif n = {0};
	struct seccomp_notif probe;
	struct notif_req *r;
	struct waiter w;
	int err = copy_in(t, &probe, UADDR(arg), sizeof(probe));

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(probe); i++)
		if (((const uint8_t *)&probe)[i])
			return -EINVAL;
	(void)f;
	wait_begin(&w, &l->wq, t);
	for (;;) {
		bool found = false;
		mutex_lock(&l->lock);
		list_for_each(r, &l->reqs, link)
			if (r->state == REQ_INIT) {
				r->state = REQ_SENT;
				n.id = r->id;
				n.pid = (uint32_t)task_pid_nr(r->task, task_pid_ns(t));
				n.data = r->data;
				found = true;
				break;
			}
		bool orphaned = l->orphaned;
		mutex_unlock(&l->lock);
		if (found || err)
			break;
		err = orphaned ? -ENOENT : wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	}
	wait_end(&w);
	if (!n.id)
		return err;
	err = copy_out(t, UADDR(arg), &n, sizeof(n));
	if (err) {
		mutex_lock(&l->lock);
		r = find(l, n.id);
		if (r && r->state == REQ_SENT)
			r->state = REQ_INIT;
		mutex_unlock(&l->lock);
		wq_wake(&l->wq, EPOLLIN, 0);
	}
	return err;
}

static int64_t notif_send(struct seccomp_listener *l, struct task *t, uint64_t arg)
{
	struct seccomp_notif_resp resp;
	struct notif_req *r;
	int err = copy_in(t, &resp, UADDR(arg), sizeof(resp));

	if (err)
		return err;
	if (resp.flags & ~(uint32_t)SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		return -EINVAL;
	if ((resp.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE) && (resp.error || resp.val))
		return -EINVAL;
	mutex_lock(&l->lock);
	r = find(l, resp.id);
	if (!r)
		err = -ENOENT;
	else if (r->state != REQ_SENT)
		err = -EINPROGRESS;
	else {
		r->state = REQ_REPLIED;
		r->val = resp.val;
		r->error = resp.error > 0 ? -resp.error : resp.error;
		r->flags = resp.flags;
	}
	mutex_unlock(&l->lock);
	wq_wake_all(&l->done_wq);
	return err;
}

static int64_t notif_id_valid(struct seccomp_listener *l, struct task *t, uint64_t arg)
{
	uint64_t id;
	int err = get_user(t, id, UADDR(arg));

	if (err)
		return err;
	mutex_lock(&l->lock);
	struct notif_req *r = find(l, id);
	err = r && r->state == REQ_SENT ? 0 : -ENOENT;
	mutex_unlock(&l->lock);
	return err;
}

/* ADDFD: the supervisor's descriptor becomes one of the waiting task. */
static int64_t notif_addfd(struct seccomp_listener *l, struct task *t, uint64_t arg)
{
	struct seccomp_notif_addfd a;
	struct notif_req *r;
	struct task *target = NULL;
	int err = copy_in(t, &a, UADDR(arg), sizeof(a));

	if (err)
		return err;
	if ((a.flags & ~3u) || (a.newfd_flags & ~(uint32_t)O_CLOEXEC) ||
	    (a.newfd && !(a.flags & SECCOMP_ADDFD_FLAG_SETFD)))
		return -EINVAL;
	struct file *f = fd_get_any(t, (int)a.srcfd);
	if (!f)
		return -EBADF;
	mutex_lock(&l->lock);
	r = find(l, a.id);
	if (r && r->state == REQ_SENT)
		target = task_get(r->task);
	mutex_unlock(&l->lock);
	int64_t fd = -ENOENT;
	bool cloexec = a.newfd_flags & O_CLOEXEC;
	if (target)
		fd = fd_add_to(target, f, a.flags & SECCOMP_ADDFD_FLAG_SETFD ? (int)a.newfd : -1, cloexec);
	file_put(f);
	if (fd >= 0 && (a.flags & SECCOMP_ADDFD_FLAG_SEND)) {
		mutex_lock(&l->lock);
		r = find(l, a.id);
		if (r && r->state == REQ_SENT) {
			r->state = REQ_REPLIED;
			r->val = fd;
		}
		mutex_unlock(&l->lock);
		wq_wake_all(&l->done_wq);
	}
	if (target)
		task_put(target);
	return fd;
}

static int64_t listener_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct seccomp_listener *l = f->priv;

	switch (cmd) {
	case (uint32_t)SECCOMP_IOCTL_NOTIF_RECV:
		return notif_recv(l, f, t, arg);
	case (uint32_t)SECCOMP_IOCTL_NOTIF_SEND:
		return notif_send(l, t, arg);
	case (uint32_t)SECCOMP_IOCTL_NOTIF_ID_VALID:
	case (uint32_t)_IOR('!', 2, uint64_t):		/* the number it had first */
		return notif_id_valid(l, t, arg);
	case (uint32_t)SECCOMP_IOCTL_NOTIF_ADDFD:
		return notif_addfd(l, t, arg);
	}
	return -EINVAL;
}

static uint32_t listener_poll(struct file *f, struct poll_table *pt)
{
	struct seccomp_listener *l = f->priv;
	struct notif_req *r;
	uint32_t ev = 0;

	poll_wait(pt, f, &l->wq);
	mutex_lock(&l->lock);
	list_for_each(r, &l->reqs, link)
		ev |= r->state == REQ_INIT ? EPOLLIN | EPOLLRDNORM : r->state == REQ_SENT ? EPOLLOUT | EPOLLWRNORM : 0u;
	if (l->orphaned)
		ev |= EPOLLHUP;
	mutex_unlock(&l->lock);
	return ev;
}

static void listener_release(struct file *f)
{
	struct seccomp_listener *l = steal(f->priv);

	mutex_lock(&l->lock);
	l->closed = true;
	mutex_unlock(&l->lock);
	wq_wake_all(&l->done_wq);
	unref(l);
}

extern const struct file_ops seccomp_file_ops;
const struct file_ops seccomp_file_ops = {
	.ioctl = listener_ioctl,
	.poll = listener_poll,
	.release = listener_release,
};

int seccomp_listener_create(struct task *t, bool killable, struct seccomp_listener **out, int *fd,
			    struct file **file)
{
	struct seccomp_listener *l = kmalloc(sizeof(*l));
	struct inode *i;

	if (!l)
		return -ENOMEM;
	ref_init(&l->ref, 1);
	l->killable = killable;
	mutex_init(&l->lock, RANK_OBJECT);
	list_init(&l->reqs);
	wq_init(&l->wq);
	wq_init(&l->done_wq);
	int err = inode_anon(S_IRUSR | S_IWUSR, t->cred, &i);
	if (!err)
		err = file_anon("anon_inode:seccomp notify", i, FOPS_seccomp, FMODE_READ | FMODE_WRITE, O_RDWR,
				t->cred, file);
	if (err) {
		kfree(l);
		return err;
	}
	(*file)->priv = l;
	ref_get(&l->ref);
	*fd = fd_reserve(t, 0, true);
	if (*fd < 0) {
		err = *fd;
		file_put(steal(*file));
		unref(l);
		return err;
	}
	*out = l;
	return 0;
}
