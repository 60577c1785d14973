/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes, sockets and epoll between threads, as kernels without guests see them: nothing is lost,
 * nobody sleeps for ever, nothing is left behind. */
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include "sentry/core/charge.h"
#include "sentry/core/hhandle.h"
#include "sentry/core/kheap.h"
#include "sentry/core/user_ns.h"
#include "sentry/fs/epoll/epoll.h"
#include "sentry/fs/eventfd/eventfd.h"
#include "sentry/fs/objects.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/proc/sysctl.h"
#include "sentry/net/net.h"
#include "sentry/net/sock.h"
#include "sentry/net/unix/unix.h"
#include "sentry/task/ns.h"
#include "sentry/task/task.h"

#ifdef __SANITIZE_THREAD__
#define FAKE_BASE 0x4000000000ull
#else
#define FAKE_BASE 0x200000000000ull
#endif

static struct cred root_cred;
static struct process proc;
static struct nsproxy nsp;
static struct net_ns net;
static struct pid *tgid;

static void evict(unsigned n)
{
	(void)n;
}

/* Each thread is a task of its own. */
static void become_task(struct task *t)
{
	memset(t, 0, sizeof(*t));
	ref_init(&t->ref, 1);
	t->proc = &proc;
	t->cred = &root_cred;
	t->ns = &nsp;
	current = t;
}

static int setup(void **state)
{
	static struct task me;

	(void)state;
	assert_int_equal(kheap_init(FAKE_BASE, 4ull << 30), 0);
	assert_int_equal(charge_init(0, 0), 0);
	assert_int_equal(hh_init(evict), 0);
	assert_int_equal(sysctl_init(), 0);
	assert_int_equal(task_root_init(1, 100, "unit"), 0);
	assert_int_equal(vfs_init(), 0);
	assert_int_equal(fs_objects_init(), 0);
	assert_int_equal(net_init(), 0);
	ref_init(&root_cred.ref, 1);
	root_cred.cap_effective = root_cred.cap_permitted = ~0ull >> 23;
	root_cred.user_ns = user_ns_create_init();
	ref_init(&net.ref, 1);
	net.user_ns = root_cred.user_ns;
	nsp.net = &net;
	for (int i = 0; i < 16; i++)
		proc.rlim[i].cur = proc.rlim[i].max = UINT64_MAX;
	assert_int_equal(pid_alloc(task_root->pid_ns, NULL, 0, &tgid), 0);
	proc.tgid = tgid;
	become_task(&me);
	return 0;
}

static int64_t put(struct file *f, const void *p, size_t n)
{
	struct uio u;

	uio_kernel(&u, (void *)(uintptr_t)p, n);
	return vfs_write(f, &u, NULL);
}

static int64_t get(struct file *f, void *p, size_t n)
{
	struct uio u;

	uio_kernel(&u, p, n);
	return vfs_read(f, &u, NULL);
}

/* --- streams ---------------------------------------------------------------------------------- */

#define TOTAL (1u << 20)

struct job {
	struct file *f;
	unsigned step;
	uint64_t sum, n;
};

static void *writer(void *arg)
{
	struct job *j = arg;
	struct task t;
	char buf[20000];

	become_task(&t);
	while (j->n < TOTAL) {
		size_t n = 1 + (j->n * 7 + j->step) % sizeof(buf);

		if (n > TOTAL - j->n)
			n = TOTAL - j->n;
		for (size_t i = 0; i < n; i++)
			j->sum += (unsigned char)(buf[i] = (char)(j->n + i));
		int64_t r = put(j->f, buf, n);
		if (r != (int64_t)n)
			break;
		j->n += n;
	}
	file_put(j->f);
	current = NULL;
	return NULL;
}

static void *reader(void *arg)
{
	struct job *j = arg;
	struct task t;
	char buf[9000];
	int64_t r;

	become_task(&t);
	while ((r = get(j->f, buf, 1 + (j->n * 13 + j->step) % sizeof(buf))) > 0)
		for (int64_t i = 0; i < r; i++)
			j->sum += (unsigned char)buf[i], j->n++;
	file_put(j->f);
	current = NULL;
	return NULL;
}

static void run_stream(struct file *r, struct file *w)
{
	struct job in[2] = {{r, 1, 0, 0}, {file_get(r), 2, 0, 0}}, out[2] = {{w, 3, 0, 0}, {file_get(w), 4, 0, 0}};
	pthread_t t[4];

	for (int i = 0; i < 2; i++) {
		pthread_create(&t[i], NULL, reader, &in[i]);
		pthread_create(&t[2 + i], NULL, writer, &out[i]);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(in[0].n + in[1].n, 2 * TOTAL);
	assert_int_equal(in[0].sum + in[1].sum, out[0].sum + out[1].sum);
}

static void test_pipe_threads(void **state)
{
	struct file *r, *w;

	(void)state;
	assert_int_equal(pipe_create(0, &r, &w), 0);
	run_stream(r, w);
}

static void make_pair(int type, struct file **a, struct file **b)
{
	struct sock *sa, *sb;

	assert_int_equal(sock_create(current, AF_UNIX, type, 0, &sa), 0);
	assert_int_equal(sock_create(current, AF_UNIX, type, 0, &sb), 0);
	assert_int_equal(sock_ops(sa)->pair(sa, sb), 0);
	assert_int_equal(sock_file(sa, 0, a), 0);
	assert_int_equal(sock_file(sb, 0, b), 0);
}

static void test_unix_threads(void **state)
{
	struct file *a, *b;

	(void)state;
	make_pair(SOCK_STREAM, &a, &b);
	run_stream(a, b);
}

/* --- epoll ------------------------------------------------------------------------------------ */

#define EVENTS 3000

static uint32_t taken;

static void *taker(void *arg)
{
	struct file *ep = ((void **)arg)[0], *e = ((void **)arg)[1];
	struct l_epoll_event ev;
	struct task t;
	uint64_t v;

	become_task(&t);
	while (__atomic_load_n(&taken, __ATOMIC_RELAXED) < EVENTS)
		if (epoll_wait_file(ep, &ev, 1, now_mono() + 20000000) == 1)
			while (get(e, &v, sizeof(v)) == sizeof(v))
				__atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
	current = NULL;
	return NULL;
}

static void test_epoll_threads(void **state)
{
	struct l_epoll_event ev = {EPOLLIN | EPOLLET, 5};
	struct file *ep, *e;
	void *arg[2];
	pthread_t t[3];

	(void)state;
	assert_int_equal(epoll_new(0, &ep), 0);
	assert_int_equal(eventfd_new(0, 1 /* EFD_SEMAPHORE */ | 04000 /* EFD_NONBLOCK */, &e), 0);
	assert_int_equal(epoll_ctl_file(ep, EPOLL_CTL_ADD, e, 5, &ev), 0);
	assert_int_equal(epoll_ctl_file(ep, EPOLL_CTL_ADD, e, 5, &ev), -EEXIST);
	arg[0] = ep, arg[1] = e;
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, taker, arg);
	for (int i = 0; i < EVENTS; i++) {
		uint64_t one = 1;

		assert_int_equal(put(e, &one, sizeof(one)), sizeof(one));
	}
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(taken, EVENTS);
	file_put(e);	/* leaves the epoll by itself */
	assert_int_equal(epoll_item_count(ep), 0);
	file_put(ep);
}

static void test_epoll_loops(void **state)
{
	struct l_epoll_event ev = {EPOLLIN, 1};
	struct file *ep[8];
	int depth = 0;

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(epoll_new(0, &ep[i]), 0);
	assert_int_equal(epoll_ctl_file(ep[0], EPOLL_CTL_ADD, ep[1], 1, &ev), 0);
	assert_int_equal(epoll_ctl_file(ep[1], EPOLL_CTL_ADD, ep[0], 1, &ev), -ELOOP);
	for (int i = 1; i < 7 && epoll_ctl_file(ep[i], EPOLL_CTL_ADD, ep[i + 1], 1, &ev) == 0; i++)
		depth++;
	assert_in_range(depth, 1, 5);
	for (int i = 0; i < 8; i++)
		file_put(ep[i]);
}

/* --- descriptors in flight -------------------------------------------------------------------- */

static void send_file(struct file *over, struct file *f)
{
	struct sock *s = sock_of(over);
	struct sockmsg m = {.scm = scm_alloc(1)};
	char byte[1] = {'x'};
	struct uio u;

	assert_non_null(m.scm);
	m.scm->fds[0] = file_get(f);
	m.scm->nfds = 1;
	uio_kernel(&u, byte, 1);
	assert_int_equal(sock_ops(s)->send(s, &u, &m, MSG_DONTWAIT), 1);
	assert_null(m.scm);
}

static void test_cycles(void **state)
{
	struct file *a, *b, *c, *d;

	(void)state;
	uint64_t before = charge_used(CHARGE_KERNEL);
	for (int i = 0; i < 2000; i++) {
		make_pair(SOCK_STREAM, &a, &b);
		send_file(a, b);
		send_file(b, a);
		file_put(a);
		file_put(b);
	}
	make_pair(SOCK_STREAM, &c, &d);
	file_put(c);
	file_put(d);	/* a release starts a collection */
	assert_in_range(charge_used(CHARGE_KERNEL), 0, before + (256u << 10));
}

static void test_reachable_stays(void **state)
{
	struct file *a, *b, *c, *d;
	struct sockmsg m = {.want_scm = true};
	struct uio u;
	char x;

	(void)state;
	make_pair(SOCK_STREAM, &a, &b);
	make_pair(SOCK_STREAM, &c, &d);
	send_file(a, c);	/* c is only in b's queue from here on */
	file_put(c);
	unix_gc_poke();
	uio_kernel(&u, &x, 1);
	assert_int_equal(sock_ops(sock_of(b))->recv(sock_of(b), &u, &m, MSG_DONTWAIT), 1);
	assert_non_null(m.scm);
	assert_int_equal(m.scm->nfds, 1);
	assert_int_equal(put(m.scm->fds[0], "y", 1), 1);
	assert_int_equal(get(d, &x, 1), 1);
	assert_int_equal(x, 'y');
	scm_free(m.scm);
	file_put(a);
	file_put(b);
	file_put(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipe_threads),
		cmocka_unit_test(test_unix_threads),
		cmocka_unit_test(test_epoll_threads),
		cmocka_unit_test(test_epoll_loops),
		cmocka_unit_test(test_cycles),
		cmocka_unit_test(test_reachable_stays),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
