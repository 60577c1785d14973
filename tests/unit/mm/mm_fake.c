/* SPDX-License-Identifier: Apache-2.0 */
/* A platform without guests, and the few parts of tasks and files that the layout needs. */
#include "mm/mm_fake.h"
#include <errno.h>
#include <string.h>

_Thread_local struct task *current;
struct mutex tasks_lock = MUTEX_INIT(RANK_TASKS);
static struct process fake_proc;
static struct cred fake_cred;
struct task fake_task;
int fake_op_result;
unsigned fake_ops;

uint64_t pl_guest_top(void)
{
	return 0x7fe000000000;
}

uint64_t pl_vdso(size_t *size)
{
	*size = 0;
	return 0;
}

size_t pl_vdso_read(void *dst, uint64_t addr, size_t n)
{
	return 0;
}

int pl_op(pl_thread_t t, const struct pl_op *op)
{
	fake_ops++;
	return fake_op_result;
}

int pl_unpatch(pl_thread_t t, uint64_t addr, uint64_t len)
{
	return 0;
}

int pl_ops(pl_thread_t t, const struct pl_op *ops, unsigned n)
{
	fake_ops += n;
	return fake_op_result;
}

int pl_op_queue(pl_thread_t t, const struct pl_op *op)
{
	return -11;
}

void *pl_bounce(pl_thread_t t, size_t *cap)
{
	static char window[4096];

	*cap = sizeof(window);
	return window;
}

int copy_out(struct task *t, uaddr_t dst, const void *src, size_t n)
{
	return 0;
}

void pl_kick(pl_thread_t t)
{
}

void pl_set_result(pl_thread_t t, int64_t ret)
{
}

bool task_has_time_offset(const struct task *t)
{
	return false;
}

struct task *task_get(struct task *t)
{
	return t;
}

void task_put(struct task *t)
{
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	if (ref_put(&f->ref))
		ref_init(&f->ref, 0);
}

void file_allow_write(struct file *f)
{
}

int inode_anon(uint32_t mode, const struct cred *cred, struct inode **out)
{
	return -12;
}

void inode_put(struct inode *i)
{
}

int file_anon(const char *name, struct inode *inode, enum file_ops_id fops, unsigned mode, unsigned flags,
	      const struct cred *cred, struct file **out)
{
	return -12;
}

bool cred_capable(const struct cred *c, int cap)
{
	return false;
}

int task_root_get(struct task *t, struct path *out)
{
	return -2;
}

void path_put(struct path *p)
{
}

char *path_text(const struct path *p, const struct path *root, char *buf, size_t cap)
{
	return NULL;
}

int vfs_getattr(const struct path *p, struct kstat *st, unsigned query)
{
	return -2;
}

uint32_t *task_wait_word(struct task *t)
{
	return &t->wake_word;
}

bool task_wait_pending(const struct task *t, enum wait_mode mode)
{
	return false;
}

void task_wait_state(struct task *t, bool sleeping)
{
}

const struct file_ops *const file_ops_table[1];

int fake_task_init(void)
{
	size_t i;

	for (i = 0; i < array_size(fake_proc.rlim); i++)
		fake_proc.rlim[i] = (struct l_rlimit){UINT64_MAX, UINT64_MAX};
	memset(&fake_task, 0, sizeof(fake_task));
	fake_task.proc = &fake_proc;
	fake_task.cred = &fake_cred;
	current = &fake_task;
	return mm_create((pl_space_t){1}, &fake_task.mm);
}

int pl_space_stat(pl_space_t s, struct pl_mem_stat *out)
{
	(void)s, (void)out;
	return -ENXIO;
}
