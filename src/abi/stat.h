/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* struct stat, timespec, dirent64, statfs and friends as x86-64 system calls lay them out. */
#include <assert.h>
#include <stdint.h>

struct l_timespec {
	int64_t sec, nsec;
};

struct l_timeval {
	int64_t sec, usec;
};

struct l_iovec {
	uint64_t base, len;
};

struct l_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad0;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	struct l_timespec atime, mtime, ctime;
	int64_t unused[3];
};
static_assert(sizeof(struct l_stat) == 144, "struct stat");

struct l_statfs {
	int64_t type, bsize;
	uint64_t blocks, bfree, bavail, files, ffree;
	uint64_t fsid;
	int64_t namelen, frsize, flags, spare[4];
};
static_assert(sizeof(struct l_statfs) == 120, "struct statfs");
