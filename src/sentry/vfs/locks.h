/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Advisory locks: flock, POSIX record locks, OFD locks. */
#include "sentry/vfs/vfs.h"

struct l_flock {		/* struct flock64 of x86-64 */
	int16_t type, whence;
	int32_t pad0;
	int64_t start, len;
	int32_t pid, pad1;
};

enum lock_kind { LOCK_KIND_FLOCK, LOCK_KIND_POSIX, LOCK_KIND_OFD };

/* op: LOCK_SH, LOCK_EX, LOCK_UN; -EWOULDBLOCK, -ERESTARTSYS. */
must_check int locks_flock(struct task *t, struct file *f, int op, bool nonblock);
must_check int locks_set(struct task *t, struct file *f, const struct l_flock *l, bool ofd, bool wait);
/* F_GETLK: fills *l with the first conflicting lock, or type F_UNLCK. */
must_check int locks_get(struct task *t, struct file *f, struct l_flock *l, bool ofd);
void locks_remove_posix(struct file *f, struct files *owner);
void locks_release_file(struct file *f);
