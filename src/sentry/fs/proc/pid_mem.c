/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID: what lies in the address space: cmdline, environ, auxv, maps, mem, pagemap. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/checked.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/pid.h"
#include "sentry/mm/uaccess.h"

#define PTRACE_MODE_READ 1u
#define PTRACE_MODE_ATTACH 2u
#define PROC_ARG_MAX (1u << 20)		/* of a cmdline or environ that is shown */

/* Bytes [start, end) of the subject's memory; what cannot be read ends the text. */
static int range_show(struct mm *mm, uint64_t start, uint64_t end, struct buf *b)
{
	char *page = kmalloc(PAGE_SIZE);

	if (!page)
		return -ENOMEM;
	if (end > start && end - start > PROC_ARG_MAX)
		end = start + PROC_ARG_MAX;
	while (start < end) {
		size_t n = (size_t)min(end - start, (uint64_t)PAGE_SIZE);
		int64_t r = mm_peek(mm, page, start, n, true);
		if (r <= 0)
			break;
		buf_add(b, page, (size_t)r);
		start += (uint64_t)r;
		if ((size_t)r < n)
			break;
	}
	kfree(page);
	return 0;
}

int proc_pid_cmdline(const struct pseudo_ctx *c, struct buf *b)
{
	struct mm *mm = proc_mm_get(c);

	if (!mm)
		return 0;
	task_mem_try(c->reader, c->task);	/* it may have changed its title */
	int err = range_show(mm, mm->arg_start, mm->arg_end, b);
	/* setproctitle: the last byte is no NUL, so the text goes on into the environment. */
	if (!err && b->len && b->p[b->len - 1]) {
		size_t from = b->len;
		err = range_show(mm, mm->arg_end, mm->env_end, b);
		for (size_t i = from; i < b->len; i++)
			if (!b->p[i]) {
				b->len = i;
				break;
			}
		size_t n = strnlen(b->p, b->len);
		b->len = n;
		buf_addc(b, 0);
	}
	mm_put(mm);
	return err;
}

int proc_pid_environ(const struct pseudo_ctx *c, struct buf *b)
{
	if (task_may_ptrace(c->reader, c->task, PTRACE_MODE_READ))
		return -EACCES;
	struct mm *mm = proc_mm_get(c);
	if (!mm)
		return 0;
	int err = range_show(mm, mm->env_start, mm->env_end, b);
	mm_put(mm);
	return err;
}

int proc_pid_auxv(const struct pseudo_ctx *c, struct buf *b)
{
	if (task_may_ptrace(c->reader, c->task, PTRACE_MODE_READ))
		return -EACCES;
	struct mm *mm = proc_mm_get(c);
	if (!mm)
		return 0;
	buf_add(b, mm->auxv, min(mm->auxv_n, (uint32_t)MM_SAVED_AUXV) * sizeof(uint64_t));
	mm_put(mm);
	return 0;
}

int proc_pid_maps(const struct pseudo_ctx *c, struct buf *b)
{
	if (task_may_ptrace(c->reader, c->task, PTRACE_MODE_READ))
		return -EACCES;
	struct mm *mm = proc_mm_get(c);
	if (!mm)
		return 0;
	mm_show_maps(mm, c->reader, b);
	mm_put(mm);
	return 0;
}

static int smaps_show(const struct pseudo_ctx *c, struct buf *b, bool rollup)
{
	if (task_may_ptrace(c->reader, c->task, PTRACE_MODE_READ))
		return -EACCES;
	struct mm *mm = proc_mm_get(c);
	if (!mm)
		return rollup ? -ESRCH : 0;
	task_stat_try(c->reader, c->task);
	mm_show_smaps(mm, c->reader, b, rollup);
	mm_put(mm);
	return 0;
}

int proc_pid_smaps(const struct pseudo_ctx *c, struct buf *b)
{
	return smaps_show(c, b, false);
}

int proc_pid_smaps_rollup(const struct pseudo_ctx *c, struct buf *b)
{
	return smaps_show(c, b, true);
}

/* One memory node: the policy of every range is the default one. */
int proc_pid_numa_maps(const struct pseudo_ctx *c, struct buf *b)
{
	if (task_may_ptrace(c->reader, c->task, PTRACE_MODE_READ))
		return -EACCES;
	struct mm *mm = proc_mm_get(c);
	if (!mm)
		return 0;
	mutex_lock(&mm->lock);
	for (struct rb_node *n = rb_first(&mm->vmas); n; n = rb_next(n)) {
		struct vma *v = container_of(n, struct vma, rb);
		buf_fmt(b, "%08llx default%s kernelpagesize_kB=4\n", (unsigned long long)v->start,
			v->flags & VMA_HEAP ? " heap" : v->flags & VMA_STACK ? " stack" : "");
	}
	mutex_unlock(&mm->lock);
	mm_put(mm);
	return 0;
}

int proc_pid_stack(const struct pseudo_ctx *c, struct buf *b)
{
	if (task_may_ptrace(c->reader, c->task, PTRACE_MODE_ATTACH))
		return -EPERM;
	if (proc_state_char(c->task) == 'S')
		buf_fmt(b, "[<0>] wait_sleep+0x0/0x0\n[<0>] entry_SYSCALL_64_after_hwframe+0x0/0x0\n");
	return 0;
}

/* Accepted and without effect: referenced bits belong to the host. */
int64_t proc_pid_clear_refs(const struct pseudo_ctx *c, char *text, size_t n)
{
	if (n == 0 || text[0] < '1' || text[0] > '5')
		return -EINVAL;
	return task_may_ptrace(c->reader, c->task, PTRACE_MODE_READ);
}

/* --- mem and pagemap: files with ops of their own ---------------------------------------------- */

/* Opening checks the right once and keeps the address space, as Linux does. */
static int mem_open(struct inode *i, struct file *f)
{
	struct pseudo_ctx c;
	int err = pseudo_ctx_get(i, &c);

	if (!err)
		err = task_may_ptrace(c.reader, c.task, PTRACE_MODE_ATTACH);
	if (err == -EPERM)
		err = -EACCES;
	if (!err && task_mem_open(c.reader, c.task))
		err = -EIO;
	if (!err)
		f->priv = proc_mm_get(&c);
	pseudo_ctx_put(&c);
	return err;
}

static void mem_release(struct file *f)
{
	if (f->priv)
		mm_put(steal(f->priv));
}

static int64_t mem_rw(struct file *f, struct uio *u, int64_t *pos, bool write)
{
	struct mm *mm = f->priv;
	int64_t done = 0, r = 0;

	if (!mm || !ref_read(&mm->users))
		return 0;
	char *page = kmalloc(PAGE_SIZE);
	if (!page)
		return -ENOMEM;
	while (u->left) {
		uint64_t at = (uint64_t)*pos;
		size_t n = (size_t)min((uint64_t)u->left, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
		if (write) {
			r = uio_get(u, page, n);
			if (r > 0)
				r = mm_poke(mm, at, page, (size_t)r, true);
		} else {
			r = mm_peek(mm, page, at, n, true);
			if (r > 0)
				r = uio_put(u, page, (size_t)r);
		}
		if (r <= 0)
			break;
		*pos += r;
		done += r;
		if ((size_t)r < n)
			break;
	}
	kfree(page);
	if (done)
		return done;
	return r == -EFAULT ? -EIO : r;
}

static int64_t mem_read(struct file *f, struct uio *u, int64_t *pos)
{
	return mem_rw(f, u, pos, false);
}

static int64_t mem_write(struct file *f, struct uio *u, int64_t *pos)
{
	return mem_rw(f, u, pos, true);
}

static int64_t mem_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off = (int64_t)((uint64_t)off + (uint64_t)f->pos);
	else if (whence != SEEK_SET)
		return -EINVAL;
	f->pos = off;		/* any 64-bit address is a position */
	return off;
}

const struct file_ops proc_mem_file_ops = {
	.open = mem_open,
	.release = mem_release,
	.read = mem_read,
	.write = mem_write,
	.llseek = mem_llseek,
};

/* Present pages carry bit 63 and no frame number, as an unprivileged reader sees them. */
static int64_t pagemap_read(struct file *f, struct uio *u, int64_t *pos)
{
	struct mm *mm = f->priv;
	int64_t done = 0;

	if (!mm || !ref_read(&mm->users))
		return 0;
	if (*pos % 8 || u->left % 8)
		return -EINVAL;
	while (u->left >= 8) {
		uint64_t addr, entry = 0;
		if (__builtin_mul_overflow((uint64_t)*pos / 8, PAGE_SIZE, &addr) || addr >= pl_guest_top())
			break;
		if (mm_range_ok(mm, addr, 1, VMA_READ))
			entry = 1ull << 63;
		int64_t r = uio_put(u, &entry, 8);
		if (r != 8)
			return done ? done : r;
		*pos += 8;
		done += 8;
	}
	return done;
}

const struct file_ops proc_pagemap_file_ops = {
	.open = mem_open,
	.release = mem_release,
	.read = pagemap_read,
	.llseek = mem_llseek,
};
