/* SPDX-License-Identifier: Apache-2.0 */
/* Terminal ioctls (tty_ioctl(4)) of both sides of a pair. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/capability.h>

#include "sentry/mm/uaccess.h"
#include "sentry/tty/tty.h"

struct l_termio {
	uint16_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[8];
};

#define NOT_HERE 515	/* internal: not an ioctl of the master alone */
#define TERMIOS_OLD_SIZE 36	/* struct termios: without the two speeds */

static uint32_t speed_of(uint32_t cflag)
{
	static const uint32_t rates[] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600,
					 19200, 38400};
	static const uint32_t high[] = {57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000,
					1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000};
	uint32_t c = cflag & CBAUD;

	if (c & CBAUDEX) {
		c &= ~(uint32_t)CBAUDEX;
		return c >= 1 && c <= array_size(high) ? high[c - 1] : 38400;
	}
	return rates[min(c, (uint32_t)array_size(rates) - 1)];
}

static void set_termios(struct tty *t, const struct l_termios *n)
{
	struct l_termios old = t->termios;

	t->termios = *n;
	t->termios.cflag = (n->cflag & ~(uint32_t)(CSIZE | PARENB)) | CS8 | CREAD;	/* a pty has no line */
	if ((n->cflag & CBAUD) != BOTHER)
		t->termios.ispeed = t->termios.ospeed = speed_of(n->cflag);
	ldisc_mode_changed(t, &old);
	if (!(n->iflag & IXON))
		t->stopped = false;
	if (t->packet) {
		bool was = (old.iflag & IXON) && old.cc[VSTOP] == 19 && old.cc[VSTART] == 17;
		bool is = (n->iflag & IXON) && n->cc[VSTOP] == 19 && n->cc[VSTART] == 17;
		if (was != is)
			t->packet_status |= is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP;
		if ((old.lflag ^ n->lflag) & EXTPROC)
			t->packet_status |= TIOCPKT_IOCTL;
	}
}

static int read_termios(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg, struct l_termios *n)
{
	mutex_lock(&t->lock);
	*n = t->termios;
	mutex_unlock(&t->lock);
	switch (cmd) {
	case TCSETA:
	case TCSETAW:
	case TCSETAF: {
		struct l_termio o;
		int err = copy_in(task, &o, UADDR(arg), sizeof(o));
		if (err)
			return err;
		n->iflag = (n->iflag & 0xffff0000u) | o.iflag;
		n->oflag = (n->oflag & 0xffff0000u) | o.oflag;
		n->cflag = (n->cflag & 0xffff0000u) | o.cflag;
		n->lflag = (n->lflag & 0xffff0000u) | o.lflag;
		n->line = o.line;
		memcpy(n->cc, o.cc, sizeof(o.cc));
		return 0;
	}
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return copy_in(task, n, UADDR(arg), TERMIOS_OLD_SIZE);
	default:
		return copy_in(task, n, UADDR(arg), sizeof(*n));
	}
}

/* TCSETSW and tcdrain: what was written has left the line at once. A pty of Linux reports no
 * characters in its buffer, so it never waits for the master to read. */

static int64_t change_termios(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg, bool master)
{
	struct l_termios n;
	bool flush = cmd == TCSETSF || cmd == TCSETAF || cmd == TCSETSF2;
	int err = master ? 0 : tty_check_change(t, task, SIGTTOU);

	if (!err)
		err = read_termios(t, task, cmd, arg, &n);
	if (err)
		return err;
	mutex_lock(&t->lock);
	if (flush)
		ldisc_flush_input(t);
	set_termios(t, &n);
	bool readable = ldisc_readable(t);
	mutex_unlock(&t->lock);
	if (readable)
		wq_wake_all(&t->read_wq);
	wq_wake_all(&t->write_wq);
	wq_wake_all(&t->m_read_wq);
	return 0;
}

static int64_t get_termios(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg)
{
	mutex_lock(&t->lock);
	struct l_termios n = t->termios;
	mutex_unlock(&t->lock);
	if (cmd == TCGETA) {
		struct l_termio o = {.iflag = (uint16_t)n.iflag, .oflag = (uint16_t)n.oflag,
				     .cflag = (uint16_t)n.cflag, .lflag = (uint16_t)n.lflag, .line = n.line};
		memcpy(o.cc, n.cc, sizeof(o.cc));
		return copy_out(task, UADDR(arg), &o, sizeof(o));
	}
	return copy_out(task, UADDR(arg), &n, cmd == TCGETS ? TERMIOS_OLD_SIZE : sizeof(n));
}

void tty_set_winsize(struct tty *t, const struct l_winsize *w)
{
	struct tty_signals s = {0};

	mutex_lock(&t->lock);
	if (memcmp(&t->winsize, w, sizeof(*w))) {
		t->winsize = *w;
		s.mask = 1u << SIGWINCH;
		s.pgrp = t->pgrp ? pid_get(t->pgrp) : NULL;
	}
	mutex_unlock(&t->lock);
	tty_signals_send(&s);
}

static int64_t winsize_ioctl(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg)
{
	struct l_winsize w;

	if (cmd == TIOCSWINSZ) {
		int err = get_user(task, w, UADDR(arg));
		if (!err)
			tty_set_winsize(t, &w);
		return err;
	}
	mutex_lock(&t->lock);
	w = t->winsize;
	mutex_unlock(&t->lock);
	return put_user(task, UADDR(arg), w);
}

static int64_t flush(struct tty *t, struct task *task, uint64_t arg, bool master)
{
	int err = master ? 0 : tty_check_change(t, task, SIGTTOU);

	if (err)
		return err;
	if (arg > TCIOFLUSH)
		return -EINVAL;
	mutex_lock(&t->lock);
	bool in = arg != TCOFLUSH, out = arg != TCIFLUSH;
	if (in)
		ldisc_flush_input(t);
	if (out)
		t->out_tail = t->out_head;
	if (t->packet)
		t->packet_status |= (in ? TIOCPKT_FLUSHREAD : 0) | (out ? TIOCPKT_FLUSHWRITE : 0);
	mutex_unlock(&t->lock);
	wq_wake_all(&t->write_wq);
	wq_wake_all(&t->m_write_wq);
	wq_wake_all(&t->m_read_wq);
	return 0;
}

static int64_t flow(struct tty *t, struct task *task, uint64_t arg, bool master)
{
	int err = master ? 0 : tty_check_change(t, task, SIGTTOU);

	if (err)
		return err;
	if (arg > TCION)
		return -EINVAL;
	mutex_lock(&t->lock);
	if (arg == TCOOFF || arg == TCOON)
		t->stopped = arg == TCOOFF;
	else
		(void)ldisc_write(t, &t->termios.cc[arg == TCIOFF ? VSTOP : VSTART], 1);
	mutex_unlock(&t->lock);
	wq_wake_all(&t->write_wq);
	return 0;
}

static int64_t counts(struct tty *t, struct task *task, uint32_t cmd, uint64_t arg, bool master)
{
	mutex_lock(&t->lock);
	uint32_t in = (t->termios.lflag & ICANON) ? t->in_canon - t->in_tail : t->in_head - t->in_tail;
	uint32_t out = t->out_head - t->out_tail;
	mutex_unlock(&t->lock);
	bool want_in = cmd == TIOCINQ;
	int32_t v = (int32_t)(want_in != master ? in : out);
	return put_user(task, UADDR(arg), v);
}

/* TIOCSTI: as if typed. */
static int64_t fake_input(struct tty *t, struct task *task, uint64_t arg)
{
	struct tty_signals s = {0};
	uint8_t c;
	struct tty *own = tty_of_task(task);

	if (own)
		tty_put(own);
	if (!task_capable(task, CAP_SYS_ADMIN))	/* dev.tty.legacy_tiocsti is off */
		return own == t ? -EIO : -EPERM;
	int err = get_user(task, c, UADDR(arg));
	if (err)
		return err;
	mutex_lock(&t->lock);
	(void)ldisc_receive(t, &c, 1, &s);
	mutex_unlock(&t->lock);
	tty_signals_send(&s);
	wq_wake_all(&t->read_wq);
	return 0;
}

static int64_t master_ioctl(struct tty *t, struct task *task, struct file *f, uint32_t cmd, uint64_t arg)
{
	int32_t v;
	int err;

	switch (cmd) {
	case TIOCGPTN:
		return put_user(task, UADDR(arg), t->index);
	case TIOCSPTLCK:
	case TIOCPKT:
		err = get_user(task, v, UADDR(arg));
		if (err)
			return err;
		mutex_lock(&t->lock);
		if (cmd == TIOCSPTLCK)
			t->locked = v != 0;
		else {
			if (v && !t->packet)
				t->packet_status = 0;
			t->packet = v != 0;
		}
		mutex_unlock(&t->lock);
		return 0;
	case TIOCGPTLCK:
		v = t->locked;
		return put_user(task, UADDR(arg), v);
	case TIOCGPKT:
		v = t->packet;
		return put_user(task, UADDR(arg), v);
	case TIOCGPTPEER: {
		struct file *peer;
		err = tty_open_slave(t, &peer);
		if (err)
			return err;
		peer->flags = (uint32_t)arg & 04000u /* O_NONBLOCK */;
		return fd_add(task, peer, (arg & 02000000u) != 0);
	}
	case TIOCSIG: {
		struct tty_signals s = {0};
		if (arg < 1 || arg > 31)
			return -EINVAL;
		mutex_lock(&t->lock);
		s.mask = 1u << arg;
		s.pgrp = t->pgrp ? pid_get(t->pgrp) : NULL;
		mutex_unlock(&t->lock);
		tty_signals_send(&s);
		return 0;
	}
	}
	(void)f;
	return -NOT_HERE;
}

int64_t tty_ioctl(struct tty *t, struct task *task, struct file *f, uint32_t cmd, uint64_t arg, bool master)
{
	int32_t v = 0;

	if (t->hungup && !master)
		return -EIO;
	if (master) {
		int64_t r = master_ioctl(t, task, f, cmd, arg);
		if (r != -NOT_HERE)
			return r;
	}
	switch (cmd) {
	case TCGETS: case TCGETS2: case TCGETA:
		return get_termios(t, task, cmd, arg);
	case TCSETS: case TCSETSW: case TCSETSF: case TCSETS2: case TCSETSW2: case TCSETSF2:
	case TCSETA: case TCSETAW: case TCSETAF:
		return change_termios(t, task, cmd, arg, master);
	case TIOCGWINSZ: case TIOCSWINSZ:
		return winsize_ioctl(t, task, cmd, arg);
	case TIOCSCTTY: case TIOCNOTTY: case TIOCGPGRP: case TIOCSPGRP: case TIOCGSID:
		return tty_job_ioctl(t, task, cmd, arg, master);
	case TCFLSH:
		return flush(t, task, arg, master);
	case TCXONC:
		return flow(t, task, arg, master);
	case TCSBRK: case TCSBRKP: {
		int err = master ? 0 : tty_check_change(t, task, SIGTTOU);
		return err;
	}
	case TIOCSBRK: case TIOCCBRK:
		return 0;
	case TIOCINQ: case TIOCOUTQ:
		return counts(t, task, cmd, arg, master);
	case TIOCSTI:
		return fake_input(t, task, arg);
	case TIOCEXCL: case TIOCNXCL:
		t->exclusive = cmd == TIOCEXCL;
		return 0;
	case TIOCGEXCL:
		v = t->exclusive;
		return put_user(task, UADDR(arg), v);
	case TIOCGETD:
		return put_user(task, UADDR(arg), v);	/* N_TTY */
	case TIOCSETD: {
		int err = get_user(task, v, UADDR(arg));
		return err ? err : v == 0 ? 0 : -EINVAL;
	}
	case TIOCGDEV: {
		uint32_t dev = master ? 5u << 8 | 2 : 136u << 8 | (t->index & 0xff);
		return put_user(task, UADDR(arg), dev);
	}
	case TIOCGLCKTRMIOS: case TIOCSLCKTRMIOS: case TIOCGSERIAL: case TIOCMGET:
		return -ENOTTY;
	case TIOCVHANGUP:
		if (!task_capable(task, CAP_SYS_ADMIN))
			return -EPERM;
		tty_hangup(t);
		return 0;
	}
	return -ENOTTY;
}
