/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An arena at an address that the sanitizers leave alone, and a task that can only wait. */
#include "unit.h"
#include "sentry/core/charge.h"
#include "sentry/core/kheap.h"
#include "sentry/core/wait.h"

#ifdef __SANITIZE_THREAD__
#define FAKE_BASE 0x4000000000ull
#else
#define FAKE_BASE 0x200000000000ull
#endif
#define FAKE_RESERVE (4ull << 30)

struct task {
	uint32_t word;
	int pending;
};
