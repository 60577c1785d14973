/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Shared by pipe and socketpair. */
#include "abi/uaddr.h"
#include "lib/compiler.h"

struct file;
struct task;

must_check int fd_pair_out(struct task *t, uaddr_t out, struct file *a, struct file *b, bool cloexec);
