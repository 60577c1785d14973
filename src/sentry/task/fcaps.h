/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* File capabilities: the extended attribute security.capability (capabilities(7)). */
#include "lib/compiler.h"

struct inode;
struct task;
struct user_ns;

#define FCAPS_SIZE 24u			/* struct vfs_ns_cap_data, the longest form */

struct file_caps {
	uint64_t permitted, inheritable;
	bool effective;
};

/* The capabilities that a program of this file gets in the namespace; false: none. */
bool file_caps_of(struct inode *i, const struct user_ns *ns, struct file_caps *out);
/* A value that the task wants to set: checked, and in the form to be stored. */
must_check int file_caps_to_store(struct task *t, struct inode *i, uint8_t buf[FCAPS_SIZE], uint64_t *n);
/* A stored value as the task may see it; the length, -EOVERFLOW or -ENODATA. */
int64_t file_caps_to_show(struct task *t, uint8_t buf[FCAPS_SIZE], int64_t n);
