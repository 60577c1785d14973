/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory segments. A segment is a shmem file; each attachment is a vma that holds a
 * reference to it, so the number of attachments is the number of references but ours.
 */
#include <errno.h>
#include <sys/mman.h>
#include "lib/checked.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/shmem.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/sysv/sysv.h"

#define SHM_RDONLY_ 010000
#define SHM_RND_ 020000
#define SHM_REMAP_ 040000
#define SHM_EXEC_ 0100000
#define SHM_DEST_ 01000u
#define SHM_LOCKED_ 02000u
#define SHM_HUGETLB_ 04000
#define SHMMAX (UINT64_MAX - (1ul << 24))
#define SHMALL (UINT64_MAX - (1ul << 24))

struct shm {
	struct ipc_obj ipc;
	uint64_t size;
	int64_t atime, dtime;
	int32_t cpid, lpid;
	struct file *file;		/* owned */
};

struct l_shmid_ds {
	struct l_ipc_perm perm;
	uint64_t segsz;
	int64_t atime, dtime, ctime;
	int32_t cpid, lpid;
	uint64_t nattch, unused[2];
};
static_assert(sizeof(struct l_shmid_ds) == 112, "shmid64_ds");

static KCACHE(shm_cache, struct shm, 4096);

static struct shm *shm_of(struct ipc_obj *o)
{
	return container_of(o, struct shm, ipc);
}

static uint64_t nattch(const struct shm *s)
{
	return ref_read(&s->file->ref) - 1;
}

static void shm_free(struct shm *s)
{
	if (!s)
		return;
	file_put(s->file);
	kc_free(&shm_cache, s);
}

/* A segment that was removed goes with its last attachment. */
static void reap(struct sysv *sv)
{
	struct shm *dead;
	uint32_t i;

	do {
		dead = NULL;
		mutex_lock(&sv->lock);
		for (i = 0; i < sv->tab[SYSV_SHM].cap && !dead; i++) {
			struct ipc_obj *o = sv->tab[SYSV_SHM].slot[i];
			if (o && (o->mode & SHM_DEST_) && !nattch(shm_of(o))) {
				dead = shm_of(o);
				ipc_remove_locked(sv, SYSV_SHM, o);
			}
		}
		mutex_unlock(&sv->lock);
		shm_free(dead);
	} while (dead);
}

/* A vma of a segment went away: called by mm without locks. */
void sysv_shm_detached(struct task *t)
{
	struct sysv *sv = t && t->ns ? sysv_of(t) : NULL;

	if (sv)
		reap(sv);
}

static int check_size(struct ipc_obj *o, uint64_t size)
{
	return shm_of(o)->size < size ? -EINVAL : 0;
}

static int shm_new(struct task *t, uint64_t size, struct shm **out)
{
	struct shm *s;
	uint64_t len;
	int r;

	if (!size || size > SHMMAX || !page_up(size, &len))
		return -EINVAL;
	s = kc_alloc(&shm_cache);
	if (!s)
		return -ENOSPC;
	r = shmem_create(t, "SYSV", len, &s->file);
	if (r) {
		kc_free(&shm_cache, s);
		return r;
	}
	ref_init(&s->ipc.ref, 1);
	wq_init(&s->ipc.wq);
	s->size = size;
	s->cpid = task_tgid_nr(t, task_pid_ns(t));
	*out = s;
	return 0;
}

int64_t sys_shmget(struct task *t, const struct sysargs *a)
{
	int32_t key = ARG_INT(0), flags = ARG_INT(2);
	struct sysv *sv = sysv_of(t);
	struct shm *s = NULL;
	int64_t r;

	if (!sv)
		return -ENOMEM;
	if (flags & SHM_HUGETLB_)
		return -ENOMEM;
	mutex_lock(&sv->lock);
	r = ipc_get_locked(t, sv, SYSV_SHM, key, flags, check_size, a->a[1]);
	mutex_unlock(&sv->lock);
	if (r)
		return r > 0 ? r - 1 : r;
	r = shm_new(t, a->a[1], &s);
	if (r)
		return r;
	mutex_lock(&sv->lock);
	r = ipc_get_locked(t, sv, SYSV_SHM, key, flags, check_size, a->a[1]);
	if (!r) {
		r = ipc_add_locked(t, sv, SYSV_SHM, &s->ipc, key, flags);
		r = r < 0 ? r : r + 1;
		if (r > 0)
			s = NULL;
	}
	mutex_unlock(&sv->lock);
	shm_free(s);
	return r > 0 ? r - 1 : r;
}

/* --- attach and detach --------------------------------------------------------------------------- */

static int attach_flags(uint64_t *addr, int flags, int *prot, int *map)
{
	*prot = PROT_READ | (flags & SHM_RDONLY_ ? 0 : PROT_WRITE) | (flags & SHM_EXEC_ ? PROT_EXEC : 0);
	*map = MAP_SHARED;
	if (!*addr)
		return flags & SHM_REMAP_ ? -EINVAL : 0;
	if (*addr & ~PAGE_MASK) {
		if (!(flags & SHM_RND_))
			return -EINVAL;
		*addr &= PAGE_MASK;
		if (!*addr && (flags & SHM_REMAP_))
			return -EINVAL;
	}
	*map |= flags & SHM_REMAP_ ? MAP_FIXED : MAP_FIXED | MAP_FIXED_NOREPLACE;
	return 0;
}

int64_t sys_shmat(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	uint64_t addr = a->a[1], size = 0;
	struct file *f = NULL;
	struct ipc_obj *o;
	int prot, map, err, flags = ARG_INT(2), key = 0;
	int64_t r;

	if (!sv)
		return -ENOMEM;
	r = attach_flags(&addr, flags, &prot, &map);
	if (r)
		return r;
	mutex_lock(&sv->lock);
	o = ipc_find_locked(sv, SYSV_SHM, ARG_INT(0), &err);
	/* A read-only attachment could be made writable in the cell, so it asks for both rights. */
	if (o)
		err = ipc_permitted(t, o, 0666u | (prot & PROT_EXEC ? 0111u : 0));
	if (!err) {
		f = file_get(shm_of(o)->file);
		size = shm_of(o)->size;
		key = o->key;
	}
	mutex_unlock(&sv->lock);
	if (err)
		return err;
	r = mm_mmap(t, addr, size, prot, map, f, 0);
	if (r >= 0) {
		mm_mark_shm(t, (uint64_t)r, f, (uint32_t)key);
		mutex_lock(&sv->lock);
		o = ipc_find_locked(sv, SYSV_SHM, ARG_INT(0), &err);
		if (o) {
			shm_of(o)->atime = ipc_now();
			shm_of(o)->lpid = task_tgid_nr(t, task_pid_ns(t));
		}
		mutex_unlock(&sv->lock);
	}
	file_put(f);
	return r == -EEXIST ? -EINVAL : r;
}

int64_t sys_shmdt(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	struct file *f = NULL;
	uint32_t i;
	int r;

	if (!sv)
		return -ENOMEM;
	if (a->a[0] & ~PAGE_MASK)
		return -EINVAL;
	r = mm_shm_detach(t, a->a[0], &f);
	if (r)
		return r;
	mutex_lock(&sv->lock);
	for (i = 0; i < sv->tab[SYSV_SHM].cap; i++) {
		struct ipc_obj *o = sv->tab[SYSV_SHM].slot[i];
		if (o && shm_of(o)->file == f) {
			shm_of(o)->dtime = ipc_now();
			shm_of(o)->lpid = task_tgid_nr(t, task_pid_ns(t));
		}
	}
	mutex_unlock(&sv->lock);
	file_put(f);
	reap(sv);
	return 0;
}

void sysv_shm_destroy(struct ipc_obj *o)
{
	shm_free(shm_of(o));
}

/* --- control ----------------------------------------------------------------------------------------- */

static void fill(const struct shm *s, struct l_shmid_ds *ds)
{
	*ds = (struct l_shmid_ds){.segsz = s->size, .atime = s->atime, .dtime = s->dtime,
				  .ctime = s->ipc.ctime, .cpid = s->cpid, .lpid = s->lpid,
				  .nattch = nattch(s)};
	ipc_fill(&s->ipc, &ds->perm);
}

static int64_t shm_stat(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct l_shmid_ds ds;
	struct ipc_obj *o;
	int64_t r;

	mutex_lock(&sv->lock);
	r = ipc_find_stat_locked(t, sv, SYSV_SHM, id, cmd == IPC_STAT_, cmd == SHM_STAT_ANY_, &o);
	if (r >= 0) {
		fill(shm_of(o), &ds);
	}
	mutex_unlock(&sv->lock);
	if (r >= 0 && put_user(t, UADDR(ua), ds))
		return -EFAULT;
	return r;
}

static int64_t shm_info(struct task *t, struct sysv *sv, int cmd, uint64_t ua)
{
	struct {
		uint64_t max, min, mni, seg, all, unused[4];
	} lim = {.max = SHMMAX, .min = 1, .mni = 4096, .seg = 4096, .all = SHMALL};
	struct {
		int32_t used, pad;
		uint64_t tot, rss, swp, attempts, successes;
	} si = {.used = 0};
	uint32_t i;
	int top;

	mutex_lock(&sv->lock);
	top = ipc_max_index_locked(sv, SYSV_SHM);
	si.used = (int32_t)sv->tab[SYSV_SHM].used;
	for (i = 0; i < sv->tab[SYSV_SHM].cap; i++)
		if (sv->tab[SYSV_SHM].slot[i])
			si.tot += (shm_of(sv->tab[SYSV_SHM].slot[i])->size + PAGE_SIZE - 1) / PAGE_SIZE;
	mutex_unlock(&sv->lock);
	if (cmd == IPC_INFO_ ? put_user(t, UADDR(ua), lim) : put_user(t, UADDR(ua), si))
		return -EFAULT;
	return top;
}

static int64_t shm_change(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct l_shmid_ds ds;
	struct ipc_obj *o;
	int err;

	if (cmd == IPC_SET_ && get_user(t, ds, UADDR(ua)))
		return -EFAULT;
	mutex_lock(&sv->lock);
	err = ipc_find_owned_locked(t, sv, SYSV_SHM, id, &o);
	if (!err && cmd == IPC_SET_) {
		ipc_set(o, &ds.perm);
	} else if (!err && cmd == IPC_RMID_) {
		o->mode |= SHM_DEST_;
		o->key = 0;
	} else if (!err) {
		o->mode = cmd == SHM_LOCK_ ? o->mode | SHM_LOCKED_ : o->mode & ~SHM_LOCKED_;
	}
	mutex_unlock(&sv->lock);
	if (!err && cmd == IPC_RMID_)
		reap(sv);
	return err;
}

int64_t sys_shmctl(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	int cmd = ARG_INT(1) & ~0x100 /* IPC_64 */;

	if (!sv)
		return -ENOMEM;
	switch (cmd) {
	case IPC_STAT_:
	case SHM_STAT_:
	case SHM_STAT_ANY_:
		return shm_stat(t, sv, ARG_INT(0), cmd, a->a[2]);
	case IPC_INFO_:
	case SHM_INFO_:
		return shm_info(t, sv, cmd, a->a[2]);
	case IPC_SET_:
	case IPC_RMID_:
	case SHM_LOCK_:
	case SHM_UNLOCK_:
		return shm_change(t, sv, ARG_INT(0), cmd, a->a[2]);
	default:
		return -EINVAL;
	}
}

/* A line of /proc/sysvipc/shm: what stands before and after the owners. */
void sysv_shm_show(const struct ipc_obj *o, struct buf *b, bool after)
{
	const struct shm *s = container_of(o, const struct shm, ipc);
	struct kstat st = {.blocks = 0};

	if (!after) {
		buf_fmt(b, " %21lu %5d %5d  %5lu", s->size, s->cpid, s->lpid, nattch(s));
		return;
	}
	if (vfs_getattr(&s->file->path, &st, 0))
		st.blocks = 0;
	buf_fmt(b, " %10ld %10ld %10ld %21lu %21lu\n", s->atime, s->dtime, o->ctime, st.blocks * 512, 0ul);
}
