/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advisory locks. One mutex covers all of them; waiting tasks sleep on the inode's queue and try
 * again. POSIX locks belong to the descriptor table (struct files), OFD locks and flock to the open
 * file. Ranges are kept disjoint per owner: a new lock cuts, replaces or joins its owner's old ones.
 *
 * Deadlock: each task that waits for a POSIX lock is listed with what it waits for; a new waiter
 * follows "owner waits for owner" from the lock in its way, and gets EDEADLK if it meets itself.
 */
#include "sentry/vfs/locks.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs_int.h"

struct flk {
	struct list link, all;	/* ctx->locks by kind, owner and start; every lock of the sandbox */
	struct inode *inode;	/* borrowed: holds us */
	const void *owner;
	struct pid *pid;	/* owned: of the process, for F_GETLK; NULL for OFD */
	int64_t start, end;	/* inclusive */
	int16_t type;		/* F_RDLCK, F_WRLCK */
	uint8_t kind;
};

struct flock_ctx {
	struct list locks;
	struct waitq wq;
};

struct blocked {
	struct list link;
	const void *owner, *waits_for;
};

static KCACHE(flk_cache, struct flk, 0);
static KCACHE(flock_ctx_cache, struct flock_ctx, 0);
static struct mutex lock = MUTEX_INIT(RANK_OBJECT);
static struct list all_locks = LIST_INIT(all_locks);
static struct list all_blocked = LIST_INIT(all_blocked);

static struct flock_ctx *ctx_of(struct inode *i)
{
	struct flock_ctx *c = __atomic_load_n(&i->flocks, __ATOMIC_ACQUIRE), *none = NULL;

	if (c)
		return c;
	c = kc_alloc(&flock_ctx_cache);
	if (!c)
		return NULL;
	list_init(&c->locks);
	wq_init(&c->wq);
	if (__atomic_compare_exchange_n(&i->flocks, &none, c, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return c;
	kc_free(&flock_ctx_cache, c);
	return none;
}

void inode_locks_free(struct inode *i)
{
	if (i->flocks) {
		wq_destroy(&i->flocks->wq);
		kc_free(&flock_ctx_cache, i->flocks);
		i->flocks = NULL;
	}
}

static void flk_free(struct flk *l)
{
	if (l && l->pid)
		pid_put(l->pid);
	kc_free(&flk_cache, l);
}

static struct flk *flk_new(struct task *t, struct inode *i, enum lock_kind kind, const void *owner)
{
	struct flk *l = kc_alloc(&flk_cache);

	if (!l)
		return NULL;
	list_init(&l->link);
	list_init(&l->all);
	l->inode = i;
	l->kind = (uint8_t)kind;
	l->owner = owner;
	if (kind != LOCK_KIND_OFD && t)
		l->pid = pid_get(t->proc->leader->pid);
	return l;
}

static void flk_unlink(struct flk *l)
{
	list_del(&l->link);
	list_del(&l->all);
}

static bool kinds_meet(uint8_t a, uint8_t b)
{
	return (a == LOCK_KIND_FLOCK) == (b == LOCK_KIND_FLOCK);
}

static struct flk *conflict_locked(struct flock_ctx *c, const struct flk *want)
{
	struct flk *l;

	list_for_each(l, &c->locks, link) {
		if (!kinds_meet(l->kind, want->kind) || l->owner == want->owner)
			continue;
		if (l->start > want->end || l->end < want->start)
			continue;
		if (l->type == F_WRLCK || want->type == F_WRLCK)
			return l;
	}
	return NULL;
}

static bool would_deadlock_locked(const void *me, const void *holder)
{
	struct blocked *b;

	for (int depth = 0; depth < 10; depth++) {
		if (holder == me)
			return true;
		const void *next = NULL;
		list_for_each(b, &all_blocked, link) {
			if (b->owner == holder) {
				next = b->waits_for;
				break;
			}
		}
		if (!next)
			return false;
		holder = next;
	}
	return false;
}

/* --- ranges ---------------------------------------------------------------------------------- */

static void insert_locked(struct flock_ctx *c, struct flk *n)
{
	struct flk *l;
	struct list *at = &c->locks;

	list_for_each(l, &c->locks, link) {
		if (l->owner == n->owner && l->kind == n->kind && l->start > n->start) {
			at = &l->link;
			break;
		}
	}
	list_add_tail(at, &n->link);
	list_add_tail(&all_locks, &n->all);
}

/*
 * Makes [want->start, want->end] of want's owner be of want->type (F_UNLCK: nothing). spare is used
 * when an old lock is cut in two. want itself is linked unless it unlocks; returns what is unused
 * in *want and *spare (to be freed by the caller), and freed locks on `dead`.
 */
static void apply_locked(struct flock_ctx *c, struct flk **wantp, struct flk **sparep, struct list *dead)
{
	struct flk *want = *wantp, *l, *tmp;

	list_for_each_safe(l, tmp, &c->locks, link) {
		if (l->owner != want->owner || l->kind != want->kind)
			continue;
		if (l->type == want->type) {	/* join what overlaps or touches */
			if ((want->end != INT64_MAX && l->start > want->end + 1) ||
			    (l->end != INT64_MAX && l->end + 1 < want->start))
				continue;
			want->start = min(want->start, l->start);
			want->end = max(want->end, l->end);
		} else {
			if (l->start > want->end || l->end < want->start)
				continue;
			if (l->start < want->start && l->end > want->end) {
				struct flk *right = steal(*sparep);
				right->type = l->type;
				right->start = want->end + 1;
				right->end = l->end;
				l->end = want->start - 1;
				insert_locked(c, right);
				continue;
			}
			if (l->start < want->start) {
				l->end = want->start - 1;
				continue;
			}
			if (l->end > want->end) {
				l->start = want->end + 1;
				continue;
			}
		}
		flk_unlink(l);
		list_add(dead, &l->link);
	}
	if (want->type != F_UNLCK)
		insert_locked(c, steal(*wantp));
}

static void free_dead(struct list *dead)
{
	struct flk *l;

	while ((l = list_first(dead, struct flk, link))) {
		list_del(&l->link);
		flk_free(l);
	}
}

/* Waits until nothing conflicts, then applies. */
static int set_or_wait(struct task *t, struct flock_ctx *c, struct flk **want, struct flk **spare,
		       bool wait)
{
	struct list dead = LIST_INIT(dead);
	struct blocked b = {.owner = (*want)->owner};
	struct waiter w;
	bool queued = false;
	int r = 0;

	list_init(&b.link);
	mutex_lock(&lock);
	for (;;) {
		struct flk *other = (*want)->type == F_UNLCK ? NULL : conflict_locked(c, *want);
		if (!other || r)
			break;
		if (!wait) {
			r = -EAGAIN;
			break;
		}
		if ((*want)->kind == LOCK_KIND_POSIX && would_deadlock_locked(b.owner, other->owner)) {
			r = -EDEADLK;
			break;
		}
		if (!queued) {
			mutex_unlock(&lock);
			wait_begin(&w, &c->wq, t);
			queued = true;
			mutex_lock(&lock);
			continue;	/* it may have gone before we queued */
		}
		b.waits_for = other->owner;
		if ((*want)->kind == LOCK_KIND_POSIX)
			list_add(&all_blocked, &b.link);
		mutex_unlock(&lock);
		int s = wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		mutex_lock(&lock);
		list_del(&b.link);
		if (s && (*want)->type != F_UNLCK && conflict_locked(c, *want))
			r = s;
	}
	if (!r)
		apply_locked(c, want, spare, &dead);
	mutex_unlock(&lock);
	if (queued)
		wait_end(&w);
	if (!r)
		wq_wake_all(&c->wq);	/* unlocked or downgraded ranges */
	free_dead(&dead);
	return r;
}

/* --- flock ----------------------------------------------------------------------------------- */

int locks_flock(struct task *t, struct file *f, int op, bool nonblock)
{
	struct flock_ctx *c = op == LOCK_UN && !f->inode->flocks ? NULL : ctx_of(f->inode);
	struct list dead = LIST_INIT(dead);
	struct flk *want, *spare = NULL, *l, *tmp;

	if (op == LOCK_UN && !c)
		return 0;
	if (!c)
		return -ENOLCK;
	want = flk_new(t, f->inode, LOCK_KIND_FLOCK, f);
	if (!want)
		return -ENOLCK;
	want->start = 0;
	want->end = INT64_MAX;
	want->type = op == LOCK_UN ? F_UNLCK : op == LOCK_EX ? F_WRLCK : F_RDLCK;
	/* A conversion first gives up the old lock, as Linux does. */
	mutex_lock(&lock);
	list_for_each_safe(l, tmp, &c->locks, link) {
		if (l->owner == f && l->kind == LOCK_KIND_FLOCK && l->type != want->type) {
			flk_unlink(l);
			list_add(&dead, &l->link);
		}
	}
	mutex_unlock(&lock);
	if (!list_empty(&dead))
		wq_wake_all(&c->wq);
	free_dead(&dead);
	int r = set_or_wait(t, c, &want, &spare, !nonblock);
	flk_free(want);
	return r;
}

/* --- record locks ---------------------------------------------------------------------------- */

static int range_of(struct file *f, const struct l_flock *l, int64_t *start, int64_t *end)
{
	int64_t base;
	struct kstat st;

	switch (l->whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		if (vfs_getattr(&f->path, &st, 0))
			return -EINVAL;
		base = (int64_t)st.size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, l->start, start))
		return -EOVERFLOW;
	if (*start < 0)
		return -EINVAL;
	*end = INT64_MAX;
	if (l->len > 0) {
		if (__builtin_add_overflow(*start, l->len - 1, end))
			return -EOVERFLOW;
	} else if (l->len < 0) {
		if (*start + l->len < 0)
			return -EINVAL;
		*end = *start - 1;
		*start += l->len;
	}
	return 0;
}

static const void *owner_of(struct task *t, struct file *f, bool ofd)
{
	return ofd ? (const void *)f : (const void *)t->files;
}

int locks_set(struct task *t, struct file *f, const struct l_flock *l, bool ofd, bool wait)
{
	enum lock_kind kind = ofd ? LOCK_KIND_OFD : LOCK_KIND_POSIX;
	int64_t start, end;
	int r = range_of(f, l, &start, &end);

	if (r)
		return r;
	if (ofd && l->pid)
		return -EINVAL;
	switch (l->type) {
	case F_RDLCK:
		if (!(f->mode & FMODE_READ))
			return -EBADF;
		break;
	case F_WRLCK:
		if (!(f->mode & FMODE_WRITE))
			return -EBADF;
		break;
	case F_UNLCK:
		if (!f->inode->flocks)
			return 0;
		break;
	default:
		return -EINVAL;
	}
	struct flock_ctx *c = ctx_of(f->inode);
	struct flk *want = c ? flk_new(t, f->inode, kind, owner_of(t, f, ofd)) : NULL;
	struct flk *spare = want ? flk_new(t, f->inode, kind, want->owner) : NULL;
	if (!spare) {
		flk_free(want);
		return -ENOLCK;
	}
	want->start = start, want->end = end;
	want->type = l->type;
	r = set_or_wait(t, c, &want, &spare, wait);
	flk_free(want);
	flk_free(spare);
	return r;
}

int locks_get(struct task *t, struct file *f, struct l_flock *l, bool ofd)
{
	struct flk want = {.kind = ofd ? LOCK_KIND_OFD : LOCK_KIND_POSIX};
	int r;

	if (l->type != F_RDLCK && l->type != F_WRLCK && !(ofd && l->type == F_UNLCK))
		return -EINVAL;
	if (ofd && l->pid)
		return -EINVAL;
	r = range_of(f, l, &want.start, &want.end);
	if (r)
		return r;
	want.owner = owner_of(t, f, ofd);
	want.type = l->type;
	struct flock_ctx *c = f->inode->flocks;
	struct flk *o = NULL;
	mutex_lock(&lock);
	if (c)
		o = conflict_locked(c, &want);
	if (o) {
		l->type = o->type;
		l->whence = SEEK_SET;
		l->start = o->start;
		l->len = o->end == INT64_MAX ? 0 : o->end - o->start + 1;
		l->pid = o->pid ? pid_nr(o->pid, task_pid_ns(t)) : -1;
	} else {
		l->type = F_UNLCK;
	}
	mutex_unlock(&lock);
	return 0;
}

static void remove_owned(struct inode *i, const void *owner, bool posix)
{
	struct list dead = LIST_INIT(dead);
	struct flk *l, *tmp;
	struct flock_ctx *c = i->flocks;

	mutex_lock(&lock);
	list_for_each_safe(l, tmp, &c->locks, link) {
		if (l->owner == owner && (l->kind == LOCK_KIND_POSIX) == posix) {
			flk_unlink(l);
			list_add(&dead, &l->link);
		}
	}
	mutex_unlock(&lock);
	if (!list_empty(&dead))
		wq_wake_all(&c->wq);
	free_dead(&dead);
}

void locks_remove_posix(struct file *f, struct files *owner)
{
	remove_owned(f->inode, owner, true);
}

void locks_release_file(struct file *f)
{
	if (f->inode && f->inode->flocks)
		remove_owned(f->inode, f, false);
}

/* --- text ------------------------------------------------------------------------------------ */

static void show_one(const struct flk *l, struct pid_ns *ns, unsigned n, struct buf *b)
{
	static const char *const kind[] = {"FLOCK ", "POSIX ", "OFDLCK"};
	uint64_t dev = l->inode->sb->dev;

	buf_fmt(b, "%u: %s ADVISORY  %s %d %02x:%02x:%llu %lld ", n, kind[l->kind],
		l->type == F_WRLCK ? "WRITE" : "READ ", l->pid ? pid_nr(l->pid, ns) : -1,
		major(dev), minor(dev), (unsigned long long)l->inode->ino, (long long)l->start);
	if (l->end == INT64_MAX)
		buf_fmt(b, "EOF\n");
	else
		buf_fmt(b, "%lld\n", (long long)l->end);
}

void locks_show(struct pid_ns *ns, struct buf *b)
{
	struct flk *l;
	unsigned n = 0;

	mutex_lock(&lock);
	list_for_each(l, &all_locks, all)
		show_one(l, ns, ++n, b);
	mutex_unlock(&lock);
}

void locks_show_fdinfo(struct file *f, struct buf *b)
{
	struct flk *l;
	unsigned n = 0;

	if (!f->inode->flocks)
		return;
	mutex_lock(&lock);
	list_for_each(l, &f->inode->flocks->locks, link) {
		if (l->kind != LOCK_KIND_POSIX && l->owner != f)
			continue;
		buf_fmt(b, "lock:\t");
		show_one(l, current ? task_pid_ns(current) : NULL, ++n, b);
	}
	mutex_unlock(&lock);
}
