/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between socket.c and sockmsg.c. */
#include "lib/compiler.h"

#define SOCKADDR_MAX 128

struct file;
struct task;

/* The open socket of a descriptor, or NULL and the error. */
struct file *socket_get(struct task *t, int fd, int *err);
must_check int sockaddr_in(struct task *t, uint64_t addr, int len, void *buf);
must_check int sockaddr_out(struct task *t, const void *buf, uint32_t len, uint64_t addr, uint64_t ulen);
