/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files on host descriptors that the launcher donated: the standard streams. */
#include "sentry/vfs/vfs.h"

/* Consumes hfd, also on failure. flags: O_ACCMODE and status flags the guest shall see; the access
 * mode is narrowed to that of the host description. */
must_check int hostfd_create(int hfd, unsigned flags, struct file **out);
