/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* ptrace(2): task->ptrace flags and what the other files of task/ call. */
#include "sentry/task/task.h"

enum { PT_PTRACED = 1, PT_SEIZED = 2 };

enum {
	PTRACE_EVENT_FORK_ = 1, PTRACE_EVENT_VFORK_, PTRACE_EVENT_CLONE_, PTRACE_EVENT_EXEC_,
	PTRACE_EVENT_VFORK_DONE_, PTRACE_EVENT_EXIT_, PTRACE_EVENT_SECCOMP_, PTRACE_EVENT_STOP_ = 128
};

enum { PTRACE_MODE_READ_ = 1, PTRACE_MODE_ATTACH_ = 2, PTRACE_MODE_REALCREDS_ = 16 };

/* An event stop if the tracer asked for it. */
void ptrace_event(struct task *t, int event, uint64_t msg);
bool ptrace_event_enabled(const struct task *t, int event);
void ptrace_event_exit(struct task *t);
void ptrace_exec(struct task *t, int32_t old_nr);
/* False: the call is not to be made (SYSEMU, or the task is being killed). The tracer may have
 * changed number and arguments, which are read from the registers afterwards. */
bool ptrace_syscall_enter(struct task *t);
void ptrace_syscall_exit(struct task *t);
void ptrace_handler_entered(struct task *t);
/* A single step has trapped: true when it was only made for the debug registers and nothing was
 * hit; the task goes on. Else *info says what the tracer is told. */
unsigned ptrace_watch_len(uint64_t dr7, unsigned i);
bool ptrace_debug_step(struct task *t, struct l_siginfo *info);
static inline bool ptrace_debug_on(const struct task *t)
{
	return t->ptrace && (t->dr[7] & 0xff);
}
/* S held, dropped and retaken: what is left of a signal that a tracer sees first. */
int ptrace_signal(struct task *t, int sig, struct l_siginfo *info);
/* T held for these. */
void ptrace_inherit(struct task *parent, struct task *child, uint64_t clone_flags);
void ptrace_unlink(struct task *t);
void ptrace_exit_tracer(struct task *t, struct list *dead);
void ptrace_unlink_if_dead_leader(struct task *leader);
int64_t ptrace_request(struct task *t, int64_t req, int32_t pid, uint64_t addr, uint64_t data);
/* ptrace_regs.c: on a frozen tracee */
int64_t ptrace_regs_request(struct task *t, struct task *c, int64_t req, uint64_t addr, uint64_t data);
