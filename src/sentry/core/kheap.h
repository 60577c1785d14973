/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kernel heap: one arena at an address chosen when the sandbox is created, holding all state
 * that a guest can see. What lies in it may point at other things in it, and at nothing else: no
 * code pointers (objects carry a small typed id of a static const op table) and no host
 * descriptors or thread pointers (ids into tables that can be rebuilt). A checkpoint is this arena.
 *
 * Each object type has an address range of its own, never reused for another type (kcache);
 * variable-sized byte buffers come from kmalloc, which is one more set of types by size class.
 * Memory is zeroed. Freed objects are poisoned, quarantined and their slot's generation bumped.
 *
 * Every allocation is charged to the calling container (core/charge.h); it fails with NULL when
 * the limit is reached, which callers turn into -ENOMEM (or ENOSPC). Rank RANK_HEAP, taken inside.
 */
#include "lib/compiler.h"

must_check int kheap_init(uint64_t base, uint64_t reserve);
/* The image of the arena: a sparse file whose offsets are the arena's. Nothing may run meanwhile. */
must_check int kheap_save(int hfd);
/* In a fresh process instead of kheap_init: maps the image private at the address it was made for. */
must_check int kheap_load(int hfd);
/* Pointers into the arena that a restored process starts from; zero until they are set. */
#define KHEAP_ANCHORS 32
void **kheap_anchor(unsigned i);
/* Does p point into the arena? */
bool kheap_contains(const void *p);

/* One per object type, defined once at file scope with KCACHE. The descriptor is static memory of
 * the program; what it manages lies in the arena. */
struct kcache {
	const char *name;
	uint32_t size;
	uint32_t max_objects;	/* 0: only the charge limits it */
	void *state;		/* the arena's part, found by name on first use */
};
#define KCACHE(var, type, max) struct kcache var = {.name = #type, .size = sizeof(type), .max_objects = (max)}

void *kc_alloc(struct kcache *c) must_check;
void kc_free(struct kcache *c, void *obj);	/* NULL is accepted */
/* Generation of the slot of a live or freed object: differs after each free. */
uint32_t kc_generation(struct kcache *c, const void *obj);
/* Gives pages that hold nothing but free slots back to the host; how many. */
uint64_t kheap_trim(void);
/* Live objects of this cache (tests, /proc/slabinfo). */
uint64_t kc_live(const struct kcache *c);

#define KMALLOC_MAX (16ul << 20)
void *kmalloc(size_t n) must_check;		/* zeroed; NULL beyond KMALLOC_MAX */
void *kmalloc_array(size_t n, size_t size) must_check;
void kfree(void *p);
char *kstrdup(const char *s) must_check;
void *kmemdup(const void *p, size_t n) must_check;
/* Whole pages, for pipe and socket buffers; 4096-aligned. */
void *kpage_alloc(void) must_check;
void kpage_free(void *p);
