/* SPDX-License-Identifier: Apache-2.0 */
/* Users, groups and capabilities: credentials(7), capabilities(7). */
#include <errno.h>
#include <linux/capability.h>
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/ns.h"
#include "sentry/task/task_i.h"

#define SECURE_NO_SETUID_FIXUP 0x4u
#define KEEP_ID (~0u)
#define NGROUPS_MAX_ 65536

static bool may(const struct task *t, int cap)
{
	return cred_ns_capable(t->cred, t->cred->user_ns, cap);
}

#define GETTER(name, conv, field)                                                                  \
	int64_t sys_##name(struct task *t, const struct sysargs *a)                                \
	{                                                                                          \
		(void)a;                                                                           \
		return conv(t->cred->user_ns, t->cred->field);                                     \
	}
GETTER(getuid, user_ns_uid_munged, uid)
GETTER(geteuid, user_ns_uid_munged, euid)
GETTER(getgid, user_ns_gid_munged, gid)
GETTER(getegid, user_ns_gid_munged, egid)

/* What happens to capabilities when user ids leave or reach 0. */
static void fixup_caps(struct cred *n, const struct cred *o)
{
	uint32_t root = user_ns_kuid(n->user_ns, 0);
	bool was = o->uid == root || o->euid == root || o->suid == root;
	bool is = n->uid == root || n->euid == root || n->suid == root;

	if (n->securebits & SECURE_NO_SETUID_FIXUP)
		return;
	if (was && !is) {
		if (!(n->securebits & 0x10 /* KEEP_CAPS */))
			n->cap_permitted = n->cap_effective = 0;
		n->cap_ambient = 0;
	}
	if (o->euid == root && n->euid != root)
		n->cap_effective = 0;
	if (o->euid != root && n->euid == root)
		n->cap_effective = n->cap_permitted;
}

enum id_kind { USER, GROUP };

/* The four ids of one kind; user and group ids obey the same rules but for capabilities. */
struct ids {
	uint32_t r, e, s, fs;
};

static struct ids ids_of(const struct cred *c, enum id_kind kind)
{
	return kind == USER ? (struct ids){c->uid, c->euid, c->suid, c->fsuid} :
			      (struct ids){c->gid, c->egid, c->sgid, c->fsgid};
}

static uint32_t munged(const struct task *t, enum id_kind kind, uint32_t id)
{
	const struct user_ns *u = t->cred->user_ns;

	return kind == USER ? user_ns_uid_munged(u, id) : user_ns_gid_munged(u, id);
}

static bool may_set(const struct task *t, enum id_kind kind)
{
	return may(t, kind == USER ? CAP_SETUID : CAP_SETGID);
}

/* A guest id as a kernel id; KEEP_ID stays. False: not mapped. */
static bool to_kid(const struct task *t, enum id_kind kind, uint32_t id, uint32_t *out)
{
	const struct user_ns *u = t->cred->user_ns;

	*out = id == KEEP_ID ? KEEP_ID : kind == USER ? user_ns_kuid(u, id) : user_ns_kgid(u, id);
	return id == KEEP_ID || *out != ID_INVALID;
}

/* The file system capabilities that go and come with fsuid 0. */
#define FS_CAPS ((1ull << CAP_CHOWN) | (1ull << CAP_DAC_OVERRIDE) | (1ull << CAP_DAC_READ_SEARCH) | \
		 (1ull << CAP_FOWNER) | (1ull << CAP_FSETID) | (1ull << CAP_LINUX_IMMUTABLE) | \
		 (1ull << CAP_MKNOD) | (1ull << CAP_MAC_OVERRIDE))

static void fixup_fs_caps(struct cred *n, const struct cred *o)
{
	uint32_t root = user_ns_kuid(n->user_ns, 0);

	if (n->securebits & SECURE_NO_SETUID_FIXUP)
		return;
	if (o->fsuid == root && n->fsuid != root)
		n->cap_effective &= ~FS_CAPS;
	if (o->fsuid != root && n->fsuid == root)
		n->cap_effective |= n->cap_permitted & FS_CAPS;
}

/* The task gets these ids; `fixup` adapts the capabilities to new user ids. */
static int commit_ids(struct task *t, enum id_kind kind, const struct ids *i,
		      void (*fixup)(struct cred *n, const struct cred *o))
{
	struct cred *n = cred_copy(t->cred);

	if (!n)
		return -ENOMEM;
	if (kind == USER) {
		n->uid = i->r;
		n->euid = i->e;
		n->suid = i->s;
		n->fsuid = i->fs;
		fixup(n, t->cred);
	} else {
		n->gid = i->r;
		n->egid = i->e;
		n->sgid = i->s;
		n->fsgid = i->fs;
	}
	task_commit_creds(t, n);
	return 0;
}

static bool one_of(uint32_t id, const struct ids *i)
{
	return id == KEEP_ID || id == i->r || id == i->e || id == i->s;
}

static int64_t set_id(struct task *t, enum id_kind kind, const struct sysargs *a)
{
	struct ids i = ids_of(t->cred, kind);
	uint32_t id;

	if (ARG_U32(0) == KEEP_ID || !to_kid(t, kind, ARG_U32(0), &id))
		return -EINVAL;
	if (!may_set(t, kind) && id != i.r && id != i.s)
		return -EPERM;
	if (may_set(t, kind))
		i.r = i.s = id;
	i.e = i.fs = id;
	return commit_ids(t, kind, &i, fixup_caps);
}

static int64_t set_re_id(struct task *t, enum id_kind kind, const struct sysargs *a)
{
	const struct ids o = ids_of(t->cred, kind);
	struct ids i = o;
	uint32_t r, e;

	if (!to_kid(t, kind, ARG_U32(0), &r) || !to_kid(t, kind, ARG_U32(1), &e))
		return -EINVAL;
	if (!may_set(t, kind) &&
	    ((r != KEEP_ID && r != o.r && r != o.e) || !one_of(e, &o)))
		return -EPERM;
	if (r != KEEP_ID)
		i.r = r;
	if (e != KEEP_ID)
		i.e = e;
	if (r != KEEP_ID || (e != KEEP_ID && e != o.r))
		i.s = i.e;
	i.fs = i.e;
	return commit_ids(t, kind, &i, fixup_caps);
}

static int64_t set_res_id(struct task *t, enum id_kind kind, const struct sysargs *a)
{
	const struct ids o = ids_of(t->cred, kind);
	struct ids i = o;
	uint32_t id[3];

	for (int k = 0; k < 3; k++)
		if (!to_kid(t, kind, ARG_U32(k), &id[k]))
			return -EINVAL;
	if (!may_set(t, kind) && (!one_of(id[0], &o) || !one_of(id[1], &o) || !one_of(id[2], &o)))
		return -EPERM;
	if (id[0] != KEEP_ID)
		i.r = id[0];
	if (id[1] != KEEP_ID)
		i.e = id[1];
	if (id[2] != KEEP_ID)
		i.s = id[2];
	i.fs = i.e;
	return commit_ids(t, kind, &i, fixup_caps);
}

static int64_t get_res_id(struct task *t, enum id_kind kind, const struct sysargs *a)
{
	const struct ids i = ids_of(t->cred, kind);

	if (put_user(t, ARG_UADDR(0), munged(t, kind, i.r)) ||
	    put_user(t, ARG_UADDR(1), munged(t, kind, i.e)) ||
	    put_user(t, ARG_UADDR(2), munged(t, kind, i.s)))
		return -EFAULT;
	return 0;
}

/* Returns the old id, whatever happened: setfsuid(2). */
static int64_t set_fs_id(struct task *t, enum id_kind kind, const struct sysargs *a)
{
	struct ids i = ids_of(t->cred, kind);
	uint32_t old = munged(t, kind, i.fs), id;

	if (ARG_U32(0) == KEEP_ID || !to_kid(t, kind, ARG_U32(0), &id) || id == i.fs)
		return old;
	if (!one_of(id, &i) && !may_set(t, kind))
		return old;
	i.fs = id;
	(void)!commit_ids(t, kind, &i, fixup_fs_caps);
	return old;
}

#define ID_CALL(name, fn, kind)                                                                    \
	int64_t sys_##name(struct task *t, const struct sysargs *a)                                \
	{                                                                                          \
		return fn(t, kind, a);                                                             \
	}
ID_CALL(setuid, set_id, USER)
ID_CALL(setgid, set_id, GROUP)
ID_CALL(setreuid, set_re_id, USER)
ID_CALL(setregid, set_re_id, GROUP)
ID_CALL(setresuid, set_res_id, USER)
ID_CALL(setresgid, set_res_id, GROUP)
ID_CALL(getresuid, get_res_id, USER)
ID_CALL(getresgid, get_res_id, GROUP)
ID_CALL(setfsuid, set_fs_id, USER)
ID_CALL(setfsgid, set_fs_id, GROUP)

int64_t sys_getgroups(struct task *t, const struct sysargs *a)
{
	const struct group_list *g = t->cred->groups;
	uint32_t n = g ? g->n : 0, v;
	int size = ARG_INT(0);

	if (size < 0)
		return -EINVAL;
	if (size == 0)
		return n;
	if ((uint32_t)size < n)
		return -EINVAL;
	for (uint32_t i = 0; i < n; i++) {
		v = user_ns_gid_munged(t->cred->user_ns, g->gid[i]);
		/* bounded: by the group list, and copy_out checks the address */
		if (put_user(t, UADDR(a->a[1] + i * 4ull), v))
			return -EFAULT;
	}
	return n;
}

int64_t sys_setgroups(struct task *t, const struct sysargs *a)
{
	uint32_t n = ARG_U32(0), *ids = NULL;
	struct group_list *g = NULL;
	struct cred *c;
	int rc = 0;

	if (!may(t, CAP_SETGID) || t->cred->user_ns->setgroups_denied || !t->cred->user_ns->gid_map.n)
		return -EPERM;
	if (n > NGROUPS_MAX_)
		return -EINVAL;
	if (n) {
		ids = kmalloc_array(n, sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		rc = copy_in(t, ids, UADDR(a->a[1]), n * sizeof(*ids));
		for (uint32_t i = 0; i < n && !rc; i++)
			if (!to_kid(t, GROUP, ids[i], &ids[i]) || ids[i] == KEEP_ID)
				rc = -EINVAL;
		if (!rc)
			g = group_list_create(ids, n);
		kfree(ids);
		if (!rc && !g)
			rc = -ENOMEM;
	}
	if (rc)
		return rc;
	c = cred_copy(t->cred);
	if (!c) {
		kfree(g);
		return -ENOMEM;
	}
	if (c->groups && ref_put(&c->groups->ref))
		kfree(c->groups);
	c->groups = g;
	task_commit_creds(t, c);
	return 0;
}

/* --- capabilities -------------------------------------------------------------------------- */

struct cap_header {
	uint32_t version;
	int32_t pid;
};

struct cap_data {
	uint32_t effective, permitted, inheritable;
};

static int header_in(struct task *t, uint64_t uhdr, struct cap_header *h, unsigned *words)
{
	if (get_user(t, *h, UADDR(uhdr)))
		return -EFAULT;
	switch (h->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		return 0;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		return 0;
	default:
		h->version = _LINUX_CAPABILITY_VERSION_3;
		return put_user(t, UADDR(uhdr), h->version) ? -EFAULT : -EINVAL;
	}
}

int64_t sys_capget(struct task *t, const struct sysargs *a)
{
	struct cap_data d[2];
	struct cap_header h;
	struct cred *c;
	unsigned words;
	int rc = header_in(t, a->a[0], &h, &words);

	if (rc)
		return rc == -EINVAL && !a->a[1] ? 0 : rc;
	if (h.pid < 0)
		return -EINVAL;
	if (h.pid && h.pid != task_pid_nr(t, task_pid_ns(t))) {
		struct task *o = task_lookup(task_pid_ns(t), h.pid);

		if (!o)
			return -ESRCH;
		c = task_cred_get(o);
		task_put(o);
	} else {
		c = cred_get(t->cred);
	}
	for (unsigned i = 0; i < 2; i++)
		d[i] = (struct cap_data){(uint32_t)(c->cap_effective >> 32 * i),
					 (uint32_t)(c->cap_permitted >> 32 * i),
					 (uint32_t)(c->cap_inheritable >> 32 * i)};
	cred_put(c);
	if (!a->a[1])
		return 0;
	return copy_out(t, UADDR(a->a[1]), d, words * sizeof(d[0]));
}

int64_t sys_capset(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	struct cap_data d[2] = {0};
	uint64_t e, p, i;
	struct cap_header h;
	struct cred *n;
	unsigned words;
	int rc = header_in(t, a->a[0], &h, &words);

	if (rc)
		return rc;
	if (h.pid && h.pid != task_pid_nr(t, task_pid_ns(t)))
		return -EPERM;
	if (copy_in(t, d, UADDR(a->a[1]), words * sizeof(d[0])))
		return -EFAULT;
	e = (d[0].effective | (uint64_t)d[1].effective << 32) & CAP_FULL;
	p = (d[0].permitted | (uint64_t)d[1].permitted << 32) & CAP_FULL;
	i = (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & CAP_FULL;
	if (!may(t, CAP_SETPCAP) && (i & ~(o->cap_inheritable | o->cap_permitted)))
		return -EPERM;
	if (i & ~(o->cap_inheritable | o->cap_bset))
		return -EPERM;
	if ((p & ~o->cap_permitted) || (e & ~p))
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	n->cap_effective = e;
	n->cap_permitted = p;
	n->cap_inheritable = i;
	n->cap_ambient &= p & i;
	task_commit_creds(t, n);
	return 0;
}
