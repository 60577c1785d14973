/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Guest address spaces: the layout is ours, the pages are the host's. A vma describes a range; the
 * platform carries changes out in the cell (ops by the calling thread). mm->lock covers the tree;
 * ranges with an op on its way are *in flight* (I8) and conflicting calls wait for them.
 */
#include "abi/uaddr.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/rbtree.h"
#include "lib/refcount.h"
#include "platform/platform.h"
#include "sentry/core/wait.h"

struct task;
struct file;
struct buf;

enum vma_flags {
	VMA_READ = 1, VMA_WRITE = 2, VMA_EXEC = 4,	/* = PROT_* */
	VMA_SHARED = 8, VMA_MAYWRITE = 16, VMA_GROWSDOWN = 32, VMA_STACK = 64, VMA_HEAP = 128,
	VMA_LOCKED = 256, VMA_DONTFORK = 512, VMA_WIPEONFORK = 1024, VMA_NORESERVE = 2048,
	VMA_VDSO = 4096, VMA_VVAR = 8192, VMA_DONTDUMP = 16384, VMA_MAYREAD = 32768, VMA_MAYEXEC = 65536,
	VMA_HUGEPAGE = 1 << 17, VMA_NOHUGEPAGE = 1 << 18, VMA_SEALED = 1 << 19, VMA_SHM = 1 << 20,
	VMA_WRITTEN = 1 << 21		/* private file memory that was writable once */
};

struct vma {
	struct rb_node rb;
	uint64_t start, end;
	uint32_t flags;
	struct file *file;		/* owned; NULL: anonymous private memory */
	uint64_t off;			/* of start in file */
	uint32_t shm_id;
	char *anon_name;		/* PR_SET_VMA_ANON_NAME, owned */
	struct vma *dead_next;		/* removed, waiting for its file to be put without locks */
};

#define MM_SAVED_AUXV 64
#define ARGS_COPY_MAX (256u << 10)

/* Arguments and environment as exec laid them out, shared by forks: what /proc shows while nobody
 * has asked the cell for a descriptor on its memory. */
struct args_copy {
	refcount_t ref;
	uint64_t start, n;
	uint8_t data[];
};

struct mm {
	refcount_t ref;			/* tasks (and borrowers) */
	refcount_t users;		/* tasks running in it; last one releases the layout */
	uint32_t pl_users;		/* guest threads in its space; task/ counts them */
	uint32_t pl_leaving;		/* a: of those that left, not yet given back; futex word */
	struct mutex lock;		/* RANK_MM */
	struct rb_root vmas;
	uint32_t vma_count;
	pl_space_t space;
	uint64_t mmap_base, task_top;
	uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t auxv[MM_SAVED_AUXV];
	uint32_t auxv_n;
	struct file *exe;		/* owned */
	struct args_copy *args;		/* owned, may be NULL */
	bool mem_open;			/* a: pl_mem_open was done for its space */
	bool stat_open;			/* a: and pl_stat_open */
	uint64_t total_vm, locked_vm, data_vm, stack_vm, exec_vm, shared_vm, peak_vm;	/* bytes */
	uint64_t resident, peak_resident;	/* at most, see vma_resident */
	uint32_t def_flags;		/* mlockall(MCL_FUTURE) */
	uint32_t membarrier;		/* a: MEMBARRIER_CMD_REGISTER_* done */
	bool dumpable, thp_disable;
	uint8_t dumpable_mode;
	uint32_t coredump_filter;	/* 0x33 at first */
	struct list in_flight;		/* struct flight, mm/flight.c */
	struct waitq flight_wq;
	uint32_t forks_waiting;		/* new memory calls queue behind these (R12) */
	struct task *forking;		/* the one whose host copy is being made */
	uint64_t idle_asked;		/* a: ns; when /proc last looked whether its threads run */
	bool idle;			/* a: they did not */
	uint64_t seed;			/* layout randomisation: per sandbox (R8) */
	struct list aio;		/* contexts of io_setup, fs/aio */
	uint64_t hole_from, hole_max;	/* gap search: start here; largest gap above it */
};

/* --- life ---- */
/* An empty layout over a blank space. */
must_check int mm_create(pl_space_t space, struct mm **out);
/* The child's layout for fork, made while nothing is in flight; the host copy is made by the
 * caller between mm_fork_begin and mm_fork_end (new calls wait in between, R12). */
must_check int mm_fork_begin(struct task *t, struct mm **child);
void mm_fork_end(struct task *t, struct mm *child, bool ok);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
extern void (*mm_ended)(void);	/* an address space is gone; set at the start */
extern void (*mm_aio_exit)(struct mm *mm);	/* nobody runs in it any more; set at the start */
void mm_users_put(struct mm *mm);	/* a task leaves: the last one drops all vmas and files */

/* --- calls ---- (current task t; address or negative errno) */
must_check int64_t mm_mmap(struct task *t, uint64_t addr, uint64_t len, int prot, int flags,
			   struct file *f /* borrowed, may be NULL */, uint64_t off);
must_check int mm_munmap(struct task *t, uint64_t addr, uint64_t len);
int mm_may_patch(struct mm *mm, uint64_t page);
must_check int mm_mprotect(struct task *t, uint64_t addr, uint64_t len, int prot);
must_check int64_t mm_mremap(struct task *t, uint64_t old, uint64_t old_len, uint64_t new_len, int flags,
			     uint64_t new_addr);
must_check int mm_madvise(struct task *t, uint64_t addr, uint64_t len, int advice);
must_check int mm_mlock(struct task *t, uint64_t addr, uint64_t len, bool lock, bool on_fault);
must_check int mm_mlockall(struct task *t, int flags /* MCL_*; 0: munlockall */);
must_check int mm_mseal(struct task *t, uint64_t addr, uint64_t len, uint64_t flags);
/* PR_SET_VMA_ANON_NAME; NULL or "" clears. The caller has checked the characters. */
must_check int mm_set_anon_name(struct task *t, uint64_t addr, uint64_t len, const char *name);
must_check int64_t mm_brk(struct task *t, uint64_t brk);
/* The same for system call handlers, as the last thing before their reply: the host call rides on
 * it and costs no round trip of its own. Nothing may touch the guest's memory after it. */
must_check int64_t mm_mmap_reply(struct task *t, uint64_t addr, uint64_t len, int prot, int flags,
				 struct file *f, uint64_t off);
must_check int mm_munmap_reply(struct task *t, uint64_t addr, uint64_t len);
must_check int mm_mprotect_reply(struct task *t, uint64_t addr, uint64_t len, int prot);
/* A host fault at addr: 0 when resolved (stack growth) and the guest may retry, else the si_code. */
int mm_fault(struct task *t, uint64_t addr, bool write);
/* PL_EV_OPFAIL: the range's state is unknown; unmaps or re-protects it by order, repairs the tree. */
void mm_op_failed(struct task *t, uint64_t addr, uint64_t len, int err);

/* --- exec: building a new layout with the new thread t->pl already in the blank space ---- */
must_check int mm_setup_stack(struct task *t, uint64_t size, bool exec_stack, uint64_t *top);
must_check int mm_setup_vdso(struct task *t, uint64_t *vdso);
void mm_set_brk(struct mm *mm, uint64_t start);

/* exec: from begin to send the task's memory calls are collected, since nobody else can look yet;
 * they go with its next reply (then a failure is PL_EV_OPFAIL), or some at once when there are too
 * many or memory is looked at. The first error of those comes from send or an earlier call. */
must_check int mm_batch_begin(struct task *t);
must_check int mm_batch_zero(struct task *t, uint64_t from, uint64_t to);
must_check int mm_batch_write(struct task *t, uint64_t to, const void *from, size_t n);	/* once */
must_check int mm_batch_send(struct task *t);
/* Room for an image of len bytes by the file's identity, else anywhere; 0: none. Not reserved. */
uint64_t mm_image_place(struct mm *mm, struct file *f, uint64_t len);
/* Where an ELF image of this file goes (R8): one address per sandbox and file. The caller maps it
 * there with MAP_FIXED_NOREPLACE, or at 0 (anywhere) when that is taken. */
uint64_t mm_image_base(struct mm *mm, struct file *f);

/* Every event of the task's guest thread proves that its queued memory calls are done: called by
 * the task's loop before it serves the event, and when the task leaves the mm. Cheap when none. */
void mm_flights_done(struct task *t);

/* --- looking ---- */
struct vma *mm_find_locked(struct mm *mm, uint64_t addr);	/* first vma with end > addr */
/* Some writable memory of it may be somebody else's too. */
bool mm_has_shared(struct mm *mm);
bool mm_range_ok(struct mm *mm, uint64_t addr, uint64_t len, uint32_t need /* VMA_READ... */);
void mm_show_maps(struct mm *mm, struct task *reader, struct buf *b);
void mm_show_smaps(struct mm *mm, struct task *reader, struct buf *b, bool rollup);
/* The host's counts where task_stat_try has asked for them, else an estimate. */
void mm_stat(struct mm *mm, struct pl_mem_stat *st);
extern uint32_t mm_stats_open;		/* a: address spaces with stat_open */
uint64_t mm_rss(struct mm *mm);		/* resident bytes */
uint64_t mm_rss_shared(struct mm *mm);	/* of them file pages */
uint64_t mm_hiwater(struct mm *mm);
/* The object identity of a shared futex key: inode and offset for shared file maps, (mm, addr)
 * otherwise. */
struct futex_key {
	uint64_t obj, off;
	uint32_t kind;
};
must_check int mm_futex_key(struct task *t, uint64_t addr, bool write, struct futex_key *out);
