/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that looks at one name of a directory after the other (git status, make, ls -l) would
 * pay a request for each. After some lookups the directory's names are read and sorted, and each
 * further request brings the next ones along. What was brought is true while the directory's stamp
 * is the one from before the names were read; an unsettled stamp fetches nothing.
 *
 * All of it belongs to the directory's inode and is covered by its lock. It is dropped when the
 * stamp changes, when every name has been fetched and handed over, and with the inode.
 */
#include <errno.h>
#include <string.h>
#include "host/file.h"
#include "host/time.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/gofer/gofer_int.h"

#define MISSES_BEFORE 8u		/* with less than MISS_GAP_NS in between */
#define MISSES_SMALL 3u			/* in a directory that is cheap to read */
#define SMALL_DIR 8192u			/* its st_size */
#define MISS_GAP_NS 20000000ll
#define NAMES_MAX 16384u
#define BYTES_MAX (512u << 10)
#define FIRST_WINDOW 8u

enum { P_UNKNOWN, P_FETCHED, P_DONE };	/* done: handed over, or to be asked for singly */

struct name {
	uint32_t off;		/* in text: length byte, name */
	uint8_t state;
	struct inode *inode;	/* P_FETCHED: owned */
};

struct prefetch {
	struct stamp s;
	uint32_t n, left;	/* names; those not P_DONE */
	uint32_t fetched;	/* those P_FETCHED */
	uint32_t window;
	struct name *names;	/* owned, sorted by bytes */
	uint8_t *text;		/* owned */
	uint32_t text_len, text_cap;
};

static KCACHE(prefetch_cache, struct prefetch, 1024);

void prefetch_drop(struct gofer_inode *dir)
{
	struct prefetch *p = steal(dir->pre);

	dir->misses = 0;
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->names[i].state == P_FETCHED)
			inode_put(p->names[i].inode);
	kfree(p->names);
	kfree(p->text);
	kc_free(&prefetch_cache, p);
}

static int compare(const uint8_t *a, const uint8_t *b)
{
	size_t n = min(a[0], b[0]);
	int r = memcmp(a + 1, b + 1, n);

	return r ? r : (int)a[0] - (int)b[0];
}

/* Heap sort: no recursion, no allocation, no worst case for a hostile directory. */
static void sift(struct name *v, const uint8_t *text, size_t at, size_t n)
{
	for (size_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && compare(text + v[child].off, text + v[child + 1].off) < 0)
			child++;
		if (compare(text + v[at].off, text + v[child].off) >= 0)
			return;
		struct name t = v[at];
		v[at] = v[child], v[child] = t;
	}
}

static void sort_names(struct name *v, const uint8_t *text, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(v, text, i, n);
	for (size_t i = n; i-- > 1;) {
		struct name t = v[0];
		v[0] = v[i], v[i] = t;
		sift(v, text, 0, i);
	}
}

static int add_name(struct prefetch *p, const char *name, size_t len)
{
	if (p->text_len + len + 1 > p->text_cap) {
		uint32_t cap = p->text_cap ? p->text_cap * 2 : 4096;
		uint8_t *text = cap <= BYTES_MAX ? kmalloc(cap) : NULL;

		if (!text)
			return -ENOMEM;
		if (p->text)
			memcpy(text, p->text, p->text_len);
		kfree(p->text);
		p->text = text, p->text_cap = cap;
	}
	p->text[p->text_len] = (uint8_t)len;
	memcpy(p->text + p->text_len + 1, name, len);
	p->text_len += (uint32_t)len + 1;
	p->n++;
	return 0;
}

struct host_dirent {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static int add_names(struct prefetch *p, const char *buf, size_t n)
{
	for (size_t at = 0; at < n;) {
		const struct host_dirent *h = (const void *)(buf + at);
		size_t len = strnlen(h->name, h->len - offsetof(struct host_dirent, name));
		bool dots = h->name[0] == '.' && (len == 1 || (len == 2 && h->name[1] == '.'));
		int rc = dots || !len || len > GOFER_NAME_MAX ? 0 : add_name(p, h->name, len);

		if (rc || p->n > NAMES_MAX)
			return -E2BIG;
		at += h->len;
	}
	return 0;
}

static int read_names(struct gofer_inode *dir, struct prefetch *p)
{
	char *buf = kmalloc(16384);
	hh_t h;
	int64_t n;
	int rc = buf ? gofer_dir_take(dir, &h) : -ENOMEM;

	if (rc) {
		kfree(buf);
		return rc;
	}
	if (h_lseek(hh_fd(h), 0, SEEK_SET))
		rc = -EIO;
	while (!rc && (n = h_getdents(hh_fd(h), buf, 16384)) != 0)
		rc = n < 0 ? (int)n : add_names(p, buf, (size_t)n);
	hh_close(gofer_dir_keep(dir, h));
	kfree(buf);
	if (!rc && p->n) {
		p->names = kmalloc_array(p->n, sizeof(*p->names));
		if (!p->names)
			return -ENOMEM;
	}
	for (uint32_t i = 0, off = 0; !rc && i < p->n; i++) {
		p->names[i].off = off;
		off += p->text[off] + 1u;
	}
	if (!rc && p->n)
		sort_names(p->names, p->text, p->n);
	p->left = p->n;
	return rc;
}

/* Reads the names once the directory has seen enough lookups. */
static void prefetch_start(struct gofer_inode *dir, const struct stamp *s)
{
	struct prefetch *p;
	int64_t now = h_now();

	/* What is looked up to be opened says nothing: loaders search directories for one name. */
	if (vfs_open_intent || !s->a || dir->no_prefetch || stamp_is_recent(s))
		return;
	if (now - dir->last_miss > MISS_GAP_NS)
		dir->misses = 0;
	dir->last_miss = now;
	if (++dir->misses < (dir->inode.size <= SMALL_DIR ? MISSES_SMALL : MISSES_BEFORE))
		return;
	p = kc_alloc(&prefetch_cache);
	if (!p)
		return;
	p->s = *s;
	p->window = FIRST_WINDOW;
	dir->pre = p;
	if (read_names(dir, p)) {
		p->n = p->names ? p->n : 0;
		prefetch_drop(dir);
		dir->no_prefetch = true;	/* too large */
	}
}

static int64_t find_name(const struct prefetch *p, const char *name, size_t len)
{
	uint8_t key[GOFER_NAME_MAX + 1];
	uint32_t lo = 0, hi = p->n;

	key[0] = (uint8_t)len;
	memcpy(key + 1, name, len);
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int r = compare(key, p->text + p->names[mid].off);

		if (!r)
			return mid;
		if (r < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return -1;
}

static void fetch_from(struct gofer_inode *dir, struct prefetch *p, uint32_t first)
{
	uint32_t idx[GOFER_WALK_MAX], n = 0;
	struct gcall c;

	for (uint32_t i = first; i < p->n && n < p->window; i++)
		if (p->names[i].state == P_UNKNOWN)
			idx[n++] = i;
	p->window = min(p->window * 2, GOFER_WALK_MAX);
	gcall_begin(&c, GOFER_SIBLINGS);
	wire_put_u64(&c.w, dir->h);
	wire_put_u32(&c.w, n);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *t = p->text + p->names[idx[i]].off;

		wire_put_strn(&c.w, (const char *)t + 1, t[0]);
	}
	int rc = gcall_send(&c);
	for (uint32_t i = 0; i < n && !rc; i++) {
		struct name *nm = &p->names[idx[i]];
		int32_t status = (int32_t)wire_get_u32(&c.r);

		if (c.r.bad)
			rc = -EIO;
		else if (!status)
			rc = gofer_node(&c, dir->inode.sb, &nm->inode);
		if (!rc && !status) {
			nm->state = P_FETCHED, p->fetched++;
		} else {
			nm->state = P_DONE;
			p->left--;
		}
	}
	gcall_end(&c);
}

int prefetch_lookup(struct gofer_inode *dir, const char *name, size_t len, struct inode **out)
{
	struct stamp s = {dir->seen_a, dir->seen_b};
	struct prefetch *p = dir->pre;

	if (p && (p->s.a != s.a || p->s.b != s.b || !p->left)) {
		prefetch_drop(dir);
		p = NULL;
	}
	if (!p) {
		prefetch_start(dir, &s);
		p = dir->pre;
	}
	int64_t at = p && len <= GOFER_NAME_MAX ? find_name(p, name, len) : -1;
	if (at < 0)
		return 0;
	struct name *nm = &p->names[at];
	/* What is about to be opened is better looked up singly: it comes open. */
	if (nm->state == P_UNKNOWN && vfs_open_intent) {
		nm->state = P_DONE;
		p->left--;
		return 0;
	}
	if (nm->state == P_UNKNOWN)
		fetch_from(dir, p, (uint32_t)at);
	if (nm->state != P_FETCHED)
		return 0;
	*out = steal(nm->inode);
	nm->state = P_DONE;
	p->fetched--;
	/* At the last name the pass is over; what was known before it has not been asked for. */
	if (!--p->left || (!p->fetched && at + 1 == p->n))
		prefetch_drop(dir);
	return 1;
}
