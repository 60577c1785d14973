/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The content of a core file; between coredump.c and core_elf.c. */
#include "abi/signal.h"
#include "abi/x86_64/regs.h"
#include "sentry/task/task.h"

struct core_thread {
	struct list link;
	struct l_regs regs;
	int32_t tid;
	l_sigset pending, blocked;
	size_t xstate_n;
	uint8_t xstate[];
};

struct core {
	refcount_t ref;
	struct task *dumper;		/* borrowed */
	struct mm *mm;			/* compared only */
	int sig;
	struct l_siginfo info;
	uint64_t limit;			/* bytes of the file */
	struct list threads;		/* struct core_thread, the dumper's first; sighand lock */
	uint32_t joined;		/* a: threads that have handed over; futex word */
	uint32_t done;			/* a: futex word */
};

/* Writes it all; stops quietly at the limit, as Linux. */
must_check int core_write(struct task *t, struct core *d, struct file *f);
