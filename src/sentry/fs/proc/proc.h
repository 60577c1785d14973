/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * procfs: what each file says, by file of this folder: pid_*.c for /proc/PID, system.c for the
 * machine, sysctl.c for /proc/sys. table.c lists every path.
 */
#include "sentry/fs/pseudo/pseudo.h"

/* A proc instance shows the pids of one namespace. */
must_check int proc_create(struct pid_ns *ns, struct super **out);
struct pid_ns *proc_ns(const struct pseudo_ctx *c);
/* The process whose directory /proc/PID a file is, borrowed; NULL: it is none. */
struct pid *proc_dir_pid(struct file *f);

typedef int proc_show(const struct pseudo_ctx *c, struct buf *b);
typedef int64_t proc_store(const struct pseudo_ctx *c, char *text, size_t n);

/* What the launcher says about the machine, kept in kheap. */
struct host_facts {
	char *cpuinfo;			/* text of /proc/cpuinfo */
	uint64_t mem_total;		/* bytes */
	uint32_t ncpus;			/* online host CPUs */
	uint64_t boot_real;		/* CLOCK_REALTIME seconds of the sandbox's start */
	uint64_t start_mono;		/* ns */
};
extern struct host_facts *host_facts;
must_check int host_facts_set(uint64_t mem_total, uint32_t ncpus, const char *cpuinfo);

/* Memory as the guest sees it: the limit of the sandbox when there is one. Bytes. */
struct mem_facts {
	uint64_t total, free, available, cached, shmem, slab, anon, mapped;
};
void proc_mem_facts(struct mem_facts *m);


/* One decimal number, optional sign and newline: 0 or -EINVAL. */
must_check int proc_parse_i64(const char *text, int64_t *out);
