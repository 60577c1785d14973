/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX message queues. A queue is an object with an inode of its own (for the mode and owner);
 * each mq_open makes a file on it. The names of a namespace are one list under names_lock, what is
 * in a queue is under its own lock; senders and receivers sleep on its wait queue and look again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/net.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ns.h"
#include "sentry/time/time.h"
#include "sentry/vfs/poll.h"

#define MQ_PRIO_MAX 32768u
#define MQ_MAXMSG 10
#define MQ_MSGSIZE 8192
#define MQ_HARD_MSGS 65536
#define MQ_HARD_SIZE (16 << 20)
#define MQ_QUEUES 256u
#define MQ_COOKIE 32u	/* what SIGEV_THREAD sends: the last byte says why */
enum { MQ_WOKENUP = 1, MQ_REMOVED = 2 };

struct mq_msg {
	struct list link;
	uint32_t prio;
	uint64_t len;
	char data[];
};

struct mqueue {
	refcount_t ref;			/* the name, and open files */
	struct list link;		/* names_lock: in ipc_ns->mq; empty when unlinked */
	struct inode *inode;		/* owned */
	struct mutex lock;		/* RANK_OBJECT */
	struct waitq wq;
	struct list msgs;		/* l: by priority, oldest first */
	int64_t maxmsg, msgsize, cur;
	uint32_t receivers;		/* l: asleep in receive */
	struct task *notify;		/* l: owned; who registered */
	struct file *notify_file;	/* l: borrowed: through which it did */
	int32_t notify_how, notify_sig;
	uint64_t notify_value;
	struct file *notify_sock;	/* l: owned; SIGEV_THREAD: the netlink socket that is told */
	uint8_t notify_cookie[MQ_COOKIE];
	char name[256];
};

struct mq_names {
	struct list list;
	uint32_t n;
};

/* Who is to be told, taken off the queue under its lock and served without it. */
struct mq_told {
	struct task *task;		/* owned; NULL: nobody */
	struct file *sock;
	int sig;
	struct l_siginfo info;
	uint8_t cookie[MQ_COOKIE];
};

struct l_mq_attr {
	int64_t flags, maxmsg, msgsize, curmsgs, pad[4];
};

struct l_mq_sigevent {
	uint64_t value;
	int32_t signo, notify, pad[12];
};

static KCACHE(mq_cache, struct mqueue, 0);
static KCACHE(names_cache, struct mq_names, 0);
static struct mutex names_lock = MUTEX_INIT(RANK_FILES);

static void mq_put(struct mqueue *q)
{
	struct mq_msg *m;

	if (!q || !ref_put(&q->ref))
		return;
	while ((m = list_first(&q->msgs, struct mq_msg, link)) != NULL) {
		list_del(&m->link);
		kfree(m);
	}
	wq_destroy(&q->wq);
	if (q->notify)
		task_put(q->notify);
	file_put(q->notify_sock);
	inode_put(q->inode);
	kc_free(&mq_cache, q);
}

/* --- the file ---------------------------------------------------------------------------------- */

static void take_notify_locked(struct mqueue *q, struct mq_told *told, uint8_t why)
{
	told->task = steal(q->notify);
	told->sock = steal(q->notify_sock);
	memcpy(told->cookie, q->notify_cookie, MQ_COOKIE);
	told->cookie[MQ_COOKIE - 1] = why;
}

static void tell(struct mq_told *told)
{
	if (!told->task)
		return;
	if (told->sig)
		(void)signal_send_process(told->task->proc, told->sig, &told->info);
	if (told->sock)
		netlink_tell(told->sock, told->cookie, MQ_COOKIE);
	file_put(told->sock);
	task_put(told->task);
}

/* Ends a registration made through f (any file when NULL) by a task of process p. */
static void drop_notify(struct mqueue *q, struct file *f, struct process *p)
{
	struct mq_told told = {0};

	mutex_lock(&q->lock);
	if (q->notify && q->notify->proc == p && (!f || q->notify_file == f))
		take_notify_locked(q, &told, MQ_REMOVED);
	mutex_unlock(&q->lock);
	tell(&told);
}

static void mqueue_flush(struct file *f, struct task *t)
{
	drop_notify(f->priv, f, t->proc);
}

static void mqueue_release(struct file *f)
{
	mq_put(steal(f->priv));
}

static uint32_t mqueue_poll(struct file *f, struct poll_table *pt)
{
	struct mqueue *q = f->priv;
	uint32_t r = 0;

	poll_wait(pt, f, &q->wq);
	mutex_lock(&q->lock);
	if (q->cur)
		r |= EPOLLIN | EPOLLRDNORM;
	if (q->cur < q->maxmsg)
		r |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&q->lock);
	return r;
}

static int64_t mqueue_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct mqueue *q = f->priv;
	uint64_t bytes = 0;
	struct mq_msg *m;
	int32_t pid;
	char text[96];
	int64_t n, r;

	mutex_lock(&q->lock);
	list_for_each(m, &q->msgs, link)
		bytes += m->len;
	pid = q->notify && current ? task_tgid_nr(q->notify, task_pid_ns(current)) : 0;
	fmt_n(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", bytes,
	      q->notify ? q->notify_how : 0, q->notify ? q->notify_sig : 0, pid);
	mutex_unlock(&q->lock);
	n = (int64_t)strlen(text);
	if (*pos >= n)
		return 0;
	r = uio_put(u, text + *pos, (size_t)(n - *pos));
	if (r > 0)
		*pos += r;
	return r;
}

extern const struct file_ops mqueue_file_ops;
const struct file_ops mqueue_file_ops = {
	.flush = mqueue_flush,
	.release = mqueue_release,
	.poll = mqueue_poll,
	.read = mqueue_read,
};

/* --- names -------------------------------------------------------------------------------------- */

static struct mqueue *find_locked(struct mq_names *ns, const char *name)
{
	struct mqueue *q;

	if (ns)
		list_for_each(q, &ns->list, link)
			if (!strcmp(q->name, name))
				return q;
	return NULL;
}

static int name_in(struct task *t, uint64_t ua, char *name)
{
	int64_t n = copy_in_str(t, name, UADDR(ua), 256);

	if (n < 0)
		return (int)n;
	if (!n)
		return -ENOENT;
	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EACCES;
	return 0;
}

static int new_queue(struct task *t, const char *name, uint32_t mode, const struct l_mq_attr *attr,
		     struct mqueue **out)
{
	bool big = task_capable(t, CAP_SYS_RESOURCE);
	int64_t maxmsg = attr ? attr->maxmsg : MQ_MAXMSG, msgsize = attr ? attr->msgsize : MQ_MSGSIZE;
	struct mqueue *q;
	int r;

	if (maxmsg <= 0 || msgsize <= 0 || maxmsg > (big ? MQ_HARD_MSGS : MQ_MAXMSG) ||
	    msgsize > (big ? MQ_HARD_SIZE : MQ_MSGSIZE))
		return -EINVAL;
	if ((uint64_t)maxmsg * (uint64_t)(msgsize + 64) > task_rlimit(t, 12 /* RLIMIT_MSGQUEUE */))
		return -EMFILE;
	q = kc_alloc(&mq_cache);
	if (!q)
		return -ENOMEM;
	r = inode_anon(S_IFREG | (mode & 0777 & ~t->fs->umask), t->cred, &q->inode);
	if (r) {
		kc_free(&mq_cache, q);
		return r;
	}
	q->inode->size = 80;
	ref_init(&q->ref, 1);
	list_init(&q->link);
	list_init(&q->msgs);
	mutex_init(&q->lock, RANK_OBJECT);
	wq_init(&q->wq);
	q->maxmsg = maxmsg;
	q->msgsize = msgsize;
	fmt_n(q->name, sizeof(q->name), "%s", name);
	*out = q;
	return 0;
}

/* The named queue with a reference: found, or `fresh` (consumed) entered. */
static int enter(struct task *t, const char *name, int oflag, struct mqueue **fresh, struct mqueue **out)
{
	struct ipc_ns *ins = t->ns->ipc;
	struct mq_names *names;
	struct mqueue *q;
	int r = 0;

	mutex_lock(&names_lock);
	names = ins->mq;
	q = find_locked(names, name);
	if (q && (oflag & O_CREAT) && (oflag & O_EXCL))
		r = -EEXIST;
	else if (!q && !(oflag & O_CREAT))
		r = -ENOENT;
	else if (!q && !*fresh)
		r = -EAGAIN;		/* make one and come back */
	if (!r && !q) {
		if (!names && (names = kc_alloc(&names_cache)) != NULL) {
			list_init(&names->list);
			ins->mq = names;
		}
		if (!names)
			r = -ENOMEM;
		else if (names->n >= MQ_QUEUES && !task_capable(t, CAP_SYS_RESOURCE))
			r = -ENOSPC;
		if (!r) {
			q = steal(*fresh);
			list_add_tail(&names->list, &q->link);
			names->n++;
		}
	}
	if (!r) {
		ref_get(&q->ref);
		*out = q;
	}
	mutex_unlock(&names_lock);
	return r;
}

static int open_file(struct task *t, struct mqueue *q, int oflag, struct file **out)
{
	unsigned mode = (oflag & O_ACCMODE) == O_WRONLY ? 0 : FMODE_READ;
	int r;

	if ((oflag & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((oflag & O_ACCMODE) != O_RDONLY)
		mode |= FMODE_WRITE;
	r = inode_permission(q->inode, (mode & FMODE_READ ? R_OK : 0) | (mode & FMODE_WRITE ? W_OK : 0),
			     t->cred);
	if (r)
		return r;
	r = file_anon(q->name, inode_get(q->inode), FOPS_mqueue, mode,
		      (unsigned)(oflag & (O_ACCMODE | O_NONBLOCK)), t->cred, out);
	if (!r)
		(*out)->priv = q;
	return r;
}

int64_t sys_mq_open(struct task *t, const struct sysargs *a)
{
	struct mqueue *fresh = NULL, *q = NULL;
	int oflag = ARG_INT(1), r;
	struct l_mq_attr attr;
	struct file *f;
	char name[256];

	r = name_in(t, a->a[0], name);
	if (r)
		return r;
	if (a->a[3] && get_user(t, attr, ARG_UADDR(3)))
		return -EFAULT;
	r = enter(t, name, oflag, &fresh, &q);
	if (r == -EAGAIN) {
		r = new_queue(t, name, ARG_U32(2), a->a[3] ? &attr : NULL, &fresh);
		if (!r)
			r = enter(t, name, oflag, &fresh, &q);
	}
	mq_put(fresh);
	if (r)
		return r;
	r = open_file(t, q, oflag, &f);
	if (r) {
		mq_put(q);
		return r;
	}
	return fd_add(t, f, true);
}

int64_t sys_mq_unlink(struct task *t, const struct sysargs *a)
{
	struct mqueue *q;
	char name[256];
	int r = name_in(t, a->a[0], name);

	if (r)
		return r;
	mutex_lock(&names_lock);
	q = find_locked(t->ns->ipc->mq, name);
	if (!q)
		r = -ENOENT;
	else if (q->inode->uid != t->cred->fsuid && !task_capable(t, CAP_FOWNER))
		r = -EPERM;
	if (!r) {
		list_del(&q->link);
		((struct mq_names *)t->ns->ipc->mq)->n--;
	}
	mutex_unlock(&names_lock);
	if (!r)
		mq_put(q);
	return r;
}

/* --- sending and receiving -------------------------------------------------------------------------- */

static int queue_fd(struct task *t, int fd, unsigned mode, struct file **out)
{
	struct file *f = fd_get(t, fd);

	if (!f)
		return -EBADF;
	if (f->fops != FOPS_mqueue || (mode && !(f->mode & mode))) {
		file_put(f);
		return -EBADF;
	}
	*out = f;
	return 0;
}

static int deadline_in(struct task *t, uint64_t ua, uint64_t *deadline)
{
	struct l_timespec ts;
	uint64_t ns;
	int r;

	*deadline = WAIT_FOREVER;
	if (!ua)
		return 0;
	if (get_user(t, ts, UADDR(ua)))
		return -EFAULT;
	r = ts_to_ns(&ts, &ns);
	if (!r)
		*deadline = clock_deadline(CLOCK_REALTIME, ns);
	return r;
}

static void insert_locked(struct mqueue *q, struct mq_msg *m)
{
	struct mq_msg *o;

	list_for_each(o, &q->msgs, link) {
		if (o->prio < m->prio) {
			list_add_tail(&o->link, &m->link);	/* before it */
			q->cur++;
			return;
		}
	}
	list_add_tail(&q->msgs, &m->link);
	q->cur++;
}

/* A message came to an empty queue with nobody waiting: the registered process is told, once. */
static void notified_locked(struct mqueue *q, struct task *from, struct mq_told *told)
{
	struct task *t = q->notify;

	if (!t || q->cur != 1 || q->receivers)
		return;
	told->sig = q->notify_how == SIGEV_SIGNAL ? q->notify_sig : 0;
	told->info = (struct l_siginfo){.signo = told->sig, .code = SI_MESGQ};
	told->info.rt.pid = task_tgid_nr(from, task_pid_ns(t));
	told->info.rt.uid = from->cred->uid;
	told->info.rt.value = q->notify_value;
	take_notify_locked(q, told, MQ_WOKENUP);
}

/* Waits with q->lock held around until *full says otherwise: 0, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS. */
static int wait_locked(struct task *t, struct mqueue *q, struct file *f, bool sending, uint64_t deadline)
{
	struct waiter w;
	int r = 0;

	wait_begin(&w, &q->wq, t);
	while (sending ? q->cur >= q->maxmsg : !q->cur) {
		if (f->flags & O_NONBLOCK)
			r = -EAGAIN;
		if (r)
			break;
		q->receivers += !sending;
		mutex_unlock(&q->lock);
		r = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
		mutex_lock(&q->lock);
		q->receivers -= !sending;
	}
	wait_end(&w);
	return (sending ? q->cur < q->maxmsg : q->cur > 0) ? 0 : r;
}

int64_t sys_mq_timedsend(struct task *t, const struct sysargs *a)
{
	uint64_t deadline, len = a->a[2];
	struct mq_told told = {0};
	struct mq_msg *m = NULL;
	struct mqueue *q;
	struct file *f;
	int r;

	if (ARG_U32(3) >= MQ_PRIO_MAX)
		return -EINVAL;
	r = deadline_in(t, a->a[4], &deadline);
	if (!r)
		r = queue_fd(t, ARG_INT(0), FMODE_WRITE, &f);
	if (r)
		return r;
	q = f->priv;
	r = len > (uint64_t)q->msgsize ? -EMSGSIZE : 0;
	if (!r && !(m = kmalloc(sizeof(*m) + len)))
		r = -ENOMEM;
	if (!r)
		r = copy_in(t, m->data, ARG_UADDR(1), len);
	if (!r) {
		m->len = len;
		m->prio = ARG_U32(3);
		list_init(&m->link);
		mutex_lock(&q->lock);
		r = wait_locked(t, q, f, true, deadline);
		if (!r) {
			insert_locked(q, steal(m));
			notified_locked(q, t, &told);
			wq_wake(&q->wq, ~0u, 0);
		}
		mutex_unlock(&q->lock);
	}
	tell(&told);
	kfree(m);
	file_put(f);
	return r;
}

int64_t sys_mq_timedreceive(struct task *t, const struct sysargs *a)
{
	uint64_t deadline, len = a->a[2];
	struct mq_msg *m = NULL;
	struct mqueue *q;
	struct file *f;
	int64_t r = deadline_in(t, a->a[4], &deadline);

	if (!r)
		r = queue_fd(t, ARG_INT(0), FMODE_READ, &f);
	if (r)
		return r;
	q = f->priv;
	if (len < (uint64_t)q->msgsize)
		r = -EMSGSIZE;
	else if (access_check(t, ARG_UADDR(1), (uint64_t)q->msgsize, true))	/* I9 */
		r = -EFAULT;
	if (!r) {
		mutex_lock(&q->lock);
		r = wait_locked(t, q, f, false, deadline);
		if (!r) {
			m = list_first(&q->msgs, struct mq_msg, link);
			list_del(&m->link);
			q->cur--;
			wq_wake(&q->wq, ~0u, 0);
		}
		mutex_unlock(&q->lock);
	}
	if (!r && (copy_out(t, ARG_UADDR(1), m->data, m->len) ||
		   (a->a[3] && put_user(t, ARG_UADDR(3), m->prio))))
		r = -EFAULT;
	if (!r)
		r = (int64_t)m->len;
	kfree(m);
	file_put(f);
	return r;
}

/* SIGEV_THREAD is libc's: it waits at a netlink socket for the cookie it gave. */
static int sigevent_in(struct task *t, uint64_t ua, struct l_mq_sigevent *ev, uint8_t *cookie, struct file **sock)
{
	if (get_user(t, *ev, UADDR(ua)))
		return -EFAULT;
	if (ev->notify != SIGEV_NONE && ev->notify != SIGEV_SIGNAL && ev->notify != SIGEV_THREAD)
		return -EINVAL;
	if (ev->notify == SIGEV_SIGNAL && (ev->signo < 0 || ev->signo > L_NSIG))
		return -EINVAL;
	if (ev->notify != SIGEV_THREAD)
		return 0;
	if (copy_in(t, cookie, UADDR(ev->value), MQ_COOKIE))
		return -EFAULT;
	*sock = fd_get(t, ev->signo);
	return !*sock ? -EBADF : netlink_may_tell(*sock);
}

int64_t sys_mq_notify(struct task *t, const struct sysargs *a)
{
	struct l_mq_sigevent ev = {.notify = 0};
	uint8_t cookie[MQ_COOKIE] = {0};
	struct file *f = NULL, *sock = NULL;
	struct mqueue *q;
	int r = a->a[1] ? sigevent_in(t, a->a[1], &ev, cookie, &sock) : 0;

	if (!r)
		r = queue_fd(t, ARG_INT(0), 0, &f);
	if (r) {
		file_put(sock);
		return r;
	}
	q = f->priv;
	if (!a->a[1]) {
		drop_notify(q, NULL, t->proc);
	} else {
		mutex_lock(&q->lock);
		if (q->notify) {
			r = -EBUSY;
		} else {
			q->notify = task_get(t);
			q->notify_file = f;
			q->notify_how = ev.notify;
			q->notify_sig = ev.signo;
			q->notify_value = ev.value;
			q->notify_sock = steal(sock);
			memcpy(q->notify_cookie, cookie, MQ_COOKIE);
		}
		mutex_unlock(&q->lock);
	}
	file_put(sock);
	file_put(f);
	return r;
}

int64_t sys_mq_getsetattr(struct task *t, const struct sysargs *a)
{
	struct l_mq_attr n, o;
	struct mqueue *q;
	struct file *f;
	int r;

	if (a->a[1]) {
		if (get_user(t, n, ARG_UADDR(1)))
			return -EFAULT;
		if (n.flags & ~(int64_t)O_NONBLOCK)
			return -EINVAL;
	}
	r = queue_fd(t, ARG_INT(0), 0, &f);
	if (r)
		return r;
	q = f->priv;
	mutex_lock(&q->lock);
	o = (struct l_mq_attr){.flags = f->flags & O_NONBLOCK, .maxmsg = q->maxmsg, .msgsize = q->msgsize,
			       .curmsgs = q->cur};
	if (a->a[1])
		f->flags = (f->flags & ~(uint32_t)O_NONBLOCK) | (uint32_t)n.flags;
	mutex_unlock(&q->lock);
	file_put(f);
	return a->a[2] ? put_user(t, ARG_UADDR(2), o) : 0;
}
