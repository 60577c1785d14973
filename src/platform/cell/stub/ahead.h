/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which memory of a system call is read with it: an argument and how much of it. */
#include <asm/unistd.h>
#include <stdint.h>

#define PRE_STR 15		/* a string */
#define PRE_LEN 14		/* as many bytes as the next argument says */
#define PRE(arg, kind) (0x80 | (arg) << 4 | (kind))	/* else 8 << (kind - 1) bytes */
#define PRE_ARG(d) ((d) >> 4 & 7)
#define PRE_KIND(d) ((d) & 15)
#define B8 1
#define B16 2
#define B32 3
#define B64 4
#define PRE_MAX 440

static const uint8_t pre_table[PRE_MAX] = {
	[__NR_open] = PRE(0, PRE_STR),
	[__NR_stat] = PRE(0, PRE_STR),
	[__NR_lstat] = PRE(0, PRE_STR),
	[__NR_access] = PRE(0, PRE_STR),
	[__NR_execve] = PRE(0, PRE_STR),
	[__NR_truncate] = PRE(0, PRE_STR),
	[__NR_chdir] = PRE(0, PRE_STR),
	[__NR_rename] = PRE(0, PRE_STR),
	[__NR_mkdir] = PRE(0, PRE_STR),
	[__NR_rmdir] = PRE(0, PRE_STR),
	[__NR_creat] = PRE(0, PRE_STR),
	[__NR_link] = PRE(0, PRE_STR),
	[__NR_unlink] = PRE(0, PRE_STR),
	[__NR_symlink] = PRE(0, PRE_STR),
	[__NR_readlink] = PRE(0, PRE_STR),
	[__NR_chmod] = PRE(0, PRE_STR),
	[__NR_chown] = PRE(0, PRE_STR),
	[__NR_lchown] = PRE(0, PRE_STR),
	[__NR_statfs] = PRE(0, PRE_STR),
	[__NR_getxattr] = PRE(0, PRE_STR),
	[__NR_lgetxattr] = PRE(0, PRE_STR),
	[__NR_openat] = PRE(1, PRE_STR),
	[__NR_mkdirat] = PRE(1, PRE_STR),
	[__NR_newfstatat] = PRE(1, PRE_STR),
	[__NR_unlinkat] = PRE(1, PRE_STR),
	[__NR_renameat] = PRE(1, PRE_STR),
	[__NR_renameat2] = PRE(1, PRE_STR),
	[__NR_readlinkat] = PRE(1, PRE_STR),
	[__NR_fchmodat] = PRE(1, PRE_STR),
	[__NR_fchownat] = PRE(1, PRE_STR),
	[__NR_faccessat] = PRE(1, PRE_STR),
	[__NR_faccessat2] = PRE(1, PRE_STR),
	[__NR_utimensat] = PRE(1, PRE_STR),
	[__NR_statx] = PRE(1, PRE_STR),
	[__NR_openat2] = PRE(1, PRE_STR),
	[__NR_write] = PRE(1, PRE_LEN),
	[__NR_pwrite64] = PRE(1, PRE_LEN),
	[__NR_sendto] = PRE(1, PRE_LEN),
	[__NR_connect] = PRE(1, PRE_LEN),
	[__NR_bind] = PRE(1, PRE_LEN),
	[__NR_clone3] = PRE(0, PRE_LEN),
	[__NR_writev] = PRE(1, B64),
	[__NR_readv] = PRE(1, B64),
	[__NR_sendmsg] = PRE(1, B64),
	[__NR_recvmsg] = PRE(1, B64),
	[__NR_poll] = PRE(0, B64),
	[__NR_ppoll] = PRE(0, B64),
	[__NR_rt_sigaction] = PRE(1, B32),
	[__NR_rt_sigprocmask] = PRE(1, B8),
	[__NR_rt_sigsuspend] = PRE(0, B8),
	[__NR_nanosleep] = PRE(0, B16),
	[__NR_clock_nanosleep] = PRE(2, B16),
	[__NR_epoll_ctl] = PRE(3, B16),
	[__NR_setitimer] = PRE(1, B32),
	[__NR_prlimit64] = PRE(2, B16),
};
