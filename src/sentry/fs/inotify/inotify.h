/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/vfs/vfs.h"

void inotify_start(void);
must_check int inotify_new(unsigned flags, struct file **out);
/* -EINVAL: not an inotify file */
must_check int inotify_add(struct file *f, struct inode *i, uint32_t mask);	/* watch descriptor */
must_check int inotify_rm(struct file *f, int wd);
