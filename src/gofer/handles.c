/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handle table. A handle stands for one object of the host, which was found as a name in its
 * parent. It holds an O_PATH descriptor; those over the budget are closed, least recently used
 * first, and opened again on use by walking from the nearest ancestor that is still open. The
 * object found must be the same one (device, inode), else the handle is stale.
 *
 * A record lives while the Sentry holds it, while it is pinned, or while it is the parent of
 * another record. All state is under one mutex; a walk to open a handle again runs under it.
 */
#include <errno.h>
#include <string.h>
#include "gofer/gofer_int.h"
#include "host/file.h"
#include "host/mem.h"
#include "lib/lock.h"

#define INLINE_NAME 40
#define NONE 0u		/* index of no handle */

struct handle {
	uint64_t dev, ino;
	uint32_t gen;
	uint32_t parent;	/* owned: counts in the parent's children */
	uint32_t children;
	uint32_t pins;
	uint32_t lru_next, lru_prev;	/* of open, unpinned, evictable handles; free list: next */
	uint32_t down;		/* ensure_open's way back */
	uint32_t long_name;	/* 1 + index in the table of long names, or 0 */
	int hfd;		/* -1: closed */
	uint16_t root;
	uint16_t type;		/* S_IFMT */
	bool used, held /* by the Sentry */, keep, in_lru;
	char name[INLINE_NAME];
};

static struct {
	struct mutex lock;
	struct handle *h;	/* [0] is the head of the LRU list, [kept] of those with `keep` */
	uint32_t kept;
	uint32_t max, top, free, used;
	char (*names)[GOFER_NAME_MAX + 1];
	uint32_t names_top, names_free;	/* free list: the first four bytes of a slot */
	unsigned budget, open;
	unsigned nroots;
	uint32_t root_flags[GOFER_ROOTS_MAX];
	char path[4096];
} T;

static uint32_t index_of(const struct handle *h)
{
	return (uint32_t)(h - T.h);
}

static uint64_t id_of(const struct handle *h)
{
	return (uint64_t)h->gen << 32 | index_of(h);
}

static void lru_del(struct handle *h)
{
	if (!h->in_lru)
		return;
	T.h[h->lru_prev].lru_next = h->lru_next;
	T.h[h->lru_next].lru_prev = h->lru_prev;
	h->in_lru = false;
}

static void lru_add(struct handle *h)
{
	if (h->in_lru || h->pins || h->hfd < 0 || h->parent == NONE)
		return;
	uint32_t head = h->keep ? T.kept : 0;
	h->lru_next = T.h[head].lru_next, h->lru_prev = head;
	T.h[h->lru_next].lru_prev = T.h[head].lru_next = index_of(h);
	h->in_lru = true;
}

static void close_fd(struct handle *h)
{
	if (h->hfd < 0)
		return;
	(void)h_close(h->hfd);
	h->hfd = -1;
	T.open--;
}

static int make_room(unsigned n)
{
	while (T.open + n > T.budget) {
		struct handle *old = &T.h[T.h[0].lru_prev];

		/* At the last: what has no name any more, and will be ESTALE (removed directories
		 * that are only held as somebody's parents). */
		if (old == T.h)
			old = &T.h[T.h[T.kept].lru_prev];
		if (old == &T.h[T.kept])
			return -ENFILE;
		lru_del(old);
		close_fd(old);
	}
	return 0;
}

int handles_make_room(unsigned n)
{
	mutex_lock(&T.lock);
	int rc = make_room(n);
	mutex_unlock(&T.lock);
	return rc;
}

static const char *name_of(const struct handle *h)
{
	return h->long_name ? T.names[h->long_name - 1] : h->name;
}

static void drop_name(struct handle *h)
{
	if (!h->long_name)
		return;
	memcpy(T.names[h->long_name - 1], &T.names_free, sizeof(T.names_free));
	T.names_free = h->long_name;
	h->long_name = 0;
}

static void set_name(struct handle *h, const char *name)
{
	size_t n = strnlen(name, GOFER_NAME_MAX);

	drop_name(h);
	if (n < INLINE_NAME) {
		memcpy(h->name, name, n);
		h->name[n] = 0;
		return;
	}
	/* As many slots as handles: it cannot run out. */
	uint32_t slot = T.names_free;
	if (slot)
		memcpy(&T.names_free, T.names[slot - 1], sizeof(T.names_free));
	else
		slot = ++T.names_top;
	memcpy(T.names[slot - 1], name, n);
	T.names[slot - 1][n] = 0;
	h->long_name = slot;
}

static struct handle *new_handle(void)
{
	struct handle *h;

	if (T.free) {
		h = &T.h[T.free];
		T.free = h->lru_next;
	} else if (T.top < T.max) {
		h = &T.h[T.top++];
	} else {
		return NULL;
	}
	uint32_t gen = h->gen + 1;
	memset(h, 0, sizeof(*h));
	h->gen = gen ? gen : 1;
	h->hfd = -1;
	h->used = true;
	T.used++;
	return h;
}

/* Frees the record, and its ancestors that nothing else needs. */
static void release(struct handle *h)
{
	while (h->used && !h->held && !h->pins && !h->children && h->parent != NONE) {
		struct handle *parent = &T.h[h->parent];

		lru_del(h);
		close_fd(h);
		drop_name(h);
		h->used = false;
		h->lru_next = T.free;
		T.free = index_of(h);
		T.used--;
		parent->children--;
		h = parent;
	}
}

static struct handle *find(uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i == 0 || i >= T.top)
		return NULL;
	struct handle *h = &T.h[i];
	return h->used && h->gen == id >> 32 ? h : NULL;
}

/* Takes the descriptor that a walk ended at, if it is this handle's object. */
static int reopened(struct handle *h, int hfd)
{
	struct stat st;

	if (hfd < 0)
		return hfd == -ENFILE || hfd == -EMFILE || hfd == -ENOMEM ? hfd : -ESTALE;
	if (h_fstat(hfd, &st) || st.st_dev != h->dev || st.st_ino != h->ino) {
		(void)h_close(hfd);
		return -ESTALE;
	}
	h->hfd = hfd;
	T.open++;
	lru_add(h);
	return 0;
}

/*
 * A long way down is walked in strides of several names, and the handle at the end of each is
 * opened as well: who goes up or down such a path finds an open ancestor close by. Objects in
 * between are not looked at; only the one at the end must be the same.
 */
#define STRIDE 32u

/* Opens *at and what is below it, from its open parent towards h, as far as one stride goes; *at
 * is where it got. */
static int walk_down(struct handle **at, const struct handle *h)
{
	struct handle *from = &T.h[(*at)->parent], *to = *at;
	size_t len = 0;

	for (unsigned n = 1;; n++) {
		const char *name = name_of(to);
		size_t part = strlen(name);

		memcpy(T.path + len, name, part + 1);
		len += part;
		if (to == h || n == STRIDE || gofer_no_openat2 || len + GOFER_NAME_MAX + 2 > sizeof(T.path))
			break;
		T.path[len++] = '/';
		to = &T.h[to->down];
	}
	lru_del(from);		/* not to be closed while it is needed */
	int rc = make_room(1);
	rc = reopened(to, rc ? rc : step_open(from->hfd, T.path));
	lru_add(from);
	*at = to;
	return rc;
}

static int ensure_open(struct handle *h)
{
	struct handle *at = h;
	int rc = 0;

	if (h->hfd >= 0)
		return 0;
	/* Up to an open ancestor (roots always are), noting the way back. */
	while (T.h[at->parent].hfd < 0) {
		T.h[at->parent].down = index_of(at);
		at = &T.h[at->parent];
	}
	for (;;) {
		rc = walk_down(&at, h);
		if (rc || at == h)
			return rc;
		at = &T.h[at->down];
	}
}

static int pin_locked(struct handle *h, struct href *out)
{
	int rc = ensure_open(h);

	if (rc)
		return rc;
	lru_del(h);
	h->pins++;
	*out = (struct href){.h = h,
			     .id = id_of(h),
			     .hfd = h->hfd,
			     .mode = h->type,
			     .dev = h->dev,
			     .ino = h->ino,
			     .root = h->root,
			     .root_flags = T.root_flags[h->root]};
	return 0;
}

int handle_pin(uint64_t id, struct href *out)
{
	mutex_lock(&T.lock);
	struct handle *h = find(id);
	int rc = h && h->held ? pin_locked(h, out) : -ESTALE;
	mutex_unlock(&T.lock);
	return rc;
}

int handle_pin_root(unsigned root, struct href *out)
{
	if (root >= T.nroots)
		return -ENOENT;
	mutex_lock(&T.lock);
	int rc = pin_locked(&T.h[root + 1], out);
	mutex_unlock(&T.lock);
	return rc;
}

void handle_unpin(struct href *r)
{
	if (!r->h)
		return;
	mutex_lock(&T.lock);
	r->h->pins--;
	lru_add(r->h);
	release(r->h);
	mutex_unlock(&T.lock);
	r->h = NULL;
}

int handle_add(const struct href *dir, const char *name, int hfd, struct href *out)
{
	struct stat st;
	int rc = h_fstat(hfd, &st);

	mutex_lock(&T.lock);
	if (!rc)
		rc = make_room(1);
	struct handle *h = rc ? NULL : new_handle();
	if (!h) {
		mutex_unlock(&T.lock);
		(void)h_close(hfd);
		return rc ? rc : -ENOMEM;
	}
	h->dev = st.st_dev, h->ino = st.st_ino, h->type = st.st_mode & S_IFMT;
	h->parent = index_of(dir->h);
	h->root = (uint16_t)dir->root;
	h->held = true;
	h->hfd = hfd;
	dir->h->children++;
	T.open++;
	set_name(h, name);
	rc = pin_locked(h, out);
	mutex_unlock(&T.lock);
	return rc;
}

int handle_add_root(unsigned root, int hfd, uint32_t flags)
{
	struct stat st;
	int rc = h_fstat(hfd, &st);

	if (rc || root >= T.nroots) {
		(void)h_close(hfd);
		return rc ? rc : -EINVAL;
	}
	struct handle *h = &T.h[root + 1];
	h->used = h->held = h->keep = true;
	h->gen = 1;
	h->hfd = hfd;
	h->dev = st.st_dev, h->ino = st.st_ino, h->type = st.st_mode & S_IFMT;
	h->root = (uint16_t)root;
	T.root_flags[root] = flags;
	T.used++, T.open++;
	return 0;
}

void handle_forget(uint64_t id)
{
	mutex_lock(&T.lock);
	struct handle *h = find(id);
	if (h && h->parent != NONE) {
		h->held = false;
		release(h);
	}
	mutex_unlock(&T.lock);
}

void handle_keep(uint64_t id, bool on)
{
	mutex_lock(&T.lock);
	struct handle *h = find(id);
	if (h && h->held && h->parent != NONE && (!on || ensure_open(h) == 0)) {
		lru_del(h);
		h->keep = on;
		lru_add(h);
	}
	mutex_unlock(&T.lock);
}

void handle_moved(uint64_t id, const struct href *dir, const char *name)
{
	mutex_lock(&T.lock);
	struct handle *h = find(id);
	struct handle *to = dir->h, *old;

	if (!h || h->parent == NONE || h->root != dir->root)
		goto out;
	/* The host refused to move a directory below itself; a lying peer must not make a loop. */
	for (old = to; old->parent != NONE; old = &T.h[old->parent])
		if (old == h)
			goto out;
	old = &T.h[h->parent];
	set_name(h, name);
	h->parent = index_of(to);
	to->children++;
	old->children--;
	release(old);
out:
	mutex_unlock(&T.lock);
}

void handles_count(unsigned *used, unsigned *open)
{
	mutex_lock(&T.lock);
	*used = T.used, *open = T.open;
	mutex_unlock(&T.lock);
}

int handles_init(unsigned nroots, unsigned max_handles, unsigned fd_budget)
{
	const int prot = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *p, *names;
	int rc;

	if (nroots > GOFER_ROOTS_MAX || max_handles < nroots + 3 || max_handles > 1u << 24)
		return -EINVAL;
	if (T.h) {	/* unit tests start again */
		(void)!h_munmap(T.h, T.max * sizeof(*T.h));
		(void)!h_munmap(T.names, T.max * sizeof(*T.names));
	}
	memset(&T, 0, sizeof(T));
	rc = h_mmap(&p, NULL, max_handles * sizeof(*T.h), prot, flags, -1, 0);
	if (!rc)
		rc = h_mmap(&names, NULL, max_handles * sizeof(*T.names), prot, flags, -1, 0);
	if (rc)
		return rc;
	T.h = p, T.names = names;
	mutex_init(&T.lock, RANK_OBJECT);
	T.max = max_handles;
	T.kept = nroots + 1;
	T.h[T.kept].lru_next = T.h[T.kept].lru_prev = T.kept;
	T.top = nroots + 2;
	T.nroots = nroots;
	T.budget = fd_budget;
	for (unsigned i = 1; i <= nroots; i++)
		T.h[i].hfd = -1;
	return 0;
}
