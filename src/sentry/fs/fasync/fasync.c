/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registration waits on the file's queues as an epoll item does. Its wake-up comes with a queue
 * locked, where no task may be looked for, so it only leaves a mark, and a thread that starts with
 * the first registration sends the signals.
 */
#include "sentry/fs/fasync/fasync.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include "host/event.h"
#include "host/thread.h"
#include "lib/bug.h"
#include "sentry/core/kheap.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"
#include "sentry/vfs/poll.h"

#define QUEUES 2
#define BATCH 16u
#define OWNER_TID 0
#define OWNER_PGRP 2

struct fasync {
	struct list link;		/* in root->all */
	struct file *file;		/* borrowed: fasync_file_gone comes first */
	struct waiter w[QUEUES];
	unsigned n;
	int fd;
	uint32_t band;			/* a: EPOLL* bits since the last signal; 0 none */
};

struct fasync_root {
	struct mutex lock;		/* RANK_FILES */
	struct list all;
	bool started;			/* lock */
};

/* What the thread needs once the lock is gone. */
struct notice {
	__typeof__(((struct file *)0)->owner) owner;
	int fd;
	uint32_t band;
};

struct fasync_table {
	struct poll_table pt;
	struct fasync *fa;
};

static KCACHE(fasync_cache, struct fasync, 0);
static KCACHE(fasync_root_cache, struct fasync_root, 1);
static struct fasync_root *root;
static uint32_t work;			/* futex word: something is marked */

static void fasync_wakeup(struct waiter *w, uint32_t events)
{
	struct fasync *fa = w->owner;

	__atomic_fetch_or(&fa->band, events & 0xffff ? events & 0xffff : EPOLLIN, __ATOMIC_ACQ_REL);
	if (!__atomic_exchange_n(&work, 1, __ATOMIC_ACQ_REL))
		(void)h_futex_wake(&work, 1);
}

int fasync_start(void)
{
	root = kc_alloc(&fasync_root_cache);
	if (!root)
		return -ENOMEM;
	mutex_init(&root->lock, RANK_FILES);
	list_init(&root->all);
	wait_set_handler(WAIT_FASYNC, fasync_wakeup);
	return 0;
}

/* --- sending ---------------------------------------------------------------------------------- */

static bool may_signal(const struct notice *n, struct task *t)
{
	struct cred *c = task_cred_get(t);
	bool yes = n->owner.euid == 0 || n->owner.euid == c->suid || n->owner.euid == c->uid ||
		   n->owner.uid == c->suid || n->owner.uid == c->uid;

	cred_put(c);
	return yes;
}

static void fill_info(const struct notice *n, struct l_siginfo *si)
{
	int code = n->band & EPOLLIN ? POLL_IN : n->band & EPOLLOUT ? POLL_OUT : n->band & EPOLLHUP ? POLL_HUP
		: n->band & EPOLLERR ? POLL_ERR : POLL_IN;

	*si = (struct l_siginfo){.signo = n->owner.sig ? n->owner.sig : SIGIO};
	if (!n->owner.sig) {
		si->code = SI_KERNEL;
		return;
	}
	si->code = code;
	si->poll.band = n->band;
	si->poll.fd = n->fd;
}

static void send_notice(const struct notice *n)
{
	struct l_siginfo si;
	struct task *t;
	struct pid *p;

	if (!n->owner.pid)
		return;
	fill_info(n, &si);
	if (n->owner.type == OWNER_PGRP) {
		p = pid_lookup(task_root->pid_ns, n->owner.pid);
		if (p) {
			(void)signal_send_pgrp(p, si.signo, &si);
			pid_put(p);
		}
		return;
	}
	t = task_lookup(task_root->pid_ns, n->owner.pid);
	if (!t)
		return;
	if (may_signal(n, t))
		(void)signal_send(t, n->owner.type == OWNER_TID ? SEND_THREAD : SEND_PROCESS, si.signo, &si);
	task_put(t);
}

static unsigned collect(struct notice *out)
{
	struct fasync *fa;
	unsigned n = 0;

	mutex_lock(&root->lock);
	list_for_each(fa, &root->all, link) {
		uint32_t band;

		if (n == BATCH)
			break;
		band = __atomic_exchange_n(&fa->band, 0, __ATOMIC_ACQ_REL);
		if (band)
			out[n++] = (struct notice){fa->file->owner, fa->fd, band};
	}
	mutex_unlock(&root->lock);
	return n;
}

static void fasync_main(void *arg)
{
	struct notice batch[BATCH];
	unsigned n;

	for (;;) {
		while (!__atomic_exchange_n(&work, 0, __ATOMIC_ACQ_REL))
			(void)h_futex_wait(&work, 0, NULL);
		while ((n = collect(batch)))
			for (unsigned i = 0; i < n; i++)
				send_notice(&batch[i]);
	}
}

/* --- registering ------------------------------------------------------------------------------ */

static void fasync_queue(struct poll_table *pt, struct file *f, struct waitq *wq)
{
	struct fasync *fa = container_of(pt, struct fasync_table, pt)->fa;

	if (fa->n < QUEUES)
		wait_add(&fa->w[fa->n++], wq, WAIT_FASYNC, fa, ~0u);
}

static bool has_fasync(const struct file *f)
{
	switch (f->fops) {
	case FOPS_pipe: case FOPS_socket: case FOPS_tty: case FOPS_inotify:
		return true;
	}
	return false;
}

static struct fasync *take_locked(const struct file *f)
{
	struct fasync *fa;

	list_for_each(fa, &root->all, link)
		if (fa->file == f) {
			list_del(&fa->link);
			return fa;
		}
	return NULL;
}

void fasync_file_gone(struct file *f)
{
	struct fasync *fa;

	for (;;) {
		mutex_lock(&root->lock);
		fa = take_locked(f);
		mutex_unlock(&root->lock);
		if (!fa)
			return;
		for (unsigned i = 0; i < fa->n; i++)
			wait_end(&fa->w[i]);
		kc_free(&fasync_cache, fa);
	}
}

static int start_thread_locked(void)
{
	int r = root->started ? 0 : h_thread_spawn(fasync_main, NULL, 0);

	root->started = root->started || r == 0;
	return r ? -ENOMEM : 0;
}

int fasync_set(struct file *f, int fd, bool on)
{
	struct fasync_table tab = {.pt = {.queue = fasync_queue, .events = ~0u}};
	int r;

	if (!has_fasync(f))
		return 0;
	fasync_file_gone(f);
	if (!on)
		return 0;
	tab.fa = kc_alloc(&fasync_cache);
	if (!tab.fa)
		return -ENOMEM;
	tab.fa->file = f;
	tab.fa->fd = fd;
	mutex_lock(&root->lock);
	r = start_thread_locked();
	if (r == 0)
		list_add_tail(&root->all, &tab.fa->link);
	mutex_unlock(&root->lock);
	if (r) {
		kc_free(&fasync_cache, tab.fa);
		return r;
	}
	(void)vfs_poll(f, &tab.pt);
	return 0;
}
