/* SPDX-License-Identifier: Apache-2.0 */
/* The buffers of one read or write; see vfs/uio.h. */
#include <errno.h>
#include <string.h>
#include "sentry/mm/mm_int.h"
#include "sentry/mm/uaccess.h"
#include "sentry/vfs/uio.h"

#define MAX_RW_COUNT 0x7ffff000ull

void uio_user(struct uio *u, struct task *t, uint64_t addr, uint64_t len)
{
	*u = (struct uio){.t = t, .n = 1};
	u->iov = u->fast;
	u->fast[0].base = addr;
	u->fast[0].len = min(len, MAX_RW_COUNT);
	u->left = u->fast[0].len;
}

void uio_kernel(struct uio *u, void *buf, size_t len)
{
	*u = (struct uio){.kbuf = buf, .n = 1, .left = len};
	u->iov = u->fast;
	u->fast[0].len = len;
}

int uio_user_iov(struct uio *u, struct task *t, uint64_t iov, uint64_t n)
{
	uint64_t i;
	int r;

	*u = (struct uio){.t = t};
	u->iov = u->fast;
	if (n > UIO_MAXIOV)
		return -EINVAL;
	if (n > UIO_FAST) {
		u->iov = kmalloc_array(n, sizeof(*u->iov));
		if (!u->iov) {
			u->iov = u->fast;
			return -ENOMEM;
		}
	}
	u->n = (uint32_t)n;
	r = copy_in(t, u->iov, UADDR(iov), n * sizeof(*u->iov));
	for (i = 0; !r && i < n; i++) {
		if ((int64_t)u->iov[i].len < 0)
			r = -EINVAL;
		u->iov[i].len = min(u->iov[i].len, MAX_RW_COUNT - u->left);
		u->left += u->iov[i].len;
	}
	if (r)
		uio_fini(u);
	return r;
}

void uio_fini(struct uio *u)
{
	if (u->iov && u->iov != u->fast && !u->kbuf)
		kfree(u->iov);
	u->iov = u->fast;
	u->n = 0;
}

/* The current piece, at most n bytes of it; moves past empty iovecs. 0 at the end. */
static uint64_t piece(struct uio *u, uint64_t n, uint64_t *addr)
{
	while (u->i < u->n && u->skip >= u->iov[u->i].len)
		u->i++, u->skip = 0;
	if (u->i >= u->n)
		return 0;
	*addr = u->iov[u->i].base + u->skip;
	return min(n, u->iov[u->i].len - u->skip);
}

static void advance(struct uio *u, uint64_t n)
{
	u->skip += n;
	u->left -= n;
}

int uio_check(const struct uio *u, uint64_t n, bool for_write)
{
	uint64_t skip = u->skip, len;
	uint32_t i;

	if (!u->t)
		return 0;
	for (i = u->i; i < u->n && n; i++, skip = 0) {
		if (u->iov[i].len <= skip)
			continue;
		len = min(n, u->iov[i].len - skip);
		if (access_check(u->t, UADDR(u->iov[i].base + skip), len, for_write))
			return -EFAULT;
		n -= len;
	}
	return 0;
}

enum mode { PUT, GET, ZERO };

static int64_t move_piece(struct uio *u, uint64_t addr, void *buf, size_t n, enum mode m)
{
	static const char zeros[4096];

	if (!u->t) {
		if (m == PUT)
			memcpy(u->kbuf + addr, buf, n);
		else if (m == GET)
			memcpy(buf, u->kbuf + addr, n);
		else
			memset(u->kbuf + addr, 0, n);
		return (int64_t)n;
	}
	if (m == PUT)
		return copy_out_partial(u->t, UADDR(addr), buf, n);
	if (m == GET)
		return copy_in_partial(u->t, buf, UADDR(addr), n);
	return copy_out_partial(u->t, UADDR(addr), zeros, min(n, sizeof(zeros)));
}

static int64_t move(struct uio *u, char *buf, size_t n, enum mode m)
{
	size_t done = 0;

	while (done < n) {
		uint64_t addr, len = piece(u, n - done, &addr);
		int64_t r;
		if (!len)
			break;
		r = move_piece(u, addr, buf ? buf + done : NULL, len, m);
		if (r <= 0)
			break;
		advance(u, (uint64_t)r);
		done += (uint64_t)r;
		if ((uint64_t)r < len && m != ZERO)
			break;
	}
	return done || !n || !u->left ? (int64_t)done : -EFAULT;
}

int64_t uio_put(struct uio *u, const void *src, size_t n)
{
	return move(u, (char *)(uintptr_t)src, n, PUT);
}

int64_t uio_put_zero(struct uio *u, size_t n)
{
	return move(u, NULL, n, ZERO);
}

int64_t uio_get(struct uio *u, void *dst, size_t n)
{
	return move(u, dst, n, GET);
}

/* --- the window ------------------------------------------------------------------------------------ */

void *uio_window(struct uio *u, size_t *cap)
{
	if (!u->t) {
		*cap = u->left;
		return u->kbuf + u->skip;
	}
	return pl_bounce(u->t->pl, cap);
}

static int64_t window_copy(struct uio *u, uint64_t addr, size_t off, size_t n, bool out)
{
	struct task *t = u->t;

	lock_assert_none_held();
	if (access_check(t, UADDR(addr), 1, out))
		return -EFAULT;
	n = mm_range_prefix(t->mm, addr, n, out ? VMA_WRITE : VMA_READ);
	return out ? pl_bounce_out(t->pl, addr, off, n) : pl_bounce_in(t->pl, addr, off, n);
}

static int64_t window_move(struct uio *u, size_t n, bool out)
{
	unsigned faults = 0;
	size_t done = 0;

	if (!u->t) {
		n = min(n, u->left);
		advance(u, n);
		return (int64_t)n;
	}
	while (done < n) {
		uint64_t addr, len = piece(u, n - done, &addr);
		int64_t r;
		if (!len)
			break;
		r = window_copy(u, addr, done, len, out);
		if (r < 0 || (uint64_t)r > len)
			break;
		advance(u, (uint64_t)r);
		done += (size_t)r;
		if ((uint64_t)r == len)
			continue;
		/* short: the layout's next piece, or a fault */
		if (r == 0 && (faults++ > 3 || mm_fault(u->t, mm_copy_fault(u->t), out)))
			break;
	}
	return done || !n || !u->left ? (int64_t)done : -EFAULT;
}

int64_t uio_put_window(struct uio *u, size_t n)
{
	return window_move(u, n, true);
}

int64_t uio_get_window(struct uio *u, size_t want)
{
	return window_move(u, want, false);
}
