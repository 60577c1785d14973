/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace requests that read and write a stopped tracee: memory, registers, signal state. */
#include <elf.h>
#include <errno.h>
#include <linux/ptrace.h>
#include <signal.h>
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_i.h"

#define USER_DEBUGREG 848	/* offsetof(struct user, u_debugreg) */
#define USER_SIZE 912
#define AUDIT_ARCH_X86_64_ 0xc000003eu

static int64_t peek(struct task *c, uint64_t addr, void *dst, size_t n)
{
	struct mm *mm = task_mm_get(c);
	int64_t r;

	if (!mm)
		return -ESRCH;
	r = mm_peek(mm, dst, addr, n, true);
	mm_put(mm);
	return r == (int64_t)n ? 0 : -EIO;
}

static int64_t poke(struct task *c, uint64_t addr, const void *src, size_t n)
{
	struct mm *mm = task_mm_get(c);
	int64_t r;

	if (!mm)
		return -ESRCH;
	r = mm_poke(mm, addr, src, n, true);
	mm_put(mm);
	return r == (int64_t)n ? 0 : -EIO;
}

/* What a tracer may not set: selectors and the privileged flags. */
static int check_regs(const struct l_regs *n)
{
	if (n->fs_base >= pl_guest_top() || n->gs_base >= pl_guest_top())
		return -EIO;
	if (n->cs != 0x33 && n->cs != 0)
		return -EIO;
	return 0;
}

static int set_regs(struct task *c, const struct l_regs *n)
{
	struct l_regs *r = task_regs(c, true);
	int rc = check_regs(n);

	if (rc)
		return rc;
	*r = *n;
	r->cs = 0x33;
	r->ss = 0x2b;
	return 0;
}

static int64_t peek_user(struct task *t, struct task *c, uint64_t off, uint64_t data)
{
	uint64_t v = 0;

	if ((off & 7) || off > USER_SIZE - 8)
		return -EIO;
	if (off < sizeof(struct l_regs))
		__builtin_memcpy(&v, (const uint8_t *)&c->regs + off, 8);
	else if (off >= USER_DEBUGREG && off < USER_DEBUGREG + 64)
		v = c->dr[(off - USER_DEBUGREG) / 8];
	return put_user(t, UADDR(data), v);
}

static int64_t set_debugreg(struct task *c, unsigned i, uint64_t v)
{
	if (i == 4 || i == 5)
		return -EIO;
	if (i < 4 && v >= pl_guest_top())
		return -EINVAL;
	c->dr[i] = v;
	if (i != 7)
		return 0;
	for (unsigned k = 0; k < 4; k++) {
		c->dr_val[k] = 0;
		if ((v >> (2 * k) & 3) && (v >> (16 + 4 * k) & 3) == 2) {
			c->dr[7] = 0;		/* I/O ports */
			return -EINVAL;
		}
		if ((v >> (2 * k) & 3) && (v >> (16 + 4 * k) & 3))
			(void)!peek(c, c->dr[k], &c->dr_val[k], ptrace_watch_len(v, k));
	}
	return 0;
}

static int64_t poke_user(struct task *c, uint64_t off, uint64_t v)
{
	struct l_regs n = c->regs;

	if ((off & 7) || off > USER_SIZE - 8)
		return -EIO;
	if (off < sizeof(n)) {
		__builtin_memcpy((uint8_t *)&n + off, &v, 8);
		return set_regs(c, &n);
	}
	if (off >= USER_DEBUGREG && off < USER_DEBUGREG + 64)
		return set_debugreg(c, (unsigned)(off - USER_DEBUGREG) / 8, v);
	return 0;
}

static int64_t xstate_out(struct task *t, struct task *c, uint64_t base, size_t cap, bool fx_only, size_t *len)
{
	size_t n = pl_xstate_size(), want = fx_only ? 512 : n;
	uint8_t *buf = kmalloc(n);
	int64_t rc;

	if (!buf)
		return -ENOMEM;
	rc = pl_get_xstate(c->pl, buf, n);
	if (rc >= 0) {
		*len = min(cap, want);
		if (!fx_only) {
			uint32_t lo, hi;

			__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
			uint64_t xcr0 = (uint64_t)hi << 32 | lo;

			__builtin_memset(buf + 464, 0, 48);
			__builtin_memcpy(buf + 464, &xcr0, 8);
		}
		rc = copy_out(t, UADDR(base), buf, *len);
	}
	kfree(buf);
	return rc;
}

static int64_t xstate_in(struct task *t, struct task *c, uint64_t base, size_t len, bool fx_only)
{
	size_t n = pl_xstate_size();
	uint8_t *buf = kmalloc(n);
	int64_t rc;

	if (!buf)
		return -ENOMEM;
	rc = pl_get_xstate(c->pl, buf, n);
	if (rc >= 0)
		rc = copy_in(t, buf, UADDR(base), min(len, fx_only ? (size_t)512 : n));
	if (rc >= 0)
		rc = pl_set_xstate(c->pl, buf, n);
	kfree(buf);
	return rc < 0 ? rc : 0;
}

static int64_t regset(struct task *t, struct task *c, uint64_t type, uint64_t uiov, bool set)
{
	struct l_iovec iov;
	struct l_regs r;
	int64_t rc = copy_in(t, &iov, UADDR(uiov), sizeof(iov));
	size_t n;

	if (rc)
		return rc;
	switch (type) {
	case NT_PRSTATUS:
		n = min(iov.len, (uint64_t)sizeof(r)) & ~7ull;
		r = *task_regs(c, false);
		if (set) {
			rc = copy_in(t, &r, UADDR(iov.base), n);
			rc = rc ? rc : set_regs(c, &r);
		} else {
			rc = copy_out(t, UADDR(iov.base), &r, n);
		}
		break;
	case NT_FPREGSET:
	case NT_X86_XSTATE:
		n = min(iov.len, (uint64_t)pl_xstate_size());
		rc = set ? xstate_in(t, c, iov.base, n, type == NT_FPREGSET)
			 : xstate_out(t, c, iov.base, n, type == NT_FPREGSET, &n);
		break;
	default:
		return -EINVAL;
	}
	if (rc)
		return rc;
	iov.len = n;
	return put_user(t, UADDR(uiov), iov);
}

struct l_syscall_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct {
			uint64_t nr, args[6];
			uint32_t ret_data;
		} entry;
		struct {
			int64_t rval;
			uint8_t is_error;
		} exit;
	};
};

static int64_t syscall_info(struct task *t, struct task *c, uint64_t size, uint64_t data)
{
	const struct l_regs *r = task_regs(c, false);
	struct l_syscall_info i = {.op = c->syscall_op, .arch = AUDIT_ARCH_X86_64_, .ip = r->rip, .sp = r->rsp};
	uint64_t n = 24;
	int64_t rc;

	if (i.op == PTRACE_SYSCALL_INFO_ENTRY || i.op == PTRACE_SYSCALL_INFO_SECCOMP) {
		i.entry.nr = r->orig_rax;
		i.entry.args[0] = r->rdi, i.entry.args[1] = r->rsi, i.entry.args[2] = r->rdx;
		i.entry.args[3] = r->r10, i.entry.args[4] = r->r8, i.entry.args[5] = r->r9;
		n = 24 + 7 * 8;
		if (i.op == PTRACE_SYSCALL_INFO_SECCOMP) {
			i.entry.ret_data = (uint32_t)c->ptrace_msg;
			n += 4;
		}
	} else if (i.op == PTRACE_SYSCALL_INFO_EXIT) {
		i.exit.rval = (int64_t)r->rax;
		i.exit.is_error = r->rax >= (uint64_t)-4095;
		n = 24 + 9;
	}
	rc = copy_out(t, UADDR(data), &i, min(n, size));
	return rc ? rc : (int64_t)n;
}

static int64_t peek_siginfo(struct task *t, struct task *c, uint64_t addr, uint64_t data)
{
	struct {
		uint64_t off;
		uint32_t flags;
		int32_t nr;
	} a;
	int64_t rc = copy_in(t, &a, UADDR(addr), sizeof(a));
	int n = 0;

	if (rc)
		return rc;
	if (a.flags & ~1u || a.nr < 0)
		return -EINVAL;
	for (; n < a.nr; n++) {
		struct sigpending *p = a.flags & 1 ? &c->proc->shared : &c->pending;
		struct l_siginfo info;
		struct sigqueue *q;
		uint64_t i = 0;
		bool hit = false;

		mutex_lock(&c->proc->sighand->lock);
		list_for_each(q, &p->queue, link) {
			if (i++ != a.off + (uint64_t)n)
				continue;
			info = q->info;
			hit = true;
			break;
		}
		mutex_unlock(&c->proc->sighand->lock);
		if (!hit)
			break;
		rc = copy_out(t, UADDR(data + (uint64_t)n * sizeof(info)), &info, sizeof(info));
		if (rc)
			return n ? n : rc;
	}
	return n;
}

static int64_t siginfo(struct task *t, struct task *c, uint64_t data, bool set)
{
	struct l_siginfo info;
	int64_t rc;

	if (set) {
		rc = copy_in(t, &info, UADDR(data), sizeof(info));
		if (rc)
			return rc;
	}
	mutex_lock(&c->proc->sighand->lock);
	rc = c->has_trap_info ? 0 : -EINVAL;
	if (!rc && set)
		c->trap_info = info;
	info = c->trap_info;
	mutex_unlock(&c->proc->sighand->lock);
	if (rc || set)
		return rc;
	return put_user(t, UADDR(data), info);
}

static int64_t mask(struct task *t, struct task *c, uint64_t size, uint64_t data, bool set)
{
	l_sigset m;
	int64_t rc;

	if (size != sizeof(m))
		return -EINVAL;
	if (!set) {
		m = c->restore_mask ? c->saved_mask : c->blocked;
		return put_user(t, UADDR(data), m);
	}
	rc = get_user(t, m, UADDR(data));
	if (rc)
		return rc;
	c->restore_mask = false;
	signal_set_mask(c, m);
	return 0;
}

int64_t ptrace_regs_request(struct task *t, struct task *c, int64_t req, uint64_t addr, uint64_t data)
{
	struct l_regs r;
	uint64_t v;
	size_t n;
	int64_t rc;

	switch (req) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		rc = peek(c, addr, &v, sizeof(v));
		return rc ? rc : put_user(t, UADDR(data), v);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return poke(c, addr, &data, sizeof(data));
	case PTRACE_PEEKUSR:
		return peek_user(t, c, addr, data);
	case PTRACE_POKEUSR:
		return poke_user(c, addr, data);
	case PTRACE_GETREGS:
		r = *task_regs(c, false);
		return put_user(t, UADDR(data), r);
	case PTRACE_SETREGS:
		rc = copy_in(t, &r, UADDR(data), sizeof(r));
		return rc ? rc : set_regs(c, &r);
	case PTRACE_GETFPREGS:
		return xstate_out(t, c, data, 512, true, &n);
	case PTRACE_SETFPREGS:
		return xstate_in(t, c, data, 512, true);
	case PTRACE_GETREGSET:
		return regset(t, c, addr, data, false);
	case PTRACE_SETREGSET:
		return regset(t, c, addr, data, true);
	case PTRACE_GETEVENTMSG:
		return put_user(t, UADDR(data), c->ptrace_msg);
	case PTRACE_GETSIGINFO:
		return siginfo(t, c, data, false);
	case PTRACE_SETSIGINFO:
		return siginfo(t, c, data, true);
	case PTRACE_PEEKSIGINFO:
		return peek_siginfo(t, c, addr, data);
	case PTRACE_GETSIGMASK:
		return mask(t, c, addr, data, false);
	case PTRACE_SETSIGMASK:
		return mask(t, c, addr, data, true);
	case PTRACE_GET_SYSCALL_INFO:
		return syscall_info(t, c, addr, data);
	default:
		return -EIO;
	}
}
