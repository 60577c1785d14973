/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stub: what a guest thread runs of ours. It publishes what happened, sleeps until the Sentry
 * has replied, carries out the reply and goes back to the guest. It decides nothing, and is
 * trusted with nothing: a guest can jump into the middle of it.
 */
#include "platform/cell/stub/ahead.h"
#include "platform/cell/stub/stub.h"

#define SIGTRAP_ 5
#define SIGBUS_ 7
#define SIGSEGV_ 11
#define SIGSYS_ 31
#define ARCH_X86_64 0xc000003e

struct cell_sig {
	int32_t signo, err, code, pad;
	union {
		uint64_t addr;
		struct {
			uint64_t call_addr;
			int32_t nr;
			uint32_t arch;
		} sys;
	};
};

static void futex_wait(uint32_t *word, uint32_t val)
{
	uint64_t a[6] = {(uint64_t)word, 0, val, 0, 0, 0};

	site_stub(202, a);
}

static void futex_wake(uint32_t *word)
{
	uint64_t a[6] = {(uint64_t)word, 1, 1, 0, 0, 0};

	site_stub(202, a);
}

static int64_t run_op(struct cell_ctx *c, const struct cell_op *op)
{
	int64_t r;

	switch (op->kind) {
	case COP_ANON:
		return site_anon(op->nr, op->a);
	case COP_PRIV:
		return site_priv(op->nr, op->a);
	case COP_STUB:
		return site_stub(op->nr, op->a);
	case COP_CLONE:
		return site_clone(op->a);
	case COP_FORK:
		return site_fork(op->a);
	case COP_EXPECT64:
		return stub_expect64(op->a[0], op->a[1]);
	case COP_PUT:
	case COP_COPY:
		r = (int64_t)stub_copy(op->a[0], op->a[1], op->a[2]);
		return r;
	case COP_ZERO:
		return (int64_t)stub_zero(op->a[0], op->a[2]);
	case COP_STR:
		r = (int64_t)stub_str(op->a[0], op->a[1], op->a[2]);
		return r;
	case COP_LOAD32:
		return stub_load32(op->a[0]);
	case COP_CMPXCHG32:
		return stub_cmpxchg32(op->a[0], (uint32_t)op->a[1], (uint32_t)op->a[2]);
	case COP_GATE:
		site_gate(c, op->a);
	}
	return -38;
}

/* Runs the ops of a reply; false when one failed, and then none after it was run. */
static int run_ops(struct cell_ctx *c)
{
	uint32_t n = c->nops, first = c->op_first, i;

	for (i = 0; i < n && first + i < CELL_OPS_MAX; i++) {
		struct cell_op *op = &c->ops[first + i];
		uint32_t kind = op->kind;
		uint64_t want = op->a[2];
		int64_t r = run_op(c, op);

		op->res = r;
		if (((kind == COP_PUT || kind == COP_ZERO) && (uint64_t)r < want) ||
		    (r < 0 && r >= -4095 && kind != COP_STUB && kind < COP_PUT)) {
			c->op_done = i;
			return 0;
		}
	}
	c->op_done = i;
	c->done_rp = c->rp_seq;
	return 1;
}

/*
 * Waits until the reply count is no longer `seen`. To spin needs a CPU that nobody else wants, and
 * one more for the Sentry's thread if that had to be woken: it would wait for ours.
 */
static void await_reply(struct cell_ctx *c, uint32_t seen, uint32_t woke)
{
	const struct cell_load *l = (const struct cell_load *)CELL_LOAD;

	for (uint32_t i = 0; i < __atomic_load_n(&c->gspin, __ATOMIC_RELAXED); i++) {
		if (__atomic_load_n(&c->rp_seq, __ATOMIC_ACQUIRE) != seen)
			return;
		if (__atomic_load_n(&l->want, __ATOMIC_RELAXED) + woke > l->ncpus)
			break;
		__builtin_ia32_pause();
	}
	while (__atomic_load_n(&c->rp_seq, __ATOMIC_ACQUIRE) == seen) {
		__atomic_store_n(&c->g_wait, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&c->rp_seq, __ATOMIC_SEQ_CST) == seen)
			futex_wait(&c->rp_seq, seen);
		__atomic_store_n(&c->g_wait, 0, __ATOMIC_RELAXED);
	}
}

/* True when the Sentry's thread slept. */
static uint32_t publish(struct cell_ctx *c, uint32_t kind)
{
	uint32_t cpu = 0;

	__asm__("lsl %1, %0" : "=r"(cpu) : "r"(0x7b));	/* getcpu: cpu | node << 12 */
	c->cpu = cpu;
	c->kind = kind;
	__atomic_store_n(&c->ev_seq, c->ev_seq + 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&c->s_wait, __ATOMIC_SEQ_CST))
		return 0;
	futex_wake(&c->ev_seq);
	return 1;
}

static inline uint64_t rdfsbase(void)
{
	uint64_t v;

	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static inline uint64_t rdgsbase(void)
{
	uint64_t v;

	__asm__ volatile("rdgsbase %0" : "=r"(v));
	return v;
}

static _Noreturn void go_back(struct cell_ctx *c)
{
	if (c->set_base & 1)
		__asm__ volatile("wrfsbase %0" ::"r"(c->fs_new));
	if (c->set_base & 2)
		__asm__ volatile("wrgsbase %0" ::"r"(c->gs_new));
	stub_resume(c->resume_sp);
}

/*
 * Serves replies until one leads back to the guest. `seen` is the reply count from before the
 * event was published, so that a reply that is already there is never missed.
 */
static _Noreturn void serve(struct cell_ctx *c, uint32_t seen, uint32_t woke)
{
	for (;;) {
		await_reply(c, seen, woke);
		seen = __atomic_load_n(&c->rp_seq, __ATOMIC_ACQUIRE);
		if (run_ops(c) && c->act == CACT_RESUME)
			go_back(c);
		woke = publish(c, CEV_OPS);
	}
}

/* A new host thread or cell: its reply count starts at 0. It announces nothing. */
void stub_born(struct cell_ctx *c)
{
	serve(c, 0, 1);
}

static void own_signal_state(struct cell_ctx *c)
{
	/* every signal but SEGV BUS ILL FPE TRAP SYS */
	uint64_t mask = ~((1ull << 10) | (1ull << 6) | (1ull << 3) | (1ull << 7) | (1ull << 4) |
			  (1ull << 30));
	uint64_t ss[3] = {(uint64_t)c + CTX_ALTSTACK, 0, CTX_ALTSTACK_SIZE};
	uint64_t m[6] = {2 /* SIG_SETMASK */, (uint64_t)&mask, 0, 8, 0, 0};
	uint64_t s[6] = {(uint64_t)ss, 0, 0, 0, 0, 0};

	site_stub(14, m);
	site_stub(131, s);
}

/* Behind the gate: the cell is empty, this thread is its only one, the reply count is 0 again. */
void stub_gated(struct cell_ctx *c)
{
	own_signal_state(c);
	serve(c, 0, 1);
}

/*
 * Reads ahead what the kernel will want of a call's memory: a path or a small structure. A
 * fault only makes it shorter.
 */
static void read_ahead(struct cell_ctx *c, uint64_t nr, const uint64_t *arg)
{
	uint8_t d = nr < PRE_MAX ? pre_table[nr] : 0;
	uint64_t at, n, to = (uint64_t)c + CTX_PRE;

	c->pre_len = 0;
	if (!d)
		return;
	at = arg[PRE_ARG(d)];
	if (at < CELL_MIN || at >= CELL_TOP)
		return;
	switch (PRE_KIND(d)) {
	case PRE_STR:
		n = stub_str(to, at, 512);
		break;
	case PRE_LEN:
		n = arg[PRE_ARG(d) + 1];
		n = stub_copy(to, at, n < CTX_PRE_SIZE ? n : CTX_PRE_SIZE);
		break;
	default:
		n = stub_copy(to, at, 8ull << (PRE_KIND(d) - 1));
	}
	c->pre_addr = at;
	c->pre_len = (uint32_t)n;
}

/* A patched call was published: 0 returns ctx->ret to the guest, 1 makes it trap instead. */
int stub_patched(struct cell_ctx *c)
{
	uint32_t seen = __atomic_load_n(&c->rp_seq, __ATOMIC_ACQUIRE), woke;

	const uint64_t arg[6] = {c->call.rdi, c->call.rsi, c->call.rdx, c->call.r10, c->call.r8,
				 c->call.r9};
	int64_t answer;

	read_ahead(c, c->call.nr, arg);
	answer = told_answer(c, c->call.nr, arg);
	if (answer) {
		c->ret = (uint64_t)answer;
		return 0;
	}
	woke = publish(c, CEV_CALL);
	for (;;) {
		await_reply(c, seen, woke);
		seen = __atomic_load_n(&c->rp_seq, __ATOMIC_ACQUIRE);
		if (run_ops(c)) {
			uint32_t act = c->act;

			if (act == CACT_RETURN)
				return 0;
			if (act == CACT_RETRAP)
				return 1;
			if (act == CACT_RESUME)		/* as another guest thread */
				go_back(c);
		}
		woke = publish(c, CEV_OPS);
	}
}

static int inside(uint64_t ip, const char *lo, const char *hi)
{
	return ip >= (uint64_t)lo && ip < (uint64_t)hi;
}

/* A fault in a copy routine: goes on behind it. */
static int fix_up(int sig, uint64_t addr, struct cell_uc *uc, struct cell_ctx *c)
{
	uint64_t ip = uc->gregs[G_RIP];

	if (sig != SIGSEGV_ && sig != SIGBUS_)
		return 0;
	if (inside(ip, copy_lo, copy_hi))
		uc->gregs[G_RIP] = (uint64_t)copy_hi;
	else if (inside(ip, sig_lo, sig_hi))
		uc->gregs[G_RIP] = (uint64_t)sig_fault;
	else if (inside(ip, zero_lo, zero_hi))
		uc->gregs[G_RIP] = (uint64_t)zero_hi;
	else if (inside(ip, str_lo, str_hi))
		uc->gregs[G_RIP] = (uint64_t)str_hi;
	else if (inside(ip, word_lo, word_hi))
		uc->gregs[G_RIP] = (uint64_t)word_hi;
	else
		return 0;
	c->copy_addr = addr;
	c->copy_sig = (uint32_t)sig;
	return 1;
}

/*
 * A signal that finds a patched call under way. Before the call is published, and behind its
 * exit, it is the Sentry's to show it at the site; in between it is noted and seen at the exit.
 * A step trap in our code is none of the guest's business: it goes on stepping.
 */
static int in_patched(int sig, struct cell_uc *uc, struct cell_ctx *c)
{
	uint64_t ip = uc->gregs[G_RIP];

	if (sig == SIGTRAP_)
		return (ip >= CELL_TABLE && ip < CELL_OURS_END) ||
		       (ip >= CELL_VDSO && ip < CELL_VDSO + 0x20000);
	if (sig != CELL_INTRSIG || ip < CELL_STUB_BASE || ip >= CELL_STUB_END)
		return 0;
	if (inside(ip, stub_call, call_published) || inside(ip, go_on, call_exit_end) ||
	    inside(ip, go_raw, fast_end) || (ip & ~15ull) == CELL_PATCHED ||
	    (ip & ~15ull) == CELL_RAW_DONE || (ip & ~15ull) == (IP_NATIVE & ~15ull) ||
	    (ip & ~15ull) == CELL_NATIVE_DONE)
		return 0;
	c->intr = 1;
	if (inside(ip, call_exit, go_on)) {
		uc->gregs[G_RIP] = (uint64_t)call_exit;
		uc->gregs[G_R11] = (uint64_t)c;
	}
	return 1;
}

/*
 * The kernel could not reach the thread's rseq area while it ran here, and would not the next time
 * either: as in Linux that is the end, but there is no guest frame to show it in.
 */
static int rseq_fault(int sig, const struct cell_sig *si, const struct cell_uc *uc)
{
	uint64_t ip = uc->gregs[G_RIP];

	return sig == SIGSEGV_ && si->code == 0x80 /* SI_KERNEL */ && ip >= CELL_STUB_BASE &&
	       ip < CELL_STUB_END;
}

void stub_signal(int sig, const struct cell_sig *si, struct cell_uc *uc, struct cell_ctx *c)
{
	uint32_t seen = __atomic_load_n(&c->rp_seq, __ATOMIC_ACQUIRE);
	int64_t answer;

	if (fix_up(sig, si->addr, uc, c) || in_patched(sig, uc, c))
		return;
	if (rseq_fault(sig, si, uc))
		stub_die();
	c->frame = (uint32_t)((uint64_t)uc - (uint64_t)c);
	c->sig = sig;
	c->code = si->code;
	c->addr = si->addr;
	c->arch = sig == SIGSYS_ ? si->sys.arch : 0;
	c->fs_base = rdfsbase();
	c->gs_base = rdgsbase();
	c->pre_len = 0;
	if (sig == SIGSYS_) {
		const uint64_t *g = uc->gregs;
		const uint64_t arg[6] = {g[G_RDI], g[G_RSI], g[G_RDX], g[G_R10], g[G_R8], g[G_R9]};

		read_ahead(c, (uint32_t)g[G_RAX], arg);
		answer = told_answer(c, (uint32_t)g[G_RAX], arg);
		if (answer && c->arch == ARCH_X86_64) {
			uc->gregs[G_RAX] = (uint64_t)answer;
			return;
		}
	}
	serve(c, seen, publish(c, CEV_SIG));
}
