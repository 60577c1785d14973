/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The system call layer: table.def has one row per number. Handlers decode and check their
 * arguments, then call the subsystem; they return the result or a negative errno, or one of the
 * internal restart codes below, which task/signal.c converts before the guest sees a register.
 */
#include "abi/uaddr.h"
#include "lib/compiler.h"
#include "sentry/core/restart.h"

struct task;

struct sysargs {
	uint64_t a[6];
};

#define ARG_UADDR(i) UADDR(a->a[i])
#define ARG_INT(i) ((int)(uint32_t)a->a[i])
#define ARG_U32(i) ((uint32_t)a->a[i])

enum {		/* NR_read, ... */
#define X(nr, name, sig, status, audit, flags, note) NR_##name = (nr),
#include "sentry/syscalls/table.def"
#undef X
	NR_LAST
};

enum sys_status { SYS_NONE, SYS_STUB, SYS_PARTIAL, SYS_FULL };
enum sys_audit { AUD_NO, AUD_FILE, AUD_EXEC, AUD_NET, AUD_PROC, AUD_CRED, AUD_SYS };
#define SF_REGS 1u	/* needs the complete register set */
#define SF_NORET 2u	/* does not return to the caller */

typedef int64_t sys_handler(struct task *t, const struct sysargs *a);

struct sys_row {
	const char *name, *sig;
	sys_handler *fn;	/* NULL: ENOSYS */
	uint8_t status, audit, flags;
};

/* The row of a number, or NULL where Linux has none. */
const struct sys_row *syscall_row(uint32_t nr);
int64_t syscall_dispatch(struct task *t, uint32_t nr, const struct sysargs *a);
/* "?" for a number that does not exist. */
const char *syscall_name(uint32_t nr);
/* Needs the complete register set before it is dispatched (SF_REGS). */
bool syscall_needs_regs(uint32_t nr);
/* How often a number was answered ENOSYS for want of a handler; unknown numbers share NR_LAST. */
uint64_t syscall_enosys_count(uint32_t nr);
/* One log line per number that was refused. */
void syscall_log_enosys(void);

/* What the last -ERESTART_RESTARTBLOCK left to do: signal.c */
int64_t syscall_restart(struct task *t);
/* poll(2) goes on after an interruption (RESTART_POLL): poll.c */
int64_t poll_restart(struct task *t);
