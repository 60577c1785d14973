/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The platform: guest address spaces and guest threads, and how the kernel runs them.
 *
 * A *space* is one guest address space (a cell). A *thread* is one guest thread's context in a
 * space. Both are named by small ids, which may be stored in kheap; the platform keeps what they
 * mean. Exactly one Sentry thread, the thread's owner, makes calls on a pl_thread at a time,
 * except pl_kick, which anybody may call. The owner's loop is
 *
 *	for (;;) {
 *		pl_run(tid, &ev);		// guest runs; returns at the next event
 *		... serve ev ...
 *		pl_set_result(tid, ret);	// after PL_EV_SYSCALL
 *	}
 *
 * Everything that a cell reports is a claim of a hostile party: the platform validates what its
 * own integrity depends on; values (numbers, arguments, registers) are handed up unchecked.
 *
 * All functions return 0 or a count, or a negative errno. -ESRCH from any of them means that the
 * guest thread's cell is gone; the owner then ends the task as killed by SIGKILL.
 * No lock of rank below RANK_PLATFORM may be held across any call marked [stub], since that call
 * needs the guest thread to be scheduled.
 */
#include "abi/uaddr.h"
#include "abi/x86_64/regs.h"
#include "lib/compiler.h"

typedef struct {
	uint32_t v;
} pl_space_t;

typedef struct {
	uint32_t v;
} pl_thread_t;

#define PL_NONE 0u	/* the empty id of both kinds */

/* The guest's part of the address space: [PL_GUEST_MIN, pl_guest_top()). */
#define PL_GUEST_MIN 0x100000ull
uint64_t pl_guest_top(void);

/* Our vDSO in every space, beyond the guest's part: the image and its size, and before it one page
 * of data; 0: there is none. */
#define PL_VVAR_SIZE 0x1000ull
uint64_t pl_vdso(size_t *size);
/* The bytes of the image at an address; how many of n there are. */
must_check size_t pl_vdso_read(void *dst, uint64_t addr, size_t n);

enum pl_event_kind {
	PL_EV_SYSCALL = 1,	/* nr and args are set; registers may not be complete, see pl_regs */
	PL_EV_FAULT,		/* a synchronous fault of guest code: fault.* is set, registers are full */
	PL_EV_INTR,		/* the answer to pl_kick: the guest was stopped between instructions */
	PL_EV_OPFAIL,		/* a queued memory op failed: op.* is set; nothing after it was run */
	PL_EV_COPYFAIL,		/* bytes that pl_copy_out or pl_bounce_out took did not reach the guest:
				 * the page at op.addr faulted; the guest has not run on */
	PL_EV_GONE,		/* the cell died; only pl_thread_put is allowed now */
};

struct pl_event {
	enum pl_event_kind kind;
	uint32_t nr;			/* system call number (full 32 bits of eax) */
	uint64_t args[6];
	struct {
		int signo;		/* SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP */
		int code;		/* si_code as the host gave it */
		uint64_t addr;		/* si_addr */
		uint64_t trapno, err;	/* for the guest's own frame (R25) */
		bool copy;		/* unused by pl_run */
	} fault;
	struct {
		int err;		/* negative errno */
		uint64_t addr, len;	/* the range whose state is now unknown (R12) */
	} op;
};

/* --- life ------------------------------------------------------------------------------- */

/* What the platform needs from the boot spec; host descriptors are owned by it afterwards. */
struct pl_boot {
	int cell_hfd;			/* the cell binary, O_PATH or readable */
	unsigned pool_blank;		/* blank cells kept ready */
	bool hardened;			/* strict threads only, no patching, no in-cell answers */
	bool no_patch;			/* never rewrite text */
	bool no_spin;			/* never spin */
	unsigned ncpus;			/* CPUs the sandbox may use, for the spin policy */
	/* May the system call sites in the text page at `page` be rewritten? Its protection
	 * (PROT_*) if it is private file text that was never writable (R7), else -EPERM. Called by
	 * the thread's owner inside pl_run. NULL: nothing is patched. */
	int (*may_patch)(pl_thread_t t, uint64_t page);
	/* Called from a platform thread for each thread of a space that died, e.g. of the host's
	 * OOM killer: its owner may be asleep in a system call. May be NULL. */
	void (*gone)(pl_thread_t t);
	/* Called when a thread of ours has spun in vain: a CPU is free for work that can wait. It
	 * must not block. May be NULL. */
	void (*idle)(void);
	bool debug;			/* log every event and order */
};
must_check int pl_init(const struct pl_boot *boot);
/* Kills every cell and waits for it. */
void pl_shutdown(void);

/* A blank space with one thread in it, stopped, registers zero: for the first process and exec. */
must_check int pl_space_create(pl_space_t *space, pl_thread_t *thread);
/* A new thread of the caller's space (CLONE_VM), with registers *regs. `parent` is the stopped
 * thread that makes the call. [stub] */
must_check int pl_thread_create(pl_thread_t parent, const struct l_regs *regs, pl_thread_t *out);
/* A copy of the parent's space with one thread, registers *regs (fork). The mm layer has made
 * sure that nothing is in flight (I8). [stub] */
must_check int pl_space_fork(pl_thread_t parent, const struct l_regs *regs, pl_space_t *space,
			     pl_thread_t *out);
/* Ends a thread: it is parked or its host thread exits. With `last`, its space is emptied and
 * goes back to the pool or dies; then returns only when its memory is gone if `wait_gone` (R17).
 * Works for threads in any state, also after PL_EV_GONE. Consumes the id. */
void pl_thread_put(pl_thread_t t, bool last, bool wait_gone);
/* Kills the cell outright: all its threads report PL_EV_GONE. Any thread may call it. */
void pl_space_kill(pl_space_t s);

/* --- running ---------------------------------------------------------------------------- */

/* Runs queued ops, resumes the guest and waits for its next event. */
must_check int pl_run(pl_thread_t t, struct pl_event *ev);
/* Lets the guest go before its owner runs: the maker of a thread calls it, once, and the owner's
 * first pl_run waits only. Does nothing when the thread was kicked. */
void pl_start(pl_thread_t t);
/* The value that the system call just reported returns. */
void pl_set_result(pl_thread_t t, int64_t ret);
/* Completes the register set of a patched call ("trap again"). After it pl_regs is complete:
 * rip behind the system call instruction, rax = orig_rax = nr. No-op when already complete. [stub] */
must_check int pl_full_state(pl_thread_t t);
bool pl_has_full_state(pl_thread_t t);
/* The register set, completed first if need be [stub]. pl_set_regs replaces
 * all of it (rip, flags and selectors are sanitised by the platform, I6). */
void pl_get_regs(pl_thread_t t, struct l_regs *out);
void pl_set_regs(pl_thread_t t, const struct l_regs *in);
/* FP and vector state in the host's XSAVE layout. Sizes are bounded by pl_xstate_size(). */
size_t pl_xstate_size(void);
must_check int pl_get_xstate(pl_thread_t t, void *dst, size_t cap);
/* Takes a guest's own image: bad headers are repaired or refused with -EINVAL; NULL = initial. */
must_check int pl_set_xstate(pl_thread_t t, const void *src, size_t n);
/* What the guest thread may be told without the kernel; NULL: nothing. Again at every change. */
struct pl_ids {
	uint32_t pid, tid, uid, euid, gid, egid;
};
void pl_set_ids(pl_thread_t t, const struct pl_ids *ids);
/* rseq(2) of the stopped thread, as Linux: the host does it, so that it aborts critical sections.
 * A child of pl_space_fork inherits it, a new thread has none. [stub] */
must_check int pl_rseq(pl_thread_t t, uint64_t addr, uint32_t len, uint32_t flags, uint32_t sig);
/* The thread ends: before anything tells others that its memory is free. [stub] */
void pl_rseq_end(pl_thread_t t);
/*
 * The guest thread is from now on on a strict host thread: a second filter lets nothing go without
 * an event first, private futexes too. Returns when that is a fact. It stays so. [stub]
 */
must_check int pl_set_strict(pl_thread_t t);
bool pl_is_strict(pl_thread_t t);
/* The private futex call of a strict thread, which was judged, as the host's; the arguments are as
 * in the system call. A wait is WAIT_BITSET, its deadline CLOCK_MONOTONIC ns of the host, UINT64_MAX
 * for none. 0 and the host's answer (a claim), or -EINTR when pl_kick ended the wait. [stub] */
must_check int pl_futex(pl_thread_t t, const uint64_t args[6], uint64_t deadline, int64_t *res);
/* What the space's vDSO adds to CLOCK_MONOTONIC and CLOCK_BOOTTIME. [stub] */
must_check int pl_set_clocks(pl_thread_t t, int64_t mono_ns, int64_t boot_ns);
/* The call just reported was made by the host's part of the vDSO, which ours called: it is asked
 * for the host's clocks. */
bool pl_called_by_host_vdso(pl_thread_t t);
/* The signals n (bit n, below 64) whose action is all zeros: rt_sigaction may tell the guest so
 * without the kernel, and may set them to SIG_DFL with SA_RESTORER and this restorer, as long as it
 * may be told its ids. Again at every change. */
void pl_set_default_signals(pl_thread_t t, uint64_t mask, uint64_t restorer);
/* Those of them that were set so, as the stopped thread claims. */
uint64_t pl_defaulted_signals(pl_thread_t t);
/* The page of lib/told.h, which every cell can read. */
struct told_page;
struct told_page *pl_told_page(void);
/* The stopped thread may answer calls for this absolute path itself, as long as it may be told its
 * ids: err is EINVAL (readlink of what is no link) or ENOENT. Its ids told anew, it forgets. */
void pl_tell_path(pl_thread_t t, const char *path, size_t len, int err, uint64_t epoch);
/* The ops queued with the last reply are done, as the stub claims; any thread may ask. */
bool pl_ops_done(pl_thread_t t);
/* The call being served is about to sleep: the guest thread's stub stops spinning for its reply.
 * A hint; any number of times. */
void pl_will_block(pl_thread_t t);
/* Fewer guest threads and spinning threads than CPUs just now. */
bool pl_cpu_free(void);
/* Makes a thread in guest code report PL_EV_INTR soon. If it is stopped, or before its next
 * pl_run, that pl_run returns PL_EV_INTR at once instead of resuming. Never blocks; any thread. */
void pl_kick(pl_thread_t t);
/* The same for a thread that is to end: when all threads of its space are, and one does not stop
 * within a second, the cell is killed. */
void pl_kick_kill(pl_thread_t t);
/* The host CPUs that the sandbox may use; n is the size of the mask in bytes. */
void pl_host_cpus(void *mask, size_t n);
/* Where the guest thread ran when it last came out. */
uint32_t pl_last_cpu(pl_thread_t t);
/* Confines the guest's host thread; the mask has a CPU of pl_host_cpus in it. Any thread may call. */
void pl_set_affinity(pl_thread_t t, const void *mask, size_t n);
/* CPU time of the guest thread itself, ns, since its creation. Exact while it is the only thread
 * of its space; else as of its last pl_thread_cpu_update. Any thread may ask. */
uint64_t pl_thread_cputime(pl_thread_t t);
/* What the calling Sentry thread has spent spinning, in pauses; and pauses in ns. */
uint64_t pl_spun(void);
uint64_t pl_spun_ns(uint64_t n);
/* Reads the clock of the stopped thread. [stub] */
void pl_thread_cpu_update(pl_thread_t t);
/* CPU time of all threads of the space, ns, since it was created. Any thread may ask. */
uint64_t pl_space_cputime(pl_space_t s);

/* --- guest memory: the stopped thread t copies through its bounce area --------------------- */

/*
 * Bytes copied: less than n when a page faulted (then see pl_copy_fault). [stub]
 * Going out, they are mostly taken and travel with the next reply, before anything else that this
 * thread does; the caller has checked the range, and a fault all the same is PL_EV_COPYFAIL.
 * Where another guest thread may look for them before this one goes on, pl_flush comes first.
 */
must_check int64_t pl_copy_in(pl_thread_t t, void *dst, uint64_t src, size_t n);
must_check int64_t pl_copy_out(pl_thread_t t, uint64_t dst, const void *src, size_t n);
/* All bytes taken so far are in guest memory when it returns 0; -EFAULT. [stub] */
must_check int pl_flush(pl_thread_t t);
/* Copies up to a NUL (included in the count) or n bytes. [stub] */
must_check int64_t pl_copy_in_str(pl_thread_t t, char *dst, uint64_t src, size_t n);
/* Where the last short copy faulted, and whether it was a write. */
uint64_t pl_copy_fault(pl_thread_t t, int *signo);
/* Window of the bounce area that is shared with the stub: read a file straight into it, then
 * pl_bounce_out copies n bytes of it to the guest; pl_bounce_in copies guest bytes into it (the
 * content stays hostile and may change: give it to a host write, never parse it). */
void *pl_bounce(pl_thread_t t, size_t *cap);
must_check int64_t pl_bounce_out(pl_thread_t t, uint64_t dst, size_t off, size_t n);
must_check int64_t pl_bounce_in(pl_thread_t t, uint64_t src, size_t off, size_t n);
/* Is there a system call instruction at rip, as the guest knows its text? [stub] */
bool pl_at_syscall(pl_thread_t t, uint64_t rip);
/* Puts the original bytes of patched sites in the range back, after it was made writable and
 * before the guest runs on. [stub] */
must_check int pl_unpatch(pl_thread_t t, uint64_t addr, uint64_t len);
/* 32-bit atomic work done by the stub; *seen is its claim. op is enum pl_atomic. [stub] */
enum pl_atomic { PL_LOAD, PL_CMPXCHG };
must_check int pl_atomic32(pl_thread_t t, enum pl_atomic op, uint64_t addr, uint32_t old,
			   uint32_t val, uint32_t *seen);
/* What a thread leaves behind, in one step: if the robust list head is empty (its first word its own
 * address, its third 0), the 32-bit word at `tid` is cleared. Either address may be 0: not asked
 * for. True when it was done; else nothing was. [stub] */
must_check bool pl_leave_words(pl_thread_t t, uint64_t head, uint64_t tid);
/* The stopped thread t opens its space's memory for the two calls below (once per space). [stub] */
must_check int pl_mem_open(pl_thread_t t);
/* The same for what the host counts of the space's memory. [stub] */
must_check int pl_stat_open(pl_thread_t t);
struct pl_mem_stat {
	uint64_t rss, anon, file, shmem, hiwater;	/* bytes; hiwater since the cell began */
};
/* -ENXIO before pl_stat_open. No thread needed. */
must_check int pl_space_stat(pl_space_t s, struct pl_mem_stat *out);
/* Another space's memory through the descriptor its cell opened on itself; no thread needed.
 * Ignores page protection: the caller has checked the range against the layout. -ENXIO before
 * pl_mem_open. */
must_check int64_t pl_space_read(pl_space_t s, void *dst, uint64_t src, size_t n);
must_check int64_t pl_space_write(pl_space_t s, uint64_t dst, const void *src, size_t n);

/* --- memory layout, carried out by the stopped thread t ------------------------------------ */

enum pl_op_kind {
	PL_OP_MAP_ANON, PL_OP_MAP_FILE, PL_OP_UNMAP, PL_OP_PROTECT, PL_OP_ADVISE, PL_OP_MREMAP,
	PL_OP_ZERO,		/* addr, len: clears bytes */
	PL_OP_WRITE,		/* the same from `off` in the window of pl_bounce */
};

struct pl_op {
	enum pl_op_kind kind;
	uint64_t addr, len;
	int prot;		/* PROT_* */
	int flags;		/* MAP_PRIVATE or MAP_SHARED, MAP_NORESERVE, MAP_STACK, MAP_POPULATE */
	int hfd;		/* MAP_FILE: borrowed until the op is done */
	uint64_t off;
	int advice;
	uint64_t old_addr, old_len;	/* MREMAP: moves to exactly addr (MAYMOVE|FIXED) */
	bool must;		/* removal must be a fact, not a request: sent by order */
};
/* mincore(2) of so many pages by the stopped thread: the bytes lie in its window from 0 on; they are
 * the guest's own claim. At most as many pages as the window has bytes. [stub] */
must_check int64_t pl_mincore(pl_thread_t t, uint64_t addr, size_t pages);
/* membarrier(2) by the stopped thread, for the threads of its space: the host's answer. [stub] */
must_check int pl_membarrier(pl_thread_t t, int cmd);
/* Runs the op now and waits: 0 or the host's errno (a claim). All maps are MAP_FIXED. [stub] */
must_check int pl_op(pl_thread_t t, const struct pl_op *op);
/* Up to PL_OPS_MAX ops in one go, in order, until the first that fails: its errno. [stub] */
must_check int pl_ops(pl_thread_t t, const struct pl_op *ops, unsigned n);
/* Attaches the op to the next pl_run, before the guest resumes: no extra round trip. A failure
 * comes back as PL_EV_OPFAIL. At most PL_OPS_MAX may be queued; -EAGAIN when full (use pl_op). */
#define PL_OPS_MAX 16
must_check int pl_op_queue(pl_thread_t t, const struct pl_op *op);
