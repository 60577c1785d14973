/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest thread may say of paths without asking; the stub's side is stub/told.c. */
#include "platform/cell/cell_int.h"

#include <string.h>

static struct cell_told *place(struct pl_thr *t, uint32_t hash, uint32_t which)
{
	return (struct cell_told *)(void *)((char *)t->c + CTX_TOLD) + cell_told_place(hash, which);
}

void told_forget(struct pl_thr *t)
{
	t->told = false;
	WRITE_ONCE(t->c->told, 0);
}

void pl_tell_path(pl_thread_t id, const char *path, size_t len, int err, uint64_t epoch)
{
	struct pl_thr *t = thr_of(id);
	uint32_t hash = CELL_HASH_INIT;
	struct cell_told *e;

	if (!t || !t->fast || pl.no_table || len > sizeof(e->path) || epoch != READ_ONCE(pl_told_page()->epoch))
		return;
	for (size_t i = 0; i < len; i++)
		hash = cell_hash_add(hash, (uint8_t)path[i]);
	if (!t->told)		/* what others were told, in the same context (I5) */
		memset((char *)t->c + CTX_TOLD, 0, CTX_TOLD_SIZE);
	/* the second place, unless the first is free: what is asked most comes back soon */
	e = place(t, hash, 0);
	if (READ_ONCE(e->epoch) == epoch && READ_ONCE(e->hash) != hash)
		e = place(t, hash, 1);
	WRITE_ONCE(e->epoch, 0);
	e->hash = hash;
	e->len = (uint16_t)len;
	e->err = (uint16_t)err;
	memcpy(e->path, path, len);
	__atomic_store_n(&e->epoch, epoch, __ATOMIC_RELEASE);
	t->told = true;
	WRITE_ONCE(t->c->told, 1);
}
