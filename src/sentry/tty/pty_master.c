/* SPDX-License-Identifier: Apache-2.0 */
/* The master side of a pseudo terminal (pty(7)), opened through ptmx. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>

#include "sentry/tty/tty.h"
#include "sentry/vfs/poll.h"

#define TTY_CHUNK 512u

static int master_open(struct inode *i, struct file *f)
{
	struct tty *t;
	int err = devpts_new(i, &t);

	if (err)
		return err;
	t->locked = true;
	t->master_open = true;
	f->priv = t;
	f->mode |= FMODE_STREAM;
	return 0;
}

static void master_release(struct file *f)
{
	struct tty *t = steal(f->priv);

	if (!t)
		return;
	mutex_lock(&t->lock);
	t->master_gone = true;
	t->master_open = false;
	mutex_unlock(&t->lock);
	devpts_forget(t);
	tty_hangup(t);
	tty_put(t);
}

static int64_t master_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct tty *t = f->priv;
	uint8_t chunk[TTY_CHUNK];
	struct waiter w;
	int err = 0;

	(void)pos;
	if (uio_check(u, min(u->left, (uint64_t)TTY_CHUNK), true))
		return -EFAULT;
	wait_begin(&w, &t->m_read_wq, current);
	for (;;) {
		mutex_lock(&t->lock);
		size_t n = 0;
		if (t->packet && t->packet_status) {
			chunk[n++] = t->packet_status;
			t->packet_status = 0;
		} else if (t->out_head != t->out_tail) {
			if (t->packet)
				chunk[n++] = TIOCPKT_DATA;
			n += tty_out_take(t, chunk + n, min((size_t)u->left, sizeof(chunk)) - n);
		}
		bool hup = t->slave_opened && t->slaves == 0;
		mutex_unlock(&t->lock);
		if (n) {
			wait_end(&w);
			wq_wake_all(&t->write_wq);
			return uio_put(u, chunk, n);
		}
		if (hup)
			err = -EIO;
		else if (f->flags & O_NONBLOCK)
			err = -EAGAIN;
		else
			err = wait_sleep(current, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		if (err)
			break;
	}
	wait_end(&w);
	return err;
}

static size_t master_push(struct tty *t, const uint8_t *p, size_t n, bool *dead)
{
	struct tty_signals sig = {0};

	mutex_lock(&t->lock);
	*dead = t->hungup;
	size_t got = *dead ? 0 : ldisc_receive(t, p, n, &sig);
	mutex_unlock(&t->lock);
	tty_signals_send(&sig);
	if (got) {
		wq_wake_all(&t->read_wq);
		wq_wake_all(&t->m_read_wq);	/* echo */
		wq_wake_all(&t->write_wq);	/* ^Q, flushed output */
	}
	return got;
}

static int64_t master_write(struct file *f, struct uio *u, int64_t *pos)
{
	struct tty *t = f->priv;

	(void)pos;
	return tty_write_all(f, u, &t->m_write_wq, master_push);
}

static uint32_t master_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->priv;
	uint32_t r = 0;

	poll_wait(pt, f, &t->m_read_wq);
	poll_wait(pt, f, &t->m_write_wq);
	mutex_lock(&t->lock);
	if (t->out_head != t->out_tail || (t->packet && t->packet_status))
		r |= EPOLLIN | EPOLLRDNORM;
	if (t->packet && t->packet_status)
		r |= EPOLLPRI;
	if (t->slave_opened && t->slaves == 0)
		r |= EPOLLHUP;
	if (ldisc_room(t) || ((t->termios.lflag & ICANON) && t->in_canon == t->in_tail))
		r |= EPOLLOUT | EPOLLWRNORM;
	mutex_unlock(&t->lock);
	return r;
}

static int64_t master_ioctl(struct file *f, struct task *task, uint32_t cmd, uint64_t arg)
{
	return tty_ioctl(f->priv, task, f, cmd, arg, true);
}

const struct file_ops ptmx_file_ops = {
	.open = master_open,
	.release = master_release,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
};
