/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: what the machine says of itself. The numbers are the sandbox's own, not the host's. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/proc/system.h"
#include "sentry/sysv/sysv.h"
#include "sentry/task/ns.h"
#include "sentry/task/rusage.h"
#include "sentry/task/uname.h"
#include "sentry/time/time.h"

#define NS_PER_S 1000000000ull
#define TICK_NS 10000000ull

struct host_facts *host_facts;

/* --- facts ------------------------------------------------------------------------------------- */

int host_facts_set(uint64_t mem_total, uint32_t ncpus, const char *cpuinfo)
{
	struct host_facts *h = kmalloc(sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->mem_total = mem_total ? mem_total : 1ull << 30;
	h->cpuinfo = kstrdup(cpuinfo);
	for (const char *p = cpuinfo; (p = strstr(p, "processor\t")); p++)
		h->ncpus++;
	h->ncpus = max(h->ncpus, ncpus);
	h->boot_real = (uint64_t)now_real().sec;
	h->start_mono = now_mono();
	host_facts = h;
	return 0;
}

/* --- memory -------------------------------------------------------------------------------------- */

/* Resident anonymous memory of all processes, an estimate. */
static uint64_t total_anon(void)
{
	uint64_t sum = 0;
	struct task *t;
	int32_t after = 0;

	while ((t = process_next(task_root->pid_ns, after)) != NULL) {
		struct mm *mm = task_mm_get(t);
		after = task_tgid_nr(t, task_root->pid_ns);
		if (mm) {
			uint64_t rss = mm_rss(mm);
			sum += rss - min(rss, mm_rss_shared(mm));
			mm_put(mm);
		}
		task_put(t);
	}
	return sum;
}

void proc_mem_facts(struct mem_facts *m)
{
	uint64_t limit = charge_limit();
	uint64_t file = charge_used(CHARGE_FILE), kernel = charge_used(CHARGE_KERNEL);
	uint64_t anon = total_anon();

	*m = (struct mem_facts){0};
	m->total = limit && limit < host_facts->mem_total ? limit : host_facts->mem_total;
	m->shmem = file;
	m->cached = file;
	m->slab = kernel;
	m->anon = anon;
	uint64_t used = file + kernel + anon;
	m->free = used < m->total ? m->total - used : 4096;
	m->available = m->free;
}

int proc_meminfo(const struct pseudo_ctx *c, struct buf *b)
{
	struct mem_facts m;

	(void)c;
	proc_mem_facts(&m);
	struct { const char *name; uint64_t bytes; } rows[] = {
		{"MemTotal:", m.total}, {"MemFree:", m.free}, {"MemAvailable:", m.available},
		{"Buffers:", 0}, {"Cached:", m.cached}, {"SwapCached:", 0},
		{"Active:", m.anon + m.cached / 2}, {"Inactive:", m.cached / 2},
		{"Active(anon):", m.anon}, {"Inactive(anon):", 0}, {"Active(file):", m.cached / 2},
		{"Inactive(file):", m.cached / 2}, {"Unevictable:", 0}, {"Mlocked:", 0},
		{"SwapTotal:", 0}, {"SwapFree:", 0}, {"Zswap:", 0}, {"Zswapped:", 0}, {"Dirty:", 0},
		{"Writeback:", 0}, {"AnonPages:", m.anon}, {"Mapped:", m.mapped}, {"Shmem:", m.shmem},
		{"KReclaimable:", m.slab / 2}, {"Slab:", m.slab}, {"SReclaimable:", m.slab / 2},
		{"SUnreclaim:", m.slab / 2}, {"KernelStack:", 0}, {"PageTables:", m.anon / 512},
		{"SecPageTables:", 0}, {"NFS_Unstable:", 0}, {"Bounce:", 0}, {"WritebackTmp:", 0},
		{"CommitLimit:", m.total / 2}, {"Committed_AS:", m.anon + m.shmem},
		{"VmallocTotal:", 34359738367ull * 1024}, {"VmallocUsed:", 0}, {"VmallocChunk:", 0},
		{"Percpu:", 0}, {"AnonHugePages:", 0}, {"ShmemHugePages:", 0}, {"ShmemPmdMapped:", 0},
		{"FileHugePages:", 0}, {"FilePmdMapped:", 0},
	};
	for (unsigned i = 0; i < array_size(rows); i++)
		buf_fmt(b, "%-16s%8llu kB\n", rows[i].name, (unsigned long long)rows[i].bytes / 1024);
	buf_fmt(b, "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
		   "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n"
		   "DirectMap4k:    %8llu kB\nDirectMap2M:           0 kB\n",
		(unsigned long long)m.total / 1024);
	return 0;
}

int proc_vmstat(const struct pseudo_ctx *c, struct buf *b)
{
	struct mem_facts m;

	(void)c;
	proc_mem_facts(&m);
	buf_fmt(b, "nr_free_pages %llu\nnr_inactive_anon 0\nnr_active_anon %llu\nnr_inactive_file %llu\n"
		   "nr_active_file 0\nnr_unevictable 0\nnr_mlock 0\nnr_anon_pages %llu\nnr_mapped 0\n"
		   "nr_file_pages %llu\nnr_dirty 0\nnr_writeback 0\nnr_shmem %llu\nnr_slab_reclaimable %llu\n"
		   "pgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n",
		(unsigned long long)m.free / PAGE_SIZE, (unsigned long long)m.anon / PAGE_SIZE,
		(unsigned long long)m.cached / PAGE_SIZE, (unsigned long long)m.anon / PAGE_SIZE,
		(unsigned long long)m.cached / PAGE_SIZE, (unsigned long long)m.shmem / PAGE_SIZE,
		(unsigned long long)m.slab / PAGE_SIZE);
	return 0;
}

/* --- time and load ---------------------------------------------------------------------------------- */

int proc_uptime(const struct pseudo_ctx *c, struct buf *b)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	int64_t off = c->reader ? clock_ns_offset(c->reader, CLOCK_BOOTTIME) : 0;
	uint64_t up = (uint64_t)((int64_t)ts.tv_sec * 100 + ((int64_t)ts.tv_nsec + off) / (int64_t)TICK_NS);
	struct sys_usage u;
	sys_usage_sum(&u);
	uint64_t total = up * host_facts->ncpus, used = (u.utime + u.stime) / TICK_NS;
	uint64_t idle = total > used ? total - used : 0;
	buf_fmt(b, "%llu.%02llu %llu.%02llu\n", (unsigned long long)up / 100, (unsigned long long)up % 100,
		(unsigned long long)idle / 100, (unsigned long long)idle % 100);
	return 0;
}

int proc_loadavg(const struct pseudo_ctx *c, struct buf *b)
{
	struct sys_usage u;
	uint32_t load[3];

	sys_usage_sum(&u);
	sys_loadavg(load);
	for (int i = 0; i < 3; i++)
		buf_fmt(b, "%u.%02u ", load[i] >> 16, ((load[i] & 0xffff) * 100) >> 16);
	buf_fmt(b, "%u/%u %d\n", max(u.running, 1u), u.tasks, proc_ns(c)->last_pid);
	return 0;
}

int proc_stat(const struct pseudo_ctx *c, struct buf *b)
{
	struct sys_usage u;
	uint32_t n = host_facts->ncpus;
	struct timespec ts;

	(void)c;
	sys_usage_sum(&u);
	clock_gettime(CLOCK_BOOTTIME, &ts);
	uint64_t total = ((uint64_t)ts.tv_sec * 100 + (uint64_t)ts.tv_nsec / TICK_NS) * n;
	uint64_t ut = u.utime / TICK_NS, st = u.stime / TICK_NS;
	uint64_t idle = total > ut + st ? total - ut - st : 0;
	buf_fmt(b, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", (unsigned long long)ut, (unsigned long long)st,
		(unsigned long long)idle);
	for (uint32_t i = 0; i < n; i++)
		buf_fmt(b, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", i, (unsigned long long)ut / n,
			(unsigned long long)st / n, (unsigned long long)idle / n);
	buf_fmt(b, "intr 0\nctxt %llu\nbtime %llu\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\n"
		   "softirq 0 0 0 0 0 0 0 0 0 0 0\n",
		(unsigned long long)u.switches,
		(unsigned long long)((uint64_t)now_real().sec - (uint64_t)ts.tv_sec),
		(unsigned long long)u.forks, max(u.running, 1u));
	return 0;
}

/* --- identity ----------------------------------------------------------------------------------------- */

int proc_cpuinfo(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	if (host_facts->cpuinfo)
		buf_add(b, host_facts->cpuinfo, strlen(host_facts->cpuinfo));
	return 0;
}

int proc_version(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "Linux version %s (brig@brig) (gcc, GNU ld) %s\n", UTS_RELEASE, UTS_VERSION);
	return 0;
}

int proc_cmdline(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "BOOT_IMAGE=brig ro quiet\n");
	return 0;
}

int proc_filesystems(const struct pseudo_ctx *c, struct buf *b)
{
	static const char *const nodev[] = {"sysfs", "tmpfs", "proc", "devtmpfs", "cgroup2", "pipefs",
					    "sockfs", "devpts", "mqueue", "overlay"};
	(void)c;
	for (unsigned i = 0; i < array_size(nodev); i++)
		buf_fmt(b, "nodev\t%s\n", nodev[i]);
	return 0;
}

int proc_devices(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n"
		   " 10 misc\n136 pts\n\nBlock devices:\n");
	return 0;
}

int proc_cgroups(const struct pseudo_ctx *c, struct buf *b)
{
	static const char *const names[] = {"cpuset", "cpu", "io", "memory", "devices", "freezer", "pids"};

	(void)c;
	buf_fmt(b, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
	for (unsigned i = 0; i < array_size(names); i++)
		buf_fmt(b, "%s\t0\t1\t1\n", names[i]);
	return 0;
}

/* Arg: the whole text of files that say the same on every brig. */
int proc_fixed(const struct pseudo_ctx *c, struct buf *b)
{
	static const char *const texts[] = {
		[FIXED_EMPTY] = "",
		[FIXED_SWAPS] = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
		[FIXED_PARTITIONS] = "major minor  #blocks  name\n\n",
		[FIXED_MISC] = "",
		[FIXED_EXECDOMAINS] = "0-0\tLinux           \t[kernel]\n",
		[FIXED_CONSOLES] = "tty0                 -WU (EC  p  )    4:1\n",
		[FIXED_TTY_DRIVERS] =
			"/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
			"/dev/console         /dev/console    5       1 system:console\n"
			"/dev/ptmx            /dev/ptmx       5       2 system\n"
			"pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
			"pty_master           /dev/ptm      128 0-1048575 pty:master\n",
		[FIXED_BUDDYINFO] = "Node 0, zone   Normal      1      1      1      1      1      "
				    "1      1      1      1      1      1 \n",
		[FIXED_ZONEINFO] = "Node 0, zone   Normal\n  pages free     0\n",
		[FIXED_PRESSURE] = ("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
				    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"),
		[FIXED_KEY_USERS] = "    0:     1 1/1 1/1000000 9/25000000\n",
		[FIXED_SCHEDSTAT] = "version 16\ntimestamp 0\n",
		[FIXED_MDSTAT] = "Personalities : \nunused devices: <none>\n",
		[FIXED_CRYPTO] = "",
		[FIXED_DMA] = " 4: cascade\n",
		[FIXED_SLABINFO] = "slabinfo - version: 2.1\n"
				   "# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> "
				   ": tunables <limit> <batchcount> <sharedfactor> : slabdata <active_slabs> "
				   "<num_slabs> <sharedavail>\n",
		[FIXED_ZERO] = "0\n",
		[FIXED_KSM] = "ksm_rmap_items 0\nksm_zero_pages 0\nksm_merging_pages 0\nksm_process_profit 0\n"
			      "ksm_merge_any: no\nksm_mergeable: no\n",
	};
	const char *text = c->e->arg < array_size(texts) ? texts[c->e->arg] : NULL;

	if (text)
		buf_add(b, text, strlen(text));
	return 0;
}

int proc_interrupts(const struct pseudo_ctx *c, struct buf *b)
{
	(void)c;
	buf_fmt(b, "    ");
	for (uint32_t i = 0; i < host_facts->ncpus; i++)
		buf_fmt(b, "       CPU%u", i);
	buf_fmt(b, "\nLOC:");
	for (uint32_t i = 0; i < host_facts->ncpus; i++)
		buf_fmt(b, " %10u", 0);
	buf_fmt(b, "   Local timer interrupts\n");
	return 0;
}

int proc_softirqs(const struct pseudo_ctx *c, struct buf *b)
{
	static const char *const names[] = {"HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL",
					    "TASKLET", "SCHED", "HRTIMER", "RCU"};
	(void)c;
	buf_fmt(b, "                    ");
	for (uint32_t i = 0; i < host_facts->ncpus; i++)
		buf_fmt(b, "CPU%-8u", i);
	for (unsigned k = 0; k < array_size(names); k++) {
		buf_fmt(b, "\n%12s:", names[k]);
		for (uint32_t i = 0; i < host_facts->ncpus; i++)
			buf_fmt(b, " %10u", 0);
	}
	buf_fmt(b, "\n");
	return 0;
}

int proc_locks(const struct pseudo_ctx *c, struct buf *b)
{
	locks_show(proc_ns(c), b);
	return 0;
}

int proc_sysvipc(const struct pseudo_ctx *c, struct buf *b)
{
	return c->reader ? sysv_show(c->reader, (int)c->e->arg, b) : -ESRCH;
}

int64_t proc_self_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	int32_t nr = c->reader ? task_tgid_nr(c->reader, proc_ns(c)) : 0;
	char text[16];

	if (!nr)
		return -ENOENT;
	size_t n = min(fmt_n(text, sizeof(text), "%d", nr), cap);
	memcpy(buf, text, n);
	return (int64_t)n;
}

int64_t proc_thread_self_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	struct pid_ns *ns = proc_ns(c);
	char text[48];

	if (!c->reader || !task_tgid_nr(c->reader, ns))
		return -ENOENT;
	size_t n = min(fmt_n(text, sizeof(text), "%d/task/%d", task_tgid_nr(c->reader, ns),
			     task_pid_nr(c->reader, ns)), cap);
	memcpy(buf, text, n);
	return (int64_t)n;
}

/* Links with a text of their own: mounts, net. */
int64_t proc_text_readlink(const struct pseudo_ctx *c, char *buf, size_t cap)
{
	const char *text = c->e->arg == LINK_MOUNTS ? "self/mounts" : "self/net";
	size_t n = min(strlen(text), cap);

	memcpy(buf, text, n);
	return (int64_t)n;
}
