/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the Gofer and the Sentry and tells them what they are for. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/gofer_boot.h"
#include "sandbox/launch_int.h"

/* --- programs ---------------------------------------------------------------------------------- */

static int open_program(const char *name, const char *built, struct err *e)
{
	char self[1024];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return err_sys(e, errno, "/proc/self/exe");
	self[n] = 0;
	char *slash = strrchr(self, '/');
	*(slash ? slash : self) = 0;
	char *const tries[] = {
		xasprintf("%s/%s", self, name),
		xasprintf("%s/../libexec/brig/%s", self, name),
		xasprintf("%s/%s/%s", self, built, name),	/* a build directory */
		xasprintf("%s/src/%s/%s", self, built + 3, name),
	};
	int hfd = -1;
	for (size_t i = 0; i < array_size(tries); i++) {
		if (hfd < 0)
			hfd = open(tries[i], O_RDONLY | O_CLOEXEC);
		free(tries[i]);
	}
	return hfd >= 0 ? hfd
			: err_set(e, "%s is missing: it should lie beside brig in %s or in "
				  "../libexec/brig", name, self);
}

int boot_find_programs(struct launch *l, struct err *e)
{
	l->exe_sentry = open_program("brig-sentry", "../sentry", e);
	if (l->exe_sentry < 0)
		return -1;
	l->exe_gofer = open_program("brig-gofer", "../gofer", e);
	if (l->exe_gofer < 0)
		return -1;
	l->exe_cell = open_program("brig-cell", "../platform/cell/stub", e);
	return l->exe_cell < 0 ? -1 : 0;
}

static int pair(int type, int *ours, int *theirs, struct err *e)
{
	int hfds[2];
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, hfds) != 0)
		return err_sys(e, errno, "socketpair");
	*ours = hfds[0];
	*theirs = hfds[1];
	return 0;
}

/* --- the Gofer --------------------------------------------------------------------------------- */

int boot_gofer(struct launch *l, struct err *e)
{
	int theirs;
	if (pair(SOCK_SEQPACKET, &l->gofer_control, &theirs, e))
		return -1;
	l->gofer = (struct spawn){.name = "brig-gofer", .exe_hfd = l->exe_gofer, .cell_hfd = -1,
				  .cgroup_hfd = -1};
	/* No namespaces: its filter knows neither sockets nor signals, and it has to see host ids. */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, errno, "/dev/null");
	spawn_fd_add(&l->gofer, null, 0);
	spawn_fd_add(&l->gofer, null, 1);
	spawn_fd_add(&l->gofer, 2, 2);
	spawn_fd_add(&l->gofer, theirs, GOFER_CONTROL_HFD);
	return spawn_begin(&l->gofer, e);
}

/* While the Sentry starts, so that neither waits for the other. */
static int tell_gofer(struct launch *l, struct err *e)
{
	struct gofer_boot_root roots[GOFER_ROOTS_MAX];
	struct gofer_boot b = {.nchannels = SB_CHANNELS, .nroots = l->view.n_roots,
			       .channels = l->gofer_ends, .roots = roots};
	uint32_t has;
	b.flags |= l->c->without & SB_LANDLOCK ? GOFER_BOOT_NO_LANDLOCK : 0;
	b.flags |= l->c->without & SB_OPENAT2 ? GOFER_BOOT_NO_OPENAT2 : 0;
	b.flags |= l->c->debug ? GOFER_BOOT_DEBUG : 0;
	b.flags |= l->view.private_roots ? GOFER_BOOT_KEEP_IDS : 0;
	for (unsigned i = 0; i < l->view.n_roots; i++)
		roots[i] = (struct gofer_boot_root){l->view.roots[i].hfd, l->view.roots[i].flags};
	int rc = gofer_boot_send(l->gofer_control, &b, &has);
	for (unsigned i = 0; i < SB_CHANNELS; i++)
		close(l->gofer_ends[i]);
	close(l->gofer_control);
	l->gofer_control = -1;
	view_close(&l->view);
	return rc ? err_sys(e, rc, "brig-gofer did not start") : 0;
}

/* --- the Sentry -------------------------------------------------------------------------------- */

enum {	/* the Sentry's descriptors */
	SFD_CONTROL = BOOT_SPEC_HFD + 1,
	SFD_CELL,
	SFD_LOG,
	SFD_STRACE,
	SFD_TTY,
	SFD_CHANNEL,
};

static unsigned usable_cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned)max(CPU_COUNT(&set), 1);
}

static uint64_t spec_flags(const struct launch *l)
{
	const struct sb_config *c = l->c;
	uint64_t f = BOOT_F_ASROOT;
	f |= c->strace ? BOOT_F_STRACE : 0;
	f |= c->debug ? BOOT_F_DEBUG : 0;
	f |= c->hardened ? BOOT_F_HARDENED : 0;
	f |= c->no_patch ? BOOT_F_NO_PATCH : 0;
	f |= c->no_spin ? BOOT_F_NO_SPIN : 0;
	f |= l->tty_sock >= 0 ? BOOT_F_TTY : 0;
	f |= l->lease ? BOOT_F_MEM_LEASE : 0;
	f |= c->without & SB_LANDLOCK ? BOOT_F_NO_LANDLOCK : 0;
	f |= c->without & SB_FSGSBASE ? BOOT_F_NO_FSGSBASE : 0;
	f |= c->without & SB_CLONE3 ? BOOT_F_NO_CLONE3 : 0;
	f |= c->without & SB_NOTIF_SYNC ? BOOT_F_NO_NOTIF_SYNC : 0;
	f |= l->sentry.got & GOT_USERNS ? BOOT_F_HOST_USERNS : 0;
	return f;
}

static void spec_identity(const struct sb_config *c, struct boot_spec *s)
{
	s->uid = c->uid, s->gid = c->gid;
	s->host_uid = geteuid(), s->host_gid = getegid();
	s->umask = umask(0);
	umask(s->umask);
	s->n_groups = (uint32_t)min(c->n_groups, (size_t)BOOT_MAX_GROUPS);
	memcpy(s->groups, c->groups, s->n_groups * sizeof(s->groups[0]));
}

static void spec_limits(const struct sb_config *c, struct boot_spec *s)
{
	struct rlimit r;
	s->limits.memory = c->memory;
	s->limits.disk = c->disk;
	s->limits.timeout_ns = c->timeout_ns;
	s->limits.pids = c->pids;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		s->limits.nofile_soft = (uint32_t)min(r.rlim_cur, (rlim_t)1 << 20);
		s->limits.nofile_hard = (uint32_t)min(r.rlim_max, (rlim_t)1 << 20);
	}
}

static int fill_spec(const struct launch *l, struct boot_spec *s, struct err *e)
{
	const struct sb_config *c = l->c;
	uint32_t r;
	size_t n = 0, len;
	if (getrandom(s->seed, sizeof(s->seed), 0) != sizeof(s->seed) ||
	    getrandom(&r, sizeof(r), 0) != sizeof(r))
		return err_sys(e, errno, "getrandom");
	s->kheap_addr = 0x100000000000ull + ((uint64_t)(r & 0x3fff) << 30);
	s->flags = spec_flags(l);
	s->ncpus = usable_cpus();
	facts_fill(s);
	spec_identity(c, s);
	spec_limits(c, s);
	tty_size(&s->tty_rows, &s->tty_cols);
	s->cwd = l->view.cwd;
	s->hostname = c->hostname;
	s->program = c->argv[0];
	while (c->argv[n])
		n++;
	s->argv.p = strv_pack(c->argv, n, &len);
	s->argv.n = (uint32_t)n, s->argv.len = (uint32_t)len;
	s->envp.p = strv_pack(c->env.v, c->env.n, &len);
	s->envp.n = (uint32_t)c->env.n, s->envp.len = (uint32_t)len;
	s->n_mounts = l->view.n_mounts;
	memcpy(s->mounts, l->view.mounts, sizeof(s->mounts));
	return 0;
}

static int open_out(const char *path, struct err *e)
{
	if (!path)
		return fcntl(2, F_DUPFD_CLOEXEC, 3);
	int hfd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (hfd < 0)
		err_sys(e, errno, "%s", path);
	return hfd;
}

/* What write_spec needs beside the launch. */
struct spec_job {
	const struct launch *l;
	struct boot_fds fds;
	int hfd, control, tty;
};

/* Decides for each of 0, 1, 2 whether the guest gets it as it is or through the pty. */
static void place_stdio(struct launch *l, struct boot_fds *f, int null)
{
	for (int i = 0; i < 3; i++) {
		/* Close-on-exec here is the mark of fill_low_fds: the caller had it closed. */
		int flags = fcntl(i, F_GETFD);
		bool open_here = flags >= 0 && !(flags & FD_CLOEXEC);
		bool pty = l->tty_sock >= 0 && (i < 2 || isatty(i));
		f->stdio[i] = open_here && !pty ? i : -1;
		spawn_fd_add(&l->sentry, f->stdio[i] < 0 ? null : i, i);
	}
}

/* In the child, when it is known in which namespaces it is: writes the spec for the Sentry. */
static int write_spec(void *arg, unsigned got)
{
	static struct boot_spec s;
	struct spec_job *job = arg;
	struct err e = {0};
	size_t len, cap = BOOT_MAX_SIZE;
	uint8_t *buf = xmalloc(cap);
	s.fds = job->fds;
	if (fill_spec(job->l, &s, &e))
		return -EIO;
	s.flags |= got & GOT_USERNS ? BOOT_F_HOST_USERNS : 0;
	int rc = boot_encode(&s, buf, cap, &len);
	if (rc == 0 && (ftruncate(job->hfd, 0) != 0 || pwrite(job->hfd, buf, len, 0) != (ssize_t)len))
		rc = -errno;
	free(buf);
	return rc;
}

/* Opens what only the Sentry gets and puts it under its numbers. */
static int place_fds(struct launch *l, struct spec_job *job, struct err *e)
{
	const struct sb_config *c = l->c;
	struct boot_fds *f = &job->fds;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int log = open_out(c->log_file, e), strace = -1;
	if (log < 0)
		return -1;
	if (c->strace && (strace = open_out(c->strace_file, e)) < 0)
		return -1;
	job->hfd = memfd_create("brig-spec", MFD_CLOEXEC);
	if (null < 0 || job->hfd < 0)
		return err_sys(e, errno, "descriptors of brig-sentry");
	*f = (struct boot_fds){.control = SFD_CONTROL, .cell = SFD_CELL, .log = SFD_LOG,
			       .strace = strace >= 0 ? SFD_STRACE : -1,
			       .tty = job->tty >= 0 ? SFD_TTY : -1, .empty_dir = -1,
			       .n_channels = SB_CHANNELS};
	place_stdio(l, f, null);
	spawn_fd_add(&l->sentry, job->hfd, BOOT_SPEC_HFD);
	spawn_fd_add(&l->sentry, job->control, SFD_CONTROL);
	spawn_fd_add(&l->sentry, l->exe_cell, SFD_CELL);
	spawn_fd_add(&l->sentry, log, SFD_LOG);
	spawn_fd_add(&l->sentry, strace, SFD_STRACE);
	spawn_fd_add(&l->sentry, job->tty, SFD_TTY);
	for (unsigned i = 0; i < SB_CHANNELS; i++) {
		f->channels[i] = SFD_CHANNEL + (int)i;
		spawn_fd_add(&l->sentry, l->channels[i], f->channels[i]);
	}
	return 0;
}

int boot_sentry(struct launch *l, struct err *e)
{
	const struct sb_config *c = l->c;
	static struct spec_job job;
	job = (struct spec_job){.l = l, .hfd = -1, .control = -1, .tty = -1};
	if (pair(SOCK_SEQPACKET, &l->control, &job.control, e) ||
	    (c->tty && pair(SOCK_STREAM, &l->tty_sock, &job.tty, e)))
		return -1;
	l->sentry = (struct spawn){.name = "brig-sentry", .exe_hfd = l->exe_sentry,
				   .cell_hfd = l->exe_cell, .cgroup_hfd = l->cgroup.procs_hfd,
				   .namespaces = !(c->without & SB_USERNS),
				   .landlock = !(c->without & SB_LANDLOCK), .drop_ids = true,
				   .prepare = write_spec, .arg = &job};
	for (unsigned i = 0; i < SB_CHANNELS; i++)
		if (pair(SOCK_SEQPACKET, &l->channels[i], &l->gofer_ends[i], e))
			return -1;
	if (place_fds(l, &job, e))
		return -1;
	return spawn_begin(&l->sentry, e);
}

int boot_finish(struct launch *l, struct err *e)
{
	return spawn_finish(&l->gofer, e) || tell_gofer(l, e) || spawn_finish(&l->sentry, e) ? -1 : 0;
}
