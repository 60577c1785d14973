/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The N_TTY line discipline: input editing, echo, signals, flow control and output processing, as
 * termios(3) describes and drivers/tty/n_tty.c does. tty->lock is held in every function.
 */
#include <signal.h>
#include <string.h>
#include <asm/termbits.h>

#include "sentry/tty/tty.h"

#define I(t, f) ((t)->termios.iflag & (f))
#define O(t, f) ((t)->termios.oflag & (f))
#define L(t, f) ((t)->termios.lflag & (f))
#define CC(t, i) ((t)->termios.cc[i])

static bool is_cc(const struct tty *t, uint8_t c, int i)
{
	return c && CC(t, i) == c;	/* a NUL entry is disabled */
}

static bool is_continuation(const struct tty *t, uint8_t c)
{
	return I(t, IUTF8) && (c & 0xc0) == 0x80;
}

/* --- output --------------------------------------------------------------------------------------- */

static bool out_raw(struct tty *t, uint8_t c)
{
	if (t->out_head - t->out_tail >= TTY_OUT)
		return false;
	t->out[t->out_head++ % TTY_OUT] = c;
	return true;
}

static uint32_t out_space(const struct tty *t)
{
	return TTY_OUT - (t->out_head - t->out_tail);
}

/* One character with output processing; false when there is no room for all it becomes. */
static bool out_char(struct tty *t, uint8_t c)
{
	if (!O(t, OPOST))
		return out_raw(t, c);
	if (out_space(t) < 8)
		return false;
	switch (c) {
	case '\n':
		if (O(t, ONLRET))
			t->column = 0;
		if (O(t, ONLCR)) {
			t->column = 0;
			return out_raw(t, '\r') && out_raw(t, '\n');
		}
		break;
	case '\r':
		if (O(t, ONOCR) && t->column == 0)
			return true;
		if (O(t, OCRNL)) {
			c = '\n';
			if (O(t, ONLRET))
				t->column = 0;
			break;
		}
		t->column = 0;
		break;
	case '\t': {
		uint32_t spaces = 8 - (t->column & 7);
		t->column += spaces;
		if (O(t, TABDLY) == XTABS) {
			while (spaces--)
				(void)out_raw(t, ' ');
			return true;
		}
		break;
	}
	case '\b':
		if (t->column)
			t->column--;
		break;
	default:
		if (c >= ' ' && c != 127) {
			if (O(t, OLCUC) && c >= 'a' && c <= 'z')
				c = (uint8_t)(c - 32);
			if (!is_continuation(t, c))
				t->column++;
		}
	}
	return out_raw(t, c);
}

size_t ldisc_write(struct tty *t, const uint8_t *p, size_t n)
{
	size_t done = 0;

	if (t->stopped)
		return 0;
	while (done < n && out_char(t, p[done]))
		done++;
	return done;
}

size_t tty_out_take(struct tty *t, uint8_t *p, size_t n)
{
	size_t have = t->out_head - t->out_tail;

	n = min(n, have);
	for (size_t i = 0; i < n; i++)
		p[i] = t->out[t->out_tail++ % TTY_OUT];
	return n;
}

static void echo_raw(struct tty *t, const char *s)
{
	while (*s)
		(void)out_raw(t, (uint8_t)*s++);
}

/* A typed character as the user sees it: ^X for controls with ECHOCTL. */
static void echo_char(struct tty *t, uint8_t c)
{
	if (L(t, ECHOCTL) && (c < ' ' || c == 127) && c != '\t' && c != '\n') {
		(void)out_raw(t, '^');
		(void)out_raw(t, c ^ 0x40);
		t->column += 2;
		return;
	}
	(void)out_char(t, c);
}

/* --- input queue ------------------------------------------------------------------------------------ */

uint32_t ldisc_room(const struct tty *t)
{
	uint32_t used = t->in_head - t->in_tail;

	/* One place is kept for the end of a line, so that a full line can still be finished. */
	return used >= TTY_IN - 1 ? 0 : TTY_IN - 1 - used;
}

static void in_put(struct tty *t, uint16_t c)
{
	if (t->in_head - t->in_tail < TTY_IN)
		t->in[t->in_head++ % TTY_IN] = c;
}

void ldisc_flush_input(struct tty *t)
{
	t->in_tail = t->in_canon = t->in_head;
	t->literal_next = false;
}

bool ldisc_readable(const struct tty *t)
{
	if (L(t, ICANON))
		return t->in_canon != t->in_tail;
	return t->in_head - t->in_tail >= (CC(t, VTIME) || !CC(t, VMIN) ? 1u : min((uint32_t)CC(t, VMIN), TTY_IN / 2));
}

void ldisc_mode_changed(struct tty *t, const struct l_termios *old)
{
	if (!((old->lflag ^ t->termios.lflag) & ICANON))
		return;
	if (L(t, ICANON)) {
		/* What is there becomes one line (n_tty_set_termios). */
		if (t->in_head != t->in_tail)
			t->in[(t->in_head - 1) % TTY_IN] |= IN_LINE;
		t->in_canon = t->in_head;
	} else {
		t->in_canon = t->in_head;
	}
}

/* Takes back the last typed character with its echo; false at the start of the line. */
static bool erase_one(struct tty *t, bool show)
{
	if (t->in_head == t->in_canon)
		return false;
	uint8_t c;
	do {
		c = (uint8_t)t->in[--t->in_head % TTY_IN];
	} while (is_continuation(t, c) && t->in_head != t->in_canon);
	if (!show)
		return true;
	if (c == '\t') {
		uint32_t col = t->canon_column;
		for (uint32_t i = t->in_canon; i != t->in_head; i++) {
			uint8_t k = (uint8_t)t->in[i % TTY_IN];
			if (k == '\t')
				col = (col | 7) + 1;
			else if (k < ' ' || k == 127)
				col += L(t, ECHOCTL) ? 2 : 0;
			else if (!is_continuation(t, k))
				col++;
		}
		while (t->column > col) {
			echo_raw(t, "\b");
			t->column--;
		}
		return true;
	}
	unsigned width = c < ' ' || c == 127 ? (L(t, ECHOCTL) ? 2 : 0) : 1;
	while (width--) {
		echo_raw(t, "\b \b");
		if (t->column)
			t->column--;
	}
	return true;
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static void erase_word(struct tty *t)
{
	bool seen = false;

	while (t->in_head != t->in_canon) {
		uint8_t c = (uint8_t)t->in[(t->in_head - 1) % TTY_IN];
		if (is_word(c))
			seen = true;
		else if (seen)
			break;
		erase_one(t, L(t, ECHO) != 0);
	}
}

static void erase_line(struct tty *t)
{
	if (!L(t, ECHO)) {
		t->in_head = t->in_canon;
		return;
	}
	if (!L(t, ECHOK) || !L(t, ECHOKE) || !L(t, ECHOE)) {
		t->in_head = t->in_canon;
		echo_char(t, CC(t, VKILL));
		if (L(t, ECHOK))
			(void)out_char(t, '\n');
		return;
	}
	while (erase_one(t, true))
		;
}

/* The characters that edit a line; true when c was one. */
static bool edit_char(struct tty *t, uint8_t c)
{
	if (is_cc(t, c, VERASE)) {
		bool was = t->in_head != t->in_canon;
		if (!was)
			return true;
		if (L(t, ECHO) && !L(t, ECHOE)) {
			erase_one(t, false);
			echo_char(t, CC(t, VERASE));
		} else {
			erase_one(t, L(t, ECHO) != 0);
		}
		return true;
	}
	if (is_cc(t, c, VWERASE) && L(t, IEXTEN)) {
		erase_word(t);
		return true;
	}
	if (is_cc(t, c, VKILL)) {
		erase_line(t);
		return true;
	}
	if (is_cc(t, c, VLNEXT) && L(t, IEXTEN)) {
		t->literal_next = true;
		if (L(t, ECHO) && L(t, ECHOCTL))
			echo_raw(t, "^\b");
		return true;
	}
	if (is_cc(t, c, VREPRINT) && L(t, ECHO) && L(t, IEXTEN)) {
		echo_char(t, c);
		(void)out_char(t, '\n');
		for (uint32_t i = t->in_canon; i != t->in_head; i++)
			echo_char(t, (uint8_t)t->in[i % TTY_IN]);
		return true;
	}
	return false;
}

static void end_line(struct tty *t, uint16_t c)
{
	in_put(t, c | IN_LINE);
	t->in_canon = t->in_head;
}

/* Line endings in canonical mode; true when c was one. */
static bool canon_end(struct tty *t, uint8_t c)
{
	if (c == '\n') {
		if (L(t, ECHO) || L(t, ECHONL))
			(void)out_char(t, '\n');
		end_line(t, c);
		t->canon_column = t->column;
		return true;
	}
	if (is_cc(t, c, VEOF)) {
		end_line(t, IN_EOF);
		return true;
	}
	if (is_cc(t, c, VEOL) || (is_cc(t, c, VEOL2) && L(t, IEXTEN))) {
		if (L(t, ECHO))
			echo_char(t, c);
		end_line(t, c);
		t->canon_column = t->column;
		return true;
	}
	return false;
}

static void insert_char(struct tty *t, uint8_t c)
{
	if (ldisc_room(t) == 0) {	/* a line that is too long: the rest of it is dropped */
		if (I(t, IMAXBEL))
			(void)out_raw(t, '\a');
		return;
	}
	if (L(t, ECHO)) {
		if (t->in_head == t->in_canon)
			t->canon_column = t->column;
		echo_char(t, c);
	}
	in_put(t, c);
	if (!L(t, ICANON))
		t->in_canon = t->in_head;
}

/* INTR, QUIT, SUSP: true when c was one. */
static bool signal_char(struct tty *t, uint8_t c, struct tty_signals *sig)
{
	int signo = is_cc(t, c, VINTR) ? SIGINT : is_cc(t, c, VQUIT) ? SIGQUIT : is_cc(t, c, VSUSP) ? SIGTSTP : 0;

	if (!signo || !L(t, ISIG))
		return false;
	/* What was written stays: a pty of Linux has passed it on to the master's side by now. */
	if (!L(t, NOFLSH))
		ldisc_flush_input(t);
	if (t->stopped && I(t, IXON))
		t->stopped = false;
	if (L(t, ECHO))
		echo_char(t, c);
	sig->mask |= 1u << signo;
	if (!sig->pgrp && t->pgrp)
		sig->pgrp = pid_get(t->pgrp);
	return true;
}

static void receive_char(struct tty *t, uint8_t c, struct tty_signals *sig)
{
	if (I(t, ISTRIP))
		c &= 0x7f;
	if (I(t, IUCLC) && L(t, IEXTEN) && c >= 'A' && c <= 'Z')
		c = (uint8_t)(c + 32);
	if (t->literal_next) {
		t->literal_next = false;
		insert_char(t, c);
		return;
	}
	if (I(t, IXON)) {
		if (is_cc(t, c, VSTOP)) {
			t->stopped = true;
			return;
		}
		if (is_cc(t, c, VSTART)) {
			t->stopped = false;
			return;
		}
		if (t->stopped && I(t, IXANY))
			t->stopped = false;
	}
	if (signal_char(t, c, sig))
		return;
	if (c == '\r') {
		if (I(t, IGNCR))
			return;
		if (I(t, ICRNL))
			c = '\n';
	} else if (c == '\n' && I(t, INLCR)) {
		c = '\r';
	}
	if (L(t, ICANON) && (edit_char(t, c) || canon_end(t, c)))
		return;
	insert_char(t, c);
}

size_t ldisc_receive(struct tty *t, const uint8_t *p, size_t n, struct tty_signals *sig)
{
	size_t i;

	for (i = 0; i < n; i++) {
		/* In raw mode a full queue pushes back; a line being typed swallows instead. */
		if (!ldisc_room(t) && (!L(t, ICANON) || t->in_canon != t->in_tail))
			break;
		receive_char(t, p[i], sig);
	}
	return i;
}

size_t ldisc_read(struct tty *t, uint8_t *p, size_t n, bool *eof)
{
	size_t done = 0;
	uint32_t end = L(t, ICANON) ? t->in_canon : t->in_head;

	*eof = false;
	while (done < n && t->in_tail != end) {
		uint16_t c = t->in[t->in_tail++ % TTY_IN];
		if (c & IN_EOF) {
			*eof = done == 0;
			return done;
		}
		p[done++] = (uint8_t)c;
		if (L(t, ICANON) && (c & IN_LINE))
			return done;
	}
	/* An end of file right behind a full buffer belongs to this read. */
	if (done && done == n && t->in_tail != end && (t->in[t->in_tail % TTY_IN] & IN_EOF))
		t->in_tail++;
	return done;
}
