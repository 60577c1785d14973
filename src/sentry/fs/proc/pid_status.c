/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID: stat, statm, status, limits, io and the other texts about one task (proc_pid_*(5)). */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "host/event.h"
#include "host/time.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/pid.h"
#include "sentry/task/rusage.h"
#include "sentry/task/ns.h"
#include "sentry/tty/tty.h"

#define CLOCK_TICK_NS 10000000ull	/* USER_HZ = 100 */

/*
 * A thread in guest code runs, or sleeps in a private futex, which is the host's (R2): nobody tells
 * us. When the CPU clock of its whole cell stands still for a millisecond, it sleeps. What was found
 * holds for a while, since `ps` asks for each thread. (A sleeper beside a busy thread shows R.)
 */
#define STATE_HOLDS_NS 20000000u

static void pause_us(int64_t us)
{
	struct timespec ts = h_timespec(us * 1000);
	uint32_t word = 0;

	(void)h_futex_wait(&word, 0, &ts);
}

static char guest_state(struct task *t)
{
	struct mm *mm = task_mm_get(t);
	char c = 'R';

	if (!mm)
		return c;
	uint64_t now = now_mono();
	if (now - __atomic_load_n(&mm->idle_asked, __ATOMIC_RELAXED) >= STATE_HOLDS_NS) {
		if (current->mm == mm) {	/* our own stub may be spinning for the reply */
			pl_will_block(current->pl);
			pause_us(200);
		}
		uint64_t before = pl_space_cputime(mm->space);
		pause_us(1000);
		__atomic_store_n(&mm->idle, pl_space_cputime(mm->space) == before, __ATOMIC_RELAXED);
		__atomic_store_n(&mm->idle_asked, now, __ATOMIC_RELAXED);
	}
	if (__atomic_load_n(&mm->idle, __ATOMIC_RELAXED))
		c = 'S';
	mm_put(mm);
	return c;
}

char proc_state_char(struct task *t)
{
	switch (__atomic_load_n(&t->state, __ATOMIC_RELAXED)) {
	case TASK_GUEST: return t == current ? 'R' : guest_state(t);
	case TASK_SLEEPING: return 'S';
	case TASK_STOPPED: return 'T';
	case TASK_TRACED: return 't';
	case TASK_ZOMBIE: return 'Z';
	case TASK_DEAD: return 'X';
	default: return 'R';
	}
}

static const char *state_text(char c)
{
	switch (c) {
	case 'S': return "S (sleeping)";
	case 'T': return "T (stopped)";
	case 't': return "t (tracing stop)";
	case 'Z': return "Z (zombie)";
	case 'X': return "X (dead)";
	default: return "R (running)";
	}
}

struct mm *proc_mm_get(const struct pseudo_ctx *c)
{
	struct mm *mm = NULL;

	mutex_lock(&tasks_lock);
	if (c->task->mm)
		mm = mm_get(c->task->mm);
	mutex_unlock(&tasks_lock);
	return mm;
}

/* A comm may hold anything: newline and backslash are escaped where the format is line-based. */
static void comm_add(struct buf *b, const char *comm, bool escape)
{
	for (const char *p = comm; *p && p < comm + 15; p++) {
		if (escape && *p == '\n')
			buf_fmt(b, "\\n");
		else if (escape && *p == '\\')
			buf_fmt(b, "\\\\");
		else
			buf_addc(b, *p);
	}
}

struct sig_sets {
	l_sigset pending, shared, blocked, ignored, caught;
	uint32_t threads, queued;
};

static void signal_sets(struct task *t, struct sig_sets *s)
{
	struct sighand *sh = t->proc->sighand;
	struct sigqueue *q;

	*s = (struct sig_sets){0};
	mutex_lock(&sh->lock);
	s->pending = t->pending.set;
	s->shared = t->proc->shared.set;
	s->blocked = t->blocked;
	for (int i = 0; i < L_NSIG; i++) {
		if (sh->action[i].handler == 1)
			s->ignored |= 1ull << i;
		else if (sh->action[i].handler)
			s->caught |= 1ull << i;
	}
	list_for_each(q, &t->pending.queue, link)
		s->queued++;
	list_for_each(q, &t->proc->shared.queue, link)
		s->queued++;
	mutex_unlock(&sh->lock);
	s->threads = t->proc->nr_threads;
}

struct family {
	int ppid, pgid, sid, tracer, tty_nr, tpgid;
};

static void family_of(const struct pseudo_ctx *c, struct family *f)
{
	struct pid_ns *ns = proc_ns(c);
	struct task *t = c->task;

	*f = (struct family){.tpgid = -1};
	mutex_lock(&tasks_lock);
	struct process *p = t->proc;
	if (p->parent && p->parent->leader)
		f->ppid = task_tgid_nr(p->parent->leader, ns);
	f->pgid = p->pgrp ? pid_nr(p->pgrp, ns) : 0;
	f->sid = p->session ? pid_nr(p->session, ns) : 0;
	f->tracer = t->tracer ? task_tgid_nr(t->tracer, ns) : 0;
	mutex_unlock(&tasks_lock);
	tty_stat_fields(t, ns, &f->tty_nr, &f->tpgid);
}

int proc_pid_stat(const struct pseudo_ctx *c, struct buf *b)
{
	struct task *t = c->task;
	struct process *p = t->proc;
	struct sig_sets s;
	struct family f;
	struct rusage_sum ru, kids;
	struct mm *mm = proc_mm_get(c);
	bool whole = !c->pi->thread;
	bool may = task_may_ptrace(c->reader, t, 1) == 0;

	task_stat_try(c->reader, t);

	signal_sets(t, &s);
	family_of(c, &f);
	if (whole)
		process_usage(p, &ru);
	else
		task_usage(t, &ru);
	kids = p->dead_children;
	buf_fmt(b, "%d (", whole ? task_tgid_nr(t, proc_ns(c)) : task_pid_nr(t, proc_ns(c)));
	comm_add(b, t->comm, false);
	buf_fmt(b, ") %c %d %d %d %d %d %u", proc_state_char(t), f.ppid, f.pgid, f.sid, f.tty_nr,
		f.tpgid, mm ? 0x400000u : 0x200000u);
	buf_fmt(b, " %llu %llu %llu %llu", (unsigned long long)ru.minflt, (unsigned long long)kids.minflt,
		(unsigned long long)ru.majflt, (unsigned long long)kids.majflt);
	buf_fmt(b, " %llu %llu %llu %llu", (unsigned long long)(ru.utime / CLOCK_TICK_NS),
		(unsigned long long)(ru.stime / CLOCK_TICK_NS),
		(unsigned long long)(kids.utime / CLOCK_TICK_NS),
		(unsigned long long)(kids.stime / CLOCK_TICK_NS));
	buf_fmt(b, " %d %d %u 0 %llu", 20 + t->nice, t->nice, s.threads,
		(unsigned long long)((whole ? p : p)->start_boottime / CLOCK_TICK_NS));
	buf_fmt(b, " %llu %llu %llu", (unsigned long long)(mm ? mm->total_vm : 0),
		(unsigned long long)(mm ? mm_rss(mm) / PAGE_SIZE : 0),
		(unsigned long long)p->rlim[RLIMIT_RSS].cur);
	if (mm && may)
		buf_fmt(b, " %llu %llu %llu 0 0", (unsigned long long)mm->start_code,
			(unsigned long long)mm->end_code, (unsigned long long)mm->start_stack);
	else
		buf_fmt(b, " 0 0 0 0 0");
	buf_fmt(b, " %llu %llu %llu %llu 0 0 0 %d %d %u %u 0 0 0",
		(unsigned long long)(s.pending & 0x7fffffff), (unsigned long long)(s.blocked & 0x7fffffff),
		(unsigned long long)(s.ignored & 0x7fffffff), (unsigned long long)(s.caught & 0x7fffffff),
		whole ? p->exit_signal : -1, 0, t->rt_prio, t->sched_policy);
	if (mm && may)
		buf_fmt(b, " %llu %llu %llu %llu %llu %llu %llu %d\n", (unsigned long long)mm->start_data,
			(unsigned long long)mm->end_data, (unsigned long long)mm->start_brk,
			(unsigned long long)mm->arg_start, (unsigned long long)mm->arg_end,
			(unsigned long long)mm->env_start, (unsigned long long)mm->env_end, t->exit_code);
	else
		buf_fmt(b, " 0 0 0 0 0 0 0 0\n");
	if (mm)
		mm_put(mm);
	return 0;
}

int proc_pid_statm(const struct pseudo_ctx *c, struct buf *b)
{
	task_stat_try(c->reader, c->task);
	struct mm *mm = proc_mm_get(c);

	if (!mm) {
		buf_fmt(b, "0 0 0 0 0 0 0\n");
		return 0;
	}
	uint64_t text = (mm->end_code - mm->start_code + PAGE_SIZE - 1) / PAGE_SIZE;
	buf_fmt(b, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)(mm->total_vm / PAGE_SIZE),
		(unsigned long long)(mm_rss(mm) / PAGE_SIZE),
		(unsigned long long)(mm_rss_shared(mm) / PAGE_SIZE), (unsigned long long)text,
		(unsigned long long)((mm->data_vm + mm->stack_vm) / PAGE_SIZE));
	mm_put(mm);
	return 0;
}

static void status_ids(const struct pseudo_ctx *c, struct buf *b)
{
	struct cred *cr = task_cred_get(c->task);
	const struct user_ns *ns = c->reader ? c->reader->cred->user_ns : cr->user_ns;

	buf_fmt(b, "Uid:\t%u\t%u\t%u\t%u\n", uid_to_ns(ns, cr->uid), uid_to_ns(ns, cr->euid),
		uid_to_ns(ns, cr->suid), uid_to_ns(ns, cr->fsuid));
	buf_fmt(b, "Gid:\t%u\t%u\t%u\t%u\n", gid_to_ns(ns, cr->gid), gid_to_ns(ns, cr->egid),
		gid_to_ns(ns, cr->sgid), gid_to_ns(ns, cr->fsgid));
	buf_fmt(b, "FDSize:\t%u\nGroups:\t", c->task->files ? c->task->files->cap : 0);
	for (uint32_t i = 0; cr->groups && i < cr->groups->n; i++)
		buf_fmt(b, "%u ", gid_to_ns(ns, cr->groups->gid[i]));
	buf_fmt(b, "\n");
	cred_put(cr);
}

static void status_pids(const struct pseudo_ctx *c, struct buf *b)
{
	static const char *const names[] = {"NStgid", "NSpid", "NSpgid", "NSsid"};
	struct task *t = c->task;
	struct pid_ns *ns = proc_ns(c);

	mutex_lock(&tasks_lock);
	struct pid *ids[] = {t->proc->leader ? t->proc->leader->pid : t->pid, t->pid, t->proc->pgrp,
			     t->proc->session};
	for (unsigned i = 0; i < 4; i++) {
		buf_fmt(b, "%s:", names[i]);
		for (uint32_t l = ns->level; ids[i] && l <= ids[i]->level; l++)
			buf_fmt(b, "\t%d", ids[i]->numbers[l].nr);
		buf_fmt(b, "\n");
	}
	mutex_unlock(&tasks_lock);
}

static void status_memory(struct mm *mm, struct buf *b)
{
	struct pl_mem_stat st;

	mm_stat(mm, &st);
	struct { const char *name; uint64_t bytes; } rows[] = {
		{"VmPeak", mm->peak_vm}, {"VmSize", mm->total_vm}, {"VmLck", mm->locked_vm}, {"VmPin", 0},
		{"VmHWM", st.hiwater}, {"VmRSS", st.rss},
		{"RssAnon", st.anon}, {"RssFile", st.file}, {"RssShmem", st.shmem},
		{"VmData", mm->data_vm}, {"VmStk", mm->stack_vm},
		{"VmExe", mm->end_code - mm->start_code}, {"VmLib", mm->exec_vm}, {"VmPTE", st.rss / 512},
		{"VmSwap", 0}, {"HugetlbPages", 0},
	};

	for (unsigned i = 0; i < array_size(rows); i++)
		buf_fmt(b, "%s:\t%8llu kB\n", rows[i].name, (unsigned long long)rows[i].bytes / 1024);
	buf_fmt(b, "CoreDumping:\t0\nTHP_enabled:\t%d\nuntag_mask:\t0xffffffffffffffff\n", !mm->thp_disable);
}

int proc_pid_status(const struct pseudo_ctx *c, struct buf *b)
{
	struct task *t = c->task;
	struct pid_ns *ns = proc_ns(c);
	struct sig_sets s;
	struct family f;

	task_stat_try(c->reader, t);
	signal_sets(t, &s);
	family_of(c, &f);
	buf_fmt(b, "Name:\t");
	comm_add(b, t->comm, true);
	buf_fmt(b, "\n");
	if (t->fs)
		buf_fmt(b, "Umask:\t%04o\n", t->fs->umask);
	buf_fmt(b, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
		state_text(proc_state_char(t)), task_tgid_nr(t, ns), task_pid_nr(t, ns), f.ppid, f.tracer);
	status_ids(c, b);
	status_pids(c, b);
	buf_fmt(b, "Kthread:\t0\n");
	struct mm *mm = proc_mm_get(c);
	if (mm) {
		status_memory(mm, b);
		mm_put(mm);
	}
	struct cred *cr = task_cred_get(t);
	buf_fmt(b, "Threads:\t%u\nSigQ:\t%u/%llu\n", s.threads, s.queued,
		(unsigned long long)t->proc->rlim[RLIMIT_SIGPENDING].cur);
	buf_fmt(b, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		(unsigned long long)s.pending, (unsigned long long)s.shared, (unsigned long long)s.blocked,
		(unsigned long long)s.ignored, (unsigned long long)s.caught);
	buf_fmt(b, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		(unsigned long long)cr->cap_inheritable, (unsigned long long)cr->cap_permitted,
		(unsigned long long)cr->cap_effective, (unsigned long long)cr->cap_bset,
		(unsigned long long)cr->cap_ambient);
	cred_put(cr);
	buf_fmt(b, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%u\n", t->no_new_privs,
		task_seccomp_mode(t), task_seccomp_count(t));
	buf_fmt(b, "Speculation_Store_Bypass:\tnot vulnerable\nSpeculationIndirectBranch:\tnot affected\n");
	buf_fmt(b, "Cpus_allowed:\t");
	cpumask_show(t->affinity, b);
	buf_fmt(b, "\nCpus_allowed_list:\t");
	cpumask_show_list(t->affinity, b);
	buf_fmt(b, "\nMems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n");
	struct rusage_sum ru;
	task_usage(t, &ru);
	buf_fmt(b, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
		(unsigned long long)ru.nvcsw, (unsigned long long)ru.nivcsw);
	return 0;
}

int proc_pid_limits(const struct pseudo_ctx *c, struct buf *b)
{
	static const struct { const char *name, *unit; int which; } rows[] = {
		{"Max cpu time", "seconds", RLIMIT_CPU}, {"Max file size", "bytes", RLIMIT_FSIZE},
		{"Max data size", "bytes", RLIMIT_DATA}, {"Max stack size", "bytes", RLIMIT_STACK},
		{"Max core file size", "bytes", RLIMIT_CORE}, {"Max resident set", "bytes", RLIMIT_RSS},
		{"Max processes", "processes", RLIMIT_NPROC}, {"Max open files", "files", RLIMIT_NOFILE},
		{"Max locked memory", "bytes", RLIMIT_MEMLOCK}, {"Max address space", "bytes", RLIMIT_AS},
		{"Max file locks", "locks", RLIMIT_LOCKS}, {"Max pending signals", "signals", RLIMIT_SIGPENDING},
		{"Max msgqueue size", "bytes", RLIMIT_MSGQUEUE}, {"Max nice priority", "", RLIMIT_NICE},
		{"Max realtime priority", "", RLIMIT_RTPRIO}, {"Max realtime timeout", "us", RLIMIT_RTTIME},
	};

	buf_fmt(b, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < array_size(rows); i++) {
		const struct l_rlimit *l = &c->task->proc->rlim[rows[i].which];
		char soft[24] = "unlimited", hard[24] = "unlimited";
		if (l->cur != UINT64_MAX)
			fmt_n(soft, sizeof(soft), "%llu", (unsigned long long)l->cur);
		if (l->max != UINT64_MAX)
			fmt_n(hard, sizeof(hard), "%llu", (unsigned long long)l->max);
		buf_fmt(b, "%-25s %-20s %-20s ", rows[i].name, soft, hard);
		buf_fmt(b, *rows[i].unit ? "%-10s\n" : "%s\n", rows[i].unit);
	}
	return 0;
}

int proc_pid_io(const struct pseudo_ctx *c, struct buf *b)
{
	struct rusage_sum ru;

	if (task_may_ptrace(c->reader, c->task, 1))
		return -EACCES;
	process_usage(c->task->proc, &ru);
	buf_fmt(b, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n"
		   "read_bytes: %llu\nwrite_bytes: %llu\ncancelled_write_bytes: 0\n",
		(unsigned long long)ru.inblock * 512, (unsigned long long)ru.oublock * 512, 0ull, 0ull,
		(unsigned long long)ru.inblock * 512, (unsigned long long)ru.oublock * 512);
	return 0;
}

int proc_pid_schedstat(const struct pseudo_ctx *c, struct buf *b)
{
	struct rusage_sum ru;

	task_usage(c->task, &ru);
	buf_fmt(b, "%llu 0 %llu\n", (unsigned long long)(ru.utime + ru.stime),
		(unsigned long long)(ru.nvcsw + ru.nivcsw));
	return 0;
}

int proc_pid_sched(const struct pseudo_ctx *c, struct buf *b)
{
	struct rusage_sum ru;
	struct task *t = c->task;

	task_usage(t, &ru);
	buf_fmt(b, "%s (%d, #threads: %u)\n", t->comm, task_pid_nr(t, proc_ns(c)), t->proc->nr_threads);
	buf_fmt(b, "-------------------------------------------------------------------\n");
	buf_fmt(b, "%-45s:%21llu.%06llu\n", "se.sum_exec_runtime",
		(unsigned long long)((ru.utime + ru.stime) / 1000000),
		(unsigned long long)((ru.utime + ru.stime) % 1000000));
	buf_fmt(b, "%-45s:%21llu\n", "nr_switches", (unsigned long long)(ru.nvcsw + ru.nivcsw));
	buf_fmt(b, "%-45s:%21d\n%-45s:%21d\n", "policy", t->sched_policy, "prio", 120 + t->nice);
	return 0;
}

int proc_pid_wchan(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%s", proc_state_char(c->task) == 'S' ? "wait_sleep" : "0");
	return 0;
}

int proc_pid_syscall(const struct pseudo_ctx *c, struct buf *b)
{
	struct task *t = c->task;

	if (task_may_ptrace(c->reader, t, 2))
		return -EPERM;
	if (t->in_syscall && __atomic_load_n(&t->state, __ATOMIC_RELAXED) != TASK_GUEST)
		buf_fmt(b, "%d 0x0 0x0 0x0 0x0 0x0 0x0 0x0 0x0\n", (int)t->syscall_nr);
	else
		buf_fmt(b, "running\n");
	return 0;
}

int proc_pid_comm(const struct pseudo_ctx *c, struct buf *b)
{
	comm_add(b, c->task->comm, true);
	buf_fmt(b, "\n");
	return 0;
}

int64_t proc_pid_comm_store(const struct pseudo_ctx *c, char *text, size_t n)
{
	if (c->reader->proc != c->task->proc)
		return -EINVAL;
	n = min(n, sizeof(c->task->comm) - 1);
	if (n && text[n - 1] == '\n')
		n--;
	mutex_lock(&tasks_lock);
	memset(c->task->comm, 0, sizeof(c->task->comm));
	memcpy(c->task->comm, text, n);
	mutex_unlock(&tasks_lock);
	return 0;
}
