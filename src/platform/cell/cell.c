/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of spaces and threads, and who is which host thread. */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>
#include "host/file.h"

struct pl pl = {.lock = MUTEX_INIT(RANK_PLATFORM), .tmpl_lock = MUTEX_INIT(RANK_RENAME),
		.listener = -1};

/* An id is the index plus one in the low 16 bits and a generation above. */
#define ID_INDEX(v) (((v) & 0xffff) - 1)
#define ID_GEN(v) ((v) >> 16)
static_assert(PL_MAX_THREADS < 0xffff && PL_MAX_SPACES < 0xffff, "ids");

uint64_t pl_guest_top(void)
{
	return CELL_TOP;
}

static uint32_t thr_index(const struct pl_thr *t)
{
	return (uint32_t)(t - pl.thr);
}

pl_thread_t thr_id(const struct pl_thr *t)
{
	return (pl_thread_t){(thr_index(t) + 1) | (t->gen & 0xffff) << 16};
}

pl_space_t spc_id(const struct pl_spc *s)
{
	return (pl_space_t){((uint32_t)(s - pl.spc) + 1) | (s->gen & 0xffff) << 16};
}

struct pl_thr *thr_of(pl_thread_t id)
{
	uint32_t i = ID_INDEX(id.v);

	if (i >= PL_MAX_THREADS)
		return NULL;
	if (pl.thr[i].state != THR_LIVE || (pl.thr[i].gen & 0xffff) != ID_GEN(id.v))
		return NULL;
	return &pl.thr[i];
}

struct pl_spc *spc_of(pl_space_t id)
{
	uint32_t i = ID_INDEX(id.v);

	if (i >= PL_MAX_SPACES)
		return NULL;
	if (!pl.spc[i].used || (pl.spc[i].gen & 0xffff) != ID_GEN(id.v))
		return NULL;
	return &pl.spc[i];
}

static uint32_t slot_take(struct pl_spc *s, uint32_t want)
{
	if (want != SLOT_ANY) {
		if (s->slot_map[want / 64] & 1ull << (want % 64))
			return SLOT_ANY;
		s->slot_map[want / 64] |= 1ull << (want % 64);
		return want;
	}
	for (uint32_t w = 0; w < CELL_CTX_MAX / 64; w++) {
		if (s->slot_map[w] == ~0ull)
			continue;
		uint32_t b = (uint32_t)__builtin_ctzll(~s->slot_map[w]);

		s->slot_map[w] |= 1ull << b;
		return w * 64 + b;
	}
	return SLOT_ANY;
}

void thr_state_locked(struct pl_thr *t, enum thr_state state)
{
	int d = (state == THR_LIVE) - (t->state == THR_LIVE);

	t->state = state;
	if (!d)
		return;
	if (d < 0)
		wait_inactive(t);
	__atomic_add_fetch(&t->s->nlive, (uint32_t)d, __ATOMIC_SEQ_CST);
	if (d < 0 && __atomic_load_n(&t->s->live_waited, __ATOMIC_SEQ_CST))
		(void)h_futex_wake(&t->s->nlive, INT32_MAX);
}

/* Everything of a former user goes (I5). */
static void thr_reset(struct pl_thr *t)
{
	uint32_t gen = t->gen;

	memset(t, 0, sizeof(*t));
	t->gen = gen + 1;
}

void thr_renew_locked(struct pl_thr *t)
{
	struct pl_spc *s = t->s;
	uint32_t slot = t->slot, hnext = t->hnext, next = t->next, rp = t->rp, ev = t->ev;
	uint64_t c_addr = t->c_addr;
	struct cell_ctx *c = t->c;
	bool strict = t->strict;
	int htid = t->htid;

	thr_reset(t);
	t->strict = strict;
	t->s = s;
	t->slot = slot;
	t->rp = rp;
	t->ev = ev;
	t->hnext = hnext;
	t->next = next;
	t->c_addr = c_addr;
	t->c = c;
	t->htid = htid;
	t->state = THR_PARKED;
}

int thr_new(struct pl_spc *s, uint32_t slot, struct pl_thr **out)
{
	struct pl_thr *t;

	mutex_lock(&pl.lock);
	slot = slot_take(s, slot);
	if (slot == SLOT_ANY)
		goto full;
	if (pl.thr_free) {
		t = &pl.thr[pl.thr_free - 1];
		pl.thr_free = t->next;
	} else if (pl.thr_used < PL_MAX_THREADS) {
		t = &pl.thr[pl.thr_used++];
	} else {
		s->slot_map[slot / 64] &= ~(1ull << (slot % 64));
		goto full;
	}
	thr_reset(t);
	t->s = s;
	t->slot = slot;
	t->c = (void *)(s->ctx_map + (size_t)slot * CELL_CTX_SIZE);
	t->c_addr = CELL_CTX_BASE + (uint64_t)slot * CELL_CTX_SIZE;
	t->next = s->threads;
	s->threads = thr_index(t) + 1;
	s->nthreads++;
	thr_state_locked(t, THR_LIVE);
	mutex_unlock(&pl.lock);
	memset(t->c, 0, sizeof(*t->c));
	*out = t;
	return 0;
full:
	mutex_unlock(&pl.lock);
	return -EAGAIN;
}

void thr_free(struct pl_thr *t)
{
	struct pl_spc *s = t->s;
	uint32_t *p;

	mutex_lock(&pl.lock);
	tid_del_locked(t);
	for (p = &s->threads; *p; p = &pl.thr[*p - 1].next) {
		if (&pl.thr[*p - 1] == t) {
			*p = t->next;
			break;
		}
	}
	s->nthreads--;
	s->slot_map[t->slot / 64] &= ~(1ull << (t->slot % 64));
	thr_state_locked(t, THR_FREE);
	t->s = NULL;
	t->next = pl.thr_free;
	pl.thr_free = thr_index(t) + 1;
	mutex_unlock(&pl.lock);
}

/*
 * To clear a few pages costs less than to give them back: that interrupts all CPUs that have them
 * mapped. What is more than a thread uses goes.
 */
int ctx_clear(const struct pl_spc *s, size_t from, size_t to)
{
	int64_t at = (int64_t)from, end;
	size_t n, kept = 0;
	int r = 0;

	if (from == to)
		return 0;
	if (s->ctx_hfd < 0)
		return h_madvise(s->ctx_map + from, to - from, MADV_REMOVE);
	while (!r) {
		at = h_lseek(s->ctx_hfd, at, SEEK_DATA);
		if (at == -ENXIO || at >= (int64_t)to)
			break;
		end = at < 0 ? at : h_lseek(s->ctx_hfd, at, SEEK_HOLE);
		if (end < 0)
			return (int)end;
		n = (size_t)(min(end, (int64_t)to) - at);
		kept += n;
		if (kept <= CELL_CTX_SIZE)
			memset(s->ctx_map + at, 0, n);
		else
			r = h_madvise(s->ctx_map + at, n, MADV_REMOVE);
		at = end;
	}
	return r;
}

static bool spare_take(struct pl_spc *s)
{
	bool got;

	mutex_lock(&pl.lock);
	got = pl.nspare > 0;
	if (got) {
		pl.nspare--;
		s->ctx_map = pl.spare[pl.nspare].map;
		s->ctx_hfd = pl.spare[pl.nspare].hfd;
	}
	mutex_unlock(&pl.lock);
	return got;
}

/* The space's process is gone: nobody else can reach its memory (I5). */
static bool spare_leave(struct pl_spc *s)
{
	bool left;

	mutex_lock(&pl.lock);
	pl.nkept--;
	left = pl.nspare < PL_SPARE_MAX;
	mutex_unlock(&pl.lock);
	if (!left || ctx_clear(s, 0, CELL_CTX_SPAN))
		return false;
	mutex_lock(&pl.lock);
	left = pl.nspare < PL_SPARE_MAX;
	if (left) {
		pl.spare[pl.nspare].map = s->ctx_map;
		pl.spare[pl.nspare++].hfd = s->ctx_hfd;
		s->ctx_map = NULL;
		s->ctx_hfd = -1;
	}
	mutex_unlock(&pl.lock);
	return left;
}

static int ctx_memfd(struct pl_spc *s)
{
	void *map = NULL;
	int r, fd;

	if (spare_take(s))
		return 0;
	fd = h_memfd_create("cell", MFD_CLOEXEC);
	if (fd < 0)
		return fd;
	r = h_ftruncate(fd, CELL_CTX_SPAN);
	if (!r)
		r = h_mmap(&map, NULL, CELL_CTX_SPAN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r) {
		h_close(fd);
		return r;
	}
	s->ctx_map = map;
	s->ctx_hfd = fd;
	return 0;
}

int spc_new(struct pl_spc **out)
{
	struct pl_spc *s;
	uint32_t gen;
	int r;

	mutex_lock(&pl.lock);
	if (pl.spc_free) {
		s = &pl.spc[pl.spc_free - 1];
		pl.spc_free = s->next;
	} else if (pl.spc_used < PL_MAX_SPACES) {
		s = &pl.spc[pl.spc_used++];
	} else {
		mutex_unlock(&pl.lock);
		return -EAGAIN;
	}
	gen = s->gen + 1;
	memset(s, 0, sizeof(*s));
	s->gen = gen;
	s->ctx_hfd = -1;
	s->mem_hfd = s->stat_hfd = -1;
	s->used = true;
	mutex_unlock(&pl.lock);
	r = ctx_memfd(s);
	if (r) {
		spc_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void spc_free(struct pl_spc *s)
{
	if (s->ctx_kept && !spare_leave(s))
		pl_debug("space: its contexts are not kept");
	if (s->ctx_hfd >= 0)
		h_close(s->ctx_hfd);
	if (s->ctx_map)
		BUG_ON(h_munmap(s->ctx_map, CELL_CTX_SPAN));
	s->ctx_map = NULL;
	s->ctx_hfd = -1;
	mem_close(s);
	mutex_lock(&pl.lock);
	s->used = false;
	s->next = pl.spc_free;
	pl.spc_free = (uint32_t)(s - pl.spc) + 1;
	mutex_unlock(&pl.lock);
}

/* A registration overrides an older entry of the same number (R20). */
void tid_add_locked(struct pl_thr *t, int htid)
{
	struct pl_thr *old = tid_find_locked(htid);
	uint32_t *head = &pl.tids[(uint32_t)htid % PL_TID_BUCKETS];

	if (old)
		tid_del_locked(old);
	tid_del_locked(t);
	t->htid = htid;
	t->hnext = *head;
	*head = thr_index(t) + 1;
}

void tid_del_locked(struct pl_thr *t)
{
	uint32_t *p;

	if (!t->htid)
		return;
	for (p = &pl.tids[(uint32_t)t->htid % PL_TID_BUCKETS]; *p; p = &pl.thr[*p - 1].hnext) {
		if (&pl.thr[*p - 1] == t) {
			*p = t->hnext;
			break;
		}
	}
	t->htid = 0;
}

struct pl_thr *tid_find_locked(int htid)
{
	uint32_t i = pl.tids[(uint32_t)htid % PL_TID_BUCKETS];

	while (i && pl.thr[i - 1].htid != htid)
		i = pl.thr[i - 1].hnext;
	return i ? &pl.thr[i - 1] : NULL;
}
