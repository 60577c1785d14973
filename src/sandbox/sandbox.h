/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Assembles a sandbox: builds the view, starts Gofer and Sentry with their descriptors and
 * isolation, then stands between the user's terminal, signals, deadline and the Sentry until the
 * first program has ended.
 */
#include "sandbox/err.h"
#include "sandbox/strv.h"

/* Optional host features that --without switches off, one bit each. */
enum sb_feature {
	SB_LANDLOCK = 1 << 0,
	SB_USERNS = 1 << 1,
	SB_CGROUP = 1 << 2,
	SB_FSGSBASE = 1 << 3,
	SB_OPENAT2 = 1 << 4,
	SB_CLONE3 = 1 << 5,
	SB_NOTIF_SYNC = 1 << 6,
};
/* The bit of a name, or 0. */
unsigned sb_feature_bit(const char *name);
/* Comma-separated names into *mask; -1 with an error for an unknown one. */
int sb_feature_parse(const char *list, unsigned *mask, struct err *e);
/* All names, for help texts. */
#define SB_FEATURE_NAMES "landlock, userns, cgroup, fsgsbase, openat2, clone3, notif-sync"

struct sb_volume {
	char *src, *dst;
	bool rw;
};

struct sb_tmpfs {
	char *dst;
	uint64_t size;
	unsigned mode;
};

struct sb_config {
	char **argv;		/* borrowed, NULL-terminated, at least one */
	struct strv env;	/* the guest's whole environment */
	char *workdir;		/* -w, or NULL */
	char *rootfs;		/* --rootfs, or NULL for the default view */
	char *hostname;
	struct sb_volume *volumes;
	size_t n_volumes;
	struct sb_tmpfs *tmpfs;
	size_t n_tmpfs;
	unsigned uid, gid;
	unsigned groups[64];
	size_t n_groups;
	bool user_given;
	bool tty;		/* -t */
	uint64_t memory, disk, timeout_ns;
	unsigned pids;
	bool hardened, no_patch, no_spin;
	bool strace;
	char *strace_file, *log_file;	/* NULL: standard error; log_file NULL: errors only */
	bool debug;
	unsigned without;	/* mask of enum sb_feature */
};

/* Runs the sandbox to its end. The exit status for the shell; messages are printed. */
int sb_run(const struct sb_config *c);
