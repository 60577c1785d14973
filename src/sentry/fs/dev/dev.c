/* SPDX-License-Identifier: Apache-2.0 */
/* null, zero, full, random, urandom (mem(4), random(4)); tty and ptmx live in tty/. */
#include "sentry/fs/dev/dev.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <linux/random.h>

#include "host/proc.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/task.h"

static int64_t null_read(struct file *f, struct uio *u, int64_t *pos)
{
	(void)f, (void)u, (void)pos;
	return 0;
}

/* The bytes are not looked at, as in Linux: even a bad pointer is taken. */
static int64_t null_write(struct file *f, struct uio *u, int64_t *pos)
{
	(void)f, (void)pos;
	int64_t n = (int64_t)u->left;
	u->left = 0;
	return n;
}

static int64_t null_llseek(struct file *f, int64_t off, int whence)
{
	(void)off, (void)whence;
	f->pos = 0;
	return 0;
}

static int64_t zero_read(struct file *f, struct uio *u, int64_t *pos)
{
	(void)f, (void)pos;
	return uio_put_zero(u, u->left);
}

static int zero_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags, struct file_map *out)
{
	(void)f, (void)off, (void)len, (void)prot, (void)flags;
	*out = (struct file_map){.anon = true};
	return 0;
}

static int64_t full_write(struct file *f, struct uio *u, int64_t *pos)
{
	(void)f, (void)u, (void)pos;
	return -ENOSPC;
}

static int64_t random_read(struct file *f, struct uio *u, int64_t *pos)
{
	uint8_t block[256];
	int64_t done = 0;

	(void)f, (void)pos;
	while (u->left) {
		size_t n = min(sizeof(block), (size_t)u->left);
		int64_t r = h_getrandom(block, n, 0);
		if (r > 0)
			r = uio_put(u, block, (size_t)r);
		if (r <= 0)
			return done ? done : r;
		done += r;
		if (current && signal_pending(current))
			break;
	}
	return done;
}

/* random(4): the pool is always full; only its fill level can be asked. */
static int64_t random_ioctl(struct file *f, struct task *t, uint32_t cmd, uint64_t arg)
{
	const int32_t bits = 256;

	(void)f;
	if (cmd == (uint32_t)RNDGETENTCNT)
		return put_user(t, UADDR(arg), bits);
	if (cmd == (uint32_t)RNDADDTOENTCNT || cmd == (uint32_t)RNDADDENTROPY || cmd == (uint32_t)RNDZAPENTCNT ||
	    cmd == (uint32_t)RNDCLEARPOOL || cmd == (uint32_t)RNDRESEEDCRNG)
		return -EPERM;
	return -EINVAL;
}

const struct file_ops dev_null_file_ops = {
	.read = null_read, .write = null_write, .llseek = null_llseek,
};
const struct file_ops dev_zero_file_ops = {
	.read = zero_read, .write = null_write, .llseek = null_llseek, .mmap = zero_mmap,
};
const struct file_ops dev_full_file_ops = {
	.read = zero_read, .write = full_write, .llseek = null_llseek,
};
const struct file_ops dev_random_file_ops = {
	.read = random_read, .write = null_write, .llseek = null_llseek, .ioctl = random_ioctl,
};

/* --- numbers and nodes ---------------------------------------------------------------------------- */

#define RDEV(maj, min) ((uint64_t)(maj) << 8 | (min))	/* both below 256 here */

static const struct {
	const char *name;		/* NULL: no node of its own in /dev */
	uint16_t maj, min;
	uint16_t fops;
	uint32_t mode;
} devices[] = {
	{"null", 1, 3, FOPS_dev_null, 0666},
	{"zero", 1, 5, FOPS_dev_zero, 0666},
	{"full", 1, 7, FOPS_dev_full, 0666},
	{"random", 1, 8, FOPS_dev_random, 0666},
	{"urandom", 1, 9, FOPS_dev_random, 0666},
	{"tty", 5, 0, FOPS_tty_self, 0666},
	{"console", 5, 1, FOPS_tty_console, 0620},
	{NULL, 5, 2, FOPS_ptmx, 0666},
};

static int chrdev_fops(uint64_t rdev, enum file_ops_id *out)
{
	for (unsigned i = 0; i < array_size(devices); i++)
		if (gnu_dev_major(rdev) == devices[i].maj && gnu_dev_minor(rdev) == devices[i].min) {
			*out = (enum file_ops_id)devices[i].fops;
			return 0;
		}
	if (gnu_dev_major(rdev) == 136) {	/* pts */
		*out = FOPS_tty;
		return 0;
	}
	return -ENXIO;
}

void dev_init(void)
{
	vfs_chrdev_fops = chrdev_fops;
}

int dev_populate(const struct path *where, const struct cred *cred)
{
	static const struct { const char *name, *target; } links[] = {
		{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
	};
	struct inode *dir = where->dentry->inode, *made;
	int err = 0;

	mutex_lock(&dir->lock);
	for (unsigned i = 0; i < array_size(devices) && !err; i++) {
		if (!devices[i].name || !strcmp(devices[i].name, "console"))
			continue;
		err = inode_ops(dir)->create(dir, devices[i].name, strlen(devices[i].name),
					     S_IFCHR | devices[i].mode,
					     RDEV(devices[i].maj, devices[i].min), cred, &made);
		if (!err)
			inode_put(made);
	}
	for (unsigned i = 0; i < array_size(links) && !err; i++) {
		err = inode_ops(dir)->symlink(dir, links[i].name, strlen(links[i].name), links[i].target,
					      cred, &made);
		if (!err)
			inode_put(made);
	}
	mutex_unlock(&dir->lock);
	return err;
}
