/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first cell, and the thread that is the parent of all cells: it reaps them and tells the
 * threads that wait for one. It never exits, since the cells' death signal hangs on it.
 */
#include "platform/cell/cell_int.h"

#include <errno.h>
#include <string.h>
#include "host/file.h"
#include "host/sock.h"
#include "host/thread.h"

/* In the forked child, between fork and exec: raw calls only. */
_Noreturn static void exec_cell(int ctx_hfd, int sock, int sites)
{
	static char name[] = "brig-cell";
	char *argv[] = {name, NULL}, *envp[] = {NULL};
	struct rlimit core = {1, 1};
	int fds[4];

	/* above every number that is about to be replaced */
	fds[0] = h_fcntl(ctx_hfd, F_DUPFD, 32);
	fds[1] = h_fcntl(sock, F_DUPFD, 32);
	fds[2] = h_fcntl(pl.boot.cell_hfd, F_DUPFD, 32);
	fds[3] = h_fcntl(sites, F_DUPFD, 32);
	if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0 || fds[3] < 0 ||
	    h_dup3(fds[0], CELL_FD_CTX, 0) < 0 || h_dup3(fds[1], CELL_FD_BOOT, 0) < 0 ||
	    h_dup3(fds[2], CELL_FD_EXE, O_CLOEXEC) < 0 || h_dup3(fds[3], CELL_FD_SITES, 0) < 0)
		h_exit(96);
	h_close_range(0, 2, 0);
	h_close(CELL_FD_PROC);
	h_close_range(CELL_FD_EXE + 1, ~0u, 0);
	(void)!h_prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)!h_setsid();
	(void)!h_prlimit(0, RLIMIT_CORE, &core, NULL);
	(void)!h_execveat(CELL_FD_EXE, "", argv, envp, AT_EMPTY_PATH);
	h_exit(97);
}

static int start_template(int *pid)
{
	struct pl_spc *s;
	struct pl_thr *t;
	int pair[2], sites, r;

	sites = sites_init();
	if (sites < 0)
		return sites;
	r = spc_new(&s);
	if (r)
		return r;
	r = thr_new(s, 0, &t);
	if (r)
		return r;
	r = h_socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	if (r)
		return r;
	r = (int)h_sys0(SYS_fork);
	if (r == 0)
		exec_cell(s->ctx_hfd, pair[1], sites);
	h_close(pair[1]);
	h_close(sites);
	if (r < 0) {
		h_close(pair[0]);
		return r;
	}
	*pid = r;
	mutex_lock(&pl.lock);
	s->pid = r;
	tid_add_locked(t, r);
	mutex_unlock(&pl.lock);
	h_close(s->ctx_hfd);
	s->ctx_hfd = -1;
	pl.tmpl = s;
	pl.tmpl_thr = t;

	int32_t err = 0;
	unsigned count = 0;
	int64_t n = h_recv_fds(pair[0], &err, sizeof(err), &pl.listener, 1, &count, 0);

	h_close(pair[0]);
	if (n == sizeof(err) && count == 0 && err < 0)
		return err;
	if (n != sizeof(err) || count != 1 || READ_ONCE(t->c->boot_err)) {
		log_error("cell: start failed: %d, step %u", (int)n, READ_ONCE(t->c->boot_err));
		return -EIO;
	}
	vdso_found(READ_ONCE(t->c->vdso));	/* no guest has run in it */
	pl.vdso = !(READ_ONCE(t->c->boot_warn) & 4);
	/* SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP: since 6.6, and not a condition */
	(void)!h_ioctl(pl.listener, 0x40082104, 1);
	if (READ_ONCE(t->c->boot_warn) & 2)
		pl.boot.no_patch = pl.no_table = true;
	return 0;
}

/* Wakes every thread of a dead space. Its process is gone, so that we alone write its words. */
void spc_died(struct pl_spc *s)
{
	uint32_t i;

	mutex_lock(&pl.lock);
	s->pid = 0;
	__atomic_store_n(&s->dead, 1, __ATOMIC_SEQ_CST);
	for (i = s->threads; i; i = pl.thr[i - 1].next) {
		struct pl_thr *t = &pl.thr[i - 1];

		tid_del_locked(t);
		__atomic_add_fetch(&t->c->ev_seq, 1, __ATOMIC_SEQ_CST);
		(void)h_futex_wake_shared(&t->c->ev_seq, INT32_MAX);
	}
	mutex_unlock(&pl.lock);
}

int spc_kill(struct pl_spc *s)
{
	int r = -ESRCH;

	mutex_lock(&pl.lock);
	if (s->pid)
		r = h_kill(s->pid, SIGKILL);
	mutex_unlock(&pl.lock);
	return r;
}

/* A cell is reaped only after its entries are gone: its number is free from then on (R20). */
/* Threads whose owners may be asleep in a system call hear of it through the hook. The space
 * stays until `gone` is set. */
static void tell_gone(struct pl_spc *s)
{
	pl_thread_t ids[64];
	uint32_t i = 0, n;

	do {
		n = 0;
		mutex_lock(&pl.lock);
		for (; i < pl.thr_used && n < array_size(ids); i++)
			if (pl.thr[i].s == s && pl.thr[i].state == THR_LIVE)
				ids[n++] = thr_id(&pl.thr[i]);
		mutex_unlock(&pl.lock);
		for (uint32_t k = 0; k < n; k++)
			pl.boot.gone(ids[k]);
	} while (n == array_size(ids));
}

static void reap(int pid)
{
	struct pl_spc *s = NULL;
	int status;

	mutex_lock(&pl.lock);
	for (uint32_t i = 0; i < pl.spc_used && !s; i++)
		if (pl.spc[i].used && pl.spc[i].pid == pid)
			s = &pl.spc[i];
	mutex_unlock(&pl.lock);
	if (s)
		spc_died(s);
	(void)!h_wait4(pid, &status, __WALL, NULL);
	if (s) {
		if (pl.boot.gone && s != pl.tmpl)
			tell_gone(s);
		__atomic_store_n(&s->gone, 1, __ATOMIC_RELEASE);
		(void)h_futex_wake(&s->gone, INT32_MAX);
	}
	pl_debug("cell %d ended, status %x%s", pid, status, s ? "" : ", not introduced");
	if (s && s == pl.tmpl && !__atomic_load_n(&pl.stopping, __ATOMIC_RELAXED)) {
		log_error("cell: the template cell died");
		__atomic_store_n(&pl.stopping, 1, __ATOMIC_RELEASE);
	}
}

static void reaper_main(void *arg)
{
	siginfo_t si;
	int r, pid = 0;

	(void)arg;
	r = start_template(&pid);
	if (!r)
		r = h_thread_spawn(notary_main, NULL, 0);
	if (!r && pl.boot.hardened)
		r = thr_make_strict(pl.tmpl_thr);	/* and with it all that comes */
	if (r && pid)
		(void)!h_kill(pid, SIGKILL);
	__atomic_store_n(&pl.ready, (uint32_t)(r ? r : 1), __ATOMIC_RELEASE);
	(void)h_futex_wake(&pl.ready, 1);
	for (;;) {
		memset(&si, 0, sizeof(si));
		r = h_waitid(P_ALL, 0, &si, WEXITED | WNOWAIT | __WALL, NULL);
		if (r == -ECHILD)
			break;
		if (!r && si.si_pid)
			reap(si.si_pid);
	}
	__atomic_store_n(&pl.ready, 2, __ATOMIC_RELEASE);
	(void)h_futex_wake(&pl.ready, INT32_MAX);
	for (;;)
		(void)h_futex_wait(&pl.ready, 2, NULL);
}

static int tables_init(void)
{
	size_t tn = sizeof(struct pl_thr) * PL_MAX_THREADS;
	size_t sn = sizeof(struct pl_spc) * PL_MAX_SPACES;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *p;
	int r;

	r = h_mmap(&p, NULL, tn, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (r)
		return r;
	pl.thr = p;
	r = h_mmap(&p, NULL, sn, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (r)
		return r;
	pl.spc = p;
	return 0;
}

int pl_init(const struct pl_boot *boot)
{
	const uint64_t chld = 1ull << (SIGCHLD - 1);
	uint32_t v;
	int r;

	/* the reaper waits for the cells: their deaths need wake nobody else */
	(void)!h_sigprocmask(SIG_BLOCK, &chld, NULL);
	pl.boot = *boot;
	pl.debug = boot->debug;
	xstate_init();
	r = tables_init();
	if (r)
		return r;
	r = h_thread_spawn(reaper_main, NULL, 0);
	if (r)
		return r;
	while (!(v = __atomic_load_n(&pl.ready, __ATOMIC_ACQUIRE)))
		(void)h_futex_wait(&pl.ready, 0, NULL);
	if (v == 1 && h_thread_spawn(pool_fill, NULL, 0))
		log_warn("cell: no thread to make cells ahead");
	return v <= 2 ? 0 : (int)v;
}

void pl_shutdown(void)
{
	uint32_t v;

	__atomic_store_n(&pl.stopping, 1, __ATOMIC_SEQ_CST);
	/* children of live cells are ours too: until none is left */
	while ((v = __atomic_load_n(&pl.ready, __ATOMIC_ACQUIRE)) == 1) {
		struct timespec tick = {0, 20000000};

		for (uint32_t i = 0; i < pl.spc_used; i++)
			if (pl.spc[i].used)
				(void)spc_kill(&pl.spc[i]);
		(void)h_futex_wait(&pl.ready, v, &tick);
	}
}
