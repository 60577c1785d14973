/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The virtual file system: superblocks, inodes, dentries, mounts, paths and open files. The
 * shapes and the rules are Linux's (Documentation/filesystems/vfs.rst, path-lookup.rst); where a
 * field has Linux's name it has Linux's meaning.
 *
 * Ownership: a dentry holds its inode and its parent; a path holds its mount and dentry; a file
 * holds its path. Locks: an inode's mutex covers its attributes and, for a directory, its
 * entries; the dcache lock covers all dentry links; see lib/lock.h for the order.
 * Everything here lies in kheap: op tables are reached by id (ops.def, ops.c).
 */
#include <sys/types.h>
#include "abi/stat.h"
#include "abi/uaddr.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/refcount.h"
#include "sentry/core/cred.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/wait.h"
#include "sentry/vfs/uio.h"

struct buf;
struct task;
struct pid_ns;
struct super;
struct inode;
struct dentry;
struct mount;
struct mnt_ns;
struct file;
struct files;
struct flock_ctx;	/* vfs/locks.c */
struct posix_acl;	/* vfs/acl.c */
struct watch;		/* vfs/notify.c */

/* Op table ids: one list each in vfs/ops.def, X(name) -> FOPS_name, name##_file_ops. */
enum file_ops_id {
	FOPS_none,
#define FILE_OPS(name) FOPS_##name,
#include "sentry/vfs/ops.def"
#undef FILE_OPS
};
enum inode_ops_id {
	IOPS_none,
#define INODE_OPS(name) IOPS_##name,
#include "sentry/vfs/ops.def"
#undef INODE_OPS
};
enum super_ops_id {
	SOPS_none,
#define SUPER_OPS(name) SOPS_##name,
#include "sentry/vfs/ops.def"
#undef SUPER_OPS
};

#define NAME_MAX_LEN 255
#define PATH_MAX_LEN 4096

struct kstat {
	uint64_t dev, ino, nlink, rdev, size, blocks, blksize, mnt_id;
	uint32_t mode, uid, gid;
	uint32_t attributes;		/* STATX_ATTR_* */
	struct l_timespec atime, mtime, ctime, btime;
	bool has_btime;
};

/* What setattr changes; valid is a mask of ATTR_*. */
enum {
	ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32,
	ATTR_ATIME_NOW = 64, ATTR_MTIME_NOW = 128, ATTR_KILL_PRIV = 256 /* drop suid and sgid */,
	ATTR_TIMES_SET = 512 /* explicit times: only the owner may */,
	ATTR_KILL_CAPS = 1024 /* drop file capabilities; ATTR_KILL_PRIV does so, too */
};
struct iattr {
	uint32_t valid, mode, uid, gid;
	uint64_t size;
	struct l_timespec atime, mtime;
	struct file *file;		/* ftruncate and friends, or NULL */
};

struct inode {
	refcount_t ref;
	uint16_t iops;			/* enum inode_ops_id */
	uint16_t fops;			/* enum file_ops_id: of files opened on it */
	struct mutex lock;		/* RANK_INODE */
	struct super *sb;		/* owned reference for anonymous and ordinary inodes alike */
	uint64_t ino, rdev;
	/* attributes: authoritative unless iops->getattr is set */
	uint32_t mode, uid, gid, nlink;
	uint64_t size;
	struct l_timespec atime, mtime, ctime, btime;
	struct flock_ctx *flocks;	/* created on first lock */
	struct list watches;		/* inotify marks */
	int32_t write_count;		/* >0 writers, <0 executing (deny write): ETXTBSY */
	void *pipe;			/* FIFO: its struct pipe; socket: its bound struct sock */
	uint32_t attr;			/* a: FS_IMMUTABLE_FL and the like, of chattr */
	bool has_fcaps;			/* a: it has a security.capability attribute */
	bool no_link;			/* O_TMPFILE with O_EXCL: linkat cannot give it a name */
	uint64_t change;		/* i_version */
	struct posix_acl *acl, *default_acl;	/* acl.c; owned */
	struct inode *dying_next;	/* inode_put's queue */
};

enum dentry_flags { D_NEGATIVE_OK = 1, D_MOUNTED = 2, D_UNLINKED = 4, D_ROOT = 8, D_DISCONNECTED = 16 };

#define DNAME_INLINE 32

struct dentry {
	refcount_t ref;
	uint32_t flags;			/* enum dentry_flags; dcache lock */
	uint32_t hash;
	uint16_t name_len;
	uint64_t seen_a, seen_b;	/* the file system's: what a cached answer was based on */
	struct super *sb;
	struct inode *inode;		/* owned; NULL: negative */
	struct dentry *parent;		/* owned; itself for a root */
	struct list siblings;		/* in parent->children */
	struct list children;
	struct list hash_link, lru;
	char *name;			/* iname, or owned when longer */
	char iname[DNAME_INLINE];
};

struct super {
	refcount_t ref;
	uint32_t active;		/* mounts; at 0 the root is let go (super_deactivate) */
	uint16_t sops;			/* enum super_ops_id */
	uint32_t magic;			/* statfs f_type */
	uint64_t dev;			/* st_dev */
	uint64_t next_ino;
	uint32_t flags;			/* ST_RDONLY, ... of the superblock */
	struct mutex rename_lock;	/* RANK_RENAME */
	uint32_t depth;			/* overlays upon each other, this one included */
	bool acls;			/* its nodes may have access control lists and the flags of chattr */
	bool told;			/* a: guests keep answers that depend on its names */
	bool fixed_names;		/* a missing name is ENOENT to those who would make it, too */
	uint16_t inode_rank;		/* RANK_INODE, or what an overlay and its layers have instead */
	struct dentry *root;
	const char *type_name;		/* kheap copy: "tmpfs" */
	void *priv;
	struct user_ns *user_ns;
};

struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

struct peer_group;			/* vfs/propagate.c */

struct mount {
	refcount_t ref;
	uint32_t id, flags;		/* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, ... */
	uint32_t lock_flags;		/* which of them a less privileged namespace may not take off */
	struct mount *parent;		/* borrowed while in the namespace; mount lock */
	struct dentry *mountpoint;	/* owned */
	struct dentry *root;		/* owned */
	struct super *sb;		/* owned */
	struct mnt_ns *ns;
	struct list children, siblings, hash_link, place_link, ns_link;
	char *source;			/* for /proc/self/mountinfo */
	/* propagation; mount lock */
	struct peer_group *peers;	/* shared with; NULL: not shared */
	struct peer_group *master;	/* of one that is not shared: what it receives from */
	struct list peer_link, slave_link;
	bool locked;			/* may not be taken off the mount below it */
	bool expiring;			/* MNT_EXPIRE was asked once, nobody walked in since */
	bool going;			/* mount lock: in the umount being made */
	struct mount *copy;		/* mount lock: while a tree is copied */
	struct list work_link;		/* mount lock: lists of the operation at work */
};

/* --- operations: static const tables; NULL slots mean what the comment says ------------------ */

struct dir_emit;			/* readdir sink, see dir_emit() */

/* All called with the directory's lock held unless stated. Names are not NUL-terminated. */
struct inode_ops {
	/* -> *out with a reference, or -ENOENT. NULL: ENOTDIR */
	int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out);
	/* Is the cached answer (positive or negative) still true? 1 yes, 0 look up again. Called
	 * without the directory's lock. NULL: always true. */
	int (*revalidate)(struct inode *dir, struct dentry *d);
	/* The answer of a lookup or create just became d (dir locked): note what it was based on in
	 * d->seen_a and seen_b. NULL: nothing to note */
	void (*cached)(struct inode *dir, struct dentry *d);
	/* Does what dir was just looked at for hold until the epoch changes (vfs/told.h)? NULL: no */
	bool (*settled)(struct inode *dir);
	/* create: regular file (S_IFREG), FIFO, socket, device node by mode. NULL: EPERM */
	int (*create)(struct inode *dir, const char *name, size_t len, uint32_t mode, uint64_t rdev,
		      const struct cred *cred, struct inode **out);
	int (*mkdir)(struct inode *dir, const char *name, size_t len, uint32_t mode,
		     const struct cred *cred, struct inode **out);
	int (*symlink)(struct inode *dir, const char *name, size_t len, const char *target,
		       const struct cred *cred, struct inode **out);
	int (*link)(struct inode *dir, const char *name, size_t len, struct inode *target);
	int (*unlink)(struct inode *dir, const char *name, size_t len, struct inode *victim);
	int (*rmdir)(struct inode *dir, const char *name, size_t len, struct inode *victim);
	/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT; victim may be NULL */
	int (*rename)(struct inode *odir, const char *oname, size_t olen, struct inode *inode,
		      struct inode *ndir, const char *nname, size_t nlen, struct inode *victim,
		      unsigned flags);
	/* O_TMPFILE: an unnamed regular file. NULL: EOPNOTSUPP */
	int (*tmpfile)(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out);
	/* Unlocked. Bytes written, not terminated. NULL: EINVAL */
	int64_t (*readlink)(struct inode *i, char *buf, size_t cap);
	/* Magic links (/proc/PID/fd, exe, ns): a path instead of text. Unlocked. NULL: ordinary */
	int (*follow)(struct inode *i, struct task *t, struct path *out);
	/* Unlocked. NULL: from the inode's own fields (inode_fill_stat) */
	int (*getattr)(struct inode *i, struct kstat *st, unsigned query);
	/* Locked. NULL: inode fields (inode_set_attr) */
	int (*setattr)(struct inode *i, const struct iattr *a);
	/* Unlocked. mask of R_OK W_OK X_OK for fsuid. NULL: mode bits and capabilities */
	int (*permission)(struct inode *i, int mask, const struct cred *cred);
	/* Unlocked; NULL: EOPNOTSUPP. cap 0 asks for the size. */
	int64_t (*getxattr)(struct inode *i, const char *name, void *buf, size_t cap);
	int (*setxattr)(struct inode *i, const char *name, const void *buf, size_t n, int flags);
	int64_t (*listxattr)(struct inode *i, char *buf, size_t cap);
	int (*removexattr)(struct inode *i, const char *name);
	/* Unlocked, last reference gone: frees the object that embeds the inode. Required. */
	void (*destroy)(struct inode *i);
};

/* How a file range is mapped into cells (I1: the whole host object belongs to this guest, and the
 * description has no more access than the guest's own open). */
struct file_map {
	hh_t h;			/* borrowed: lives as long as the file */
	uint64_t off;		/* host offset of the guest's `off` */
	bool anon;		/* /dev/zero: map anonymous memory instead */
	bool sealed;		/* a shared mapping must never become writable */
};

struct poll_table;			/* vfs/poll.h: poll_wait() */

/* Called without locks. pos is the file's position or the caller's own (pread). */
struct file_ops {
	int (*open)(struct inode *i, struct file *f);		/* NULL: fine */
	void (*release)(struct file *f);			/* last reference; NULL: nothing */
	void (*flush)(struct file *f, struct task *t);		/* each close(2); NULL: nothing */
	int64_t (*read)(struct file *f, struct uio *u, int64_t *pos);	/* NULL: EINVAL */
	int64_t (*write)(struct file *f, struct uio *u, int64_t *pos);	/* NULL: EINVAL */
	int64_t (*llseek)(struct file *f, int64_t off, int whence);	/* NULL: ESPIPE */
	int (*iterate)(struct file *f, struct dir_emit *e);	/* NULL: ENOTDIR */
	uint32_t (*poll)(struct file *f, struct poll_table *pt); /* NULL: always readable+writable, EPERM for epoll */
	int64_t (*ioctl)(struct file *f, struct task *t, uint32_t cmd, uint64_t arg);	/* NULL: ENOTTY */
	/* Which host object to map; NULL: ENODEV. shared/write say what the mapping may become. */
	int (*mmap)(struct file *f, uint64_t off, uint64_t len, int prot, int flags, struct file_map *out);
	int (*fsync)(struct file *f, bool data_only);		/* NULL: EINVAL */
	int (*fallocate)(struct file *f, int mode, int64_t off, int64_t len);	/* NULL: EOPNOTSUPP */
	/* Text of /proc/PID/fdinfo beyond the common lines; NULL: none */
	void (*show_fdinfo)(struct file *f, struct buf *b);
	/* fcntl commands of the object (pipe size, seals); NULL: EINVAL */
	int64_t (*fcntl)(struct file *f, struct task *t, int cmd, uint64_t arg);
	/* F_SETFL check (O_DIRECT on pipes ...); NULL: fine */
	int (*check_flags)(struct file *f, int flags);
};

struct super_ops {
	int (*statfs)(struct super *sb, struct l_statfs *st);	/* NULL: zeros with magic */
	int (*sync)(struct super *sb);				/* NULL: fine */
	/* Mount options text for mountinfo; NULL: none */
	void (*show_options)(struct super *sb, struct buf *b);
	int (*remount)(struct super *sb, unsigned flags, const char *data);
	void (*kill)(struct super *sb);		/* the last mount went: drop what pins inodes; NULL */
	void (*destroy)(struct super *sb);			/* frees priv */
};

#define FMODE_READ 1u
#define FMODE_WRITE 2u
#define FMODE_PATH 4u		/* O_PATH */
#define FMODE_ATOMIC_POS 8u	/* position shared: f->pos_lock */
#define FMODE_EXEC 16u
#define FMODE_STREAM 32u	/* no position: pipes, sockets */
#define FMODE_WRITE_COUNTED 64u	/* counted in inode->write_count */
#define FMODE_NOTIFY_OFF 128u	/* no inotify events */
#define FMODE_UNMOUNT 256u	/* O_PATH of a detached tree, which ends with the file */

struct file {
	refcount_t ref;
	uint16_t fops;			/* enum file_ops_id */
	uint32_t mode;			/* FMODE_* */
	uint32_t flags;			/* O_* as F_GETFL shows; atomic */
	struct path path;		/* owned; anonymous files have a mount of their own (anon_mnt) */
	struct inode *inode;		/* borrowed from path.dentry */
	uint32_t pos_busy;		/* file_pos_lock(): 0 free, 1 held, 2 held and wanted */
	int64_t pos;
	struct cred *cred;		/* owned: of the opener */
	void *priv;			/* the file system's */
	struct list epitems;		/* struct epitem.file_link, RANK_EPOLL (net/…/epoll.c) */
	struct {			/* F_SETOWN, F_SETSIG */
		int32_t pid, type, sig;
		uint32_t uid, euid;
	} owner;
	uint32_t dir_cookie;		/* readdir */
	struct file *priv_next;		/* file_put's queue */
};

extern const struct file_ops *const file_ops_table[];
extern const struct inode_ops *const inode_ops_table[];
extern const struct super_ops *const super_ops_table[];
static inline const struct file_ops *file_ops(const struct file *f)
{
	return file_ops_table[f->fops];
}
static inline const struct inode_ops *inode_ops(const struct inode *i)
{
	return inode_ops_table[i->iops];
}

/* --- objects --------------------------------------------------------------------------------- */

/* Initialises the common part of an inode embedded in a file system's own object: one reference,
 * a new number, times now. */
void inode_init(struct inode *i, struct super *sb, uint32_t mode, enum inode_ops_id iops,
		enum file_ops_id fops);
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);
void inode_fill_stat(const struct inode *i, struct kstat *st);
int inode_set_attr(struct inode *i, const struct iattr *a);	/* generic setattr on fields; lock held */
int inode_permission(struct inode *i, int mask, const struct cred *cred);
int inode_generic_permission(struct inode *i, int mask, const struct cred *cred);	/* mode bits and capabilities */
int vfs_getattr(const struct path *p, struct kstat *st, unsigned query);
int vfs_setattr(const struct path *p, struct iattr *a,
		const struct cred *cred); /* all checks of chmod, chown, utimens, truncate */
/* FS_IOC_SETFLAGS; FS_IOC_GETFLAGS gives i->attr. */
must_check int vfs_set_attr_flags(const struct path *p, uint32_t flags, const struct cred *cred);
struct l_timespec now_real(void);	/* coarse, as Linux stamps files */
/* Owner, group and mode of a new object in dir, with the rules for S_ISGID directories. */
void inode_init_owner(struct inode *i, const struct inode *dir, uint32_t mode, const struct cred *cred);
bool inode_owner_or_capable(const struct inode *i, const struct cred *cred);
bool inode_capable(const struct inode *i, const struct cred *cred, int cap);
void inode_touch(struct inode *i, unsigned what /* ATTR_ATIME | ATTR_MTIME: mtime and ctime */);
void path_accessed(const struct path *p);
void file_accessed(struct file *f);	/* atime by the mount's rules */
/* A write or truncate happens: drops suid, sgid. Call without the inode's lock. */
must_check int file_remove_privs(struct file *f);
must_check int inode_deny_write(struct inode *i);	/* exec: -ETXTBSY while it is open for writing */
void inode_allow_write(struct inode *i);

must_check int super_create(enum super_ops_id sops, uint32_t magic, const char *type,
			    struct inode *root /* consumed */, struct super **out);
/* As above in two steps, for inodes that need sb first. */
struct super *super_alloc(enum super_ops_id sops, uint32_t magic, const char *type) must_check;
must_check int super_set_root(struct super *sb, struct inode *root /* consumed */);
struct super *super_get(struct super *sb);
void super_put(struct super *sb);

struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
/* Cached child or a new one through iops->lookup; *out may be negative. Takes dir's lock. */
must_check int dentry_lookup(struct dentry *dir, const char *name, size_t len, struct dentry **out);
/* Drops cached children (a file system saw that they are stale). */
void dentry_invalidate(struct dentry *d);
/* Forgets unused names but the `keep` newest; how many. May call the Gofer: no locks. */
uint64_t dcache_trim(uint32_t keep);
/* Unhashes d itself: the next lookup asks the file system again. */
void dentry_drop(struct dentry *d);
/* An unhashed dentry of its own around an inode (consumed): anonymous files, layers. */
must_check int dentry_detached(struct super *sb, const char *name, struct inode *inode,
			       struct dentry **out);
must_check int vfs_init(void);

void path_get(const struct path *p);
void path_put(struct path *p);		/* clears it */

/* The text of a path seen from root (d_path): "(unreachable)", " (deleted)" as Linux. buf holds
 * PATH_MAX_LEN; returns the start inside buf, or NULL when too long. */
char *path_text(const struct path *p, const struct path *root, char *buf, size_t cap);

/* --- names ----------------------------------------------------------------------------------- */

enum lookup_flags {
	LOOKUP_FOLLOW = 1, LOOKUP_DIRECTORY = 2, LOOKUP_EMPTY = 4 /* AT_EMPTY_PATH */,
	LOOKUP_NO_XDEV = 8, LOOKUP_BENEATH = 16, LOOKUP_IN_ROOT = 32, LOOKUP_NO_SYMLINKS = 64,
	LOOKUP_NO_MAGICLINKS = 128, LOOKUP_CACHED = 256, LOOKUP_NO_AUTOMOUNT = 512,
	LOOKUP_TELL = 1024	/* the answer may be told: vfs/told.h */
};

/* Resolves `name` (kernel copy, NUL-terminated) from dirfd in the task's root. */
must_check int path_lookup(struct task *t, int dirfd, const char *name, unsigned flags,
			   struct path *out);
/* The same with other credentials (access). */
must_check int path_lookup_cred(struct task *t, const struct cred *cred, int dirfd, const char *name,
				unsigned flags, struct path *out);
/* Same from a given start and root (exec, mount, tests): t supplies credentials. */
must_check int path_lookup_at(struct task *t, const struct path *root, const struct path *start,
			      const char *name, unsigned flags, struct path *out);
/* The parent directory and the last component (which points into `name`), for create and remove.
 * *trailing says that the name ended in '/'. */
must_check int path_parent(struct task *t, int dirfd, const char *name, unsigned flags,
			   struct path *parent, const char **last, size_t *len, bool *trailing);

#define O_TMPFILE_BIT 020000000u	/* libc's __O_TMPFILE has O_DIRECTORY in it */

struct open_how_k {
	uint64_t flags;		/* O_* */
	uint32_t mode;
	unsigned resolve;	/* LOOKUP_* additions of openat2 */
};
/* 1 + the access mode with which what is looked up or created is about to be opened, or 0: a
 * remote file system may open it along with that. */
extern _Thread_local unsigned vfs_open_intent;
/* Grows with each walk of this thread: what was seen of a directory in one is not used in another. */
extern _Thread_local uint64_t vfs_walks;
/* What the last component is looked up for. The operation itself will notice when an absent name
 * is taken (EEXIST) or a present one is gone (ENOENT), so that a cached answer need not be asked
 * about again before. */
enum vfs_name_intent { NAME_ANY, NAME_TO_CREATE, NAME_TO_REMOVE };
extern _Thread_local enum vfs_name_intent vfs_name_intent;
must_check int vfs_open(struct task *t, int dirfd, const char *name, const struct open_how_k *how,
			struct file **out);
must_check int vfs_open_path(struct task *t, const struct path *p, unsigned flags, struct file **out);
/* Opens for execution: checks type, x permission, noexec; denies writes until file_exec_done. */
must_check int vfs_open_exec(struct task *t, int dirfd, const char *name, unsigned lookup,
			     struct file **out);
void file_allow_write(struct file *f);

/* --- files ----------------------------------------------------------------------------------- */

uint64_t file_count(void);		/* open files of the sandbox */
struct file *file_get(struct file *f);
void file_put(struct file *f);
/* A close(2): flush, the owner's POSIX locks go, then the reference (consumed). */
void file_close(struct file *f, struct files *owner, struct task *t);
/* The position of a regular file or directory while a call uses it; killable, may be held over
 * guest copies. -EINTR when the task is being killed. */
must_check int file_pos_lock(struct file *f, struct task *t);
void file_pos_unlock(struct file *f);
/* The same on any word in kheap (0: free): one write(2) at a time to a file. */
must_check int busy_lock(uint32_t *word, struct task *t);
void busy_unlock(uint32_t *word);
/* RLIMIT_FSIZE of the calling task: -EFBIG and SIGXFSZ, or *count cut. */
must_check int file_write_limit(struct file *f, int64_t pos, uint64_t *count);
/* A file on a bare inode without a mount (a layer's file under an overlay). */
must_check int file_open_inode(struct inode *i, unsigned flags, const struct cred *cred, struct file **out);
/* A file on an anonymous inode (pipe ends, eventfd, epoll, sockets, memfd): `name` shows in
 * /proc/PID/fd as "name". Consumes inode. */
must_check int file_anon(const char *name, struct inode *inode, enum file_ops_id fops, unsigned mode,
			 unsigned flags, const struct cred *cred, struct file **out);
/* The superblock of anonymous inodes (borrowed), for inode_init of objects that embed theirs. */
struct super *anon_super(void);
/* An inode for the above with generic attributes. */
must_check int inode_anon(uint32_t mode, const struct cred *cred, struct inode **out);
must_check int64_t vfs_read(struct file *f, struct uio *u, int64_t *pos);
must_check int64_t vfs_write(struct file *f, struct uio *u, int64_t *pos);
/* Kernel-side read at an offset (ELF headers, interpreters). */
must_check int64_t vfs_pread(struct file *f, void *buf, size_t n, int64_t pos);

/* Readdir: -1 stop (buffer full). ino, DT_* type and the position of the *next* entry. */
int dir_emit(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
	     int64_t next_pos);
struct dir_emit {
	int (*fn)(struct dir_emit *e, const char *name, size_t len, uint64_t ino, unsigned type,
		  int64_t next_pos);
	int64_t pos;		/* where to go on */
};
/* Emits . and .. at positions 0 and 1; false when the buffer is full. */
bool dir_emit_dots(struct file *f, struct dir_emit *e);
/* llseek of directories whose positions are their own affair: SEEK_SET and SEEK_CUR. */
int64_t dir_llseek(struct file *f, int64_t off, int whence);

/* --- mounts ---------------------------------------------------------------------------------- */

/* Registered at start by fs/dev: the file ops of a character device number, or -ENXIO. */
extern int (*vfs_chrdev_fops)(uint64_t rdev, enum file_ops_id *out);
/* fs.protected_hardlinks; set by /proc/sys. NULL: off */
extern bool (*vfs_protected_hardlinks)(void);
/* File ops of an opened FIFO (its fops->open waits for the other side); FOPS_none: ENXIO. */
extern enum file_ops_id vfs_fifo_fops;

must_check int mount_create(struct super *sb /* reference taken */, unsigned flags, const char *source,
			    struct mount **out);
must_check int mount_attach(struct mount *m /* consumed */, const struct path *where);
struct mount *mount_get(struct mount *m);
void mount_put(struct mount *m);

/* The lines of /proc/locks and of fdinfo. */
void locks_show(struct pid_ns *ns, struct buf *b);
void locks_show_fdinfo(struct file *f, struct buf *b);

/* --- events (inotify) ------------------------------------------------------------------------ */
void notify_inode(struct inode *i, uint32_t mask);			/* IN_* on the object itself */
void notify_child(struct dentry *d, uint32_t mask, uint32_t cookie);	/* on it and its directory */
