/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/sys. Most values describe a kernel that cannot be tuned from inside: they can be read, and
 * a write by root is checked, kept and shown again where programs expect that (limits of queues),
 * or refused. One line per file in sysctl.def.
 */
#include <errno.h>
#include <string.h>
#include <linux/capability.h>

#include "host/proc.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/aio/aio.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/task/ns.h"
#include "sentry/task/uname.h"

/* Values that can be changed live in kheap; the table below has name, default, bounds. */
static const struct {
	int64_t first, lo, hi;
} var_rules[SYSCTL_VARS] = {
#define VAR(path, id, first, lo, hi) [SYSCTL_##id] = {first, lo, hi},
#define TEXT(path, id)
#define CONST(path, text)
#include "sentry/fs/proc/sysctl.def"
#undef VAR
#undef TEXT
#undef CONST
};

static int64_t *vars;	/* kheap; SYSCTL_VARS entries */

static bool protected_hardlinks(void)
{
	return sysctl_get(SYSCTL_protected_hardlinks);
}

int sysctl_init(void)
{
	vars = kmalloc_array(SYSCTL_VARS, sizeof(*vars));
	if (!vars)
		return -ENOMEM;
	for (unsigned i = 0; i < SYSCTL_VARS; i++)
		vars[i] = var_rules[i].first;
	vfs_protected_hardlinks = protected_hardlinks;
	return 0;
}

int64_t sysctl_get(enum sysctl_var v)
{
	return vars ? __atomic_load_n(&vars[v], __ATOMIC_RELAXED) : var_rules[v].first;
}

int sysctl_var_show(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%lld\n", (long long)sysctl_get((enum sysctl_var)c->e->arg));
	return 0;
}

int64_t sysctl_var_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	int64_t v;
	uint64_t id = c->e->arg;

	(void)n;
	if (proc_parse_i64(text, &v) || id >= SYSCTL_VARS)
		return -EINVAL;
	if (v < var_rules[id].lo || v > var_rules[id].hi)
		return -EINVAL;
	__atomic_store_n(&vars[id], v, __ATOMIC_RELAXED);
	return 0;
}

static const struct {
	const char *path, *text;
} consts[] = {
#define VAR(path, id, first, lo, hi)
#define TEXT(path, id)
#define CONST(path, text) {path, text},
#include "sentry/fs/proc/sysctl.def"
#undef VAR
#undef TEXT
#undef CONST
};

int sysctl_const_show(const struct pseudo_ctx *c, struct buf *b)
{
	for (unsigned i = 0; i < array_size(consts); i++)
		if (!strcmp(consts[i].path, c->e->path))
			buf_fmt(b, "%s\n", consts[i].text);
	return 0;
}

/* --- computed ones ----------------------------------------------------------------------------------- */

static void uuid_show(const uint8_t *r, struct buf *b)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned v = r[i];
		if (i == 6)
			v = (v & 0x0f) | 0x40;
		if (i == 8)
			v = (v & 0x3f) | 0x80;
		buf_fmt(b, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", v);
	}
	buf_addc(b, '\n');
}

static uint8_t boot_id[16];
static bool boot_id_set;

static int show_uts(const struct pseudo_ctx *c, struct buf *b, bool domain)
{
	struct uts_ns *u = c->reader && c->reader->ns ? c->reader->ns->uts : NULL;

	if (!u)
		return -EINVAL;
	mutex_lock(&u->lock);
	buf_fmt(b, "%s\n", domain ? u->domainname : u->nodename);
	mutex_unlock(&u->lock);
	return 0;
}

int sysctl_text_show(const struct pseudo_ctx *c, struct buf *b)
{
	uint8_t r[16];

	switch ((enum sysctl_text)c->e->arg) {
	case SYSCTL_hostname:
		return show_uts(c, b, false);
	case SYSCTL_domainname:
		return show_uts(c, b, true);
	case SYSCTL_osrelease:
		buf_fmt(b, "%s\n", UTS_RELEASE);
		return 0;
	case SYSCTL_version:
		buf_fmt(b, "%s\n", UTS_VERSION);
		return 0;
	case SYSCTL_uuid:
		if (h_getrandom(r, sizeof(r), 0) != sizeof(r))
			return -EIO;
		uuid_show(r, b);
		return 0;
	case SYSCTL_boot_id:
		if (!boot_id_set && h_getrandom(boot_id, sizeof(boot_id), 0) == sizeof(boot_id))
			boot_id_set = true;
		uuid_show(boot_id, b);
		return 0;
	case SYSCTL_file_nr:
		buf_fmt(b, "%llu\t0\t%lld\n", (unsigned long long)file_count(),
			(long long)sysctl_get(SYSCTL_file_max));
		return 0;
	case SYSCTL_aio_nr:
		buf_fmt(b, "%u\n", aio_total());
		return 0;
	case SYSCTL_inode_nr:
		buf_fmt(b, "1024\t0\n");
		return 0;
	case SYSCTL_dentry_state:
		buf_fmt(b, "1024\t0\t45\t0\t0\t0\n");
		return 0;
	case SYSCTL_core_pattern:
		mutex_lock(&tasks_lock);
		buf_fmt(b, "%s\n", task_root->core_pattern);
		mutex_unlock(&tasks_lock);
		return 0;
	case SYSCTL_core_uses_pid:
		buf_fmt(b, "%u\n", task_root->core_uses_pid);
		return 0;
	case SYSCTL_ns_last_pid:
		buf_fmt(b, "%d\n", task_pid_ns(c->reader)->last_pid);
		return 0;
	case SYSCTL_pid_max:
		buf_fmt(b, "%d\n", task_pid_ns(c->reader)->pid_max);
		return 0;
	}
	return -EINVAL;
}

/* Handlers by pipe would run outside of everything the guest may see: they are refused. */
static int64_t store_core_pattern(char *text, size_t n)
{
	if (n && text[n - 1] == '\n')
		n--;
	if (n && text[0] == '|')
		return -EINVAL;
	n = min(n, (size_t)CORE_PATTERN_MAX - 1);
	mutex_lock(&tasks_lock);
	memset(task_root->core_pattern, 0, CORE_PATTERN_MAX);
	memcpy(task_root->core_pattern, text, n);
	mutex_unlock(&tasks_lock);
	return 0;
}

int64_t sysctl_text_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	struct uts_ns *u = c->reader->ns->uts;
	int64_t v;

	if (c->e->arg == SYSCTL_core_pattern)
		return store_core_pattern(text, n);
	if (c->e->arg == SYSCTL_core_uses_pid) {
		if (proc_parse_i64(text, &v))
			return -EINVAL;
		__atomic_store_n(&task_root->core_uses_pid, v != 0, __ATOMIC_RELAXED);
		return 0;
	}

	if (c->e->arg == SYSCTL_pid_max) {
		if (proc_parse_i64(text, &v) || v < 301 || v > 4194304)
			return -EINVAL;
		task_pid_ns(c->reader)->pid_max = (int32_t)v;
		return 0;
	}
	if (c->e->arg == SYSCTL_ns_last_pid) {
		if (!task_capable(c->reader, CAP_SYS_ADMIN))
			return -EPERM;
		if (proc_parse_i64(text, &v) || v < 0 || v >= task_pid_ns(c->reader)->pid_max)
			return -EINVAL;
		task_pid_ns(c->reader)->last_pid = (int32_t)v;
		return 0;
	}
	if (c->e->arg != SYSCTL_hostname && c->e->arg != SYSCTL_domainname)
		return -EPERM;
	if (!cred_ns_capable(c->reader->cred, u->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (n && text[n - 1] == '\n')
		n--;
	n = min(n, (size_t)UTS_LEN - 1);
	char *dst = c->e->arg == SYSCTL_hostname ? u->nodename : u->domainname;
	mutex_lock(&u->lock);
	memset(dst, 0, UTS_LEN);
	memcpy(dst, text, n);
	mutex_unlock(&u->lock);
	return 0;
}
