/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/pseudo/pseudo.h"

extern const struct pseudo_table proc_root_table, proc_pid_table, proc_fd_table, sys_table, sys_cpu_table;

const struct pseudo_table *const pseudo_tables[PT_COUNT] = {
	[PT_PROC] = &proc_root_table,
	[PT_PROC_PID] = &proc_pid_table,
	[PT_PROC_FD] = &proc_fd_table,
	[PT_SYS] = &sys_table,
	[PT_SYS_CPU] = &sys_cpu_table,
};
