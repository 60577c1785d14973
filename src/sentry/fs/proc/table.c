/* SPDX-License-Identifier: Apache-2.0 */
/* Every path of /proc, one line each, and the proc superblock. */
#include <errno.h>
#include <sched.h>
#include <sys/stat.h>
#include <linux/magic.h>

#include "sentry/core/kheap.h"
#include "sentry/fs/proc/pid.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/fs/proc/system.h"
#include "sentry/net/net.h"
#include "sentry/sysv/sysv.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

#define RO (S_IFREG | 0444)
#define RW (S_IFREG | 0644)
#define USER (S_IFREG | 0400)
#define LNK (S_IFLNK | 0777)
#define NET(name) {.path = "net/" name, .show = proc_net_show}
#define FIXED(name, id) {.path = name, .show = proc_fixed, .arg = id}
#define NS(name, flag)                                                                             \
	{.path = "ns/" name, .mode = LNK, .arg = flag, .readlink = proc_pid_ns_readlink,           \
	 .follow = proc_pid_ns_follow}

/* The first entry stands for the root directory too: its `dir` lists the pids. */
static const struct pseudo_entry root_entries[] = {
	{.path = "self", .mode = LNK, .readlink = proc_self_readlink, .dir = &proc_pids_dir},
	{.path = "thread-self", .mode = LNK, .readlink = proc_thread_self_readlink},
	{.path = "mounts", .mode = LNK, .arg = LINK_MOUNTS, .readlink = proc_text_readlink},
	{.path = "net", .mode = LNK, .arg = LINK_NET, .readlink = proc_text_readlink},
	{.path = "meminfo", .show = proc_meminfo},
	{.path = "cpuinfo", .show = proc_cpuinfo},
	{.path = "stat", .show = proc_stat},
	{.path = "uptime", .show = proc_uptime},
	{.path = "loadavg", .show = proc_loadavg},
	{.path = "version", .show = proc_version},
	{.path = "cmdline", .show = proc_cmdline},
	{.path = "filesystems", .show = proc_filesystems},
	{.path = "devices", .show = proc_devices},
	{.path = "cgroups", .show = proc_cgroups},
	{.path = "vmstat", .show = proc_vmstat},
	{.path = "interrupts", .show = proc_interrupts},
	{.path = "softirqs", .show = proc_softirqs},
	{.path = "locks", .show = proc_locks},
	FIXED("swaps", FIXED_SWAPS),
	FIXED("partitions", FIXED_PARTITIONS),
	FIXED("diskstats", FIXED_EMPTY),
	FIXED("modules", FIXED_EMPTY),
	FIXED("misc", FIXED_MISC),
	FIXED("crypto", FIXED_CRYPTO),
	FIXED("execdomains", FIXED_EXECDOMAINS),
	FIXED("consoles", FIXED_CONSOLES),
	FIXED("buddyinfo", FIXED_BUDDYINFO),
	FIXED("zoneinfo", FIXED_ZONEINFO),
	FIXED("key-users", FIXED_KEY_USERS),
	FIXED("keys", FIXED_EMPTY),
	FIXED("schedstat", FIXED_SCHEDSTAT),
	FIXED("mdstat", FIXED_MDSTAT),
	FIXED("fb", FIXED_EMPTY),
	FIXED("kallsyms", FIXED_EMPTY),
	FIXED("iomem", FIXED_EMPTY),
	FIXED("ioports", FIXED_EMPTY),
	FIXED("tty/drivers", FIXED_TTY_DRIVERS),
	FIXED("acpi/wakeup", FIXED_EMPTY),
	FIXED("dma", FIXED_DMA),
	FIXED("bus/input/devices", FIXED_EMPTY),
	FIXED("bus/pci/devices", FIXED_EMPTY),
	FIXED("mtrr", FIXED_EMPTY),
	{.path = "driver", .mode = S_IFDIR | 0555},
	{.path = "fs", .mode = S_IFDIR | 0555},
	{.path = "irq", .mode = S_IFDIR | 0555},
	FIXED("slabinfo", FIXED_SLABINFO),
	FIXED("timer_list", FIXED_EMPTY),
	FIXED("vmallocinfo", FIXED_EMPTY),
	FIXED("pagetypeinfo", FIXED_EMPTY),
	{.path = "sysvipc/shm", .arg = SYSV_SHM, .show = proc_sysvipc},
	{.path = "sysvipc/sem", .arg = SYSV_SEM, .show = proc_sysvipc},
	{.path = "sysvipc/msg", .arg = SYSV_MSG, .show = proc_sysvipc},
	FIXED("pressure/cpu", FIXED_PRESSURE),
	FIXED("pressure/memory", FIXED_PRESSURE),
	FIXED("pressure/io", FIXED_PRESSURE),
#define VAR(p, id, first, lo, hi)                                                                  \
	{.path = p, .mode = RW, .arg = SYSCTL_##id, .show = sysctl_var_show, .store = sysctl_var_store},
#define TEXT(p, id)                                                                                \
	{.path = p, .mode = RW, .arg = SYSCTL_##id, .show = sysctl_text_show, .store = sysctl_text_store},
#define CONST(p, text) {.path = p, .mode = RO, .show = sysctl_const_show},
#include "sentry/fs/proc/sysctl.def"
#undef VAR
#undef TEXT
#undef CONST
};

static const struct pseudo_entry pid_entries[] = {
	{.path = "status", .show = proc_pid_status},
	{.path = "stat", .show = proc_pid_stat},
	{.path = "statm", .show = proc_pid_statm},
	{.path = "cmdline", .show = proc_pid_cmdline},
	{.path = "comm", .mode = RW, .show = proc_pid_comm, .store = proc_pid_comm_store},
	{.path = "environ", .mode = USER, .show = proc_pid_environ},
	{.path = "auxv", .mode = USER, .show = proc_pid_auxv},
	{.path = "maps", .show = proc_pid_maps},
	{.path = "smaps", .show = proc_pid_smaps},
	{.path = "smaps_rollup", .show = proc_pid_smaps_rollup},
	{.path = "numa_maps", .show = proc_pid_numa_maps},
	{.path = "mem", .mode = S_IFREG | 0600, .fops = FOPS_proc_mem},
	{.path = "pagemap", .mode = USER, .fops = FOPS_proc_pagemap},
	{.path = "clear_refs", .mode = S_IFREG | 0200, .store = proc_pid_clear_refs},
	{.path = "exe", .mode = LNK, .readlink = proc_pid_exe_readlink, .follow = proc_pid_exe_follow},
	{.path = "cwd", .mode = LNK, .readlink = proc_pid_cwd_readlink, .follow = proc_pid_cwd_follow},
	{.path = "root", .mode = LNK, .readlink = proc_pid_root_readlink, .follow = proc_pid_root_follow},
	{.path = "fd", .mode = S_IFDIR | 0500, .dir = &proc_fd_dir},
	{.path = "map_files", .whole = true, .mode = S_IFDIR | 0500, .dir = &proc_map_files_dir},
	{.path = "fdinfo", .mode = S_IFDIR | 0555, .dir = &proc_fdinfo_dir},
	{.path = "task", .whole = true, .mode = S_IFDIR | 0555, .dir = &proc_task_dir},
	{.path = "limits", .show = proc_pid_limits},
	{.path = "io", .mode = USER, .show = proc_pid_io},
	{.path = "sched", .mode = RW, .show = proc_pid_sched},
	{.path = "schedstat", .show = proc_pid_schedstat},
	{.path = "autogroup", .whole = true, .mode = RW, .show = proc_pid_autogroup,
	 .store = proc_pid_autogroup_store},
	{.path = "wchan", .show = proc_pid_wchan},
	{.path = "stack", .mode = USER, .show = proc_pid_stack},
	{.path = "syscall", .mode = USER, .show = proc_pid_syscall},
	{.path = "personality", .mode = USER, .show = proc_pid_personality},
	{.path = "oom_score", .show = proc_pid_oom_score},
	{.path = "oom_score_adj", .mode = RW, .show = proc_pid_oom_score_adj,
	 .store = proc_pid_oom_score_adj_store},
	{.path = "oom_adj", .mode = RW, .show = proc_pid_oom_adj, .store = proc_pid_oom_adj_store},
	{.path = "loginuid", .mode = RW, .show = proc_pid_loginuid, .store = proc_pid_loginuid_store},
	{.path = "sessionid", .show = proc_pid_sessionid},
	{.path = "coredump_filter", .whole = true, .mode = RW, .show = proc_pid_coredump_filter,
	 .store = proc_pid_coredump_filter_store},
	{.path = "timerslack_ns", .whole = true, .mode = S_IFREG | 0666, .show = proc_pid_timerslack,
	 .store = proc_pid_timerslack_store},
	{.path = "timers", .whole = true, .show = proc_pid_timers},
	{.path = "cgroup", .show = proc_pid_cgroup},
	{.path = "cpuset", .show = proc_pid_cpuset},
	{.path = "children", .show = proc_pid_children},
	{.path = "attr/current", .mode = S_IFREG | 0666, .show = proc_pid_attr},
	{.path = "attr/exec", .mode = S_IFREG | 0666, .show = proc_pid_attr},
	{.path = "attr/fscreate", .mode = S_IFREG | 0666, .show = proc_pid_attr},
	{.path = "attr/prev", .show = proc_pid_attr},
	{.path = "uid_map", .mode = RW, .show = proc_pid_uid_map, .store = proc_pid_uid_map_store},
	{.path = "gid_map", .mode = RW, .show = proc_pid_gid_map, .store = proc_pid_gid_map_store},
	FIXED("arch_status", FIXED_EMPTY),
	{.path = "attr/keycreate", .mode = S_IFREG | 0666, .show = proc_pid_attr},
	{.path = "attr/sockcreate", .mode = S_IFREG | 0666, .show = proc_pid_attr},
	FIXED("ksm_merging_pages", FIXED_ZERO),
	FIXED("ksm_stat", FIXED_KSM),
	{.path = "projid_map", .mode = RW, .show = proc_fixed, .arg = FIXED_EMPTY},
	{.path = "setgroups", .mode = RW, .show = proc_pid_setgroups, .store = proc_pid_setgroups_store},
	{.path = "timens_offsets", .whole = true, .mode = RW, .show = proc_pid_timens,
	 .store = proc_pid_timens_store},
	{.path = "mounts", .show = proc_pid_mounts},
	{.path = "mountinfo", .show = proc_pid_mountinfo},
	{.path = "mountstats", .whole = true, .mode = USER, .show = proc_pid_mountstats},
	NET("anycast6"),
	NET("arp"),
	NET("dev"),
	NET("dev_mcast"),
	NET("dev_snmp6/lo"),
	NET("icmp"),
	NET("icmp6"),
	NET("if_inet6"),
	NET("igmp"),
	NET("igmp6"),
	NET("ipv6_route"),
	NET("mcfilter"),
	NET("mcfilter6"),
	NET("netlink"),
	NET("netstat"),
	NET("packet"),
	NET("protocols"),
	NET("psched"),
	NET("ptype"),
	NET("raw"),
	NET("raw6"),
	NET("route"),
	NET("rt6_stats"),
	NET("rt_cache"),
	NET("snmp"),
	NET("snmp6"),
	NET("sockstat"),
	NET("sockstat6"),
	NET("softnet_stat"),
	NET("stat/rt_cache"),
	NET("tcp"),
	NET("tcp6"),
	NET("udp"),
	NET("udp6"),
	NET("udplite"),
	NET("udplite6"),
	NET("unix"),
	NS("cgroup", CLONE_NEWCGROUP),
	NS("ipc", CLONE_NEWIPC),
	NS("mnt", CLONE_NEWNS),
	NS("net", CLONE_NEWNET),
	NS("pid", CLONE_NEWPID),
	NS("pid_for_children", CLONE_NEWPID),
	NS("time", CLONE_NEWTIME),
	NS("time_for_children", CLONE_NEWTIME),
	NS("user", CLONE_NEWUSER),
	NS("uts", CLONE_NEWUTS),
};

/* What fd/N and fdinfo/N are made of; no directory lists this table. */
static const struct pseudo_entry fd_entries[] = {
	{.path = "fd", .mode = LNK, .readlink = proc_pid_fd_readlink, .follow = proc_pid_fd_follow},
	{.path = "fdinfo", .show = proc_pid_fdinfo_show},
	{.path = "map_files", .mode = S_IFLNK | 0600, .readlink = proc_map_file_readlink,
	 .follow = proc_map_file_follow},
};

const struct pseudo_table proc_root_table = {root_entries, array_size(root_entries)};
const struct pseudo_table proc_pid_table = {pid_entries, array_size(pid_entries)};
const struct pseudo_table proc_fd_table = {fd_entries, array_size(fd_entries)};

/* --- superblock --------------------------------------------------------------------------------------- */

struct pid_ns *proc_ns(const struct pseudo_ctx *c)
{
	return c->pi->inode.sb->priv;
}

struct pid *proc_dir_pid(struct file *f)
{
	struct pseudo_inode *pi;

	if (f->fops != FOPS_pseudo_dir)
		return NULL;
	pi = PSEUDO(f->inode);
	return pi->table == PT_PROC_PID && !pi->prefix && !pi->thread ? pi->pid : NULL;
}

int proc_create(struct pid_ns *ns, struct super **out)
{
	struct super *sb = super_alloc(SOPS_proc, PROC_SUPER_MAGIC, "proc");
	struct inode *root;

	if (!sb)
		return -ENOMEM;
	pid_ns_get(ns);
	sb->fixed_names = true;
	sb->priv = ns;
	int err = pseudo_root(sb, PT_PROC, S_IFDIR | 0555, &root);
	if (!err)
		err = super_set_root(sb, root);
	if (err)
		super_put(sb);
	else
		*out = sb;
	return err;
}

static void proc_destroy(struct super *sb)
{
	pid_ns_put(steal(sb->priv));
}

const struct super_ops proc_super_ops = {.destroy = proc_destroy};
