/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One account per container for everything a guest can make the Sentry hold: kheap objects, tmpfs
 * extents, pipe and socket buffers, dentries. Over the limit the reclaimers run (dentry LRU), then
 * charge fails and the caller returns ENOMEM or ENOSPC. Accounts lie in kheap.
 */
#include "lib/compiler.h"

enum charge_kind { CHARGE_KERNEL, CHARGE_FILE, CHARGE_ANON, CHARGE_KINDS };

must_check int charge_init(uint64_t limit_bytes /* 0: none */, uint64_t file_limit_bytes);
must_check int charge(enum charge_kind k, uint64_t bytes);	/* 0 or -ENOMEM */
/* Limits that refused something at least once, for the launcher's last words: the numbers of
 * CTL_HIT_* (proto/control.h). charge() notes its own. */
#define LIMIT_MEMORY (1u << 0)
#define LIMIT_PIDS (1u << 1)
#define LIMIT_DISK (1u << 2)
void limit_note(uint32_t limit);
uint32_t limit_noted(void);
void uncharge(enum charge_kind k, uint64_t bytes);
uint64_t charge_used(enum charge_kind k);
uint64_t charge_limit(void);
uint64_t charge_file_limit(void);	/* for all files in memory together; 0: none */
/* A reclaimer runs under whatever locks the allocating caller holds: it only tries locks.
 * They are static functions registered at start; each frees what it can and returns the bytes. */
void charge_add_reclaimer(uint64_t (*fn)(uint64_t wanted));
