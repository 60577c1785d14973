/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The classic BPF machine of seccomp filters. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include "lib/compiler.h"

/* A program that bpf_check accepted always ends, reads only `d`, and needs no checks when run. */
must_check int bpf_check(const struct sock_filter *f, unsigned n);
uint32_t bpf_run(const struct sock_filter *f, const struct seccomp_data *d);
