/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots are process memory, rebuilt when handles are. An event names slot and generation, and the
 * queue is woken under the lock, so an event that is late for a released slot finds nothing.
 */
#include "sentry/fs/hostfd/hpoll.h"
#include <errno.h>
#include "host/event.h"
#include "host/thread.h"
#include "lib/bug.h"
#include "lib/log.h"

#define HPOLL_SLOTS 256

struct hpoll_slot {
	struct waitq *wq;
	uint32_t gen;
	uint32_t armed;		/* what somebody waits for; an event ends all of it */
	int hfd;
};

static struct mutex hpoll_lock = MUTEX_INIT(RANK_OBJECT);
static struct hpoll_slot slots[HPOLL_SLOTS];
static int hpoll_ep = -1;

static void hpoll_event(const struct epoll_event *ev)
{
	uint32_t i = (uint32_t)ev->data.u64, gen = (uint32_t)(ev->data.u64 >> 32);

	mutex_lock(&hpoll_lock);
	if (i < HPOLL_SLOTS && slots[i].wq && slots[i].gen == gen) {
		slots[i].armed = 0;
		wq_wake_all(slots[i].wq);	/* who is not served yet arms again */
	}
	mutex_unlock(&hpoll_lock);
}

static void hpoll_main(void *arg)
{
	struct epoll_event evs[16];

	for (;;) {
		int n = h_epoll_pwait(hpoll_ep, evs, array_size(evs), -1);

		if (n == -EINTR)
			continue;
		if (n < 0) {
			log_error("hpoll: epoll_pwait: %d", n);
			return;
		}
		for (int i = 0; i < n; i++)
			hpoll_event(&evs[i]);
	}
}

static int hpoll_start_locked(void)
{
	int ep, r;

	if (hpoll_ep >= 0)
		return 0;
	ep = h_epoll_create(EPOLL_CLOEXEC);
	if (ep < 0)
		return ep;
	hpoll_ep = ep;
	r = h_thread_spawn(hpoll_main, NULL, 0);
	if (r < 0)
		hpoll_ep = -1;	/* the descriptor is lost; this happens at start-up only */
	return r;
}

int hpoll_add(hh_t h, struct waitq *wq, uint32_t *slot)
{
	struct epoll_event ev = {.events = EPOLLONESHOT};
	uint32_t i;
	int r;

	mutex_lock(&hpoll_lock);
	r = hpoll_start_locked();
	if (r < 0)
		goto out;
	for (i = 0; i < HPOLL_SLOTS && slots[i].wq; i++)
		;
	r = -ENFILE;
	if (i == HPOLL_SLOTS)
		goto out;
	slots[i].hfd = hh_fd(h);
	slots[i].gen++;
	slots[i].armed = 0;
	ev.data.u64 = i | (uint64_t)slots[i].gen << 32;
	r = slots[i].hfd < 0 ? slots[i].hfd : h_epoll_ctl(hpoll_ep, EPOLL_CTL_ADD, slots[i].hfd, &ev);
	if (r == 0) {
		slots[i].wq = wq;
		*slot = i;
	}
out:
	mutex_unlock(&hpoll_lock);
	return r;
}

void hpoll_arm(uint32_t slot, uint32_t events)
{
	struct epoll_event ev;

	BUG_ON(slot >= HPOLL_SLOTS);
	mutex_lock(&hpoll_lock);
	slots[slot].armed |= events & (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP);
	ev.events = slots[slot].armed | EPOLLONESHOT;
	ev.data.u64 = slot | (uint64_t)slots[slot].gen << 32;
	if (slots[slot].wq && h_epoll_ctl(hpoll_ep, EPOLL_CTL_MOD, slots[slot].hfd, &ev) < 0)
		log_warn("hpoll: cannot arm descriptor");
	mutex_unlock(&hpoll_lock);
}

void hpoll_del(uint32_t slot)
{
	struct epoll_event ev = {0};

	BUG_ON(slot >= HPOLL_SLOTS);
	mutex_lock(&hpoll_lock);
	if (slots[slot].wq && h_epoll_ctl(hpoll_ep, EPOLL_CTL_DEL, slots[slot].hfd, &ev) < 0)
		log_warn("hpoll: cannot remove descriptor");
	slots[slot].wq = NULL;
	mutex_unlock(&hpoll_lock);
}
