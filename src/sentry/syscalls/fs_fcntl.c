/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl, flock */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/file.h>
#include "sentry/fs/fasync/fasync.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/vfs/locks.h"

#define SETFL_MASK (O_APPEND | O_NONBLOCK | O_NDELAY | O_DIRECT | O_NOATIME | FASYNC)
#define F_DUPFD_QUERY_ 1027
#define F_CREATED_QUERY_ 1028
#define F_OWNER_TID_ 0
#define F_OWNER_PID_ 1
#define F_OWNER_PGRP_ 2

struct l_owner_ex {
	int32_t type, pid;
};

static int64_t dup_from(struct task *t, struct file *f, uint64_t from, bool cloexec)
{
	if (from >= task_rlimit(t, 7 /* RLIMIT_NOFILE */))
		return -EINVAL;
	int fd = fd_reserve(t, (unsigned)from, cloexec);
	if (fd >= 0)
		fd_install(t, fd, file_get(f));
	return fd;
}

static int64_t set_flags(struct task *t, struct file *f, int fd, uint32_t arg)
{
	uint32_t old = READ_ONCE(f->flags), set = arg & SETFL_MASK;

	if ((set & O_NOATIME) && !(old & O_NOATIME) && !inode_owner_or_capable(f->inode, t->cred))
		return -EPERM;
	if (((old ^ set) & O_APPEND) && (READ_ONCE(f->inode->attr) & FS_APPEND_FL))
		return -EPERM;
	if (file_ops(f)->check_flags) {
		int r = file_ops(f)->check_flags(f, (int)set);
		if (r)
			return r;
	}
	while (!__atomic_compare_exchange_n(&f->flags, &old, (old & ~(uint32_t)SETFL_MASK) | set, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return (old ^ set) & FASYNC ? fasync_set(f, fd, set & FASYNC) : 0;
}

static int64_t lock_cmd(struct task *t, struct file *f, int cmd, uaddr_t u)
{
	struct l_flock l;
	bool ofd = cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW || cmd == F_OFD_GETLK;
	int r = copy_in(t, &l, u, sizeof(l));

	if (r)
		return r;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		r = locks_get(t, f, &l, ofd);
		return r ? r : copy_out(t, u, &l, sizeof(l));
	}
	return locks_set(t, f, &l, ofd, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
}

static void set_owner(struct task *t, struct file *f, int type, int pid)
{
	f->owner.type = type;
	f->owner.pid = pid;
	f->owner.uid = t->cred->uid;
	f->owner.euid = t->cred->euid;
}

static int64_t owner_cmd(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	struct l_owner_ex ex;
	int pid = (int)(uint32_t)arg, r;

	switch (cmd) {
	case F_SETOWN:
		if (pid == INT32_MIN)
			return -EINVAL;
		set_owner(t, f, pid < 0 ? F_OWNER_PGRP_ : F_OWNER_PID_, pid < 0 ? -pid : pid);
		return 0;
	case F_GETOWN:
		return f->owner.type == F_OWNER_PGRP_ ? -f->owner.pid : f->owner.pid;
	case F_SETOWN_EX:
		r = copy_in(t, &ex, UADDR(arg), sizeof(ex));
		if (r)
			return r;
		if (ex.type < 0 || ex.type > F_OWNER_PGRP_)
			return -EINVAL;
		set_owner(t, f, ex.type, ex.pid);
		return 0;
	case F_GETOWN_EX:
		ex.type = f->owner.type;
		ex.pid = f->owner.pid;
		return copy_out(t, UADDR(arg), &ex, sizeof(ex));
	case F_SETSIG:
		if (arg > L_NSIG)
			return -EINVAL;
		f->owner.sig = (int32_t)arg;
		return 0;
	default:
		return f->owner.sig;
	}
}

static int64_t lease_cmd(struct file *f, int cmd, uint64_t arg)
{
	if (cmd == F_GETLEASE)
		return F_UNLCK;
	if ((f->inode->mode & 0170000) != 0100000)
		return -EINVAL;
	return arg == F_UNLCK ? -EAGAIN : arg == F_RDLCK || arg == F_WRLCK ? -EAGAIN : -EINVAL;
}

static int64_t other_cmd(struct task *t, struct file *f, int cmd, uint64_t arg)
{
	uint64_t hint = 0;

	switch (cmd) {
	case F_SETOWN: case F_GETOWN: case F_SETOWN_EX: case F_GETOWN_EX: case F_SETSIG: case F_GETSIG:
		return owner_cmd(t, f, cmd, arg);
	case F_SETLEASE: case F_GETLEASE:
		return lease_cmd(f, cmd, arg);
	case F_NOTIFY:
		return (f->inode->mode & 0170000) == 0040000 ? -EINVAL : -ENOTDIR;
	case F_GET_RW_HINT: case F_GET_FILE_RW_HINT:
		return put_user(t, UADDR(arg), hint);
	case F_SET_RW_HINT: case F_SET_FILE_RW_HINT: {
		int r = get_user(t, hint, UADDR(arg));
		return r ? r : hint > 5 ? -EINVAL : 0;
	}
	case F_DUPFD_QUERY_: {
		struct file *o = fd_get_any(t, (int)arg);
		if (!o)
			return -EBADF;
		bool same = o == f;
		file_put(o);
		return same;
	}
	default:
		return file_ops(f)->fcntl ? file_ops(f)->fcntl(f, t, cmd, arg) : -EINVAL;
	}
}

static int64_t file_cmd(struct task *t, struct file *f, int fd, int cmd, uint64_t arg)
{
	switch (cmd) {
	case F_DUPFD:
		return dup_from(t, f, arg, false);
	case F_DUPFD_CLOEXEC:
		return dup_from(t, f, arg, true);
	case F_GETFD:
		return fd_flags(t, fd, -1);
	case F_SETFD: {
		int r = fd_flags(t, fd, arg & FD_CLOEXEC);
		return r < 0 ? r : 0;
	}
	case F_GETFL:
		return READ_ONCE(f->flags);
	}
	if (f->mode & FMODE_PATH)
		return cmd == F_DUPFD_QUERY_ ? other_cmd(t, f, cmd, arg) : -EBADF;
	switch (cmd) {
	case F_SETFL:
		return set_flags(t, f, fd, (uint32_t)arg);
	case F_GETLK: case F_SETLK: case F_SETLKW:
	case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW:
		return lock_cmd(t, f, cmd, UADDR(arg));
	default:
		return other_cmd(t, f, cmd, arg);
	}
}

int64_t sys_fcntl(struct task *t, const struct sysargs *a)
{
	struct file *f = fd_get_any(t, ARG_INT(0));

	if (!f)
		return -EBADF;
	int64_t r = file_cmd(t, f, ARG_INT(0), ARG_INT(1), a->a[2]);
	file_put(f);
	return r;
}

int64_t sys_flock(struct task *t, const struct sysargs *a)
{
	int op = ARG_INT(1) & ~LOCK_NB;

	if (op != LOCK_SH && op != LOCK_EX && op != LOCK_UN)
		return -EINVAL;
	struct file *f = fd_get(t, ARG_INT(0));
	if (!f)
		return -EBADF;
	int r = op != LOCK_UN && !(f->mode & (FMODE_READ | FMODE_WRITE)) ? -EBADF
		: locks_flock(t, f, op, ARG_INT(1) & LOCK_NB);
	file_put(f);
	return r;
}
