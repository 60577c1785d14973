/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/fs/proc/proc.h"

enum fixed_text {
	FIXED_EMPTY, FIXED_SWAPS, FIXED_PARTITIONS, FIXED_MISC, FIXED_EXECDOMAINS, FIXED_CONSOLES,
	FIXED_TTY_DRIVERS, FIXED_BUDDYINFO, FIXED_ZONEINFO, FIXED_PRESSURE, FIXED_KEY_USERS,
	FIXED_SCHEDSTAT, FIXED_MDSTAT, FIXED_CRYPTO, FIXED_DMA, FIXED_SLABINFO, FIXED_ZERO, FIXED_KSM
};
enum { LINK_MOUNTS, LINK_NET };

proc_show proc_meminfo, proc_vmstat, proc_uptime, proc_loadavg, proc_stat, proc_cpuinfo, proc_version,
	proc_cmdline, proc_filesystems, proc_devices, proc_cgroups, proc_fixed, proc_interrupts,
	proc_softirqs, proc_locks, proc_sysvipc;
int64_t proc_self_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int64_t proc_thread_self_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int64_t proc_text_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
