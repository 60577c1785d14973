/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * File systems whose content is computed: /proc and /sys. A tree is a flat, sorted-by-nothing
 * table of full paths, one line per file; directories exist because something lies below them.
 * An inode stores (table id, entry, prefix length), so kheap holds no pointer into the program.
 *
 * Text files are produced whole at the first read (and again at each read from position 0), kept
 * with the open file, and served from there, as Linux's seq_file does for short files.
 */
#include "lib/fmt.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

enum pseudo_table_id { PT_PROC, PT_PROC_PID, PT_PROC_FD, PT_SYS, PT_SYS_CPU, PT_COUNT };

struct pseudo_entry;

struct pseudo_inode {
	struct inode inode;
	uint16_t table;			/* enum pseudo_table_id */
	uint16_t prefix;		/* directories: length of their path in entry->path */
	uint32_t entry;			/* index; of any entry below for a static directory */
	struct pid *pid;		/* owned; the process or thread this is about, or NULL */
	bool thread;			/* below /proc/PID/task/TID */
	uint64_t arg;			/* of a dynamic directory's child: an fd, a cpu */
};
#define PSEUDO(i) container_of(i, struct pseudo_inode, inode)

/* What a producer is told. task is the subject with a reference, or NULL; reader is the caller. */
struct pseudo_ctx {
	struct pseudo_inode *pi;
	const struct pseudo_entry *e;
	struct task *reader, *task;
};

/* Directories with computed children (fd, task, the pids of /proc). */
struct pseudo_dir_ops {
	int (*lookup)(const struct pseudo_ctx *c, const char *name, size_t len, struct inode **out);
	/* Emits from position e->pos on (2 is the first after dots; static children come first). */
	int (*iterate)(const struct pseudo_ctx *c, struct file *f, struct dir_emit *e, int64_t base);
	/* Attributes that follow the content; NULL: none do. */
	void (*stat)(const struct pseudo_ctx *c, struct kstat *st);
};

struct pseudo_entry {
	const char *path;		/* below the table's root, no leading slash */
	uint32_t mode;			/* with type; 0: S_IFREG | 0444 */
	uint16_t fops;			/* enum file_ops_id for files with ops of their own */
	bool whole;			/* of a process, not of one thread of it */
	uint64_t arg;
	int (*show)(const struct pseudo_ctx *c, struct buf *b);
	int64_t (*store)(const struct pseudo_ctx *c, char *text, size_t n);
	int64_t (*readlink)(const struct pseudo_ctx *c, char *buf, size_t cap);
	int (*follow)(const struct pseudo_ctx *c, struct path *out);
	const struct pseudo_dir_ops *dir;
};

struct pseudo_table {
	const struct pseudo_entry *e;
	unsigned n;
};
extern const struct pseudo_table *const pseudo_tables[PT_COUNT];

/* A root directory inode of a table. */
must_check int pseudo_root(struct super *sb, enum pseudo_table_id table, uint32_t mode,
			   struct inode **out);
/* A child of a dynamic directory: a whole subtree (prefix 0 of `table`) or one entry. */
must_check int pseudo_make(struct super *sb, enum pseudo_table_id table, const char *path,
			   struct pid *pid, bool thread, uint64_t arg, struct inode **out);
/* The entry index of an exact path, or -1. */
int pseudo_index(enum pseudo_table_id table, const char *path);
/* Fills a context; drop with pseudo_ctx_put. -ESRCH when the inode's process is gone. */
must_check int pseudo_ctx_get(struct inode *i, struct pseudo_ctx *c);
void pseudo_ctx_put(struct pseudo_ctx *c);
/* Decimal number that fills the whole name, or -1. */
int64_t pseudo_parse_nr(const char *name, size_t len);
