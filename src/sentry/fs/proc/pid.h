/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The texts of /proc/PID, implemented in pid_*.c and listed in table.c. */
#include "sentry/fs/proc/proc.h"

proc_show proc_pid_stat, proc_pid_statm, proc_pid_status, proc_pid_limits, proc_pid_io,
	proc_pid_schedstat, proc_pid_sched, proc_pid_wchan, proc_pid_syscall, proc_pid_comm;
proc_store proc_pid_comm_store;

proc_show proc_pid_cmdline, proc_pid_environ, proc_pid_auxv, proc_pid_maps, proc_pid_smaps,
	proc_pid_smaps_rollup, proc_pid_stack, proc_pid_numa_maps;
proc_store proc_pid_clear_refs;

proc_show proc_pid_oom_score, proc_pid_oom_score_adj, proc_pid_oom_adj, proc_pid_loginuid,
	proc_pid_sessionid, proc_pid_personality, proc_pid_coredump_filter, proc_pid_timerslack,
	proc_pid_timers, proc_pid_cgroup, proc_pid_cpuset, proc_pid_attr, proc_pid_uid_map,
	proc_pid_gid_map, proc_pid_setgroups, proc_pid_timens, proc_pid_children, proc_pid_autogroup;
proc_store proc_pid_oom_score_adj_store, proc_pid_oom_adj_store, proc_pid_coredump_filter_store,
	proc_pid_uid_map_store, proc_pid_gid_map_store, proc_pid_setgroups_store,
	proc_pid_timens_store, proc_pid_timerslack_store, proc_pid_loginuid_store,
	proc_pid_autogroup_store;

proc_show proc_pid_mounts, proc_pid_mountinfo, proc_pid_mountstats;

int64_t proc_pid_exe_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int64_t proc_pid_cwd_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int64_t proc_pid_root_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int64_t proc_pid_fd_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int proc_pid_exe_follow(const struct pseudo_ctx *c, struct path *out);
int proc_pid_cwd_follow(const struct pseudo_ctx *c, struct path *out);
int proc_pid_root_follow(const struct pseudo_ctx *c, struct path *out);
int proc_pid_fd_follow(const struct pseudo_ctx *c, struct path *out);
int64_t proc_pid_ns_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int proc_pid_ns_follow(const struct pseudo_ctx *c, struct path *out);
proc_show proc_pid_fdinfo_show;
/* The text of a path as the reader sees it; consumes p. */
int64_t proc_path_readlink(const struct pseudo_ctx *c, struct path *p, char *buf, size_t cap);
int64_t proc_map_file_readlink(const struct pseudo_ctx *c, char *buf, size_t cap);
int proc_map_file_follow(const struct pseudo_ctx *c, struct path *out);
extern const struct pseudo_dir_ops proc_map_files_dir;
extern const struct pseudo_dir_ops proc_fd_dir, proc_fdinfo_dir, proc_task_dir, proc_pids_dir;

char proc_state_char(struct task *t);
/* The task's address space with a reference, or NULL (zombie). */
struct mm *proc_mm_get(const struct pseudo_ctx *c);
