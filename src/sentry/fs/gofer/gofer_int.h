/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Between the files of fs/gofer. Nothing that the Gofer answers is believed without a check: a
 * descriptor's type and identity are looked at here before it is used.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include "host/time.h"
#include "proto/gofer.h"
#include "proto/wire.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/vfs/htab.h"

/* --- client.c: one request and its reply ------------------------------------------------------ */

struct gchan;

struct gcall {
	struct gchan *chan;	/* locked from begin to end */
	struct wire_w w;	/* the request's fields go here */
	struct wire_r r;	/* then the reply's come from here; valid until end */
	uint32_t seq;
	int fds[GOFER_FDS_MAX];	/* received; gcall_take_fd hands one over, the rest is closed */
	unsigned nfds, taken;
	/* what gcall_end is to drop, after the channel is free */
	uint64_t forget[GOFER_WALK_MAX];
	struct inode *put[GOFER_WALK_MAX];
	unsigned nforget, nput;
};

/* Starts a request. The calling thread may hold any inode's lock. */
void gcall_begin(struct gcall *c, enum gofer_op op);
/* Sends it and waits for the reply: its status, or -EIO. Uninterruptible. */
must_check int gcall_send(struct gcall *c);
must_check int gcall_send_fd(struct gcall *c, int hfd);
/* The next received descriptor, or -EIO. */
must_check int gcall_take_fd(struct gcall *c);
void gcall_end(struct gcall *c);
/* Once per node of a reply: drops a handle, an inode's reference at the end of the call. */
void gcall_forget(struct gcall *c, uint64_t h);
void gcall_put(struct gcall *c, struct inode *i);
/* The Gofer may drop this handle; sent with later requests. */
/* now: not with some others, later; what the Gofer holds keeps space. */
void gofer_forget(uint64_t h, bool now);

/* --- inode.c ----------------------------------------------------------------------------------- */

/* mtime and ctime of a directory, ns */
struct stamp {
	uint64_t a, b;
};
static inline uint64_t stamp_ns(struct timespec t)
{
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Descriptions for guests' opens, shared by all opens of an inode with the same access. */
enum { DESC_RO, DESC_WO, DESC_RW, DESC_KINDS };	/* = O_RDONLY, O_WRONLY, O_RDWR */

struct gofer_desc {
	hh_t h;
	uint32_t opens;
};

struct gofer_inode {
	struct inode inode;
	struct list hash_link;		/* super's table; g->lock */
	uint64_t h;			/* I; the Gofer's handle */
	uint64_t dev, born;		/* I; with inode.ino the object's identity */
	hh_t attr;			/* O_PATH; HH_NONE when given up. Changed with attr_users frozen */
	uint32_t attr_users;		/* a; ATTR_FROZEN while it is being changed */
	bool recent;			/* used since the evictor last looked */
	bool unnamed;			/* a: a name of it was removed by us */
	bool system;			/* root's, others may not write it, on a root that we only read */
	uint64_t look;			/* a: what its stamp was when it was last looked at; believe.c */
	uint32_t believed;		/* a: place in the list of believe.c, + 1 */
	struct stamp stamp;		/* while believed */
	char *target;			/* I; symbolic links */
	struct gofer_desc desc[DESC_KINDS];	/* inode.lock */
	uint64_t seen_a, seen_b;	/* directories, inode.lock: stamp before the last lookup */
	/* directories, inode.lock; see prefetch.c */
	uint32_t misses;
	bool no_prefetch;
	int64_t last_miss;
	struct prefetch *pre;		/* owned */
};

struct gofer_super {
	struct mutex lock;		/* RANK_GOFER_TABLE: the table's links */
	struct htab table;
	uint32_t flags;			/* GOFER_SB_* */
	uint32_t root;
	uint32_t hand;			/* the evictor's place */
	/* a: file systems of the host that were seen to give two changes within a clock tick
	 * different stamps (multigrain timestamps); 0 is free */
	uint64_t fine_dev[8];
	uint64_t last_dev, last_change;	/* a: the last stamp of a change of ours */
	struct list caps;		/* fcaps.c; lock */
	uint32_t ncaps;
};

static inline struct gofer_inode *to_gofer(struct inode *i)
{
	return container_of(i, struct gofer_inode, inode);
}

static inline struct gofer_super *gofer_sb(const struct inode *i)
{
	return i->sb->priv;
}

must_check int gofer_ask_open(struct gofer_inode *g, uint32_t flags, hh_t *out);
/* A directory's description, with its place anywhere; what keep returns is to be closed. Locked. */
must_check int gofer_dir_take(struct gofer_inode *g, hh_t *out);
hh_t gofer_dir_keep(struct gofer_inode *g, hh_t h);
/* Is hfd an open description of this inode with this access mode? -EIO if not. */
must_check int desc_check(const struct gofer_inode *g, int hfd, uint32_t access);
/* Reads a node of a reply and returns its inode: a known one, or a new one. */
must_check int gofer_node(struct gcall *c, struct super *sb, struct inode **out);
/* The O_PATH descriptor, fetched again if it was given up; it stays until attr_end. */
must_check int attr_begin(struct gofer_inode *g);
void attr_end(struct gofer_inode *g);
/* fstat, and the inode's own fields brought up to date. */
must_check int gofer_stat(struct gofer_inode *g, struct stat *st);
void gofer_destroy(struct inode *i);
must_check int gofer_register_super(struct super *sb);
void gofer_unregister_super(struct super *sb);
uint32_t gofer_to_host_uid(uint32_t uid);
uint32_t gofer_to_host_gid(uint32_t gid);

/* --- believe.c: directories that are not looked at anew for a moment ------------------------------- */

struct look {
	uint64_t tsc, news;
};
/* The stamp of a directory that is believed now. */
bool believed_stamp(struct gofer_inode *dir, struct stamp *s);
/* Before a directory's stamp is read, and after it: it may be believed from now on. */
void believe_begin(struct look *l);
void believe(struct gofer_inode *dir, const struct stamp *s, const struct look *l);
bool is_settled(struct inode *dir);
void believe_gone(struct gofer_inode *g);	/* it is being destroyed */
void believe_nothing(void);			/* from now on */
/* After any fstat of an object: is it news? */
void note_look(struct gofer_inode *g, const struct stat *st);

/* --- prefetch.c: a directory that is looked through name by name -------------------------------- */

/* A lookup in dir (locked), after note_stamp, is about to ask for this name: 1 and *out if it was
 * fetched ahead and still holds; 0 to ask. Nothing is fetched in a directory that just changed. */
int prefetch_lookup(struct gofer_inode *dir, const char *name, size_t len, struct inode **out);
void prefetch_drop(struct gofer_inode *dir);

/* --- fcaps.c: file capabilities, kept on our side ------------------------------------------------ */
void gofer_caps_note(struct gofer_inode *g);	/* a new inode: does its object have any? */
int64_t gofer_caps_get(struct gofer_inode *g, void *buf, size_t cap);
int gofer_caps_set(struct gofer_inode *g, const void *buf, size_t n, int flags);
int gofer_caps_drop(struct gofer_inode *g);
void gofer_caps_fini(struct gofer_super *gs);

/* --- attr.c: getattr, permission, setattr, xattrs ----------------------------------------------- */

int gofer_getattr(struct inode *i, struct kstat *st, unsigned query);
int gofer_setattr(struct inode *i, const struct iattr *a);
int gofer_permission(struct inode *i, int mask, const struct cred *cred);
int64_t gofer_getxattr(struct inode *i, const char *name, void *buf, size_t cap);
int gofer_setxattr(struct inode *i, const char *name, const void *buf, size_t n, int flags);
int64_t gofer_listxattr(struct inode *i, char *buf, size_t cap);
int gofer_removexattr(struct inode *i, const char *name);
must_check int gofer_stamp(struct gofer_inode *dir, struct stamp *s);
/* Could a change in the same clock tick as the stamp go unseen? */
bool stamp_is_racy(const struct gofer_inode *dir, const struct stamp *s);
bool stamp_is_recent(const struct stamp *s);
/* A change of ours in dir left this stamp. */
void stamp_own_change(struct gofer_inode *dir, const struct stamp *s);
