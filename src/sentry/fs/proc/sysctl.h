/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/fs/proc/proc.h"

enum sysctl_var {
#define VAR(path, id, first, lo, hi) SYSCTL_##id,
#define TEXT(path, id)
#define CONST(path, text)
#include "sentry/fs/proc/sysctl.def"
#undef VAR
#undef TEXT
#undef CONST
	SYSCTL_VARS
};

enum sysctl_text {
#define VAR(path, id, first, lo, hi)
#define TEXT(path, id) SYSCTL_##id,
#define CONST(path, text)
#include "sentry/fs/proc/sysctl.def"
#undef VAR
#undef TEXT
#undef CONST
};

must_check int sysctl_init(void);
int64_t sysctl_get(enum sysctl_var v);
proc_show sysctl_var_show, sysctl_const_show, sysctl_text_show;
proc_store sysctl_var_store, sysctl_text_store;
