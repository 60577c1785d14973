/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host memory of this process, and memfds. All return -errno. */
#include <linux/memfd.h>
#include <sys/mman.h>
#include "host/h_syscall.h"
#include "lib/compiler.h"

static inline must_check int h_munmap(void *p, size_t n)
{
	return (int)h_sys2(SYS_munmap, p, n);
}
static inline must_check int h_mprotect(void *p, size_t n, int prot)
{
	return (int)h_sys3(SYS_mprotect, p, n, prot);
}
static inline must_check int h_madvise(void *p, size_t n, int advice)
{
	return (int)h_sys3(SYS_madvise, p, n, advice);
}
/* Gives back the memory of this program's text and constants until they are used again. */
void h_drop_text(void);
static inline must_check int h_msync(void *p, size_t n, int flags)
{
	return (int)h_sys3(SYS_msync, p, n, flags);
}
static inline must_check int h_mincore(void *p, size_t n, unsigned char *vec)
{
	return (int)h_sys3(SYS_mincore, p, n, vec);
}
static inline must_check int h_memfd_create(const char *name, unsigned flags)
{
	return (int)h_sys2(SYS_memfd_create, name, flags);
}

struct sysinfo;
static inline must_check int h_sysinfo(struct sysinfo *si)
{
	return (int)h_sys1(SYS_sysinfo, si);
}

/* The mapping comes back through *out, set only on success. */
static inline must_check int h_mmap(void **out, void *at, size_t n, int prot, int flags, int hfd,
				    int64_t off)
{
	int64_t r = h_sys6x(SYS_mmap, at, n, prot, flags, hfd, off);

	if (r < 0 && r > -4096)
		return (int)r;
	*out = (void *)r;
	return 0;
}

static inline must_check int h_mremap(void **out, void *old, size_t old_n, size_t n, int flags,
				      void *to)
{
	int64_t r = h_sys5(SYS_mremap, old, old_n, n, flags, to);

	if (r < 0 && r > -4096)
		return (int)r;
	*out = (void *)r;
	return 0;
}
