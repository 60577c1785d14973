/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A guest address. A struct, so that neither a cast nor a dereference compiles: only
 * sentry/mm/uaccess.c and the platform turn one into memory.
 */
#include <stdint.h>

typedef struct {
	uint64_t v;
} uaddr_t;

#define UADDR(x) ((uaddr_t){(uint64_t)(x)})
