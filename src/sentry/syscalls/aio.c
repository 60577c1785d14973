/* SPDX-License-Identifier: Apache-2.0 */
/* io_setup, io_destroy, io_submit, io_cancel, io_getevents, io_pgetevents. A request is carried out while it is
 * submitted, which Linux does for all that is not direct I/O; its event waits to be fetched. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "sentry/core/kheap.h"
#include "sentry/core/restart.h"
#include "sentry/fs/aio/aio.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/syscalls/fs_util.h"
#include "sentry/syscalls/sigmask.h"

#define RING_BYTES 4096u
#define REQUESTS_MAX 0x10000000u
#define IOCB_KEY 0u
#define EV_STACK 8u
#define NSEC 1000000000ll

int64_t sys_io_setup(struct task *t, const struct sysargs *a)
{
	uint32_t nr = ARG_U32(0);
	uint64_t id;
	int64_t at;
	int r = get_user(t, id, ARG_UADDR(1));

	if (r)
		return r;
	if (id || !nr)
		return -EINVAL;
	if (nr > REQUESTS_MAX)
		return -EINVAL;
	if (nr > AIO_MAX_NR)
		return -EAGAIN;
	at = mm_mmap(t, 0, RING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0);
	if (at < 0)
		return at;
	r = aio_create(t->mm, (uint64_t)at, nr);
	if (!r) {
		r = put_user(t, ARG_UADDR(1), at);
		if (!r)
			return 0;
		aio_destroy(t->mm, (uint64_t)at);
	}
	int e = mm_munmap(t, (uint64_t)at, RING_BYTES);
	return r ? r : e;
}

int64_t sys_io_destroy(struct task *t, const struct sysargs *a)
{
	int r = aio_destroy(t->mm, a->a[0]);

	return r ? r : mm_munmap_reply(t, a->a[0], RING_BYTES);
}

/* --- one request -------------------------------------------------------------------------------- */

static bool never_started(int64_t r)
{
	return r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND || r == -ERESTART_RESTARTBLOCK;
}

/* Errors that io_submit itself answers come back in *refused; those of the transfer are results. */
static int64_t transfer(struct task *t, struct file *f, const struct iocb *cb, bool vec, bool write, int *refused)
{
	bool stream = f->mode & FMODE_STREAM;
	int64_t pos = cb->aio_offset, r = 0;
	int flags = (int)cb->aio_rw_flags;
	struct uio u;

	if (!(f->mode & (write ? FMODE_WRITE : FMODE_READ)))
		*refused = -EBADF;
	else if (!(write ? (const void *)file_ops(f)->write : (const void *)file_ops(f)->read))
		*refused = -EINVAL;
	else if (flags & ~RWF_KNOWN)
		*refused = -EOPNOTSUPP;
	else if (!stream && pos < 0)
		*refused = -EINVAL;
	else if (vec)
		*refused = uio_user_iov(&u, t, cb->aio_buf, cb->aio_nbytes);
	else
		uio_user(&u, t, cb->aio_buf, cb->aio_nbytes);
	if (*refused)
		return 0;
	r = fs_rw_flagged(t, f, &u, stream ? &f->pos : &pos, flags, write);
	uio_fini(&u);
	/* whoever sees the event must see the bytes */
	if (!write && r > 0 && pl_flush(t->pl))
		r = -EFAULT;
	return never_started(r) ? -EINTR : r;
}

static int64_t sync_file(struct file *f, const struct iocb *cb, bool data_only, int *refused)
{
	if (cb->aio_buf || cb->aio_offset || cb->aio_nbytes || cb->aio_rw_flags || !file_ops(f)->fsync) {
		*refused = -EINVAL;
		return 0;
	}
	return file_ops(f)->fsync(f, data_only);
}

static int64_t carry_out(struct task *t, struct file *f, const struct iocb *cb, int *refused)
{
	switch (cb->aio_lio_opcode) {
	case IOCB_CMD_PREAD:
		return transfer(t, f, cb, false, false, refused);
	case IOCB_CMD_PWRITE:
		return transfer(t, f, cb, false, true, refused);
	case IOCB_CMD_PREADV:
		return transfer(t, f, cb, true, false, refused);
	case IOCB_CMD_PWRITEV:
		return transfer(t, f, cb, true, true, refused);
	case IOCB_CMD_FSYNC:
		return sync_file(f, cb, false, refused);
	case IOCB_CMD_FDSYNC:
		return sync_file(f, cb, true, refused);
	default:
		*refused = -EINVAL;
		return 0;
	}
}

/* The place in the ring is reserved; on an error the caller gives it back. */
static int with_files(struct task *t, struct aio_ctx *c, uint64_t at, const struct iocb *cb)
{
	struct io_event ev = {.data = cb->aio_data, .obj = at};
	struct file *f = fd_get(t, (int)cb->aio_fildes), *tell = NULL;
	uint32_t key = IOCB_KEY;
	int refused = 0;

	if (!f)
		return -EBADF;
	if (cb->aio_flags & IOCB_FLAG_RESFD) {
		tell = fd_get(t, (int)cb->aio_resfd);
		refused = !tell ? -EBADF : tell->fops != FOPS_eventfd ? -EINVAL : 0;
	}
	if (!refused)
		refused = put_user(t, UADDR(at + offsetof(struct iocb, aio_key)), key);
	if (!refused)
		ev.res = carry_out(t, f, cb, &refused);
	if (!refused) {
		aio_complete(c, &ev);
		if (tell)
			eventfd_signal(tell, 1);
	}
	if (tell)
		file_put(tell);
	file_put(f);
	return refused;
}

static int submit_one(struct task *t, struct aio_ctx *c, uint64_t at)
{
	struct iocb cb;
	int r = get_user(t, cb, UADDR(at));

	if (r)
		return r;
	if (cb.aio_reserved2 || (int64_t)cb.aio_nbytes < 0)
		return -EINVAL;
	r = aio_reserve(c);
	if (r)
		return r;
	r = with_files(t, c, at, &cb);
	if (r)
		aio_unreserve(c);
	return r;
}

int64_t sys_io_submit(struct task *t, const struct sysargs *a)
{
	int64_t nr = (int64_t)a->a[1], i;
	uint64_t list = a->a[2];
	struct aio_ctx *c;
	int r = 0;

	if (nr < 0)
		return -EINVAL;
	c = aio_get(t->mm, a->a[0]);
	if (!c)
		return -EINVAL;
	nr = min(nr, (int64_t)aio_max(c));
	for (i = 0; i < nr && !r; i++) {
		uint64_t at;

		if (i && signal_pending(t))
			break;
		r = get_user(t, at, UADDR(list));
		list += sizeof(at);
		if (!r)
			r = submit_one(t, c, at);
		if (r)
			break;
	}
	aio_put(c);
	return i ? i : r;
}

/* Nothing is ever on its way when somebody could ask. */
int64_t sys_io_cancel(struct task *t, const struct sysargs *a)
{
	struct iocb cb;
	int r = get_user(t, cb, ARG_UADDR(1));

	return r ? r : -EINVAL;
}

/* --- events --------------------------------------------------------------------------------------- */

static int64_t fetch(struct task *t, struct aio_ctx *c, uint32_t least, uint32_t max, uint64_t to, uint64_t deadline)
{
	struct io_event stack[EV_STACK], *ev = stack;
	int64_t n;

	if (max > EV_STACK) {
		ev = kmalloc_array(max, sizeof(*ev));
		if (!ev)
			return -ENOMEM;
	}
	n = aio_wait(t, c, least, ev, max, deadline);
	if (n > 0 && copy_out(t, UADDR(to), ev, (size_t)n * sizeof(*ev)))
		n = -EFAULT;
	if (ev != stack)
		kfree(ev);
	return n;
}

static int64_t get_events(struct task *t, const struct sysargs *a, uint64_t deadline)
{
	int64_t least = (int64_t)a->a[1], nr = (int64_t)a->a[2], n;
	struct aio_ctx *c = aio_get(t->mm, a->a[0]);
	uint32_t max;

	if (!c)
		return -EINVAL;
	max = (uint32_t)min((uint64_t)nr, (uint64_t)max(aio_max(c), 64u));
	if (least < 0 || least > nr)
		n = -EINVAL;
	else if (max && access_check(t, UADDR(a->a[3]), sizeof(struct io_event), true))
		n = -EFAULT;
	else
		n = fetch(t, c, (uint32_t)min((uint64_t)least, (uint64_t)max), max, a->a[3], deadline);
	aio_put(c);
	return n;
}

static int events_deadline(struct task *t, uaddr_t at, uint64_t *deadline)
{
	struct l_timespec ts;
	int r;

	*deadline = WAIT_FOREVER;
	if (!at.v)
		return 0;
	r = get_user(t, ts, at);
	if (r)
		return r;
	/* Linux takes any number of nanoseconds here */
	if (ts.sec < 0 || (!ts.sec && ts.nsec <= 0))
		*deadline = 0;
	else if (ts.sec < INT64_MAX / NSEC / 4)
		*deadline = now_mono() + (uint64_t)(ts.sec * NSEC + min(ts.nsec, INT64_MAX / 4));
	return 0;
}

int64_t sys_io_getevents(struct task *t, const struct sysargs *a)
{
	uint64_t deadline;
	int r = events_deadline(t, ARG_UADDR(4), &deadline);

	return r ? r : get_events(t, a, deadline);
}

int64_t sys_io_pgetevents(struct task *t, const struct sysargs *a)
{
	struct {
		uint64_t mask, size;
	} sig = {0, sizeof(l_sigset)};
	uint64_t deadline;
	int64_t r = events_deadline(t, ARG_UADDR(4), &deadline);

	if (!r && a->a[5])
		r = get_user(t, sig, ARG_UADDR(5));
	if (!r)
		r = sigmask_begin(t, UADDR(sig.mask), sig.size);
	if (r)
		return r;
	r = get_events(t, a, deadline);
	sigmask_end(t, r == -EINTR);
	return r;
}
