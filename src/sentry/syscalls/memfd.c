/* SPDX-License-Identifier: Apache-2.0 */
/* memfd_create */
#include <errno.h>
#include <linux/memfd.h>
#include "lib/fmt.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"

#define MEMFD_NAME_MAX 249u	/* NAME_MAX less "memfd:" */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 0x10U
#endif

int64_t sys_memfd_create(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1);
	char name[MEMFD_NAME_MAX + 1];
	struct file *f;
	int64_t n;
	int r;

	if (flags & MFD_HUGETLB)
		return -EINVAL;		/* no huge page pools */
	if (flags & ~(uint32_t)(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	if ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL))
		return -EINVAL;
	n = copy_in_str(t, name, ARG_UADDR(0), sizeof(name));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	r = tmpfs_memfd_create(name, flags, t->cred, &f);
	return r ? r : fd_add(t, f, flags & MFD_CLOEXEC);
}
