/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts of asynchronous I/O; see aio.h. */
#include "sentry/fs/aio/aio.h"
#include <errno.h>
#include "sentry/core/kheap.h"
#include "sentry/mm/mm.h"
#include "sentry/task/task.h"

struct aio_ctx {
	refcount_t ref;		/* its address space, and calls at work */
	struct list link;	/* mm lock: in mm->aio */
	uint64_t id;		/* I */
	uint32_t max, cap;	/* I: asked for; places in the ring */
	struct mutex lock;	/* RANK_OBJECT */
	struct waitq wq;
	bool dead;		/* lock */
	uint32_t head, count;	/* lock: events to fetch */
	uint32_t busy;		/* lock: places reserved */
	struct io_event *ring;	/* lock; cap entries */
};

static KCACHE(aio_cache, struct aio_ctx, 0);
static uint32_t total;	/* a */

uint32_t aio_total(void)
{
	return __atomic_load_n(&total, __ATOMIC_RELAXED);
}

static int count_in(uint32_t nr)
{
	uint32_t old = aio_total();

	do {
		if (nr > AIO_MAX_NR - old)
			return -EAGAIN;
	} while (!__atomic_compare_exchange_n(&total, &old, old + nr, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return 0;
}

int aio_create(struct mm *mm, uint64_t id, uint32_t nr)
{
	struct aio_ctx *c;
	int r = count_in(nr);

	if (r)
		return r;
	c = kc_alloc(&aio_cache);
	if (c) {
		c->cap = max(nr, 64u);	/* Linux rounds up to a page, too */
		c->ring = kmalloc_array(c->cap, sizeof(*c->ring));
	}
	if (!c || !c->ring) {
		kc_free(&aio_cache, c);
		__atomic_fetch_sub(&total, nr, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	ref_init(&c->ref, 1);
	mutex_init(&c->lock, RANK_OBJECT);
	wq_init(&c->wq);
	c->id = id;
	c->max = nr;
	mutex_lock(&mm->lock);
	list_add_tail(&mm->aio, &c->link);
	mutex_unlock(&mm->lock);
	return 0;
}

static struct aio_ctx *find_locked(struct mm *mm, uint64_t id)
{
	struct aio_ctx *c;

	list_for_each(c, &mm->aio, link)
		if (c->id == id)
			return c;
	return NULL;
}

struct aio_ctx *aio_get(struct mm *mm, uint64_t id)
{
	struct aio_ctx *c;

	mutex_lock(&mm->lock);
	c = find_locked(mm, id);
	if (c)
		ref_get(&c->ref);
	mutex_unlock(&mm->lock);
	return c;
}

void aio_put(struct aio_ctx *c)
{
	if (!ref_put(&c->ref))
		return;
	__atomic_fetch_sub(&total, c->max, __ATOMIC_RELAXED);
	wq_destroy(&c->wq);
	kfree(c->ring);
	kc_free(&aio_cache, c);
}

uint32_t aio_max(const struct aio_ctx *c)
{
	return c->max;
}

static void kill_ctx(struct aio_ctx *c)
{
	mutex_lock(&c->lock);
	c->dead = true;
	mutex_unlock(&c->lock);
	wq_wake_all(&c->wq);
	aio_put(c);
}

int aio_destroy(struct mm *mm, uint64_t id)
{
	struct aio_ctx *c;

	mutex_lock(&mm->lock);
	c = find_locked(mm, id);
	if (c)
		list_del(&c->link);
	mutex_unlock(&mm->lock);
	if (!c)
		return -EINVAL;
	kill_ctx(c);
	return 0;
}

static void aio_mm_exit(struct mm *mm)
{
	for (;;) {
		struct aio_ctx *c;

		mutex_lock(&mm->lock);
		c = list_first(&mm->aio, struct aio_ctx, link);
		if (c)
			list_del(&c->link);
		mutex_unlock(&mm->lock);
		if (!c)
			return;
		kill_ctx(c);
	}
}

int aio_reserve(struct aio_ctx *c)
{
	int r = -EAGAIN;

	mutex_lock(&c->lock);
	if (c->count + c->busy < c->cap) {
		c->busy++;
		r = 0;
	}
	mutex_unlock(&c->lock);
	return r;
}

void aio_unreserve(struct aio_ctx *c)
{
	mutex_lock(&c->lock);
	c->busy--;
	mutex_unlock(&c->lock);
}

void aio_complete(struct aio_ctx *c, const struct io_event *ev)
{
	mutex_lock(&c->lock);
	c->busy--;
	c->ring[(c->head + c->count++) % c->cap] = *ev;
	mutex_unlock(&c->lock);
	wq_wake_all(&c->wq);
}

static uint32_t take(struct aio_ctx *c, struct io_event *ev, uint32_t max, bool *dead)
{
	uint32_t n = 0;

	mutex_lock(&c->lock);
	*dead = c->dead;
	for (; n < max && c->count; n++, c->count--) {
		ev[n] = c->ring[c->head];
		c->head = (c->head + 1) % c->cap;
	}
	mutex_unlock(&c->lock);
	return n;
}

int64_t aio_wait(struct task *t, struct aio_ctx *c, uint32_t least, struct io_event *ev, uint32_t max,
		 uint64_t deadline)
{
	uint32_t n = 0;
	bool dead;
	int r = 0;

#define ENOUGH ((n += take(c, ev + n, max - n, &dead)) >= least || dead)
	if (!ENOUGH && deadline)
		r = wait_event(t, &c->wq, deadline, ENOUGH);
#undef ENOUGH
	if (n || (r == -ETIMEDOUT && !dead))
		return n;
	if (dead)
		return -EINVAL;
	return r ? -EINTR : 0;
}

void aio_start(void)
{
	mm_aio_exit = aio_mm_exit;
}
