/* SPDX-License-Identifier: Apache-2.0 */
/* Message queues. Senders and receivers sleep on the one queue of the object and look again. */
#include <errno.h>
#include <linux/capability.h>
#include "lib/checked.h"
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/sysv/sysv.h"

#define MSGMAX 8192
#define MSGMNB 16384
#define MSG_NOERROR_ 010000
#define MSG_EXCEPT_ 020000
#define MSG_COPY_ 040000

struct msg {
	struct list link;
	int64_t type;
	uint64_t len;
	char data[];
};

struct msg_queue {
	struct ipc_obj ipc;
	struct list msgs;
	uint64_t bytes, max_bytes;
	uint32_t n;
	int64_t stime, rtime;
	int32_t lspid, lrpid;
};

struct l_msqid_ds {
	struct l_ipc_perm perm;
	int64_t stime, rtime, ctime;
	uint64_t cbytes, qnum, qbytes;
	int32_t lspid, lrpid;
	uint64_t unused[2];
};
static_assert(sizeof(struct l_msqid_ds) == 120, "msqid64_ds");

static KCACHE(queue_cache, struct msg_queue, 32000);

static struct msg_queue *queue_of(struct ipc_obj *o)
{
	return container_of(o, struct msg_queue, ipc);
}

static void queue_put(struct msg_queue *q)
{
	struct msg *m;

	if (!q || !ref_put(&q->ipc.ref))
		return;
	while ((m = list_first(&q->msgs, struct msg, link)) != NULL) {
		list_del(&m->link);
		kfree(m);
	}
	wq_destroy(&q->ipc.wq);
	kc_free(&queue_cache, q);
}

int64_t sys_msgget(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	struct msg_queue *q = NULL;
	int64_t r;

	if (!sv)
		return -ENOMEM;
	mutex_lock(&sv->lock);
	r = ipc_get_locked(t, sv, SYSV_MSG, ARG_INT(0), ARG_INT(1), NULL, 0);
	if (!r && !(q = kc_alloc(&queue_cache)))
		r = -ENOSPC;
	if (!r) {
		ref_init(&q->ipc.ref, 1);
		wq_init(&q->ipc.wq);
		list_init(&q->msgs);
		q->max_bytes = MSGMNB;
		r = ipc_add_locked(t, sv, SYSV_MSG, &q->ipc, ARG_INT(0), ARG_INT(1));
		if (r >= 0) {
			r++;
			q = NULL;
		}
	}
	mutex_unlock(&sv->lock);
	kc_free(&queue_cache, q);
	return r > 0 ? r - 1 : r;
}

/* --- sending --------------------------------------------------------------------------------------- */

static int send_locked(struct task *t, struct sysv *sv, int32_t id, struct msg *m, int flags,
		       struct msg_queue **held)
{
	struct msg_queue *q;
	struct ipc_obj *o;
	struct waiter w;
	int r, z = 0;

	r = ipc_find_permitted_locked(t, sv, SYSV_MSG, id, 0222, &o);
	if (r)
		return r;
	q = queue_of(o);
	ref_get(&o->ref);
	*held = q;
	wait_begin(&w, &o->wq, t);
	for (;;) {
		bool room = q->bytes + m->len <= q->max_bytes && q->n + 1 <= q->max_bytes;
		if (o->removed)
			r = -EIDRM;
		else if (!room && (flags & IPC_NOWAIT_))
			r = -EAGAIN;
		else if (!room && z)
			r = -ERESTARTNOHAND;
		if (r || room)
			break;
		mutex_unlock(&sv->lock);
		z = wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		mutex_lock(&sv->lock);
	}
	wait_end(&w);
	if (r)
		return r;
	list_add_tail(&q->msgs, &m->link);
	q->bytes += m->len;
	q->n++;
	q->stime = ipc_now();
	q->lspid = task_tgid_nr(t, task_pid_ns(t));
	wq_wake_all(&o->wq);
	return 0;
}

int64_t sys_msgsnd(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	struct msg_queue *held = NULL;
	uint64_t len = a->a[2];
	struct msg *m;
	int64_t type;
	int r;

	if (!sv)
		return -ENOMEM;
	if (len > MSGMAX || ARG_INT(0) < 0)
		return -EINVAL;
	if (get_user(t, type, ARG_UADDR(1)))
		return -EFAULT;
	if (type < 1)
		return -EINVAL;
	m = kmalloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	list_init(&m->link);
	m->type = type;
	m->len = len;
	r = copy_in(t, m->data, UADDR(a->a[1] + 8), len);
	if (!r) {
		mutex_lock(&sv->lock);
		r = send_locked(t, sv, ARG_INT(0), m, ARG_INT(3), &held);
		mutex_unlock(&sv->lock);
	}
	queue_put(held);
	if (r)
		kfree(m);
	return r;
}

/* --- receiving ------------------------------------------------------------------------------------- */

static struct msg *match_locked(struct msg_queue *q, int64_t type, int flags)
{
	struct msg *m, *best = NULL;
	int64_t i = 0;

	list_for_each(m, &q->msgs, link) {
		if (flags & MSG_COPY_) {
			if (i++ == type)
				return m;
		} else if (!type) {
			return m;
		} else if (type > 0) {
			if ((m->type == type) != ((flags & MSG_EXCEPT_) != 0))
				return m;
		} else if (m->type <= (type == INT64_MIN ? INT64_MAX : -type)) {
			if (!best || m->type < best->type)
				best = m;
		}
	}
	return best;
}

static int receive_locked(struct task *t, struct sysv *sv, int32_t id, uint64_t len, int64_t type, int flags,
			  struct msg_queue **held, struct msg **out)
{
	struct msg_queue *q;
	struct ipc_obj *o;
	struct msg *m = NULL;
	struct waiter w;
	int r, z = 0;

	r = ipc_find_permitted_locked(t, sv, SYSV_MSG, id, 0444, &o);
	if (r)
		return r;
	q = queue_of(o);
	ref_get(&o->ref);
	*held = q;
	wait_begin(&w, &o->wq, t);
	for (;;) {
		m = match_locked(q, type, flags);
		if (o->removed)
			r = -EIDRM;
		else if (m && m->len > len && !(flags & MSG_NOERROR_))
			r = -E2BIG;
		else if (!m && (flags & IPC_NOWAIT_))
			r = -ENOMSG;
		else if (!m && z)
			r = -ERESTARTNOHAND;
		if (r || m)
			break;
		mutex_unlock(&sv->lock);
		z = wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		mutex_lock(&sv->lock);
	}
	wait_end(&w);
	if (r)
		return r;
	if (flags & MSG_COPY_) {
		*out = kmemdup(m, sizeof(*m) + m->len);
		return *out ? 0 : -ENOMEM;
	}
	list_del(&m->link);
	q->bytes -= m->len;
	q->n--;
	q->rtime = ipc_now();
	q->lrpid = task_tgid_nr(t, task_pid_ns(t));
	wq_wake_all(&o->wq);
	*out = m;
	return 0;
}

int64_t sys_msgrcv(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	struct msg_queue *held = NULL;
	uint64_t len = a->a[2], n;
	int flags = ARG_INT(4);
	struct msg *m = NULL;
	int64_t r;

	if (!sv)
		return -ENOMEM;
	if (ARG_INT(0) < 0 || (int64_t)len < 0)
		return -EINVAL;
	if ((flags & MSG_COPY_) && ((flags & MSG_EXCEPT_) || !(flags & IPC_NOWAIT_)))
		return -EINVAL;
	/* looked at before the message is taken (I9) */
	if (access_check(t, ARG_UADDR(1), 8 + min(len, (uint64_t)MSGMAX), true))
		return -EFAULT;
	mutex_lock(&sv->lock);
	r = receive_locked(t, sv, ARG_INT(0), len, (int64_t)a->a[3], flags, &held, &m);
	mutex_unlock(&sv->lock);
	queue_put(held);
	if (r)
		return r;
	n = min(m->len, len);
	r = put_user(t, ARG_UADDR(1), m->type);
	if (!r)
		r = copy_out(t, UADDR(a->a[1] + 8), m->data, n);
	kfree(m);
	return r ? r : (int64_t)n;
}

void sysv_msg_destroy(struct ipc_obj *o)
{
	o->removed = true;
	queue_put(queue_of(o));
}

/* --- control ------------------------------------------------------------------------------------------ */

static int64_t msg_stat(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct l_msqid_ds ds;
	struct ipc_obj *o;
	int64_t r;

	mutex_lock(&sv->lock);
	r = ipc_find_stat_locked(t, sv, SYSV_MSG, id, cmd == IPC_STAT_, cmd == MSG_STAT_ANY_, &o);
	if (r >= 0) {
		struct msg_queue *q = queue_of(o);
		ds = (struct l_msqid_ds){.stime = q->stime, .rtime = q->rtime, .ctime = o->ctime,
					 .cbytes = q->bytes, .qnum = q->n, .qbytes = q->max_bytes,
					 .lspid = q->lspid, .lrpid = q->lrpid};
		ipc_fill(o, &ds.perm);
	}
	mutex_unlock(&sv->lock);
	if (r >= 0 && put_user(t, UADDR(ua), ds))
		return -EFAULT;
	return r;
}

static int64_t msg_info(struct task *t, struct sysv *sv, int cmd, uint64_t ua)
{
	struct {
		int32_t pool, map, max, mnb, mni, ssz, tql;
		uint16_t seg, pad;
	} mi = {32000 * MSGMNB / 1024, MSGMNB, MSGMAX, MSGMNB, 32000, 16, MSGMNB, 0xffff, 0};
	uint32_t i;
	int top;

	mutex_lock(&sv->lock);
	top = ipc_max_index_locked(sv, SYSV_MSG);
	if (cmd == MSG_INFO_) {
		mi.pool = (int32_t)sv->tab[SYSV_MSG].used;
		mi.map = mi.tql = 0;
		for (i = 0; i < sv->tab[SYSV_MSG].cap; i++) {
			struct ipc_obj *o = sv->tab[SYSV_MSG].slot[i];
			if (!o)
				continue;
			mi.map += (int32_t)queue_of(o)->n;
			mi.tql += (int32_t)queue_of(o)->bytes;
		}
	}
	mutex_unlock(&sv->lock);
	return put_user(t, UADDR(ua), mi) ? -EFAULT : top;
}

static int64_t msg_change(struct task *t, struct sysv *sv, int32_t id, int cmd, uint64_t ua)
{
	struct msg_queue *dead = NULL;
	struct l_msqid_ds ds;
	struct ipc_obj *o;
	int err;

	if (cmd == IPC_SET_ && get_user(t, ds, UADDR(ua)))
		return -EFAULT;
	mutex_lock(&sv->lock);
	err = ipc_find_owned_locked(t, sv, SYSV_MSG, id, &o);
	if (!err && cmd == IPC_SET_ && ds.qbytes > MSGMNB && !task_capable(t, CAP_SYS_RESOURCE))
		err = -EPERM;
	if (!err && cmd == IPC_SET_) {
		ipc_set(o, &ds.perm);
		queue_of(o)->max_bytes = min(ds.qbytes, 64ul << 20);
		wq_wake_all(&o->wq);
	} else if (!err) {
		ipc_remove_locked(sv, SYSV_MSG, o);
		wq_wake_all(&o->wq);
		dead = queue_of(o);
	}
	mutex_unlock(&sv->lock);
	queue_put(dead);
	return err;
}

int64_t sys_msgctl(struct task *t, const struct sysargs *a)
{
	struct sysv *sv = sysv_of(t);
	int cmd = ARG_INT(1) & ~0x100;

	if (!sv)
		return -ENOMEM;
	if (ARG_INT(0) < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_STAT_:
	case MSG_STAT_:
	case MSG_STAT_ANY_:
		return msg_stat(t, sv, ARG_INT(0), cmd, a->a[2]);
	case IPC_INFO_:
	case MSG_INFO_:
		return msg_info(t, sv, cmd, a->a[2]);
	case IPC_SET_:
	case IPC_RMID_:
		return msg_change(t, sv, ARG_INT(0), cmd, a->a[2]);
	default:
		return -EINVAL;
	}
}

/* A line of /proc/sysvipc/msg: what stands before and after the owners. */
void sysv_msg_show(const struct ipc_obj *o, struct buf *b, bool after)
{
	const struct msg_queue *q = container_of(o, const struct msg_queue, ipc);

	if (!after)
		buf_fmt(b, "  %10lu %10u %5d %5d", q->bytes, q->n, q->lspid, q->lrpid);
	else
		buf_fmt(b, " %10ld %10ld %10ld\n", q->stime, q->rtime, o->ctime);
}
