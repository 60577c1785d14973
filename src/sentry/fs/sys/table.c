/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs: the little of /sys that programs look at. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <linux/magic.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sys.h"

#define LNK (S_IFLNK | 0777)
#define DIRECTORY (S_IFDIR | 0555)

/* Files whose text is fixed; an entry's arg indexes this list. */
enum { T_LO_TYPE, T_LO_MTU, T_LO_ADDRESS, T_LO_STATE, T_LO_FLAGS, T_ONE, T_ZERO, T_THP, T_THP_DEFRAG,
       T_EMPTY, T_CLOCK, T_TXQ, T_CLUSTER, T_CAPACITY, T_KERNEL_MAX, T_DISTANCE, T_SMT, T_NUMASTAT,
       T_ENDIAN, T_BITS, T_LO_UEVENT, T_SIX, T_HEX0, T_PMD };
static const char *const texts[] = {
	[T_LO_TYPE] = "772\n", [T_LO_MTU] = "65536\n", [T_LO_ADDRESS] = "00:00:00:00:00:00\n",
	[T_LO_STATE] = "unknown\n", [T_LO_FLAGS] = "0x9\n", [T_ONE] = "1\n", [T_ZERO] = "0\n",
	[T_THP] = "always [madvise] never\n",
	[T_THP_DEFRAG] = "always defer defer+madvise [madvise] never\n",
	[T_EMPTY] = "", [T_CLOCK] = "tsc\n", [T_TXQ] = "1000\n", [T_CLUSTER] = "65535\n",
	[T_CAPACITY] = "1024\n", [T_KERNEL_MAX] = "8191\n", [T_DISTANCE] = "10\n", [T_SMT] = "notsupported\n",
	[T_NUMASTAT] = "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\ninterleave_hit 0\nlocal_node 0\nother_node 0\n",
	[T_ENDIAN] = "little\n", [T_BITS] = "64\n", [T_LO_UEVENT] = "INTERFACE=lo\nIFINDEX=1\n",
	[T_SIX] = "6\n", [T_HEX0] = "0x0\n", [T_PMD] = "2097152\n",
};

static int sys_text(const struct pseudo_ctx *c, struct buf *b)
{
	buf_fmt(b, "%s", texts[c->e->arg]);
	return 0;
}

static int64_t sys_lo_link(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	static const char text[] = "../../devices/virtual/net/lo";

	(void)c;
	size_t n = min(sizeof(text) - 1, cap);
	memcpy(buf, text, n);
	return (int64_t)n;
}

static int cpu_lookup(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out)
{
	int64_t nr = len > 3 && !memcmp(name, "cpu", 3) ? pseudo_parse_nr(name + 3, len - 3) : -1;

	if (nr < 0 || nr >= host_facts->ncpus)
		return -ENOENT;
	return pseudo_make(c->pi->inode.sb, PT_SYS_CPU, "", NULL, false, (uint64_t)nr, out);
}

static int cpu_iterate(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base)
{
	(void)c, (void)f;
	for (uint64_t i = (uint64_t)(e->pos - base); i < host_facts->ncpus; i++) {
		char name[24];
		size_t n = fmt_n(name, sizeof(name), "cpu%llu", (unsigned long long)i);
		if (dir_emit(e, name, n, 0x400000000ull + i, DT_DIR, base + (int64_t)i + 1))
			return 0;
		e->pos = base + (int64_t)i + 1;
	}
	return 0;
}

static const struct pseudo_dir_ops cpu_dir = {.lookup = cpu_lookup, .iterate = cpu_iterate};

#define LO "devices/virtual/net/lo/"
#define THP "kernel/mm/transparent_hugepage/"
#define TEXT(p, id) {.path = p, .show = sys_text, .arg = id}

static const struct pseudo_entry entries[] = {
	{.path = "block", .mode = DIRECTORY},
	{.path = "bus", .mode = DIRECTORY},
	{.path = "class/net/lo", .mode = LNK, .readlink = sys_lo_link},
	{.path = "class/tty", .mode = DIRECTORY},
	{.path = "class/block", .mode = DIRECTORY},
	{.path = "class/thermal", .mode = DIRECTORY},
	{.path = "class/power_supply", .mode = DIRECTORY},
	{.path = "class/hwmon", .mode = DIRECTORY},
	{.path = "dev/block", .mode = DIRECTORY},
	{.path = "dev/char", .mode = DIRECTORY},
	{.path = "devices/system/cpu", .mode = DIRECTORY, .dir = &cpu_dir},
	{.path = "devices/system/cpu/online", .show = sys_cpus, .arg = CPUS_ALL_LIST},
	{.path = "devices/system/cpu/present", .show = sys_cpus, .arg = CPUS_ALL_LIST},
	{.path = "devices/system/cpu/possible", .show = sys_cpus, .arg = CPUS_ALL_LIST},
	TEXT("devices/system/cpu/kernel_max", T_KERNEL_MAX),
	TEXT("devices/system/cpu/smt/active", T_ZERO),
	TEXT("devices/system/cpu/smt/control", T_SMT),
	TEXT("devices/system/cpu/isolated", T_EMPTY),
	TEXT("devices/system/cpu/offline", T_EMPTY),
	TEXT("devices/system/node/online", T_ZERO),
	TEXT("devices/system/node/possible", T_ZERO),
	{.path = "devices/system/node/node0/cpulist", .show = sys_cpus, .arg = CPUS_ALL_LIST},
	{.path = "devices/system/node/node0/cpumap", .show = sys_cpus, .arg = CPUS_ALL_MAP},
	{.path = "devices/system/node/node0/meminfo", .show = sys_node_meminfo},
	TEXT("devices/system/node/node0/distance", T_DISTANCE),
	TEXT("devices/system/node/node0/numastat", T_NUMASTAT),
	TEXT("devices/system/node/has_cpu", T_ZERO),
	TEXT("devices/system/node/has_memory", T_ZERO),
	TEXT("devices/system/node/has_normal_memory", T_ZERO),
	TEXT("devices/system/clocksource/clocksource0/current_clocksource", T_CLOCK),
	TEXT("devices/system/clocksource/clocksource0/available_clocksource", T_CLOCK),
	TEXT(LO "type", T_LO_TYPE),
	TEXT(LO "mtu", T_LO_MTU),
	TEXT(LO "address", T_LO_ADDRESS),
	TEXT(LO "broadcast", T_LO_ADDRESS),
	TEXT(LO "operstate", T_LO_STATE),
	TEXT(LO "flags", T_LO_FLAGS),
	TEXT(LO "ifindex", T_ONE),
	TEXT(LO "iflink", T_ONE),
	TEXT(LO "addr_len", T_SIX),
	TEXT(LO "addr_assign_type", T_ZERO),
	TEXT(LO "carrier_changes", T_ZERO),
	TEXT(LO "dev_id", T_HEX0),
	TEXT(LO "dev_port", T_ZERO),
	TEXT(LO "dormant", T_ZERO),
	TEXT(LO "ifalias", T_EMPTY),
	TEXT(LO "link_mode", T_ZERO),
	TEXT(LO "netdev_group", T_ZERO),
	TEXT(LO "proto_down", T_ZERO),
	TEXT(LO "uevent", T_LO_UEVENT),
	TEXT(LO "carrier", T_ONE),
	TEXT(LO "tx_queue_len", T_TXQ),
	{.path = "firmware", .mode = DIRECTORY},
	{.path = "fs/cgroup", .mode = DIRECTORY},
	TEXT(THP "enabled", T_THP),
	TEXT(THP "defrag", T_THP_DEFRAG),
	TEXT("kernel/mm/ksm/run", T_ZERO),
	TEXT("kernel/mm/transparent_hugepage/hpage_pmd_size", T_PMD),
	{.path = "kernel/mm/hugepages", .mode = DIRECTORY},
	TEXT("kernel/cpu_byteorder", T_ENDIAN),
	TEXT("kernel/address_bits", T_BITS),
	{.path = "kernel/security", .mode = DIRECTORY},
	{.path = "kernel/debug", .mode = DIRECTORY},
	{.path = "module", .mode = DIRECTORY},
	{.path = "power", .mode = DIRECTORY},
};

/* One CPU's directory. */
#define CPUS(p, what) {.path = p, .show = sys_cpus, .arg = what}
#define CACHE(n, p, what) {.path = "cache/index" #n "/" p, .show = sys_cache, .arg = (n) << 8 | (what)}
#define CACHE_INDEX(n)                                                                             \
	CACHE(n, "id", CACHE_ID), CACHE(n, "level", CACHE_LEVEL), CACHE(n, "type", CACHE_TYPE),    \
	CACHE(n, "size", CACHE_SIZE), CACHE(n, "coherency_line_size", CACHE_LINE),                \
	CACHE(n, "number_of_sets", CACHE_SETS), CACHE(n, "ways_of_associativity", CACHE_WAYS),    \
	CACHE(n, "physical_line_partition", CACHE_PARTITION),                                     \
	CACHE(n, "shared_cpu_list", CACHE_LIST), CACHE(n, "shared_cpu_map", CACHE_MAP)
static const struct pseudo_entry cpu_entries[] = {
	CPUS("topology/core_id", CPUS_ME),
	TEXT("topology/physical_package_id", T_ZERO),
	TEXT("topology/die_id", T_ZERO),
	TEXT("topology/cluster_id", T_CLUSTER),
	CPUS("topology/core_cpus", CPUS_ME_MAP),
	CPUS("topology/core_cpus_list", CPUS_ME_LIST),
	CPUS("topology/thread_siblings", CPUS_ME_MAP),
	CPUS("topology/thread_siblings_list", CPUS_ME_LIST),
	CPUS("topology/cluster_cpus", CPUS_ME_MAP),
	CPUS("topology/cluster_cpus_list", CPUS_ME_LIST),
	CPUS("topology/core_siblings", CPUS_ALL_MAP),
	CPUS("topology/core_siblings_list", CPUS_ALL_LIST),
	CPUS("topology/package_cpus", CPUS_ALL_MAP),
	CPUS("topology/package_cpus_list", CPUS_ALL_LIST),
	CPUS("topology/die_cpus", CPUS_ALL_MAP),
	CPUS("topology/die_cpus_list", CPUS_ALL_LIST),
	TEXT("online", T_ONE),
	TEXT("cpu_capacity", T_CAPACITY),
	CACHE_INDEX(0), CACHE_INDEX(1), CACHE_INDEX(2), CACHE_INDEX(3),
};

const struct pseudo_table sys_table = {entries, array_size(entries)};
const struct pseudo_table sys_cpu_table = {cpu_entries, array_size(cpu_entries)};

int sysfs_create(struct super **out)
{
	struct super *sb = super_alloc(SOPS_sysfs, SYSFS_MAGIC, "sysfs");
	struct inode *root;

	if (!sb)
		return -ENOMEM;
	int err = pseudo_root(sb, PT_SYS, S_IFDIR | 0555, &root);
	if (!err)
		err = super_set_root(sb, root);
	if (err)
		super_put(sb);
	else
		*out = sb;
	return err;
}

const struct super_ops sysfs_super_ops = {0};
