/* SPDX-License-Identifier: Apache-2.0 */
/* Listing: the layers' names from the top down, each name once, without whiteouts and what they
 * hide. Read once per pass; positions are indices into that list. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "sentry/fs/overlay/namelist.h"
#include "sentry/fs/ovl/ovl.h"
#include "sentry/vfs/stack.h"

struct sink {
	struct dir_emit e;	/* first */
	struct name_list *l;
	struct ovl_super *os;
	uint64_t dev;
	int err;
};

static int collect(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
		   int64_t next_pos)
{
	struct sink *s = container_of(e, struct sink, e);

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return 0;
	s->err = name_list_add(s->l, name, len, ovl_ino(s->os, s->dev, ino), type);
	return s->err ? -1 : 0;
}

/* Names from *at on that are whiteouts get the type DT_WHT, which is not shown. */
static int find_whiteouts(struct name_list *l, struct dentry *dir, int64_t *at)
{
	struct list_name *o;

	for (; (o = name_list_at(l, *at)); (*at)++) {
		struct dentry *d;
		if (o->type != DT_CHR && o->type != DT_UNKNOWN)
			continue;
		int r = dentry_lookup(dir, o->name, o->len, &d);
		if (r == -ENOENT)
			continue;
		if (r)
			return r;
		if (d->inode && ovl_is_whiteout(d->inode))
			o->type = DT_WHT;
		dentry_put(d);
	}
	return 0;
}

static int read_layer(struct sink *s, struct dentry *dir, int64_t *at)
{
	struct file *f;
	struct kstat st;
	int r = ovl_stat(dir->inode, &st);

	if (!r)
		r = file_open_inode(dir->inode, O_RDONLY | O_DIRECTORY, NULL, &f);
	if (r)
		return r;
	s->dev = st.dev;
	s->e.pos = 0;
	r = file_ops(f)->iterate ? 0 : -ENOTDIR;
	while (!r) {
		int64_t before = s->e.pos;
		f->pos = before;
		r = file_ops(f)->iterate(f, &s->e);
		if (s->err || s->e.pos == before)
			break;
	}
	file_put(f);
	if (!r)
		r = s->err;
	return r ? r : find_whiteouts(s->l, dir, at);
}

static int build(struct ovl_node *dir, struct name_list **out)
{
	struct dentry *up = ovl_upper(dir);
	struct sink s = {.e.fn = collect, .l = name_list_new(dir->n + (up != NULL) > 1),
			 .os = ovl_sb(&dir->inode)};
	int64_t at = 0;

	if (!s.l)
		return -ENOMEM;
	int r = up ? read_layer(&s, up, &at) : 0;
	for (uint32_t k = 0; k < dir->n && !r; k++)
		r = read_layer(&s, dir->lower[k], &at);
	if (r)
		name_list_free(s.l);
	else
		*out = s.l;
	return r;
}

int ovl_iterate(struct file *f, struct dir_emit *e)
{
	struct ovl_node *dir = to_ovl(f->inode);
	struct name_list *l = f->priv;
	struct list_name *o;

	if (dir->gone)
		return -ENOENT;
	if (e->pos == 0 && l) {		/* a new pass */
		name_list_free(l);
		f->priv = l = NULL;
	}
	if (!dir_emit_dots(f, e))
		return 0;
	if (!l) {
		int r = build(dir, &l);
		if (r)
			return r;
		f->priv = l;
	}
	while ((o = name_list_at(l, e->pos - 2))) {
		if (o->type == DT_WHT)
			e->pos++;
		else if (dir_emit(e, o->name, o->len, o->ino, o->type, e->pos + 1))
			break;
	}
	return 0;
}

void ovl_dir_release(struct file *f)
{
	name_list_free(steal(f->priv));
}

int ovl_check_empty(struct ovl_node *dir)
{
	struct name_list *l;
	struct list_name *o;
	int r = build(dir, &l);

	for (int64_t i = 0; !r && (o = name_list_at(l, i)); i++) {
		if (o->type != DT_WHT)
			r = -ENOTEMPTY;
	}
	if (r && r != -ENOTEMPTY)
		return r;
	name_list_free(l);
	return r;
}

int ovl_clear_whiteouts(struct ovl_node *dir)
{
	struct dentry *up = ovl_upper(dir), *d;
	struct sink s = {.e.fn = collect, .l = name_list_new(false), .os = ovl_sb(&dir->inode)};
	struct list_name *o;
	int64_t at = 0;

	if (!s.l)
		return -ENOMEM;
	int r = read_layer(&s, up, &at);
	for (int64_t i = 0; !r && (o = name_list_at(s.l, i)); i++) {
		if (o->type != DT_WHT)
			continue;
		r = dentry_lookup(up, o->name, o->len, &d);
		if (r)
			break;
		if (d->inode)
			r = ovl_remove(up, d);
		dentry_put(d);
	}
	name_list_free(s.l);
	return r;
}
