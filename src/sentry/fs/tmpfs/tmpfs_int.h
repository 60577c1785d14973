/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * tmpfs and, on the same nodes, the overlay. A file's pages lie in the arena until it is mapped
 * into a guest for the first time, then in a memfd of its own (I1). An entry without an inode is a
 * whiteout: the overlay hides a lower name with it.
 */
#include <fcntl.h>
#include <linux/memfd.h>
#include "lib/rbtree.h"
#include "sentry/fs/tmpfs/tmpfs.h"

#ifndef F_SEAL_EXEC		/* newer than libc's header */
#define F_SEAL_EXEC 0x20
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC 16u
#endif

struct txattr {
	struct list link;
	char *name;		/* owned */
	uint32_t size;
	char value[];
};

struct tent {
	struct rb_node by_name, by_cookie;
	uint64_t cookie;
	struct inode *inode;	/* owned; NULL: whiteout */
	uint32_t hash;
	uint16_t len;
	bool over;		/* hides a lower name: becomes a whiteout when removed */
	char name[];
};

#define TPAGES_CHUNK 1024u	/* entries of one chunk page */

struct tpages {
	uint32_t **chunk;	/* owned pages of arena page numbers; 0 is a hole */
	uint32_t cap;		/* chunks */
};

struct tlower;

struct tnode {
	struct inode inode;
	/* regular files; inode.lock */
	struct tpages pages;
	uint64_t blocks;	/* accounted pages */
	hh_t memfd, memfd_ro;	/* after the first mapping */
	uint32_t opens;
	uint32_t seals;		/* F_SEAL_*; F_SEAL_SEAL where sealing is not allowed */
	uint32_t ticket;	/* busy word: one write(2) at a time */
	struct list idle;	/* memfd and no opens: may go back to the arena */
	/* directories; inode.lock and, for changes, the superblock's lock */
	struct rb_root names, cookies;
	uint64_t next_cookie;
	uint32_t nr_live;
	bool dead;		/* removed: nothing can be made in it */
	/* symbolic links */
	char *target;
	struct list xattrs;	/* inode.lock */
	uint32_t xattr_bytes;
	struct tlower *low;	/* the overlay's part; owned by it */
	bool counted;		/* a: among the overlay's written files */
};

struct tmpfs_super {
	struct mutex lock;		/* RANK_OBJECT: all names */
	uint64_t max_pages, used_pages;	/* atomic */
	uint64_t max_inodes, used_inodes;
	uint32_t mode, uid, gid;
	uint16_t iops, fops_reg, fops_dir;	/* of its nodes */
	bool overlay;
};

static inline struct tnode *to_tnode(struct inode *i)
{
	return container_of(i, struct tnode, inode);
}
static inline struct tmpfs_super *tmpfs_sb(const struct inode *i)
{
	return i->sb->priv;
}

/* --- arena.c --- */
must_check int arena_init(void);
uint32_t arena_alloc(bool zero);	/* 0: none */
void arena_free(uint32_t page, uint32_t n);
/* How many of the n pages from `page` on are alike: with bytes, or never written to (a hole). */
uint32_t arena_extent(uint32_t page, uint32_t n, bool *data);
void *arena_page(uint32_t page);
uint64_t arena_size(void);

/* --- pages.c: the content of a file; inode locked --- */
int64_t tdata_read(struct tnode *n, uint64_t pos, void *dst, size_t len);
/* Bytes stored (short: no space) or -ENOSPC, -EFBIG. Grows the size. */
int64_t tdata_write(struct tnode *n, uint64_t pos, const void *src, size_t len);
must_check int tdata_resize(struct tnode *n, uint64_t size);
void tdata_free(struct tnode *n);
must_check int tdata_alloc(struct tnode *n, uint64_t from, uint64_t to);
void tdata_punch(struct tnode *n, uint64_t from, uint64_t to);
int64_t tdata_seek(struct tnode *n, uint64_t pos, bool data);
must_check int tdata_to_memfd(struct tnode *n);
void tdata_sync_blocks(struct tnode *n);
void tdata_opened(struct tnode *n);
void tdata_closed(struct tnode *n);

/* --- dir.c: names; the directory's inode is locked --- */
struct tent *tdir_find(struct tnode *dir, const char *name, size_t len);
must_check int tdir_insert(struct tnode *dir, const char *name, size_t len,
			   struct inode *inode /* consumed on success, NULL: whiteout */);
/* Takes the entry out; its inode's reference goes to the caller. */
struct inode *tdir_remove(struct tnode *dir, struct tent *e);
struct tent *tdir_from(struct tnode *dir, uint64_t cookie);	/* first with cookie >= */
void tdir_clear(struct tnode *dir);
int tmpfs_lookup(struct inode *dir, const char *name, size_t len, struct inode **out);
int tmpfs_create(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		 const struct cred *cred, struct inode **out);
int tmpfs_mkdir(struct inode *dir, const char *name, size_t len, uint32_t mode,
		const struct cred *cred, struct inode **out);
int tmpfs_symlink(struct inode *dir, const char *name, size_t len, const char *target,
		  const struct cred *cred, struct inode **out);
int tmpfs_link(struct inode *dir, const char *name, size_t len, struct inode *target);
int tmpfs_unlink(struct inode *dir, const char *name, size_t len, struct inode *victim);
int tmpfs_rmdir(struct inode *dir, const char *name, size_t len, struct inode *victim);
int tmpfs_rename(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
		 struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
		 unsigned flags);
int tmpfs_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out);
int tmpfs_iterate(struct file *f, struct dir_emit *e);

/* --- node.c --- */
uint64_t tnode_live(void);
must_check int tnode_create(struct super *sb, const struct inode *dir, uint32_t mode, uint64_t rdev,
			    const struct cred *cred, struct tnode **out);
void tmpfs_destroy(struct inode *i);
int64_t tmpfs_readlink(struct inode *i, char *buf, size_t cap);
int tmpfs_getattr(struct inode *i, struct kstat *st, unsigned query);
int tmpfs_setattr(struct inode *i, const struct iattr *a);
int64_t tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t cap);
int tmpfs_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags);
int64_t tmpfs_listxattr(struct inode *i, char *buf, size_t cap);
int tmpfs_removexattr(struct inode *i, const char *name);

/* --- file.c --- */
int tmpfs_open(struct inode *i, struct file *f);
void tmpfs_release(struct file *f);
int64_t tmpfs_read(struct file *f, struct uio *u, int64_t *pos);
int64_t tmpfs_write(struct file *f, struct uio *u, int64_t *pos);
int64_t tmpfs_llseek(struct file *f, int64_t off, int whence);
int tmpfs_mmap(struct file *f, uint64_t off, uint64_t len, int prot, int flags, struct file_map *out);
int tmpfs_fallocate(struct file *f, int mode, int64_t off, int64_t len);
int64_t tmpfs_fcntl(struct file *f, struct task *t, int cmd, uint64_t arg);

/* --- super.c --- */
must_check int tmpfs_super_init(struct tmpfs_super *ts, const struct tmpfs_opts *o);
int tmpfs_statfs(struct super *sb, struct l_statfs *st);
void tmpfs_show_options(struct super *sb, struct buf *b);
