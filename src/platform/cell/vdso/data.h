/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The page before our vDSO image, read-only in every cell: where the host's functions lie, and
 * what is added to the clocks of a time namespace. The Sentry fills it in before any guest runs;
 * a cell with other offsets gets a page of its own in its place. A function that the host's image
 * does not have is 0: the wrapper makes the system call instead.
 */
#include <stdint.h>

struct vdso_data {
	uint64_t clock_gettime, gettimeofday, time, clock_getres, getcpu;
	int64_t mono_sec, mono_nsec;	/* nsec: 0 ... 999,999,999 */
	int64_t boot_sec, boot_nsec;
};
