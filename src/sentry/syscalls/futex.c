/* SPDX-License-Identifier: Apache-2.0 */
/* futex and the robust list calls. */
#include <errno.h>
#include <linux/futex.h>
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/futex.h"
#include "sentry/task/task.h"
#include "sentry/time/time.h"

#define ROBUST_HEAD_SIZE 24

static bool has_timeout(int cmd)
{
	return cmd == FUTEX_WAIT || cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_LOCK_PI ||
	       cmd == FUTEX_LOCK_PI2 || cmd == FUTEX_WAIT_REQUEUE_PI;
}

/* The timeout argument as a deadline. FUTEX_WAIT's is relative, all others are absolute. */
static int deadline_in(struct task *t, int cmd, bool realtime, uint64_t ua, uint64_t *deadline)
{
	int base = realtime || cmd == FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC;
	struct l_timespec ts;
	uint64_t ns;
	int r;

	*deadline = WAIT_FOREVER;
	if (!ua || !has_timeout(cmd))
		return 0;
	if (cmd == FUTEX_WAIT)
		return timeout_in(t, ua, deadline);
	if (get_user(t, ts, UADDR(ua)))
		return -EFAULT;
	r = ts_to_ns(&ts, &ns);
	if (!r)
		*deadline = clock_deadline(base, clock_to_host(t, base, ns));
	return r;
}

/* The waiter takes the PI futex itself before it returns: the same end as a requeue by the waker. */
static int64_t wait_requeue_pi(struct task *t, uint64_t from, uint32_t val, uint32_t bitset, uint64_t to,
			       uint64_t deadline)
{
	int64_t r;

	if (from == to)
		return -EINVAL;
	r = futex_wait(t, from, val, bitset, deadline);
	if (r == -ERESTART_RESTARTBLOCK || r == -ERESTARTSYS)
		return -EWOULDBLOCK;	/* a spurious wake-up is allowed, the word is not locked */
	return r ? r : futex_lock_pi(t, to, deadline, false);
}

/* What the host does for a private one (the cell's filter has the same list). */
static bool is_native(int op)
{
	if (!(op & FUTEX_PRIVATE_FLAG) || op & ~(FUTEX_CMD_MASK | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))
		return false;
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAKE:
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAKE_BITSET:
		return true;
	default:
		return false;
	}
}

int64_t sys_futex(struct task *t, const struct sysargs *a)
{
	uint64_t ua = a->a[0], ua2 = a->a[4], deadline;
	int op = ARG_INT(1), cmd = op & FUTEX_CMD_MASK;
	uint32_t val = ARG_U32(2), val2 = ARG_U32(3), val3 = ARG_U32(5);
	bool realtime = op & FUTEX_CLOCK_REALTIME;
	int r;

	if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI2 &&
	    cmd != FUTEX_WAIT)
		return -ENOSYS;
	r = deadline_in(t, cmd, realtime, a->a[3], &deadline);
	if (r)
		return r;
	if (is_native(op) && cmd != FUTEX_WAIT && cmd != FUTEX_WAIT_BITSET)
		return futex_private(t, a->a);
	if (is_native(op))
		return futex_private_wait(t, ua, val, cmd == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : val3,
					  deadline);
	switch (cmd) {
	case FUTEX_WAIT:
		return futex_wait(t, ua, val, FUTEX_BITSET_MATCH_ANY, deadline);
	case FUTEX_WAIT_BITSET:
		return futex_wait(t, ua, val, val3, deadline);
	case FUTEX_WAKE:
		return futex_wake(t, ua, (int)val, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(t, ua, (int)val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(t, ua, ua2, (int)val, (int)val2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(t, ua, ua2, (int)val, (int)val2, &val3);
	case FUTEX_WAKE_OP:
		return futex_wake_op(t, ua, ua2, (int)val, (int)val2, val3);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(t, ua, deadline, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(t, ua, WAIT_FOREVER, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(t, ua);
	case FUTEX_WAIT_REQUEUE_PI:
		return wait_requeue_pi(t, ua, val, FUTEX_BITSET_MATCH_ANY, ua2, deadline);
	case FUTEX_CMP_REQUEUE_PI:
		if (val != 1 || ua == ua2)
			return -EINVAL;
		/* as many as could be moved are woken; each takes the PI futex in its own wait */
		return futex_requeue(t, ua, ua2, (int)min(val2, (uint32_t)INT32_MAX - 1) + 1, 0, &val3);
	default:
		return -ENOSYS;
	}
}

int64_t sys_set_robust_list(struct task *t, const struct sysargs *a)
{
	if (a->a[1] != ROBUST_HEAD_SIZE)
		return -EINVAL;
	t->robust_list = a->a[0];
	t->robust_len = a->a[1];
	return 0;
}

int64_t sys_get_robust_list(struct task *t, const struct sysargs *a)
{
	struct task *o = ARG_INT(0) ? task_lookup(task_pid_ns(t), ARG_INT(0)) : task_get(t);
	uint64_t head, len = ROBUST_HEAD_SIZE;
	int r;

	if (!o)
		return -ESRCH;
	r = o == t ? 0 : task_may_ptrace(t, o, 0x11 /* PTRACE_MODE_READ_REALCREDS */);
	head = o->robust_list;
	task_put(o);
	if (r)
		return r;
	if (put_user(t, ARG_UADDR(2), len) || put_user(t, ARG_UADDR(1), head))
		return -EFAULT;
	return 0;
}
