/* SPDX-License-Identifier: Apache-2.0 */
/* pipe, pipe2 */
#include <errno.h>
#include <fcntl.h>
#include "sentry/fs/pipe/pipe.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fdpair.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/task.h"

/* Numbers are reserved, told to the guest, and only then valid. Consumes both files. */
int fd_pair_out(struct task *t, uaddr_t out, struct file *a, struct file *b, bool cloexec)
{
	int fds[2], r;

	fds[0] = fd_reserve(t, 0, cloexec);
	r = fds[0];
	if (r < 0)
		goto put;
	fds[1] = fd_reserve(t, 0, cloexec);
	r = fds[1];
	if (r < 0)
		goto drop0;
	r = copy_out(t, out, fds, sizeof(fds));
	if (r)
		goto drop1;
	fd_install(t, fds[0], a);
	fd_install(t, fds[1], b);
	return 0;
drop1:
	fd_abandon(t, fds[1]);
drop0:
	fd_abandon(t, fds[0]);
put:
	file_put(a);
	file_put(b);
	return r;
}

static int64_t do_pipe(struct task *t, uaddr_t out, uint32_t flags)
{
	struct file *rd, *wr;
	int r;

	if (flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	r = pipe_create(flags, &rd, &wr);
	return r ? r : fd_pair_out(t, out, rd, wr, flags & O_CLOEXEC);
}

int64_t sys_pipe(struct task *t, const struct sysargs *a)
{
	return do_pipe(t, ARG_UADDR(0), 0);
}

int64_t sys_pipe2(struct task *t, const struct sysargs *a)
{
	return do_pipe(t, ARG_UADDR(0), ARG_U32(1));
}
