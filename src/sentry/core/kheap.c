/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type-isolated slabs. See kheap_int.h for the layout. A cache's lock protects its free list, its
 * slots' metadata and its counters; the root's lock (taken inside) the tables.
 */
#include <errno.h>
#include <string.h>
#include "lib/bug.h"
#include "lib/log.h"
#include "host/mem.h"
#include "sentry/core/kheap_int.h"

#define POISON 0x6b			/* a pointer of these bytes is not canonical */
#define SLOT_ALIGN 16u
#define QUARANTINE_SLOTS 64u
#define QUARANTINE_BYTES (16u << 10)
#define BIG_SLOT (32u << 10)		/* from here pages go back to the host when freed */

struct kheap_root *kheap_root;

static struct chunk *chunk_at(uint32_t i)
{
	return (struct chunk *)(kheap_root->base + kheap_root->chunks_off) + i;
}

static uint32_t *owner_at(uint64_t granule)
{
	return (uint32_t *)(kheap_root->base + kheap_root->owners_off) + granule;
}

static struct slot_meta *meta_at(const struct chunk *ch, uint32_t slot)
{
	return (struct slot_meta *)(kheap_root->base + kheap_root->metas_off) + ch->meta + slot;
}

static char *granule_at(uint64_t granule)
{
	return (char *)(kheap_root->base + kheap_root->data_off + granule * GRANULE);
}

void **kheap_anchor(unsigned i)
{
	BUG_ON(i >= KHEAP_ANCHORS);
	return &kheap_root->anchors[i];
}

bool kheap_contains(const void *p)
{
	uint64_t a = (uint64_t)(uintptr_t)p;

	return kheap_root && a >= kheap_root->base && a - kheap_root->base < kheap_root->reserve;
}

static uint64_t page_round(uint64_t n)
{
	return (n + PAGE_SIZE - 1) & PAGE_MASK;
}

/* Reserves [base, base + reserve) and makes the tables writable. */
int kheap_init(uint64_t base, uint64_t reserve)
{
	uint64_t granules = reserve / GRANULE;
	uint64_t chunks_off = page_round(sizeof(struct kheap_root));
	uint64_t owners_off = chunks_off + page_round(sizeof(struct chunk) * CHUNKS_MAX);
	uint64_t metas_off = owners_off + page_round(granules * sizeof(uint32_t));
	uint64_t metas = granules * (GRANULE / 64);	/* slots of 64 bytes on average */
	uint64_t data_off = metas_off + page_round(metas * sizeof(struct slot_meta));
	struct kheap_root *r;
	void *p;
	int rc;

	data_off = (data_off + GRANULE - 1) / GRANULE * GRANULE;
	if (base % GRANULE || data_off >= reserve)
		return -EINVAL;
	rc = h_mmap(&p, (void *)base, reserve, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (rc)
		return rc;
	if ((uint64_t)p != base) {
		(void)!h_munmap(p, reserve);
		return -EEXIST;
	}
	rc = h_mprotect(p, data_off, PROT_READ | PROT_WRITE);
	if (rc)
		return rc;
	(void)!h_madvise(p, reserve, MADV_NOHUGEPAGE);
	(void)!h_madvise(p, reserve, MADV_DONTDUMP);
	r = p;
	r->magic = KHEAP_MAGIC;
	r->base = base;
	r->reserve = reserve;
	r->chunks_off = chunks_off;
	r->owners_off = owners_off;
	r->metas_off = metas_off;
	r->data_off = data_off;
	r->granules = (reserve - data_off) / GRANULE;
	r->metas = metas;
	mutex_init(&r->lock, RANK_HEAP);
	kheap_root = r;
	return 0;
}

/* --- caches --------------------------------------------------------------------------------- */

static uint32_t slot_size(uint32_t size)
{
	return max((size + SLOT_ALIGN - 1) & ~(SLOT_ALIGN - 1), 32u);
}

static void cache_setup(struct kc_state *s, const struct kcache *c)
{
	size_t n = strnlen(c->name, sizeof(s->name) - 1);

	memcpy(s->name, c->name, n);
	s->size = slot_size(c->size);
	s->max_objects = c->max_objects;
	s->fresh_chunk = s->free_head_chunk = s->free_tail_chunk = NO_SLOT;
	s->next_granules = 1;
	s->quarantine = s->size >= BIG_SLOT ? 0 : min(QUARANTINE_SLOTS, QUARANTINE_BYTES / s->size);
	mutex_init(&s->lock, RANK_HEAP);
	s->used = true;
}

/* By name: a restored image finds its own part again, wherever the program's statics lie. */
struct kc_state *kc_state(struct kcache *c)
{
	struct kc_state *s = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);
	struct kheap_root *r = kheap_root;
	uint32_t i;

	if (likely(s))
		return s;
	BUG_ON(!r);
	mutex_lock(&r->lock);
	for (i = 0; i < r->ncaches; i++)
		if (!strncmp(r->caches[i].name, c->name, sizeof(r->caches[i].name) - 1))
			break;
	BUG_ON(i == KC_MAX);
	s = &r->caches[i];
	if (i == r->ncaches) {
		cache_setup(s, c);
		r->ncaches++;
	}
	BUG_ON(s->size != slot_size(c->size));	/* two types of one name, or another build */
	__atomic_store_n(&c->state, s, __ATOMIC_RELEASE);
	mutex_unlock(&r->lock);
	return s;
}

/* A new run of granules for the cache; NO_SLOT when the arena or the host has no more. */
static uint32_t chunk_create(struct kc_state *s)
{
	struct kheap_root *r = kheap_root;
	uint64_t need = s->next_granules, bytes;
	uint32_t id = NO_SLOT, slots;
	struct chunk *ch;

	need = max(need, (s->size + PAGE_SIZE + GRANULE - 1) / GRANULE);
	bytes = need * GRANULE - PAGE_SIZE;
	slots = (uint32_t)(bytes / s->size);
	mutex_lock_nested(&r->lock);
	if (r->nchunks == CHUNKS_MAX || need > r->granules - r->next_granule ||
	    slots > r->metas - r->next_meta)
		goto out;
	if (h_mprotect(granule_at(r->next_granule), bytes, PROT_READ | PROT_WRITE))
		goto out;
	id = r->nchunks++;
	ch = chunk_at(id);
	*ch = (struct chunk){.first_granule = r->next_granule,
			     .meta = r->next_meta,
			     .slots = slots,
			     .cache = (uint16_t)(s - r->caches),
			     .granules = (uint16_t)need};
	for (uint64_t i = 0; i < need; i++)
		*owner_at(r->next_granule + i) = id;
	r->next_meta += slots;
	__atomic_store_n(&r->next_granule, r->next_granule + need, __ATOMIC_RELEASE);
	if (s->next_granules < CHUNK_GRANULES_MAX)
		s->next_granules *= 2;
out:
	mutex_unlock(&r->lock);
	return id;
}

/* Slots end where the guard page begins. */
static uint64_t chunk_slack(const struct kc_state *s, const struct chunk *ch)
{
	return ch->granules * GRANULE - PAGE_SIZE - (uint64_t)ch->slots * s->size;
}

static void *slot_addr(const struct kc_state *s, const struct chunk *ch, uint32_t slot)
{
	return granule_at(ch->first_granule) + chunk_slack(s, ch) + (uint64_t)slot * s->size;
}

/* Where a live or freed object's slot is; stops on an address that is no slot of `s`. */
static struct chunk *slot_find(const void *obj, uint32_t *slot)
{
	struct kheap_root *r = kheap_root;
	uint64_t a = (uint64_t)(uintptr_t)obj, off;
	struct chunk *ch;
	struct kc_state *s;

	BUG_ON(a < r->base + r->data_off || a >= r->base + r->reserve);
	off = a - r->base - r->data_off;
	BUG_ON(off / GRANULE >= __atomic_load_n(&r->next_granule, __ATOMIC_ACQUIRE));
	ch = chunk_at(*owner_at(off / GRANULE));
	s = &r->caches[ch->cache];
	off -= ch->first_granule * GRANULE + chunk_slack(s, ch);
	BUG_ON(off % s->size || off / s->size >= ch->slots);
	*slot = (uint32_t)(off / s->size);
	return ch;
}

static void *take_free(struct kc_state *s, struct slot_meta **m)
{
	struct chunk *ch = chunk_at(s->free_head_chunk);
	uint32_t slot = s->free_head_slot;

	*m = meta_at(ch, slot);
	s->free_head_chunk = (*m)->next_chunk;
	s->free_head_slot = (*m)->next_slot;
	s->free_count--;
	if (!s->free_count)
		s->free_head_chunk = s->free_tail_chunk = NO_SLOT;
	return slot_addr(s, ch, slot);
}

static void *take_fresh(struct kc_state *s, struct slot_meta **m)
{
	struct chunk *ch;
	uint32_t slot;

	if (s->fresh_chunk == NO_SLOT) {
		s->fresh_chunk = chunk_create(s);
		s->fresh_slot = 0;
		if (s->fresh_chunk == NO_SLOT)
			return NULL;
	}
	ch = chunk_at(s->fresh_chunk);
	slot = s->fresh_slot++;
	if (s->fresh_slot == ch->slots)
		s->fresh_chunk = NO_SLOT;
	*m = meta_at(ch, slot);
	return slot_addr(s, ch, slot);
}

#ifdef BRIG_DEBUG
static void poison_check(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		BUG_ON(p[i] != POISON && p[i]);	/* written after it was freed; 0: trimmed */
}
#endif

void *kc_state_alloc(struct kc_state *s)
{
	struct slot_meta *m = NULL;
	bool reused = false;
	void *p = NULL;

	if (charge(CHARGE_KERNEL, s->size))
		return NULL;
	mutex_lock(&s->lock);
	if (!s->max_objects || s->live < s->max_objects) {
		if (s->free_count > s->quarantine)
			p = take_free(s, &m), reused = true;
		else
			p = take_fresh(s, &m);
		if (!p && s->free_count)
			p = take_free(s, &m), reused = true;
	}
	if (p) {
		BUG_ON(m->gen & 1);
		m->gen++;
		__atomic_store_n(&s->live, s->live + 1, __ATOMIC_RELAXED);	/* kc_live has no lock */
	}
	mutex_unlock(&s->lock);
	if (!p) {
		uncharge(CHARGE_KERNEL, s->size);
		return NULL;
	}
	if (reused && s->size < BIG_SLOT) {
#ifdef BRIG_DEBUG
		poison_check(p, s->size);
#endif
		memset(p, 0, s->size);
	}
	return p;
}

struct kc_state *kc_state_of(const void *obj)
{
	uint32_t slot;

	return &kheap_root->caches[slot_find(obj, &slot)->cache];
}

void kc_state_free(struct kc_state *s, void *obj)
{
	uint32_t slot;
	struct chunk *ch = slot_find(obj, &slot);
	struct slot_meta *m = meta_at(ch, slot);
	uint32_t id = (uint32_t)(ch - chunk_at(0));

	BUG_ON(&kheap_root->caches[ch->cache] != s);	/* freed as another type */
	BUG_ON(!(__atomic_load_n(&m->gen, __ATOMIC_RELAXED) & 1));	/* freed twice */
	if (s->size >= BIG_SLOT)
		(void)!h_madvise(obj, page_round(s->size), MADV_DONTNEED);
	else
		memset(obj, POISON, s->size);
	mutex_lock(&s->lock);
	BUG_ON(!(m->gen & 1));
	m->gen++;
	m->next_chunk = m->next_slot = NO_SLOT;
	if (s->free_count) {
		struct slot_meta *tail = meta_at(chunk_at(s->free_tail_chunk), s->free_tail_slot);

		tail->next_chunk = id;
		tail->next_slot = slot;
	} else {
		s->free_head_chunk = id;
		s->free_head_slot = slot;
	}
	s->free_tail_chunk = id;
	s->free_tail_slot = slot;
	s->free_count++;
	__atomic_store_n(&s->live, s->live - 1, __ATOMIC_RELAXED);
	mutex_unlock(&s->lock);
	uncharge(CHARGE_KERNEL, s->size);
}

void *kc_alloc(struct kcache *c)
{
	return kc_state_alloc(kc_state(c));
}

void kc_free(struct kcache *c, void *obj)
{
	if (obj)
		kc_state_free(kc_state(c), obj);
}

uint32_t kc_generation(struct kcache *c, const void *obj)
{
	uint32_t slot;
	struct chunk *ch = slot_find(obj, &slot);

	BUG_ON(&kheap_root->caches[ch->cache] != kc_state(c));
	return __atomic_load_n(&meta_at(ch, slot)->gen, __ATOMIC_ACQUIRE) >> 1;
}

uint64_t kc_live(const struct kcache *c)
{
	const struct kc_state *s = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

	return s ? __atomic_load_n(&s->live, __ATOMIC_RELAXED) : 0;
}

/* --- what is free goes back ------------------------------------------------------------------- */

static uint64_t give_back(const struct kc_state *s, const struct chunk *ch, uint32_t from, uint32_t to)
{
	uint64_t lo = page_round((uint64_t)(uintptr_t)slot_addr(s, ch, from));
	uint64_t hi = (uint64_t)(uintptr_t)slot_addr(s, ch, to) & PAGE_MASK;

	if (lo >= hi || h_madvise((void *)(uintptr_t)lo, hi - lo, MADV_DONTNEED))
		return 0;
	return (hi - lo) / PAGE_SIZE;
}

static uint64_t trim_chunk(const struct kc_state *s, const struct chunk *ch)
{
	uint64_t pages = 0;
	uint32_t from = 0;

	for (uint32_t i = 0; i <= ch->slots; i++) {
		if (i < ch->slots && !(meta_at(ch, i)->gen & 1))
			continue;
		if (i > from)
			pages += give_back(s, ch, from, i);
		from = i + 1;
	}
	return pages;
}

uint64_t kheap_trim(void)
{
	struct kheap_root *r = kheap_root;
	uint64_t pages = 0;
	uint32_t n;

	mutex_lock(&r->lock);
	n = r->nchunks;		/* those are complete */
	mutex_unlock(&r->lock);
	for (uint32_t i = 0; i < n; i++) {
		struct chunk *ch = chunk_at(i);
		struct kc_state *s = &r->caches[ch->cache];

		if (s->size >= BIG_SLOT)
			continue;	/* they went back when they were freed */
		mutex_lock(&s->lock);
		pages += trim_chunk(s, ch);
		mutex_unlock(&s->lock);
	}
	return pages;
}
