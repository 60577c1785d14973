/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * POSIX access control lists (acl(5), POSIX.1e draft 17) of nodes whose superblock allows them:
 * tmpfs and overlay. An inode has none, or lists that say more than its mode bits; the entries that
 * the mode bits repeat follow a chmod.
 */
#include "sentry/vfs/vfs.h"

struct user_ns;

/* Is it one of the two attributes that hold lists? */
bool acl_is_name(const char *name, bool *def);
/* The list as an attribute, with the ids of ns: bytes, -ENODATA, -ERANGE, -EOPNOTSUPP. cap 0 asks. */
must_check int64_t acl_get(struct inode *i, bool def, const struct user_ns *ns, void *buf, size_t cap);
/* Checked and set; n 0 removes it. */
must_check int acl_set(const struct path *p, bool def, const void *buf, size_t n, const struct cred *cred);
/* The names of those it has, each with its NUL; the buffer is large enough for two. */
size_t acl_list(struct inode *i, char *buf);

/* --- for vfs/ and file systems --- */
/* A new node in dir gets what dir's default list says. -ENOMEM */
must_check int acl_inherit(struct inode *i, const struct inode *dir);
/* The umask counts only where no default list does. */
uint32_t acl_umask(const struct inode *dir, uint32_t umask);
/* fsuid is not the owner: 0, -EACCES, or -EAGAIN when the mode bits decide. */
int acl_check(struct inode *i, unsigned want, const struct cred *cred);
void acl_chmod(struct inode *i);	/* i->mode was changed */
void acl_free(struct inode *i);
