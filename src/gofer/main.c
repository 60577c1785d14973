/* SPDX-License-Identifier: Apache-2.0 */
/* brig-gofer: started by the launcher with its control socket as descriptor 3. */
#include <errno.h>
#include "gofer/gofer_int.h"
#include "host/file.h"
#include "host/mem.h"
#include "host/proc.h"
#include "host/sock.h"
#include "host/thread.h"
#include "lib/log.h"

#define MAX_HANDLES (1u << 18)
#define RESERVED_FDS 64u	/* channels, descriptors in flight, the log */
#define MAX_FDS 60000u

static struct channel channels[GOFER_CHANNELS_MAX];
static unsigned nchannels, serving, started;

struct boot {
	uint32_t flags, nroots;
	struct root_spec roots[GOFER_ROOTS_MAX];
};

/* The first message: flags, counts, channels. */
static int read_head(struct boot *b)
{
	uint8_t buf[64];
	int hfds[GOFER_CHANNELS_MAX];
	unsigned n;
	int64_t len = h_recv_fds(GOFER_CONTROL_HFD, buf, sizeof(buf), hfds, GOFER_CHANNELS_MAX, &n, 0);

	if (len <= 0)
		return len ? (int)len : -EPIPE;
	struct wire_r r = WIRE_R(buf, (size_t)len);
	uint32_t magic = wire_get_u32(&r);
	b->flags = wire_get_u32(&r);
	nchannels = wire_get_u32(&r);
	b->nroots = wire_get_u32(&r);
	if (!wire_done(&r) || magic != GOFER_BOOT_MAGIC || !n || n != nchannels ||
	    b->nroots > GOFER_ROOTS_MAX)
		return -EPROTO;
	for (unsigned i = 0; i < n; i++)
		channels[i].hfd = hfds[i];
	return 0;
}

static int read_root(struct root_spec *root)
{
	uint8_t buf[64];
	unsigned n;
	int64_t len = h_recv_fds(GOFER_CONTROL_HFD, buf, sizeof(buf), &root->hfd, 1, &n, 0);

	if (len <= 0)
		return len ? (int)len : -EPIPE;
	struct wire_r r = WIRE_R(buf, (size_t)len);
	uint32_t magic = wire_get_u32(&r);
	root->flags = wire_get_u32(&r);
	if (!wire_done(&r) || magic != GOFER_BOOT_MAGIC || n != 1)
		return -EPROTO;
	if (root->flags & ~GOFER_ROOT_FLAGS ||
	    (root->flags & GOFER_ROOT_PUBLIC && root->flags & GOFER_ROOT_RW))
		return -EINVAL;
	return 0;
}

static bool is_ours(const struct boot *b, int hfd)
{
	bool ours = hfd == 2 || hfd == GOFER_CONTROL_HFD;

	for (unsigned i = 0; i < nchannels; i++)
		ours |= channels[i].hfd == hfd;
	for (unsigned i = 0; i < b->nroots; i++)
		ours |= b->roots[i].hfd == hfd;
	return ours;
}

/* Closes everything but stderr, the control socket and what came over it, gap by gap. */
static void close_others(const struct boot *b)
{
	int last = GOFER_CONTROL_HFD, from = 0;

	for (unsigned i = 0; i < nchannels; i++)
		last = max(last, channels[i].hfd);
	for (unsigned i = 0; i < b->nroots; i++)
		last = max(last, b->roots[i].hfd);
	for (int hfd = 0; hfd <= last; hfd++) {
		if (!is_ours(b, hfd))
			continue;
		if (hfd > from)
			(void)h_close_range((unsigned)from, (unsigned)hfd - 1, 0);
		from = hfd + 1;
	}
	(void)h_close_range((unsigned)from, ~0u, 0);
}

static int make_table(const struct boot *b)
{
	struct rlimit lim;
	int rc = h_prlimit(0, RLIMIT_NOFILE, NULL, &lim);

	if (rc)
		return rc;
	if (lim.rlim_cur < RESERVED_FDS + b->nroots + 32)
		return -EMFILE;
	uint64_t budget = min(lim.rlim_cur - RESERVED_FDS, (uint64_t)MAX_FDS);
	rc = handles_init(b->nroots, MAX_HANDLES, (unsigned)budget);
	for (unsigned i = 0; !rc && i < b->nroots; i++)
		rc = handle_add_root(i, b->roots[i].hfd, b->roots[i].flags);
	return rc;
}

static int boot(struct boot *b, uint32_t *has)
{
	int rc = read_head(b);

	for (unsigned i = 0; !rc && i < b->nroots; i++)
		rc = read_root(&b->roots[i]);
	if (rc)
		return rc;
	close_others(b);
	int proc = h_openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	rc = proc < 0 ? proc : h_fchdir(proc);
	if (proc >= 0)
		(void)h_close(proc);
	if (!rc)
		rc = isolate_early(b->flags, b->roots, b->nroots, has);
	if (!rc)
		rc = make_table(b);
	return rc;
}

static void serve_thread(void *arg)
{
	__atomic_add_fetch(&started, 1, __ATOMIC_RELEASE);
	gofer_serve(arg);
	if (__atomic_sub_fetch(&serving, 1, __ATOMIC_ACQ_REL) == 0)
		h_exit(0);
	h_thread_exit();	/* no libc clean-up: its calls are not on our list */
}

static void answer(int rc, uint32_t has)
{
	uint8_t buf[16];
	struct wire_w w = WIRE_W(buf, sizeof(buf));

	wire_put_u32(&w, GOFER_BOOT_MAGIC);
	wire_put_u32(&w, (uint32_t)rc);
	wire_put_u32(&w, has);
	(void)!h_send_fds(GOFER_CONTROL_HFD, buf, w.len, NULL, 0, 0);
	(void)h_close(GOFER_CONTROL_HFD);
}

int main(void)
{
	static struct boot b;
	uint32_t has = 0;
	int rc;

	h_block_signals();
#ifdef GOFER_LYING
	gofer_reply_hook = gofer_lie;
#endif
	rc = boot(&b, &has);
	if (b.flags & GOFER_BOOT_DEBUG)
		log_open(2, LOG_DEBUG, "gofer");
	serving = nchannels;
	for (unsigned i = 1; !rc && i < nchannels; i++)
		rc = h_thread_spawn(serve_thread, &channels[i], 0);
	/* What libc does for a new thread is not on our list either. */
	while (!rc && __atomic_load_n(&started, __ATOMIC_ACQUIRE) != nchannels - 1)
		h_sched_yield();
	h_drop_text();
	if (!rc)
		rc = isolate_late(&has);
	answer(rc, has);
	if (rc)
		h_exit(1);
	serve_thread(&channels[0]);
}
