/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The boot spec: everything that the Sentry is told about its sandbox, in one checked binary
 * message. The launcher writes it into a memfd that the Sentry finds at descriptor
 * BOOT_SPEC_HFD (read it from offset 0); all other descriptors are inherited under the numbers that the spec names.
 *
 * Decoding copies nothing: strings of a decoded struct boot_spec point into the buffer, which
 * must outlive it. Every string is NUL-terminated and holds no other NUL.
 */
#include "lib/compiler.h"

#define BOOT_MAGIC 0x47524942u	/* "BIRG" in memory order B I R G */
#define BOOT_VERSION 1u
#define BOOT_SPEC_HFD 3
#define BOOT_MAX_SIZE (6u << 20)
#define BOOT_MAX_MOUNTS 128
#define BOOT_MAX_GROUPS 64
#define BOOT_MAX_CHANNELS 8
#define BOOT_PATH_MAX 4096
#define BOOT_CPUINFO_MAX (1u << 20)
#define BOOT_SEED_SIZE 32

enum boot_mount_kind {
	BOOT_MNT_OVERLAY = 1,	/* writable memory layer over Gofer root `root` */
	BOOT_MNT_GOFER,		/* Gofer root `root` itself (bind), rw unless BOOT_MNT_F_RO */
	BOOT_MNT_TMPFS,		/* empty; `size` bytes at most (0: no limit of its own), `mode` */
	BOOT_MNT_PROC,
	BOOT_MNT_SYS,
	BOOT_MNT_DEV,		/* /dev with its nodes, pts and shm */
	BOOT_MNT_DIR,		/* no mount: makes a directory with `mode` */
	BOOT_MNT_SYMLINK,	/* no mount: makes a symbolic link at target with the text `source` */
	BOOT_MNT_KINDS
};

#define BOOT_MNT_F_RO (1u << 0)
#define BOOT_MNT_F_FILE (1u << 1)	/* the Gofer root is a regular file, the target a file */
#define BOOT_MNT_F_SHARED (1u << 2)	/* others write the source: coherence checks apply */
#define BOOT_MNT_F_NOSUID (1u << 3)
#define BOOT_MNT_F_NODEV (1u << 4)
#define BOOT_MNT_F_NOEXEC (1u << 5)
#define BOOT_MNT_F_USER (1u << 6)	/* DIR: belongs to uid and gid of the spec, else to root */

/*
 * Mounts are carried out in order; the first is always the root ("/"). Missing parents of a
 * target, and the target itself, are made as directories 0755 (the target of a BOOT_MNT_F_FILE as
 * an empty file) in whatever is mounted there; a read-only mount makes that an error.
 */
struct boot_mount {
	uint32_t kind;
	uint32_t flags;
	uint32_t root;		/* OVERLAY, GOFER: index of the Gofer's root */
	uint32_t mode;		/* TMPFS, DIR: permission bits */
	uint64_t size;		/* TMPFS: bytes; OVERLAY: 0 or the limit of its upper layer */
	const char *target;	/* absolute guest path without "." or ".." components */
	const char *source;	/* SYMLINK: its text; else what /proc/mounts shows as source */
};

/* n NUL-terminated strings in a row, len bytes in all. */
struct boot_strs {
	uint32_t n;
	uint32_t len;
	const char *p;
};

#define BOOT_F_STRACE (1ull << 0)	/* decode calls onto strace_hfd */
#define BOOT_F_DEBUG (1ull << 1)	/* log level debug onto log_hfd */
#define BOOT_F_HARDENED (1ull << 2)	/* strict threads only */
#define BOOT_F_NO_PATCH (1ull << 3)
#define BOOT_F_NO_SPIN (1ull << 4)
#define BOOT_F_TTY (1ull << 5)		/* stdio with number -1 is the sandbox's own pty */
#define BOOT_F_MEM_LEASE (1ull << 6)	/* no cgroup holds `memory`: the launcher samples */
#define BOOT_F_NO_LANDLOCK (1ull << 7)	/* --without landlock */
#define BOOT_F_NO_FSGSBASE (1ull << 8)
#define BOOT_F_NO_CLONE3 (1ull << 9)
#define BOOT_F_NO_NOTIF_SYNC (1ull << 10)
#define BOOT_F_ASROOT (1ull << 11)	/* the guest's uid 0 has its capabilities (default) */
#define BOOT_F_HOST_USERNS (1ull << 12)	/* this process is in a user namespace of its own */
#define BOOT_F_MASK ((1ull << 13) - 1)

/* Limits; 0 means none. */
struct boot_limits {
	uint64_t memory;	/* bytes */
	uint64_t disk;		/* bytes in overlays and tmpfs together */
	uint64_t timeout_ns;	/* kept by the launcher; told so that the Sentry can name it */
	uint32_t pids;
	uint32_t nofile_soft, nofile_hard;
};

/* Host descriptors by number; -1 where there is none. */
struct boot_fds {
	int32_t control;	/* SOCK_SEQPACKET to the launcher, see proto/control.h */
	int32_t cell;		/* the cell binary */
	int32_t log;
	int32_t strace;
	int32_t tty;		/* BOOT_F_TTY: stream socket, the far side of the sandbox's pty */
	int32_t stdio[3];	/* -1: the pty with BOOT_F_TTY, else closed */
	int32_t empty_dir;	/* O_PATH of an empty directory to become the root, or -1 */
	uint32_t n_channels;
	int32_t channels[BOOT_MAX_CHANNELS];	/* to the Gofer, see proto/gofer.h */
};

struct boot_spec {
	uint64_t kheap_addr;	/* multiple of 1 GiB */
	uint8_t seed[BOOT_SEED_SIZE];
	uint64_t flags;
	uint32_t ncpus;
	uint32_t uid, gid;	/* the guest's first credentials */
	uint32_t host_uid, host_gid;	/* what host files of "our" user belong to, shown as uid/gid */
	uint32_t umask;
	uint32_t tty_rows, tty_cols;
	struct boot_limits limits;
	struct boot_fds fds;
	uint64_t mem_total;	/* bytes of the host, for MemTotal when no limit is set */
	const char *cpuinfo;	/* the host's /proc/cpuinfo, or "" */
	uint32_t n_groups;
	uint32_t groups[BOOT_MAX_GROUPS];
	const char *cwd;
	const char *hostname;
	const char *program;	/* argv[0] to look up along PATH of envp */
	struct boot_strs argv, envp;
	uint32_t n_mounts;
	struct boot_mount mounts[BOOT_MAX_MOUNTS];
};

/* 0, or -EINVAL for anything that is not exactly a spec; then *out is not to be used. */
must_check int boot_decode(const void *buf, size_t len, struct boot_spec *out);
/* 0 and *len bytes in buf; -E2BIG when cap is too small, -EINVAL for what would not decode. */
must_check int boot_encode(const struct boot_spec *spec, void *buf, size_t cap, size_t *len);
/* The string after `prev` (the first for NULL), or NULL at the end. */
const char *boot_strs_next(const struct boot_strs *s, const char *prev);
