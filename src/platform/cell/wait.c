/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for a stub: to spin or to sleep. Spinning saves two wake-ups but needs a core that
 * nobody else wants; asleep, a Sentry thread waits on its guest's CPU, where the hand-over is
 * cheapest. An idle sandbox spins nowhere.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <sched.h>
#include "host/time.h"

#define SPIN_NS		50000		/* about one wake-up of an idle CPU: the break-even */
#define PREEMPT_NS	300000		/* a gap this long is another task, not an interrupt */
#define MOVE_NS		20000000ll	/* between moves: each costs as much as a wake-up saved */
#define PIN_AFTER	16		/* sleeps in a row: moving to another CPU is not cheap */
#define STOP_CPU_NS	900000000ull
#define APART_AFTER	8		/* calls on one CPU, beside a free one */
#define CALM_NS		20000000ll	/* then no spinning for so long */

static struct cell_load nobody;		/* until wait_init */
static struct {
	struct cell_load *load;	/* a: shared with the cells, which read it */
	uint32_t ncpus;
	uint32_t pauses;	/* in SPIN_NS */
	uint64_t pause_ps;	/* one pause */
	uint64_t gap;		/* TSC ticks in PREEMPT_NS */
	int64_t calm_until;	/* a */
	cpu_set_t all;
} w = {.load = &nobody};

static __thread uint64_t spun;		/* pauses made, by this Sentry thread */
#define OFF (-2)		/* pinned_to is OFF - n: to all CPUs but n */
static __thread int pinned_to = -1;
static __thread uint32_t together;	/* calls in a row that found it on its guest's CPU */
static __thread int64_t may_move;	/* then it may be moved to another CPU again */

void wait_init(struct cell_load *load)
{
	uint64_t c0, c1;
	int64_t t0, t1;

	if (h_sched_getaffinity(0, sizeof(w.all), &w.all) < 0)
		CPU_SET(0, &w.all);
	w.ncpus = (uint32_t)CPU_COUNT(&w.all);
	if (pl.boot.ncpus && pl.boot.ncpus < w.ncpus)
		w.ncpus = pl.boot.ncpus;
	w.load = load;
	load->ncpus = pl.boot.no_spin || w.ncpus < 2 ? 0 : w.ncpus;
	t0 = h_now();
	c0 = __builtin_ia32_rdtsc();
	for (unsigned i = 0; i < 400; i++)
		__builtin_ia32_pause();
	c1 = __builtin_ia32_rdtsc();
	t1 = h_now();
	if (t1 <= t0)
		t1 = t0 + 1;
	w.pause_ps = (uint64_t)(t1 - t0) * 1000 / 400;
	w.pauses = (uint32_t)(400ll * SPIN_NS / (t1 - t0)) + 1;
	if (w.pauses > 5000)
		w.pauses = 5000;
	w.gap = (c1 - c0) * PREEMPT_NS / (uint64_t)(t1 - t0) + 1;
}

static bool room(uint32_t more)
{
	return __atomic_load_n(&w.load->want, __ATOMIC_RELAXED) + more <= w.ncpus;
}

bool pl_cpu_free(void)
{
	return room(1);
}

/* How long the stub may spin for the reply to its next event: not at all on our own CPU. */
uint32_t wait_guest_spin(const struct pl_thr *t)
{
	if (pl.boot.no_spin || w.ncpus < 2 || !room(1) || t->blocked_last || pinned_to >= 0)
		return 0;
	return w.pauses;
}

/* A guest thread counts until it sleeps, also while it is served: it and its Sentry thread take
 * turns, and with as many such pairs as CPUs there is none to spin on. */
static void wait_active(struct pl_thr *t)
{
	if (!__atomic_exchange_n(&t->active, 1, __ATOMIC_RELAXED))
		__atomic_add_fetch(&w.load->want, 1, __ATOMIC_RELAXED);
}

void wait_inactive(struct pl_thr *t)
{
	if (__atomic_exchange_n(&t->active, 0, __ATOMIC_RELAXED))
		__atomic_sub_fetch(&w.load->want, 1, __ATOMIC_RELAXED);
}

static int this_cpu(void)
{
	uint32_t v;

	__asm__ volatile("lsl %1, %0" : "=r"(v) : "r"(0x7b));	/* getcpu: cpu | node << 12 */
	return (int)(v & 0xfff);
}

static void pin(int cpu)
{
	cpu_set_t set;

	if (cpu == pinned_to)
		return;
	if (cpu >= 0 && cpu != this_cpu()) {
		if (h_now() < may_move)
			cpu = -1;	/* its guest thread moves too: a process a moment */
		else
			may_move = h_now() + MOVE_NS;
		if (cpu == pinned_to)
			return;
	}
	if (cpu < 0) {
		(void)!h_sched_setaffinity(0, sizeof(w.all), &w.all);
	} else {
		if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &w.all))
			return;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		(void)!h_sched_setaffinity(0, sizeof(set), &set);
	}
	pinned_to = cpu;
}

/*
 * Leaves the CPU of its guest thread, for as long as that stays there. The host's scheduler, which finds
 * the CPUs busy with our spinning, wakes everybody where he slept: on one CPU, beside one that is free.
 */
static bool stay_off(int cpu)
{
	cpu_set_t set = w.all;

	if (cpu >= CPU_SETSIZE || h_now() < may_move)
		return false;
	together = 0;
	may_move = h_now() + MOVE_NS;
	CPU_CLR(cpu, &set);
	if (!CPU_COUNT(&set) || h_sched_setaffinity(0, sizeof(set), &set) < 0)
		return false;
	pinned_to = OFF - cpu;
	return true;
}

void pl_host_cpus(void *mask, size_t n)
{
	__builtin_memset(mask, 0, n);
	__builtin_memcpy(mask, &w.all, min(n, sizeof(w.all)));
}

uint32_t pl_last_cpu(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	return t ? READ_ONCE(t->c->cpu) & 0xfff : 0;
}

void pl_set_affinity(pl_thread_t id, const void *mask, size_t n)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return;
	mutex_lock(&pl.lock);
	if (thr_of(id) == t && t->s->pid && t->htid) {
		t->affine = true;
		(void)!h_sched_setaffinity(t->htid, n, mask);
	}
	mutex_unlock(&pl.lock);
}

/* Before another guest thread gets the host thread (I5). */
void affinity_reset_locked(struct pl_thr *t)
{
	if (t->affine && t->s->pid && t->htid)
		(void)!h_sched_setaffinity(t->htid, sizeof(w.all), &w.all);
	t->affine = false;
}

/* True when the event came. */
static bool spin(struct pl_thr *t)
{
	uint64_t last = __builtin_ia32_rdtsc(), now;
	bool hit = false;
	uint32_t i;

	__atomic_add_fetch(&w.load->want, 1, __ATOMIC_RELAXED);
	for (i = 0; i < w.pauses << t->patient; i++) {
		if (__atomic_load_n(&t->c->ev_seq, __ATOMIC_ACQUIRE) != t->ev) {
			hit = true;
			break;
		}
		__builtin_ia32_pause();
		if (i % 16)
			continue;
		if (!room(0))
			break;
		now = __builtin_ia32_rdtsc();
		if (now - last > w.gap) {
			__atomic_store_n(&w.calm_until, h_now() + CALM_NS, __ATOMIC_RELAXED);
			break;
		}
		last = now;
	}
	__atomic_sub_fetch(&w.load->want, 1, __ATOMIC_RELAXED);
	spun += i;
	if (i == w.pauses << t->patient && pl.boot.idle)
		pl.boot.idle();
	return hit;
}

static bool try_spin(struct pl_thr *t)
{
	int cpu;

	if (pl.boot.no_spin || w.ncpus < 2 || !room(1))
		return false;
	if (t->spin_skip) {
		t->spin_skip--;
		return false;
	}
	if (__atomic_load_n(&w.calm_until, __ATOMIC_RELAXED)) {
		if (h_now() < __atomic_load_n(&w.calm_until, __ATOMIC_RELAXED))
			return false;
		__atomic_store_n(&w.calm_until, 0, __ATOMIC_RELAXED);
	}
	t->denied = 0;
	if (pinned_to >= 0)
		pin(-1);
	cpu = (int)(READ_ONCE(t->c->cpu) & 0xfff);
	if (cpu != this_cpu())
		together = 0;
	else if (++together <= APART_AFTER || !stay_off(cpu))
		return false;		/* its stub waits for this CPU */
	if (spin(t)) {
		t->spin_fails = 0;
		return true;
	}
	if (++t->spin_fails >= 3) {
		t->spin_fails = 0;
		t->spin_skip = 32;
	}
	return false;
}

void wait_work(int d)
{
	__atomic_add_fetch(&w.load->want, (uint32_t)d, __ATOMIC_RELAXED);
}

void wait_word(const uint32_t *word)
{
	if (pl.boot.no_spin || w.ncpus < 2 || !room(1) ||
	    h_now() < __atomic_load_n(&w.calm_until, __ATOMIC_RELAXED))
		return;
	uint32_t i;

	__atomic_add_fetch(&w.load->want, 1, __ATOMIC_RELAXED);
	for (i = 0; i < w.pauses && !__atomic_load_n(word, __ATOMIC_ACQUIRE); i++) {
		__builtin_ia32_pause();
		if (i % 64 == 63)
			h_sched_yield();	/* the notary may have been woken on this CPU */
	}
	__atomic_sub_fetch(&w.load->want, 1, __ATOMIC_RELAXED);
	spun += i;
}

uint64_t pl_spun(void)
{
	return spun;
}

uint64_t pl_spun_ns(uint64_t n)
{
	return n * w.pause_ps / 1000;
}

static bool is_dead(const struct pl_thr *t)
{
	return __atomic_load_n(&t->s->dead, __ATOMIC_ACQUIRE);
}

/* One sleep; compares with the count seen before, never with the word's present value. */
static int sleep_once(struct pl_thr *t, const struct timespec *tick)
{
	struct cell_ctx *c = t->c;
	int r = 0;

	__atomic_store_n(&c->s_wait, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&c->ev_seq, __ATOMIC_SEQ_CST) == t->ev && !is_dead(t))
		r = h_futex_wait_shared(&c->ev_seq, t->ev, tick);
	__atomic_store_n(&c->s_wait, 0, __ATOMIC_RELAXED);
	return r;
}

/* Every guest thread of the space is to die: no answer is worth waiting for. */
static bool all_killed(struct pl_spc *s)
{
	bool all = true;

	mutex_lock(&pl.lock);
	for (uint32_t i = s->threads; i; i = pl.thr[i - 1].next)
		if (pl.thr[i - 1].state == THR_LIVE &&
		    !__atomic_load_n(&pl.thr[i - 1].killing, __ATOMIC_RELAXED))
			all = false;
	mutex_unlock(&pl.lock);
	return all;
}

/* A second of its own CPU time since it was told to stop; unknown while it is not alone. */
static bool stop_used_up(const struct pl_thr *t, uint64_t since)
{
	return t->s->nhost == 1 && spc_cpu_raw(t->s) - since >= STOP_CPU_NS;
}

/*
 * Waits for the next event: 0, or -ESRCH when the cell is dead. With `stopped` the stub owes it
 * soon; a guest may compute for ever, but once it was kicked it owes it too (I4; R15: only
 * seconds that we ran through count).
 */
int stub_wait(struct pl_thr *t, bool stopped)
{
	struct timespec tick = {1, 0};
	unsigned ticks = 0;
	bool tried = false;
	uint64_t cpu = 0;
	uint32_t ev;

	if (!stopped)
		wait_active(t);
	for (;;) {
		ev = __atomic_load_n(&t->c->ev_seq, __ATOMIC_ACQUIRE);
		if (is_dead(t) || ev != t->ev)
			break;
		if (!tried) {
			tried = true;
			if (try_spin(t))
				continue;
			if (!stopped && w.ncpus > 1 && ++t->denied > PIN_AFTER)
				pin((int)(READ_ONCE(t->c->cpu) & 0xfff));
		}
		bool timed = stopped || __atomic_load_n(&t->kicked, __ATOMIC_SEQ_CST);

		if (timed && !ticks)
			cpu = spc_cpu_raw(t->s);
		struct timespec due;
		bool looks = !timed && rseq_timeout(t, &due);

		if (sleep_once(t, timed ? &tick : looks ? &due : NULL) != -ETIMEDOUT)
			continue;
		if (!timed) {
			rseq_timed_out(t);
			continue;
		}
		if (++ticks >= PL_STOP_TICKS || stop_used_up(t, cpu) || all_killed(t->s)) {
			log_line(all_killed(t->s) ? LOG_DEBUG : LOG_WARN,
				 "cell: a guest thread did not stop: killed");
			(void)spc_kill(t->s);
			ticks = 1;
		}
	}
	t->ev = ev;
	return is_dead(t) ? -ESRCH : 0;
}
