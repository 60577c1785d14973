/* SPDX-License-Identifier: Apache-2.0 */
/* prctl, arch_prctl, personality. */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <signal.h>
#include "lib/fmt.h"
#include "sentry/core/kheap.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/task/exec.h"
#include "sentry/task/ns.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_i.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#define PR_SET_MDWE_ 65
#define PR_GET_MDWE_ 66
#define PR_SET_MEMORY_MERGE_ 67
#define PR_GET_MEMORY_MERGE_ 68
#define ANON_NAME_MAX 80

static int64_t set_name(struct task *t, uint64_t uname)
{
	char name[16] = {0};
	int64_t n = copy_in_str(t, name, UADDR(uname), sizeof(name));

	/* Longer names are cut: strncpy_from_user with the size of comm - 1. */
	if (n == -ENAMETOOLONG)
		n = copy_in(t, name, UADDR(uname), sizeof(name) - 1);
	if (n < 0)
		return n;
	name[sizeof(name) - 1] = '\0';
	task_set_comm(t, name);
	return 0;
}

static int64_t capbset(struct task *t, uint64_t cap, bool drop)
{
	struct cred *n;

	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	if (!drop)
		return t->cred->cap_bset >> cap & 1;
	if (!cred_ns_capable(t->cred, t->cred->user_ns, CAP_SETPCAP))
		return -EPERM;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	n->cap_bset &= ~(1ull << cap);
	task_commit_creds(t, n);
	return 0;
}

static int64_t set_securebits(struct task *t, uint64_t bits)
{
	const struct cred *o = t->cred;
	struct cred *n;

	if (bits & ~(uint64_t)(SECURE_ALL_BITS | SECURE_ALL_LOCKS))
		return -EPERM;
	if (((o->securebits & SECURE_ALL_LOCKS) >> 1) & (o->securebits ^ bits))
		return -EPERM;
	if ((o->securebits & SECURE_ALL_LOCKS & ~bits) ||
	    !cred_ns_capable(o, o->user_ns, CAP_SETPCAP))
		return -EPERM;
	n = cred_copy(o);
	if (!n)
		return -ENOMEM;
	n->securebits = (uint32_t)bits;
	task_commit_creds(t, n);
	return 0;
}

static int64_t set_keepcaps(struct task *t, uint64_t v)
{
	struct cred *n;

	if (v > 1)
		return -EINVAL;
	if (t->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -EPERM;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	n->securebits = v ? n->securebits | SECBIT_KEEP_CAPS : n->securebits & ~(uint32_t)SECBIT_KEEP_CAPS;
	task_commit_creds(t, n);
	return 0;
}

static int64_t cap_ambient(struct task *t, const struct sysargs *a)
{
	uint64_t cap = a->a[2];
	struct cred *n;

	if (a->a[3] || a->a[4])
		return -EINVAL;
	if (a->a[1] == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (cap)
			return -EINVAL;
	} else if (cap > CAP_LAST_CAP) {
		return -EINVAL;
	}
	if (a->a[1] == PR_CAP_AMBIENT_IS_SET)
		return t->cred->cap_ambient >> cap & 1;
	if (a->a[1] < PR_CAP_AMBIENT_IS_SET || a->a[1] > PR_CAP_AMBIENT_CLEAR_ALL)
		return -EINVAL;
	if (a->a[1] == PR_CAP_AMBIENT_RAISE &&
	    (!(t->cred->cap_permitted >> cap & 1) || !(t->cred->cap_inheritable >> cap & 1) ||
	     (t->cred->securebits & SECBIT_NO_CAP_AMBIENT_RAISE)))
		return -EPERM;
	n = cred_copy(t->cred);
	if (!n)
		return -ENOMEM;
	if (a->a[1] == PR_CAP_AMBIENT_CLEAR_ALL)
		n->cap_ambient = 0;
	else if (a->a[1] == PR_CAP_AMBIENT_RAISE)
		n->cap_ambient |= 1ull << cap;
	else
		n->cap_ambient &= ~(1ull << cap);
	task_commit_creds(t, n);
	return 0;
}

static int64_t set_vma_name(struct task *t, const struct sysargs *a)
{
	char name[ANON_NAME_MAX] = {0};

	if (a->a[1] != PR_SET_VMA_ANON_NAME)
		return -EINVAL;
	if (a->a[4]) {
		int64_t n = copy_in_str(t, name, UADDR(a->a[4]), sizeof(name));

		if (n < 0)
			return n == -ENAMETOOLONG ? -EINVAL : n;
		for (const char *p = name; *p; p++)
			if (*p < 0x20 || *p > 0x7e || *p == '\\' || *p == '`' || *p == '$' || *p == '[' || *p == ']')
				return -EINVAL;
	}
	return mm_set_anon_name(t, a->a[2], a->a[3], a->a[4] ? name : NULL);
}

/* PR_SET_MM: the layout's marks, for programs that change their title. */
static int64_t set_mm(struct task *t, const struct sysargs *a)
{
	uint64_t *field = NULL;
	struct mm *mm = t->mm;

	if (!task_capable(t, CAP_SYS_RESOURCE))
		return -EPERM;
	switch (a->a[1]) {
	case PR_SET_MM_START_CODE:
		field = &mm->start_code;
		break;
	case PR_SET_MM_END_CODE:
		field = &mm->end_code;
		break;
	case PR_SET_MM_START_DATA:
		field = &mm->start_data;
		break;
	case PR_SET_MM_END_DATA:
		field = &mm->end_data;
		break;
	case PR_SET_MM_START_STACK:
		field = &mm->start_stack;
		break;
	case PR_SET_MM_ARG_START:
		field = &mm->arg_start;
		break;
	case PR_SET_MM_ARG_END:
		field = &mm->arg_end;
		break;
	case PR_SET_MM_ENV_START:
		field = &mm->env_start;
		break;
	case PR_SET_MM_ENV_END:
		field = &mm->env_end;
		break;
	default:
		return -EINVAL;
	}
	if (a->a[2] < PL_GUEST_MIN || a->a[2] >= mm->task_top)
		return -EINVAL;
	*field = a->a[2];
	return 0;
}

static int64_t get_auxv(struct task *t, const struct sysargs *a)
{
	uint64_t n = t->mm->auxv_n * 8ull;

	if (a->a[3] || a->a[4])
		return -EINVAL;
	if (copy_out(t, UADDR(a->a[1]), t->mm->auxv, min(n, a->a[2])))
		return -EFAULT;
	return (int64_t)n;
}

static int64_t set_subreaper(struct task *t, bool on)
{
	struct process *p, *i;

	mutex_lock(&tasks_lock);
	p = t->proc;
	p->is_child_subreaper = on;
	if (on) {
		/* Descendants look for one from now on. */
		list_for_each(i, &task_root->processes, all_link) {
			for (struct process *up = i->parent; up; up = up->parent) {
				if (up == p) {
					i->has_child_subreaper = true;
					break;
				}
			}
		}
	}
	mutex_unlock(&tasks_lock);
	return 0;
}

static int64_t mm_prctl(struct task *t, const struct sysargs *a)
{
	switch (ARG_INT(0)) {
	case PR_GET_DUMPABLE:
		return t->mm->dumpable_mode;
	case PR_SET_DUMPABLE:
		if (a->a[1] > 1)
			return -EINVAL;
		t->mm->dumpable = a->a[1];
		t->mm->dumpable_mode = (uint8_t)a->a[1];
		return 0;
	case PR_SET_MM:
		return set_mm(t, a);
	case PR_SET_VMA:
		return set_vma_name(t, a);
	case PR_GET_AUXV:
		return get_auxv(t, a);
	case PR_SET_THP_DISABLE:
		if (a->a[2] || a->a[3] || a->a[4])
			return -EINVAL;
		t->mm->thp_disable = a->a[1];
		return 0;
	case PR_GET_THP_DISABLE:
		if (a->a[1] || a->a[2] || a->a[3] || a->a[4])
			return -EINVAL;
		return t->mm->thp_disable;
	default:
		return -EINVAL;
	}
}

static int64_t cred_prctl(struct task *t, const struct sysargs *a)
{
	switch (ARG_INT(0)) {
	case PR_CAPBSET_READ:
		return capbset(t, a->a[1], false);
	case PR_CAPBSET_DROP:
		return capbset(t, a->a[1], true);
	case PR_GET_SECUREBITS:
		return t->cred->securebits;
	case PR_SET_SECUREBITS:
		return set_securebits(t, a->a[1]);
	case PR_GET_KEEPCAPS:
		return !!(t->cred->securebits & SECBIT_KEEP_CAPS);
	case PR_SET_KEEPCAPS:
		return set_keepcaps(t, a->a[1]);
	case PR_CAP_AMBIENT:
		return cap_ambient(t, a);
	case PR_SET_NO_NEW_PRIVS:
		if (a->a[1] != 1 || a->a[2] || a->a[3] || a->a[4])
			return -EINVAL;
		t->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		if (a->a[1] || a->a[2] || a->a[3] || a->a[4])
			return -EINVAL;
		return t->no_new_privs;
	case PR_GET_SECCOMP:
		return t->seccomp_mode;
	case PR_SET_SECCOMP:
		if (a->a[1] == 1)
			return seccomp_set_strict(t);
		return a->a[1] == 2 ? seccomp_set_filter(t, 0, a->a[2]) : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int64_t put_int(struct task *t, uint64_t addr, int32_t v)
{
	return put_user(t, UADDR(addr), v);
}

int64_t sys_prctl(struct task *t, const struct sysargs *a)
{
	char name[16];

	switch (ARG_INT(0)) {
	case PR_SET_PDEATHSIG:
		if (a->a[1] > L_NSIG)
			return -EINVAL;
		t->pdeath_signal = (int32_t)a->a[1];
		return 0;
	case PR_GET_PDEATHSIG:
		return put_int(t, a->a[1], t->pdeath_signal);
	case PR_SET_NAME:
		return set_name(t, a->a[1]);
	case PR_GET_NAME:
		__builtin_memcpy(name, t->comm, sizeof(name));
		return copy_out(t, UADDR(a->a[1]), name, sizeof(name));
	case PR_SET_CHILD_SUBREAPER:
		return set_subreaper(t, a->a[1]);
	case PR_GET_CHILD_SUBREAPER:
		return put_int(t, a->a[1], t->proc->is_child_subreaper);
	case PR_GET_TIMERSLACK:
		return (int64_t)t->timer_slack;
	case PR_SET_TIMERSLACK:
		t->timer_slack = (int64_t)a->a[1] <= 0 ? t->default_timer_slack : a->a[1];
		return 0;
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return a->a[1] == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_GET_TSC:
		return put_int(t, a->a[1], PR_TSC_ENABLE);
	case PR_SET_TSC:
		return a->a[1] == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_TID_ADDRESS:
		return put_user(t, UADDR(a->a[1]), t->clear_tid);
	case PR_MCE_KILL:
	case PR_MCE_KILL_GET:
		if (a->a[3] || a->a[4])
			return -EINVAL;
		return ARG_INT(0) == PR_MCE_KILL ? 0 : PR_MCE_KILL_DEFAULT;
	case PR_GET_SPECULATION_CTRL:
		if (a->a[2] || a->a[3] || a->a[4])
			return -EINVAL;
		return a->a[1] <= 2 ? 0 /* PR_SPEC_NOT_AFFECTED */ : -ENODEV;
	case PR_SET_SPECULATION_CTRL:
		return -ENXIO;
	case PR_TASK_PERF_EVENTS_DISABLE:
	case PR_TASK_PERF_EVENTS_ENABLE:
		return 0;
	case PR_GET_MDWE_:
		return a->a[1] || a->a[2] || a->a[3] || a->a[4] ? -EINVAL : 0;
	case PR_GET_MEMORY_MERGE_:
		return a->a[1] || a->a[2] || a->a[3] || a->a[4] ? -EINVAL : 0;
	case PR_GET_DUMPABLE:
	case PR_SET_DUMPABLE:
	case PR_SET_MM:
	case PR_SET_VMA:
	case PR_GET_AUXV:
	case PR_SET_THP_DISABLE:
	case PR_GET_THP_DISABLE:
		return mm_prctl(t, a);
	default:
		return cred_prctl(t, a);
	}
}

int64_t sys_arch_prctl(struct task *t, const struct sysargs *a)
{
	uint64_t v = a->a[1];

	switch (ARG_INT(0)) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (v >= pl_guest_top())
			return -EPERM;
		if (ARG_INT(0) == ARCH_SET_FS)
			task_regs(t, true)->fs_base = v;
		else
			task_regs(t, true)->gs_base = v;
		return 0;
	case ARCH_GET_FS:
		return put_user(t, UADDR(v), task_regs(t, false)->fs_base);
	case ARCH_GET_GS:
		return put_user(t, UADDR(v), task_regs(t, false)->gs_base);
	case 0x1011:	/* ARCH_GET_CPUID */
		return 1;
	case 0x1012:	/* ARCH_SET_CPUID */
		return -ENODEV;
	default:
		return -EINVAL;
	}
}

int64_t sys_personality(struct task *t, const struct sysargs *a)
{
	uint32_t old = t->personality;

	if (ARG_U32(0) != 0xffffffffu)
		t->personality = ARG_U32(0);
	return old;
}
