/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Semaphore sets. An operation list is tried as a whole under the lock; when it cannot be done the
 * caller sleeps on the set's queue and tries again after any change. SEM_UNDO adjustments are kept
 * per process and applied at its end.
 */
#include <errno.h>
#include <string.h>
#include "lib/checked.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/sysv/sysv.h"
#include "sentry/time/time.h"

#define SEMVMX 32767
#define SEMMSL 32000
#define SEMOPM 500
#define SEM_UNDO_ 0x1000

enum { GETPID_ = 11, GETVAL_, GETALL_, GETNCNT_, GETZCNT_, SETVAL_, SETALL_, SEM_STAT_, SEM_INFO_, SEM_STAT_ANY_ };

struct sem {
	int32_t val, pid;
	uint32_t ncnt, zcnt;
};

struct sem_set {
	struct ipc_obj ipc;
	struct sem *sem;		/* kmalloc'ed */
	uint32_t n;
	int64_t otime;
};

struct sem_undo {
	struct sem_undo *next;		/* of the process; sv->lock */
	struct sem_set *set;		/* a reference */
	uint32_t n;
	int16_t *adj;			/* kmalloc'ed */
};

struct l_sembuf {
	uint16_t num;
	int16_t op, flg;
};

struct l_semid_ds {
	struct l_ipc_perm perm;
	int64_t otime, pad1, ctime, pad2;
	uint64_t nsems, pad3, pad4;
};
static_assert(sizeof(struct l_semid_ds) == 104, "semid64_ds");

static KCACHE(sem_cache, struct sem_set, 32000);
static KCACHE(undo_cache, struct sem_undo, 0);

static struct sem_set *set_of(struct ipc_obj *o)
{
	return container_of(o, struct sem_set, ipc);
}

static void set_put(struct sem_set *s)
{
	if (!s || !ref_put(&s->ipc.ref))
		return;
	wq_destroy(&s->ipc.wq);
	kfree(s->sem);
	kc_free(&sem_cache, s);
}

static int check_nsems(struct ipc_obj *o, uint64_t n)
{
	return n > set_of(o)->n ? -EINVAL : 0;
}

int64_t sys_semget(struct task *t, const struct sysargs *a)
{
	int32_t key = ARG_INT(0), n = ARG_INT(1), flags = ARG_INT(2);
	struct sysv *sv = sysv_of(t);
	struct sem_set *s = NULL;
	int64_t r;

	if (!sv)
		return -ENOMEM;
	if (n < 0 || n > SEMMSL)
		return -EINVAL;
	mutex_lock(&sv->lock);
	r = ipc_get_locked(t, sv, SYSV_SEM, key, flags, check_nsems, (uint64_t)n);
	if (!r && !n)
		r = -EINVAL;
	if (!r && !(s = kc_alloc(&sem_cache)))
		r = -ENOSPC;
	if (!r && !(s->sem = kmalloc_array((size_t)n, sizeof(*s->sem))))
		r = -ENOMEM;
	if (!r) {
		ref_init(&s->ipc.ref, 1);
		wq_init(&s->ipc.wq);
		s->n = (uint32_t)n;
		r = ipc_add_locked(t, sv, SYSV_SEM, &s->ipc, key, flags);
		if (r >= 0) {
			r++;
			s = NULL;
		}
	}
	mutex_unlock(&sv->lock);
	if (s) {
		kfree(s->sem);
		kc_free(&sem_cache, s);
	}
	return r > 0 ? r - 1 : r;
}

/* --- operations ------------------------------------------------------------------------------------ */

static struct sem_undo *undo_get_locked(struct task *t, struct sem_set *s)
{
	struct sem_undo *u;

	for (u = t->proc->sem_undo; u; u = u->next)
		if (u->set == s)
			return u;
	u = kc_alloc(&undo_cache);
	if (!u)
		return NULL;
	u->adj = kmalloc_array(s->n, sizeof(*u->adj));
	if (!u->adj) {
		kc_free(&undo_cache, u);
		return NULL;
	}
	u->set = s;
	u->n = s->n;
	ref_get(&s->ipc.ref);
	u->next = t->proc->sem_undo;
	t->proc->sem_undo = u;
	return u;
}

/* Tries the whole list: 0 done, 1 must wait for op *at, or an errno; nothing changed unless 0. */
static int try_ops_locked(struct task *t, struct sem_set *s, const struct l_sembuf *ops, uint32_t n,
			  struct sem_undo *u, uint32_t *at)
{
	int32_t pid = task_tgid_nr(t, task_pid_ns(t));
	uint32_t i;
	int r = 0;

	for (i = 0; i < n; i++) {
		struct sem *m = &s->sem[ops[i].num];
		int32_t v = m->val + ops[i].op;
		int32_t adj = u && (ops[i].flg & SEM_UNDO_) ? u->adj[ops[i].num] - ops[i].op : 0;
		if ((!ops[i].op && m->val) || v < 0) {
			*at = i;
			r = ops[i].flg & IPC_NOWAIT_ ? -EAGAIN : 1;
			break;
		}
		if (v > SEMVMX || adj < -SEMVMX - 1 || adj > SEMVMX) {
			r = -ERANGE;
			break;
		}
		if (u && (ops[i].flg & SEM_UNDO_))
			u->adj[ops[i].num] = (int16_t)adj;
		m->val = v;
	}
	if (!r) {
		for (i = 0; i < n; i++)
			s->sem[ops[i].num].pid = pid;
		s->otime = ipc_now();
		return 0;
	}
	while (i--) {
		s->sem[ops[i].num].val -= ops[i].op;
		if (u && (ops[i].flg & SEM_UNDO_))
			u->adj[ops[i].num] = (int16_t)(u->adj[ops[i].num] + ops[i].op);
	}
	return r;
}

static void count_waiter(struct sem_set *s, const struct l_sembuf *op, int d)
{
	uint32_t *c = op->op ? &s->sem[op->num].ncnt : &s->sem[op->num].zcnt;

	*c += (uint32_t)d;
}

/* sv->lock held at entry and exit. */
static int do_ops_locked(struct task *t, struct sysv *sv, struct sem_set *s, const struct l_sembuf *ops,
			 uint32_t n, struct sem_undo *u, uint64_t deadline)
{
	struct waiter w;
	uint32_t at = 0;
	int r, z = 0;

	wait_begin(&w, &s->ipc.wq, t);
	for (;;) {
		r = s->ipc.removed ? -EIDRM : try_ops_locked(t, s, ops, n, u, &at);
		if (r != 1 || z)
			break;
		count_waiter(s, &ops[at], 1);
		mutex_unlock(&sv->lock);
		z = wait_sleep(t, WAIT_INTERRUPTIBLE, deadline);
		mutex_lock(&sv->lock);
		count_waiter(s, &ops[at], -1);
	}
	wait_end(&w);
	if (r == 1)
		r = z == -ETIMEDOUT ? -EAGAIN : -EINTR;
	return r;
}

static int check_ops(const struct l_sembuf *ops, uint32_t n, const struct sem_set *s, uint32_t *want,
		     bool *undo, bool *alter)
{
	uint32_t i;

	*want = 0444, *undo = *alter = false;
	for (i = 0; i < n; i++) {
		if (ops[i].num >= s->n)
			return -EFBIG;
		if (ops[i].flg & SEM_UNDO_)
			*undo = true;
		if (ops[i].op)
			*alter = true;
	}
	if (*alter)
		*want = 0222;
	return 0;
}

static int64_t semop_locked(struct task *t, struct sysv *sv, int32_t id, const struct l_sembuf *ops,
			    uint32_t n, uint64_t deadline, struct sem_set **held)
{
	struct sem_undo *u = NULL;
	struct ipc_obj *o;
	struct sem_set *s;
	bool undo, alter;
	uint32_t want;
	int r;

	o = ipc_find_locked(sv, SYSV_SEM, id, &r);
	if (!o)
		return r;
	s = set_of(o);
	r = check_ops(ops, n, s, &want, &undo, &alter);
	if (!r)
		r = ipc_permitted(t, o, want);
	if (r)
		return r;
	if (undo && !(u = undo_get_locked(t, s)))
		return -ENOMEM;
	ref_get(&s->ipc.ref);
	*held = s;
	r = do_ops_locked(t, sv, s, ops, n, u, deadline);
	if (!r && alter)
		wq_wake_all(&s->ipc.wq);
	return r;
}

static int64_t do_semop(struct task *t, int32_t id, uint64_t uops, uint64_t n, uint64_t deadline)
{
	struct sysv *sv = sysv_of(t);
	struct sem_set *held = NULL;
	struct l_sembuf fast[16], *ops = fast;
	int64_t r;

	if (!sv)
		return -ENOMEM;
	if (id < 0 || !n)
		return -EINVAL;
	if (n > SEMOPM)
		return -E2BIG;
	if (n > array_size(fast) && !(ops = kmalloc_array(n, sizeof(*ops))))
		return -ENOMEM;
	r = copy_in(t, ops, UADDR(uops), n * sizeof(*ops));
	if (!r) {
		mutex_lock(&sv->lock);
		r = semop_locked(t, sv, id, ops, (uint32_t)n, deadline, &held);
		mutex_unlock(&sv->lock);
	}
	set_put(held);
	if (ops != fast)
		kfree(ops);
	return r;
}

int64_t sys_semop(struct task *t, const struct sysargs *a)
{
	return do_semop(t, ARG_INT(0), a->a[1], a->a[2] & UINT32_MAX, WAIT_FOREVER);
}

int64_t sys_semtimedop(struct task *t, const struct sysargs *a)
{
	uint64_t deadline;
	int r = timeout_in(t, a->a[3], &deadline);

	return r ? r : do_semop(t, ARG_INT(0), a->a[1], a->a[2] & UINT32_MAX, deadline);
}

void sysv_task_exit(struct task *t)
{
	struct sysv *sv = t->proc->sem_undo && t->ns ? sysv_of(t) : NULL;
	int32_t pid = task_tgid_nr(t, task_pid_ns(t));
	struct sem_undo *u, *next;
	uint32_t i, threads;

	if (!sv)
		return;
	mutex_lock(&tasks_lock);
	threads = t->proc->nr_threads;
	mutex_unlock(&tasks_lock);
	if (threads > 1)
		return;		/* threads share their adjustments (CLONE_SYSVSEM) */
	mutex_lock(&sv->lock);
	u = steal(t->proc->sem_undo);
	for (next = u; next; next = next->next) {
		if (next->set->ipc.removed)
			continue;
		for (i = 0; i < next->n; i++) {
			struct sem *m = &next->set->sem[i];
			int32_t v = m->val + next->adj[i];
			if (!next->adj[i])
				continue;
			m->val = v < 0 ? 0 : min(v, SEMVMX);
			m->pid = pid;
		}
		wq_wake_all(&next->set->ipc.wq);
	}
	mutex_unlock(&sv->lock);
	for (; u; u = next) {
		next = u->next;
		set_put(u->set);
		kfree(u->adj);
		kc_free(&undo_cache, u);
	}
}

void sysv_sem_destroy(struct ipc_obj *o)
{
	o->removed = true;
	set_put(set_of(o));
}

/* --- control ------------------------------------------------------------------------------------------ */

static int64_t sem_stat(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct l_semid_ds ds;
	struct ipc_obj *o;
	int64_t r;

	mutex_lock(&sv->lock);
	r = ipc_find_stat_locked(t, sv, SYSV_SEM, id, cmd == IPC_STAT_, cmd == SEM_STAT_ANY_, &o);
	if (r >= 0) {
		ds = (struct l_semid_ds){.otime = set_of(o)->otime, .ctime = o->ctime,
					 .nsems = set_of(o)->n};
		ipc_fill(o, &ds.perm);
	}
	mutex_unlock(&sv->lock);
	if (r >= 0 && put_user(t, UADDR(ua), ds))
		return -EFAULT;
	return r;
}

static int64_t sem_info(struct task *t, struct sysv *sv, int cmd, uint64_t ua)
{
	struct {
		int32_t map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem;
	} si = {1024000000, 32000, 1024000000, 1024000000, SEMMSL, SEMOPM, SEMOPM, 20, SEMVMX, SEMVMX};
	uint32_t i;
	int top;

	mutex_lock(&sv->lock);
	top = ipc_max_index_locked(sv, SYSV_SEM);
	if (cmd == SEM_INFO_) {
		si.usz = (int32_t)sv->tab[SYSV_SEM].used;
		si.aem = 0;
		for (i = 0; i < sv->tab[SYSV_SEM].cap; i++)
			if (sv->tab[SYSV_SEM].slot[i])
				si.aem += (int32_t)set_of(sv->tab[SYSV_SEM].slot[i])->n;
	}
	mutex_unlock(&sv->lock);
	return put_user(t, UADDR(ua), si) ? -EFAULT : top;
}

static void forget_undo_locked(struct task *t, struct sem_set *s, uint32_t i)
{
	struct sem_undo *u;

	for (u = t->proc->sem_undo; u; u = u->next)
		if (u->set == s)
			u->adj[i] = 0;
}

/* Commands on one semaphore. */
static int64_t sem_one(struct task *t, struct sysv *sv, int32_t id, uint32_t num, int cmd, int32_t val)
{
	struct ipc_obj *o;
	struct sem *m;
	int64_t r;
	int err;

	if (cmd == SETVAL_ && (val < 0 || val > SEMVMX))
		return -ERANGE;
	mutex_lock(&sv->lock);
	o = ipc_find_locked(sv, SYSV_SEM, id, &err);
	r = o ? ipc_permitted(t, o, cmd == SETVAL_ ? 0222 : 0444) : err;
	if (!r && num >= set_of(o)->n)
		r = -EINVAL;
	if (!r) {
		m = &set_of(o)->sem[num];
		switch (cmd) {
		case GETVAL_:
			r = m->val;
			break;
		case GETPID_:
			r = m->pid;
			break;
		case GETNCNT_:
			r = m->ncnt;
			break;
		case GETZCNT_:
			r = m->zcnt;
			break;
		default:
			m->val = val;
			m->pid = task_tgid_nr(t, task_pid_ns(t));
			forget_undo_locked(t, set_of(o), num);
			o->ctime = ipc_now();
			wq_wake_all(&o->wq);
		}
	}
	mutex_unlock(&sv->lock);
	return r;
}

/* GETALL and SETALL: values cross in an array of our own. */
static int64_t sem_all(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct ipc_obj *o;
	uint16_t *v = NULL;
	uint32_t n = 0, i;
	int r, err;

	mutex_lock(&sv->lock);
	o = ipc_find_locked(sv, SYSV_SEM, id, &err);
	r = o ? ipc_permitted(t, o, cmd == SETALL_ ? 0222 : 0444) : err;
	if (!r) {
		n = set_of(o)->n;
		v = kmalloc_array(n, sizeof(*v));
		r = v ? 0 : -ENOMEM;
		for (i = 0; !r && i < n; i++)
			v[i] = (uint16_t)set_of(o)->sem[i].val;
	}
	mutex_unlock(&sv->lock);
	if (!r && cmd == GETALL_)
		r = copy_out(t, UADDR(ua), v, n * sizeof(*v));
	if (!r && cmd == SETALL_) {
		r = copy_in(t, v, UADDR(ua), n * sizeof(*v));
		for (i = 0; !r && i < n; i++)
			r = v[i] > SEMVMX ? -ERANGE : 0;
		mutex_lock(&sv->lock);
		o = r ? NULL : ipc_find_locked(sv, SYSV_SEM, id, &err);
		if (!r && (!o || set_of(o)->n != n))
			r = -EIDRM;
		for (i = 0; !r && i < n; i++) {
			set_of(o)->sem[i].val = v[i];
			set_of(o)->sem[i].pid = task_tgid_nr(t, task_pid_ns(t));
			forget_undo_locked(t, set_of(o), i);
		}
		if (!r) {
			o->ctime = ipc_now();
			wq_wake_all(&o->wq);
		}
		mutex_unlock(&sv->lock);
	}
	kfree(v);
	return r;
}

static int64_t sem_change(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct sem_set *dead = NULL;
	struct l_semid_ds ds;
	struct ipc_obj *o;
	int err;

	if (cmd == IPC_SET_ && get_user(t, ds, UADDR(ua)))
		return -EFAULT;
	mutex_lock(&sv->lock);
	err = ipc_find_owned_locked(t, sv, SYSV_SEM, id, &o);
	if (!err && cmd == IPC_SET_) {
		ipc_set(o, &ds.perm);
	} else if (!err) {
		ipc_remove_locked(sv, SYSV_SEM, o);
		wq_wake_all(&o->wq);
		dead = set_of(o);
	}
	mutex_unlock(&sv->lock);
	set_put(dead);
	return err;
}

int64_t sys_semctl(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	int32_t id = ARG_INT(0);
	int cmd = ARG_INT(2) & ~0x100;

	if (!sv)
		return -ENOMEM;
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT_:
	case SEM_STAT_:
	case SEM_STAT_ANY_:
		return sem_stat(t, sv, id, cmd, a->a[3]);
	case IPC_INFO_:
	case SEM_INFO_:
		return sem_info(t, sv, cmd, a->a[3]);
	case GETVAL_:
	case GETPID_:
	case GETNCNT_:
	case GETZCNT_:
	case SETVAL_:
		return sem_one(t, sv, id, ARG_U32(1), cmd, ARG_INT(3));
	case GETALL_:
	case SETALL_:
		return sem_all(t, sv, id, cmd, a->a[3]);
	case IPC_SET_:
	case IPC_RMID_:
		return sem_change(t, sv, id, cmd, a->a[3]);
	default:
		return -EINVAL;
	}
}

/* A line of /proc/sysvipc/sem: what stands before and after the owners. */
void sysv_sem_show(const struct ipc_obj *o, struct buf *b, bool after)
{
	const struct sem_set *s = container_of(o, const struct sem_set, ipc);

	if (!after)
		buf_fmt(b, " %10u", s->n);
	else
		buf_fmt(b, " %10ld %10ld\n", s->otime, o->ctime);
}
