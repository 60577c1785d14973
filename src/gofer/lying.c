/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Gofer that lies: after an honest start, one reply in eight is cut short, scrambled, has a
 * wrong status, a wrong sequence number, or carries no, other or too many descriptors. The Sentry
 * must answer its guest with an error and live on.
 */
#include "gofer/gofer_int.h"
#include "host/file.h"

#define HONEST 64u

static uint32_t replies, state = 1;

static uint32_t roll(void)
{
	uint32_t x = __atomic_load_n(&state, __ATOMIC_RELAXED);

	x ^= x << 13, x ^= x >> 17, x ^= x << 5;
	__atomic_store_n(&state, x, __ATOMIC_RELAXED);
	return x;
}

static void drop_fds(struct reply *rep)
{
	for (unsigned i = 0; i < rep->nfds; i++)
		if (rep->close_fd[i])
			(void)h_close(rep->fds[i]);
	rep->nfds = 0;
}

size_t gofer_lie(struct channel *ch, size_t n)
{
	struct reply *rep = &ch->rep;

	if (__atomic_fetch_add(&replies, 1, __ATOMIC_RELAXED) < HONEST || roll() % 8)
		return n;
	switch (roll() % 7) {
	case 0:			/* cut short */
		return 1 + roll() % n;
	case 1:			/* scrambled */
		for (size_t i = 8; i < n; i++)
			ch->out[i] = (uint8_t)roll();
		return n;
	case 2:			/* any status */
		for (size_t i = 4; i < 8; i++)
			ch->out[i] = (uint8_t)roll();
		return n;
	case 3:			/* another request's reply */
		ch->out[0] ^= 1;
		return n;
	case 4:			/* no descriptor */
		drop_fds(rep);
		return n;
	case 5:			/* a socket where a file should be, many of them */
		drop_fds(rep);
		for (rep->nfds = 0; rep->nfds < GOFER_FDS_MAX; rep->nfds++) {
			rep->fds[rep->nfds] = ch->hfd;
			rep->close_fd[rep->nfds] = false;
		}
		return n;
	}
	for (size_t i = 0; i < 64; i++)	/* longer than it says */
		ch->out[n + i < sizeof(ch->out) ? n + i : 0] = (uint8_t)roll();
	return n + 64 < sizeof(ch->out) ? n + 64 : n;
}
