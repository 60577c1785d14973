/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The guest's view of the host: which directories the Gofer gets, and the mounts made of them. */
#include "proto/bootspec.h"
#include "proto/gofer.h"
#include "sandbox/sandbox.h"

struct sb_root {
	int hfd;		/* O_PATH, owned */
	unsigned flags;		/* GOFER_ROOT_* */
};

struct sb_view {
	struct sb_root roots[GOFER_ROOTS_MAX];
	unsigned n_roots;
	struct boot_mount mounts[BOOT_MAX_MOUNTS];	/* strings live as long as the launcher */
	unsigned n_mounts;
	char *cwd;
	bool private_roots;	/* some root is not GOFER_ROOT_PUBLIC: root keeps its identity */
};

/* Opens what is to be seen. 0, or -1 with *e set. Says what is hidden on standard error. */
int view_build(const struct sb_config *c, struct sb_view *v, struct err *e);
void view_close(struct sb_view *v);
