/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/objects.h"
#include "sentry/fs/aio/aio.h"
#include "sentry/fs/epoll/epoll.h"
#include "sentry/fs/fasync/fasync.h"
#include "sentry/fs/inotify/inotify.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/timerfd/timerfd.h"
#include "sentry/vfs/vfs.h"

int fs_objects_init(void)
{
	int r;

	aio_start();
	epoll_start();
	inotify_start();
	timerfd_start();
	vfs_fifo_fops = FOPS_pipe;
	r = fasync_start();
	return r ? r : pipe_start();
}
