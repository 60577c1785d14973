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

static int commit_uid(struct task *t, struct cred *n)
{
	fixup_caps(n, t->cred);
	task_commit_creds(t, n);
	return 0;
}

/* A guest id as a kernel id; KEEP_ID stays. False: not mapped. */
static bool to_kuid(const struct task *t, uint32_t id, uint32_t *out)
{
	*out = id == KEEP_ID ? KEEP_ID : user_ns_kuid(t->cred->user_ns, id);
	return id == KEEP_ID || *out != ID_INVALID;
}

static bool to_kgid(const struct task *t, uint32_t id, uint32_t *out)
{
	*out = id == KEEP_ID ? KEEP_ID : user_ns_kgid(t->cred->user_ns, id);
	return id == KEEP_ID || *out != ID_INVALID;
}

int64_t sys_setuid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t id;
	struct cred *n;

	if (ARG_U32(0) == KEEP_ID || !to_kuid(t, ARG_U32(0), &id))
		return -EINVAL;
	if (!may(t, CAP_SETUID) && id != o->uid && id != o->suid)
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	if (may(t, CAP_SETUID))
		n->uid = n->suid = id;
	n->euid = n->fsuid = id;
	return commit_uid(t, n);
}

int64_t sys_setgid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t id;
	struct cred *n;

	if (ARG_U32(0) == KEEP_ID || !to_kgid(t, ARG_U32(0), &id))
		return -EINVAL;
	if (!may(t, CAP_SETGID) && id != o->gid && id != o->sgid)
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	if (may(t, CAP_SETGID))
		n->gid = n->sgid = id;
	n->egid = n->fsgid = id;
	task_commit_creds(t, n);
	return 0;
}

int64_t sys_setreuid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t r, e;
	struct cred *n;

	if (!to_kuid(t, ARG_U32(0), &r) || !to_kuid(t, ARG_U32(1), &e))
		return -EINVAL;
	if (!may(t, CAP_SETUID) &&
	    ((r != KEEP_ID && r != o->uid && r != o->euid) ||
	     (e != KEEP_ID && e != o->uid && e != o->euid && e != o->suid)))
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	if (r != KEEP_ID)
		n->uid = r;
	if (e != KEEP_ID)
		n->euid = e;
	if (r != KEEP_ID || (e != KEEP_ID && e != o->uid))
		n->suid = n->euid;
	n->fsuid = n->euid;
	return commit_uid(t, n);
}

int64_t sys_setregid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t r, e;
	struct cred *n;

	if (!to_kgid(t, ARG_U32(0), &r) || !to_kgid(t, ARG_U32(1), &e))
		return -EINVAL;
	if (!may(t, CAP_SETGID) &&
	    ((r != KEEP_ID && r != o->gid && r != o->egid) ||
	     (e != KEEP_ID && e != o->gid && e != o->egid && e != o->sgid)))
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	if (r != KEEP_ID)
		n->gid = r;
	if (e != KEEP_ID)
		n->egid = e;
	if (r != KEEP_ID || (e != KEEP_ID && e != o->gid))
		n->sgid = n->egid;
	n->fsgid = n->egid;
	task_commit_creds(t, n);
	return 0;
}

static bool one_of(uint32_t id, uint32_t a, uint32_t b, uint32_t c)
{
	return id == KEEP_ID || id == a || id == b || id == c;
}

int64_t sys_setresuid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t r, e, s;
	struct cred *n;

	if (!to_kuid(t, ARG_U32(0), &r) || !to_kuid(t, ARG_U32(1), &e) || !to_kuid(t, ARG_U32(2), &s))
		return -EINVAL;
	if (!may(t, CAP_SETUID) &&
	    (!one_of(r, o->uid, o->euid, o->suid) || !one_of(e, o->uid, o->euid, o->suid) ||
	     !one_of(s, o->uid, o->euid, o->suid)))
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	if (r != KEEP_ID)
		n->uid = r;
	if (e != KEEP_ID)
		n->euid = e;
	if (s != KEEP_ID)
		n->suid = s;
	n->fsuid = n->euid;
	return commit_uid(t, n);
}

int64_t sys_setresgid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t r, e, s;
	struct cred *n;

	if (!to_kgid(t, ARG_U32(0), &r) || !to_kgid(t, ARG_U32(1), &e) || !to_kgid(t, ARG_U32(2), &s))
		return -EINVAL;
	if (!may(t, CAP_SETGID) &&
	    (!one_of(r, o->gid, o->egid, o->sgid) || !one_of(e, o->gid, o->egid, o->sgid) ||
	     !one_of(s, o->gid, o->egid, o->sgid)))
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	if (r != KEEP_ID)
		n->gid = r;
	if (e != KEEP_ID)
		n->egid = e;
	if (s != KEEP_ID)
		n->sgid = s;
	n->fsgid = n->egid;
	task_commit_creds(t, n);
	return 0;
}

static int64_t put3(struct task *t, const struct sysargs *a, uint32_t x, uint32_t y, uint32_t z)
{
	if (put_user(t, ARG_UADDR(0), x) || put_user(t, ARG_UADDR(1), y) || put_user(t, ARG_UADDR(2), z))
		return -EFAULT;
	return 0;
}

int64_t sys_getresuid(struct task *t, const struct sysargs *a)
{
	const struct cred *c = t->cred;
	const struct user_ns *u = c->user_ns;

	return put3(t, a, user_ns_uid_munged(u, c->uid), user_ns_uid_munged(u, c->euid),
		    user_ns_uid_munged(u, c->suid));
}

int64_t sys_getresgid(struct task *t, const struct sysargs *a)
{
	const struct cred *c = t->cred;
	const struct user_ns *u = c->user_ns;

	return put3(t, a, user_ns_gid_munged(u, c->gid), user_ns_gid_munged(u, c->egid),
		    user_ns_gid_munged(u, c->sgid));
}

/* The file system capabilities that go and come with fsuid 0. */
#define FS_CAPS ((1ull << CAP_CHOWN) | (1ull << CAP_DAC_OVERRIDE) | (1ull << CAP_DAC_READ_SEARCH) | \
		 (1ull << CAP_FOWNER) | (1ull << CAP_FSETID) | (1ull << CAP_LINUX_IMMUTABLE) | \
		 (1ull << CAP_MKNOD) | (1ull << CAP_MAC_OVERRIDE))

int64_t sys_setfsuid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t old = user_ns_uid_munged(o->user_ns, o->fsuid), id, root = user_ns_kuid(o->user_ns, 0);
	struct cred *n;

	if (ARG_U32(0) == KEEP_ID || !to_kuid(t, ARG_U32(0), &id))
		return old;
	if (id == o->fsuid || (id != o->uid && id != o->euid && id != o->suid && !may(t, CAP_SETUID)))
		return old;
	n = cred_copy(o);
	if (!n)
		return old;
	n->fsuid = id;
	if (!(n->securebits & SECURE_NO_SETUID_FIXUP)) {
		if (o->fsuid == root && id != root)
			n->cap_effective &= ~FS_CAPS;
		if (o->fsuid != root && id == root)
			n->cap_effective |= n->cap_permitted & FS_CAPS;
	}
	task_commit_creds(t, n);
	return old;
}

int64_t sys_setfsgid(struct task *t, const struct sysargs *a)
{
	const struct cred *o = t->cred;
	uint32_t old = user_ns_gid_munged(o->user_ns, o->fsgid), id;
	struct cred *n;

	if (ARG_U32(0) == KEEP_ID || !to_kgid(t, ARG_U32(0), &id))
		return old;
	if (id == o->fsgid || (id != o->gid && id != o->egid && id != o->sgid && !may(t, CAP_SETGID)))
		return old;
	n = cred_copy(o);
	if (!n)
		return old;
	n->fsgid = id;
	task_commit_creds(t, n);
	return old;
}

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
			if (!to_kgid(t, ids[i], &ids[i]) || ids[i] == KEEP_ID)
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
