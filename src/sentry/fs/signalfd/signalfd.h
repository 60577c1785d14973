/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "abi/signal.h"
#include "sentry/vfs/vfs.h"

/* flags: SFD_NONBLOCK */
must_check int signalfd_new(l_sigset mask, unsigned flags, struct file **out);
/* -EINVAL: not a signalfd */
must_check int signalfd_set_mask(struct file *f, l_sigset mask);
