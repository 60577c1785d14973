/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal of `brig do -t`: the master side of its pair is a stream socket to the launcher,
 * which has put the user's terminal into raw mode. Two threads move the bytes, one each way.
 */
#include <errno.h>
#include <sys/socket.h>

#include "host/event.h"
#include "host/sock.h"
#include "host/thread.h"
#include "sentry/tty/tty.h"
#include "sentry/vfs/told.h"

#define CHUNK 1024u

struct bridge {
	struct tty *tty;
	int hfd;
	uint32_t in_word, out_word;	/* WAIT_WORD of each direction */
	struct waiter in_wait, out_wait;
};

static struct bridge bridge;	/* one terminal per sandbox */

static void sleep_on(uint32_t *word)
{
	while (__atomic_exchange_n(word, 0, __ATOMIC_ACQ_REL) == 0)
		(void)h_futex_wait(word, 0, NULL);
}

static void type(struct bridge *b, const uint8_t *p, size_t n)
{
	size_t off = 0;

	while (off < n) {
		struct tty_signals sig = {0};
		mutex_lock(&b->tty->lock);
		size_t got = ldisc_receive(b->tty, p + off, n - off, &sig);
		mutex_unlock(&b->tty->lock);
		tty_signals_send(&sig);
		off += got;
		if (got) {
			wq_wake_all(&b->tty->read_wq);
			wq_wake_all(&b->tty->m_read_wq);
			wq_wake_all(&b->tty->write_wq);
		} else {
			sleep_on(&b->in_word);
		}
	}
}

static void input_thread(void *arg)
{
	struct bridge *b = arg;
	uint8_t chunk[CHUNK];

	for (;;) {
		int64_t n = h_recvfrom(b->hfd, chunk, sizeof(chunk), 0, NULL, NULL);
		told_news();
		if (n == -EINTR)
			continue;
		if (n <= 0)
			break;
		type(b, chunk, (size_t)n);
	}
	mutex_lock(&b->tty->lock);
	b->tty->master_gone = true;
	mutex_unlock(&b->tty->lock);
	tty_hangup(b->tty);
}

static void output_thread(void *arg)
{
	struct bridge *b = arg;
	uint8_t chunk[CHUNK];

	for (;;) {
		mutex_lock(&b->tty->lock);
		size_t n = tty_out_take(b->tty, chunk, sizeof(chunk));
		mutex_unlock(&b->tty->lock);
		if (!n) {
			sleep_on(&b->out_word);
			continue;
		}
		wq_wake_all(&b->tty->write_wq);
		for (size_t off = 0; off < n;) {
			int64_t r = h_sendto(b->hfd, chunk + off, n - off, MSG_NOSIGNAL, NULL, 0);
			if (r == -EINTR)
				continue;
			if (r <= 0)
				return;
			off += (size_t)r;
		}
	}
}

bool tty_host_drained(void)
{
	if (!bridge.tty)
		return true;
	mutex_lock(&bridge.tty->lock);
	bool empty = bridge.tty->out_head == bridge.tty->out_tail;
	mutex_unlock(&bridge.tty->lock);
	return empty;
}

int tty_host_master(int hfd, unsigned rows, unsigned cols, struct tty **out)
{
	struct bridge *b = &bridge;
	int err = devpts_new(NULL, &b->tty);

	if (err)
		return err;
	b->hfd = hfd;
	b->tty->master_open = b->tty->host_master = true;
	b->tty->winsize = (struct l_winsize){.row = (uint16_t)rows, .col = (uint16_t)cols};
	wait_add(&b->in_wait, &b->tty->m_write_wq, WAIT_WORD, &b->in_word, ~0u);
	wait_add(&b->out_wait, &b->tty->m_read_wq, WAIT_WORD, &b->out_word, ~0u);
	err = h_thread_spawn(input_thread, b, 0);
	if (!err)
		err = h_thread_spawn(output_thread, b, 0);
	if (!err)
		*out = tty_get(b->tty);
	return err;
}
