/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What this library needs from the host. Defined in host/lib_hooks.c, since only host/ names
 * host system calls; declared here so that nothing in lib/ includes upward.
 */
#include "lib/compiler.h"

/* Sleeps while *word == val; may return early. Process-private futex. */
void hook_futex_wait(uint32_t *word, uint32_t val);
void hook_futex_wake(uint32_t *word, int count);
/* One write(2), result ignored. */
void hook_write(int hfd, const void *p, size_t n);
