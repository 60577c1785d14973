/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every system call of the table with arguments that fit its signature, nearly: from several threads
 * at once, while others close the descriptors, unmap the memory and rewrite the structures.
 * HOSTILE_SEED makes a run again, HOSTILE_CALLS=name,name confines it to some calls, and
 * HOSTILE_LOG=1 prints each call first.
 */
#include "hostile.h"
#include <grp.h>
#include <linux/fs.h>
#include <net/if.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <netinet/in.h>

#define THREADS 4
#define ARENA (1u << 20)
#define WORK "/tmp/calls"

struct call {
	int nr;
	const char *name, *sig;
};
#define X(nr, name, sig, status, audit, flags, note) {nr, #name, sig},
#define FULL 0
static const struct call table[] = {
#include "sentry/syscalls/table.def"
};
#define N_CALLS (sizeof(table) / sizeof(table[0]))
static bool wanted[N_CALLS], logs;

static __thread uint64_t state;
static char *arena;		/* structures, rewritten under the calls */
static char *edge;		/* the last byte before a hole */
static pid_t self;

static uint64_t r64(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dull;
}

static unsigned below(unsigned n)
{
	return (unsigned)(r64() >> 33) % n;
}

#define ONE_OF(...)                                                                                \
	({                                                                                         \
		static const uint64_t set_[] = {__VA_ARGS__};                                      \
		set_[below(sizeof(set_) / sizeof(set_[0]))];                                       \
	})

static uint64_t odd_number(void)
{
	switch (below(6)) {
	case 0:
		return ONE_OF(0, 1, 2, 3, 7, 8, 16, 24, 32, 64, 128, 255, 256, 511, 1000, 1024, 1025);
	case 1:
		return ONE_OF(4095, 4096, 4097, 8192, 65535, 65536, 1u << 20, 1u << 24, 0x7fffffff);
	case 2:
		return ONE_OF(-1ull, -2ull, -100ull, -4096ull, INT64_MIN, INT64_MAX, 0xffffffff,
			      0x80000000, 0xffffffff80000000, 1ull << 47, 1ull << 40);
	case 3:
		return 1ull << below(64);
	case 4:
		return below(40);
	default:
		return r64() >> below(64);
	}
}

static char *place(unsigned n)
{
	return arena + (below(ARENA - n - 64) & ~7u);
}

static const char *const names[] = {
	"a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/f", "..", ".", "", "/", "link", "loop", "fifo",
	"sock", "a/", "d/../a", "nosuch", "nosuch/a", "d/link/a", "/proc/self/mem", "/proc/self/maps",
	"/proc/self/fd", "/proc/self/fd/3", "/proc/self/exe", "/proc/self/cwd", "/proc/self/ns/mnt",
	"/proc/self/ns/net", "/proc/self/ns/user", "/proc/self/ns/time", "/proc/self/status",
	"/proc/self/task", "/proc/self/setgroups", "/proc/self/uid_map", "/proc/self/oom_score_adj",
	"/proc/self/comm", "/proc/self/environ", "/proc/self/mountinfo", "/proc/self/smaps",
	"/proc/self/pagemap", "/proc/self/auxv", "/proc/self/fdinfo/3", "/proc/net/tcp",
	"/proc/net/unix", "/proc/sys/kernel/pid_max", "/proc/sys/kernel/hostname", "/proc/stat",
	"/proc/sys/kernel/ns_last_pid", "/proc/sys/fs/mqueue/msg_max", "/proc/meminfo", "/dev/null",
	"/dev/zero", "/dev/full", "/dev/random", "/dev/tty", "/dev/ptmx", "/dev/pts/0", "/dev/shm/x",
	"/dev/mqueue", "/sys/devices/system/cpu/online", "/sys", "/etc/passwd", "/usr/bin/true",
	"/bin/sh", "/usr/lib", "tmpfs", "proc", "sysfs", "bind", "user.x", "user.yy",
	"security.capability", "trusted.t", "system.posix_acl_access", "mode=0700,size=1m", "remount",
};

static char *text(void)
{
	char *p = place(5000);
	unsigned n;
	switch (below(12)) {
	case 0:
		n = (unsigned)ONE_OF(1, 254, 255, 256, 257, 4094, 4095, 4096, 4097);
		memset(p, below(4) ? 'x' : '/', n);
		p[n] = 0;
		return p;
	case 1:
		for (n = 0; n < 4000; n += 2)
			memcpy(p + n, below(9) ? "d/" : "./", 2);
		p[n] = 0;
		return p;
	default:
		return strcpy(p, names[below(sizeof(names) / sizeof(names[0]))]);
	}
}

/* Where a structure is expected: numbers, pointers into the arena, and sizes that look right. */
static uint64_t structure(void)
{
	char *p = place(512);
	uint64_t *w = (uint64_t *)p;
	switch (below(14)) {
	case 0:
		return 0;
	case 1:
		return ONE_OF(1, 0xffffffffffffff00, 0x800000000000, 0x7ffffffff000, 0x60000, 0x10000);
	case 2:
		return (uint64_t)edge - below(64);
	case 3:
		return (uint64_t)edge + below(64);
	case 4:
		memset(p, 0, 256);
		return (uint64_t)p;
	case 5:
		memset(p, 0xff, 256);
		return (uint64_t)p;
	case 6:
		for (int i = 0; i < 32; i++)
			w[i] = below(3) ? (uint64_t)place(64) : odd_number();
		return (uint64_t)p;
	case 7:		/* iovecs */
		for (int i = 0; i < 32; i += 2)
			w[i] = below(4) ? (uint64_t)place(8192) : structure(), w[i + 1] = odd_number() & 0xffff;
		return (uint64_t)p;
	default:
		for (int i = 0; i < 32; i++)
			if (below(3) == 0)
				((uint32_t *)p)[i * 2 + below(2)] = (uint32_t)odd_number();
			else if (below(4) == 0)
				w[i] = odd_number();
		return (uint64_t)p;
	}
}

static uint64_t message(void)
{
	struct msghdr *m = (void *)place(1024);
	struct cmsghdr *c = (void *)(m + 1);
	m->msg_name = below(2) ? place(128) : NULL;
	m->msg_namelen = (unsigned)odd_number() & 0xff;
	m->msg_iov = (void *)(c + 8);
	m->msg_iovlen = below(8) ? below(4) : odd_number();
	for (int i = 0; i < 4; i++)
		m->msg_iov[i] = (struct iovec){place(70000), below(5) ? below(70000) : odd_number()};
	m->msg_control = below(4) ? c : NULL;
	m->msg_controllen = below(4) ? CMSG_SPACE(4 * (1 + below(4))) : odd_number() & 0xfffff;
	c->cmsg_len = below(4) ? CMSG_LEN(4 * (1 + below(4))) : odd_number();
	c->cmsg_level = below(4) ? SOL_SOCKET : below(50);
	c->cmsg_type = 1 + below(4);
	for (int i = 0; i < 5; i++)
		((int *)CMSG_DATA(c))[i] = below(3) ? (int)below(40) : self;
	return (uint64_t)m;
}

static uint64_t address(void)
{
	struct sockaddr_un *u = (void *)place(200);
	struct sockaddr_in *i4 = (void *)u;
	switch (below(4)) {
	case 0:
		*i4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(2000 + below(8)),
					   .sin_addr.s_addr = htonl(below(3) ? 0x7f000001 : 0)};
		return (uint64_t)i4;
	case 1:
		u->sun_family = AF_UNIX;
		strcpy(u->sun_path + below(2), below(2) ? "sock" : "other");
		return (uint64_t)u;
	case 2:
		memset(u, 0, 40);
		u->sun_family = (unsigned short)ONE_OF(0, 1, 2, 10, 16, 17);
		((uint32_t *)u)[1] = (uint32_t)odd_number();
		((uint32_t *)u)[2] = below(8);
		return (uint64_t)u;
	default:
		return structure();
	}
}

static uint64_t some_pid(void)
{
	/* never -1: it is a root's, and would end the program that starts us */
	switch (below(6)) {
	case 0:
		return 0;
	case 1:
		return (uint64_t)(int64_t)-self;
	case 2:
		return (uint64_t)self + 1 + below(THREADS + 4);
	case 3:
		return ONE_OF(INT32_MIN, 0x7fffffff, 4194304, 99999999);
	default:
		return (uint64_t)self;
	}
}

static uint64_t control_code(void)
{
	static const uint32_t more[] = {SIOCGIFCONF, SIOCGIFNAME, SIOCGIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS,
		SIOCGIFINDEX, SIOCGIFMTU, SIOCGIFHWADDR, FIONREAD, FIONBIO, FIOASYNC, FIOCLEX, FIOQSIZE,
		FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FICLONE, FICLONERANGE, FIFREEZE, BLKGETSIZE64, FIBMAP,
		TIOCGPTPEER, TIOCGPTN, 0xb701, 0xb702, 0xb703, 0xb704, 0xb705, 0xb706, 0xc0502100, 0xc0182101,
		0x40082102, 0x80082102, 0x40182103, 0x40086602};
	return below(2) ? 0x5400 + below(128) : below(4) ? more[below(sizeof(more) / 4)] : odd_number();
}

static uint64_t argument(char kind, int nr)
{
	if (below(60) == 0)
		return odd_number();
	switch (kind) {
	case 'f':
		return below(20) ? below(48) : odd_number();
	case 'F':
		return below(3) ? (uint64_t)AT_FDCWD : below(48);
	case 's':
		return below(16) ? (uint64_t)text() : structure();
	case 'i':
		return some_pid();
	case 'z':
		return below(3) ? below(9000) : odd_number();
	case 'k': {
		uint64_t *v = (void *)place(128);
		for (int i = 0; i < 8; i++)
			v[i] = (uint64_t)text();
		v[below(8)] = 0;
		v[8] = 0;
		return below(8) ? (uint64_t)v : structure();
	}
	case 'b': case 'B':
		return below(6) ? (uint64_t)place(70000) : structure();
	case 'p':
		if (nr == SYS_sendmsg || nr == SYS_recvmsg || nr == SYS_sendmmsg || nr == SYS_recvmmsg)
			return message();
		if (below(8) == 0)
			return (uint64_t)text();
		return structure();
	case 'v': case 'V': case 'g': case 'G': case 't': case 'T': case 'O': case 'J': case 'E': case 'P':
	case 'R':
		return structure();
	case 'N':
		return address();
	case 'y':
		return below(8) ? ONE_OF(AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET) : odd_number();
	case 'Y':
		return ONE_OF(1, 2, 3, 5) | (below(3) ? SOCK_NONBLOCK : below(4) ? 0 : odd_number());
	case 'Z':
		return below(12) ? 8 : odd_number();
	case 'S':
		return below(10) ? 1 + below(64) : odd_number();
	case 'o':
		return below(4) ? ONE_OF(0, 1, 2, 02000, 0102, 0302, 01002, 02000000, 04000, 010000000, 020200000)
				: odd_number();
	case 'q':
		return control_code();
	case 'c':
		return below(3) ? (r64() & (0xffull << below(28))) | below(65) : odd_number();
	case 'h':
		return below(3) ? below(80) : odd_number();
	case 'l':
		return below(2) ? below(10000) : odd_number();
	case 'd': case 'u': case 'x':
		return below(2) ? below(20) : below(2) ? 1ull << below(32) : odd_number();
	case 'n':
		return below(2) ? below(20) : 1024 + below(20);
	case 'C':
		return below(14) | (below(2) ? 128 : 0) | (below(4) ? 0 : 256);
	default:
		return below(4) ? below(8) | (below(3) ? 0 : 1ull << below(13)) : odd_number();
	}
}

static void one_call(void)
{
	unsigned at = below(N_CALLS);
	const struct call *c = &table[at];
	uint64_t a[6] = {0};
	if (!wanted[at])
		return;
	for (int i = 0; i < 6 && c->sig[i] && c->sig[i] != ':'; i++)
		a[i] = argument(c->sig[i], c->nr);
	if (logs)
		dprintf(1, "%d %s(%lx, %lx, %lx, %lx, %lx, %lx)\n", self, c->name, a[0], a[1], a[2], a[3],
			a[4], a[5]);
	if ((c->nr == SYS_kill || c->nr == SYS_ptrace || c->nr == SYS_setpriority) && (int)a[0] == -1)
		return;
	pid_t me = (pid_t)syscall(SYS_gettid);
	long r = syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (r == 0 && (c->nr == SYS_fork || c->nr == SYS_vfork || c->nr == SYS_clone || c->nr == SYS_clone3) &&
	    syscall(SYS_gettid) != me)
		syscall(SYS_exit, 0);
}

/* Descriptors of every kind under low numbers, again and again. */
static void fill_fds(void)
{
	int p[2];
	char peer[16];
	(void)!pipe2(p, O_NONBLOCK);
	socketpair(AF_UNIX, (int)ONE_OF(1, 2, 5) | SOCK_NONBLOCK, 0, p);
	epoll_create1(0);
	eventfd((unsigned)below(3), EFD_NONBLOCK | (int)below(2));
	timerfd_create((int)below(2), TFD_NONBLOCK);
	inotify_init1(O_NONBLOCK);
	syscall(SYS_memfd_create, "m", 2);
	syscall(SYS_pidfd_open, self, 0);
	open(text(), O_RDWR | O_NONBLOCK | O_CREAT, 0666);
	open(names[below(sizeof(names) / sizeof(names[0]))], O_RDONLY | O_NONBLOCK);
	open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	socket((int)ONE_OF(AF_INET, AF_INET6, AF_UNIX), (int)ONE_OF(1, 2) | SOCK_NONBLOCK, 0);
	socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, (int)ONE_OF(0, 4, 15, 16));
	open(".", O_RDONLY | O_DIRECTORY);
	open("d", O_PATH);
	snprintf(peer, sizeof(peer), "/proc/self/fd/%u", below(40));
	open(peer, O_RDWR | O_NONBLOCK);
}

static void *caller(void *arg)
{
	state = (uint64_t)arg | 1;
	for (unsigned i = 0;; i++) {
		if (i % 512 == 0)
			fill_fds();
		one_call();
	}
	return NULL;
}

/* What the calls look at changes, goes and comes back while they do. */
static void *spoiler(void *arg)
{
	double end = now_s() + 1;
	state = (uint64_t)arg | 1;
	while (now_s() < end) {
		char *p = place(64);
		switch (below(5)) {
		case 0:
			p = arena + (below(ARENA) & ~4095u);
			munmap(p, 4096);
			mmap(p, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
			break;
		case 1:
			close((int)below(48));
			break;
		case 2:
			usleep(below(500));
			break;
		default:
			for (int i = 0; i < 200; i++)
				*(volatile uint64_t *)place(64) = below(4) ? odd_number() : (uint64_t)place(8);
		}
	}
	syscall(SYS_exit_group, 0);	/* nobody else may end it: a namespace's init */
	return NULL;
}

static void prepare(uint64_t arg)
{
	struct rlimit small = {256 << 20, 256 << 20};
	char dir[64];
	pid_t in;
	self = getpid();
	snprintf(dir, sizeof(dir), WORK "/%d", self);
	mkdir(dir, 0777);
	(void)!chdir(dir);
	for (int fd = 0; fd < 3 && !logs; fd++)
		dup2(open("/dev/null", O_RDWR), fd);
	mkdir("d", 0777);
	mkdir("d/e", 0777);
	close(open("a", O_CREAT | O_RDWR, 0666));
	(void)!symlink("d/a", "link");
	(void)!symlink("loop", "loop");
	mkfifo("fifo", 0666);
	setrlimit(RLIMIT_FSIZE, &small);
	if (geteuid() == 0 && arg % 3) {
		setgroups(0, NULL);
		(void)!setresgid(1000, 1000, 1000);
		(void)!setresuid(1000, 1000, 1000);
	} else if (geteuid() == 0) {
		unshare(CLONE_NEWPID);
		if ((in = fork()) > 0)
			_exit(waitpid(in, NULL, 0) < 0);
		self = getpid();
		unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
		(void)!chroot(".");	/* root reaches every file; this one has its own */
	}
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	arena = mmap(NULL, ARENA, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	edge = mmap(NULL, 8192, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 4096;
	munmap(edge, 4096);
}

static void worker(uint64_t arg)
{
	pthread_t t;
	prepare(arg);
	state = arg | 1;
	fill_fds();
	for (uint64_t i = 0; i < THREADS - 1; i++)
		pthread_create(&t, NULL, caller, (void *)(arg * 31 + i * 7));
	pthread_create(&t, NULL, spoiler, (void *)(arg * 37));
	caller((void *)(arg * 41));
}

static void choose(const char *list)
{
	/* the last two no filter of the host sees (Linux 6.18) */
	static const int never[] = {SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_pause, SYS_reboot, 335, 336};
	for (unsigned i = 0; i < N_CALLS; i++) {
		size_t n = strlen(table[i].name);
		wanted[i] = !list;
		for (const char *p = list; p && (p = strstr(p, table[i].name)); p += n)
			wanted[i] |= (p == list || p[-1] == ',') && (p[n] == 0 || p[n] == ',');
		for (unsigned j = 0; j < sizeof(never) / sizeof(never[0]); j++)
			wanted[i] &= table[i].nr != never[j];
	}
}

int main(void)
{
	struct batch b = {.n = 0};
	const char *seed = getenv("HOSTILE_SEED");
	double end = now_s() + attack_seconds();
	rng_state ^= seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
	printf("seed %llu\n", (unsigned long long)rng_state);
	fflush(stdout);
	choose(getenv("HOSTILE_CALLS"));
	logs = getenv("HOSTILE_LOG") != NULL;
	mkdir(WORK, 0777);
	chmod(WORK, 0777);
	for (unsigned round = 0; now_s() < end; round++) {
		for (int i = 0; i < 3; i++)
			in_child(&b, 0, worker, rng());
		batch_end(&b, 400);
		if (round % 8 == 7 && system("rm -rf " WORK "/*") != 0)
			printf("left-overs\n");
	}
	return 0;
}
