/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Starts one of our programs: descriptors under fixed numbers, then every layer of isolation that
 * the host gives, then exec. What is optional and refused is left out and reported in `got`; a
 * program is never started with less than no_new_privs and without its descriptors.
 */
#include <sys/types.h>
#include "sandbox/err.h"

#define SPAWN_MAX_FDS 32

struct spawn_fd {
	int src, dst;
};

/* What was put into force, one bit each. */
#define GOT_USERNS (1u << 0)
#define GOT_NAMESPACES (1u << 1)	/* pid, net, ipc, uts, mount */
#define GOT_EMPTY_ROOT (1u << 2)
#define GOT_LANDLOCK (1u << 3)
#define GOT_NOBODY (1u << 4)

struct spawn {
	const char *name;
	int exe_hfd;
	struct spawn_fd fds[SPAWN_MAX_FDS];
	unsigned n_fds;
	int cell_hfd;		/* Landlock lets this be executed too; -1 for none */
	int cgroup_hfd;		/* cgroup.procs to enter, or -1 */
	bool namespaces;	/* try to have them */
	bool landlock;		/* restrict before exec */
	bool drop_ids;		/* started by root: become nobody; drop all capabilities */
	/* Called in the child with what it got so far, its memory a copy of the launcher's. */
	int (*prepare)(void *arg, unsigned got);
	void *arg;
	/* between the two halves of the start */
	unsigned level;		/* how many kinds of namespaces were tried in vain */
	int report_hfd;
	/* results */
	pid_t pid;
	int pidfd;
	unsigned got;
};

void spawn_fd_add(struct spawn *s, int src, int dst);
/* Two halves, so that several can start at once: the first makes the child, the second waits until
 * it runs its program, closes our copies of its descriptors, and tries again with less if need be. */
int spawn_begin(struct spawn *s, struct err *e);
int spawn_finish(struct spawn *s, struct err *e);
/* Landlock's version, 0 when there is none. */
int landlock_abi(void);
