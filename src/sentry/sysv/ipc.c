/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, keys and permissions common to the three kinds of System V objects. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include "host/time.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/mm/shmem.h"
#include "sentry/sysv/sysv.h"
#include "sentry/task/ns.h"

static KCACHE(sysv_cache, struct sysv, 0);
static struct mutex create_lock = MUTEX_INIT(RANK_OBJECT);

int64_t ipc_now(void)
{
	return h_clock_ns(CLOCK_REALTIME) / NSEC_PER_SEC;
}

static void fini(struct ipc_ns *ns)
{
	struct sysv *sv = steal(ns->sysv);
	uint32_t i;

	if (!sv)
		return;
	for (i = 0; i < sv->tab[SYSV_SHM].cap; i++)
		if (sv->tab[SYSV_SHM].slot[i])
			sysv_shm_destroy(sv->tab[SYSV_SHM].slot[i]);
	for (i = 0; i < sv->tab[SYSV_SEM].cap; i++)
		if (sv->tab[SYSV_SEM].slot[i])
			sysv_sem_destroy(sv->tab[SYSV_SEM].slot[i]);
	for (i = 0; i < sv->tab[SYSV_MSG].cap; i++)
		if (sv->tab[SYSV_MSG].slot[i])
			sysv_msg_destroy(sv->tab[SYSV_MSG].slot[i]);
	for (i = 0; i < SYSV_KINDS; i++)
		kfree(sv->tab[i].slot);
	kc_free(&sysv_cache, sv);
}

struct sysv *sysv_of(struct task *t)
{
	struct ipc_ns *ns = t->ns->ipc;
	struct sysv *sv = __atomic_load_n(&ns->sysv, __ATOMIC_ACQUIRE);

	if (sv)
		return sv;
	mutex_lock(&create_lock);
	sv = ns->sysv;
	if (!sv && (sv = kc_alloc(&sysv_cache)) != NULL) {
		mutex_init(&sv->lock, RANK_OBJECT);
		shmem_detached_hook = sysv_shm_detached;
		process_sem_exit = sysv_task_exit;
		ipc_ns_fini = fini;
		sv->tab[SYSV_SHM].max = 4096;
		sv->tab[SYSV_SEM].max = 32000;
		sv->tab[SYSV_MSG].max = 32000;
		__atomic_store_n(&ns->sysv, (void *)sv, __ATOMIC_RELEASE);
	}
	mutex_unlock(&create_lock);
	return sv;
}

/* --- permissions ---------------------------------------------------------------------------------- */

int ipc_permitted(struct task *t, const struct ipc_obj *o, uint32_t mode)
{
	const struct cred *c = t->cred;
	uint32_t want = (mode >> 6 | mode >> 3 | mode) & 7, have = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		have >>= 6;
	else if (cred_in_egroup(c, o->cgid) || cred_in_egroup(c, o->gid))
		have >>= 3;
	if ((want & ~have & 7) && !task_capable(t, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

void ipc_fill(const struct ipc_obj *o, struct l_ipc_perm *p)
{
	*p = (struct l_ipc_perm){.key = o->key, .uid = o->uid, .gid = o->gid, .cuid = o->cuid,
				 .cgid = o->cgid, .mode = o->mode, .seq = o->seq};
}

void ipc_set(struct ipc_obj *o, const struct l_ipc_perm *p)
{
	o->uid = p->uid;
	o->gid = p->gid;
	o->mode = (o->mode & ~0777u) | (p->mode & 0777);
	o->ctime = ipc_now();
}

/* --- tables ------------------------------------------------------------------------------------------ */

static struct ipc_obj *find_key(struct ipc_table *tab, int32_t key)
{
	uint32_t i;

	for (i = 0; i < tab->cap; i++)
		if (tab->slot[i] && tab->slot[i]->key == key)
			return tab->slot[i];
	return NULL;
}

int64_t ipc_get_locked(struct task *t, struct sysv *sv, int kind, int32_t key, int flags,
		       int (*check)(struct ipc_obj *o, uint64_t arg), uint64_t arg)
{
	struct ipc_obj *o = key ? find_key(&sv->tab[kind], key) : NULL;
	int r;

	if (!o)
		return !key || (flags & IPC_CREAT_) ? 0 : -ENOENT;
	if ((flags & IPC_CREAT_) && (flags & IPC_EXCL_))
		return -EEXIST;
	r = check ? check(o, arg) : 0;
	if (!r)
		r = ipc_permitted(t, o, (uint32_t)flags & 0777);
	return r ? r : (int64_t)o->id + 1;
}

static int grow(struct ipc_table *tab)
{
	uint32_t cap = tab->cap ? tab->cap * 2 : IPC_FIRST_SLOTS;
	struct ipc_obj **n;

	if (cap > IPC_SLOTS)
		return -ENOSPC;
	n = kmalloc_array(cap, sizeof(*n));
	if (!n)
		return -ENOMEM;
	if (tab->cap)
		memcpy(n, tab->slot, tab->cap * sizeof(*n));
	kfree(tab->slot);
	tab->slot = n;
	tab->cap = cap;
	return 0;
}

int64_t ipc_add_locked(struct task *t, struct sysv *sv, int kind, struct ipc_obj *o, int32_t key, int flags)
{
	struct ipc_table *tab = &sv->tab[kind];
	uint32_t i;
	int r;

	if (tab->used >= tab->max || (kind == SYSV_SHM && tab->used >= sysctl_get(SYSCTL_shmmni)) ||
	    (kind == SYSV_MSG && tab->used >= sysctl_get(SYSCTL_msgmni)))
		return -ENOSPC;
	if (tab->used == tab->cap && (r = grow(tab)))
		return r;
	for (i = 0; tab->slot[i]; i++)
		;
	tab->slot[i] = o;
	tab->used++;
	o->key = key;
	o->uid = o->cuid = t->cred->euid;
	o->gid = o->cgid = t->cred->egid;
	o->mode = (uint32_t)flags & 0777;
	o->ctime = ipc_now();
	o->seq = (uint16_t)(tab->next_seq++ & 0x7fff);
	o->id = (int32_t)(o->seq * IPC_SLOTS + i);
	return o->id;
}

struct ipc_obj *ipc_find_locked(struct sysv *sv, int kind, int32_t id, int *err)
{
	struct ipc_table *tab = &sv->tab[kind];
	uint32_t i = (uint32_t)id % IPC_SLOTS;

	*err = -EINVAL;
	if (id < 0 || i >= tab->cap || !tab->slot[i])
		return NULL;
	*err = -EIDRM;
	if (tab->slot[i]->id != id)
		return NULL;
	*err = 0;
	return tab->slot[i];
}

int ipc_find_permitted_locked(struct task *t, struct sysv *sv, int kind, int32_t id, uint32_t mode,
			      struct ipc_obj **out)
{
	int r;

	*out = ipc_find_locked(sv, kind, id, &r);
	return *out ? ipc_permitted(t, *out, mode) : r;
}

int ipc_find_owned_locked(struct task *t, struct sysv *sv, int kind, int32_t id, struct ipc_obj **out)
{
	struct ipc_obj *o;
	int r;

	*out = o = ipc_find_locked(sv, kind, id, &r);
	if (!o)
		return r;
	if (t->cred->euid == o->cuid || t->cred->euid == o->uid || task_capable(t, CAP_SYS_ADMIN))
		return 0;
	return -EPERM;
}

int64_t ipc_find_stat_locked(struct task *t, struct sysv *sv, int kind, int32_t id, bool by_id, bool any,
			     struct ipc_obj **out)
{
	struct ipc_table *tab = &sv->tab[kind];
	struct ipc_obj *o;
	int r = -EINVAL;

	if (by_id)
		o = ipc_find_locked(sv, kind, id, &r);
	else
		o = id >= 0 && (uint32_t)id < tab->cap ? tab->slot[id] : NULL;
	if (!o)
		return r;
	*out = o;
	r = any ? 0 : ipc_permitted(t, o, 0444);
	return r || by_id ? r : o->id;
}

int ipc_max_index_locked(struct sysv *sv, int kind)
{
	struct ipc_table *tab = &sv->tab[kind];
	int i = (int)tab->cap;

	while (i > 0 && !tab->slot[i - 1])
		i--;
	return i > 0 ? i - 1 : 0;
}

void ipc_remove_locked(struct sysv *sv, int kind, struct ipc_obj *o)
{
	struct ipc_table *tab = &sv->tab[kind];

	tab->slot[(uint32_t)o->id % IPC_SLOTS] = NULL;
	tab->used--;
	o->removed = true;
}

/* --- /proc/sysvipc ------------------------------------------------------------------------------------- */

/* key, id and mode; the owners, in the reader's numbers. */
static void show_head(struct buf *b, const struct ipc_obj *o)
{
	buf_fmt(b, "%10d %10d  %4o", o->key, o->id, o->mode);
}

static void show_owner(struct buf *b, const struct ipc_obj *o)
{
	const struct user_ns *ns = current->cred->user_ns;

	buf_fmt(b, " %5u %5u %5u %5u", uid_to_ns(ns, o->uid), gid_to_ns(ns, o->gid), uid_to_ns(ns, o->cuid),
		gid_to_ns(ns, o->cgid));
}

int sysv_show(struct task *t, int kind, struct buf *b)
{
	static const char *const heads[] = {
		[SYSV_SHM] = "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  "
			     "cgid      atime      dtime      ctime                   rss                  swap\n",
		[SYSV_SEM] = "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
		[SYSV_MSG] = "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  "
			     "cgid      stime      rtime      ctime\n",
	};
	static void (*const parts[])(const struct ipc_obj *o, struct buf *b, bool after) = {
		[SYSV_SHM] = sysv_shm_show, [SYSV_SEM] = sysv_sem_show, [SYSV_MSG] = sysv_msg_show,
	};
	struct sysv *sv = sysv_of(t);

	if (!sv)
		return -ENOMEM;
	buf_fmt(b, "%s", heads[kind]);
	mutex_lock(&sv->lock);
	for (uint32_t i = 0; i < sv->tab[kind].cap; i++) {
		const struct ipc_obj *o = sv->tab[kind].slot[i];
		if (!o)
			continue;
		show_head(b, o);
		parts[kind](o, b, false);
		show_owner(b, o);
		parts[kind](o, b, true);
	}
	mutex_unlock(&sv->lock);
	return 0;
}
