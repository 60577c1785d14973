/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /sys/devices/system/cpu/cpuN and node0: each CPU is a core of its own, all are in one package
 * and one node. Caches are described by cpuid, as Linux does.
 */
#include <cpuid.h>
#include <string.h>

#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sys.h"

/* A list of CPUs [from, to] as a bit map, 32 bits a word. */
static void add_map(struct buf *b, uint32_t from, uint32_t to)
{
	for (uint32_t w = (host_facts->ncpus - 1) / 32 + 1; w-- > 0;) {
		uint32_t bits = 0;

		for (uint32_t i = 0; i < 32; i++)
			if (w * 32 + i >= from && w * 32 + i <= to)
				bits |= 1u << i;
		if (w == (host_facts->ncpus - 1) / 32)	/* as wide as the machine */
			buf_fmt(b, "%x", bits);
		else
			buf_fmt(b, ",%08x", bits);
	}
	buf_addc(b, '\n');
}

static void add_list(struct buf *b, uint32_t from, uint32_t to)
{
	if (from < to)
		buf_fmt(b, "%u-%u\n", from, to);
	else
		buf_fmt(b, "%u\n", from);
}

/* arg: enum sys_cpus. */
int sys_cpus(const struct pseudo_ctx *c, struct buf *b)
{
	uint32_t me = (uint32_t)c->pi->arg, last = host_facts->ncpus - 1;

	switch (c->e->arg) {
	case CPUS_ALL_LIST:
		add_list(b, 0, last);
		break;
	case CPUS_ALL_MAP:
		add_map(b, 0, last);
		break;
	case CPUS_ME_LIST:
		add_list(b, me, me);
		break;
	case CPUS_ME_MAP:
		add_map(b, me, me);
		break;
	case CPUS_ME:
		buf_fmt(b, "%u\n", me);
		break;
	}
	return 0;
}

/* --- caches -------------------------------------------------------------------------------------- */

struct cache {
	uint32_t type, level, line, partitions, ways, sets, sharing;
};

/* The cache of /sys's number `index`; false: there is none. */
static bool cache_of(unsigned index, struct cache *k)
{
	uint32_t a, b, c, d, leaf = 4;

	if (__get_cpuid(0x80000001, &a, &b, &c, &d) && (c & 1u << 22))	/* AMD: topology extensions */
		leaf = 0x8000001d;
	if (!__get_cpuid_count(leaf, index, &a, &b, &c, &d) || !(a & 31))
		return false;
	*k = (struct cache){.type = a & 31, .level = a >> 5 & 7, .line = (b & 0xfff) + 1,
			    .partitions = (b >> 12 & 0x3ff) + 1, .ways = (b >> 22) + 1, .sets = c + 1,
			    .sharing = (a >> 14 & 0xfff) + 1};
	return true;
}

/* arg: index << 8 | enum sys_cache. */
int sys_cache(const struct pseudo_ctx *c, struct buf *b)
{
	static const char *const types[] = {"", "Data", "Instruction", "Unified"};
	uint32_t me = (uint32_t)c->pi->arg, last = host_facts->ncpus - 1;
	struct cache k;

	if (!cache_of((unsigned)c->e->arg >> 8, &k))
		return 0;
	if (k.level < 3)
		last = me;
	else
		me = 0;
	switch (c->e->arg & 0xff) {
	case CACHE_LEVEL:
		buf_fmt(b, "%u\n", k.level);
		break;
	case CACHE_TYPE:
		buf_fmt(b, "%s\n", types[min(k.type, 3u)]);
		break;
	case CACHE_SIZE:
		buf_fmt(b, "%uK\n", k.line * k.partitions * k.ways / 64 * k.sets / 16);
		break;
	case CACHE_LINE:
		buf_fmt(b, "%u\n", k.line);
		break;
	case CACHE_SETS:
		buf_fmt(b, "%u\n", k.sets);
		break;
	case CACHE_WAYS:
		buf_fmt(b, "%u\n", k.ways);
		break;
	case CACHE_PARTITION:
		buf_fmt(b, "%u\n", k.partitions);
		break;
	case CACHE_ID:
		buf_fmt(b, "%u\n", me);
		break;
	case CACHE_LIST:
		add_list(b, me, last);
		break;
	case CACHE_MAP:
		add_map(b, me, last);
		break;
	}
	return 0;
}

/* --- the node -------------------------------------------------------------------------------------- */

int sys_node_meminfo(const struct pseudo_ctx *c, struct buf *b)
{
	struct mem_facts m;

	(void)c;
	proc_mem_facts(&m);
	const struct { const char *name; uint64_t bytes; } rows[] = {
		{"MemTotal:", m.total}, {"MemFree:", m.free}, {"MemUsed:", m.total - min(m.total, m.free)},
		{"SwapCached:", 0}, {"Active:", m.anon + m.cached / 2}, {"Inactive:", m.cached / 2},
		{"Active(anon):", m.anon}, {"Inactive(anon):", 0}, {"Active(file):", m.cached / 2},
		{"Inactive(file):", m.cached / 2}, {"Unevictable:", 0}, {"Mlocked:", 0}, {"Dirty:", 0},
		{"Writeback:", 0}, {"FilePages:", m.cached}, {"Mapped:", m.mapped}, {"AnonPages:", m.anon},
		{"Shmem:", m.shmem}, {"KernelStack:", 0}, {"PageTables:", m.anon / 512},
		{"KReclaimable:", m.slab / 2}, {"Slab:", m.slab}, {"SReclaimable:", m.slab / 2},
		{"SUnreclaim:", m.slab / 2}, {"AnonHugePages:", 0},
	};
	for (unsigned i = 0; i < array_size(rows); i++)
		buf_fmt(b, "Node 0 %-15s %8lu kB\n", rows[i].name, rows[i].bytes / 1024);
	buf_fmt(b, "Node 0 HugePages_Total:     0\nNode 0 HugePages_Free:      0\nNode 0 HugePages_Surp:      0\n");
	return 0;
}
