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

int64_t syscall_dispatch(struct task *t, uint32_t nr, const struct sysargs *a);
const char *syscall_name(uint32_t nr);
/* Needs the complete register set before it is dispatched (SF_REGS). */
bool syscall_needs_regs(uint32_t nr);
