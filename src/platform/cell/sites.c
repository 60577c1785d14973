/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patched system call sites (R2, R5, R7, R8). A site that trapped twice in one thread is rewritten
 * into a jump through the table, if the kernel above says that its page is private file text that
 * was never writable, and only while no other thread is in guest code. The table is the sandbox's:
 * forks inherit patched text, and one file at one address means one set of entries.
 *
 * Whether a page is patched is never remembered: the bytes are looked at when it matters.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>
#include "host/file.h"

#define BUCKETS 4096u
#define PL_PATCH_MAX 14		/* ops of a batch, less two */

static struct mutex sites_lock = MUTEX_INIT(RANK_PLATFORM);
static struct {
	struct site site[TRAMP_MAX];
	uint32_t bucket[BUCKETS];
	uint32_t used;
	uint64_t *table;
	uint8_t *tramp;
	struct told_page *told;
} st;

int sites_init(void)
{
	size_t size = SITES_SIZE;
	void *p;
	int fd, r;

	fd = h_memfd_create("sites", MFD_CLOEXEC | 0x10 /* MFD_EXEC */);
	if (fd == -EINVAL)
		fd = h_memfd_create("sites", MFD_CLOEXEC);
	if (fd < 0)
		return fd;
	r = h_ftruncate(fd, (int64_t)size);
	if (!r)
		r = h_mmap(&p, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r) {
		h_close(fd);
		return r;
	}
	st.table = (uint64_t *)(void *)((char *)p + SITES_TABLE);
	st.tramp = (uint8_t *)p + SITES_TRAMP;
	st.told = (struct told_page *)(void *)((char *)p + SITES_TOLD);
	st.told->epoch = 1;
	vdso_init((char *)p + SITES_VVAR);
	wait_init((struct cell_load *)(void *)((char *)p + SITES_TABLE + CELL_LOAD - CELL_TABLE));
	return fd;
}

struct told_page *pl_told_page(void)
{
	return st.told;
}

uint64_t site_insn(const struct site *s)
{
	return s->addr + (s->shape == SHAPE_MOV ? 5 : 0);
}

uint64_t site_ret(const struct site *s)
{
	return site_insn(s) + 2;
}

bool site_of_tramp(uint64_t ip, struct site *out, uint32_t *off)
{
	uint64_t i = (ip - CELL_TRAMP) / TRAMP_SIZE;

	if (ip < CELL_TRAMP || i >= __atomic_load_n(&st.used, __ATOMIC_ACQUIRE))
		return false;
	*out = st.site[i];
	*off = (uint32_t)(ip - CELL_TRAMP) % TRAMP_SIZE;
	return true;
}

/* By page: what is patched, is patched by the page. */
static uint32_t hash(uint64_t addr)
{
	return (uint32_t)((addr / PAGE_SIZE * 0x9e3779b97f4a7c15ull) >> 40) % BUCKETS;
}

static void put32(uint8_t *p, uint64_t v)
{
	uint32_t w = (uint32_t)v;

	memcpy(p, &w, sizeof(w));
}

static void write_tramp(uint32_t i)
{
	const struct site *s = &st.site[i];
	static const uint8_t nop5[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
	uint64_t at = CELL_TRAMP + (uint64_t)i * TRAMP_SIZE;
	uint64_t ret = site_ret(s) | (uint64_t)s->shape << SHAPE_SHIFT;
	uint8_t *p = st.tramp + (size_t)i * TRAMP_SIZE;

	if (s->shape == SHAPE_MOV) {
		p[0] = 0xb8;
		put32(p + 1, s->nr);
	} else {
		memcpy(p, nop5, sizeof(nop5));
	}
	p[5] = 0x48, p[6] = 0x8d, p[7] = 0x0d;		/* lea -12(%rip), %rcx */
	put32(p + 8, (uint64_t)-12);
	p[12] = 0xe9;					/* jmp */
	put32(p + 13, CELL_PATCHED - (at + 17));
	p[17] = 0x0f, p[18] = 0x05;			/* syscall */
	p[19] = 0xe9;
	put32(p + 20, CELL_RAW_DONE - (at + 24));
	memcpy(p + TRAMP_RET, &ret, sizeof(ret));
	st.table[i] = at;
}

/* The entry for such a site at this address, made if need be; -1 when the table is full. */
static int site_get(uint64_t addr, uint32_t nr, uint32_t shape)
{
	uint32_t i, *b = &st.bucket[hash(addr)];
	int found = -1;

	mutex_lock(&sites_lock);
	for (i = *b; i && found < 0; i = st.site[i - 1].next) {
		const struct site *s = &st.site[i - 1];

		if (s->addr == addr && s->nr == nr && s->shape == shape)
			found = (int)i - 1;
	}
	if (found < 0 && st.used < TRAMP_MAX) {
		found = (int)st.used;
		st.site[found] = (struct site){addr, nr, shape, *b};
		write_tramp((uint32_t)found);
		*b = (uint32_t)found + 1;
		__atomic_store_n(&st.used, st.used + 1, __ATOMIC_RELEASE);
	}
	mutex_unlock(&sites_lock);
	return found;
}

static void patch_bytes(uint32_t i, uint32_t shape, uint8_t *p)
{
	p[0] = 0xff, p[1] = 0x24, p[2] = 0x25;		/* jmp *table[i] */
	put32(p + 3, CELL_TABLE + (uint64_t)i * 8);
	if (shape != SHAPE_MOV)
		p[7] = 0x90;
}

static size_t site_len(const struct site *s)
{
	return s->shape == SHAPE_MOV ? 7 : 8;
}

static bool is_prefix(uint8_t b)
{
	return (b & 0xf0) == 0x40 || b == 0x66 || b == 0xf0 || b == 0xf2 || b == 0xf3;
}

/* The shape of the code around a `syscall` that ends at offset 8 of `w`. */
static int shape_of(const uint8_t *w, uint32_t rax)
{
	static const uint8_t cmp96[6] = {0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff};
	static const uint8_t cmp95[6] = {0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff};
	uint32_t imm;

	if (w[6] != 0x0f || w[7] != 0x05)
		return -1;
	memcpy(&imm, w + 2, sizeof(imm));
	if (w[1] == 0xb8 && imm == rax && !is_prefix(w[0]))
		return rax == 202 || rax == 15 ? -1 : SHAPE_MOV;
	if (!memcmp(w + 8, cmp96, 6))
		return SHAPE_CMP96;
	if (!memcmp(w + 8, cmp95, 6))
		return SHAPE_CMP95;
	return -1;
}

static void original_bytes(const struct site *s, uint8_t *b)
{
	if (s->shape == SHAPE_MOV) {
		b[0] = 0xb8;
		put32(b + 1, s->nr);
		b[5] = 0x0f, b[6] = 0x05;
	} else {
		b[0] = 0x0f, b[1] = 0x05, b[2] = 0x48, b[3] = 0x3d;
		put32(b + 4, s->shape == SHAPE_CMP96 ? -4096ull : -4095ull);
	}
}

/* Adds to the batch the patches of all known sites of the page whose code is there. */
static uint32_t patch_known(struct pl_thr *t, uint64_t page, char *text, uint32_t n)
{
	uint8_t was[8], now[8];
	char *room = (char *)t->c + CTX_BOUNCE;
	uint32_t i;

	for (i = st.bucket[hash(page)]; i && n < PL_PATCH_MAX; i = st.site[i - 1].next) {
		const struct site *s = &st.site[i - 1];
		size_t len = site_len(s);

		if (page_down(s->addr) != page || s->addr - page + len > PAGE_SIZE)
			continue;
		original_bytes(s, was);
		if (memcmp(text + (s->addr - page), was, len))
			continue;
		patch_bytes(i - 1, s->shape, now);
		memcpy(text + (s->addr - page), now, len);	/* an entry of another shape is out */
		memcpy(room + 8 * n, now, len);
		set_op(t, n, COP_COPY, 0, s->addr, t->c_addr + CTX_BOUNCE + 8ull * n, len);
		n++;
	}
	return n;
}

static bool patch(struct pl_thr *t)
{
	uint64_t rip = t->regs.rip, addr, page = page_down(rip - 8);
	uint32_t nr = (uint32_t)t->regs.rax, n;
	int shape, i, prot;
	uint8_t w[14];
	char *text;

	if (page != page_down(rip + 5))
		return false;
	prot = pl.boot.may_patch(thr_id(t), page);
	if (prot < 0 || pl_flush(thr_id(t)) == -ESRCH || read_page(t, page))
		return false;
	text = ahead(t, page, PAGE_SIZE);
	if (!text)
		return false;
	memcpy(w, text + (rip - 8 - page), sizeof(w));
	shape = shape_of(w, nr);
	if (shape < 0)
		return false;
	addr = shape == SHAPE_MOV ? rip - 7 : rip - 2;
	i = site_get(addr, shape == SHAPE_MOV ? nr : 0, (uint32_t)shape);
	if (i < 0)
		return false;
	set_op(t, 0, COP_ANON, SYS_mprotect, page, PAGE_SIZE, (uint64_t)prot | PROT_WRITE);
	n = patch_known(t, page, text, 1);
	set_op(t, n++, COP_ANON, SYS_mprotect, page, PAGE_SIZE, (uint64_t)prot);
	i = stub_run(t, n);
	pl_debug("site: %llx shape %d nr %u: %u patched", (unsigned long long)addr, shape, nr, n - 2);
	return i > 0;
}

void site_enter(struct pl_spc *s)
{
	for (;;) {
		__atomic_add_fetch(&s->nrunning, 1, __ATOMIC_SEQ_CST);
		if (likely(!__atomic_load_n(&s->patching, __ATOMIC_SEQ_CST)))
			return;
		site_leave(s);
		(void)h_futex_wait(&s->patching, 1, NULL);
	}
}

void site_leave(struct pl_spc *s)
{
	__atomic_sub_fetch(&s->nrunning, 1, __ATOMIC_SEQ_CST);
}

/* 1: patched, 0: not to be patched, -EAGAIN: another thread is in guest code. */
static int patch_alone(struct pl_thr *t)
{
	struct pl_spc *s = t->s;
	uint32_t free = 0;
	int r = -EAGAIN;

	if (__atomic_load_n(&s->nrunning, __ATOMIC_RELAXED) ||
	    !__atomic_compare_exchange_n(&s->patching, &free, 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return r;
	if (!__atomic_load_n(&s->nrunning, __ATOMIC_SEQ_CST))
		r = patch(t);
	__atomic_store_n(&s->patching, 0, __ATOMIC_SEQ_CST);
	(void)h_futex_wake(&s->patching, INT32_MAX);
	return r;
}

/* Futexes are mostly the host's; the others need all registers, which a trap brings at once. */
static bool worth_it(uint32_t nr)
{
	return nr != SYS_futex && nr != SYS_rt_sigreturn && nr != SYS_clone && nr != SYS_clone3 &&
	       nr != SYS_fork && nr != SYS_vfork;
}

void site_consider(struct pl_thr *t)
{
	uint32_t nr = (uint32_t)t->regs.rax;
	struct l_regs regs = t->regs;
	uint64_t ip = t->regs.rip;
	uint32_t h = (uint32_t)(ip * 0x9e3779b97f4a7c15ull >> 32) % array_size(t->s->hits), n = 0;
	int r;

	if (pl.boot.no_patch || pl.boot.hardened || !pl.boot.may_patch || ip < CELL_MIN ||
	    !worth_it(nr))
		return;
	if (__atomic_load_n(&t->s->hits[h].ip, __ATOMIC_RELAXED) == ip)
		n = __atomic_load_n(&t->s->hits[h].n, __ATOMIC_RELAXED);
	n++;
	__atomic_store_n(&t->s->hits[h].ip, ip, __ATOMIC_RELAXED);
	__atomic_store_n(&t->s->hits[h].n, n, __ATOMIC_RELAXED);
	/* the fourth time, and then ever more rarely */
	if (n < 4 || n & (n - 1))
		return;
	r = patch_alone(t);
	if (r > 0)
		t->dirty = true;	/* it may resume inside the patch, see site_resume */
	else if (r)
		__atomic_store_n(&t->s->hits[h].n, n - 1, __ATOMIC_RELAXED);	/* at the next one */
	t->regs = regs;
}

/* Entries that begin at `addr`; the first whose patch is in the guest's text now. */
static bool patched_at(struct pl_thr *t, uint64_t addr, bool mov, struct site *out)
{
	uint8_t now[8], want[8];
	bool read = false;
	uint32_t i;

	for (i = __atomic_load_n(&st.bucket[hash(addr)], __ATOMIC_ACQUIRE); i;
	     i = st.site[i - 1].next) {
		const struct site *s = &st.site[i - 1];
		size_t len = site_len(s);

		if (s->addr != addr || (s->shape == SHAPE_MOV) != mov)
			continue;
		if (!read && copy_in_raw(t, now, addr, len) != (int64_t)len)
			return false;
		read = true;
		patch_bytes(i - 1, s->shape, want);
		if (!memcmp(now, want, len)) {
			*out = *s;
			return true;
		}
	}
	return false;
}

void site_resume(struct pl_thr *t)
{
	struct l_regs *r = &t->regs;
	struct site s;
	uint64_t a = r->rax, b;

	if (r->rip < CELL_MIN || !st.bucket[hash(r->rip - 2)] ||
	    !patched_at(t, r->rip - 2, false, &s))
		return;
	/* cmp $-4096 or $-4095, %rax: CF PF AF ZF SF OF */
	b = s.shape == SHAPE_CMP96 ? -4096ull : -4095ull;
	uint64_t d = a - b;
	uint64_t f = r->eflags & ~0x8d5ull;

	f |= a < b ? 1 : 0;
	f |= __builtin_parity((unsigned)(d & 0xff)) ? 0 : 4;
	f |= (a ^ b ^ d) & 0x10;
	f |= d == 0 ? 0x40 : 0;
	f |= d >> 63 ? 0x80 : 0;
	f |= ((a ^ b) & (a ^ d)) >> 63 ? 0x800 : 0;
	r->eflags = f;
	r->rip += 6;
	t->dirty = true;
}

bool site_middle(struct pl_thr *t)
{
	struct site s;

	if (t->regs.rip < CELL_MIN || !st.bucket[hash(t->regs.rip - 5)])
		return false;
	return patched_at(t, t->regs.rip - 5, true, &s);
}

bool pl_at_syscall(pl_thread_t id, uint64_t rip)
{
	uint8_t b[2];

	return pl_copy_in(id, b, rip, 2) == 2 && b[0] == 0x0f && b[1] == 0x05;
}

static void hide_one(const struct site *s, uint32_t i, uint64_t addr, uint8_t *buf, size_t n)
{
	uint64_t lo = max(s->addr, addr), hi = min(s->addr + site_len(s), addr + n);
	uint8_t now[8], was[8];

	if (lo >= hi)
		return;
	patch_bytes(i, s->shape, now);
	original_bytes(s, was);
	if (!memcmp(buf + (lo - addr), now + (lo - s->addr), hi - lo))
		memcpy(buf + (lo - addr), was + (lo - s->addr), hi - lo);
}

void site_hide(uint64_t addr, void *buf, size_t n)
{
	uint32_t i;

	if (!__atomic_load_n(&st.used, __ATOMIC_ACQUIRE))
		return;
	for (uint64_t page = page_down(addr); page < addr + n; page += PAGE_SIZE)
		for (i = st.bucket[hash(page)]; i; i = st.site[i - 1].next)
			hide_one(&st.site[i - 1], i - 1, addr, buf, n);
}

/* Puts the original bytes back, before the guest may write to the range. [stub] */
int pl_unpatch(pl_thread_t id, uint64_t addr, uint64_t len)
{
	struct pl_thr *t = thr_of(id);
	uint32_t used = __atomic_load_n(&st.used, __ATOMIC_ACQUIRE);
	struct site s;

	if (!t)
		return -ESRCH;
	for (uint32_t i = 0; i < used; i++) {
		uint8_t b[8];

		s = st.site[i];
		if (s.addr < addr || s.addr - addr >= len ||
		    !patched_at(t, s.addr, s.shape == SHAPE_MOV, &s))
			continue;
		original_bytes(&s, b);
		if (pl_copy_out(id, s.addr, b, site_len(&s)) < 7)
			return -EFAULT;
	}
	return 0;
}
