/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <assert.h>
#include "abi/stat.h"

struct l_rusage {
	struct l_timeval utime, stime;
	int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv,
		nsignals, nvcsw, nivcsw;
};
static_assert(sizeof(struct l_rusage) == 144, "rusage");
