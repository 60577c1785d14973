/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signalfd(2). Reads and polls concern the signals of the task that makes the call, not of the one
 * that made the descriptor.
 */
#include "sentry/fs/signalfd/signalfd.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"

struct signalfd {
	l_sigset mask;		/* a */
};

struct l_signalfd_siginfo {
	uint32_t signo;
	int32_t err, code;
	uint32_t pid, uid;
	int32_t fd;
	uint32_t tid, band, overrun, trapno;
	int32_t status, int_;
	uint64_t ptr, utime, stime, addr;
	uint16_t addr_lsb, pad2;
	int32_t syscall;
	uint64_t call_addr;
	uint32_t arch;
	uint8_t pad[28];
};
static_assert(sizeof(struct l_signalfd_siginfo) == 128, "signalfd_siginfo");

static KCACHE(signalfd_cache, struct signalfd, 0);

/* The fields that this kind of signal has, as the kernel's signalfd_copyinfo. */
static void to_signalfd(const struct l_siginfo *si, struct l_signalfd_siginfo *o)
{
	*o = (struct l_signalfd_siginfo){
		.signo = (uint32_t)si->signo, .err = si->err, .code = si->code};
	if (si->code == SI_TIMER) {
		o->tid = (uint32_t)si->timer.tid, o->overrun = (uint32_t)si->timer.overrun;
		o->ptr = si->timer.value, o->int_ = (int32_t)si->timer.value;
		return;
	}
	if (si->code <= 0 || si->code == SI_KERNEL) {	/* user, queue, mesgq, tkill, asyncio */
		o->pid = (uint32_t)si->rt.pid, o->uid = si->rt.uid;
		if (si->code != SI_USER && si->code != SI_TKILL && si->code != SI_KERNEL)
			o->ptr = si->rt.value, o->int_ = (int32_t)si->rt.value;
		return;
	}
	switch (si->signo) {
	case SIGCHLD:
		o->pid = (uint32_t)si->chld.pid, o->uid = si->chld.uid;
		o->status = si->chld.status;
		o->utime = (uint64_t)si->chld.utime, o->stime = (uint64_t)si->chld.stime;
		break;
	case SIGPOLL:
		o->band = (uint32_t)si->poll.band, o->fd = si->poll.fd;
		break;
	case SIGSYS:
		o->call_addr = si->sys.call_addr;
		o->syscall = si->sys.syscall, o->arch = si->sys.arch;
		break;
	default:
		o->addr = si->fault.addr, o->addr_lsb = (uint16_t)si->fault.lsb;
	}
}

static int64_t signalfd_read_op(struct file *f, struct uio *u, int64_t *pos)
{
	struct signalfd *s = f->priv;
	struct task *t = current;
	struct l_signalfd_siginfo o;
	struct l_siginfo si;
	int64_t done = 0, n;
	int r;

	if (u->left < sizeof(o) || !t)
		return -EINVAL;
	while (u->left >= sizeof(o)) {
		l_sigset mask = READ_ONCE(s->mask);

		r = uio_check(u, sizeof(o), true);
		if (r)
			return done ? done : r;
		if (!signal_take(t, mask, &si)) {
			if (done || (f->flags & O_NONBLOCK))
				return done ? done : -EAGAIN;
			r = wait_event(t, &t->proc->sighand->signalfd_wq, WAIT_FOREVER,
				       signal_take(t, mask, &si));
			if (r)
				return r;
		}
		to_signalfd(&si, &o);
		n = uio_put(u, &o, sizeof(o));
		if (n != sizeof(o))
			return done ? done : -EFAULT;
		done += n;
	}
	return done;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
	struct signalfd *s = f->priv;

	if (!current)
		return 0;
	poll_wait(pt, f, &current->proc->sighand->signalfd_wq);
	return signal_pending_set(current) & READ_ONCE(s->mask) ? EPOLLIN : 0;
}

static void signalfd_show_fdinfo(struct file *f, struct buf *b)
{
	struct signalfd *s = f->priv;

	buf_fmt(b, "sigmask:\t%016llx\n", (unsigned long long)READ_ONCE(s->mask));
}

static void signalfd_release(struct file *f)
{
	kc_free(&signalfd_cache, f->priv);
}

const struct file_ops signalfd_file_ops = {
	.release = signalfd_release,
	.read = signalfd_read_op,
	.poll = signalfd_poll,
	.show_fdinfo = signalfd_show_fdinfo,
};

static l_sigset allowed(l_sigset mask)
{
	return mask & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP));
}

int signalfd_set_mask(struct file *f, l_sigset mask)
{
	struct signalfd *s = f->priv;

	if (f->fops != FOPS_signalfd)
		return -EINVAL;
	WRITE_ONCE(s->mask, allowed(mask));
	wq_wake_all(&current->proc->sighand->signalfd_wq);
	return 0;
}

int signalfd_new(l_sigset mask, unsigned flags, struct file **out)
{
	struct signalfd *s = kc_alloc(&signalfd_cache);
	struct inode *i;
	int r;

	if (!s)
		return -ENOMEM;
	s->mask = allowed(mask);
	r = inode_anon(0600, current->cred, &i);
	if (r == 0)
		r = file_anon("anon_inode:[signalfd]", i, FOPS_signalfd,
			      FMODE_READ | FMODE_WRITE | FMODE_STREAM, O_RDWR | (flags & O_NONBLOCK),
			      current->cred, out);
	if (r) {
		kc_free(&signalfd_cache, s);
		return r;
	}
	(*out)->priv = s;
	return 0;
}
