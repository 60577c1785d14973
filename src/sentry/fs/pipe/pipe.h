/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Pipes and FIFOs: a ring of page references, as in Linux. Bytes in a buffer are never changed, so
 * a reader takes references under the lock and copies them out without it, and tee shares pages.
 */
#include "sentry/vfs/vfs.h"

#define PIPE_DEF_SLOTS 16u
#define PIPE_MIN_SLOTS 2u

struct ppage {
	refcount_t ref;
	char *data;		/* kpage */
};

enum { PBUF_MERGE = 1 /* a write may append to it */, PBUF_PACKET = 2 };

struct pbuf {
	struct ppage *pg;	/* owned */
	uint32_t off, len, flags;
};

struct pipe {
	struct mutex lock;	/* RANK_OBJECT */
	struct waitq rd, wr;
	struct pbuf *bufs;	/* slots entries; owned */
	uint32_t head, tail;	/* free-running; head - tail buffers are in use */
	uint32_t slots;		/* power of two */
	uint32_t readers, writers, r_counter, w_counter;
	uint32_t files;		/* inode lock: opened files, the pipe goes with the last */
	uint32_t uid;		/* whose page quota it takes */
	struct ppage *spare;	/* a: one empty page kept */
};

must_check int pipe_start(void);		/* once, before guests run */
must_check int pipe_create(unsigned flags, struct file **rd, struct file **wr);
/* The pipe behind an open file, or NULL. */
struct pipe *pipe_of(struct file *f);

struct ppage *ppage_alloc(struct pipe *p) must_check;	/* p: whose spare may be used, or NULL */
void ppage_put(struct pipe *p, struct ppage *pg);

static inline uint32_t pipe_used(const struct pipe *p)
{
	return p->head - p->tail;
}
static inline struct pbuf *pipe_buf(struct pipe *p, uint32_t i)
{
	return &p->bufs[i & (p->slots - 1)];
}
uint64_t pipe_bytes_locked(const struct pipe *p);

/* Moves references to at most `want` bytes in at most `max` buffers out of the pipe (lock held);
 * stops behind a packet. Returns the number of buffers. */
unsigned pipe_take_locked(struct pipe *p, uint64_t want, struct pbuf *out, unsigned max);
/* Waits for data: 1 there is some, 0 end of file, or -EAGAIN, -ERESTARTSYS. */
must_check int pipe_wait_data(struct pipe *p, bool nonblock);
/* Waits for a free slot: 0, -EPIPE (no signal sent), -EAGAIN, -ERESTARTSYS. */
must_check int pipe_wait_room(struct pipe *p, bool nonblock);
/* Appends buffers (references handed over) as slots allow; the number taken, or -EPIPE. */
must_check int pipe_push(struct pipe *p, struct pbuf *in, unsigned n);
void pipe_wake_readers(struct pipe *p);
void pipe_wake_writers(struct pipe *p);

/* SIGPIPE to the calling thread, as from itself. */
void send_sigpipe(struct task *t);

/* Page quota of a user, shared by all pipes. */
must_check int pipe_account(uint32_t uid, int64_t pages, bool privileged);
uint64_t pipe_user_pages(uint32_t uid);
