/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of other processes (process_vm_*, process_madvise) and memory policy (one node). */
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/mm.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"

#define PTRACE_MODE_READ_REALCREDS_ 0x11u
#define PTRACE_MODE_ATTACH_REALCREDS_ 0x12u
#define VM_CHUNK (64ul << 10)

/* The mm of a process that t may inspect; a reference. */
static int foreign_mm(struct task *t, int32_t pid, unsigned mode, struct mm **out)
{
	struct task *o = task_lookup(task_pid_ns(t), pid);
	int r;

	if (!o)
		return -ESRCH;
	r = task_may_ptrace(t, o, mode);
	if (!r)
		r = task_mem_open(t, o);
	if (!r) {
		mutex_lock(&tasks_lock);
		*out = o->mm ? mm_get(o->mm) : NULL;
		mutex_unlock(&tasks_lock);
		if (!*out)
			r = -ESRCH;
	}
	task_put(o);
	return r;
}

static int64_t move_chunk(struct mm *mm, uint64_t addr, struct uio *local, char *buf, size_t n, bool write)
{
	int64_t r;

	if (write) {
		r = uio_get(local, buf, n);
		return r > 0 ? mm_poke(mm, addr, buf, (size_t)r, false) : r;
	}
	r = mm_peek(mm, buf, addr, n, false);
	return r > 0 ? uio_put(local, buf, (size_t)r) : r;
}

static int64_t transfer(struct mm *mm, struct uio *local, const struct uio *remote, bool write)
{
	char *buf = kmalloc(VM_CHUNK);
	int64_t done = 0, r = 0;
	uint32_t i;

	if (!buf)
		return -ENOMEM;
	for (i = 0; i < remote->n && local->left && r >= 0; i++) {
		uint64_t off = 0, len = remote->iov[i].len;
		while (off < len && local->left) {
			size_t n = min(len - off, local->left);
			n = min(n, VM_CHUNK);
			r = move_chunk(mm, remote->iov[i].base + off, local, buf, n, write);
			if (r <= 0)
				break;
			off += (uint64_t)r;
			done += r;
		}
	}
	kfree(buf);
	return done ? done : r;
}

static int64_t process_vm(struct task *t, const struct sysargs *a, bool write)
{
	struct uio local, remote;
	struct mm *mm = NULL;
	int64_t r;

	if (a->a[5])
		return -EINVAL;
	r = uio_user_iov(&local, t, a->a[1], a->a[2]);
	if (r)
		return r;
	if (!local.left) {
		uio_fini(&local);
		return 0;
	}
	r = uio_user_iov(&remote, t, a->a[3], a->a[4]);
	if (!r) {
		r = foreign_mm(t, ARG_INT(0), PTRACE_MODE_ATTACH_REALCREDS_, &mm);
		if (!r)
			r = transfer(mm, &local, &remote, write);
		mm_put(mm);
		uio_fini(&remote);
	}
	uio_fini(&local);
	return r;
}

int64_t sys_process_vm_readv(struct task *t, const struct sysargs *a)
{
	return process_vm(t, a, false);
}

int64_t sys_process_vm_writev(struct task *t, const struct sysargs *a)
{
	return process_vm(t, a, true);
}

/* --- membarrier: the host's own, made in the cell (I7) -------------------------------------------- */

#define MB_CMDS (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED |                         \
		 MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |     \
		 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |                                       \
		 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |                                      \
		 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |                             \
		 MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ |                                           \
		 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)
#define MB_REGISTER                                                                                \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |    \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |                                     \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)
#define MB_NEEDS_REGISTER                                                                          \
	(MEMBARRIER_CMD_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |           \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ)
#define MB_GET_REGISTRATIONS 512

int64_t sys_membarrier(struct task *t, const struct sysargs *a)
{
	int cmd = ARG_INT(0), r;
	uint32_t need = 0;

	/* one CPU's threads (FLAG_CPU) are among all threads */
	if (ARG_U32(1) && (cmd != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ || ARG_U32(1) != MEMBARRIER_CMD_FLAG_CPU))
		return -EINVAL;
	if (cmd == MEMBARRIER_CMD_QUERY)
		return MB_CMDS | MB_GET_REGISTRATIONS;
	if (cmd == MB_GET_REGISTRATIONS)
		return __atomic_load_n(&t->mm->membarrier, __ATOMIC_RELAXED);
	if (cmd < 0 || (cmd & (cmd - 1)) || !(cmd & MB_CMDS))
		return -EINVAL;
	/* the host's registration may be left from an earlier process of the same cell */
	if (cmd & MB_NEEDS_REGISTER)
		need = (uint32_t)cmd << 1;
	if (need && !(__atomic_load_n(&t->mm->membarrier, __ATOMIC_RELAXED) & need))
		return -EPERM;
	r = pl_membarrier(t->pl, cmd);
	if (r == -EPERM && need) {
		r = pl_membarrier(t->pl, (int)need);
		if (!r)
			r = pl_membarrier(t->pl, cmd);
	}
	if (!r && (cmd & MB_REGISTER))
		__atomic_or_fetch(&t->mm->membarrier, (uint32_t)cmd, __ATOMIC_RELAXED);
	return r;
}

/* The host does it: what it says passes, but nothing of a host that refuses our order (R10). */
int64_t sys_rseq(struct task *t, const struct sysargs *a)
{
	int r = pl_rseq(t->pl, a->a[0], ARG_U32(1), ARG_U32(2), ARG_U32(3));

	return r == -ESRCH ? -EINTR : r;
}

/* --- memory policy: node 0 is all there is ------------------------------------------------------ */

enum { POL_DEFAULT, POL_PREFERRED, POL_BIND, POL_INTERLEAVE, POL_LOCAL, POL_PREFERRED_MANY,
       POL_WEIGHTED_INTERLEAVE, POL_MAX };
#define POL_F_NODE 1u
#define POL_F_ADDR 2u
#define POL_F_MEMS_ALLOWED 4u
#define POL_MODE_FLAGS 0xe000u		/* STATIC_NODES, RELATIVE_NODES, NUMA_BALANCING */

int64_t sys_get_mempolicy(struct task *t, const struct sysargs *a)
{
	unsigned flags = ARG_U32(4);
	int32_t policy = POL_DEFAULT;
	uint64_t mask = flags & POL_F_MEMS_ALLOWED ? 1 : 0;

	if (flags & ~(POL_F_NODE | POL_F_ADDR | POL_F_MEMS_ALLOWED))
		return -EINVAL;
	if ((flags & POL_F_MEMS_ALLOWED) && (flags & (POL_F_NODE | POL_F_ADDR)))
		return -EINVAL;
	if (!(flags & POL_F_ADDR) && a->a[3])
		return -EINVAL;
	if (a->a[1] && !a->a[2])
		return -EINVAL;
	if ((flags & POL_F_ADDR) && !mm_range_ok(t->mm, a->a[3], 1, 0))
		return -EFAULT;
	if ((flags & POL_F_NODE) && !(flags & POL_F_ADDR))
		return -EINVAL;		/* only for an interleaving policy */
	if (a->a[0] && put_user(t, ARG_UADDR(0), policy))
		return -EFAULT;
	if (a->a[1] && put_user(t, ARG_UADDR(1), mask))
		return -EFAULT;
	return 0;
}

/* Reads the first word of a node mask; nodes other than 0 do not exist. */
static int node_mask(struct task *t, uint64_t addr, uint64_t maxnode, uint64_t *mask)
{
	*mask = 0;
	if (!addr || maxnode <= 1)
		return 0;
	if (maxnode > PAGE_SIZE * 8)
		return -EINVAL;
	if (copy_in(t, mask, UADDR(addr), min((maxnode - 1 + 7) / 8, 8ul)))
		return -EFAULT;
	return *mask & ~1ull ? -EINVAL : 0;
}

static int check_policy(struct task *t, uint32_t mode, uint64_t addr, uint64_t maxnode)
{
	uint64_t mask;
	int r;

	mode &= ~POL_MODE_FLAGS;
	if (mode >= POL_MAX)
		return -EINVAL;
	r = node_mask(t, addr, maxnode, &mask);
	if (r)
		return r;
	if ((mode == POL_DEFAULT || mode == POL_LOCAL) && mask)
		return -EINVAL;
	if (mode != POL_DEFAULT && mode != POL_LOCAL && mode != POL_PREFERRED && !mask)
		return -EINVAL;
	return 0;
}

int64_t sys_set_mempolicy(struct task *t, const struct sysargs *a)
{
	return check_policy(t, ARG_U32(0), a->a[1], a->a[2]);
}

int64_t sys_mbind(struct task *t, const struct sysargs *a)
{
	uint64_t len = a->a[1];
	int r;

	if (ARG_U32(5) & ~7u || (a->a[0] & ~PAGE_MASK))
		return -EINVAL;
	if ((len && !page_up(len, &len)) || !range_within(a->a[0], len, 0, t->mm->task_top))
		return -EINVAL;
	r = check_policy(t, ARG_U32(2), a->a[3], a->a[4]);
	if (r)
		return r;
	return mm_range_ok(t->mm, a->a[0], len, 0) ? 0 : -EFAULT;
}

int64_t sys_migrate_pages(struct task *t, const struct sysargs *a)
{
	uint64_t from, to;
	int r = node_mask(t, a->a[2], a->a[1], &from);

	return r ? r : node_mask(t, a->a[3], a->a[1], &to);
}

/* process_madvise: hints only; on oneself everything that madvise takes. */
int64_t sys_process_madvise(struct task *t, const struct sysargs *a)
{
	int advice = ARG_INT(3);
	struct file *f;
	struct uio u;
	int64_t r, done = 0;
	uint32_t i;

	if (a->a[4])
		return -EINVAL;
	r = uio_user_iov(&u, t, a->a[1], a->a[2]);
	if (r)
		return r;
	f = fd_get(t, ARG_INT(0));
	r = f ? 0 : -EBADF;
	if (!r && advice != MADV_COLD && advice != MADV_PAGEOUT && advice != MADV_WILLNEED && advice != 25)
		r = -EINVAL;
	for (i = 0; !r && i < u.n; i++) {
		if (u.iov[i].base & ~PAGE_MASK)
			r = -EINVAL;
		else
			done += (int64_t)u.iov[i].len;
	}
	if (f)
		file_put(f);
	uio_fini(&u);
	return r ? r : done;
}
