/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptor tables and file system contexts (root, cwd, umask). A table's slots are one
 * array that doubles; a reserved slot holds RESERVED until it is installed or abandoned. Files
 * are put after the lock is dropped, since the last put may do anything.
 */
#include <errno.h>
#include <sys/resource.h>
#include "sentry/core/kheap.h"
#include "sentry/task/task_i.h"
#include "sentry/vfs/told.h"

#define FILES_START 32
#define FILES_MAX (1u << 20)

/* No file, but a number that is taken. Aligned like nothing else in the heap. */
#define RESERVED ((struct file *)1)

static KCACHE(files_cache, struct files, 0);
static KCACHE(fsctx_cache, struct fsctx, 0);

static bool is_file(const struct file *f)
{
	return f && f != RESERVED;
}

static struct file *lookup(struct task *t, int fd, bool path_too)
{
	struct files *fs = t->files;
	struct file *f = NULL;

	if (fd < 0 || !fs)
		return NULL;
	mutex_lock(&fs->lock);
	if ((uint32_t)fd < fs->cap) {
		f = fs->slots[fd].file;
		if (!is_file(f) || (!path_too && (f->mode & FMODE_PATH)))
			f = NULL;
		else
			file_get(f);
	}
	mutex_unlock(&fs->lock);
	return f;
}

struct file *fd_get(struct task *t, int fd)
{
	return lookup(t, fd, false);
}

struct file *fd_get_any(struct task *t, int fd)
{
	return lookup(t, fd, true);
}

/* Room for number `fd`: the array is replaced outside the lock's hot path, inside the lock. */
static int grow_locked(struct files *fs, uint32_t fd)
{
	uint32_t cap = fs->cap ? fs->cap : FILES_START;
	struct fd_slot *n;

	if (fd < fs->cap)
		return 0;
	if (fd >= FILES_MAX)
		return -EMFILE;
	while (cap <= fd)
		cap *= 2;
	n = kmalloc_array(cap, sizeof(*n));
	if (!n)
		return -ENOMEM;
	if (fs->cap)
		__builtin_memcpy(n, fs->slots, fs->cap * sizeof(*n));
	kfree(fs->slots);
	fs->slots = n;
	fs->cap = cap;
	return 0;
}

int fd_reserve(struct task *t, unsigned from, bool cloexec)
{
	struct files *fs = t->files;
	uint64_t limit = min(task_rlimit(t, RLIMIT_NOFILE), (uint64_t)FILES_MAX);
	uint32_t fd;
	int rc;

	mutex_lock(&fs->lock);
	fd = max((uint32_t)from, from <= fs->next_fd ? fs->next_fd : 0u);
	while (fd < fs->cap && fs->slots[fd].file)
		fd++;
	if (fd >= limit) {
		mutex_unlock(&fs->lock);
		return -EMFILE;
	}
	rc = grow_locked(fs, fd);
	if (!rc) {
		fs->slots[fd] = (struct fd_slot){RESERVED, cloexec};
		if (from <= fs->next_fd)
			fs->next_fd = fd + 1;
		if (unlikely(fd + 1 >= limit))
			told_full();
		rc = (int)fd;
	}
	mutex_unlock(&fs->lock);
	return rc;
}

void fd_install(struct task *t, int fd, struct file *f)
{
	struct files *fs = t->files;

	mutex_lock(&fs->lock);
	BUG_ON((uint32_t)fd >= fs->cap || fs->slots[fd].file != RESERVED);
	fs->slots[fd].file = f;
	mutex_unlock(&fs->lock);
}

static void free_slot(struct files *fs, uint32_t fd)
{
	fs->slots[fd] = (struct fd_slot){0};
	if (fd < fs->next_fd)
		fs->next_fd = fd;
}

void fd_abandon(struct task *t, int fd)
{
	struct files *fs = t->files;

	mutex_lock(&fs->lock);
	if ((uint32_t)fd < fs->cap && fs->slots[fd].file == RESERVED)
		free_slot(fs, (uint32_t)fd);
	mutex_unlock(&fs->lock);
}

int fd_add(struct task *t, struct file *f, bool cloexec)
{
	int fd = fd_reserve(t, 0, cloexec);

	if (fd < 0)
		file_put(f);
	else
		fd_install(t, fd, f);
	return fd;
}

int fd_close(struct task *t, int fd)
{
	struct files *fs = t->files;
	struct file *f = NULL;

	if (fd < 0)
		return -EBADF;
	mutex_lock(&fs->lock);
	if ((uint32_t)fd < fs->cap && is_file(fs->slots[fd].file)) {
		f = fs->slots[fd].file;
		free_slot(fs, (uint32_t)fd);
	}
	mutex_unlock(&fs->lock);
	if (!f)
		return -EBADF;
	file_close(f, fs, t);
	return 0;
}

int fd_dup_to(struct task *t, int fd, int to, bool cloexec)
{
	struct files *fs = t->files;
	struct file *f, *old = NULL;
	int rc;

	if (to < 0 || (uint64_t)to >= task_rlimit(t, RLIMIT_NOFILE))
		return -EBADF;
	if (unlikely((uint64_t)to + 1 >= task_rlimit(t, RLIMIT_NOFILE)))
		told_full();
	f = fd_get_any(t, fd);
	if (!f)
		return -EBADF;
	mutex_lock(&fs->lock);
	rc = grow_locked(fs, (uint32_t)to);
	if (!rc && fs->slots[to].file == RESERVED)
		rc = -EBUSY;
	if (!rc) {
		old = fs->slots[to].file;
		fs->slots[to] = (struct fd_slot){f, cloexec};
		if ((uint32_t)to == fs->next_fd)
			fs->next_fd++;
	}
	mutex_unlock(&fs->lock);
	if (rc) {
		file_put(f);
		return rc;
	}
	if (old)
		file_close(old, fs, t);
	return to;
}

int fd_add_to(struct task *o, struct file *f, int to, bool cloexec)
{
	struct files *fs = task_files_get(o);
	uint64_t limit = min(task_rlimit(o, RLIMIT_NOFILE), (uint64_t)FILES_MAX);
	struct file *old = NULL;
	uint32_t fd = (uint32_t)to;
	int rc;

	if (!fs)
		return -ESRCH;
	mutex_lock(&fs->lock);
	for (fd = to < 0 ? 0 : fd; to < 0 && fd < fs->cap && fs->slots[fd].file; fd++)
		;
	rc = fd >= limit ? (to < 0 ? -EMFILE : -EBADF) : grow_locked(fs, fd);
	if (!rc && fs->slots[fd].file == RESERVED)
		rc = -EBUSY;
	if (!rc) {
		old = fs->slots[fd].file;
		fs->slots[fd] = (struct fd_slot){file_get(f), cloexec};
		if (unlikely(fd + 1 >= limit))
			told_full();
		rc = (int)fd;
	}
	mutex_unlock(&fs->lock);
	if (old)
		file_close(old, fs, o);
	files_put(NULL, fs);
	return rc;
}

int fd_flags(struct task *t, int fd, int set)
{
	struct files *fs = t->files;
	int rc = -EBADF;

	if (fd < 0)
		return rc;
	mutex_lock(&fs->lock);
	if ((uint32_t)fd < fs->cap && is_file(fs->slots[fd].file)) {
		rc = fs->slots[fd].cloexec;
		if (set >= 0)
			fs->slots[fd].cloexec = set;
	}
	mutex_unlock(&fs->lock);
	return rc;
}

int fd_next(struct files *fs, int from, struct file **out, bool *cloexec)
{
	int fd = -1;

	mutex_lock(&fs->lock);
	for (uint32_t i = from < 0 ? 0 : (uint32_t)from; i < fs->cap; i++) {
		if (!is_file(fs->slots[i].file))
			continue;
		if (out)
			*out = file_get(fs->slots[i].file);
		if (cloexec)
			*cloexec = fs->slots[i].cloexec;
		fd = (int)i;
		break;
	}
	mutex_unlock(&fs->lock);
	return fd;
}

int fd_close_range(struct task *t, unsigned first, unsigned last, bool only_mark)
{
	struct files *fs = t->files;

	for (unsigned fd = first;; fd++) {
		struct file *f = NULL;

		mutex_lock(&fs->lock);
		while (fd <= last && fd < fs->cap && !is_file(fs->slots[fd].file))
			fd++;
		if (fd > last || fd >= fs->cap) {
			mutex_unlock(&fs->lock);
			return 0;
		}
		if (only_mark) {
			fs->slots[fd].cloexec = true;
		} else {
			f = fs->slots[fd].file;
			free_slot(fs, fd);
		}
		mutex_unlock(&fs->lock);
		if (f)
			file_close(f, fs, t);
	}
}

struct files *files_create(void)
{
	struct files *fs = kc_alloc(&files_cache);

	if (!fs)
		return NULL;
	ref_init(&fs->ref, 1);
	mutex_init(&fs->lock, RANK_FILES);
	return fs;
}

struct files *files_get(struct files *f)
{
	ref_get(&f->ref);
	return f;
}

struct files *files_copy(struct files *old)
{
	struct files *fs = files_create();
	uint32_t used = 0, cap = FILES_START;

	if (!fs)
		return NULL;
	mutex_lock(&old->lock);
	for (uint32_t i = 0; i < old->cap; i++)
		if (is_file(old->slots[i].file))
			used = i + 1;
	while (cap < used)
		cap *= 2;
	fs->slots = kmalloc_array(cap, sizeof(*fs->slots));
	if (fs->slots) {
		fs->cap = cap;
		for (uint32_t i = 0; i < used; i++) {
			if (!is_file(old->slots[i].file))
				continue;
			fs->slots[i] = old->slots[i];
			file_get(fs->slots[i].file);
		}
		while (fs->next_fd < cap && fs->slots[fs->next_fd].file)
			fs->next_fd++;
	}
	mutex_unlock(&old->lock);
	if (!fs->slots) {
		kc_free(&files_cache, fs);
		return NULL;
	}
	return fs;
}

void files_put(struct task *t, struct files *fs)
{
	if (!fs || !ref_put(&fs->ref))
		return;
	for (uint32_t i = 0; i < fs->cap; i++)
		if (is_file(fs->slots[i].file))
			file_close(fs->slots[i].file, fs, t);
	kfree(fs->slots);
	kc_free(&files_cache, fs);
}

void files_close_on_exec(struct task *t)
{
	struct files *fs = t->files;

	for (uint32_t i = 0; i < fs->cap; i++) {
		struct file *f = NULL;

		mutex_lock(&fs->lock);
		if (i < fs->cap && is_file(fs->slots[i].file) && fs->slots[i].cloexec) {
			f = fs->slots[i].file;
			free_slot(fs, i);
		}
		mutex_unlock(&fs->lock);
		if (f)
			file_close(f, fs, t);
	}
}

/* --- root, working directory, umask ------------------------------------------------------- */

struct fsctx *fsctx_create(const struct path *root, const struct path *cwd, uint32_t umask)
{
	struct fsctx *fs = kc_alloc(&fsctx_cache);

	if (!fs)
		return NULL;
	ref_init(&fs->ref, 1);
	mutex_init(&fs->lock, RANK_FILES);
	fs->umask = umask;
	fs->root = *root;
	fs->cwd = *cwd;
	path_get(&fs->root);
	path_get(&fs->cwd);
	return fs;
}

struct fsctx *fsctx_get(struct fsctx *fs)
{
	ref_get(&fs->ref);
	return fs;
}

struct fsctx *fsctx_copy(struct fsctx *old)
{
	struct path root, cwd;
	struct fsctx *fs;

	mutex_lock(&old->lock);
	root = old->root;
	cwd = old->cwd;
	path_get(&root);
	path_get(&cwd);
	mutex_unlock(&old->lock);
	fs = fsctx_create(&root, &cwd, old->umask);
	path_put(&root);
	path_put(&cwd);
	return fs;
}

void fsctx_put(struct fsctx *fs)
{
	if (!fs || !ref_put(&fs->ref))
		return;
	path_put(&fs->root);
	path_put(&fs->cwd);
	kc_free(&fsctx_cache, fs);
}

static void set_path(struct fsctx *fs, struct path *slot, const struct path *p)
{
	struct path old;

	path_get(p);
	mutex_lock(&fs->lock);
	old = *slot;
	*slot = *p;
	mutex_unlock(&fs->lock);
	path_put(&old);
}

void fsctx_set_cwd(struct fsctx *fs, const struct path *p)
{
	set_path(fs, &fs->cwd, p);
}

void fsctx_set_root(struct fsctx *fs, const struct path *p)
{
	told_change_begin();	/* others may share it */
	set_path(fs, &fs->root, p);
	told_change_end();
}

void fsctx_paths(struct fsctx *fs, struct path *root, struct path *cwd)
{
	mutex_lock(&fs->lock);
	if (root) {
		*root = fs->root;
		path_get(root);
	}
	if (cwd) {
		*cwd = fs->cwd;
		path_get(cwd);
	}
	mutex_unlock(&fs->lock);
}

int task_root_get(struct task *t, struct path *out)
{
	struct fsctx *fs = task_fs_get(t);

	if (!fs)
		return -ENOENT;
	fsctx_paths(fs, out, NULL);
	fsctx_put(fs);
	return 0;
}

int task_cwd_get(struct task *t, struct path *out)
{
	struct fsctx *fs = task_fs_get(t);

	if (!fs)
		return -ENOENT;
	fsctx_paths(fs, NULL, out);
	fsctx_put(fs);
	return 0;
}

/* --- pivot_root ------------------------------------------------------------------------------ */

/* How many paths of fs were `from`: they are `to` now. */
static unsigned move_paths(struct fsctx *fs, const struct path *from, const struct path *to)
{
	struct path *which[2] = {&fs->root, &fs->cwd};
	unsigned n = 0;

	mutex_lock(&fs->lock);
	for (int i = 0; i < 2; i++) {
		if (which[i]->mnt == from->mnt && which[i]->dentry == from->dentry) {
			*which[i] = *to;
			path_get(to);
			n++;
		}
	}
	mutex_unlock(&fs->lock);
	return n;
}

void task_move_roots(const struct path *from, const struct path *to)
{
	struct process *p;
	struct task *t;
	unsigned n = 0;

	mutex_lock(&tasks_lock);
	list_for_each(p, &task_root->processes, all_link) {
		list_for_each(t, &p->threads, thread_link) {
			if (t->fs)
				n += move_paths(t->fs, from, to);
		}
	}
	mutex_unlock(&tasks_lock);
	while (n--) {
		struct path old = *from;
		path_put(&old);
	}
}
