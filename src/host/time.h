/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host clocks, read through the vDSO where there is one. */
#include <time.h>
#include "lib/compiler.h"

#define NSEC_PER_SEC 1000000000ll

int64_t h_clock_ns(int clock);	/* CLOCK_*; 0 if the clock does not exist */
int64_t h_now(void);		/* CLOCK_MONOTONIC */
/* -errno; resolution of a clock in *res */
must_check int h_clock_getres(int clock, struct timespec *res);
struct timespec h_timespec(int64_t ns);
