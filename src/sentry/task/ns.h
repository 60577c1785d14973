/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Namespaces other than pid (task.h) and mount (vfs/mount.h). inum is what /proc/PID/ns shows. */
#include "lib/refcount.h"
#include "lib/lock.h"
#include "sentry/core/cred.h"
#include "sentry/task/task.h"

#define UTS_LEN 65

struct uts_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;	/* owned */
	struct mutex lock;		/* RANK_OBJECT */
	char nodename[UTS_LEN], domainname[UTS_LEN];
};

#define ID_MAP_MAX 340
struct id_extent {
	uint32_t first, lower_first, count;
};
struct id_map {
	uint32_t n;			/* 0: not written yet, everything is overflowid */
	struct id_extent *e;		/* owned; sorted by first */
};

struct user_ns {
	refcount_t ref;
	uint32_t inum, level;
	struct user_ns *parent;		/* owned; NULL for the initial one */
	uint32_t owner, group;		/* kuid, kgid of the creator */
	struct mutex lock;		/* RANK_OBJECT: the maps */
	struct id_map uid_map, gid_map;
	bool setgroups_allowed;
};

struct time_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
	int64_t mono_offset, boot_offset;	/* ns */
	bool frozen;			/* a task runs in it: offsets are fixed */
};

struct cgroup_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
};

/* ipc_ns: sysv/sysv.h; net_ns: net/net.h */

extern struct user_ns *init_user_ns;	/* in kheap, made at boot */

#define OVERFLOW_ID 65534u
/* Kernel id <-> id as seen in ns; OVERFLOW_ID (to) or (uint32_t)-1 (from) when unmapped. */
uint32_t uid_to_ns(const struct user_ns *ns, uint32_t kuid);
uint32_t gid_to_ns(const struct user_ns *ns, uint32_t kgid);
uint32_t uid_from_ns(const struct user_ns *ns, uint32_t uid);
uint32_t gid_from_ns(const struct user_ns *ns, uint32_t gid);

/* Writes a map from the text of /proc/PID/uid_map: all rules of user_namespaces(7). 0 or -errno. */
must_check int user_ns_write_map(struct task *writer, struct user_ns *ns, bool gid, const char *text);
uint32_t ns_new_inum(void);
struct user_ns *user_ns_get(struct user_ns *ns);
void user_ns_put(struct user_ns *ns);
struct nsproxy *nsproxy_get(struct nsproxy *n);
void nsproxy_put(struct nsproxy *n);
