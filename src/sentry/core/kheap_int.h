/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The arena's layout, private to core/.
 *
 *	root | chunk table | granule owners | slot metadata | data granules
 *
 * Data is handed out in granules of 32 KiB. A chunk is a run of granules that belongs to one cache
 * for ever; its last page is never accessible (guard). Metadata of slots lies apart from the
 * slots, so that a stray write to an object cannot turn into control of the free list.
 */
#include "lib/lock.h"
#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"

#define KHEAP_MAGIC 0x3170616568677262ull	/* "brgheap1": changes with the layout */
#define GRANULE ((uint64_t)32 << 10)
#define KC_MAX 400
#define CHUNKS_MAX (1u << 18)
#define CHUNK_GRANULES_MAX 8			/* for slots that are small */
#define NO_SLOT ~0u

struct kc_state {
	char name[32];
	uint32_t size;			/* bytes per slot */
	uint32_t max_objects;
	struct mutex lock;		/* RANK_HEAP */
	uint64_t live;
	uint32_t fresh_chunk;		/* index of the chunk with never used slots, or NO_SLOT */
	uint32_t fresh_slot;
	/* Freed slots, oldest first; reused only while more than `quarantine` are in line. */
	uint32_t free_count, quarantine;
	uint32_t free_head_chunk, free_head_slot;
	uint32_t free_tail_chunk, free_tail_slot;
	uint16_t next_granules;
	bool used;
};

struct slot_meta {
	uint32_t gen;			/* odd: live. Grows by one at alloc and at free */
	uint32_t next_slot;		/* free list */
	uint32_t next_chunk;
};

struct chunk {
	uint64_t first_granule;
	uint64_t meta;			/* index of its first slot_meta */
	uint32_t slots;
	uint16_t cache;
	uint16_t granules;
};

struct charge_state {
	uint64_t used[CHARGE_KINDS];
	uint64_t limit, file_limit;
};

struct kheap_root {
	uint64_t magic, base, reserve;
	uint64_t chunks_off, owners_off, metas_off, data_off;
	uint64_t granules, next_granule;
	uint64_t metas, next_meta;
	struct mutex lock;		/* RANK_HEAP, inside a cache's lock: chunks, cache table */
	uint32_t nchunks, ncaches;
	struct charge_state charge;
	void *anchors[KHEAP_ANCHORS];
	struct kc_state caches[KC_MAX];
};

extern struct kheap_root *kheap_root;	/* NULL before kheap_init */

/* kheap.c, for kmalloc.c */
struct kc_state *kc_state(struct kcache *c);
void *kc_state_alloc(struct kc_state *s) must_check;
/* The cache that the address belongs to; stops the process if it is no live slot. */
struct kc_state *kc_state_of(const void *obj);
void kc_state_free(struct kc_state *s, void *obj);
