/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/overlay/namelist.h"
#include <errno.h>
#include <string.h>
#include "sentry/core/kheap.h"

#define BLOCK_BYTES 32000u

struct name_block {
	struct name_block *next;
	uint32_t used;
	char data[BLOCK_BYTES] __attribute__((aligned(8)));
};

struct name_list *name_list_new(bool dedupe)
{
	struct name_list *l = kmalloc(sizeof(*l));

	if (l)
		l->dedupe = dedupe;
	return l;
}

void name_list_free(struct name_list *l)
{
	if (!l)
		return;
	while (l->first) {
		struct name_block *b = l->first;
		l->first = b->next;
		kfree(b);
	}
	kfree(l);
}

static int name_cmp(const struct list_name *o, const char *name, size_t len)
{
	if (o->len != len)
		return o->len < len ? -1 : 1;
	return memcmp(o->name, name, len);
}

/* False when it is there already. */
static bool link_name(struct name_list *l, struct list_name *o)
{
	struct rb_node **p = &l->names.node, *parent = NULL;

	while (*p) {
		parent = *p;
		int c = name_cmp(container_of(parent, struct list_name, rb), o->name, o->len);
		if (!c)
			return false;
		p = c > 0 ? &parent->left : &parent->right;
	}
	rb_insert(&l->names, parent, p, &o->rb);
	return true;
}

static uint32_t entry_size(size_t len)
{
	return (uint32_t)((sizeof(struct list_name) + len + 7) & ~7ul);
}

int name_list_add(struct name_list *l, const char *name, size_t len, uint64_t ino, unsigned type)
{
	uint32_t need = entry_size(len);

	if (!l->last || l->last->used + need > BLOCK_BYTES) {
		struct name_block *b = kmalloc(sizeof(*b));
		if (!b)
			return -ENOMEM;
		if (l->last)
			l->last->next = b;
		else
			l->first = l->cur = b;
		l->last = b;
	}
	struct list_name *o = (struct list_name *)(l->last->data + l->last->used);
	o->ino = ino;
	o->type = (uint8_t)type;
	o->len = (uint16_t)len;
	memcpy(o->name, name, len);
	if (!l->dedupe || link_name(l, o))
		l->last->used += need;
	return 0;
}

struct list_name *name_list_at(struct name_list *l, int64_t i)
{
	if (i < l->at) {
		l->cur = l->first;
		l->off = 0;
		l->at = 0;
	}
	while (l->cur) {
		if (l->off >= l->cur->used) {
			if (!l->cur->next)
				return NULL;
			l->cur = l->cur->next;
			l->off = 0;
			continue;
		}
		struct list_name *o = (struct list_name *)(l->cur->data + l->off);
		if (l->at == i)
			return o;
		l->off += entry_size(o->len);
		l->at++;
	}
	return NULL;
}
