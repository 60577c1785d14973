/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Tasks and processes. A task is a guest thread, with one Sentry thread that serves it; a process
 * is a thread group. Legend of the field tags: I immutable, o the task's own Sentry thread,
 * a atomic, T tasks lock, S the process's sighand lock, F files lock, f fs lock.
 */
#include "abi/signal.h"
#include "abi/stat.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/refcount.h"
#include "platform/platform.h"
#include "sentry/core/cred.h"
#include "sentry/core/wait.h"
#include "sentry/mm/mm.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/time/timer.h"
#include "sentry/vfs/vfs.h"

struct pid_ns;
struct uts_ns;
struct ipc_ns;
struct net_ns;
struct user_ns;
struct time_ns;
struct cgroup_ns;
struct tty;
struct seccomp_filter;
struct landlock_domain;
struct ptimer;
struct sem_undo;
struct ptrace_ctx;

/* --- ids: as Linux's struct pid, one number per namespace level ------------------------------ */

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };
#define PID_LEVELS 8

struct upid {
	int32_t nr;
	struct pid_ns *ns;
	struct list hash_link;
};

struct pid {
	refcount_t ref;
	uint32_t level;
	struct list tasks[PIDTYPE_MAX];	/* T; struct task.pid_links */
	struct waitq wq;		/* pidfd pollers */
	uint64_t ino;			/* of its pidfd inode */
	bool has_exit;			/* T: it ended and was waited for */
	int32_t exit_code;		/* T: then its wait status */
	struct upid numbers[];		/* level + 1 entries */
};

struct pid_ns *pid_ns_get(struct pid_ns *ns);
void pid_ns_put(struct pid_ns *ns);
struct pid *pid_get(struct pid *p);
void pid_put(struct pid *p);
/* The number seen in ns, 0 when invisible there. */
int32_t pid_nr(const struct pid *p, const struct pid_ns *ns);

struct pid_ns {
	refcount_t ref;
	uint32_t level, inum;
	struct pid_ns *parent;
	struct user_ns *user_ns;
	struct process *child_reaper;	/* T */
	int32_t last_pid, pid_max;
	uint32_t nr;			/* live numbers */
	bool dying;			/* its init is gone: no new processes */
};

/* --- shareable parts --------------------------------------------------------------------------- */

struct fd_slot {
	struct file *file;	/* owned */
	bool cloexec;
};

struct files {
	refcount_t ref;
	struct mutex lock;	/* RANK_FILES */
	struct fd_slot *slots;	/* F; kmalloc'ed, cap entries */
	uint32_t cap, next_fd;
};

struct fsctx {
	refcount_t ref;
	struct mutex lock;	/* RANK_FILES */
	uint32_t umask;
	struct path root, cwd;	/* f */
};

struct nsproxy {
	refcount_t ref;
	struct uts_ns *uts;
	struct ipc_ns *ipc;
	struct mnt_ns *mnt;
	struct net_ns *net;
	struct pid_ns *pid_for_children;
	struct time_ns *time, *time_for_children;
	struct cgroup_ns *cgroup;
};

/* Job control state, as Linux's task->jobctl. */
enum jobctl {
	JC_STOP_SIGMASK = 0x7f,		/* signal of the last group stop */
	JC_STOP_DEQUEUED = 1 << 16,	/* a stop signal was dequeued, SIGCONT clears it */
	JC_STOP_PENDING = 1 << 17,	/* shall stop for a group stop */
	JC_STOP_CONSUME = 1 << 18,	/* counted in proc->stop_count */
	JC_TRAP_STOP = 1 << 19,		/* PTRACE_INTERRUPT, or trap for a group stop */
	JC_TRAP_NOTIFY = 1 << 20,	/* group state changed while trapped (seized) */
	JC_LISTENING = 1 << 21,		/* PTRACE_LISTEN */
	JC_TRAPPING = 1 << 22,
	JC_PENDING = JC_STOP_PENDING | JC_TRAP_STOP | JC_TRAP_NOTIFY,
};

/* process.group_exit */
enum {
	SG_EXIT = 1,			/* the group is dying, exit_code is its status */
	SG_STOPPED = 2,			/* stop_flags: a group stop is complete */
	SG_CONTINUED = 4,		/* for wait(WCONTINUED) */
	SG_CLD_STOPPED = 8, SG_CLD_CONTINUED = 16,	/* the parent is still to be told */
	SG_UNKILLABLE = 32,		/* init of a pid namespace */
};

struct sighand {
	refcount_t ref;
	struct mutex lock;	/* RANK_SIGHAND */
	struct waitq signalfd_wq;	/* signalfd readers and pollers: woken by each send */
	struct l_sigaction action[L_NSIG];	/* S */
};

struct sigqueue {
	struct list link;
	struct l_siginfo info;
	struct ptimer *timer;	/* POSIX timer that owns it, or NULL */
	uint32_t uid;		/* whose count of queued signals it is in */
	bool counted;
};

struct sigpending {
	l_sigset set;		/* S */
	struct list queue;	/* S; struct sigqueue */
};

struct l_rlimit {
	uint64_t cur, max;
};

struct rusage_sum {		/* ns and counts */
	uint64_t utime, stime, minflt, majflt, nvcsw, nivcsw, inblock, oublock, maxrss;
};

/* --- process ----------------------------------------------------------------------------------- */

struct process {
	refcount_t ref;
	uint32_t nr_threads;		/* T */
	struct task *leader;		/* T */
	struct list threads;		/* T; struct task.thread_link */
	struct process *parent;		/* T; borrowed: a child is moved before its parent dies */
	struct list all_link;		/* T: in task_root->processes */
	struct list children, sibling;	/* T */
	struct waitq child_wq;		/* wait4 of any thread of this process */
	struct sighand *sighand;	/* owned; replaced only by exec */
	struct sigpending shared;	/* S */
	struct list ptimers;		/* S; POSIX timers */
	uint32_t group_exit;		/* S: SIGNAL_GROUP_EXIT flags */
	int32_t exit_code;		/* S: wait status */
	int32_t exit_signal;		/* T: to the parent at exit */
	struct task *exec_task;		/* S: de_thread in progress */
	uint32_t stop_flags, stop_count;/* S: group stop, see signal.c */
	int32_t stop_sig;
	bool is_child_subreaper, has_child_subreaper, did_exec, no_reap_wait;
	bool exec_wait;			/* S: exec_task waits for its fellow threads */
	bool zombie;			/* T: the leader is dead and no thread is left */
	struct tty *tty;		/* S: controlling terminal */
	bool tty_old_pgrp;
	struct pid *tgid;		/* I; owned: the leader's, also across exec */
	struct pid *session, *pgrp;	/* T; owned */
	struct l_rlimit rlim[16];	/* T */
	struct rusage_sum dead_threads, dead_children;	/* T */
	/* T: CPU time as a sum of differences (R23): of spaces that it has left, and of the one that is
	 * its own (PL_NONE for a vfork child: then its threads' clocks count). */
	uint64_t cpu_done, cpu_base, cpu_seen_max, sys_seen_max;
	uint64_t cpu_summed;			/* T: when sys_usage_sum looked last */
	pl_space_t cpu_space;
	struct ktimer itimer_real, cpu_timer;	/* time/itimer.c */
	uint64_t itimer_real_interval;
	bool itimer_real_wait;			/* a: armed again when its SIGALRM is taken */
	struct cpu_itimer {
		uint64_t expires, interval;	/* CPU ns; 0 = off */
	} itimer_prof, itimer_virt;		/* S */
	uint64_t cpu_warned, cpu_seen;		/* timer thread */
	uint32_t cpu_idle;
	int32_t next_timer_id;			/* S */
	uint64_t start_time, start_boottime;	/* I */
	int32_t oom_score_adj;
	struct sem_undo *sem_undo;
	struct core *core;			/* S: a core file is being written; coredump.c */
};

/* --- task ---------------------------------------------------------------------------------------- */

enum task_state { TASK_GUEST, TASK_KERNEL, TASK_SLEEPING, TASK_STOPPED, TASK_TRACED, TASK_ZOMBIE, TASK_DEAD };

/* Work flags (t->work, atomic): anything set makes the task look before it enters the guest. */
enum task_work {
	TW_SIGNAL = 1, TW_KILL = 2, TW_STOP = 4, TW_PTRACE = 8, TW_SECCOMP = 16, TW_EXIT = 32, TW_NOTIFY = 64
};

enum regs_state { REGS_NONE, REGS_VALID };

struct task {
	refcount_t ref;
	uint32_t state;			/* a: enum task_state, for /proc and wake-ups */
	uint32_t work;			/* a: enum task_work bits */
	uint32_t wake_word;		/* a: wait_sleep's futex word: bumped by task_wake */
	pl_thread_t pl;			/* o: the platform's thread */
	/* System time, rusage.c: host tid of its Sentry thread (a; 0: none, its time is in usage), that
	 * thread's CPU time at the start, spinning taken off (I), and its pauses so far (a). */
	uint32_t host_thread;
	uint64_t sys_base, sys_spun, sys_seen;
	struct process *proc;		/* owned, I but for exec */
	struct list thread_link;	/* T: in proc->threads */
	struct pid *pid;		/* owned: its own thread id */
	struct list pid_links[PIDTYPE_MAX];	/* T */
	struct mm *mm;			/* owned; o writes under T; NULL when exiting */
	struct files *files;		/* owned; o */
	struct fsctx *fs;		/* owned; o */
	struct nsproxy *ns;		/* owned; o */
	struct cred *cred;		/* owned; o writes, others read under T: task_cred_get */
	char comm[16];			/* a by byte; T for writers other than o */
	uint32_t ptrace;		/* S: PT_* flags, ptrace.c */
	struct task *tracer;		/* T */
	struct list tracees, tracee_link;	/* T */
	uint32_t ptrace_event, ptrace_options;
	uint64_t ptrace_msg;
	struct l_siginfo trap_info;	/* S: PTRACE_GETSIGINFO, valid if has_trap_info */
	bool has_trap_info;
	bool ptrace_frozen;		/* S: a tracer works on it: do not run on */
	bool syscall_traced;		/* o: an entry stop was made, an exit stop is due */
	uint32_t trap_code;		/* S: exit_code of the trace stop, 0 none to report */
	int32_t resume_sig;		/* S: what the tracer lets through */
	bool ptrace_step, ptrace_sys, ptrace_sysemu;	/* tracer while stopped */
	uint64_t dr[8], dr_val[4];	/* debug registers, carried out by single steps; watched values */
	uint32_t jobctl;		/* S: enum jobctl */
	bool stopped;			/* S: parked in a group stop */
	uint8_t syscall_op;		/* o: PTRACE_SYSCALL_INFO_* of the current stop */
	uint64_t syscall_args[6];
	struct cred *tracer_cred;	/* T: owned; of the tracer at attach */
	struct sigpending pending;	/* S */
	l_sigset blocked;		/* o writes under S */
	l_sigset real_blocked;		/* S: what sigtimedwait has unblocked only to be woken */
	l_sigset saved_mask;		/* o: of sigsuspend, ppoll...; valid if restore_mask */
	bool restore_mask;		/* o */
	struct l_sigaltstack altstack;	/* o */
	uint64_t clear_tid;	/* o: CLONE_CHILD_CLEARTID word */
	uint64_t robust_list, robust_len;	/* o */
	struct {			/* o: restart_syscall */
		uint32_t kind;
		uint32_t nr;		/* the call that stands for restart_syscall, if armed */
		bool armed;
		uint64_t arg[6];
	} restart;
	uint32_t syscall_nr;		/* o: current call, -1 none (for /proc/PID/syscall) */
	bool in_syscall, no_new_privs, vfork_child, exec_in_progress;
	struct task *vfork_parent;	/* T: released by exec or exit */
	struct seccomp_filter *seccomp;	/* owned */
	struct landlock_domain *landlock;
	int32_t pdeath_signal, exit_code;
	int8_t nice;
	uint8_t sched_policy, sched_reset, rt_prio, ioprio_class, ioprio_level;
	uint8_t affinity[128];		/* CPU mask, 1024 bits */
	/* Registers: a copy of the platform's, loaded on demand by task_regs(); written back before
	 * the guest runs. A tracer uses it while the task is trace-stopped. */
	struct l_regs regs;		/* o */
	bool regs_valid, regs_dirty, keep_result, gone, exiting, started;
	bool dead_thread;		/* T: it has run its last; a zombie if it is a leader or traced */
	bool dead_reported;		/* T: released, in no structure any more */
	uint8_t mem_wanted;		/* a: what somebody waits for; memopen.c */
	bool exec_nproc_check;		/* set*uid went over RLIMIT_NPROC: execve shall fail */
	bool vfork_wait;		/* T: waits until the vfork child has released it */
	uint64_t set_child_tid;		/* o: CLONE_CHILD_SETTID, stored by the child */
	uint64_t timer_slack, default_timer_slack;
	uint32_t mce_kill, seccomp_mode;
	uint32_t personality;
	struct rusage_sum usage;	/* o */
	uint64_t start_time, start_boottime, utime_base;
	uint64_t fault_trapno, fault_err, fault_addr;	/* o: of the last fault, for the frame */
	struct l_timespec sleep_left;
	uint32_t told_pl;		/* o: what the platform was told last, cells.c */
	const struct cred *told_cred;	/* compared only */
	const struct nsproxy *told_ns;	/* compared only */
	uint8_t told_slow;
	struct mm_batch *mm_batch;	/* o: memory calls that exec collects */
	uint64_t told_default, told_restorer;	/* o: what the platform knows of actions, cells.c */
	bool prestarted;		/* o: its creator has let the guest thread go */
	bool loading;			/* o: exec's memory calls go with the next reply */
	uint32_t mm_flights;		/* o: memory calls queued behind the last reply (mm/flight.c) */
};

/* --- life: clone.c exec.c exit.c --------------------------------------------------------------- */

/* What the boot spec says about the first process. Everything is copied or referenced. */
struct init_params {
	uint32_t uid, gid, umask, ngroups;
	const uint32_t *groups;
	bool asroot;			/* uid 0 has all capabilities */
	uint64_t nofile_soft, nofile_hard;
	struct mnt_ns *mnt;		/* reference taken */
	struct path root, cwd;		/* references taken */
};
/* First of all: the tables of tasks and the initial namespaces but that of mounts, which proc and
 * the mounts need. seed: of layouts and AT_RANDOM; max_tasks 0: no limit of its own. */
must_check int task_root_init(uint64_t seed, uint32_t max_tasks, const char *hostname);
/* The first program's task, with empty descriptors and no memory yet; pid 1 is a reaper without
 * a program, which adopts orphans. The caller, as the task's owner, installs descriptors, calls
 * task_exec and then task_start. */
must_check int task_create_init(const struct init_params *p, struct task **out);
/* Sleeps until the first program has ended (all other processes are killed and gone); its status. */
int32_t task_wait_init(void);
/* Kills everything (SIGKILL from outside): the launcher asked for it. */
void task_kill_all(void);
/* A signal from the launcher to the first program. */
int task_signal_init(int sig);
/* Starts the Sentry thread that runs task_main(t). */
must_check int task_start(struct task *t);
/* The Sentry thread's loop: run guest, serve event, deliver signals; returns when the task is gone. */
void task_main(struct task *t);
/* Ends the calling task with a wait status; does not return to the guest (unwinds via TW_EXIT). */
void task_exit_self(struct task *t, int32_t code);
void process_exit_group(struct task *t, int32_t code);
struct task *task_get(struct task *t);
void task_put(struct task *t);
/* exec of `name` (from dirfd) with kernel copies of the vectors, NULL-terminated. */
struct exec_args {
	int dirfd;
	const char *name;
	unsigned lookup;
	struct file *file;		/* instead of name */
	const char *execfn;		/* AT_EXECFN and comm; NULL: name */
	char **argv, **envp;
	uint32_t argc, envc;
};
must_check int task_exec(struct task *t, const struct exec_args *a);

/* cells.c: the guest has asked for or changed the action of a signal. */
void task_tell_action(struct task *t, int sig, bool changed);
void task_tell_path(struct task *t, const char *path, int err);
/* S held: what rt_sigaction does. */
void signal_set_action(struct process *p, int sig, const struct l_sigaction *act);
/* Hooks of struct pl_boot, cells.c. task_no_fast: no system call is answered without the kernel. */
int task_may_patch(pl_thread_t pl, uint64_t page);
void task_cell_gone(pl_thread_t pl);
/* pl_boot.idle: spaces that ended are emptied now (retire.c). Are there any? */
void space_idle(void);
bool space_lags(void);
extern bool task_no_fast;
/* The task that this Sentry thread serves; NULL in the notary, the timer thread and at boot. */
extern _Thread_local struct task *current;

extern struct mutex tasks_lock;		/* RANK_TASKS */
/* Lookup by the number that `viewer` sees; a reference, or NULL. */
struct task *task_lookup(struct pid_ns *ns, int32_t nr);
/* By number, borrowed under tasks_lock; NULL if unused. */
struct pid *pid_find_locked(struct pid_ns *ns, int32_t nr);
/* No member has a parent in another group of the same session (setpgid(2)). */
bool pgrp_is_orphaned(struct pid *pgrp);
int32_t pid_ns_next_tgid(struct pid_ns *ns, int32_t from);	/* smallest thread group >= from, or 0 */
/* References to what another task uses, or NULL when it is exiting. */
struct mm *task_mm_get(struct task *t);
/* Makes o's memory readable for mm_peek and mm_poke: o (or t, when they share it) opens it at its
 * next stop. No lock may be held. */
must_check int task_mem_open(struct task *t, struct task *o);
/* The same if it costs o nothing: it is t's own, or asleep in a call. */
void task_mem_try(struct task *t, struct task *o);
/* The host's count of o's memory (mm_stat), if that disturbs nobody. */
void task_stat_try(struct task *t, struct task *o);
struct fsctx *task_fs_get(struct task *t);
/* Roots and working directories of all tasks that are `from` become `to` (pivot_root). */
void task_move_roots(const struct path *from, const struct path *to);
struct nsproxy *task_ns_get(struct task *t);
/* Walks for /proc: the leader of the process (a thread of t's process) whose number follows `after`. */
struct task *process_next(struct pid_ns *ns, int32_t after);
struct task *thread_next(struct task *t, struct pid_ns *ns, int32_t after);
void process_put(struct process *p);
int32_t task_pid_nr(const struct task *t, const struct pid_ns *ns);	/* thread id, 0 if invisible */
int32_t task_tgid_nr(const struct task *t, const struct pid_ns *ns);
struct pid_ns *task_pid_ns(const struct task *t);	/* of the task itself */
struct cred *task_cred_get(struct task *t);		/* of another task */
void task_commit_creds(struct task *t, struct cred *c /* consumed */);
static inline bool task_capable(const struct task *t, int cap)
{
	return cred_capable(t->cred, cap);
}
bool task_has_time_offset(const struct task *t);	/* its time namespace's clocks are not the host's */
/* May `t` signal / trace / inspect `target`: 0 or -EPERM, -ESRCH. */
must_check int task_may_signal(struct task *t, struct task *target, int sig);
must_check int task_may_ptrace(struct task *t, struct task *target, unsigned mode);
static inline uint64_t task_rlimit(const struct task *t, int which)
{
	return __atomic_load_n(&t->proc->rlim[which].cur, __ATOMIC_RELAXED);
}

/* --- descriptors: files.c ---------------------------------------------------------------------- */

/* A reference to the open file, or NULL (EBADF). fd_get refuses O_PATH files, fd_get_any not. */
struct file *fd_get(struct task *t, int fd);
struct file *fd_get_any(struct task *t, int fd);
/* Reserve -> publish: a number that nobody else gets; then install (consumes f) or abandon. */
must_check int fd_reserve(struct task *t, unsigned from, bool cloexec);	/* fd or -EMFILE */
void fd_install(struct task *t, int fd, struct file *f /* consumed */);
void fd_abandon(struct task *t, int fd);
/* Both in one; consumes f even on failure. */
must_check int fd_add(struct task *t, struct file *f, bool cloexec);
/* A reference of f becomes a descriptor of another task: number `to`, or the lowest (-1). */
must_check int fd_add_to(struct task *o, struct file *f, int to, bool cloexec);
must_check int fd_close(struct task *t, int fd);
must_check int fd_dup_to(struct task *t, int fd, int to, bool cloexec);
struct files *files_copy(struct files *f) must_check;
struct files *files_create(void) must_check;
void files_put(struct task *t, struct files *f);
void files_close_on_exec(struct task *t);
/* Another task's parts, with a reference; NULL or -ENOENT when it is exiting. */
struct files *task_files_get(struct task *t);
must_check int task_root_get(struct task *t, struct path *out);
must_check int task_cwd_get(struct task *t, struct path *out);
struct files *files_get(struct files *f);
/* Close-on-exec flag of a number: 0 or 1, -EBADF; set >= 0 changes it first. */
int fd_flags(struct task *t, int fd, int set);
/* First open number >= from, or -1; *out (if not NULL) gets a reference. For /proc/PID/fd. */
int fd_next(struct files *fs, int from, struct file **out, bool *cloexec);
int fd_close_range(struct task *t, unsigned first, unsigned last, bool only_mark_cloexec);

/* --- root, working directory, umask: files.c ------------------------------------------------------ */

struct fsctx *fsctx_create(const struct path *root, const struct path *cwd, uint32_t umask) must_check;
struct fsctx *fsctx_copy(struct fsctx *old) must_check;
struct fsctx *fsctx_get(struct fsctx *fs);
void fsctx_put(struct fsctx *fs);
void fsctx_set_cwd(struct fsctx *fs, const struct path *p);	/* takes references of its own */
void fsctx_set_root(struct fsctx *fs, const struct path *p);
void fsctx_paths(struct fsctx *fs, struct path *root, struct path *cwd);	/* references; NULL skips */

/* Registered by their owners at start (NULL: nothing to do). */
extern void (*process_sem_exit)(struct task *t);	/* System V undo */
extern void (*tty_session_leader_exit)(struct process *p);	/* hangs its terminal up */

/* --- signals: signal.c ---------------------------------------------------------------------------- */

enum { SEND_THREAD, SEND_PROCESS };
/* Queues a signal; info NULL: kernel-made (SI_KERNEL). 0, -EAGAIN (queue limit, real-time). */
int signal_send(struct task *target, int scope, int sig, const struct l_siginfo *info);
/* A fault or other signal that cannot be ignored or blocked: resets to default if it would be. */
void signal_force(struct task *t, int sig, const struct l_siginfo *info);
int signal_send_pgrp(struct pid *pgrp, int sig, const struct l_siginfo *info);
int signal_send_process(struct process *p, int sig, const struct l_siginfo *info);
/* POSIX timers: the timer's own entry (q->timer set). When it is still queued the overrun grows.
 * When it is dequeued, *signal_timer_hook(timer, info) may re-arm and fill in the overrun. */
struct sigqueue *sigqueue_alloc(struct task *t, struct ptimer *timer) must_check;
void sigqueue_release(struct task *t, struct sigqueue *q);	/* unlinks it if queued, frees it */
int signal_send_prealloc(struct task *target, int scope, struct sigqueue *q);
extern void (*signal_timer_hook)(struct ptimer *timer, struct l_siginfo *info);
/* Takes one signal of `mask` off the queues: its number, or 0 (signalfd, sigtimedwait). */
int signal_take(struct task *t, l_sigset mask, struct l_siginfo *info);
l_sigset signal_pending_set(struct task *t);	/* thread's and process's */
void signal_info_user(struct l_siginfo *info, int sig, int code, struct task *from, struct task *to);
static inline bool signal_pending(const struct task *t)
{
	return __atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & (TW_SIGNAL | TW_KILL | TW_EXIT | TW_STOP);
}
static inline bool kill_pending(const struct task *t)
{
	return __atomic_load_n(&t->work, __ATOMIC_ACQUIRE) & (TW_KILL | TW_EXIT);
}
/* Recomputes TW_SIGNAL after a change of the mask; S held. */
void signal_recalc(struct task *t);
void signal_set_mask(struct task *t, l_sigset mask);
/* For calls with a temporary mask: sets it and arranges its return through the frame (R25). */
void signal_swap_mask(struct task *t, l_sigset mask);

/* Sleep calls with a restart block store their state here and return -ERESTART_RESTARTBLOCK. */
enum restart_kind { RESTART_NONE, RESTART_NANOSLEEP, RESTART_FUTEX_WAIT, RESTART_POLL };
