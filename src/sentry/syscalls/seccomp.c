/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/seccomp.h>
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/seccomp.h"

static int64_t action_avail(struct task *t, uint64_t uarg)
{
	uint32_t action;

	if (get_user(t, action, UADDR(uarg)))
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_USER_NOTIF:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

int64_t sys_seccomp(struct task *t, const struct sysargs *a)
{
	uint32_t flags = ARG_U32(1);

	switch (ARG_U32(0)) {
	case SECCOMP_SET_MODE_STRICT:
		if (flags || a->a[2])
			return -EINVAL;
		return seccomp_set_strict(t);
	case SECCOMP_SET_MODE_FILTER:
		return seccomp_set_filter(t, flags, a->a[2]);
	case SECCOMP_GET_ACTION_AVAIL:
		if (flags)
			return -EINVAL;
		return action_avail(t, a->a[2]);
	case SECCOMP_GET_NOTIF_SIZES: {
		const struct seccomp_notif_sizes sizes = {sizeof(struct seccomp_notif),
							  sizeof(struct seccomp_notif_resp),
							  sizeof(struct seccomp_data)};

		return flags ? -EINVAL : put_user(t, ARG_UADDR(2), sizes);
	}
	default:
		return -EINVAL;
	}
}
