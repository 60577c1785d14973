/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* epoll instances and the waiting sets of poll and select. */
#include "sentry/vfs/poll.h"
#include "sentry/vfs/vfs.h"

struct l_epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));

void epoll_start(void);		/* once, before guests run: registers the wake-up handler */
must_check int epoll_new(unsigned flags, struct file **out);
/* EPOLL_CTL_*; ev is NULL for DEL. */
must_check int epoll_ctl_file(struct file *ef, int op, struct file *target, int fd,
			      const struct l_epoll_event *ev);
/* Ready events, at most max; 0 when the deadline passes; -EINTR. */
must_check int epoll_wait_file(struct file *ef, struct l_epoll_event *out, uint32_t max,
			       uint64_t deadline);
bool file_is_epoll(const struct file *f);
uint32_t epoll_item_count(const struct file *ef);

/* --- a task's waiters on many queues (poll, select) --- */

#define POLLSET_INLINE 6
struct pollset_chunk {
	struct pollset_chunk *next;
	unsigned n;
	struct waiter w[32];
};
struct pollset {
	struct poll_table pt;
	struct task *t;
	unsigned n;			/* used of `first` */
	struct waiter first[POLLSET_INLINE];
	struct pollset_chunk *chunks;	/* owned */
	int err;			/* -ENOMEM: a queue could not be waited on */
};
void pollset_init(struct pollset *ps, struct task *t);
void pollset_fini(struct pollset *ps);

/* One descriptor of poll or select: f is owned by the caller; `want` includes
 * EPOLLERR and EPOLLHUP where they count; got keeps what it was when f is NULL. */
struct pollent {
	struct file *f;
	uint32_t want, got;
};
/* Entries with something in `got`; 0 when the deadline (0: do not wait) has passed;
 * -ERESTARTNOHAND, -ENOMEM. */
must_check int pollset_wait(struct task *t, struct pollent *e, unsigned n, uint64_t deadline);
