/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "sentry/fs/pseudo/pseudo.h"

must_check int sysfs_create(struct super **out);

/* cpu.c: texts of CPUs, caches and the node. */
enum sys_cpus { CPUS_ALL_LIST, CPUS_ALL_MAP, CPUS_ME_LIST, CPUS_ME_MAP, CPUS_ME };
enum sys_cache { CACHE_LEVEL, CACHE_TYPE, CACHE_SIZE, CACHE_LINE, CACHE_SETS, CACHE_WAYS, CACHE_PARTITION,
		 CACHE_ID, CACHE_LIST, CACHE_MAP };
int sys_cpus(const struct pseudo_ctx *c, struct buf *b);
int sys_cache(const struct pseudo_ctx *c, struct buf *b);
int sys_node_meminfo(const struct pseudo_ctx *c, struct buf *b);
