/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox as a machine: its names, its memory, barriers. */
#include <errno.h>
#include "host/proc.h"
#include "host/time.h"
#include "lib/fmt.h"
#include "sentry/core/charge.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/fs/proc/system.h"
#include "sentry/task/ns.h"
#include "sentry/task/rusage.h"
#include "sentry/task/uname.h"
#include "sentry/time/time.h"

struct l_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};

int64_t sys_uname(struct task *t, const struct sysargs *a)
{
	struct uts_ns *u = t->ns->uts;
	struct l_utsname n = {0};

	fmt_n(n.sysname, 65, "%s", UTS_SYSNAME);
	fmt_n(n.release, 65, "%s", t->personality & 0x20000 /* UNAME26 */ ? "2.6.78-brig" : UTS_RELEASE);
	fmt_n(n.version, 65, "%s", UTS_VERSION);
	fmt_n(n.machine, 65, "%s", UTS_MACHINE);
	mutex_lock(&u->lock);
	__builtin_memcpy(n.nodename, u->nodename, UTS_LEN);
	__builtin_memcpy(n.domainname, u->domainname, UTS_LEN);
	mutex_unlock(&u->lock);
	return copy_out(t, UADDR(a->a[0]), &n, sizeof(n));
}

static int64_t set_uts(struct task *t, const struct sysargs *a, bool domain)
{
	struct uts_ns *u = t->ns->uts;
	char name[UTS_LEN] = {0};

	if (!cred_ns_capable(t->cred, u->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (ARG_INT(1) < 0 || ARG_INT(1) > UTS_LEN - 1)
		return -EINVAL;
	if (copy_in(t, name, UADDR(a->a[0]), (size_t)ARG_INT(1)))
		return -EFAULT;
	mutex_lock(&u->lock);
	__builtin_memcpy(domain ? u->domainname : u->nodename, name, UTS_LEN);
	mutex_unlock(&u->lock);
	return 0;
}

int64_t sys_sethostname(struct task *t, const struct sysargs *a)
{
	return set_uts(t, a, false);
}

int64_t sys_setdomainname(struct task *t, const struct sysargs *a)
{
	return set_uts(t, a, true);
}

struct l_sysinfo {
	int64_t uptime;
	uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit;
	uint8_t end[4];
};

int64_t sys_sysinfo(struct task *t, const struct sysargs *a)
{
	struct l_sysinfo s = {.mem_unit = 1};
	struct sys_usage u;
	uint32_t load[3];
	struct mem_facts m;

	s.uptime = (h_clock_ns(CLOCK_BOOTTIME) + clock_ns_offset(t, CLOCK_BOOTTIME) + 999999999) / 1000000000;
	sys_loadavg(load);
	for (int i = 0; i < 3; i++)
		s.loads[i] = load[i];
	sys_usage_sum(&u);
	s.procs = (uint16_t)min(u.tasks, 65535u);
	proc_mem_facts(&m);
	s.totalram = m.total;
	s.freeram = m.free;
	s.sharedram = m.shmem;
	return copy_out(t, UADDR(a->a[0]), &s, 112);
}

#define RANDOM_CHUNK 256

int64_t sys_getrandom(struct task *t, const struct sysargs *a)
{
	uint64_t left = min(a->a[1], 0x1ffffffull), done = 0;
	uint8_t buf[RANDOM_CHUNK];

	if (ARG_U32(2) & ~7u || (ARG_U32(2) & 6u) == 6u)
		return -EINVAL;
	while (done < left) {
		size_t n = min(left - done, (uint64_t)sizeof(buf));

		if (h_getrandom(buf, n, 0) != (int64_t)n)
			return done ? (int64_t)done : -EAGAIN;
		/* bounded: done < left, and copy_out checks the address */
		if (copy_out(t, UADDR(a->a[0] + done), buf, n))
			return done ? (int64_t)done : -EFAULT;
		done += n;
		if (done < left && signal_pending(t))
			break;
	}
	return (int64_t)done;
}

/* --- the kernel's messages ------------------------------------------------------------------ */

#define LOG_BUF 131072

/* This kernel writes none: its log is empty. kernel.dmesg_restrict is on. */
int64_t sys_syslog(struct task *t, const struct sysargs *a)
{
	int type = ARG_INT(0), len = ARG_INT(2);
	int r = 0;

	if (!task_capable(t, CAP_SYSLOG) && !task_capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	switch (type) {
	case 2: case 3: case 4:		/* read, read all, read and clear */
		if (!a->a[1] || len < 0)
			return -EINVAL;
		if (!len)
			return 0;
		if (a->a[1] >= pl_guest_top())	/* access_ok: nothing is written */
			return -EFAULT;
		while (type == 2 && !r)
			r = wait_sleep(t, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		return r;
	case 8:				/* console level */
		return len < 1 || len > 8 ? -EINVAL : 0;
	case 10:
		return LOG_BUF;
	case 0: case 1: case 5: case 6: case 7: case 9:
		return 0;
	}
	return -EINVAL;
}
