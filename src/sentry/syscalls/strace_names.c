/* SPDX-License-Identifier: Apache-2.0 */
/* Names of constants. Bits without a name are printed in hexadecimal behind those that have one. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include "sentry/syscalls/strace_int.h"

struct name {
	uint64_t v;
	const char *name;
};
#define N(x) {(uint64_t)(x), #x}

static const struct name open_names[] = {
	N(O_CREAT),  N(O_EXCL),	     N(O_NOCTTY),   N(O_TRUNC),	    N(O_APPEND), N(O_NONBLOCK),
	N(O_SYNC),   N(O_DSYNC),     N(O_ASYNC),    N(O_DIRECT),    {0100000, "O_LARGEFILE"},
	N(O_TMPFILE), N(O_DIRECTORY), N(O_NOFOLLOW), N(O_NOATIME),   N(O_CLOEXEC), N(O_PATH),
};
static const struct name prot_names[] = {N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC),
					 N(PROT_GROWSDOWN), N(PROT_GROWSUP)};
static const struct name map_names[] = {
	N(MAP_FIXED),	 N(MAP_ANONYMOUS), N(MAP_32BIT),     N(MAP_GROWSDOWN), N(MAP_DENYWRITE),
	N(MAP_EXECUTABLE), N(MAP_LOCKED),  N(MAP_NORESERVE), N(MAP_POPULATE),  N(MAP_NONBLOCK),
	N(MAP_STACK),	 N(MAP_HUGETLB),   N(MAP_SYNC),	     N(MAP_FIXED_NOREPLACE),
};
static const struct name clone_names[] = {
	N(CLONE_VM),	     N(CLONE_FS),      N(CLONE_FILES),	 N(CLONE_SIGHAND),
	N(CLONE_PIDFD),	     N(CLONE_PTRACE),  N(CLONE_VFORK),	 N(CLONE_PARENT),
	N(CLONE_THREAD),     N(CLONE_NEWNS),   N(CLONE_SYSVSEM), N(CLONE_SETTLS),
	N(CLONE_PARENT_SETTID), N(CLONE_CHILD_CLEARTID), N(CLONE_DETACHED), N(CLONE_UNTRACED),
	N(CLONE_CHILD_SETTID), N(CLONE_NEWCGROUP), N(CLONE_NEWUTS), N(CLONE_NEWIPC),
	N(CLONE_NEWUSER),    N(CLONE_NEWPID),  N(CLONE_NEWNET),	 N(CLONE_IO),
};
static const struct name wait_names[] = {N(WNOHANG), N(WUNTRACED), N(WEXITED), N(WCONTINUED),
					 N(WNOWAIT), N(__WNOTHREAD), N(__WALL), N(__WCLONE)};
static const struct name at_names[] = {
	N(AT_SYMLINK_NOFOLLOW), {AT_REMOVEDIR, "AT_REMOVEDIR"}, N(AT_SYMLINK_FOLLOW),
	N(AT_NO_AUTOMOUNT),	N(AT_EMPTY_PATH), {0x2000, "AT_STATX_FORCE_SYNC"},
	{0x4000, "AT_STATX_DONT_SYNC"}, {0x8000, "AT_RECURSIVE"},
};
static const struct name sock_flag_names[] = {N(SOCK_CLOEXEC), N(SOCK_NONBLOCK)};

static const struct name madvise_names[] = {
	N(MADV_NORMAL),	    N(MADV_RANDOM),	 N(MADV_SEQUENTIAL), N(MADV_WILLNEED),
	N(MADV_DONTNEED),   N(MADV_FREE),	 N(MADV_REMOVE),     N(MADV_DONTFORK),
	N(MADV_DOFORK),	    N(MADV_HUGEPAGE),	 N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP),
	N(MADV_DODUMP),	    N(MADV_WIPEONFORK),	 N(MADV_KEEPONFORK), N(MADV_COLD),
	N(MADV_PAGEOUT),    {22, "MADV_POPULATE_READ"}, {23, "MADV_POPULATE_WRITE"},
	{25, "MADV_COLLAPSE"}, {102, "MADV_GUARD_INSTALL"}, {103, "MADV_GUARD_REMOVE"},
};
static const struct name whence_names[] = {N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), N(SEEK_DATA),
					   N(SEEK_HOLE)};
static const struct name how_names[] = {N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK)};
static const struct name clock_names[] = {
	N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID),
	N(CLOCK_THREAD_CPUTIME_ID), N(CLOCK_MONOTONIC_RAW), N(CLOCK_REALTIME_COARSE),
	N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME), N(CLOCK_REALTIME_ALARM),
	N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI),
};
static const struct name futex_names[] = {
	N(FUTEX_WAIT),	    N(FUTEX_WAKE),	N(FUTEX_FD),	      N(FUTEX_REQUEUE),
	N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP), N(FUTEX_LOCK_PI),     N(FUTEX_UNLOCK_PI),
	N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET),
	N(FUTEX_WAIT_REQUEUE_PI), N(FUTEX_CMP_REQUEUE_PI), {13, "FUTEX_LOCK_PI2"},
};
static const struct name fcntl_names[] = {
	N(F_DUPFD),  N(F_GETFD),   N(F_SETFD),	   N(F_GETFL),	   N(F_SETFL),	   N(F_GETLK),
	N(F_SETLK),  N(F_SETLKW),  N(F_SETOWN),	   N(F_GETOWN),	   N(F_SETSIG),	   N(F_GETSIG),
	N(F_SETOWN_EX), N(F_GETOWN_EX), N(F_OFD_GETLK), N(F_OFD_SETLK), N(F_OFD_SETLKW),
	N(F_SETLEASE), N(F_GETLEASE), N(F_NOTIFY), N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ),
	N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS),
};
static const struct name epoll_names[] = {N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD)};
static const struct name family_names[] = {N(AF_UNSPEC), N(AF_UNIX), N(AF_INET), N(AF_INET6),
					   N(AF_NETLINK), N(AF_PACKET), N(AF_ALG), N(AF_VSOCK)};
static const struct name socktype_names[] = {N(SOCK_STREAM), N(SOCK_DGRAM), N(SOCK_RAW),
					     N(SOCK_RDM), N(SOCK_SEQPACKET), N(SOCK_PACKET)};
static const struct name rlimit_names[] = {
	{RLIMIT_CPU, "RLIMIT_CPU"},	    {RLIMIT_FSIZE, "RLIMIT_FSIZE"},
	{RLIMIT_DATA, "RLIMIT_DATA"},	    {RLIMIT_STACK, "RLIMIT_STACK"},
	{RLIMIT_CORE, "RLIMIT_CORE"},	    {RLIMIT_RSS, "RLIMIT_RSS"},
	{RLIMIT_NPROC, "RLIMIT_NPROC"},	    {RLIMIT_NOFILE, "RLIMIT_NOFILE"},
	{RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"}, {RLIMIT_AS, "RLIMIT_AS"},
	{RLIMIT_LOCKS, "RLIMIT_LOCKS"},	    {RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"},
	{RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"}, {RLIMIT_NICE, "RLIMIT_NICE"},
	{RLIMIT_RTPRIO, "RLIMIT_RTPRIO"},   {RLIMIT_RTTIME, "RLIMIT_RTTIME"},
};
static const struct name prctl_names[] = {
	N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE),
	N(PR_GET_KEEPCAPS), N(PR_SET_KEEPCAPS), N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_SECCOMP),
	N(PR_SET_SECCOMP), N(PR_CAPBSET_READ), N(PR_CAPBSET_DROP), N(PR_GET_SECUREBITS),
	N(PR_SET_SECUREBITS), N(PR_SET_TIMERSLACK), N(PR_GET_TIMERSLACK), N(PR_SET_MM),
	N(PR_SET_PTRACER), N(PR_SET_CHILD_SUBREAPER), N(PR_GET_CHILD_SUBREAPER),
	N(PR_SET_NO_NEW_PRIVS), N(PR_GET_NO_NEW_PRIVS), N(PR_GET_TID_ADDRESS), N(PR_SET_THP_DISABLE),
	N(PR_GET_THP_DISABLE), N(PR_CAP_AMBIENT), {0x53564d41, "PR_SET_VMA"},
};

struct table {
	const struct name *names;
	size_t n;
};
#define TABLE(t) ((struct table){t, array_size(t)})

static const char *find(struct table t, uint64_t v)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.names[i].v == v)
			return t.names[i].name;
	return NULL;
}

static void put_bits(struct buf *b, struct table t, uint64_t v, bool first)
{
	for (size_t i = 0; i < t.n; i++) {
		const struct name *n = &t.names[i];

		if (!n->v || (v & n->v) != n->v)
			continue;
		buf_fmt(b, first ? "%s" : "|%s", n->name);
		v &= ~n->v;
		first = false;
	}
	if (v || first)
		buf_fmt(b, first ? v ? "0x%lx" : "%lx" : "|0x%lx", v);
}

static void put_one(struct buf *b, struct table t, uint64_t v)
{
	const char *name = find(t, (uint32_t)v);

	if (name)
		buf_fmt(b, "%s", name);
	else
		buf_fmt(b, "%d", (int)v);
}

static void put_signal(struct buf *b, uint64_t v)
{
	const char *name = sigabbrev_np((int)v);

	if (name)
		buf_fmt(b, "SIG%s", name);
	else if (v >= 32 && v <= 64)
		buf_fmt(b, "SIGRT_%d", (int)v - 32);
	else
		buf_fmt(b, "%d", (int)v);
}

static void put_open(struct buf *b, uint64_t v)
{
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

	buf_fmt(b, "%s", modes[v & 3]);
	if (v & ~3ull)
		put_bits(b, TABLE(open_names), (uint32_t)v & ~3u, false);
}

static void put_map(struct buf *b, uint64_t v)
{
	static const char *const types[] = {"MAP_FILE", "MAP_SHARED", "MAP_PRIVATE",
					    "MAP_SHARED_VALIDATE"};

	buf_fmt(b, "%s", types[v & 3]);
	if (v & ~3ull)
		put_bits(b, TABLE(map_names), (uint32_t)v & ~3u, false);
}

static void put_clone(struct buf *b, uint64_t v)
{
	put_bits(b, TABLE(clone_names), v & 0xffffff00, true);
	if (v & 0xff) {
		buf_addc(b, '|');
		put_signal(b, v & 0xff);
	}
}

static void put_futex(struct buf *b, uint64_t v)
{
	put_one(b, TABLE(futex_names), v & (uint64_t)FUTEX_CMD_MASK);
	if (v & FUTEX_PRIVATE_FLAG)
		buf_fmt(b, "_PRIVATE");
	if (v & FUTEX_CLOCK_REALTIME)
		buf_fmt(b, "|FUTEX_CLOCK_REALTIME");
}

static void put_socktype(struct buf *b, uint64_t v)
{
	put_one(b, TABLE(socktype_names), v & 0xf);
	if (v & ~0xfull)
		put_bits(b, TABLE(sock_flag_names), (uint32_t)v & ~0xfu, false);
}

static void put_ioctl(struct buf *b, uint64_t v)
{
	static const struct name names[] = {
		{0x5401, "TCGETS"},	{0x5402, "TCSETS"},	{0x5403, "TCSETSW"},
		{0x5404, "TCSETSF"},	{0x540e, "TIOCSCTTY"},	{0x540f, "TIOCGPGRP"},
		{0x5410, "TIOCSPGRP"},	{0x5413, "TIOCGWINSZ"}, {0x5414, "TIOCSWINSZ"},
		{0x541b, "FIONREAD"},	{0x5421, "FIONBIO"},	{0x5422, "TIOCNOTTY"},
		{0x5450, "FIONCLEX"},	{0x5451, "FIOCLEX"},	{0x80045430, "TIOCGPTN"},
		{0x40045431, "TIOCSPTLCK"}, {0x40049409, "FICLONE"},
	};
	const char *name = find(TABLE(names), (uint32_t)v);

	if (name)
		buf_fmt(b, "%s", name);
	else
		buf_fmt(b, "0x%x", (uint32_t)v);
}

bool strace_named(struct buf *b, char letter, uint64_t v)
{
	switch (letter) {
	case 'o': put_open(b, v); break;
	case 'A': put_map(b, v); break;
	case 'c': put_clone(b, v); break;
	case 'C': put_futex(b, v); break;
	case 'Y': put_socktype(b, v); break;
	case 'S': put_signal(b, v); break;
	case 'q': put_ioctl(b, v); break;
	case 'a':
		if (v)
			put_bits(b, TABLE(prot_names), (uint32_t)v, true);
		else
			buf_fmt(b, "PROT_NONE");
		break;
	case 'L': put_bits(b, TABLE(at_names), (uint32_t)v, true); break;
	case 'W': put_bits(b, TABLE(wait_names), (uint32_t)v, true); break;
	case 'M': put_one(b, TABLE(madvise_names), v); break;
	case 'w': put_one(b, TABLE(whence_names), v); break;
	case 'H': put_one(b, TABLE(how_names), v); break;
	case 'K': put_one(b, TABLE(clock_names), v); break;
	case 'n': put_one(b, TABLE(fcntl_names), v); break;
	case 'e': put_one(b, TABLE(epoll_names), v); break;
	case 'y': put_one(b, TABLE(family_names), v); break;
	case 'r': put_one(b, TABLE(rlimit_names), v); break;
	case 'h': put_one(b, TABLE(prctl_names), v); break;
	default: return false;
	}
	return true;
}
