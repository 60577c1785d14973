/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memfd_create: a tmpfs file without a name, and seals. Once the file is mapped the seals are
 * those of the host's memfd too: the host refuses F_SEAL_WRITE while a cell has it mapped writable.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/stat.h>
#include "host/file.h"
#include "lib/fmt.h"
#include "sentry/fs/tmpfs/tmpfs_int.h"
#include "sentry/task/task.h"

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

int tmpfs_memfd_create(const char *name, unsigned mfd_flags, const struct cred *cred, struct file **out)
{
	static struct super *sb;	/* all memfds; made by the first */
	static struct mutex lock = MUTEX_INIT(RANK_INODE);
	char text[NAME_MAX_LEN + 1];
	struct tnode *n;
	int r = 0;

	mutex_lock(&lock);
	if (!sb) {
		struct tmpfs_opts o = {.mode = 0700};
		r = tmpfs_super_create(&o, &sb);
	}
	mutex_unlock(&lock);
	if (!r)
		r = tnode_create(sb, NULL, S_IFREG | (mfd_flags & MFD_NOEXEC_SEAL ? 0666 : 0777), 0, cred, &n);
	if (r)
		return r == -ENOSPC ? -ENOMEM : r;
	n->inode.nlink = 0;
	n->seals = mfd_flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) ? 0 : F_SEAL_SEAL;
	if (mfd_flags & MFD_NOEXEC_SEAL)
		n->seals |= F_SEAL_EXEC;
	fmt_n(text, sizeof(text), "/memfd:%s (deleted)", name);
	r = file_anon(text, &n->inode, FOPS_tmpfs_reg, FMODE_READ | FMODE_WRITE, O_RDWR | O_LARGEFILE, cred,
		      out);
	if (!r)
		r = tmpfs_open(&n->inode, *out);
	return r;
}

static int add_seals(struct file *f, struct tnode *n, uint32_t seals)
{
	if (!(f->mode & FMODE_WRITE))
		return -EPERM;
	if (seals & ~(uint32_t)ALL_SEALS)
		return -EINVAL;
	if (n->seals & F_SEAL_SEAL)
		return -EPERM;
	if ((seals & F_SEAL_EXEC) && (n->inode.mode & 0111))
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	if (!hh_is_none(n->memfd)) {
		uint32_t host = seals & ~(uint32_t)(F_SEAL_SEAL | F_SEAL_EXEC);
		int r = host ? h_fcntl(hh_fd(n->memfd), F_ADD_SEALS, host) : 0;
		if (r)
			return r == -EBUSY ? r : -EIO;
	}
	n->seals |= seals;
	return 0;
}

int64_t tmpfs_fcntl(struct file *f, struct task *t, int cmd, uint64_t arg)
{
	struct tnode *n = to_tnode(f->inode);
	int64_t r = -EINVAL;

	mutex_lock(&n->inode.lock);
	if (cmd == F_GET_SEALS)
		r = n->seals;
	else if (cmd == F_ADD_SEALS)
		r = add_seals(f, n, (uint32_t)arg);
	mutex_unlock(&n->inode.lock);
	return r;
}
