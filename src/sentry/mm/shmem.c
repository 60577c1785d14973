/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of anonymous shared memory and System V segments: one memfd each (I1), known to the
 * kernel as a file that can only be mapped.
 */
#include <errno.h>
#include <sys/stat.h>
#include "host/file.h"
#include "host/mem.h"
#include "sentry/core/hhandle.h"
#include "sentry/mm/mm_int.h"

struct shmem {
	hh_t h;
	uint64_t size;
};

static KCACHE(shmem_cache, struct shmem, 0);

static int shmem_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags,
		      struct file_map *out)
{
	struct shmem *s = f->priv;
	uint64_t end;

	if (__builtin_add_overflow(off, len, &end))
		return -EOVERFLOW;
	out->h = s->h;
	out->off = off;
	out->anon = false;
	return 0;
}

static void shmem_release(struct file *f)
{
	struct shmem *s = steal(f->priv);

	if (s)
		hh_close(s->h);
	kc_free(&shmem_cache, s);
}

/* MADV_REMOVE. */
static int shmem_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct shmem *s = f->priv;
	int hfd = hh_fd(s->h);
	int r = hfd < 0 ? hfd : h_fallocate(hfd, mode, off, len);

	return r ? -EIO : 0;
}

extern const struct file_ops shmem_file_ops;
const struct file_ops shmem_file_ops = {
	.mmap = shmem_mmap,
	.fallocate = shmem_fallocate,
	.release = shmem_release,
};

static struct shmem *shmem_new(uint64_t size)
{
	struct shmem *s = kc_alloc(&shmem_cache);
	int hfd;

	if (!s)
		return NULL;
	s->size = size;
	hfd = h_memfd_create("brig-shmem", MFD_CLOEXEC);
	if (hfd >= 0 && h_ftruncate(hfd, (int64_t)size)) {
		h_close(hfd);
		hfd = -1;
	}
	if (hfd < 0 || hh_add(hfd, &s->h)) {
		kc_free(&shmem_cache, s);
		return NULL;
	}
	return s;
}

int shmem_create(struct task *t, const char *name, uint64_t size, struct file **out)
{
	struct inode *inode;
	struct shmem *s;
	struct file *f;
	int r;

	if (size > (uint64_t)INT64_MAX)
		return -ENOMEM;
	r = inode_anon(S_IFREG | 0777, t->cred, &inode);
	if (r)
		return r;
	inode->size = size;
	s = shmem_new(size);
	if (!s) {
		inode_put(inode);
		return -ENOMEM;
	}
	r = file_anon(name, inode, FOPS_shmem, FMODE_READ | FMODE_WRITE, 2 /* O_RDWR */, t->cred, &f);
	if (r) {
		hh_close(s->h);
		kc_free(&shmem_cache, s);
		return r;
	}
	f->priv = s;
	*out = f;
	return 0;
}

bool shmem_is(const struct file *f)
{
	return f->fops == FOPS_shmem;
}
