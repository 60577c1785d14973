/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Prototypes of all handlers; those of rows without one are declared and never defined. */
#include "sentry/syscalls/syscalls.h"

#define X(nr, name, sig, status, audit, flags, note)                                               \
	int64_t sys_##name(struct task *t, const struct sysargs *a);
#include "sentry/syscalls/table.def"
#undef X
