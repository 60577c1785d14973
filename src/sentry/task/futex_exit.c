/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel does with the futexes of a thread that ends: robust list, then clear-tid. */
#include <errno.h>
#include <linux/futex.h>
#include "lib/log.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/futex_int.h"
#include "sentry/task/task.h"

struct l_robust_head {
	uint64_t next;
	int64_t offset;
	uint64_t pending;
};

static void wake_shared(struct task *t, uint64_t uaddr)
{
	if (futex_wake(t, uaddr, 1, FUTEX_BITSET_MATCH_ANY) < 0)
		log_debug("futex: no wake at %lx", uaddr);
}

/* Linux's handle_futex_death: false when the walk must end. */
static bool one_died(struct task *t, uint64_t uaddr, bool pi, bool pending)
{
	uint32_t tid = (uint32_t)task_pid_nr(t, task_pid_ns(t)), cur, seen;

	if ((uaddr & 3) || user_load32(t, UADDR(uaddr), &cur))
		return false;
	for (;;) {
		if (pending && !pi && !cur) {
			wake_shared(t, uaddr);
			return true;
		}
		if ((cur & FUTEX_TID_MASK) != tid)
			return true;
		if (pi && (cur & FUTEX_WAITERS)) {
			futex_pi_owner_died(t, uaddr);
			return true;
		}
		if (user_cmpxchg32(t, UADDR(uaddr), cur, (cur & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen))
			return false;
		if (seen == cur)
			break;
		cur = seen;
	}
	if (!pi && (cur & FUTEX_WAITERS))
		wake_shared(t, uaddr);
	return true;
}

/* Could anybody wait there? With the last thread, private memory goes (R14). */
static bool robust_matters(struct task *t)
{
	return t->robust_list && t->mm && (ref_read(&t->mm->users) > 1 || mm_has_shared(t->mm));
}

static bool tid_matters(struct task *t)
{
	return t->clear_tid && t->mm && ref_read(&t->mm->users) > 1;	/* as in Linux */
}

static void futex_exit_robust(struct task *t)
{
	uint64_t head = t->robust_list, at, next, pending;
	struct l_robust_head h;
	unsigned left = ROBUST_LIST_LIMIT;
	bool pi;

	bool matters = robust_matters(t);

	t->robust_list = 0;
	if (!matters)
		return;
	if (get_user(t, h, UADDR(head)))
		return;
	pending = h.pending & ~1ull;
	at = h.next;
	while ((at & ~1ull) != head && left--) {
		pi = at & 1;
		at &= ~1ull;
		/* read the link first: the entry may be gone once its futex is free */
		if (get_user(t, next, UADDR(at)))
			next = head, left = 0;
		if (at != pending && !one_died(t, at + (uint64_t)h.offset, pi, false))
			return;
		at = next;
	}
	if (pending)
		(void)one_died(t, pending + (uint64_t)h.offset, h.pending & 1, true);
}

static void futex_clear_tid(struct task *t)
{
	uint64_t addr = t->clear_tid;
	bool matters = tid_matters(t);
	uint32_t zero = 0;

	t->clear_tid = 0;
	if (!matters)
		return;
	if (put_user(t, UADDR(addr), zero) || pl_flush(t->pl))
		return;
	wake_shared(t, addr);
}

void futex_exit(struct task *t)
{
	uint64_t head = robust_matters(t) ? t->robust_list : 0, tid = tid_matters(t) ? t->clear_tid : 0;

	/* mostly no lock is held: one look at the list with the store behind it */
	if (tid && !(head && access_check(t, UADDR(head), sizeof(struct l_robust_head), false)) &&
	    !access_check(t, UADDR(tid), 4, true) && pl_leave_words(t->pl, head, tid)) {
		t->robust_list = t->clear_tid = 0;
		wake_shared(t, tid);
		return;
	}
	futex_exit_robust(t);
	if (tid)
		pl_rseq_end(t->pl);	/* R10 */
	futex_clear_tid(t);
}
