/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The Sentry's side of the cells, private to this folder.
 *
 * Everything here lives in ordinary private memory of the Sentry. A pl_thr belongs to its owner
 * thread; the fields marked L are guarded by pl.lock, those marked a are atomics.
 */
#include "host/event.h"
#include "host/mem.h"
#include "host/proc.h"
#include "host/time.h"
#include "lib/bug.h"
#include "lib/lock.h"
#include "lib/log.h"
#include "lib/told.h"
#include "platform/cell/stub/shared.h"
#include "platform/platform.h"

#define PL_MAX_SPACES	4096u
#define PL_MAX_THREADS	32768u
#define PL_ORDERS_MAX	(CELL_OPS_MAX - CELL_PUTS_MAX)
#define LENT_WORDS	((CELL_FD_LENT_END - CELL_FD_LENT) / 64)
#define PL_TID_BUCKETS	4096u
#define PL_SPARE_MAX	2u
#define PL_KEPT_MAX	16u	/* a descriptor each */
/* Seconds a stopped thread may take for what it was told (I4), besides 1 s of CPU time. A host
 * with 25 runnable threads per CPU was seen to need more than 10. */
#define PL_STOP_TICKS	30

/* One host call that a thread may make at an ordered site: it is used up by the notification. */
struct pl_order {
	uint32_t ip;
	uint32_t nr;
	uint8_t nargs;
	uint16_t lent;		/* descriptor number the file goes to, 0 = none */
	int hfd;		/* the file, borrowed from the order's owner */
	uint64_t a[6];
};

struct pl_rseq {
	uint64_t addr;		/* 0: none */
	uint32_t len, sig;
};

enum thr_state { THR_FREE, THR_LIVE, THR_PARKED };

struct pl_spc;

struct pl_thr {
	uint32_t gen;
	uint32_t next;		/* L: free list, or the space's list of threads */
	enum thr_state state;	/* L */
	struct pl_spc *s;
	uint32_t slot;
	struct cell_ctx *c;	/* our mapping of its context */
	uint64_t c_addr;	/* where the cell has it */

	int htid;		/* L: host thread, 0 until known */
	uint32_t hnext;		/* L: chain in the tid table */
	struct pl_order orders[PL_ORDERS_MAX];	/* L */
	uint32_t norders, order_next;		/* L */
	uint32_t used;		/* a: orders of this reply that were used up; a private futex */
	uint32_t busy;		/* a: the notary uses an order's file right now; 2: its owner waits */

	struct {
		uint64_t dst;
		uint32_t off, n;	/* of the bounce area */
	} put[CELL_PUTS_MAX];		/* bytes that go out with the next reply */
	uint32_t nput, put_used;
	bool put_window;		/* some lie in the window */
	bool put_failed;
	uint64_t pre_addr;		/* bytes that came in with the call, for this event only */
	uint32_t pre_len;

	uint32_t rp, ev;	/* replies given, events seen */
	uint32_t active;	/* a: counted as one that wants a CPU */
	bool blocked_last;	/* its last call slept: its stub need not spin for the reply */
	uint32_t spin_fails, spin_skip, denied;
	bool affine;		/* L: its host thread was confined to some CPUs */
	bool fast;		/* the stub may answer for us */
	bool told;		/* there may be answers in its context */
	bool strict;		/* its host thread has the second filter; for ever */
	struct pl_rseq rseq;	/* what its guest thread has registered, as far as we know */
	bool rseq_due;		/* and the host does not know of yet, */
	uint32_t rseq_calls;	/* until it has made so many more calls: 0 is now */
	uint32_t rseq_looks;	/* how often its CPU time was looked at since the last event, */
	uint64_t rseq_cpu;	/* and what it was then */
	bool rseq_first;	/* its first registration is over */
	/* L: registrations that its host thread was ordered to make since it surely had none, and
	 * the last of them: facts. With any, it must not fork, and with two the cell is not reused. */
	uint32_t rseq_orders;
	struct pl_rseq rseq_last;
	uint32_t killing;	/* a: it is to end; its stop need not be waited for long */
	uint32_t kicked;	/* a: an interrupt is owed */
	uint32_t running;	/* a: in guest code, as far as we know */
	bool patched;		/* stopped in a patched call: only `regs` of the call are known */
	bool stepping;		/* stepping out of our code for an interrupt */
	bool hidden;		/* its registers are in our code: it runs on before it is shown */
	bool guest_tf;		/* the guest's own trap flag meanwhile */
	bool full;		/* regs hold the whole set */
	bool dirty;		/* regs differ from the frame in more than rax */
	bool result;		/* regs.rax differs from the frame */
	bool fs_dirty, gs_dirty;
	uint32_t fp_off;	/* of the xstate in its frame, 0 = none */
	uint32_t frame;		/* offset of its frame, 0 = none: one is made at resume */
	struct l_regs regs;
	uint64_t copy_addr;
	int copy_sig;
	uint64_t cpu_ns;	/* a: CPU time of its guest thread as last read */
	uint64_t cpu_base;	/* of its host thread when its guest thread began */
	bool cpu_rebase;	/* the base is unknown: the next reading goes on from cpu_ns */
	struct pl_op queue[PL_OPS_MAX];
	uint8_t ncalls[PL_OPS_MAX];	/* host calls of each when it was composed */
	uint32_t nqueue;
	uint32_t run_nput, run_nops;	/* of the reply that let the guest go */
	uint16_t lent;
	int posted;			/* 0, or why it could not be given */
	bool started;			/* by pl_start: the next pl_run waits only */
	bool patient;			/* what it does now takes longer than a usual spin */
	struct {
		int err;		/* 0: nothing failed */
		uint64_t addr, len;
	} op_failed;			/* of the queue, run before its time */
};

struct pl_spc {
	uint32_t gen;
	uint32_t next;		/* L: free list */
	bool used;		/* L */
	int pid;		/* L: 0 before its introduction and after it was reaped */
	uint32_t gone;		/* a: its process was seen dead; a private futex */
	uint32_t dead;		/* a: every thread reports PL_EV_GONE */
	uint32_t threads;	/* L: list head, index + 1 */
	uint32_t nthreads;	/* L */
	uint32_t nlive;		/* a, written under L: threads with an owner; a private futex */
	uint32_t live_waited;	/* a: its last thread waits for the others to be given back */
	uint32_t nrunning;	/* a: its threads that may be in guest code */
	uint32_t patching;	/* a: nobody enters guest code now; a private futex */
	struct {
		uint64_t ip;
		uint32_t n;
	} hits[64];		/* a: traps of late, by address; a count lost does no harm */
	uint32_t nhost;		/* L: host threads, counted by the notary: a fact, not a claim */
	uint32_t nparked;	/* L */
	uint32_t pool_next;	/* L: index + 1 */
	uint64_t slot_map[CELL_CTX_MAX / 64];	/* L */
	uint64_t lent_map[LENT_WORDS];	/* L: bit n = descriptor CELL_FD_LENT + n */
	int stat_hfd;		/* what the host counts of it, the same */
	int mem_hfd;		/* its memory as its cell opened it, -1 = not open */
	uint64_t cpu_base;	/* CPU time of its former users */
	uint64_t cpu_last;	/* a */
	char *ctx_map;		/* our mapping of all its contexts */
	bool ctx_kept;		/* L: ctx_hfd stays open, so that the memory serves another space */
	int64_t mono_ns, boot_ns;	/* o: what its vDSO adds to the clocks */
	bool own_vdso;		/* its vDSO is not the common one: it is not reused */

	/* the fork that creates it, while pending */
	uint32_t nonce;		/* L: 0 = not pending */
	uint32_t intro;		/* a: 0 waiting, 1 introduced, 2 failed; a private futex */
	int ctx_hfd;		/* L: its context memfd, closed at the introduction if not kept */
	struct pl_thr *first;	/* L */
};

struct pl {
	struct mutex lock;
	struct pl_thr *thr;	/* PL_MAX_THREADS, lazily backed */
	struct pl_spc *spc;
	uint32_t thr_free, thr_used, spc_free, spc_used;	/* L; index + 1 */
	uint32_t tids[PL_TID_BUCKETS];				/* L; index + 1 */
	uint32_t pool, npool;	/* L: blank spaces; index + 1 */
	struct {
		char *map;
		int hfd;
	} spare[PL_SPARE_MAX];	/* L: context memory of dead spaces, cleared */
	uint32_t nspare, nkept;	/* L: and spaces that will leave theirs */
	int listener;
	bool debug;
	struct pl_boot boot;
	struct mutex tmpl_lock;	/* the template's thread has one user at a time */
	struct pl_spc *tmpl;
	struct pl_thr *tmpl_thr;
	bool no_table;			/* cells do not have what lies at CELL_TABLE */
	bool vdso;			/* our vDSO is in every cell */
	size_t xsize;
	uint64_t xfeatures;
	uint32_t stopping;	/* a */
	uint32_t ready;		/* a: boot thread: 1 done, else -errno */
};
extern struct pl pl;
#define ERESTARTNOINTR_ 513

#define pl_debug(f, ...)                                                                           \
	do {                                                                                       \
		if (unlikely(pl.debug))                                                            \
			log_line(LOG_DEBUG, "[%llu us] " f,                                        \
				 (unsigned long long)h_now() / 1000, ##__VA_ARGS__);               \
	} while (0)

/* cell.c: tables */
struct pl_thr *thr_of(pl_thread_t id);		/* NULL if stale */
struct pl_spc *spc_of(pl_space_t id);
pl_thread_t thr_id(const struct pl_thr *t);
pl_space_t spc_id(const struct pl_spc *s);
/* A thread in a free context of s. -EAGAIN when there is none. */
must_check int thr_new(struct pl_spc *s, uint32_t slot, struct pl_thr **out);
void thr_free(struct pl_thr *t);
/* A thread gets an owner, or has none any more. */
void thr_state_locked(struct pl_thr *t, enum thr_state state);
/* The same host thread and context, blank and under a new id; it is in the pool. */
void thr_renew_locked(struct pl_thr *t);
must_check int spc_new(struct pl_spc **out);	/* with a context memfd, mapped */
void spc_free(struct pl_spc *s);
/* Clears a part of its contexts, which nobody writes meanwhile. */
must_check int ctx_clear(const struct pl_spc *s, size_t from, size_t to);
void tid_add_locked(struct pl_thr *t, int htid);
void tid_del_locked(struct pl_thr *t);
struct pl_thr *tid_find_locked(int htid);
#define SLOT_ANY UINT32_MAX

/* space.c */
#define PL_PARKED_MAX	8	/* per space */
#define PL_POOL_MAX	8
must_check int thr_exit_host(struct pl_thr *t);	/* its host thread is gone, as a fact */
must_check int pool_take(struct pl_spc **s, struct pl_thr **t);
void pool_add(struct pl_spc *s, struct pl_thr *t);
/* Makes the first blank spaces, beside the start of the kernel: a thread's function. */
void pool_fill(void *arg);
/* Empties a space whose threads are all parked through the gate; true when it is blank and in the pool. */
bool pool_recycle(struct pl_spc *s, bool wait_gone);
/* Ends a space that nobody will use again; its memory is gone when this returns. */
void spc_end(struct pl_spc *s);

/* boot.c */
void spc_died(struct pl_spc *s);		/* its host process is gone: wakes everybody */
int spc_kill(struct pl_spc *s);

/* notary.c */
void notary_main(void *arg);
void order_add(struct pl_thr *t, const struct pl_order *o);
/* Withdraws what was not used; returns when the notary has let go of the files. */
void orders_end(struct pl_thr *t);
uint16_t lent_get(struct pl_spc *s);		/* a number for one order's file, 0 = none free */
void lent_put(struct pl_spc *s, uint16_t n);

/* Waits until n orders of the last reply were used; then the calls are facts. */
must_check int orders_await(struct pl_thr *t, uint32_t n);

/* run.c: the conversation with the stub */
/* A cell that breaks the protocol is hostile: its process ends. -ESRCH. */
int cell_broken(struct pl_thr *t, const char *why);
struct cell_op *op_slot(struct pl_thr *t, uint32_t i);
/* Runs nops ops and comes back: the number that succeeded, or -ESRCH. */
must_check int stub_run(struct pl_thr *t, uint32_t nops);
/* Lays the queued bytes out as ops before the others; returns their number. */
uint32_t puts_compose(struct pl_thr *t);
/* Some ops were run, `done` of `nput` queued copies among them; true if one of those failed. */
bool puts_done(struct pl_thr *t, uint32_t nput, uint32_t done);
void stub_post(struct pl_thr *t, uint32_t act, uint32_t nops);
/* The queued ops now, since memory is about to be looked at: 0 or -ESRCH. */
must_check int queue_run(struct pl_thr *t);
int64_t op_result(struct pl_thr *t, uint32_t i);

/* sites.c */
must_check int sites_init(void);		/* the memfd of table and trampolines */
/* The guest's own view of an address in our code; false for one that is not a site's. */
struct site {
	uint64_t addr;		/* where the patch begins */
	uint32_t nr;
	uint32_t shape;
	uint32_t next;		/* hash chain, index + 1 */
};
bool site_of_tramp(uint64_t ip, struct site *out, uint32_t *off);
uint64_t site_ret(const struct site *s);	/* behind its system call instruction */
uint64_t site_insn(const struct site *s);	/* at it */
/* Around every stay in guest code: no text is patched meanwhile. */
void site_enter(struct pl_spc *s);
void site_leave(struct pl_spc *s);
/* After a trap at a guest address: patches the site when it is worth it. [stub] */
void site_consider(struct pl_thr *t);
/* The guest resumes at `ip`: behind the instruction of a patched site it goes on behind the
 * compare that was overwritten. [stub] */
void site_resume(struct pl_thr *t);
/* #UD at the tail of a patched site is the system call that stood there. [stub] */
bool site_middle(struct pl_thr *t);
/* Bytes that were read at addr, as the guest knows its text: patches are replaced in buf. */
void site_hide(uint64_t addr, void *buf, size_t n);

/* wait.c */
void wait_init(struct cell_load *load);	/* before a guest thread exists */
void affinity_reset_locked(struct pl_thr *t);
uint32_t wait_guest_spin(const struct pl_thr *t);
/* A cell of ours works for nobody's reply: its core is not one to spin on. */
void wait_work(int d);
/* Spins while the word is 0, where that is cheaper than to sleep. */
void wait_word(const uint32_t *word);
must_check int stub_wait(struct pl_thr *t, bool stopped);
void wait_inactive(struct pl_thr *t);	/* its guest thread sleeps in the Sentry, or ends */

/* ops.c */
void set_op(struct pl_thr *t, uint32_t i, uint32_t kind, uint32_t nr, uint64_t a0, uint64_t a1,
	    uint64_t a2);
/* Guest bytes read a moment ago; the page at src is read by read_page. */
must_check int64_t copy_in_raw(struct pl_thr *t, void *dst, uint64_t src, size_t n);
char *ahead(const struct pl_thr *t, uint64_t src, size_t n);
must_check int read_page(struct pl_thr *t, uint64_t src);
/* Lays ops out as calls of the next reply, *calls of them. *lent is the number lent for their files,
 * 0: none; it is the caller's to give back. */
must_check int ops_compose(struct pl_thr *t, const struct pl_op *ops, uint32_t n, uint32_t *calls,
			   uint16_t *lent);

/* rseq.c */
void rseq_end(struct pl_thr *t);	/* before its guest thread's memory may go away [stub] */
/* The same as calls of a reply, at *n; rseq_ended when they were made. */
void rseq_ended(struct pl_thr *t);
void rseq_end_compose(struct pl_thr *t, uint32_t *n);
/* A forked child has its parent's registration; the host does not know of it. */
void rseq_inherit(struct pl_thr *child, const struct pl_rseq *parents);
/* A thread whose registration is due: how long it is waited for before rseq_timed_out looks at it;
 * false: for ever. Another thread comes to its process. Before each reply. */
must_check bool rseq_timeout(struct pl_thr *t, struct timespec *ts);
void rseq_timed_out(struct pl_thr *t);
void rseq_not_alone(struct pl_thr *t);
void rseq_due_compose(struct pl_thr *t, uint32_t *n);
void rseq_ordered_locked(struct pl_thr *t, const struct pl_order *o);

/* strict.c */
must_check int thr_make_strict(struct pl_thr *t);

/* told.c */
void told_forget(struct pl_thr *t);

/* vdso.c */
void vdso_init(void *vvar);	/* writes data and image, before the first cell maps them */
void vdso_found(uint64_t host);	/* where the host's image lies in every cell, 0: nowhere */

/* mem.c */
void mem_close(struct pl_spc *s);
uint64_t spc_cpu_raw(const struct pl_spc *s);

/* frame.c */
must_check int frame_read(struct pl_thr *t);
void frame_write(struct pl_thr *t);
void frame_copy(const struct pl_thr *from, struct pl_thr *to);
void xstate_init(void);
