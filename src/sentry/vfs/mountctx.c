/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File system contexts (fs/fsopen.c, fs/fs_context.c): parameters are gathered one by one, checked
 * against the type's list, and given to the type as one text. What went wrong is read from the
 * descriptor, one message a read. A context is changed by one call at a time (the file's position
 * lock, which may be held over anything).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/mount_int.h"
#include "sentry/vfs/mountctx.h"

#define MESSAGES 8u
#ifndef FSCONFIG_CMD_CREATE_EXCL	/* newer than libc's header */
#define FSCONFIG_CMD_CREATE_EXCL 8
#endif

enum phase { CREATE_PARAMS, AWAITING_MOUNT, AWAITING_RECONF, RECONF_PARAMS, FAILED };

struct mount_ctx {
	enum phase phase;
	const char *type_name;		/* owned copy: no pointer to code in kheap */
	struct super *sb;		/* active reference; made or picked */
	char *source, *data;		/* owned */
	uint32_t data_len;
	unsigned set, mask;		/* superblock flags asked for */
	char *message[MESSAGES];	/* owned; oldest at first */
	uint32_t first, n;
};

static KCACHE(mount_ctx_cache, struct mount_ctx, 0);

/* --- messages -------------------------------------------------------------------------------- */

static void complain(struct mount_ctx *c, const char *prefix, const char *what, const char *key)
{
	char *m = kmalloc(MOUNT_PARAM_MAX + 64);

	if (!m)
		return;
	fmt_n(m, MOUNT_PARAM_MAX + 64, "e %s%s%s%s%s%s\n", prefix, *prefix ? ": " : "", what,
	      key ? "'" : "", key ? key : "", key ? "'" : "");
	if (c->n == MESSAGES) {
		kfree(c->message[c->first]);
		c->first = (c->first + 1) % MESSAGES;
		c->n--;
	}
	c->message[(c->first + c->n++) % MESSAGES] = m;
}

static int64_t ctx_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct mount_ctx *c = f->priv;
	int64_t r = file_pos_lock(f, current);

	if (r)
		return r;
	char *m = c->n ? c->message[c->first] : NULL;
	size_t n = m ? strlen(m) : 0;
	if (m && n <= u->left) {	/* one that does not fit stays */
		c->message[c->first] = NULL;
		c->first = (c->first + 1) % MESSAGES;
		c->n--;
	}
	file_pos_unlock(f);
	if (!m)
		return -ENODATA;
	if (n > u->left)
		return -EMSGSIZE;
	r = uio_put(u, m, n);
	kfree(m);
	return r;
}

static void ctx_free(struct mount_ctx *c)
{
	if (c->sb)
		super_deactivate(c->sb);
	for (uint32_t i = 0; i < MESSAGES; i++)
		kfree(c->message[i]);
	kfree((void *)(uintptr_t)c->type_name);
	kfree(c->source);
	kfree(c->data);
	kc_free(&mount_ctx_cache, c);
}

static void ctx_release(struct file *f)
{
	ctx_free(f->priv);
}

const struct file_ops mount_ctx_file_ops = {
	.read = ctx_read,
	.release = ctx_release,
};

static int ctx_new(struct task *t, const char *type, struct mount_ctx **c, struct file **out)
{
	struct inode *i;
	struct mount_ctx *x = kc_alloc(&mount_ctx_cache);

	if (!x)
		return -ENOMEM;
	x->type_name = kstrdup(type);
	int r = x->type_name ? inode_anon(0600, t->cred, &i) : -ENOMEM;
	if (!r)
		r = file_anon("anon_inode:[fscontext]", i, FOPS_mount_ctx, FMODE_READ | FMODE_WRITE | FMODE_STREAM,
			      O_RDWR, t->cred, out);
	if (r) {
		ctx_free(x);
		return r;
	}
	(*out)->priv = x;
	*c = x;
	return 0;
}

int mount_ctx_open(struct task *t, const char *type, struct file **out)
{
	struct mount_ctx *c;

	return fs_type_find(type) ? ctx_new(t, type, &c, out) : -ENODEV;
}

int mount_ctx_pick(struct task *t, const struct path *p, struct file **out)
{
	struct mount_ctx *c;

	if (p->dentry != p->mnt->root)
		return -EINVAL;
	int r = ctx_new(t, p->mnt->sb->type_name, &c, out);
	if (r)
		return r;
	super_activate(p->mnt->sb);
	c->sb = p->mnt->sb;
	c->phase = RECONF_PARAMS;
	return 0;
}

/* --- parameters ------------------------------------------------------------------------------ */

/* Flags of the superblock, known to all types. */
static bool super_flag(struct mount_ctx *c, const char *key)
{
	static const struct {
		const char *key;
		unsigned set, mask;
	} flags[] = {
		{"ro", MS_RDONLY, MS_RDONLY}, {"rw", 0, MS_RDONLY}, {"sync", 0, 0}, {"async", 0, 0},
		{"dirsync", 0, 0}, {"lazytime", 0, 0}, {"nolazytime", 0, 0}, {"mand", 0, 0}, {"nomand", 0, 0},
	};
	for (size_t i = 0; i < array_size(flags); i++) {
		if (strcmp(key, flags[i].key) == 0) {
			c->set = (c->set & ~flags[i].mask) | flags[i].set;
			c->mask |= flags[i].mask;
			return true;
		}
	}
	return false;
}

static int set_source(struct mount_ctx *c, const char *value)
{
	if (!value || c->source) {
		complain(c, "", value ? "Multiple sources" : "Non-string source", NULL);
		return -EINVAL;
	}
	c->source = kstrdup(value);
	return c->source ? 0 : -ENOMEM;
}

/* "key" or "key=value" behind what there is; commas of the value are escaped. */
static int append(struct mount_ctx *c, const char *key, const char *value)
{
	size_t k = strlen(key), v = value ? strlen(value) : 0, n = c->data_len + k + v + v + 3;
	char *text = n <= MOUNT_DATA_MAX ? kmalloc(n) : NULL, *p = text;

	if (!text)
		return n <= MOUNT_DATA_MAX ? -ENOMEM : -EINVAL;
	if (c->data_len) {
		memcpy(p, c->data, c->data_len);
		p += c->data_len;
		*p++ = ',';
	}
	memcpy(p, key, k);
	p += k;
	if (value)
		*p++ = '=';
	for (; v; v--, value++) {
		if (*value == ',')
			*p++ = '\\';
		*p++ = *value;
	}
	*p = 0;
	kfree(c->data);
	c->data = text;
	c->data_len = (uint32_t)(p - text);
	return 0;
}

/* Is key in the type's list, as a flag or ("key=" there) with a value? */
static bool find_key(const struct fs_type *ft, const char *key, bool *wants_value)
{
	size_t n = strlen(key);

	for (const char *const *k = ft->keys; k && *k; k++) {
		if (strncmp(*k, key, n) == 0 && (!(*k)[n] || ((*k)[n] == '=' && !(*k)[n + 1]))) {
			*wants_value = (*k)[n] == '=';
			return true;
		}
	}
	return false;
}

static int set_param(struct task *t, struct mount_ctx *c, const char *key, const char *value, bool no_text)
{
	const struct fs_type *ft = fs_type_find(c->type_name);
	bool wants = false;
	int r = 0;

	if (super_flag(c, key))
		return 0;
	if (strcmp(key, "source") == 0)
		return set_source(c, value);
	if (!ft || !find_key(ft, key, &wants)) {
		complain(c, c->type_name, "Unknown parameter ", key);
		return -EINVAL;
	}
	if (no_text || wants != (value != NULL) || (value && strchr(value, ',') && !ft->escapes))
		r = -EINVAL;
	if (!r && ft->check)
		r = ft->check(t, key, value);
	if (r == -EINVAL)
		complain(c, c->type_name, "Bad value for ", key);
	return r ? r : append(c, key, value);
}

/* --- commands -------------------------------------------------------------------------------- */

static int create(struct task *t, struct mount_ctx *c)
{
	const struct fs_type *ft = fs_type_find(c->type_name);
	struct super *sb;

	if (c->phase != CREATE_PARAMS)
		return -EBUSY;
	c->phase = FAILED;
	int r = ft ? ft->create(t, c->source, c->set, c->data, &sb) : -ENODEV;
	if (r)
		return r;
	sb->flags |= c->set & MS_RDONLY;
	super_activate(sb);
	super_put(sb);
	c->sb = sb;
	c->phase = AWAITING_MOUNT;
	return 0;
}

static int reconfigure(struct mount_ctx *c)
{
	if (c->phase != RECONF_PARAMS)
		return -EBUSY;
	unsigned flags = (c->sb->flags & ~c->mask) | c->set;
	int r = mount_remount(c->sb, flags & MS_RDONLY, c->data);
	if (r) {
		c->phase = FAILED;
		return r;
	}
	c->phase = AWAITING_RECONF;
	return 0;
}

/* A context that has done its work starts to gather anew. */
static void start_again(struct mount_ctx *c)
{
	if (c->phase != AWAITING_RECONF)
		return;
	kfree(steal(c->data));
	kfree(steal(c->source));
	c->data_len = 0;
	c->set = 0;	/* the mask stays, as in Linux */
	c->phase = RECONF_PARAMS;
}

static int config_locked(struct task *t, struct mount_ctx *c, unsigned cmd, const char *key,
			 const char *value)
{
	start_again(c);
	if (cmd == FSCONFIG_CMD_CREATE || cmd == FSCONFIG_CMD_CREATE_EXCL)
		return create(t, c);
	if (cmd == FSCONFIG_CMD_RECONFIGURE)
		return reconfigure(c);
	if (c->phase != CREATE_PARAMS && c->phase != RECONF_PARAMS)
		return -EBUSY;
	return set_param(t, c, key, value, cmd != FSCONFIG_SET_FLAG && cmd != FSCONFIG_SET_STRING);
}

int mount_ctx_config(struct task *t, struct file *f, unsigned cmd, const char *key, const char *value)
{
	if (f->fops != FOPS_mount_ctx)
		return -EINVAL;
	int r = file_pos_lock(f, t);
	if (r)
		return r;
	r = config_locked(t, f->priv, cmd, key, value);
	file_pos_unlock(f);
	return r;
}

int mount_ctx_mount(struct task *t, struct file *f, unsigned attr, struct file **out)
{
	struct mount_ctx *c = f->priv;
	struct mount *m;

	if (f->fops != FOPS_mount_ctx)
		return -EINVAL;
	int r = file_pos_lock(f, t);
	if (r)
		return r;
	if (!c->sb)
		r = -EINVAL;
	else if (c->phase != AWAITING_MOUNT)
		r = -EBUSY;
	if (!r)
		r = mount_create(c->sb, mount_attr_flags(attr), c->source, &m);
	if (!r)
		r = mount_open_detached(t, m, out);
	if (!r)
		c->phase = AWAITING_RECONF;
	file_pos_unlock(f);
	return r;
}
