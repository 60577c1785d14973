/* SPDX-License-Identifier: Apache-2.0 */
/* /proc's computed directories: the pids, task/, fd/ and fdinfo/; and the links exe, cwd, root, ns. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/core/kheap.h"
#include "sentry/fs/proc/pid.h"
#include "sentry/task/ns.h"
#include "sentry/task/nsfile.h"

/* --- pids ------------------------------------------------------------------------------------------ */

static int pids_lookup(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out)
{
	int64_t nr = pseudo_parse_nr(name, len);
	struct task *t = nr > 0 ? task_lookup(proc_ns(c), (int32_t)nr) : NULL;

	if (!t)
		return -ENOENT;
	/* A thread's own id leads to its thread group, as in Linux (but is not listed). */
	struct pid *pid = pid_get(t->pid);
	int err = pseudo_make(c->pi->inode.sb, PT_PROC_PID, "", pid, false, 0, out);
	pid_put(pid);
	task_put(t);
	return err;
}

static int pids_iterate(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base)
{
	(void)f;
	struct pid_ns *ns = proc_ns(c);
	int32_t nr = (int32_t)(e->pos - base);
	char name[16];

	for (;;) {
		nr = pid_ns_next_tgid(ns, nr);	/* smallest thread group id >= nr, 0 at the end */
		if (nr <= 0)
			return 0;
		size_t n = fmt_n(name, sizeof(name), "%d", nr);
		if (dir_emit(e, name, n, 0x100000000ull + (uint32_t)nr, DT_DIR, base + nr + 1))
			return 0;
		nr++;
		e->pos = base + nr;
	}
}

static void pids_stat(const struct pseudo_ctx *c, struct kstat *st)
{
	(void)c;
	st->nlink = 2 + task_root->nr_processes;
}

const struct pseudo_dir_ops proc_pids_dir = {.lookup = pids_lookup, .iterate = pids_iterate, .stat = pids_stat};

/* --- task/ ----------------------------------------------------------------------------------------- */

static int task_dir_lookup(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out)
{
	int64_t nr = pseudo_parse_nr(name, len);
	struct task *t = nr > 0 ? task_lookup(proc_ns(c), (int32_t)nr) : NULL;
	int err = -ENOENT;

	if (t && t->proc == c->task->proc)
		err = pseudo_make(c->pi->inode.sb, PT_PROC_PID, "", t->pid, true, 0, out);
	if (t)
		task_put(t);
	return err;
}

static int task_dir_iterate(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base)
{
	(void)f;
	struct pid_ns *ns = proc_ns(c);

	for (;;) {
		struct task *t;
		int32_t from = (int32_t)(e->pos - base), best = 0;
		mutex_lock(&tasks_lock);
		list_for_each(t, &c->task->proc->threads, thread_link) {
			int32_t nr = task_pid_nr(t, ns);
			if (nr >= from && nr > 0 && (!best || nr < best))
				best = nr;
		}
		mutex_unlock(&tasks_lock);
		if (!best)
			return 0;
		char name[16];
		size_t n = fmt_n(name, sizeof(name), "%d", best);
		if (dir_emit(e, name, n, 0x200000000ull + (uint32_t)best, DT_DIR, base + best + 1))
			return 0;
		e->pos = base + best + 1;
	}
}

static void task_dir_stat(const struct pseudo_ctx *c, struct kstat *st)
{
	st->nlink = 2 + __atomic_load_n(&c->task->proc->nr_threads, __ATOMIC_RELAXED);
}

const struct pseudo_dir_ops proc_task_dir = {
	.lookup = task_dir_lookup, .iterate = task_dir_iterate, .stat = task_dir_stat,
};

/* --- fd/ and fdinfo/ --------------------------------------------------------------------------------- */

/* The file behind a number of the subject, with a reference, and its close-on-exec flag. */
static struct file *subject_file(const struct pseudo_ctx *c, uint64_t fd, bool *cloexec)
{
	struct file *f = NULL;
	struct files *fs = task_files_get(c->task);

	if (!fs)
		return NULL;
	if (fd <= INT32_MAX && fd_next(fs, (int)fd, &f, cloexec) != (int)fd && f) {
		file_put(f);
		f = NULL;
	}
	files_put(NULL, fs);
	return f;
}

static int fd_child(const struct pseudo_ctx *c, const char *name, size_t len, const char *entry,
		    struct inode **out)
{
	int64_t fd = pseudo_parse_nr(name, len);
	bool cloexec;

	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	struct file *f = fd >= 0 ? subject_file(c, (uint64_t)fd, &cloexec) : NULL;
	if (!f)
		return -ENOENT;
	int err = pseudo_make(c->pi->inode.sb, PT_PROC_FD, entry, c->pi->pid, c->pi->thread,
			      (uint64_t)fd, out);
	if (!err && S_ISLNK((*out)->mode))
		(*out)->mode = S_IFLNK | (f->mode & FMODE_READ ? 0500u : 0) |
			       (f->mode & FMODE_WRITE ? 0300u : 0) | (f->mode & FMODE_PATH ? 0u : 0);
	file_put(f);
	return err;
}

static int fd_lookup(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out)
{
	return fd_child(c, name, len, "fd", out);
}

static int fdinfo_lookup(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out)
{
	return fd_child(c, name, len, "fdinfo", out);
}

static int fds_iterate(const struct pseudo_ctx *c, struct dir_emit *e, int64_t base, unsigned type)
{
	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	for (;;) {
		int64_t from = e->pos - base;
		struct files *fs = task_files_get(c->task);
		if (!fs)
			return 0;
		int fd = from <= INT32_MAX ? fd_next(fs, (int)from, NULL, NULL) : -1;
		files_put(NULL, fs);
		if (fd < 0)
			return 0;
		char name[16];
		size_t n = fmt_n(name, sizeof(name), "%d", fd);
		int64_t next = base + fd + 1;
		if (dir_emit(e, name, n, 0x300000001ull + (uint64_t)fd, type, next))
			return 0;
		e->pos = next;
	}
}

static int fd_iterate(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base)
{
	(void)f;
	return fds_iterate(c, e, base, DT_LNK);
}

static int fdinfo_iterate(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base)
{
	(void)f;
	return fds_iterate(c, e, base, DT_REG);
}

/* The size says how many descriptors are open (since Linux 6.2). */
static void fd_stat(const struct pseudo_ctx *c, struct kstat *st)
{
	struct files *fs = task_files_get(c->task);

	st->size = 0;
	if (!fs)
		return;
	for (int fd = -1; (fd = fd_next(fs, fd + 1, NULL, NULL)) >= 0;)
		st->size++;
	files_put(NULL, fs);
}

const struct pseudo_dir_ops proc_fd_dir = {.lookup = fd_lookup, .iterate = fd_iterate, .stat = fd_stat};
const struct pseudo_dir_ops proc_fdinfo_dir = {.lookup = fdinfo_lookup, .iterate = fdinfo_iterate};

int proc_pid_fdinfo_show(const struct pseudo_ctx *c, struct buf *b)
{
	bool cloexec = false;
	struct file *f = subject_file(c, c->pi->arg, &cloexec);

	if (!f)
		return -ENOENT;
	buf_fmt(b, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%u\nino:\t%llu\n", (long long)f->pos,
		f->flags | (cloexec ? O_CLOEXEC : 0u), f->path.mnt ? f->path.mnt->id : 0,
		(unsigned long long)f->inode->ino);
	locks_show_fdinfo(f, b);
	if (file_ops(f)->show_fdinfo)
		file_ops(f)->show_fdinfo(f, b);
	file_put(f);
	return 0;
}

/* --- links -------------------------------------------------------------------------------------------- */

int64_t proc_path_readlink(const struct pseudo_ctx *c, struct path *p, char *buf, size_t cap)
{
	char *text = kmalloc(PATH_MAX_LEN);
	struct path root;

	if (!text) {
		path_put(p);
		return -ENOMEM;
	}
	int err = task_root_get(c->reader, &root);
	if (err) {
		kfree(text);
		path_put(p);
		return err;
	}
	char *s = path_text(p, &root, text, PATH_MAX_LEN);
	int64_t n = s ? (int64_t)min(strlen(s), cap) : -ENAMETOOLONG;
	if (n > 0)
		memcpy(buf, s, (size_t)n);
	path_put(&root);
	path_put(p);
	kfree(text);
	return n;
}

int proc_pid_fd_follow(const struct pseudo_ctx *c, struct path *out)
{
	bool cloexec;

	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	struct file *f = subject_file(c, c->pi->arg, &cloexec);
	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

int64_t proc_pid_fd_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	struct path p;
	int err = proc_pid_fd_follow(c, &p);

	return err ? err : proc_path_readlink(c, &p, buf, cap);
}

int proc_pid_exe_follow(const struct pseudo_ctx *c, struct path *out)
{
	struct mm *mm = proc_mm_get(c);
	int err = -ENOENT;

	if (mm && task_may_ptrace(c->reader, c->task, 1))
		err = -EACCES;
	else if (mm && mm->exe) {
		mutex_lock(&mm->lock);
		*out = mm->exe->path;
		path_get(out);
		mutex_unlock(&mm->lock);
		err = 0;
	}
	if (mm)
		mm_put(mm);
	return err;
}

int64_t proc_pid_exe_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	struct path p;
	int err = proc_pid_exe_follow(c, &p);

	return err ? err : proc_path_readlink(c, &p, buf, cap);
}

static int fs_path(const struct pseudo_ctx *c, bool root, struct path *out)
{
	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	return root ? task_root_get(c->task, out) : task_cwd_get(c->task, out);
}

int proc_pid_cwd_follow(const struct pseudo_ctx *c, struct path *out)
{
	return fs_path(c, false, out);
}

int proc_pid_root_follow(const struct pseudo_ctx *c, struct path *out)
{
	return fs_path(c, true, out);
}

int64_t proc_pid_cwd_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	struct path p;
	int err = fs_path(c, false, &p);

	return err ? err : proc_path_readlink(c, &p, buf, cap);
}

int64_t proc_pid_root_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	struct path p;
	int err = fs_path(c, true, &p);

	return err ? err : proc_path_readlink(c, &p, buf, cap);
}

/* ns/NAME: the entry's arg is the CLONE_NEW* flag. */
int64_t proc_pid_ns_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	char text[48];

	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	uint32_t inum = task_ns_inum(c->task, (int)c->e->arg, strstr(c->e->path, "_for_children") != NULL);
	size_t n = fmt_n(text, sizeof(text), "%s:[%u]", nsfile_type_name((int)c->e->arg), inum);
	n = min(n, cap);
	memcpy(buf, text, n);
	return (int64_t)n;
}

int proc_pid_ns_follow(const struct pseudo_ctx *c, struct path *out)
{
	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	return nsfile_path(c->task, (int)c->e->arg, strstr(c->e->path, "_for_children") != NULL, out);
}
