/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a regular file: arena pages by number, or a memfd. Called with the inode locked. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>
#include "host/file.h"
#include "host/mem.h"
#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"
#include "sentry/task/task.h"

#define IDLE_MAX 96u	/* memfds of files that nobody has open */
#define ALLOC_STEP (64ull << 20)	/* what is allocated between two looks for signals */

static struct mutex idle_lock = MUTEX_INIT(RANK_OBJECT);
static struct list idle = LIST_INIT(idle);
static uint32_t nr_idle;

/* --- accounting ------------------------------------------------------------------------------ */

static int account(struct tnode *n, uint64_t pages)
{
	struct tmpfs_super *ts = tmpfs_sb(&n->inode);

	if (ts) {
		uint64_t used = __atomic_add_fetch(&ts->used_pages, pages, __ATOMIC_RELAXED);
		if (ts->max_pages && used > ts->max_pages) {
			__atomic_fetch_sub(&ts->used_pages, pages, __ATOMIC_RELAXED);
			return -ENOSPC;
		}
	}
	if (charge(CHARGE_FILE, pages * PAGE_SIZE)) {
		if (ts)
			__atomic_fetch_sub(&ts->used_pages, pages, __ATOMIC_RELAXED);
		return -ENOSPC;
	}
	n->blocks += pages;
	return 0;
}

static void unaccount(struct tnode *n, uint64_t pages)
{
	struct tmpfs_super *ts = tmpfs_sb(&n->inode);

	if (!pages)
		return;
	n->blocks -= pages;
	if (ts)
		__atomic_fetch_sub(&ts->used_pages, pages, __ATOMIC_RELAXED);
	uncharge(CHARGE_FILE, pages * PAGE_SIZE);
}

/* The host counts more pages than could be accounted. */
static bool memfd_over(struct tnode *n)
{
	struct stat st;

	return !h_fstat(hh_fd(n->memfd), &st) && (uint64_t)st.st_blocks / 8 > n->blocks;
}

/* A mapped file grows without our doing: what the host counts is what is accounted. */
void tdata_sync_blocks(struct tnode *n)
{
	struct stat st;

	if (hh_is_none(n->memfd) || h_fstat(hh_fd(n->memfd), &st))
		return;
	uint64_t now = (uint64_t)st.st_blocks / 8;
	if (now < n->blocks)
		unaccount(n, n->blocks - now);
	else if (now > n->blocks)
		(void)!account(n, now - n->blocks);	/* over the limit: the next write is refused */
}

/* --- pages ----------------------------------------------------------------------------------- */

static uint32_t *slot_find(struct tnode *n, uint64_t idx)
{
	uint64_t c = idx / TPAGES_CHUNK;

	if (c >= n->pages.cap || !n->pages.chunk[c])
		return NULL;
	return &n->pages.chunk[c][idx % TPAGES_CHUNK];
}

/* Behind it there are none, however large the file is. */
static uint64_t pages_end(const struct tnode *n)
{
	uint64_t size = n->inode.size / PAGE_SIZE + (n->inode.size % PAGE_SIZE != 0);

	return min(size, (uint64_t)n->pages.cap * TPAGES_CHUNK);
}

static uint32_t *slot_make(struct tnode *n, uint64_t idx)
{
	uint64_t c = idx / TPAGES_CHUNK;
	struct tpages *p = &n->pages;

	if (c >= p->cap) {
		uint64_t cap = max(c + 1, (uint64_t)p->cap * 2);
		if (cap * sizeof(*p->chunk) > KMALLOC_MAX)
			cap = c + 1;
		uint32_t **v = cap * sizeof(*v) <= KMALLOC_MAX ? kmalloc_array(cap, sizeof(*v)) : NULL;
		if (!v)
			return NULL;
		if (p->cap)
			memcpy(v, p->chunk, p->cap * sizeof(*v));
		kfree(p->chunk);
		p->chunk = v;
		p->cap = (uint32_t)cap;
	}
	if (!p->chunk[c])
		p->chunk[c] = kpage_alloc();
	return p->chunk[c] ? &p->chunk[c][idx % TPAGES_CHUNK] : NULL;
}

/* The page at idx for writing; whole: every byte of it will be written. */
static int page_make(struct tnode *n, uint64_t idx, bool whole, uint32_t *out)
{
	uint32_t *s = slot_make(n, idx);

	if (!s)
		return -ENOSPC;
	if (!*s) {
		int r = account(n, 1);
		if (r)
			return r;
		*s = arena_alloc(!whole);
		if (!*s) {
			unaccount(n, 1);
			return -ENOSPC;
		}
	}
	*out = *s;
	return 0;
}

/* Frees whole pages [from, to). */
static void pages_free(struct tnode *n, uint64_t from, uint64_t to)
{
	uint32_t run = 0, len = 0;

	to = min(to, (uint64_t)n->pages.cap * TPAGES_CHUNK);
	for (uint64_t i = from; i < to; i++) {
		uint32_t *s = slot_find(n, i);
		if (!s) {
			i |= TPAGES_CHUNK - 1;
			continue;
		}
		if (!*s)
			continue;
		uint32_t page = *s;
		*s = 0;
		unaccount(n, 1);
		if (len && page == run + len) {
			len++;
			continue;
		}
		if (len)
			arena_free(run, len);
		run = page;
		len = 1;
	}
	if (len)
		arena_free(run, len);
}

static void zero_part(struct tnode *n, uint64_t pos, uint64_t end)
{
	uint32_t *s = slot_find(n, pos / PAGE_SIZE);

	if (s && *s && end > pos)
		memset((char *)arena_page(*s) + pos % PAGE_SIZE, 0, end - pos);
}

int64_t tdata_read(struct tnode *n, uint64_t pos, void *dst, size_t len)
{
	if (pos >= n->inode.size)
		return 0;
	len = min(len, n->inode.size - pos);
	if (!hh_is_none(n->memfd))
		return h_pread(hh_fd(n->memfd), dst, len, (int64_t)pos);
	for (size_t done = 0; done < len;) {
		size_t off = (pos + done) % PAGE_SIZE, m = min(PAGE_SIZE - off, len - done);
		uint32_t *s = slot_find(n, (pos + done) / PAGE_SIZE);
		if (s && *s)
			memcpy((char *)dst + done, (char *)arena_page(*s) + off, m);
		else
			memset((char *)dst + done, 0, m);
		done += m;
	}
	return (int64_t)len;
}

static int64_t memfd_write(struct tnode *n, uint64_t pos, const void *src, size_t len)
{
	uint64_t end_page = (pos + len + PAGE_SIZE - 1) / PAGE_SIZE;

	tdata_sync_blocks(n);
	if (end_page * PAGE_SIZE > n->inode.size + PAGE_SIZE - 1) {	/* certainly new pages */
		uint64_t extra = end_page - (n->inode.size + PAGE_SIZE - 1) / PAGE_SIZE;
		int r = account(n, extra);
		if (r)
			return r;
	}
	int64_t r = h_pwrite(hh_fd(n->memfd), src, len, (int64_t)pos);
	if (r > 0 && pos + (uint64_t)r > n->inode.size)
		n->inode.size = pos + (uint64_t)r;
	tdata_sync_blocks(n);
	return r == -EPERM || r == -EFBIG ? r : r < 0 ? -ENOSPC : r;
}

int64_t tdata_write(struct tnode *n, uint64_t pos, const void *src, size_t len)
{
	size_t done = 0;
	int r = 0;

	if (!hh_is_none(n->memfd))
		return memfd_write(n, pos, src, len);
	while (done < len) {
		size_t off = (pos + done) % PAGE_SIZE, m = min(PAGE_SIZE - off, len - done);
		uint32_t page;
		r = page_make(n, (pos + done) / PAGE_SIZE, m == PAGE_SIZE, &page);
		if (r)
			break;
		memcpy((char *)arena_page(page) + off, (const char *)src + done, m);
		done += m;
	}
	if (pos + done > n->inode.size && done)
		n->inode.size = pos + done;
	return done ? (int64_t)done : r;
}

int tdata_resize(struct tnode *n, uint64_t size)
{
	uint64_t old = n->inode.size;

	if (!hh_is_none(n->memfd)) {
		int r = h_ftruncate(hh_fd(n->memfd), (int64_t)size);
		if (r)
			return r == -EPERM ? r : -ENOSPC;
		n->inode.size = size;
		tdata_sync_blocks(n);
		return 0;
	}
	if (size <= old) {
		pages_free(n, (size + PAGE_SIZE - 1) / PAGE_SIZE, UINT64_MAX);	/* preallocated ones, too */
		if (size % PAGE_SIZE)
			zero_part(n, size, (size | (PAGE_SIZE - 1)) + 1);
	}
	n->inode.size = size;
	return 0;
}

static void chunks_free(struct tnode *n)
{
	for (uint32_t c = 0; c < n->pages.cap; c++)
		kpage_free(n->pages.chunk[c]);
	kfree(n->pages.chunk);
	n->pages = (struct tpages){NULL, 0};
}

void tdata_free(struct tnode *n)
{
	mutex_lock(&idle_lock);
	if (!list_empty(&n->idle)) {
		list_del(&n->idle);
		nr_idle--;
	}
	mutex_unlock(&idle_lock);
	pages_free(n, 0, UINT64_MAX);
	chunks_free(n);
	unaccount(n, n->blocks);
	hh_close(n->memfd);
	hh_close(n->memfd_ro);
	n->memfd = n->memfd_ro = HH_NONE;
}

static bool stop_asked(void)
{
	return current && signal_pending(current);
}

/* In steps, each within the limit; what a failed call added behind the end is given back. */
static int memfd_alloc(struct tnode *n, uint64_t from, uint64_t to)
{
	uint64_t at = from, len, behind = max(from, n->inode.size);
	int r = 0;

	for (; at < to && !r; at += len) {
		uint64_t had = n->blocks;

		len = min(ALLOC_STEP, to - at);
		if (stop_asked())
			r = -EINTR;
		else if (h_fallocate(hh_fd(n->memfd), FALLOC_FL_KEEP_SIZE, (int64_t)at, (int64_t)len))
			r = -ENOSPC;
		tdata_sync_blocks(n);
		if (!r && n->blocks == had && memfd_over(n))
			r = -ENOSPC;
	}
	if (r && at > behind) {
		(void)!h_fallocate(hh_fd(n->memfd), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (int64_t)behind, (int64_t)(at - behind));
		tdata_sync_blocks(n);
	}
	return r;
}

int tdata_alloc(struct tnode *n, uint64_t from, uint64_t to)
{
	if (!hh_is_none(n->memfd))
		return memfd_alloc(n, from, to);
	uint64_t size = (n->inode.size + PAGE_SIZE - 1) / PAGE_SIZE, first = from / PAGE_SIZE;
	bool had_some = false;

	for (uint64_t i = first; i * PAGE_SIZE < to; i++) {
		uint32_t *s = slot_find(n, i), page;
		int r;

		had_some |= s && *s && i < size;
		r = i % (ALLOC_STEP / PAGE_SIZE) == 0 && stop_asked() ? -EINTR : page_make(n, i, false, &page);
		if (r) {	/* nothing of a failed call stays, as far as that is known */
			pages_free(n, had_some ? max(first, size) : first, i);
			return r;
		}
	}
	return 0;
}

void tdata_punch(struct tnode *n, uint64_t from, uint64_t to)
{
	if (!hh_is_none(n->memfd)) {
		(void)!h_fallocate(hh_fd(n->memfd), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   (int64_t)from, (int64_t)(to - from));
		tdata_sync_blocks(n);
		return;
	}
	uint64_t first = (from + PAGE_SIZE - 1) / PAGE_SIZE, last = to / PAGE_SIZE;
	if (first > last || (first == last && from / PAGE_SIZE == to / PAGE_SIZE && from % PAGE_SIZE)) {
		zero_part(n, from, to);
		return;
	}
	if (from % PAGE_SIZE)
		zero_part(n, from, first * PAGE_SIZE);
	pages_free(n, first, last);
	if (to % PAGE_SIZE)
		zero_part(n, last * PAGE_SIZE, to);
}

/* SEEK_DATA, SEEK_HOLE below the size. */
int64_t tdata_seek(struct tnode *n, uint64_t pos, bool data)
{
	uint64_t size = n->inode.size, end = pages_end(n);

	if (pos >= size)
		return -ENXIO;
	if (!hh_is_none(n->memfd))
		return h_lseek(hh_fd(n->memfd), (int64_t)pos, data ? SEEK_DATA : SEEK_HOLE);
	if (pos / PAGE_SIZE >= end)
		return data ? -ENXIO : (int64_t)pos;
	for (uint64_t i = pos / PAGE_SIZE; i < end; i++) {
		uint32_t *s = slot_find(n, i);
		if (!s && data) {	/* a whole chunk of nothing */
			i |= TPAGES_CHUNK - 1;
			continue;
		}
		if ((s && *s) == data)
			return (int64_t)max(pos, i * PAGE_SIZE);
	}
	return data ? -ENXIO : (int64_t)min(size, end * PAGE_SIZE);
}

/* --- to a memfd and back --------------------------------------------------------------------- */

/* Copies all pages into hfd. */
static int pages_to_fd(struct tnode *n, int hfd)
{
	uint64_t pages = pages_end(n), copied = 0;
	int r = h_ftruncate(hfd, (int64_t)n->inode.size);

	for (uint64_t i = 0; i < pages && !r;) {
		uint32_t *s = slot_find(n, i);
		if (!s) {
			i = (i | (TPAGES_CHUNK - 1)) + 1;
			continue;
		}
		if (!*s) {
			i++;
			continue;
		}
		uint64_t run = 1;	/* neighbours in the arena go in one call */
		while (i + run < pages && (i + run) % TPAGES_CHUNK && s[run] == *s + run)
			run++;
		bool data;
		run = arena_extent(*s, (uint32_t)run, &data);
		if (!data) {	/* only allocated */
			i += run;
			continue;
		}
		uint64_t len = min(run * PAGE_SIZE, n->inode.size - i * PAGE_SIZE);
		int64_t w = h_pwrite(hfd, arena_page(*s), len, (int64_t)(i * PAGE_SIZE));
		if (w != (int64_t)len)
			r = w < 0 ? (int)w : -ENOSPC;
		i += run;
		copied += len;
		if (copied >= ALLOC_STEP && current && kill_pending(current))
			r = -EINTR;
	}
	return r;
}

int tdata_to_memfd(struct tnode *n)
{
	int hfd, r;

	if (!hh_is_none(n->memfd))
		return 0;
	hfd = h_memfd_create("brig-file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (hfd < 0)
		return -ENFILE;
	r = pages_to_fd(n, hfd);
	if (!r && n->seals & ~(uint32_t)F_SEAL_SEAL)
		r = h_fcntl(hfd, F_ADD_SEALS, n->seals & ~(uint32_t)(F_SEAL_SEAL | F_SEAL_EXEC));
	if (r) {
		h_close(hfd);
		return -ENOMEM;
	}
	hh_t h;
	r = hh_add(hfd, &h);
	if (r)
		return r;
	uint64_t had = n->blocks;
	pages_free(n, 0, UINT64_MAX);
	chunks_free(n);
	n->memfd = h;
	tdata_sync_blocks(n);
	(void)had;
	return 0;
}

/* Nobody has it open, so nobody has it mapped: back into the arena. */
static void back_to_arena(struct tnode *n)
{
	char buf[PAGE_SIZE / 4];
	hh_t h = n->memfd;
	int hfd = hh_fd(h);
	uint64_t size = n->inode.size;
	int64_t pos = 0;
	bool ok = n->seals == F_SEAL_SEAL;

	if (!ok)
		return;
	unaccount(n, n->blocks);
	n->memfd = HH_NONE;
	while (ok && (pos = h_lseek(hfd, pos, SEEK_DATA)) >= 0 && (uint64_t)pos < size) {
		int64_t r = h_pread(hfd, buf, sizeof(buf), pos);
		ok = r > 0 && tdata_write(n, (uint64_t)pos, buf, (size_t)r) == r;
		pos += r > 0 ? r : 0;
	}
	if (!ok) {		/* no room: it stays where it is */
		pages_free(n, 0, UINT64_MAX);
		chunks_free(n);
		n->memfd = h;
		n->inode.size = size;
		tdata_sync_blocks(n);
		return;
	}
	hh_close(h);
	hh_close(n->memfd_ro);
	n->memfd_ro = HH_NONE;
}

void tdata_opened(struct tnode *n)
{
	if (n->opens++ == 0 && !hh_is_none(n->memfd)) {
		mutex_lock(&idle_lock);
		if (!list_empty(&n->idle)) {
			list_del(&n->idle);
			nr_idle--;
		}
		mutex_unlock(&idle_lock);
	}
}

void tdata_closed(struct tnode *n)
{
	struct tnode *old = NULL;

	if (--n->opens || hh_is_none(n->memfd) || n->inode.nlink == 0)
		return;
	mutex_lock(&idle_lock);
	list_add_tail(&idle, &n->idle);
	if (++nr_idle > IDLE_MAX) {
		old = list_first(&idle, struct tnode, idle);
		list_del(&old->idle);
		nr_idle--;
		if (old == n || !ref_get_unless_zero(&old->inode.ref) || !mutex_trylock(&old->inode.lock))
			old = NULL;
	}
	mutex_unlock(&idle_lock);
	if (old) {
		if (!old->opens)
			back_to_arena(old);
		mutex_unlock(&old->inode.lock);
		inode_put(&old->inode);
	}
}
