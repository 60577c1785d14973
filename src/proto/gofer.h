/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The protocol between the Sentry (fs/gofer) and brig-gofer, which owns the host directories.
 *
 * There are a few channels, each a SOCK_SEQPACKET pair. On one channel there is one request at a
 * time; the Sentry holds the channel's lock from request to reply. One message is one request or
 * one reply:
 *
 *	request:  u32 op, u32 seq, fields of the op
 *	reply:    u32 seq, i32 status (0 or -errno), fields when status is 0
 *
 * Descriptors travel as SCM_RIGHTS, in the order in which the fields name them. GOFER_FORGET has
 * no reply. A message that does not decode is answered -EPROTO by the Gofer and is an -EIO in the
 * Sentry; neither side dies of it.
 *
 * *Handles* name objects of the host: u64, never 0, index and generation. The Gofer keeps an
 * O_PATH descriptor for each, closes the least recently used over its budget and finds them again
 * by walking (then -ESTALE if another object lies there). The Sentry holds an O_PATH descriptor
 * of its own per node, on which it reads attributes, so attributes are never in a message.
 *
 *	node:     u64 handle, u32 GOFER_NODE_*, [str target], O_PATH descriptor, [open descriptor]
 *
 *	stamp:    u64 mtime, u64 ctime of the directory in ns, taken after the change; the name was
 *		  seen to be what the change made it behind that. 0, 0 if it was not.
 *
 * `target` is present for symbolic links, whose content never changes.
 */
#include <stdint.h>

#define GOFER_MSG_MAX (68u * 1024)	/* an xattr of 64 KiB and its name */
#define GOFER_WALK_MAX 16u		/* components, and so descriptors, of one message */
#define GOFER_FDS_MAX 16u
#define GOFER_NAME_MAX 255u
#define GOFER_TARGET_MAX 4095u
#define GOFER_XATTR_MAX 65536u
#define GOFER_XATTR_NAME_MAX 255u
#define GOFER_FORGET_MAX 512u
#define GOFER_CHANNELS_MAX 8u
#define GOFER_ROOTS_MAX 64u

enum gofer_op {
	GOFER_ATTACH = 1,	/* u32 root -> node */
	GOFER_WALK,		/* u64 dir, u32 open, u32 n, n * str -> u32 got, i32 stop, got * node:
				 * stops at the first link, non-directory or error (`stop`). With `open`
				 * a regular file at the end comes with an O_RDONLY descriptor if it may */
	GOFER_OPEN,		/* u64 h, u32 flags -> one fd. flags: O_ACCMODE, O_TRUNC, O_DIRECTORY,
				 * O_DIRECT */
	GOFER_CREATE,		/* u64 dir, str name, u32 mode, u32 flags, u32 uid, u32 gid -> node, opened
				 * with flags, stamp. Fails with -EEXIST if there */
	GOFER_MKDIR,		/* u64 dir, str name, u32 mode, u32 uid, u32 gid -> node, stamp */
	GOFER_MKNOD,		/* the same; mode has S_IFREG, S_IFIFO or S_IFSOCK */
	GOFER_SYMLINK,		/* u64 dir, str name, str target, u32 uid, u32 gid -> node, stamp */
	GOFER_LINK,		/* u64 h, u64 dir, str name -> stamp */
	GOFER_UNLINK,		/* u64 dir, str name, u32 is_dir, u64 h or 0 -> stamp */
	GOFER_RENAME,		/* u64 odir, str oname, u64 ndir, str nname, u32 flags, u64 moved or 0,
				 * u64 replaced or 0 -> stamp of ndir and nname */
	GOFER_SETATTR,		/* u64 h, u32 valid, u32 mode, u32 uid, u32 gid, u64 size,
				 * 2 * (u64 sec, u64 nsec) -> */
	GOFER_GETXATTR,		/* u64 h, str name, u32 cap -> u32 len, bytes (none if cap is 0) */
	GOFER_SETXATTR,		/* u64 h, str name, u32 flags, u32 len, bytes -> */
	GOFER_LISTXATTR,	/* u64 h, u32 cap -> u32 len, bytes */
	GOFER_REMOVEXATTR,	/* u64 h, str name -> */
	GOFER_GETFD,		/* u64 h -> one fd (O_PATH): the Sentry gave its own up */
	GOFER_FORGET,		/* u32 n, n * u64 h; no reply */
	GOFER_REOPEN_RO,	/* one fd (a memfd) -> one fd: another description, O_RDONLY */
	GOFER_PEEK,		/* u64 dir, str name -> u64 dev, u64 ino, u64 born: what the name is now,
				 * without a handle; born tells reused inode numbers apart */
	GOFER_SIBLINGS,		/* u64 dir, u32 n, n * str -> n * (i32 status, node if 0) */
	GOFER_TMPFILE,		/* u64 dir, u32 mode, u32 uid, u32 gid -> node without a name, open for
				 * reading and writing; its descriptor is kept until it is forgotten */
	GOFER_OP_END
};

#define GOFER_NODE_TARGET 1u
#define GOFER_NODE_OPEN 2u

/* A birth time as one number; 0 where the file system has none. */
static inline uint64_t gofer_born(int64_t sec, uint32_t nsec)
{
	return (uint64_t)sec * 1000000000u + nsec;
}

/* Bits of GOFER_SETATTR.valid; nsec may be UTIME_NOW. */
#define GOFER_SET_MODE 1u
#define GOFER_SET_UID 2u
#define GOFER_SET_GID 4u
#define GOFER_SET_SIZE 8u
#define GOFER_SET_ATIME 16u
#define GOFER_SET_MTIME 32u

/*
 * On the Gofer's control socket (its descriptor 3) the launcher sends
 *	u32 GOFER_BOOT_MAGIC, u32 flags, u32 nchannels, u32 nroots	+ the channels' descriptors
 *	u32 GOFER_BOOT_MAGIC, u32 root flags				+ one O_PATH descriptor
 * the second once per root, in the order of their numbers; a root is a directory or a file. The
 * Gofer isolates itself and answers u32 magic, i32 status, u32 GOFER_HAS_* of what is in force;
 * then it closes the socket. proto/gofer_boot.h has the launcher's side.
 */
#define GOFER_BOOT_MAGIC 0x72666f67u
#define GOFER_BOOT_NO_LANDLOCK 1u
#define GOFER_BOOT_NO_OPENAT2 2u
#define GOFER_BOOT_DEBUG 4u		/* log to fd 2 */
#define GOFER_BOOT_KEEP_IDS 8u		/* started by root: do not become nobody */

#define GOFER_ROOT_RW 1u
#define GOFER_ROOT_PUBLIC 2u		/* only what another ordinary user could read; not with RW */
#define GOFER_ROOT_SPECIAL 4u		/* FIFOs, sockets and devices may be opened */
#define GOFER_ROOT_FLAGS 7u

#define GOFER_HAS_LANDLOCK 1u
#define GOFER_HAS_OPENAT2 2u
#define GOFER_HAS_SECCOMP 4u
#define GOFER_HAS_NOBODY 8u		/* runs as uid 65534 */

#define GOFER_CONTROL_HFD 3
