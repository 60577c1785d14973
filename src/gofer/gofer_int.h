/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * brig-gofer: opens files of the host for a Sentry that cannot. It trusts nothing that it reads
 * from a channel, holds no guest memory, and allocates nothing after start: the handle table is
 * one reserved mapping with a fixed number of slots.
 *
 * Threads: one per channel, each serving one request at a time from buffers of its own. The only
 * shared state is the handle table (handles.c), under one mutex.
 *
 * The working directory is /proc/self/fd, so that an object held by O_PATH descriptor N is
 * reached again as the path "N", with no name of the host's in between.
 */
#include <sys/stat.h>
#include "lib/compiler.h"
#include "proto/gofer.h"
#include "proto/wire.h"

/* --- handles.c ------------------------------------------------------------------------------ */

struct handle;

/* A handle in use: its descriptor stays open until it is unpinned. */
struct href {
	struct handle *h;
	uint64_t id;
	int hfd;		/* O_PATH */
	uint32_t mode;		/* its type (the rest may have changed) */
	uint64_t dev, ino;
	unsigned root;
	uint32_t root_flags;
};

must_check int handles_init(unsigned nroots, unsigned max_handles, unsigned fd_budget);
/* Makes the handle of root number `root`; consumes hfd. */
must_check int handle_add_root(unsigned root, int hfd, uint32_t flags);
must_check int handle_pin_root(unsigned root, struct href *out);
/* Finds a handle and pins it, opening its descriptor again when it had been closed: -ESTALE when
 * the id is not in use or another object lies at its place now, -ENFILE. */
must_check int handle_pin(uint64_t id, struct href *out);
void handle_unpin(struct href *r);	/* idempotent */
/* A new handle for the object that O_PATH descriptor hfd holds, found as `name` in dir. Consumes
 * hfd, also on failure. *out is pinned. */
must_check int handle_add(const struct href *dir, const char *name, int hfd, struct href *out);
/* The Sentry needs it no longer; ids that are not in use are ignored. */
void handle_forget(uint64_t id);
/* The object is about to lose its name: its descriptor is kept as long as any other can be closed
 * instead (or the attempt failed, `on` false). */
void handle_keep(uint64_t id, bool on);
/* The object's name changed to `name` in dir. */
void handle_moved(uint64_t id, const struct href *dir, const char *name);
/* Room for n more descriptors beside the table's (closes idle ones), or -ENFILE. */
must_check int handles_make_room(unsigned n);
/* Tests: handles in use, descriptors open. */
void handles_count(unsigned *used, unsigned *open);

/* --- step.c: single steps on the host ------------------------------------------------------- */

extern bool gofer_no_openat2;

/* Takes one name below dirfd to an O_PATH descriptor; never follows a link. With openat2 it may be
 * several names. */
must_check int step_open(int dirfd, const char *name);
/* Opens what O_PATH descriptor hfd holds with `flags`, or creates an O_PATH copy. */
must_check int step_reopen(int hfd, int flags);
/* Creates a regular file below dirfd and opens it. */
must_check int step_create(int dirfd, const char *name, int flags, unsigned mode);
/* Creates a file without a name in the directory that dirfd holds. */
must_check int step_tmpfile(int dirfd, unsigned mode);
/* "N" for descriptor N, relative to the working directory. */
#define FD_PATH_MAX 12
const char *fd_path(char *buf, int hfd);
/* A name that is one component: not empty, ".", "..", and without a slash. */
bool name_ok(const char *name, size_t len);
/* PUBLIC roots: the object grants `bit` (S_IROTH, S_IXOTH) to everybody. 0, -EACCES. */
must_check int public_check(const struct href *r, const struct stat *st, unsigned bit);

/* --- serve.c -------------------------------------------------------------------------------- */

struct reply {
	struct wire_w w;
	int fds[GOFER_FDS_MAX];		/* what goes out, in order */
	bool close_fd[GOFER_FDS_MAX];	/* ours to close once sent */
	unsigned nfds;
	struct href pins[GOFER_FDS_MAX];	/* unpinned once sent */
	bool is_node[GOFER_FDS_MAX];	/* made for this reply: forgotten if it is not sent */
	unsigned npins;
};

struct channel {
	int hfd;
	uint8_t in[GOFER_MSG_MAX];
	uint8_t out[GOFER_MSG_MAX];
	uint8_t scratch[GOFER_MSG_MAX];
	struct reply rep;
};

/* Serves until the peer closes. */
void gofer_serve(struct channel *ch);
/* One request in ch->in: returns the length of the reply in ch->out, 0 when there is none. The
 * caller sends it and calls reply_sent. (The unit tests and the fuzzer call it themselves.) */
must_check size_t gofer_handle(struct channel *ch, size_t n, int in_fd);
void reply_sent(struct reply *rep, bool ok);
/* Test builds replace this to answer garbage; it may change the length and the descriptors. */
extern size_t (*gofer_reply_hook)(struct channel *ch, size_t n);
size_t gofer_lie(struct channel *ch, size_t n);	/* lying.c, in brig-gofer-lying only */

/* For the ops: */
must_check int reply_fd(struct reply *rep, int hfd, bool close_after);
/* Appends a node for a pinned handle, with an open descriptor or -1; consumes pin and descriptor. */
must_check int reply_node(struct channel *ch, struct href *node, int open_hfd);

typedef int gofer_op_fn(struct channel *ch, struct wire_r *r);
gofer_op_fn op_attach, op_walk, op_open, op_create, op_mkdir, op_mknod, op_symlink, op_link,
	op_unlink, op_rename, op_setattr, op_getxattr, op_setxattr, op_listxattr, op_removexattr,
	op_getfd, op_peek, op_siblings,
	op_tmpfile;

/* Appends a stamp: name in dir is now `is`, or nothing if NULL. */
void reply_stamp(struct channel *ch, const struct href *dir, const char *name, const struct href *is);

/* --- isolate.c ------------------------------------------------------------------------------ */

struct root_spec {
	int hfd;
	uint32_t flags;
};

/* Before threads are made: limits, capabilities, ids, Landlock. *has gets GOFER_HAS_*. */
must_check int isolate_early(uint32_t boot_flags, const struct root_spec *roots, unsigned n,
			     uint32_t *has);
/* The system call filter, on all threads. */
must_check int isolate_late(uint32_t *has);
