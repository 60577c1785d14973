/* SPDX-License-Identifier: Apache-2.0 */
/* poll, ppoll, select, pselect6 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include "sentry/core/kheap.h"
#include "sentry/fs/epoll/epoll.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/handlers.h"
#include "sentry/syscalls/sigmask.h"

#define NSEC 1000000000ll

struct l_pollfd {
	int32_t fd;
	int16_t events, revents;
};

int sigmask_begin(struct task *t, uaddr_t mask, uint64_t size)
{
	l_sigset set;
	int r;

	if (!mask.v)
		return 0;
	if (size != sizeof(set))
		return -EINVAL;
	r = copy_in(t, &set, mask, sizeof(set));
	if (r)
		return r;
	signal_swap_mask(t, set & ~(SIGBIT(SIGKILL) | SIGBIT(SIGSTOP)));
	return 0;
}

void sigmask_end(struct task *t, bool interrupted)
{
	if (interrupted || !t->restore_mask)
		return;
	t->restore_mask = false;
	signal_set_mask(t, t->saved_mask);
}

int timeout_deadline(int64_t sec, int64_t nsec, uint64_t *deadline)
{
	uint64_t now = now_mono();

	if (sec < 0 || nsec < 0 || nsec >= NSEC)
		return -EINVAL;
	if (sec == 0 && nsec == 0)
		*deadline = 0;
	else if (sec > INT64_MAX / NSEC / 2)
		*deadline = WAIT_FOREVER;
	else
		*deadline = now + (uint64_t)(sec * NSEC + nsec);
	return 0;
}

uint64_t timeout_ms_deadline(int ms)
{
	if (ms < 0)
		return WAIT_FOREVER;
	return ms ? now_mono() + (uint64_t)ms * 1000000 : 0;
}

struct l_timespec deadline_left(uint64_t deadline)
{
	uint64_t now = now_mono(), left = deadline > now ? deadline - now : 0;

	return (struct l_timespec){(int64_t)(left / NSEC), (int64_t)(left % NSEC)};
}

static void ents_put(struct pollent *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (e[i].f)
			file_put(e[i].f);
}

/* --- poll --------------------------------------------------------------------------------- */

#define POLL_STACK 16

/* Only revents is written, and only where it differs from what the guest has there. */
static int put_revents(struct task *t, uint64_t ufds, const struct l_pollfd *p,
		       const struct pollent *e, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int16_t rev = (int16_t)e[i].got;
		int r;

		if (rev == p[i].revents)
			continue;
		r = put_user(t, UADDR(ufds + i * sizeof(*p) + offsetof(struct l_pollfd, revents)), rev);
		if (r)
			return r;
	}
	return 0;
}

static int poll_run(struct task *t, uint64_t ufds, unsigned n, uint64_t deadline,
		    struct l_pollfd *p, struct pollent *e)
{
	int r = copy_in(t, p, UADDR(ufds), n * sizeof(*p)), w;

	if (r)
		return r;
	for (unsigned i = 0; i < n; i++) {
		e[i] = (struct pollent){.want = (uint16_t)p[i].events | POLLERR | POLLHUP};
		if (p[i].fd < 0)
			continue;
		e[i].f = fd_get(t, p[i].fd);
		if (!e[i].f)
			e[i].got = POLLNVAL;
	}
	r = pollset_wait(t, e, n, deadline);
	if (r >= 0) {
		w = put_revents(t, ufds, p, e, n);
		r = w ? w : r;
	}
	ents_put(e, n);
	return r;
}

/* -ERESTARTNOHAND when interrupted. */
static int do_poll(struct task *t, uint64_t ufds, unsigned n, uint64_t deadline)
{
	struct l_pollfd sp[POLL_STACK], *p = sp;
	struct pollent se[POLL_STACK], *e = se;
	int r = -ENOMEM;

	if (n > task_rlimit(t, RLIMIT_NOFILE))
		return -EINVAL;
	if (n > POLL_STACK) {
		p = kmalloc_array(n, sizeof(*p));
		e = kmalloc_array(n, sizeof(*e));
	}
	if (p && e)
		r = poll_run(t, ufds, n, deadline, p, e);
	if (n > POLL_STACK) {
		kfree(p);
		kfree(e);
	}
	return r;
}

static int64_t poll_until(struct task *t, uint64_t ufds, unsigned n, uint64_t deadline)
{
	int r = do_poll(t, ufds, n, deadline);

	if (r != -ERESTARTNOHAND)
		return r;
	t->restart.kind = RESTART_POLL;
	t->restart.arg[0] = ufds;
	t->restart.arg[1] = n;
	t->restart.arg[2] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

int64_t sys_poll(struct task *t, const struct sysargs *a)
{
	return poll_until(t, a->a[0], ARG_U32(1), timeout_ms_deadline(ARG_INT(2)));
}

int64_t poll_restart(struct task *t)
{
	return poll_until(t, t->restart.arg[0], (unsigned)t->restart.arg[1], t->restart.arg[2]);
}

/* The time that is left goes back to the guest; where that fails a restart would wait too long. */
static int64_t put_left(struct task *t, uint64_t uts, uint64_t deadline, int64_t r, bool timeval)
{
	struct l_timespec left;
	int w;

	if (!uts || deadline == WAIT_FOREVER)
		return r;
	left = deadline_left(deadline);
	if (timeval)
		left.nsec /= 1000;
	w = put_user(t, UADDR(uts), left);
	return w && r == -ERESTARTNOHAND ? -EINTR : r;
}

static int get_deadline(struct task *t, uint64_t uts, uint64_t *deadline)
{
	struct l_timespec ts;
	int r;

	*deadline = WAIT_FOREVER;
	if (!uts)
		return 0;
	r = get_user(t, ts, UADDR(uts));
	return r ? r : timeout_deadline(ts.sec, ts.nsec, deadline);
}

int64_t sys_ppoll(struct task *t, const struct sysargs *a)
{
	uint64_t deadline;
	int64_t r;

	r = get_deadline(t, a->a[2], &deadline);
	if (r)
		return r;
	r = sigmask_begin(t, ARG_UADDR(3), a->a[4]);
	if (r)
		return r;
	r = do_poll(t, a->a[0], ARG_U32(1), deadline);
	sigmask_end(t, r == -ERESTARTNOHAND);
	return put_left(t, a->a[2], deadline, r, false);
}

/* --- select ------------------------------------------------------------------------------- */

#define SEL_IN (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR | POLLNVAL)
#define SEL_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR | POLLNVAL)
#define SEL_EX (POLLPRI | POLLNVAL)

struct selsets {
	unsigned n;		/* descriptors looked at */
	size_t bytes;		/* of one set */
	uint64_t user[3];	/* guest addresses: in, out, ex */
	uint8_t *set[3];	/* kernel copies, one allocation */
	struct pollent *e;
	int *fds;
	unsigned nents;
};

static bool has_bit(const uint8_t *s, unsigned i)
{
	return s[i / 8] >> (i % 8) & 1;
}

static int sel_load(struct task *t, struct selsets *s)
{
	unsigned count = 0;

	s->set[0] = kmalloc_array(3, s->bytes);
	if (!s->set[0])
		return -ENOMEM;
	for (int k = 0; k < 3; k++) {
		int r;

		s->set[k] = s->set[0] + s->bytes * (unsigned)k;
		r = s->user[k] ? copy_in(t, s->set[k], UADDR(s->user[k]), s->bytes) : 0;
		if (r)
			return r;
	}
	for (unsigned i = 0; i < s->n; i++)
		count += has_bit(s->set[0], i) || has_bit(s->set[1], i) || has_bit(s->set[2], i);
	s->e = kmalloc_array(count ? count : 1, sizeof(*s->e));
	s->fds = kmalloc_array(count ? count : 1, sizeof(*s->fds));
	return s->e && s->fds ? 0 : -ENOMEM;
}

static int sel_files(struct task *t, struct selsets *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		uint32_t want = (has_bit(s->set[0], i) ? SEL_IN : 0) |
				(has_bit(s->set[1], i) ? SEL_OUT : 0) |
				(has_bit(s->set[2], i) ? SEL_EX : 0);

		if (!want)
			continue;
		s->fds[s->nents] = (int)i;
		s->e[s->nents] = (struct pollent){.f = fd_get(t, (int)i), .want = want & ~(uint32_t)POLLNVAL};
		if (!s->e[s->nents++].f)
			return -EBADF;
	}
	return 0;
}

/* HUP and ERR wake everybody, but count only in the sets that show them. */
static int sel_results(struct selsets *s)
{
	static const uint32_t shows[3] = {SEL_IN, SEL_OUT, SEL_EX};
	int bits = 0;

	for (unsigned k = 0; k < s->nents; k++) {
		unsigned i = (unsigned)s->fds[k];

		for (int j = 0; j < 3; j++) {
			bool was = has_bit(s->set[j], i), on = was && (s->e[k].got & shows[j]);

			if (was && !on)
				s->set[j][i / 8] &= (uint8_t)~(1u << (i % 8));
			bits += on;
		}
	}
	return bits;
}

static int sel_store(struct task *t, const struct selsets *s)
{
	for (int k = 0; k < 3; k++) {
		int r = s->user[k] ? copy_out(t, UADDR(s->user[k]), s->set[k], s->bytes) : 0;

		if (r)
			return r;
	}
	return 0;
}

static int do_select(struct task *t, int n, const uint64_t user[3], uint64_t deadline)
{
	struct selsets s = {0};
	uint32_t cap;
	int r, w;

	if (n < 0)
		return -EINVAL;
	cap = READ_ONCE(t->files->cap);		/* bits beyond the table are not looked at */
	s.n = min((unsigned)n, max(cap, 256u));
	s.bytes = ((size_t)s.n + 63) / 64 * 8;
	for (int k = 0; k < 3; k++)
		s.user[k] = user[k];
	if (!s.bytes)
		return pollset_wait(t, NULL, 0, deadline);
	r = sel_load(t, &s);
	if (r == 0)
		r = sel_files(t, &s);
	if (r == 0) {
		r = pollset_wait(t, s.e, s.nents, deadline);
		if (r >= 0) {
			r = sel_results(&s);
			w = sel_store(t, &s);
			r = w ? w : r;
		}
	}
	if (s.e)
		ents_put(s.e, s.nents);
	kfree(s.e);
	kfree(s.fds);
	kfree(s.set[0]);
	return r;
}

int64_t sys_select(struct task *t, const struct sysargs *a)
{
	const uint64_t user[3] = {a->a[1], a->a[2], a->a[3]};
	uint64_t deadline = WAIT_FOREVER;
	struct l_timeval tv;
	int r;

	if (a->a[4]) {
		r = get_user(t, tv, UADDR(a->a[4]));
		if (r)
			return r;
		if (tv.sec < 0 || tv.usec < 0 || tv.sec > INT64_MAX - tv.usec / 1000000)
			return -EINVAL;
		r = timeout_deadline(tv.sec + tv.usec / 1000000, tv.usec % 1000000 * 1000, &deadline);
		if (r)
			return r;
	}
	r = do_select(t, ARG_INT(0), user, deadline);
	return put_left(t, a->a[4], deadline, r, true);
}

int64_t sys_pselect6(struct task *t, const struct sysargs *a)
{
	const uint64_t user[3] = {a->a[1], a->a[2], a->a[3]};
	struct {
		uint64_t mask, size;
	} sig = {0, 0};
	uint64_t deadline;
	int r = a->a[5] ? get_user(t, sig, UADDR(a->a[5])) : 0;

	if (r == 0)
		r = get_deadline(t, a->a[4], &deadline);
	if (r == 0)
		r = sigmask_begin(t, UADDR(sig.mask), sig.size);
	if (r)
		return r;
	r = do_select(t, ARG_INT(0), user, deadline);
	sigmask_end(t, r == -ERESTARTNOHAND);
	return put_left(t, a->a[4], deadline, r, false);
}
