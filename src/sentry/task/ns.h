/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Namespace objects and the sandbox-wide root of the task tree. Each namespace has an inode
 * number (inum) for /proc/PID/ns, an owner user namespace and a reference count. Mount namespaces
 * are the VFS's own.
 */
#include <linux/capability.h>
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/refcount.h"
#include "sentry/core/user_ns.h"
#include "sentry/task/task.h"

#define UTS_LEN 65	/* with its NUL */
#define CAP_FULL ((1ull << (CAP_LAST_CAP + 1)) - 1)

struct uts_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
	struct mutex lock;		/* RANK_PIDMAP */
	char nodename[UTS_LEN], domainname[UTS_LEN];
};

struct ipc_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
	void *sysv, *mq;		/* owned by sysv/ and fs/mqueue, freed by ipc_ns_fini */
};

struct net_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
	void *net;			/* owned by net/ */
};

struct time_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
	int64_t mono_offset, boot_offset;	/* ns */
	bool frozen;			/* a task lives in it: offsets are fixed */
};

struct cgroup_ns {
	refcount_t ref;
	uint32_t inum;
	struct user_ns *user_ns;
};

/* Counts by real user id, for RLIMIT_NPROC and RLIMIT_SIGPENDING. */
struct ucount {
	struct list hash_link;
	uint32_t uid, nproc, sigpending;
};

#define UCOUNT_BUCKETS 64
#define PID_BUCKETS 1024

#define CORE_PATTERN_MAX 128	/* with its NUL */

struct task_root {
	struct list processes;		/* T; struct process.all_link */
	uint32_t nr_tasks, nr_processes;	/* a */
	uint32_t max_tasks;
	struct user_ns *user_ns;
	struct pid_ns *pid_ns;
	struct nsproxy *ns;
	struct process *main_proc;	/* the first program; NULL when it is gone */
	struct process *reaper;
	uint32_t init_done;		/* futex word: 1 when everything is over */
	int32_t init_status;
	uint64_t rng[4];		/* layout seeds and AT_RANDOM; a */
	uint32_t next_inum;		/* a */
	char core_pattern[CORE_PATTERN_MAX];	/* T: kernel.core_pattern */
	uint32_t core_uses_pid;		/* a */
	uint64_t usage_summed;		/* T: when sys_usage_sum looked last */
	uint64_t gone_utime, gone_stime, gone_switches;	/* T: of processes that are gone */
	uint64_t forks_total;		/* a: /proc/stat */
	struct mutex pidmap_lock;	/* RANK_PIDMAP */
	struct list pid_hash[PID_BUCKETS];
	struct list ucounts[UCOUNT_BUCKETS];
};
extern struct task_root *task_root;

/* pid.c */
must_check int pid_alloc(struct pid_ns *ns, const int32_t *set, uint32_t nset, struct pid **out);
void pid_free_number(struct pid *p);		/* the last task has left it */
struct pid *pid_lookup(struct pid_ns *ns, int32_t nr);	/* a reference, or NULL */
/* T held for the following. */
void pid_attach(struct task *t, enum pid_type type, struct pid *p);
void pid_detach(struct task *t, enum pid_type type, struct pid *p);
struct task *pid_task(struct pid *p, enum pid_type type);
bool pid_in_use(const struct pid *p);

must_check int pid_ns_create(struct pid_ns *parent, struct user_ns *u, struct pid_ns **out);

/* ns.c */
uint32_t ns_new_inum(void);
/* Registered at start by their owners. */
extern void (*ipc_ns_fini)(struct ipc_ns *ns);
extern int (*net_ns_init)(struct net_ns *ns);
extern void (*net_ns_fini)(struct net_ns *ns);
struct uts_ns *uts_ns_get(struct uts_ns *n);
struct ipc_ns *ipc_ns_get(struct ipc_ns *n);
struct net_ns *net_ns_get(struct net_ns *n);
struct time_ns *time_ns_get(struct time_ns *n);
struct cgroup_ns *cgroup_ns_get(struct cgroup_ns *n);
void task_set_ns(struct task *t, struct nsproxy *n /* consumed */);
void nsproxy_join_time(struct nsproxy *n);
struct nsproxy *nsproxy_get(struct nsproxy *n);
void nsproxy_put(struct nsproxy *n);
/* A copy with the namespaces of `flags` (CLONE_NEW*) made new. */
must_check int nsproxy_copy(struct task *t, uint64_t flags, struct user_ns *u, struct fsctx *fs,
			    struct nsproxy **out);
void uts_ns_put(struct uts_ns *n);
void ipc_ns_put(struct ipc_ns *n);
void net_ns_put(struct net_ns *n);
void time_ns_put(struct time_ns *n);
void cgroup_ns_put(struct cgroup_ns *n);
must_check int ns_init_root(const char *hostname, struct mnt_ns *mnt);
must_check int task_unshare(struct task *t, uint64_t flags);
/* An open namespace file (nsfs): what kind and which object. The file holds the reference. */
must_check int ns_open(struct task *t, struct task *target, uint64_t clone_flag, struct file **out);
must_check int task_setns(struct task *t, struct file *f, uint64_t flags);

/* The sandbox's initial user namespace; made by task_early_init, before mounts and files need it
 * for their credentials. task_create_init calls it if nobody has. */
extern struct user_ns *init_user_ns;
must_check int task_early_init(void);

/* userns.c */
/* c is a private copy: it becomes the root of a new namespace (CLONE_NEWUSER). */
must_check int cred_enter_new_user_ns(struct cred *c);
/* Numbers of a namespace to the sandbox's and back. ~0u: not mapped. */
uint32_t user_ns_kuid(const struct user_ns *u, uint32_t uid);
uint32_t user_ns_kgid(const struct user_ns *u, uint32_t gid);
uint32_t user_ns_uid(const struct user_ns *u, uint32_t kuid);	/* ~0u when unmapped */
uint32_t user_ns_gid(const struct user_ns *u, uint32_t kgid);
uint32_t user_ns_uid_munged(const struct user_ns *u, uint32_t kuid);	/* 65534 when unmapped */
uint32_t user_ns_gid_munged(const struct user_ns *u, uint32_t kgid);
#define uid_to_ns(ns, kuid) user_ns_uid_munged((ns), (kuid))
#define gid_to_ns(ns, kgid) user_ns_gid_munged((ns), (kgid))
#define uid_from_ns(ns, uid) user_ns_kuid((ns), (uid))
#define gid_from_ns(ns, gid) user_ns_kgid((ns), (gid))
bool user_ns_is_ancestor(const struct user_ns *anc, const struct user_ns *u);	/* or the same */
/* Writes to /proc/PID/uid_map, gid_map, setgroups. */
must_check int user_ns_write_map(struct task *t, struct user_ns *u, bool gid, const char *text);
must_check int user_ns_write_setgroups(struct user_ns *u, const char *text);

/* ucount.c */
uint32_t ucount_nproc(uint32_t uid);
must_check int ucount_add(uint32_t uid, int nproc, int sigpending);
uint32_t ucount_sigpending(uint32_t uid);

uint64_t task_random(void);
