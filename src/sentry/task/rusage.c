/* SPDX-License-Identifier: Apache-2.0 */
/* CPU time and CPU masks. A thread's time is what the platform counted since its base, plus what
 * was booked when it changed host threads (exec): a sum of differences, so it never jumps (R23). */
#include "sentry/task/rusage.h"
#include "host/proc.h"
#include "host/time.h"
#include "sentry/task/task_i.h"

/* System time is what a task's Sentry thread has run for it, without spinning. */
static uint64_t serving_ns(uint32_t tid, uint64_t spun)
{
	uint64_t cpu = (uint64_t)h_clock_ns((int)(~tid << 3 | 6));	/* CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED */

	spun = pl_spun_ns(spun);
	return cpu - min(cpu, spun);
}

void task_sys_start(struct task *t)
{
	uint32_t tid = (uint32_t)h_gettid();

	t->sys_spun = pl_spun();
	t->sys_base = serving_ns(tid, t->sys_spun);
	__atomic_store_n(&t->host_thread, tid, __ATOMIC_RELEASE);
}

static uint64_t sys_ns(struct task *t)
{
	uint32_t tid = __atomic_load_n(&t->host_thread, __ATOMIC_ACQUIRE);
	uint64_t ns, seen = __atomic_load_n(&t->sys_seen, __ATOMIC_RELAXED);

	if (!tid)
		return 0;
	if (t == current)
		__atomic_store_n(&t->sys_spun, pl_spun(), __ATOMIC_RELAXED);
	ns = serving_ns(tid, __atomic_load_n(&t->sys_spun, __ATOMIC_RELAXED));
	ns -= min(ns, t->sys_base);
	/* others see a spin that goes on as serving: never less than what was shown */
	while (ns > seen && !__atomic_compare_exchange_n(&t->sys_seen, &seen, ns, false, __ATOMIC_RELAXED,
							 __ATOMIC_RELAXED))
		;
	return max(ns, seen);
}

/* T held: its Sentry thread will serve others. */
void task_sys_end(struct task *t)
{
	t->usage.stime += sys_ns(t);
	__atomic_store_n(&t->host_thread, 0, __ATOMIC_RELEASE);
}

void task_usage(struct task *t, struct rusage_sum *out)
{
	pl_thread_t pl = t->pl;

	*out = t->usage;
	out->stime += sys_ns(t);
	if (pl.v != PL_NONE) {
		uint64_t now = pl_thread_cputime(pl);

		out->utime += now - min(now, t->utime_base);
	}
}

static void add(struct rusage_sum *to, const struct rusage_sum *u)
{
	to->utime += u->utime, to->stime += u->stime;
	to->minflt += u->minflt, to->majflt += u->majflt;
	to->nvcsw += u->nvcsw, to->nivcsw += u->nivcsw;
	to->inblock += u->inblock, to->oublock += u->oublock;
	to->maxrss = max(to->maxrss, u->maxrss);
}

void process_usage_locked(struct process *p, struct rusage_sum *out)
{
	uint64_t cpu = p->cpu_done;
	struct rusage_sum u;
	struct task *t;

	*out = p->dead_threads;
	list_for_each(t, &p->threads, thread_link) {
		task_usage(t, &u);
		add(out, &u);
	}
	/* With several threads what is known of each is old; the clock of their cell is not. */
	if (p->cpu_space.v != PL_NONE) {
		uint64_t now = pl_space_cputime(p->cpu_space);

		cpu += now - min(now, p->cpu_base);
	} else if (!cpu) {
		cpu = out->utime;
	}
	p->cpu_seen_max = max(p->cpu_seen_max, cpu);
	out->utime = p->cpu_seen_max;
	p->sys_seen_max = max(p->sys_seen_max, out->stime);
	out->stime = p->sys_seen_max;
}

/* T held. The process has a space of its own from now on. */
void process_cpu_attach(struct process *p, pl_space_t space)
{
	p->cpu_space = space;
	p->cpu_base = pl_space_cputime(space);
}

/* T held, before the space is given back. */
void process_cpu_detach(struct process *p)
{
	struct rusage_sum u;

	process_usage_locked(p, &u);
	p->cpu_done = u.utime;
	p->cpu_space.v = PL_NONE;
}

void process_usage(struct process *p, struct rusage_sum *out)
{
	mutex_lock(&tasks_lock);
	process_usage_locked(p, out);
	mutex_unlock(&tasks_lock);
}

/* --- CPU masks ----------------------------------------------------------------------------- */

/* A subset of the host's numbering: what this process may use when it starts (R22). */
void task_init_affinity(struct task *t)
{
	uint64_t mask[16] = {0};
	int n = h_sched_getaffinity(0, sizeof(mask), mask);

	if (n <= 0)
		mask[0] = 1;
	__builtin_memcpy(t->affinity, mask, sizeof(t->affinity));
}

static bool cpu_set(const uint8_t *mask, unsigned cpu)
{
	return mask[cpu / 8] & 1u << cpu % 8;
}

static unsigned cpumask_limit(void)
{
	static unsigned n;
	uint64_t mask[16] = {0};

	if (!n) {
		unsigned hi = 1;

		pl_host_cpus(mask, sizeof(mask));	/* our own thread may be pinned */
		for (unsigned i = 0; i < 1024; i++)
			if (mask[i / 64] >> i % 64 & 1)
				hi = i + 1;
		n = hi;
	}
	return n;
}

void cpumask_show(const uint8_t *mask, struct buf *b)
{
	unsigned words = (cpumask_limit() + 31) / 32;

	for (unsigned w = words; w-- > 0;) {
		uint32_t v = 0;

		for (unsigned i = 0; i < 4; i++)
			v |= (uint32_t)mask[w * 4 + i] << i * 8;
		buf_fmt(b, w + 1 == words ? "%x" : ",%08x", v);
	}
}

void cpumask_show_list(const uint8_t *mask, struct buf *b)
{
	bool first = true;

	for (unsigned i = 0; i < 1024; i++) {
		unsigned from = i;

		if (!cpu_set(mask, i))
			continue;
		while (i + 1 < 1024 && cpu_set(mask, i + 1))
			i++;
		buf_fmt(b, first ? "%u" : ",%u", from);
		if (i > from)
			buf_fmt(b, "-%u", i);
		first = false;
	}
}

/* --- the whole sandbox --------------------------------------------------------------------- */

static struct {
	uint64_t last, cpu;	/* ns: when it was asked last, and the CPU time used by then */
	uint64_t load[3];	/* 16.16 */
} loads;
static struct mutex loads_lock = MUTEX_INIT(RANK_LOG);

void sys_usage_sum(struct sys_usage *s)
{
	struct rusage_sum u;
	struct process *p;
	struct task *t;

	*s = (struct sys_usage){0};
	mutex_lock(&tasks_lock);
	uint64_t now = now_mono(), since = max(now - task_root->usage_summed, (uint64_t)1);
	task_root->usage_summed = now;
	s->utime = task_root->gone_utime;
	s->stime = task_root->gone_stime;
	s->switches = task_root->gone_switches;
	list_for_each(p, &task_root->processes, all_link) {
		process_usage_locked(p, &u);
		s->utime += u.utime;
		s->stime += u.stime;
		s->switches += u.nvcsw + u.nivcsw;
		/* threads in guest code may sleep in private futexes: so many can have run */
		uint64_t guests = 0, ran = u.utime + u.stime - min(u.utime + u.stime, p->cpu_summed);
		p->cpu_summed = u.utime + u.stime;
		list_for_each(t, &p->threads, thread_link) {
			s->tasks++;
			guests += t->state == TASK_GUEST;
			s->running += t->state == TASK_KERNEL;
		}
		s->running += (uint32_t)min(guests, (ran + since - 1) / since);
	}
	mutex_unlock(&tasks_lock);
	s->forks = __atomic_load_n(&task_root->forks_total, __ATOMIC_RELAXED);
}

void sys_usage_gone(struct process *p)
{
	struct rusage_sum u;

	process_usage_locked(p, &u);
	task_root->gone_utime += u.utime;
	task_root->gone_stime += u.stime;
	task_root->gone_switches += u.nvcsw + u.nivcsw;
}

/* What ran since the last time, spread over the seconds in between. Decayed on demand by the time
 * that has passed: an idle sandbox needs no tick for it. */
void sys_loadavg(uint32_t load[3])
{
	static const uint64_t period[3] = {60, 300, 900};
	struct sys_usage s;
	uint64_t now = now_mono(), cpu, target;

	sys_usage_sum(&s);
	mutex_lock(&loads_lock);
	cpu = s.utime + s.stime;
	if (!loads.last)
		loads.last = now, loads.cpu = cpu;
	uint64_t dt = min((now - loads.last) / 1000000000, (uint64_t)3600);
	target = dt ? ((cpu - min(cpu, loads.cpu)) << 16) / (now - loads.last) : 0;
	if (dt)
		loads.last = now, loads.cpu = cpu;
	for (; dt > 0; dt--) {
		for (int i = 0; i < 3; i++) {
			uint64_t *l = &loads.load[i];

			*l = target > *l ? *l + (target - *l) / period[i] : *l - (*l - target) / period[i];
		}
	}
	for (int i = 0; i < 3; i++)
		load[i] = (uint32_t)loads.load[i];
	mutex_unlock(&loads_lock);
}
