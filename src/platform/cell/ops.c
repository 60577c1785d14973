/* SPDX-License-Identifier: Apache-2.0 */
/* Memory calls and copies, carried out by a stopped guest thread. */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>
#include "lib/checked.h"

#define MAP_KEEP (MAP_NORESERVE | MAP_STACK | MAP_POPULATE)

static bool in_guest(uint64_t addr, uint64_t len)
{
	return range_within(addr, len, CELL_MIN, CELL_TOP);
}

void set_op(struct pl_thr *t, uint32_t i, uint32_t kind, uint32_t nr, uint64_t a0,
		   uint64_t a1, uint64_t a2)
{
	struct cell_op *op = op_slot(t, i);

	op->kind = kind;
	op->nr = nr;
	op->a[0] = a0;
	op->a[1] = a1;
	op->a[2] = a2;
	op->a[3] = op->a[4] = op->a[5] = 0;
}

/* The same call as an order: the notary lets exactly it through. */
static void make_order(struct pl_thr *t, uint32_t i, uint8_t nargs, uint16_t lent, int hfd)
{
	struct cell_op *op = op_slot(t, i);
	struct pl_order o = {.ip = IP_PRIV, .nr = op->nr, .nargs = nargs, .lent = lent, .hfd = hfd};

	memcpy(o.a, op->a, sizeof(o.a));
	op->kind = COP_PRIV;
	order_add(t, &o);
}

static void compose_anon(struct pl_thr *t, uint32_t i, const struct pl_op *op, bool ordered)
{
	set_op(t, i, COP_ANON, SYS_mmap, op->addr, op->len, (uint64_t)op->prot & 7);
	op_slot(t, i)->a[3] = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | (uint64_t)(op->flags & MAP_KEEP);
	op_slot(t, i)->a[4] = ~0ull;
	if (ordered)
		make_order(t, i, 6, 0, -1);
}

/* With `given` the file is in the cell under *lent already. */
static int compose_file(struct pl_thr *t, uint32_t i, const struct pl_op *op, bool given, uint16_t *lent)
{
	/* one number serves all of a thread's orders: each is closed before the next is used */
	uint16_t num = *lent ? *lent : lent_get(t->s);

	if (!num)
		return -EAGAIN;
	*lent = num;
	set_op(t, i, COP_PRIV, SYS_mmap, op->addr, op->len, (uint64_t)op->prot & 7);
	op_slot(t, i)->a[3] = MAP_FIXED | (uint64_t)(op->flags & (MAP_KEEP | MAP_SHARED | MAP_PRIVATE));
	op_slot(t, i)->a[4] = num;
	op_slot(t, i)->a[5] = op->off;
	make_order(t, i, 6, given ? 0 : num, given ? -1 : op->hfd);
	return 0;
}

static int compose_mremap(struct pl_thr *t, uint32_t i, const struct pl_op *op)
{
	bool in_place = op->old_addr == op->addr;	/* FIXED would refuse the overlap */

	if (!in_guest(op->old_addr, op->old_len) || op->old_addr & ~PAGE_MASK)
		return -EINVAL;
	set_op(t, i, COP_PRIV, SYS_mremap, op->old_addr, op->old_len, op->len);
	op_slot(t, i)->a[3] = in_place ? 0 : MREMAP_MAYMOVE | MREMAP_FIXED;
	op_slot(t, i)->a[4] = in_place ? 0 : op->addr;
	make_order(t, i, 5, 0, -1);
	return 0;
}

static int compose_bytes(struct pl_thr *t, uint32_t i, const struct pl_op *op)
{
	if (op->kind == PL_OP_ZERO) {
		set_op(t, i, COP_ZERO, 0, op->addr, 0, op->len);
		return 0;
	}
	if (!range_within(op->off, op->len, 0, CTX_WINDOW_SIZE))
		return -EINVAL;
	set_op(t, i, COP_PUT, 0, op->addr, t->c_addr + CTX_BOUNCE + op->off, op->len);
	return 0;
}

static int compose_one(struct pl_thr *t, uint32_t i, const struct pl_op *op, bool given, uint16_t *lent)
{
	bool ordered = op->must || op->len >> 32 >= CELL_GUARD_HI, bytes = op->kind >= PL_OP_ZERO;

	if (!in_guest(op->addr, op->len) || (!bytes && op->addr & ~PAGE_MASK) || !op->len)
		return -EINVAL;
	switch (op->kind) {
	case PL_OP_MAP_ANON:
		compose_anon(t, i, op, ordered);
		return 0;
	case PL_OP_MAP_FILE:
		return compose_file(t, i, op, given, lent);
	case PL_OP_UNMAP:
		set_op(t, i, COP_ANON, SYS_munmap, op->addr, op->len, 0);
		break;
	case PL_OP_PROTECT:
		set_op(t, i, COP_ANON, SYS_mprotect, op->addr, op->len, (uint64_t)op->prot & 7);
		break;
	case PL_OP_ADVISE:
		set_op(t, i, COP_ANON, SYS_madvise, op->addr, op->len, (uint64_t)op->advice);
		break;
	case PL_OP_MREMAP:
		return compose_mremap(t, i, op);
	case PL_OP_ZERO:
	case PL_OP_WRITE:
		return compose_bytes(t, i, op);
	}
	if (ordered)
		make_order(t, i, op->kind == PL_OP_UNMAP ? 2 : 3, 0, -1);
	return 0;
}

/* The next op that maps a file, if it maps the same one: the cell keeps the descriptor for it. */
static bool same_file_next(const struct pl_op *ops, uint32_t i, uint32_t n)
{
	for (uint32_t k = i + 1; k < n; k++)
		if (ops[k].kind == PL_OP_MAP_FILE)
			return ops[k].hfd == ops[i].hfd;
	return false;
}

int ops_compose(struct pl_thr *t, const struct pl_op *ops, uint32_t n, uint32_t *calls, uint16_t *lent)
{
	bool given = false;
	uint32_t at = 0;
	int r;

	t->pre_len = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = at;

		r = compose_one(t, at++, &ops[i], given, lent);
		if (r)
			return r;
		if (ops[i].kind == PL_OP_MAP_FILE) {
			given = same_file_next(ops, i, n);
			if (!given)
				set_op(t, at++, COP_STUB, SYS_close, *lent, 0, 0);
		}
		t->ncalls[i] = (uint8_t)(at - first);
	}
	*calls = at;
	return 0;
}

int pl_op(pl_thread_t id, const struct pl_op *op)
{
	return pl_ops(id, op, 1);
}

int pl_ops(pl_thread_t id, const struct pl_op *ops, unsigned n)
{
	struct pl_thr *t = thr_of(id);
	uint32_t calls = 0;
	uint16_t lent = 0;
	int64_t err;
	int r;

	if (!t || (t->nqueue && queue_run(t)))
		return -ESRCH;
	if (n > PL_OPS_MAX)
		return -EINVAL;
	r = ops_compose(t, ops, n, &calls, &lent);
	if (!r)
		r = stub_run(t, calls);
	else
		orders_end(t);
	if (lent)
		lent_put(t->s, lent);
	if (r < 0)
		return r;
	if ((uint32_t)r == calls)
		return 0;
	err = op_result(t, (uint32_t)r);
	return err < 0 && err >= -4095 ? (int)err : -EINVAL;
}

int pl_membarrier(pl_thread_t id, int cmd)
{
	struct pl_thr *t = thr_of(id);
	int64_t res;
	int r;

	if (!t || (t->nqueue && queue_run(t)))
		return -ESRCH;
	set_op(t, 0, COP_PRIV, SYS_membarrier, (uint32_t)cmd, 0, 0);
	make_order(t, 0, 3, 0, -1);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	res = op_result(t, 0);
	return res < 0 && res >= -4095 ? (int)res : 0;
}

int64_t pl_mincore(pl_thread_t id, uint64_t addr, size_t pages)
{
	struct pl_thr *t = thr_of(id);
	size_t cap;
	int64_t res;
	int r;

	if (!t || (t->nqueue && queue_run(t)) || !pl_bounce(id, &cap))
		return -ESRCH;
	if (!pages || pages > cap || !range_within(addr, pages * PAGE_SIZE, CELL_MIN, CELL_TOP))
		return -EINVAL;
	set_op(t, 0, COP_PRIV, SYS_mincore, addr, pages * PAGE_SIZE, t->c_addr + CTX_BOUNCE);
	make_order(t, 0, 3, 0, -1);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	res = op_result(t, 0);
	return res < 0 && res >= -4095 ? res : (int64_t)pages;
}

int pl_op_queue(pl_thread_t id, const struct pl_op *op)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return -ESRCH;
	if (t->nqueue >= PL_OPS_MAX)
		return -EAGAIN;
	t->queue[t->nqueue++] = *op;
	return 0;
}

/* One copy op of at most a bounce area; the claimed count is bounded. */
static int64_t run_copy(struct pl_thr *t, uint32_t kind, uint64_t to, uint64_t from, size_t n)
{
	int64_t got;
	int r;

	if (t->nqueue && queue_run(t))
		return -ESRCH;
	set_op(t, 0, kind, 0, to, from, n);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	got = op_result(t, 0);
	if (r != 1 || got < 0 || (uint64_t)got > n)
		got = 0;
	if ((uint64_t)got < n) {
		t->copy_addr = READ_ONCE(t->c->copy_addr);
		t->copy_sig = (int)READ_ONCE(t->c->copy_sig);
	}
	return got;
}

static bool copy_range(struct pl_thr *t, uint64_t addr, size_t n)
{
	if (in_guest(addr, n))
		return true;
	t->copy_addr = addr;
	t->copy_sig = 11;
	return false;
}

/* Bytes that were read with the call or just now, if [src, src + n) is among them. */
char *ahead(const struct pl_thr *t, uint64_t src, size_t n)
{
	if (!range_within(src, n, t->pre_addr, t->pre_addr + t->pre_len))
		return NULL;
	return (char *)t->c + CTX_PRE + (src - t->pre_addr);
}

/*
 * Reads the page around src, so that the small pieces next to it cost nothing. They count as
 * read when the call was made: dropped with the event, a sleep, or a write by this thread.
 */
int read_page(struct pl_thr *t, uint64_t src)
{
	uint64_t page = page_down(src);
	int64_t r;

	t->pre_len = 0;
	r = run_copy(t, COP_COPY, t->c_addr + CTX_PRE, page, CTX_PRE_SIZE);
	if (r < 0)
		return (int)r;
	t->pre_addr = page;
	t->pre_len = (uint32_t)r;
	return 0;
}

void *pl_bounce(pl_thread_t id, size_t *cap)
{
	struct pl_thr *t = thr_of(id);

	*cap = t ? CTX_WINDOW_SIZE : 0;
	if (t && t->nqueue)
		(void)!queue_run(t);
	if (t && t->put_window)		/* what lies there goes out first */
		(void)!stub_run(t, 0);
	return t ? (char *)t->c + CTX_BOUNCE : NULL;
}

/* Queues bytes of the bounce area for the next reply; they are gone out before anything else. */
static bool put_queue(struct pl_thr *t, uint64_t dst, size_t off, size_t n)
{
	if (t->nput == CELL_PUTS_MAX)
		return false;
	t->put[t->nput].dst = dst;
	t->put[t->nput].off = (uint32_t)off;
	t->put[t->nput].n = (uint32_t)n;
	t->nput++;
	t->pre_len = 0;
	return true;
}

int64_t pl_bounce_out(pl_thread_t id, uint64_t dst, size_t off, size_t n)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return -ESRCH;
	if (!range_within(off, n, 0, CTX_WINDOW_SIZE))
		return -EINVAL;
	if (!n || !copy_range(t, dst, n))
		return 0;
	if (t->nqueue && queue_run(t))
		return -ESRCH;
	if (put_queue(t, dst, off, n)) {
		t->put_window = true;
		return (int64_t)n;
	}
	return run_copy(t, COP_COPY, dst, t->c_addr + CTX_BOUNCE + off, n);
}

static int64_t window_in(struct pl_thr *t, uint64_t src, size_t off, size_t n)
{
	if (!n || !copy_range(t, src, n))
		return 0;
	if (t->nqueue && queue_run(t))
		return -ESRCH;
	if (!t->put_window && ahead(t, src, n)) {
		memcpy((char *)t->c + CTX_BOUNCE + off, ahead(t, src, n), n);
		return (int64_t)n;
	}
	return run_copy(t, COP_COPY, t->c_addr + CTX_BOUNCE + off, src, n);
}

int64_t pl_bounce_in(pl_thread_t id, uint64_t src, size_t off, size_t n)
{
	struct pl_thr *t = thr_of(id);
	int64_t r;

	if (!t)
		return -ESRCH;
	if (!range_within(off, n, 0, CTX_WINDOW_SIZE))
		return -EINVAL;
	r = window_in(t, src, off, n);
	if (r > 0)
		site_hide(src, (char *)t->c + CTX_BOUNCE + off, (size_t)r);
	return r;
}

int64_t copy_in_raw(struct pl_thr *t, void *dst, uint64_t src, size_t n)
{
	size_t done = 0;

	if (ahead(t, src, n)) {
		memcpy(dst, ahead(t, src, n), n);
		return (int64_t)n;
	}
	if (n <= 1024 && page_down(src) == page_down(src + n - 1) && copy_range(t, src, n)) {
		int r = read_page(t, src);

		if (r < 0)
			return r;
		if (ahead(t, src, n))
			memcpy(dst, ahead(t, src, n), n);
		return ahead(t, src, n) ? (int64_t)n : 0;
	}
	while (done < n) {
		size_t part = min(n - done, (size_t)CTX_WINDOW_SIZE);
		int64_t r = window_in(t, src + done, 0, part);

		if (r < 0)
			return r;
		memcpy((char *)dst + done, (char *)t->c + CTX_BOUNCE, (size_t)r);
		done += (size_t)r;
		if ((size_t)r < part)
			break;
	}
	return (int64_t)done;
}

int64_t pl_copy_in(pl_thread_t id, void *dst, uint64_t src, size_t n)
{
	struct pl_thr *t = thr_of(id);
	int64_t r = t ? copy_in_raw(t, dst, src, n) : -ESRCH;

	if (r > 0)
		site_hide(src, dst, (size_t)r);
	return r;
}

/* Small pieces wait for the next reply. */
static bool put_small(struct pl_thr *t, uint64_t dst, const void *src, size_t n)
{
	size_t off = CTX_WINDOW_SIZE + t->put_used;

	if (!n || n > CTX_PUT_SIZE - t->put_used || !put_queue(t, dst, off, n))
		return false;
	memcpy((char *)t->c + CTX_BOUNCE + off, src, n);
	t->put_used += (uint32_t)n;
	return true;
}

int64_t pl_copy_out(pl_thread_t id, uint64_t dst, const void *src, size_t n)
{
	struct pl_thr *t = thr_of(id);
	size_t done = 0;

	if (!t || (t->nqueue && queue_run(t)))
		return -ESRCH;
	if (in_guest(dst, n) && put_small(t, dst, src, n))
		return (int64_t)n;
	if (t->put_window && stub_run(t, 0) < 0)
		return -ESRCH;
	while (done < n) {
		size_t part = min(n - done, (size_t)CTX_WINDOW_SIZE);
		int64_t r;

		if (!copy_range(t, dst + done, part))
			break;
		memcpy((char *)t->c + CTX_BOUNCE, (const char *)src + done, part);
		r = run_copy(t, COP_COPY, dst + done, t->c_addr + CTX_BOUNCE, part);
		if (r < 0)
			return r;
		done += (size_t)r;
		if ((size_t)r < part)
			break;
	}
	return (int64_t)done;
}

int64_t pl_copy_in_str(pl_thread_t id, char *dst, uint64_t src, size_t n)
{
	struct pl_thr *t = thr_of(id);
	size_t done = 0;

	if (!t)
		return -ESRCH;
	while (done < n) {
		uint64_t at = src + done, part;
		char *end;

		if (!ahead(t, at, 1)) {
			int r = copy_range(t, at, 1) ? read_page(t, at) : 0;

			if (r < 0)
				return r;
			if (!ahead(t, at, 1))
				break;
		}
		part = min(n - done, t->pre_addr + t->pre_len - at);
		memcpy(dst + done, ahead(t, at, part), part);
		end = memchr(dst + done, 0, part);
		if (end)
			return end - dst + 1;
		done += part;
	}
	return (int64_t)done;
}

uint64_t pl_copy_fault(pl_thread_t id, int *signo)
{
	struct pl_thr *t = thr_of(id);

	*signo = t ? t->copy_sig : 0;
	return t ? t->copy_addr : 0;
}

int pl_atomic32(pl_thread_t id, enum pl_atomic op, uint64_t addr, uint32_t old, uint32_t val,
		uint32_t *seen)
{
	struct pl_thr *t = thr_of(id);
	int64_t got;
	int r;

	if (!t)
		return -ESRCH;
	if (!copy_range(t, addr, 4) || addr % 4)
		return -EFAULT;
	if (t->nqueue && queue_run(t))
		return -ESRCH;
	t->pre_len = 0;
	set_op(t, 0, op == PL_LOAD ? COP_LOAD32 : COP_CMPXCHG32, 0, addr, old, val);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	got = op_result(t, 0);
	if (r != 1 || got < 0 || got > UINT32_MAX) {
		t->copy_addr = addr;
		t->copy_sig = (int)READ_ONCE(t->c->copy_sig);
		return -EFAULT;
	}
	*seen = (uint32_t)got;
	return 0;
}

bool pl_leave_words(pl_thread_t id, uint64_t head, uint64_t tid)
{
	struct pl_thr *t = thr_of(id);
	uint32_t n = 0;

	if (!t || (head && !in_guest(head, 24)) || (tid && !in_guest(tid, 4)) ||
	    (t->nqueue && queue_run(t)))
		return false;
	t->pre_len = 0;
	if (head) {
		set_op(t, n++, COP_EXPECT64, 0, head, head, 0);
		set_op(t, n++, COP_EXPECT64, 0, head + 16, 0, 0);
	}
	rseq_end_compose(t, &n);
	if (tid)
		set_op(t, n++, COP_ZERO, 0, tid, 0, 4);
	t->blocked_last = true;		/* its stub has nothing to wait for after this */
	if (stub_run(t, n) != (int)n)
		return false;
	rseq_ended(t);
	return true;
}
