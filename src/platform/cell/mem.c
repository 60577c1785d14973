/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A space's memory by a descriptor that its own cell opened, and CPU clocks. The cell is hostile:
 * what it sends may be any descriptor it has, which is one it could use itself.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "host/file.h"
#include "host/sock.h"
#include "lib/checked.h"

void mem_close(struct pl_spc *s)
{
	if (s->mem_hfd >= 0)
		h_close(s->mem_hfd);
	if (s->stat_hfd >= 0)
		h_close(s->stat_hfd);
	s->mem_hfd = s->stat_hfd = -1;
}

/* One ordered call with its result; -EIO when it was refused or failed. */
static int64_t ordered(struct pl_thr *t, uint32_t nr, const uint64_t *a, uint8_t nargs, uint16_t lent,
		       int hfd)
{
	struct pl_order o = {.ip = IP_PRIV, .nr = nr, .nargs = nargs, .lent = lent, .hfd = hfd};
	struct cell_op *op = op_slot(t, 0);
	int r;

	memcpy(o.a, a, sizeof(o.a));
	op->kind = COP_PRIV;
	op->nr = nr;
	memcpy(op->a, a, sizeof(o.a));
	order_add(t, &o);
	r = stub_run(t, 1);
	if (r < 0)
		return r;
	return r == 1 ? op_result(t, 0) : -EIO;
}

/* The message the cell is to send lies in its bounce area; only `fd` matters. */
static void fill_message(struct pl_thr *t, int32_t fd)
{
	uint64_t base = t->c_addr + CTX_BOUNCE;
	uint64_t *m = (uint64_t *)(void *)((char *)t->c + CTX_BOUNCE);
	struct {
		uint64_t len;
		int32_t level, type, fd, pad;
	} cm = {20, SOL_SOCKET, SCM_RIGHTS, fd, 0};

	memset(m, 0, 256);
	m[2] = base + 128;		/* msg_iov */
	m[3] = 1;
	m[4] = base + 64;		/* msg_control */
	m[5] = sizeof(cm);
	memcpy(m + 8, &cm, sizeof(cm));
	m[16] = base + 200;		/* one byte */
	m[17] = 1;
}

/* The cell opens one of its own files below /proc and hands it over: the path is in its text. */
static int fetch(struct pl_thr *t, uint64_t path, uint32_t flags, int *out)
{
	uint64_t open_a[6] = {CELL_FD_PROC, path, flags};
	uint64_t send_a[6] = {0}, close_a[6] = {0};
	int pair[2], got = -1, r;
	unsigned count = 0;
	int64_t fd, n;
	uint16_t num;
	char byte;

	if (t->nqueue && queue_run(t))
		return -ESRCH;
	if (t->nput && stub_run(t, 0) < 0)	/* the window is needed */
		return -ESRCH;
	fd = ordered(t, SYS_openat, open_a, 4, 0, -1);
	if (fd < 0 || fd > INT32_MAX)
		return fd == -ESRCH ? -ESRCH : -EIO;
	r = h_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (r)
		return r;
	num = lent_get(t->s);
	if (num) {
		fill_message(t, (int32_t)fd);
		send_a[0] = num;
		send_a[1] = t->c_addr + CTX_BOUNCE;
		n = ordered(t, SYS_sendmsg, send_a, 3, num, pair[1]);
		if (n == 1)
			n = h_recv_fds(pair[0], &byte, 1, &got, 1, &count, MSG_DONTWAIT);
		close_a[0] = num;
		if (ordered(t, SYS_close, close_a, 1, 0, -1) == 0)
			lent_put(t->s, num);
	}
	close_a[0] = (uint64_t)fd;
	(void)ordered(t, SYS_close, close_a, 1, 0, -1);
	h_close(pair[0]);
	h_close(pair[1]);
	if (count != 1)
		return -EIO;
	*out = got;
	return 0;
}

int pl_mem_open(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return -ESRCH;
	return t->s->mem_hfd >= 0 ? 0 : fetch(t, CELL_STR_MEM, O_RDWR | O_CLOEXEC, &t->s->mem_hfd);
}

int pl_stat_open(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return -ESRCH;
	return t->s->stat_hfd >= 0 ? 0 : fetch(t, CELL_STR_STATUS, O_RDONLY | O_CLOEXEC, &t->s->stat_hfd);
}

/* The number behind `name` in a text of lines "Name:\t  123 kB", in bytes. */
static uint64_t field(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	uint64_t v = 0;

	if (!p)
		return 0;
	for (p += strlen(name); *p == ':' || *p == '\t' || *p == ' '; p++)
		;
	for (; *p >= '0' && *p <= '9' && v < UINT64_MAX / 100000; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	return v * 1024;
}

int pl_space_stat(pl_space_t id, struct pl_mem_stat *out)
{
	struct pl_spc *s = spc_of(id);
	char text[1800];		/* the lines that count stand at the beginning */
	int64_t n;

	if (!s || s->stat_hfd < 0)
		return s ? -ENXIO : -ESRCH;
	n = h_pread(s->stat_hfd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return -ESRCH;
	text[n] = 0;
	*out = (struct pl_mem_stat){.hiwater = field(text, "VmHWM"), .rss = field(text, "VmRSS"),
				    .anon = field(text, "RssAnon"), .file = field(text, "RssFile"),
				    .shmem = field(text, "RssShmem")};
	return 0;
}

/* The image of the vDSO is private to each cell, so that a debugger may write to it. */
static bool is_vdso(uint64_t addr, size_t n)
{
	return pl.vdso && range_within(addr, n, CELL_GUEST_VDSO, CELL_GUEST_VDSO + CELL_GUEST_VDSO_SIZE);
}

int64_t pl_space_read(pl_space_t id, void *dst, uint64_t src, size_t n)
{
	struct pl_spc *s = spc_of(id);

	if (!s || s->mem_hfd < 0)
		return s ? -ENXIO : -ESRCH;
	if (!range_within(src, n, CELL_MIN, CELL_TOP) && !is_vdso(src, n))
		return -EFAULT;
	n = (size_t)h_pread(s->mem_hfd, dst, n, (int64_t)src);
	if ((int64_t)n > 0)
		site_hide(src, dst, n);
	return (int64_t)n == -EIO ? -EFAULT : (int64_t)n;
}

int64_t pl_space_write(pl_space_t id, uint64_t dst, const void *src, size_t n)
{
	struct pl_spc *s = spc_of(id);

	if (!s || s->mem_hfd < 0)
		return s ? -ENXIO : -ESRCH;
	if (is_vdso(dst, n))
		s->own_vdso = true;
	else if (!range_within(dst, n, CELL_MIN, CELL_TOP))
		return -EFAULT;
	n = (size_t)h_pwrite(s->mem_hfd, src, n, (int64_t)dst);
	return (int64_t)n == -EIO ? -EFAULT : (int64_t)n;
}

/* --- CPU clocks ------------------------------------------------------------------------- */

/* The host's CPU clock of a whole cell. */
uint64_t spc_cpu_raw(const struct pl_spc *s)
{
	struct timespec ts;
	int pid = s->pid;

	if (!pid || h_sys2(SYS_clock_gettime, (int)(~(unsigned)pid << 3 | 2), &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t spc_cpu(struct pl_spc *s)
{
	uint64_t raw = spc_cpu_raw(s);

	if (raw > s->cpu_base)
		__atomic_store_n(&s->cpu_last, raw - s->cpu_base, __ATOMIC_RELAXED);
	return __atomic_load_n(&s->cpu_last, __ATOMIC_RELAXED);
}

uint64_t pl_space_cputime(pl_space_t id)
{
	struct pl_spc *s = spc_of(id);

	return s ? spc_cpu(s) : 0;
}

uint64_t pl_thread_cputime(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);

	if (!t)
		return 0;
	if (t->s->nhost == 1)
		__atomic_store_n(&t->cpu_ns, spc_cpu(t->s), __ATOMIC_RELAXED);
	return __atomic_load_n(&t->cpu_ns, __ATOMIC_RELAXED);
}

void pl_thread_cpu_update(pl_thread_t id)
{
	struct pl_thr *t = thr_of(id);
	uint64_t sec, ns;

	if (!t || t->s->nhost == 1)
		return;
	set_op(t, 0, COP_STUB, SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID,
	       t->c_addr + offsetof(struct cell_ctx, cputime), 0);
	if (stub_run(t, 1) != 1 || op_result(t, 0))
		return;
	sec = READ_ONCE(t->c->cputime[0]);
	ns = READ_ONCE(t->c->cputime[1]);
	ns += sec * 1000000000u;
	if (t->cpu_rebase) {
		t->cpu_rebase = false;
		t->cpu_base = ns - __atomic_load_n(&t->cpu_ns, __ATOMIC_RELAXED);
	}
	if (ns > t->cpu_base)
		__atomic_store_n(&t->cpu_ns, ns - t->cpu_base, __ATOMIC_RELAXED);
}
