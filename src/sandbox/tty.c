/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's terminal: raw while the sandbox runs, its size told to the sandbox's pty. The bytes
 * are carried here, so that the Sentry never holds a descriptor of the terminal, and nothing is
 * ever set on a description that the user's shell shares.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/launch_int.h"

void tty_raw(struct launch *l)
{
	struct termios t;
	if (l->tty_sock < 0 || l->is_raw || tcgetattr(0, &l->saved) != 0)
		return;
	t = l->saved;
	cfmakeraw(&t);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	l->is_raw = tcsetattr(0, TCSADRAIN, &t) == 0;
}

void tty_restore(struct launch *l)
{
	if (l->is_raw)
		tcsetattr(0, TCSADRAIN, &l->saved);
	l->is_raw = false;
}

/*
 * A terminal that is only one of the streams is handed to the guest as it is, and a guest may
 * leave it in any mode.
 */
void tty_remember(struct launch *l)
{
	l->lent_tty = -1;
	for (int fd = 2; l->tty_sock < 0 && fd >= 0; fd--)
		if (isatty(fd) && tcgetattr(fd, &l->saved) == 0)
			l->lent_tty = fd;
}

void tty_put_back(struct launch *l)
{
	tty_restore(l);
	/* From the background this would stop us. */
	if (l->lent_tty >= 0 && tcgetpgrp(l->lent_tty) == getpgrp())
		tcsetattr(l->lent_tty, TCSADRAIN, &l->saved);
}

void tty_size(unsigned *rows, unsigned *cols)
{
	struct winsize w;
	*rows = 24, *cols = 80;
	for (int fd = 0; fd < 3; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col) {
			*rows = w.ws_row, *cols = w.ws_col;
			return;
		}
	}
}

bool pump_wants_read(const struct pump *p)
{
	return !p->eof && p->len == 0;
}

bool pump_wants_write(const struct pump *p)
{
	return p->len > 0;
}

void pump_read(struct pump *p)
{
	ssize_t n = read(p->from, p->data, sizeof(p->data));
	if (n > 0) {
		p->pos = 0;
		p->len = (size_t)n;
	} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
		p->eof = true;
	}
}

void pump_write(struct pump *p)
{
	/* Small pieces: a terminal that says it has room may not have much. */
	ssize_t n = write(p->to, p->data + p->pos, min(p->len, (size_t)512));
	if (n > 0) {
		p->pos += (size_t)n;
		p->len -= (size_t)n;
	} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
		p->len = 0;
		p->eof = true;
	}
}
