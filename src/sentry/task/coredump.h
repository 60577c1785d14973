/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Core files (core(5)). */
#include "abi/signal.h"
#include "sentry/task/task.h"

/* The dying task t writes its process's memory and registers to a core file, when limit, dumpable
 * flag and pattern allow. The other threads end, and wait in core_join until it is written. */
bool core_dump(struct task *t, int sig, const struct l_siginfo *info);
/* A task that ends: if its process is being dumped, hands over its registers and waits. */
void core_join(struct task *t);
