/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channels to the Gofer. Each carries one request at a time under its mutex; a thread takes
 * the first free one, or waits for the one that its thread id hashes to. The state is process
 * memory, not kheap: descriptors and buffers are rebuilt with the process.
 *
 * Handles that are no longer needed are collected and sent ahead of later requests.
 */
#include <errno.h>
#include <string.h>
#include "host/file.h"
#include "host/sock.h"
#include "lib/bug.h"
#include "lib/log.h"
#include "sentry/fs/gofer/gofer_int.h"
#include "sentry/vfs/told.h"

struct gchan {
	struct mutex lock;
	int hfd;
	uint32_t seq;
	bool broken;		/* the peer went away or talks nonsense: all calls are -EIO */
	uint8_t out[GOFER_MSG_MAX];
	uint8_t in[GOFER_MSG_MAX];
};

#define FORGET_QUEUE 256u
#define FORGET_FLUSH 64u

static struct gchan chans[GOFER_CHANNELS_MAX];
static unsigned nchans;
static uint32_t next_chan;
static struct {
	struct mutex lock;
	uint32_t n;
	uint64_t h[FORGET_QUEUE];
} forgets = {.lock = MUTEX_INIT(RANK_GOFER_TABLE)};

int gofer_client_init(const int *hfds, unsigned n)
{
	if (n == 0 || n > GOFER_CHANNELS_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		mutex_init(&chans[i].lock, RANK_GOFER);
		chans[i].hfd = hfds[i];
	}
	nchans = n;
	return 0;
}

static struct gchan *take_channel(void)
{
	static _Thread_local uint32_t home;	/* 1 + index: the same buffers stay warm */

	if (!home)
		home = 1 + __atomic_fetch_add(&next_chan, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < nchans; i++) {
		struct gchan *ch = &chans[(home + i) % nchans];

		if (mutex_trylock(&ch->lock))
			return ch;
	}
	struct gchan *ch = &chans[home % nchans];
	mutex_lock(&ch->lock);
	return ch;
}

static void send_forgets(struct gchan *ch, uint32_t at_least)
{
	uint64_t ids[FORGET_FLUSH];
	struct wire_w w = WIRE_W(ch->out, sizeof(ch->out));
	uint32_t n;

	if (READ_ONCE(forgets.n) < at_least)
		return;
	mutex_lock(&forgets.lock);
	n = min(forgets.n, FORGET_FLUSH);
	forgets.n -= n;
	memcpy(ids, &forgets.h[forgets.n], n * sizeof(ids[0]));
	mutex_unlock(&forgets.lock);
	wire_put_u32(&w, GOFER_FORGET);
	wire_put_u32(&w, 0);
	wire_put_u32(&w, n);
	for (uint32_t i = 0; i < n; i++)
		wire_put_u64(&w, ids[i]);
	if (!ch->broken && h_send_fds(ch->hfd, ch->out, w.len, NULL, 0, 0) < 0)
		ch->broken = true;
}

/* Not with a channel locked: a full queue is emptied over one. The last one in is the first out. */
void gofer_forget(uint64_t h, bool now)
{
	bool added;

	do {
		mutex_lock(&forgets.lock);
		added = forgets.n < FORGET_QUEUE;
		if (added)
			forgets.h[forgets.n++] = h;
		mutex_unlock(&forgets.lock);
		if (added && !now)
			return;
		struct gchan *ch = take_channel();
		send_forgets(ch, 1);
		mutex_unlock(&ch->lock);
	} while (!added);
}

void gcall_begin(struct gcall *c, enum gofer_op op)
{
	struct gchan *ch = take_channel();

	send_forgets(ch, FORGET_FLUSH);
	c->chan = ch;
	c->seq = ++ch->seq;
	c->nfds = c->taken = 0;
	c->nforget = c->nput = 0;
	c->w = WIRE_W(ch->out, sizeof(ch->out));
	c->r = WIRE_R(ch->in, 0);
	wire_put_u32(&c->w, op);
	wire_put_u32(&c->w, c->seq);
}

/* Errors that mean what they say to a guest; everything else is the Gofer's trouble: EIO. */
static int checked_status(int32_t status)
{
	switch (-(int64_t)status) {
	case 0: case EPERM: case ENOENT: case EIO: case ENXIO: case EACCES: case EBUSY: case EEXIST:
	case EXDEV: case ENOTDIR: case EISDIR: case EINVAL: case ENFILE: case EFBIG: case ENOSPC:
	case EROFS: case EMLINK: case ERANGE: case ENAMETOOLONG: case ENOTEMPTY: case ELOOP:
	case EOVERFLOW: case EOPNOTSUPP: case EDQUOT: case ESTALE: case ENODATA: case ETXTBSY:
	case ENOMEM: case E2BIG: case EAGAIN:
		return status;
	case EMFILE:
		return -ENFILE;
	}
	return -EIO;
}

int gcall_send_fd(struct gcall *c, int hfd)
{
	struct gchan *ch = c->chan;
	int64_t n;

	if (ch->broken)
		return -EIO;
	if (!wire_fits(&c->w))
		return -ENAMETOOLONG;
	n = h_send_fds(ch->hfd, ch->out, c->w.len, &hfd, hfd >= 0, 0);
	if (n == -ETOOMANYREFS || n == -ENOBUFS || n == -ENOMEM)
		return -ENFILE;
	if (n >= 0)
		n = h_recv_fds(ch->hfd, ch->in, sizeof(ch->in), c->fds, GOFER_FDS_MAX, &c->nfds, 0);
	if (n == -EPROTO)
		return -ENFILE;		/* descriptors did not fit: whole, but without its answer */
	if (n <= 0) {
		ch->broken = true;
		log_error("gofer: the channel is gone (%d)", (int)n);
		return -EIO;
	}
	c->r = WIRE_R(ch->in, (size_t)n);
	uint32_t seq = wire_get_u32(&c->r);
	int32_t status = (int32_t)wire_get_u32(&c->r);
	if (c->r.bad || seq != c->seq)
		return -EIO;
	return checked_status(status);
}

int gcall_send(struct gcall *c)
{
	return gcall_send_fd(c, -1);
}

int gcall_take_fd(struct gcall *c)
{
	if (c->taken >= c->nfds)
		return -EIO;
	int hfd = c->fds[c->taken];
	c->fds[c->taken++] = -1;
	return hfd;
}

void gcall_end(struct gcall *c)
{
	while (c->taken < c->nfds)
		(void)h_close(c->fds[c->taken++]);
	mutex_unlock(&c->chan->lock);
	told_news();
	for (unsigned i = 0; i < c->nforget; i++)
		gofer_forget(c->forget[i], false);
	for (unsigned i = 0; i < c->nput; i++)
		inode_put(c->put[i]);
}

void gcall_forget(struct gcall *c, uint64_t h)
{
	BUG_ON(c->nforget >= GOFER_WALK_MAX);
	c->forget[c->nforget++] = h;
}

void gcall_put(struct gcall *c, struct inode *i)
{
	BUG_ON(c->nput >= GOFER_WALK_MAX);
	c->put[c->nput++] = i;
}

int gofer_reopen_ro(int memfd, int *out)
{
	struct gcall c;
	struct stat a, b;

	gcall_begin(&c, GOFER_REOPEN_RO);
	int rc = gcall_send_fd(&c, memfd);
	int hfd = rc ? rc : gcall_take_fd(&c);
	gcall_end(&c);
	if (hfd < 0)
		return hfd;
	int fl = h_fcntl(hfd, F_GETFL, 0);
	if (h_fstat(memfd, &a) || h_fstat(hfd, &b) || a.st_dev != b.st_dev || a.st_ino != b.st_ino ||
	    fl < 0 || (fl & (O_ACCMODE | O_PATH)) != O_RDONLY) {
		(void)h_close(hfd);
		return -EIO;
	}
	*out = hfd;
	return 0;
}
