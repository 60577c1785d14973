/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A memory cgroup for one sandbox, version 1 or 2, where the launcher may make one. */
#include "lib/compiler.h"

struct cgroup {
	char *dir;		/* owned; NULL when there is none */
	int procs_hfd;		/* write "0" to enter; -1 when there is none */
	bool v2;
};

/* Whether and where one could be made, for doctor: fills *version (1, 2 or 0). */
bool cgroup_available(int *version);
/* 0, or a negative errno; *g is then empty. */
must_check int cgroup_create(struct cgroup *g, uint64_t memory_bytes);
/* Processes of it that the host's out-of-memory killer ended. */
uint64_t cgroup_oom_kills(const struct cgroup *g);
/* Removes it; all its processes must be gone. */
void cgroup_destroy(struct cgroup *g);
