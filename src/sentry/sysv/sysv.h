/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * System V IPC: shared memory, semaphores, message queues. One set of tables per IPC namespace,
 * under one lock (RANK_OBJECT); sleepers wait on their object's queue and look again.
 */
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/refcount.h"
#include "sentry/core/wait.h"
#include "sentry/task/task.h"

struct l_ipc_perm {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq, pad0;
	uint32_t pad1;
	uint64_t unused[2];
};
static_assert(sizeof(struct l_ipc_perm) == 48, "ipc64_perm");

/* The common head of every object. */
struct ipc_obj {
	refcount_t ref;			/* the table, and callers that sleep on it */
	int32_t key, id;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq;
	bool removed;			/* out of the table: EIDRM */
	int64_t ctime;
	struct waitq wq;
};

#define IPC_SLOTS 32768u		/* IPCMNI: an id is seq * IPC_SLOTS + slot */
#define IPC_FIRST_SLOTS 64u

struct ipc_table {
	struct ipc_obj **slot;		/* kmalloc'ed, cap entries */
	uint32_t cap, used, max;
	uint32_t next_seq;
};

enum { SYSV_SHM, SYSV_SEM, SYSV_MSG, SYSV_KINDS };

struct sysv {
	struct mutex lock;		/* RANK_OBJECT */
	struct ipc_table tab[SYSV_KINDS];
};

#define IPC_CREAT_ 01000
#define IPC_EXCL_ 02000
#define IPC_NOWAIT_ 04000
enum { IPC_RMID_, IPC_SET_, IPC_STAT_, IPC_INFO_ };
#define MSG_STAT_ 11
#define MSG_INFO_ 12
#define MSG_STAT_ANY_ 13
#define SHM_LOCK_ 11
#define SHM_UNLOCK_ 12
#define SHM_STAT_ 13
#define SHM_INFO_ 14
#define SHM_STAT_ANY_ 15

/* The tables of the task's namespace; NULL: out of memory. */
struct sysv *sysv_of(struct task *t);

/* --- ipc.c: sv->lock held in all of them ---- */
/* Looks a key up with Linux's flag rules. > 0 (as id + 1) found, 0: create one, else errno. */
must_check int64_t ipc_get_locked(struct task *t, struct sysv *sv, int kind, int32_t key, int flags,
				  int (*check)(struct ipc_obj *o, uint64_t arg), uint64_t arg);
/* Enters a new object: id or -ENOSPC, -ENOMEM. The table takes the caller's reference. */
must_check int64_t ipc_add_locked(struct task *t, struct sysv *sv, int kind, struct ipc_obj *o, int32_t key,
				  int flags);
struct ipc_obj *ipc_find_locked(struct sysv *sv, int kind, int32_t id, int *err);
int ipc_max_index_locked(struct sysv *sv, int kind);
void ipc_remove_locked(struct sysv *sv, int kind, struct ipc_obj *o);	/* the table's reference stays */
/* mode: bits of 0444 / 0222 as in the flags of *get. */
must_check int ipc_permitted(struct task *t, const struct ipc_obj *o, uint32_t mode);
/* The object, if the task has the rights `mode` to it; for IPC_SET and IPC_RMID, if it owns it. */
must_check int ipc_find_permitted_locked(struct task *t, struct sysv *sv, int kind, int32_t id, uint32_t mode,
					 struct ipc_obj **out);
must_check int ipc_find_owned_locked(struct task *t, struct sysv *sv, int kind, int32_t id,
				     struct ipc_obj **out);
/*
 * The object of a STAT command and what the command returns. IPC_STAT names it by id and returns
 * 0, the others go by index and return the id; `any` asks for no rights.
 */
must_check int64_t ipc_find_stat_locked(struct task *t, struct sysv *sv, int kind, int32_t id, bool by_id,
					bool any, struct ipc_obj **out);
void ipc_fill(const struct ipc_obj *o, struct l_ipc_perm *p);
void ipc_set(struct ipc_obj *o, const struct l_ipc_perm *p);
int64_t ipc_now(void);

/* --- for others ---- */
struct buf;
/* /proc/sysvipc of the task's namespace; kind is SYSV_*. */
must_check int sysv_show(struct task *t, int kind, struct buf *b);
void sysv_shm_show(const struct ipc_obj *o, struct buf *b, bool after);
void sysv_sem_show(const struct ipc_obj *o, struct buf *b, bool after);
void sysv_msg_show(const struct ipc_obj *o, struct buf *b, bool after);
void sysv_task_exit(struct task *t);	/* the last thread: semaphore undo */
void sysv_shm_detached(struct task *t);
/* The namespace ends: drops the table's reference. */
void sysv_shm_destroy(struct ipc_obj *o);
void sysv_sem_destroy(struct ipc_obj *o);
void sysv_msg_destroy(struct ipc_obj *o);
