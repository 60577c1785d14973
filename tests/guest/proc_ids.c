/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, capabilities, limits, prctl and other state of a process. */
#include "guest.h"
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void drop(void)
{
	uid_t r, e, s;
	gid_t groups[4] = {10, 20, 30};
	SHOW(setgroups(3, groups));
	SHOW(getgroups(0, NULL));
	SHOW(getgroups(2, groups));
	SHOW(setresgid(1000, 1001, 1002));
	SHOW(setresuid(1000, 1001, 1002));
	getresuid(&r, &e, &s);
	printf("%u %u %u\n", r, e, s);
	SHOW(setuid(0));
	SHOW(setuid(1002));
	SHOW(seteuid(1000));
	SHOW(setreuid(1002, 1000));
	getresuid(&r, &e, &s);
	printf("%u %u %u\n", r, e, s);
	SHOW(setresuid(1000, 1000, 1000));
	SHOW(setgroups(1, groups));
	SHOW(setfsuid(5));
	SHOW(setfsuid(1000));
	SHOW(kill(1, 0) < 0 ? errno : 0);
	SHOW(chown(".", 0, 0));
	SHOW(sethostname("x", 1));
	SHOW(setpriority(PRIO_PROCESS, 0, -5));
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	SHOW(syscall(SYS_capget, &h, d));
	printf("%x %x\n", d[0].effective, d[0].permitted);
	fflush(stdout);
	_exit(0);
}

static void show_limit(const char *name, int which)
{
	struct rlimit r;
	printf("%s %d", name, getrlimit(which, &r));
	printf(" %d\n", r.rlim_cur <= r.rlim_max);
}

int main(void)
{
	fflush(stdout);
	if (getuid() == 0 && fork() == 0)
		drop();
	wait(NULL);
	CHECK(getuid() == geteuid() && getgid() == getegid());
	CHECK(getpid() > 0);
	/* prctl */
	char name[17] = "";
	SHOW(prctl(PR_SET_NAME, "a-rather-long-name"));
	SHOW(prctl(PR_GET_NAME, name));
	printf("%s\n", name);
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 0));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 2));
	SHOW(prctl(PR_SET_DUMPABLE, 1));
	SHOW(prctl(PR_SET_PDEATHSIG, SIGTERM));
	int sig = 0;
	SHOW(prctl(PR_GET_PDEATHSIG, &sig));
	printf("%d\n", sig);
	SHOW(prctl(PR_SET_PDEATHSIG, 99));
	SHOW(prctl(PR_SET_PDEATHSIG, 0));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(prctl(PR_GET_TIMERSLACK) > 0);
	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
	SHOW(prctl(PR_GET_CHILD_SUBREAPER, &sig));
	printf("%d\n", sig);
	SHOW(prctl(PR_GET_TSC, &sig));
	SHOW(prctl(PR_CAPBSET_READ, 0) >= 0);
	SHOW(prctl(PR_CAPBSET_READ, 99));
	SHOW(prctl(PR_GET_SECUREBITS));
	SHOW(prctl(99999));
	/* limits */
	show_limit("NOFILE", RLIMIT_NOFILE);
	show_limit("STACK", RLIMIT_STACK);
	show_limit("CORE", RLIMIT_CORE);
	show_limit("AS", RLIMIT_AS);
	struct rlimit r = {100, 50}, old;
	SHOW(setrlimit(RLIMIT_NOFILE, &r));
	SHOW(getrlimit(99, &r));
	r = (struct rlimit){1 << 20, 1 << 20};
	SHOW(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
	SHOW(prlimit(0, RLIMIT_FSIZE, &r, &old));
	printf("%d\n", old.rlim_cur == RLIM_INFINITY);
	signal(SIGXFSZ, SIG_IGN);
	int fd = open("f", O_CREAT | O_RDWR, 0644);
	SHOW(pwrite(fd, "xyz", 3, (1 << 20) - 1));
	SHOW(pwrite(fd, "xyz", 3, 1 << 20));
	SHOW(ftruncate(fd, (1 << 20) + 1));
	SHOW(prlimit(1 << 22, RLIMIT_FSIZE, NULL, &old));
	/* priorities and scheduling */
	SHOW(setpriority(PRIO_PROCESS, 0, 12));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(nice(3));
	SHOW(setpriority(PRIO_PROCESS, 0, 30));
	SHOW(getpriority(PRIO_PROCESS, 1 << 22));
	SHOW(sched_getscheduler(0));
	struct sched_param sp = {0};
	SHOW(sched_getparam(0, &sp));
	SHOW(sched_get_priority_max(SCHED_FIFO));
	SHOW(sched_get_priority_min(SCHED_OTHER));
	SHOW(sched_setscheduler(0, SCHED_BATCH, &sp));
	SHOW(sched_getscheduler(0));
	SHOW(sched_setscheduler(0, 77, &sp));
	SHOW(sched_yield());
	cpu_set_t set;
	SHOW(sched_getaffinity(0, sizeof(set), &set));
	CHECK(CPU_COUNT(&set) >= 1);
	SHOW(CPU_ISSET(sched_getcpu(), &set));
	SHOW(sched_setaffinity(0, sizeof(set), &set));
	CPU_ZERO(&set);
	SHOW(sched_setaffinity(0, sizeof(set), &set));
	SHOW(syscall(SYS_sched_getaffinity, 0, 1, &set));
	/* the system */
	struct utsname u;
	SHOW(uname(&u));
	printf("%s %s\n", u.sysname, u.machine);
	CHECK(atoi(u.release) >= 5);
	struct sysinfo si;
	SHOW(sysinfo(&si));
	CHECK(si.totalram > 0 && si.mem_unit > 0 && si.procs > 0);
	SHOW(personality(0xffffffff));
	unsigned char rnd[64] = {0};
	SHOW(getrandom(rnd, 64, 0));
	int zero = 0;
	for (int i = 0; i < 64; i++)
		zero += rnd[i] == 0;
	CHECK(zero < 10);
	SHOW(getrandom(rnd, 64, 77));
	SHOW(getrandom((void *)8, 64, 0));
	SHOW(getrandom(rnd, 256, GRND_NONBLOCK));
	SHOW(syscall(SYS_getcpu, &sig, NULL, NULL));
	SHOW(syscall(SYS_membarrier, 0, 0, 0) >= 0);
	SHOW(syscall(9999));
	SHOW(syscall(-1));
	SHOW(acct("x") < 0);
	DONE();
}
