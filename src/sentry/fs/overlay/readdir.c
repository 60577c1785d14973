/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listing merged directories. The lower names are read once per pass (from position 0) into a list
 * that the open file keeps; positions are indices into it. A lower name is shown when the node's
 * own table has no entry for it at that moment. The table's entries follow, at UPPER + cookie.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/overlay/namelist.h"
#include "sentry/fs/overlay/overlay_int.h"

#define UPPER (1ll << 40)

struct sink {
	struct dir_emit e;	/* first */
	struct name_list *l;
	struct tnode *dir;
	uint64_t dev;
	int err;
};

static int collect(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
		   int64_t next_pos)
{
	struct sink *s = container_of(e, struct sink, e);

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	ino = overlay_ino(overlay_sb(&s->dir->inode), s->dev, ino);
	s->err = name_list_add(s->l, name, len, ino, type);
	return s->err ? -1 : 0;
}

static int read_lower(struct tnode *dir, struct inode *low, struct sink *s)
{
	struct file *lf;
	struct kstat st;
	int r = inode_stat(low, &st);

	if (!r)
		r = file_open_inode(low, O_RDONLY | O_DIRECTORY, NULL, &lf);
	if (r)
		return r;
	s->dev = st.dev;
	s->e.pos = 0;
	if (!file_ops(lf)->iterate) {
		file_put(lf);
		return -ENOTDIR;
	}
	for (;;) {
		int64_t before = s->e.pos;
		lf->pos = before;
		r = file_ops(lf)->iterate(lf, &s->e);
		if (r || s->err || s->e.pos == before)
			break;
	}
	file_put(lf);
	return s->err ? s->err : r;
}

static int list_build(struct tnode *dir, struct name_list **out)
{
	struct name_list *l = name_list_new(dir->low->n > 1);
	struct sink s = {.e.fn = collect, .l = l, .dir = dir};
	int r = 0;

	if (!l)
		return -ENOMEM;
	for (uint32_t k = 0; k < dir->low->n && !r; k++)
		r = read_lower(dir, dir->low->inode[k], &s);
	if (r) {
		name_list_free(l);
		return r;
	}
	*out = l;
	return 0;
}

static bool hidden(struct tnode *dir, const struct list_name *o)
{
	mutex_lock(&dir->inode.lock);
	bool r = tdir_find(dir, o->name, o->len) != NULL;
	mutex_unlock(&dir->inode.lock);
	return r;
}

static int emit_upper(struct tnode *dir, struct dir_emit *e)
{
	char name[NAME_MAX_LEN + 1];

	for (;;) {
		mutex_lock(&dir->inode.lock);
		struct tent *t = tdir_from(dir, (uint64_t)(e->pos - UPPER));
		while (t && !t->inode)
			t = tdir_from(dir, t->cookie + 1);
		if (!t) {
			mutex_unlock(&dir->inode.lock);
			return 0;
		}
		uint64_t ino = t->inode->ino, next = t->cookie + 1;
		unsigned type = (t->inode->mode & S_IFMT) >> 12;
		size_t len = t->len;
		memcpy(name, t->name, len);
		mutex_unlock(&dir->inode.lock);
		if (dir_emit(e, name, len, ino, type, UPPER + (int64_t)next))
			return 0;
	}
}

int overlay_iterate(struct file *f, struct dir_emit *e)
{
	struct tnode *dir = to_tnode(f->inode);
	struct name_list *l = f->priv;

	if (!dir->low)
		return tmpfs_iterate(f, e);
	if (dir->dead)
		return -ENOENT;
	if (e->pos == 0 && l) {		/* a new pass */
		name_list_free(l);
		f->priv = l = NULL;
	}
	if (!dir_emit_dots(f, e))
		return 0;
	if (e->pos < UPPER) {
		if (!l) {
			int r = list_build(dir, &l);
			if (r)
				return r;
			f->priv = l;
		}
		struct list_name *o;
		while ((o = name_list_at(l, e->pos - 2))) {
			if (hidden(dir, o))
				e->pos++;
			else if (dir_emit(e, o->name, o->len, o->ino, o->type, e->pos + 1))
				return 0;
		}
		e->pos = UPPER;
	}
	return emit_upper(dir, e);
}

void overlay_dir_release(struct file *f)
{
	name_list_free(steal(f->priv));
}

int64_t overlay_dir_llseek(struct file *f, int64_t off, int whence)
{
	return dir_llseek(f, off, whence);
}

struct finder {
	struct dir_emit e;
	struct tnode *dir;
	bool found;
};

static int find_one(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
		    int64_t next_pos)
{
	struct finder *f = container_of(e, struct finder, e);

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	/* The victim's own lock is not held: the table is read under the lock of all names. */
	mutex_lock(&tmpfs_sb(&f->dir->inode)->lock);
	bool known = tdir_find(f->dir, name, len) != NULL;
	mutex_unlock(&tmpfs_sb(&f->dir->inode)->lock);
	f->found |= !known;
	return f->found ? -1 : 0;
}

int overlay_dir_has_entries(struct tnode *dir)
{
	int r = 0;

	if (dir->nr_live)
		return 1;
	for (uint32_t k = 0; k < dir->low->n && !r; k++) {
		struct finder f = {.e.fn = find_one, .dir = dir};
		struct file *lf;
		r = file_open_inode(dir->low->inode[k], O_RDONLY | O_DIRECTORY, NULL, &lf);
		if (r)
			return r;
		for (;;) {
			int64_t before = f.e.pos;
			lf->pos = before;
			r = file_ops(lf)->iterate(lf, &f.e);
			if (r || f.found || f.e.pos == before)
				break;
		}
		file_put(lf);
		if (f.found)
			return 1;
	}
	return r;
}
