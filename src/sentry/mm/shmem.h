/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Objects of anonymous shared memory and System V segments (mm/shmem.c). */
#include "lib/compiler.h"

struct task;
struct file;

must_check int shmem_create(struct task *t, const char *name, uint64_t size, struct file **out);
bool shmem_is(const struct file *f);

/* --- System V attachments ---- */
/* Marks the mapping made of f at addr as an attachment: its name in maps, and what shmdt finds. */
void mm_mark_shm(struct task *t, uint64_t addr, struct file *f, uint32_t key);
/* Unmaps the attachment that begins at addr: -EINVAL when there is none; *f: a reference. */
must_check int mm_shm_detach(struct task *t, uint64_t addr, struct file **f);
/* Set at start by sysv/: an attachment went away (t may be NULL); called without locks. */
extern void (*shmem_detached_hook)(struct task *t);
