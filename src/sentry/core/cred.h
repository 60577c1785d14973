/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Credentials: immutable once published, replaced as a whole (prepare, change, commit), as in
 * Linux. Ids are those of the initial user namespace of the sandbox (kuid); user namespaces map
 * them at the system call boundary.
 */
#include "lib/compiler.h"
#include "lib/refcount.h"

struct user_ns;

struct group_list {
	refcount_t ref;
	uint32_t n;
	uint32_t gid[];		/* sorted */
};

struct cred {
	refcount_t ref;
	uint32_t uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	uint32_t securebits;
	uint64_t cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
	struct group_list *groups;	/* owned, may be NULL = none */
	struct user_ns *user_ns;	/* owned */
};

/* All ids 0, no capabilities, no groups. */
struct cred *cred_create(struct user_ns *ns) must_check;
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
/* A private copy to change; publish with task_commit_creds. NULL: out of memory. */
struct cred *cred_copy(const struct cred *c) must_check;
bool cred_in_group(const struct cred *c, uint32_t gid);	/* fsgid or supplementary */
bool cred_in_egroup(const struct cred *c, uint32_t gid);	/* egid or supplementary */
/* Capability in the sandbox's initial user namespace. */
bool cred_capable(const struct cred *c, int cap);
/* Capability with regard to a user namespace: held in it, or owned by its creator (user_namespaces(7)). */
bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap);
