/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that the thread answers itself, since it was told where the path leads and nothing has
 * changed since (lib/told.h). All of it lies in memory that the guest can write: it can deceive
 * nobody but itself.
 */
#include <asm/unistd.h>
#include "lib/told.h"
#include "platform/cell/stub/stub.h"

#define ENOENT_ 2
#define EINVAL_ 22
/* O_NOCTTY O_NONBLOCK O_LARGEFILE O_DIRECTORY O_NOFOLLOW O_CLOEXEC: reading, and nothing made */
#define OPEN_PLAIN (0400ull | 04000 | 0100000 | 0200000 | 0400000 | 02000000)
#define AT_PLAIN (0x100ull | 0x800)	/* AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT */

/* What the answers to a call depend on: it asks for a path, in a way that cannot fail before the path
 * is looked at. *link: it is readlink. */
static int asks_only(uint64_t nr, const uint64_t *arg, const struct told_page *page, int *link)
{
	*link = 0;
	switch (nr) {
	case __NR_readlink:
		*link = 1;
		return (int)arg[2] > 0;
	case __NR_readlinkat:
		*link = 1;
		return (int)arg[3] > 0;
	case __NR_open:
		return !((uint32_t)arg[1] & ~OPEN_PLAIN) && !page->full;
	case __NR_openat:
		return !((uint32_t)arg[2] & ~OPEN_PLAIN) && !page->full;
	case __NR_stat:
	case __NR_lstat:
		return 1;
	case __NR_newfstatat:
		return !((uint32_t)arg[3] & ~AT_PLAIN);
	}
	return 0;
}

static int same(const char *a, const char *b, uint32_t n)
{
	uint64_t x, y;

	for (; n >= 8; a += 8, b += 8, n -= 8) {
		__builtin_memcpy(&x, a, 8);
		__builtin_memcpy(&y, b, 8);
		if (x != y)
			return 0;
	}
	while (n--)
		if (a[n] != b[n])
			return 0;
	return 1;
}

/* The error that the path is known for now, 0: none. */
static uint32_t find(const struct cell_ctx *c, const char *path, uint32_t len, uint32_t hash,
		     uint64_t epoch)
{
	const struct cell_told *t = (const struct cell_told *)((uint64_t)c + CTX_TOLD);

	for (uint32_t i = 0; i < 2; i++) {
		const struct cell_told *e = &t[cell_told_place(hash, i)];

		if (e->epoch == epoch && e->hash == hash && e->len == len &&
		    len <= sizeof(e->path) && same(e->path, path, len))
			return e->err;
	}
	return 0;
}

/* The path of a call was read ahead. The negative error that the call returns, or 0: ask. */
int64_t told_answer(const struct cell_ctx *c, uint64_t nr, const uint64_t *arg)
{
	const struct told_page *page = (const struct told_page *)CELL_TOLD;
	const char *path = (const char *)((uint64_t)c + CTX_PRE);
	uint32_t n = c->pre_len, hash = CELL_HASH_INIT, dir_hash = 0, dir = 0, i, err;
	uint64_t epoch;
	int link;

	if (!c->fast || !c->told || n < 2 || path[0] != '/' || path[n - 1] || !asks_only(nr, arg, page, &link))
		return 0;
	epoch = __atomic_load_n(&page->epoch, __ATOMIC_ACQUIRE);
	for (i = 0; i < n - 1; i++) {
		if (path[i] == '/')
			dir = i, dir_hash = hash;
		hash = cell_hash_add(hash, (uint8_t)path[i]);
	}
	err = find(c, path, n - 1, hash, epoch);
	if (!err && dir && find(c, path, dir, dir_hash, epoch) == ENOENT_)
		err = ENOENT_;		/* nothing is below what is not there */
	if (!(err == ENOENT_ || (err == EINVAL_ && link)) || !told_is_fresh(page) ||
	    __atomic_load_n(&page->epoch, __ATOMIC_ACQUIRE) != epoch)
		return 0;
	return -(int64_t)err;
}
