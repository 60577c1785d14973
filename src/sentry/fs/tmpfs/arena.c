/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arena: one memfd, mapped into the Sentry and into no cell, from which tmpfs files get their
 * pages. Free pages are holes of the memfd, so that the host has its memory back, but for a small
 * stack of dirty ones that the next files take first. Page numbers start at 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>
#include "host/file.h"
#include "host/mem.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"

#define ARENA_PAGES (1u << 24)		/* 64 GiB of address space */
#define MAP_PAGES 32768u		/* of one bitmap page */
#define DIRTY_MAX 64u
#define EXTENT_MIN 16u			/* pages that are worth asking the host about */

struct arena {
	struct mutex lock;		/* RANK_OBJECT */
	hh_t h;
	uint64_t *map[ARENA_PAGES / MAP_PAGES];	/* bit set: in use; pages on demand */
	uint32_t hint, used;
	uint32_t dirty[DIRTY_MAX], nr_dirty;
};

static KCACHE(arena_cache, struct arena, 1);
static struct arena *ar;
static char *base;

int arena_init(void)
{
	void *p;
	int hfd = h_memfd_create("brig-files", MFD_CLOEXEC);

	if (hfd < 0)
		return hfd;
	ar = kc_alloc(&arena_cache);
	if (!ar) {
		h_close(hfd);
		return -ENOMEM;
	}
	mutex_init(&ar->lock, RANK_OBJECT);
	ar->hint = 1;
	int r = h_ftruncate(hfd, (int64_t)ARENA_PAGES * (int64_t)PAGE_SIZE);
	if (!r)
		r = h_mmap(&p, NULL, (size_t)ARENA_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_NORESERVE, hfd, 0);
	if (r) {
		h_close(hfd);
		return r;
	}
	base = p;
	return hh_add(hfd, &ar->h);
}

void *arena_page(uint32_t page)
{
	return base + (uint64_t)page * PAGE_SIZE;
}

uint64_t arena_size(void)
{
	return (uint64_t)ARENA_PAGES * PAGE_SIZE;
}

/* The bitmap word of a page, made on demand. */
static uint64_t *word_of(uint32_t page)
{
	uint64_t **m = &ar->map[page / MAP_PAGES];

	if (!*m)
		*m = kpage_alloc();
	return *m ? &(*m)[page % MAP_PAGES / 64] : NULL;
}

/* First free page from `from` on, marked; 0 if there is none. */
static uint32_t take_from(uint32_t from, uint32_t to)
{
	for (uint32_t p = from; p < to;) {
		uint64_t *w = word_of(p);
		if (!w)
			return 0;
		uint64_t free_ = ~*w & (~0ull << (p % 64));
		if (free_) {
			uint32_t got = (p & ~63u) + (uint32_t)__builtin_ctzll(free_);
			if (got >= to)
				return 0;
			*w |= 1ull << (got % 64);
			return got;
		}
		p = (p & ~63u) + 64;
	}
	return 0;
}

uint32_t arena_alloc(bool zero)
{
	uint32_t page = 0;
	bool dirty = false;

	mutex_lock(&ar->lock);
	if (ar->nr_dirty) {
		page = ar->dirty[--ar->nr_dirty];
		dirty = true;
	} else {
		page = take_from(ar->hint, ARENA_PAGES);
		if (!page)
			page = take_from(1, ar->hint);
		if (page)
			ar->hint = page + 1;
	}
	if (page)
		ar->used++;
	mutex_unlock(&ar->lock);
	if (page && dirty && zero)
		memset(arena_page(page), 0, PAGE_SIZE);
	return page;
}

void arena_free(uint32_t page, uint32_t n)
{
	uint32_t end = page + n;

	mutex_lock(&ar->lock);
	ar->used -= n;
	while (page < end && ar->nr_dirty < DIRTY_MAX)
		ar->dirty[ar->nr_dirty++] = --end;
	mutex_unlock(&ar->lock);
	if (page == end)
		return;
	/* Nobody can be given these pages before their bits are cleared. */
	if (h_fallocate(hh_fd(ar->h), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(int64_t)page * (int64_t)PAGE_SIZE, (int64_t)(end - page) * (int64_t)PAGE_SIZE))
		memset(arena_page(page), 0, (size_t)(end - page) * PAGE_SIZE);
	mutex_lock(&ar->lock);
	if (page < ar->hint)
		ar->hint = page;
	for (; page < end; page++)
		*word_of(page) &= ~(1ull << (page % 64));
	mutex_unlock(&ar->lock);
}

uint32_t arena_extent(uint32_t page, uint32_t n, bool *data)
{
	int64_t at = (int64_t)page * (int64_t)PAGE_SIZE, next;

	*data = true;
	if (n < EXTENT_MIN)
		return n;
	next = h_lseek(hh_fd(ar->h), at, SEEK_DATA);
	*data = next == at;
	if (*data)
		next = h_lseek(hh_fd(ar->h), at, SEEK_HOLE);
	return next <= at ? n : (uint32_t)min((uint64_t)(next - at) / PAGE_SIZE, (uint64_t)n);
}
