/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal objects and the slave side's file operations. */
#include "sentry/tty/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>

#include "sentry/core/kheap.h"
#include "sentry/vfs/poll.h"

KCACHE(tty_cache, struct tty, 4096);

#define TTY_CHUNK 512u		/* bytes moved per lock hold */

int tty_create(struct tty **out)
{
	static const uint8_t cc[TTY_NCC] = {
		[VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1,
		[VSTART] = 17, [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15,
		[VWERASE] = 23, [VLNEXT] = 22,
	};
	struct tty *t = kc_alloc(&tty_cache);

	if (!t)
		return -ENOSPC;
	ref_init(&t->ref, 1);
	mutex_init(&t->lock, RANK_OBJECT);
	t->termios = (struct l_termios){
		.iflag = ICRNL | IXON, .oflag = OPOST | ONLCR, .cflag = B38400 | CS8 | CREAD,
		.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.ispeed = 38400, .ospeed = 38400,
	};
	memcpy(t->termios.cc, cc, sizeof(cc));
	wq_init(&t->read_wq);
	wq_init(&t->write_wq);
	wq_init(&t->m_read_wq);
	wq_init(&t->m_write_wq);
	*out = t;
	return 0;
}

struct tty *tty_get(struct tty *t)
{
	ref_get(&t->ref);
	return t;
}

void tty_put(struct tty *t)
{
	if (!ref_put(&t->ref))
		return;
	if (t->session)
		pid_put(t->session);
	if (t->pgrp)
		pid_put(t->pgrp);
	if (t->devpts)
		devpts_forget(t);
	wq_destroy(&t->read_wq);
	wq_destroy(&t->write_wq);
	wq_destroy(&t->m_read_wq);
	wq_destroy(&t->m_write_wq);
	kc_free(&tty_cache, t);
}

/* --- the slave side ----------------------------------------------------------------------------------- */

int tty_slave_attach(struct tty *t, struct file *f)
{
	mutex_lock(&t->lock);
	int err = t->locked || t->master_gone || t->hungup ? -EIO : t->exclusive ? -EBUSY : 0;
	if (!err) {
		t->slaves++;
		t->slave_opened = true;
	}
	mutex_unlock(&t->lock);
	if (err)
		return err;
	f->priv = tty_get(t);
	f->fops = FOPS_tty;
	f->mode |= FMODE_STREAM;
	if (current && !(f->flags & O_NOCTTY) && (f->mode & FMODE_READ))
		tty_open_ctty(t, current);
	return 0;
}

static void slave_release(struct file *f)
{
	struct tty *t = steal(f->priv);

	if (!t)
		return;
	mutex_lock(&t->lock);
	t->slaves--;
	mutex_unlock(&t->lock);
	wq_wake_all(&t->m_read_wq);
	tty_put(t);
}

static bool slave_dead(const struct tty *t)
{
	return t->hungup || t->master_gone;
}

/*
 * Waits for input by VMIN and VTIME (termios(3), non-canonical cases A-D). Returns with the lock
 * held: 1 something to take, 0 end of file or time over, else an error (lock dropped).
 */
static int slave_wait(struct tty *t, struct file *f, size_t got, size_t want)
{
	struct waiter w;
	uint64_t deadline = WAIT_FOREVER;
	int r;

	wait_begin(&w, &t->read_wq, current);
	for (;;) {
		mutex_lock(&t->lock);
		bool canon = t->termios.lflag & ICANON;
		unsigned vmin = t->termios.cc[VMIN], vtime = t->termios.cc[VTIME];
		size_t have = canon ? t->in_canon - t->in_tail : t->in_head - t->in_tail;
		size_t need = canon || !vmin ? 1 : min((size_t)vmin, want + got);
		if (have && (canon || vtime || have + got >= need || have >= want)) {
			r = 1;
			break;
		}
		if (slave_dead(t) || (!canon && !vmin && !vtime)) {
			r = 0;
			break;
		}
		if (!canon && vtime && deadline == WAIT_FOREVER && (!vmin || got))
			deadline = now_mono() + (uint64_t)vtime * 100000000;
		mutex_unlock(&t->lock);
		if (f->flags & O_NONBLOCK) {
			r = -EAGAIN;
			break;
		}
		r = wait_sleep(current, WAIT_INTERRUPTIBLE, deadline);
		if (r == -ETIMEDOUT) {
			mutex_lock(&t->lock);
			r = 0;
			break;
		}
		if (r)
			break;
	}
	wait_end(&w);
	return r;
}

static int64_t slave_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct tty *t = f->priv;
	uint8_t chunk[TTY_CHUNK];
	int64_t done = 0;
	bool eof = false;

	(void)pos;
	if (slave_dead(t) && !ldisc_readable(t))
		return t->hungup ? 0 : -EIO;
	int err = tty_check_change(t, current, SIGTTIN);
	if (err)
		return err;
	while (u->left) {
		bool canon = t->termios.lflag & ICANON;
		size_t want = min((size_t)u->left, sizeof(chunk));
		if (done && (canon || (size_t)done >= t->termios.cc[VMIN]) && !ldisc_readable(t))
			break;
		if (uio_check(u, min((uint64_t)want, u->left), true))
			return done ? done : -EFAULT;
		int r = slave_wait(t, f, (size_t)done, want);
		if (r < 0)
			return done ? done : r;
		if (r == 0) {
			bool dead = slave_dead(t) && !t->hungup;
			mutex_unlock(&t->lock);
			return done || !dead ? done : -EIO;
		}
		bool line_end = false;
		uint32_t before = t->in_tail;
		size_t n = ldisc_read(t, chunk, want, &eof);
		if (canon && t->in_tail != before)
			line_end = n < want || (t->in[(t->in_tail - 1) % TTY_IN] & (IN_LINE | IN_EOF));
		mutex_unlock(&t->lock);
		wq_wake_all(&t->m_write_wq);
		int64_t put = n ? uio_put(u, chunk, n) : 0;
		if (put < 0)
			return done ? done : put;
		done += put;
		if (eof || line_end || (!canon && !ldisc_readable(t) && done >= t->termios.cc[VMIN]))
			break;
	}
	return done;
}

int64_t tty_write_all(struct file *f, struct uio *u, struct waitq *wq, tty_push_fn *push)
{
	struct tty *t = f->priv;
	uint8_t chunk[TTY_CHUNK];
	int64_t done = 0;

	while (u->left) {
		int64_t n = uio_get(u, chunk, min((size_t)u->left, sizeof(chunk)));
		if (n < 0)
			return done ? done : n;
		for (size_t off = 0; off < (size_t)n;) {
			struct waiter w;
			bool dead = false;
			int err = 0;
			wait_begin(&w, wq, current);
			size_t got = push(t, chunk + off, (size_t)n - off, &dead);
			off += got;
			done += (int64_t)got;
			if (dead)
				err = -EIO;
			else if (!got && (f->flags & O_NONBLOCK))
				err = -EAGAIN;
			else if (!got)
				err = wait_sleep(current, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
			wait_end(&w);
			if (err)
				return done ? done : err;
		}
	}
	return done;
}

static size_t slave_push(struct tty *t, const uint8_t *p, size_t n, bool *dead)
{
	mutex_lock(&t->lock);
	*dead = slave_dead(t);
	size_t got = *dead ? 0 : ldisc_write(t, p, n);
	mutex_unlock(&t->lock);
	if (got)
		wq_wake_all(&t->m_read_wq);
	return got;
}

static int64_t slave_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct tty *t = f->priv;

	(void)pos;
	if (t->termios.lflag & TOSTOP) {
		int err = tty_check_change(t, current, SIGTTOU);
		if (err)
			return err;
	}
	return tty_write_all(f, u, &t->write_wq, slave_push);
}

static uint32_t slave_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->priv;
	uint32_t r = 0;

	poll_wait(pt, f, &t->read_wq);
	poll_wait(pt, f, &t->write_wq);
	mutex_lock(&t->lock);
	if (ldisc_readable(t))
		r |= EPOLLIN | EPOLLRDNORM;
	if (slave_dead(t))
		r |= EPOLLHUP | EPOLLIN | EPOLLRDNORM | (t->hungup ? EPOLLERR : 0u);
	else if (!t->stopped && t->out_head - t->out_tail < TTY_OUT - 256)
		r |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&t->lock);
	return r;
}

static int64_t slave_ioctl(struct file *f, struct task *task, uint32_t cmd, uint64_t arg)
{
	return tty_ioctl(f->priv, task, f, cmd, arg, false);
}

const struct file_ops tty_file_ops = {
	.open = devpts_slave_open,
	.release = slave_release,
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = slave_ioctl,
};

/* /dev/tty: the caller's own terminal. */
static int tty_self_open(struct inode *i, struct file *f)
{
	struct tty *t = current ? tty_of_task(current) : NULL;

	(void)i;
	if (!t)
		return -ENXIO;
	uint32_t flags = f->flags;
	f->flags |= O_NOCTTY;
	int err = tty_slave_attach(t, f);
	f->flags = flags;
	tty_put(t);
	return err;
}

const struct file_ops tty_self_file_ops = {.open = tty_self_open};

/* No console: there is nobody to read it. */
static int tty_console_open(struct inode *i, struct file *f)
{
	return tty_self_open(i, f) ? -EIO : 0;
}

const struct file_ops tty_console_file_ops = {.open = tty_console_open};
