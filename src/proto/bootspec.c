/* SPDX-License-Identifier: Apache-2.0 */
/* Boot spec codec: one walk over the fields serves both directions, so that they cannot differ. */
#include "proto/bootspec.h"

#include <errno.h>
#include <string.h>

#include "lib/checked.h"

#define BOOT_MAX_STRINGS 65536u
#define GIB (1ull << 30)

/* A cursor over the buffer. After the first failure all further steps do nothing. */
struct cur {
	uint8_t *p;
	size_t cap, pos;
	bool write;
	int err;
};

static void fail(struct cur *c, int err)
{
	if (!c->err)
		c->err = err;
}

static uint8_t *take(struct cur *c, size_t n)
{
	if (c->err)
		return NULL;
	if (n > c->cap - c->pos) {
		fail(c, c->write ? -E2BIG : -EINVAL);
		return NULL;
	}
	uint8_t *at = c->p + c->pos;
	c->pos += n;
	return at;
}

static void do_raw(struct cur *c, void *v, size_t n)
{
	uint8_t *at = take(c, n);
	if (!at)
		return;
	if (c->write)
		memcpy(at, v, n);
	else
		memcpy(v, at, n);
}

static void do_u32(struct cur *c, uint32_t *v)
{
	do_raw(c, v, sizeof(*v));
}

static void do_u64(struct cur *c, uint64_t *v)
{
	do_raw(c, v, sizeof(*v));
}

static void do_fd(struct cur *c, int32_t *v)
{
	do_raw(c, v, sizeof(*v));
	if (!c->err && (*v < -1 || *v > 1 << 20))
		fail(c, -EINVAL);
}

/* A string: length without the NUL, bytes, NUL. */
static void do_str(struct cur *c, const char **s, uint32_t max_len)
{
	uint32_t n = 0;
	if (c->write) {
		if (!*s || strlen(*s) > max_len) {
			fail(c, -EINVAL);
			return;
		}
		n = (uint32_t)strlen(*s);
	}
	do_u32(c, &n);
	if (c->err)
		return;
	if (n > max_len) {
		fail(c, -EINVAL);
		return;
	}
	uint8_t *at = take(c, (size_t)n + 1);
	if (!at)
		return;
	if (c->write) {
		memcpy(at, *s, (size_t)n + 1);
	} else {
		if (at[n] != 0 || memchr(at, 0, n))
			fail(c, -EINVAL);
		*s = (const char *)at;
	}
}

static bool strs_valid(const struct boot_strs *s)
{
	uint32_t nul = 0;
	if (s->n > BOOT_MAX_STRINGS || (s->len == 0) != (s->n == 0))
		return false;
	if (s->len == 0)
		return true;
	for (uint32_t i = 0; i < s->len; i++)
		nul += s->p[i] == 0;
	return nul == s->n && s->p[s->len - 1] == 0;
}

static void do_strs(struct cur *c, struct boot_strs *s)
{
	do_u32(c, &s->n);
	do_u32(c, &s->len);
	if (c->err)
		return;
	uint8_t *at = take(c, s->len);
	if (!at)
		return;
	if (!c->write)
		s->p = (const char *)at;
	if (!strs_valid(s)) {
		fail(c, -EINVAL);
		return;
	}
	if (c->write && s->len)
		memcpy(at, s->p, s->len);
}

/* Absolute, no empty, "." or ".." component; "/" alone is the root. */
static bool path_valid(const char *p)
{
	if (p[0] != '/')
		return false;
	if (p[1] == 0)
		return true;
	while (*p) {
		const char *name = p + 1;
		size_t n = strcspn(name, "/");
		if (n == 0 || (n == 1 && name[0] == '.') ||
		    (n == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		p = name + n;
	}
	return true;
}

static void do_limits(struct cur *c, struct boot_limits *l)
{
	do_u64(c, &l->memory);
	do_u64(c, &l->disk);
	do_u64(c, &l->timeout_ns);
	do_u32(c, &l->pids);
	do_u32(c, &l->nofile_soft);
	do_u32(c, &l->nofile_hard);
	if (!c->err && l->nofile_soft > l->nofile_hard)
		fail(c, -EINVAL);
}

static void do_fds(struct cur *c, struct boot_fds *f)
{
	int32_t *const one[] = {&f->control, &f->cell,	   &f->log,	 &f->strace,	&f->tty,
				&f->stdio[0], &f->stdio[1], &f->stdio[2], &f->empty_dir};
	for (size_t i = 0; i < array_size(one); i++)
		do_fd(c, one[i]);
	do_u32(c, &f->n_channels);
	if (!c->err && f->n_channels > BOOT_MAX_CHANNELS)
		fail(c, -EINVAL);
	for (uint32_t i = 0; !c->err && i < f->n_channels; i++)
		do_fd(c, &f->channels[i]);
	if (!c->err && (f->control < 0 || f->cell < 0))
		fail(c, -EINVAL);
}

static void do_mount(struct cur *c, struct boot_mount *m)
{
	do_u32(c, &m->kind);
	do_u32(c, &m->flags);
	do_u32(c, &m->root);
	do_u32(c, &m->mode);
	do_u64(c, &m->size);
	do_str(c, &m->target, BOOT_PATH_MAX - 1);
	do_str(c, &m->source, BOOT_PATH_MAX - 1);
	if (c->err)
		return;
	if (m->kind == 0 || m->kind >= BOOT_MNT_KINDS || (m->mode & ~07777u) ||
	    !path_valid(m->target))
		fail(c, -EINVAL);
}

static bool root_mount_valid(const struct boot_spec *s)
{
	const struct boot_mount *m = s->mounts;
	return s->n_mounts > 0 && m->target[0] == '/' && m->target[1] == 0 &&
	       (m->kind == BOOT_MNT_OVERLAY || m->kind == BOOT_MNT_GOFER ||
		m->kind == BOOT_MNT_TMPFS);
}

static void do_lists(struct cur *c, struct boot_spec *s)
{
	do_u64(c, &s->mem_total);
	do_str(c, &s->cpuinfo, BOOT_CPUINFO_MAX);
	do_u32(c, &s->n_groups);
	if (!c->err && s->n_groups > BOOT_MAX_GROUPS)
		fail(c, -EINVAL);
	for (uint32_t i = 0; !c->err && i < s->n_groups; i++)
		do_u32(c, &s->groups[i]);
	do_str(c, &s->cwd, BOOT_PATH_MAX - 1);
	do_str(c, &s->hostname, 64);
	do_str(c, &s->program, BOOT_PATH_MAX - 1);
	do_strs(c, &s->argv);
	do_strs(c, &s->envp);
	do_u32(c, &s->n_mounts);
	if (!c->err && s->n_mounts > BOOT_MAX_MOUNTS)
		fail(c, -EINVAL);
	for (uint32_t i = 0; !c->err && i < s->n_mounts; i++)
		do_mount(c, &s->mounts[i]);
	if (!c->err && (s->argv.n == 0 || !path_valid(s->cwd) || !root_mount_valid(s)))
		fail(c, -EINVAL);
}

static void do_spec(struct cur *c, struct boot_spec *s)
{
	do_u64(c, &s->kheap_addr);
	do_raw(c, s->seed, sizeof(s->seed));
	do_u64(c, &s->flags);
	uint32_t *const word[] = {&s->ncpus,	&s->uid,   &s->gid,	 &s->host_uid,
				  &s->host_gid, &s->umask, &s->tty_rows, &s->tty_cols};
	for (size_t i = 0; i < array_size(word); i++)
		do_u32(c, word[i]);
	if (!c->err && (s->kheap_addr == 0 || s->kheap_addr % GIB || s->kheap_addr >> 47 ||
			(s->flags & ~BOOT_F_MASK) || s->ncpus == 0 || s->ncpus > 8192 ||
			(s->umask & ~0777u) || s->tty_rows > 65535 || s->tty_cols > 65535))
		fail(c, -EINVAL);
	do_limits(c, &s->limits);
	do_fds(c, &s->fds);
	do_lists(c, s);
}

/* Magic, version, total length: the length is patched in last when writing. */
static int walk(struct cur *c, struct boot_spec *s)
{
	uint32_t magic = BOOT_MAGIC, version = BOOT_VERSION, total = 0;
	do_u32(c, &magic);
	do_u32(c, &version);
	do_u32(c, &total);
	if (!c->err && !c->write &&
	    (magic != BOOT_MAGIC || version != BOOT_VERSION || total != c->cap))
		fail(c, -EINVAL);
	do_spec(c, s);
	if (c->err)
		return c->err;
	if (!c->write)
		return c->pos == c->cap ? 0 : -EINVAL;
	total = (uint32_t)c->pos;
	memcpy(c->p + 8, &total, sizeof(total));
	return 0;
}

int boot_decode(const void *buf, size_t len, struct boot_spec *out)
{
	if (len > BOOT_MAX_SIZE)
		return -EINVAL;
	/* Not written to: c.write is false. */
	struct cur c = {.p = (uint8_t *)(uintptr_t)buf, .cap = len};
	memset(out, 0, sizeof(*out));
	return walk(&c, out);
}

int boot_encode(const struct boot_spec *spec, void *buf, size_t cap, size_t *len)
{
	struct cur c = {.p = buf, .cap = min(cap, (size_t)BOOT_MAX_SIZE), .write = true};
	int rc = walk(&c, (struct boot_spec *)(uintptr_t)spec);
	if (rc)
		return rc;
	*len = c.pos;
	return 0;
}

const char *boot_strs_next(const struct boot_strs *s, const char *prev)
{
	const char *next = prev ? prev + strlen(prev) + 1 : s->p;
	return next && next < s->p + s->len ? next : NULL;
}
